"""Tones of texts by hand, and readability against the one of single texts."""

import numpy as np
import pytest

from ethogram.text.readable import ease
from ethogram.text.tone import TONES, tones
from ethogram.text.tone_words import CATEGORIES


def row(text):
    return dict(zip(TONES, tones([text])[0], strict=True))


def test_shares_are_of_all_words():
    found = row("You stupid idiot, this is a truly good edit.")  # nine words
    assert found["swear"] == pytest.approx(1 / 9)
    assert found["opinion"] == pytest.approx(1 / 9)
    assert found["subjective"] == pytest.approx(3 / 9)  # stupid, truly, good
    assert found["sentiment"] == 0.0
    assert found["other"] == pytest.approx(1 / 9)


def test_readability_is_that_of_single_texts():
    texts = ["The cat sat on the mat.", "Reading is easy. Writing a table takes longer!", "one word more"]
    np.testing.assert_allclose(tones(texts)[:, TONES.index("ease")], [ease(t) for t in texts])


def test_texts_without_words_have_no_tone():
    found = tones(["", "!!", "word"])
    assert np.isnan(found[:2]).all()
    assert np.isfinite(found[2]).all()


def test_words_stand_as_they_are_split():
    assert all(w == w.lower() and w.isalpha() for words in CATEGORIES.values() for w in words)
