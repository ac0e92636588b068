import pytest

from ethogram.errors import OptionError
from ethogram.text.lexicon import Lexicon
from ethogram.text.rouge import rouge_l


def test_frequent_words_have_codes_of_their_own_and_others_share_by_hash():
    made = Lexicon.of(["b a", "a c", "a b d"], most=2, spare=3)
    assert made.names == ("a", "b")
    assert len(made) == 5
    codes = made.codes(["A, b!", "zebra quagga zebra", ""])
    assert codes[0] == [0, 1]
    assert codes[2] == []
    assert codes[1][0] == codes[1][2]
    assert all(2 <= c < 5 for c in codes[1])
    assert Lexicon(made.names, 3).codes(["zebra"]) == [codes[1][:1]]
    assert [made.code("b"), made.code("zebra")] == [1, codes[1][0]]


@pytest.mark.parametrize(("most", "spare"), [(0, 3), (3, 0)])
def test_a_lexicon_needs_room(most, spare):
    with pytest.raises(OptionError, match="lexicon"):
        Lexicon.of(["a"], most, spare)


def test_rouge_by_hand():
    """Longest common subsequences of 3 in 4 and 5 words, and of 2 in 3 and 2."""
    found = rouge_l(["police killed the gunman", "a b c"], ["police ended it the gunman", "a c"])
    assert found.tolist() == pytest.approx([6 / 9, 4 / 5])
    with pytest.raises(OptionError, match="1 texts against 2"):
        rouge_l(["a"], ["a", "b"])
