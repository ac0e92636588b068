"""Contrastive losses against loops; partners against a search of all histories."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from ethogram.log import Histories  # noqa: E402
from ethogram.nn.contrast import both_views, to_centres  # noqa: E402
from ethogram.nn.partners import Partners  # noqa: E402
from ethogram.nn.windows import Windows  # noqa: E402


def test_both_views_as_in_a_loop():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    target = np.array([1, 2, 1, 3, 2])
    states, kind = np.concatenate([a, b]), np.tile(target, 2)
    for same in (None, target[:, None] == target[None]):
        total = []
        for i in range(10):
            own = (i + 5) % 10
            others = [
                j for j in range(10)
                if j not in (i, own) and (j % 5 != i % 5 if same is None else kind[j] != kind[i])
            ]  # fmt: skip
            up = states[i] @ states[own] / 0.7
            total.append(np.log(np.exp([up, *(states[i] @ states[j] / 0.7 for j in others)]).sum()) - up)
        given = None if same is None else torch.from_numpy(same)
        found = both_views(torch.from_numpy(a), torch.from_numpy(b), 0.7, same=given)
        assert found.item() == pytest.approx(np.mean(total))
    assert both_views(torch.zeros(0, 3), torch.zeros(0, 3)).item() == 0.0


def test_to_centres_as_in_a_loop():
    rng = np.random.default_rng(1)
    states, centres, cluster = rng.normal(size=(6, 3)), rng.normal(size=(4, 3)), np.array([0, 1, 0, 3, 1, 2])
    for mask in (True, False):
        total = []
        for i in range(6):
            up = states[i] @ centres[cluster[i]]
            others = [j for j in range(6) if j != i and not (mask and cluster[j] == cluster[i])]
            total.append(np.log(np.exp([up, *(states[i] @ centres[cluster[j]] for j in others)]).sum()) - up)
        given = (torch.from_numpy(x) for x in (states, centres, cluster))
        assert to_centres(*given, mask=mask).item() == pytest.approx(np.mean(total))


LISTS = [["a", "b", "c", "a"], ["b", "c"], ["c"], ["x", "a", "b"], ["q", "c"]]


def test_partners_end_in_the_same_item():
    windows = Windows.of(Histories.of(LISTS))
    flat = [x for h in LISTS for x in h]
    letters = sorted(set(flat))
    item = np.array([letters.index(x) for x in flat])
    partners = Partners(windows, item, len(letters), length=2)
    first = {0, 4, 6, 7, 10}
    rng = np.random.default_rng(0)
    for event in set(range(len(flat))) - first:
        same = {e for e in range(len(flat)) if flat[e] == flat[event] and e not in first}
        drawn = {int(partners.other(np.array([event]), rng)[0]) for _ in range(60)}
        assert drawn == (same - {event} or {event}), f"event {event}"
        places, offsets, group = partners.prefixes(np.array([event]))
        begin = max(f for f in first if f <= event)
        assert places.tolist() == list(range(max(begin, event - 2), event))
        assert offsets.tolist() == [0, len(places)]
        assert group.tolist() == list(range(len(places)))


def test_prefixes_keep_groups_whole():
    import pyarrow as pa

    from ethogram.log import Log

    rows = {"user": [1] * 6, "item": list("abcdef"), "time": [1, 1, 2, 2, 2, 3]}
    windows = Windows.of(Log.open(pa.table(rows)).histories())
    partners = Partners(windows, np.arange(6), 6, length=4)
    assert partners.events.tolist() == [2, 3, 4, 5], "nothing stands before the first group"
    places, offsets, group = partners.prefixes(np.array([5, 3]))
    assert places.tolist() == [2, 3, 4, 0, 1], "a group that does not fit is left out whole"
    assert offsets.tolist() == [0, 3, 5]
    assert group.tolist() == [0, 0, 0, 0, 0]
    short = Partners(windows, np.arange(6), 6, length=2).prefixes(np.array([5]))
    assert short[0].tolist() == [3, 4], "of a group larger than the length as much as fits"
