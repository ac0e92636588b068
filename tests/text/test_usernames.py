"""How alike names are, against a plain dynamic programme and values by hand."""

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.text.usernames import grams, jaccard, keyboard, levenshtein, plain, tokens, traits


def slow(a, b):
    """The textbook recurrence, as a full table."""
    table = np.zeros((len(a) + 1, len(b) + 1))
    table[:, 0], table[0] = range(len(a) + 1), range(len(b) + 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1, j + 1] = min(table[i, j] + (x != y), table[i, j + 1] + 1, table[i + 1, j] + 1)
    return table[-1, -1]


def test_levenshtein_is_that_of_the_recurrence():
    rng = np.random.default_rng(0)
    letters = list("abcäß漢😀")
    names = ["".join(rng.choice(letters, rng.integers(0, 9))) for _ in range(300)]
    one, other = names[:150], names[150:]
    found = levenshtein(one, other)
    for a, b, value in zip(one, other, found, strict=True):
        a, b = a.casefold(), b.casefold()
        longest = max(len(a), len(b))
        assert value == pytest.approx(1 - slow(a, b) / longest if longest else 1.0)


def test_neighbouring_keys_cost_half_and_leet_is_read():
    # g and h touch, g and p do not
    assert keyboard(["great"], ["hreat"])[0] == pytest.approx(1 - 0.5 / 5)
    assert keyboard(["great"], ["preat"])[0] == pytest.approx(1 - 1 / 5)
    assert plain("Tr0ll_K1ng2021") == "trollking2021"
    assert keyboard(["TR0LL.king7"], ["trollKing7"])[0] == 1.0


def test_pieces_of_names():
    assert tokens("XxDarkLord99_ofMordor") == ["xx", "dark", "lord", "of", "mordor"]
    assert grams(["ab"], 3) == [frozenset({"^ab", "ab$"})]
    # {^ab, abc, bc$} and {^ab, abd, bd$} share one of five
    assert jaccard(grams(["abc"]), grams(["abd"]))[0] == pytest.approx(1 / 5)
    assert jaccard([[], ["a"]], [[], []]).tolist() == [0.0, 0.0]
    assert traits(["Ab-1"])[0].tolist() == [4, 0.25, 0.25, 0.25, 1]


def test_bad_input():
    with pytest.raises(OptionError, match="as many of each"):
        levenshtein(["a"], [])
    with pytest.raises(OptionError, match="not text"):
        traits([3])
    with pytest.raises(OptionError, match="n = 0"):
        grams(["a"], 0)
