"""The best of ragged lists against a plain sort."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ethogram.numeric.select import best

SIZE = 12
lists = st.lists(
    st.lists(
        st.tuples(st.integers(-1, SIZE - 1), st.sampled_from([0.0, 1.0, 2.5, -3.0, -np.inf, np.nan])), max_size=20
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(lists=lists, k=st.integers(1, 8), barred=st.lists(st.integers(-1, SIZE - 1), max_size=5))
def test_equals_a_plain_sort(lists, k, barred):
    offsets = np.cumsum([0, *map(len, lists)])
    codes = np.array([c for row in lists for c, _ in row], np.int32)
    scores = np.array([s for row in lists for _, s in row], np.float64)
    n = len(lists)
    # only the first list is barred anything
    found = best(scores, codes, offsets, k, SIZE, (np.array(barred, np.int32), np.r_[0, np.full(n, len(barred))]))
    assert found.shape == (n, k)
    for q, row in enumerate(lists):
        first = {}
        for at, (code, score) in enumerate(row):
            if code >= 0 and not (q == 0 and code in barred):
                first.setdefault(code, (score, at))
        kept = sorted((-score, code, at) for code, (score, at) in first.items() if score > -np.inf)
        expected = [offsets[q] + at for _, _, at in kept[:k]]
        assert found[q].tolist() == expected + [-1] * (k - len(expected))


def test_no_lists_at_all():
    assert best(np.empty(0), np.empty(0, np.int32), np.zeros(1, np.int64), 3, 5).shape == (0, 3)
