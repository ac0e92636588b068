"""The table of texts that many share."""

import numpy as np

from ethogram.text.table import TextTable


def test_a_question_has_one_vector_whether_it_is_held_or_not():
    held, strange = TextTable(), TextTable()
    held.add(["tea", "milk"])
    strange.add(["milk"])
    np.testing.assert_array_equal(held.encode(["tea"]), strange.encode(["tea"]))
