import numpy as np

from ethogram.log import Candidates, Histories, Questions


def test_what_is_printed_fits_on_a_line():
    assert repr(Histories.of([[1, 2], []])) == "Histories(2 questions, 2 past events, 0 of known users)"
    assert repr(Candidates.of([1, 2, 3])) == "Candidates(3 items, the same for all questions)"
    assert repr(Candidates.of([[1, 2], [3, 4]])) == "Candidates(2 x 2 items)"
    assert repr(Candidates.of([[1], [3, 4]])) == "Candidates(3 items in 2 lists)"


def test_questions_tell_their_share_of_positives():
    asked = Questions(Histories.of([[1]]), Candidates.of([[1, 2]]), np.array([1.0, 0.0]), np.ones(2))
    assert repr(asked).endswith("Candidates(1 x 2 items), 50.0% positive)")
