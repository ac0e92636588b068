from __future__ import annotations

import pytest

from ethogram.data.complete_journey.words import title, titles


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            ("SOFT DRINKS", "SFT DRNK 2 LITER BTL CARB INCL", "2 L"),
            "soft drink 2 liter bottle carbonated included, 2 l",
        ),
        (("BEEF", "LEAN", None), "beef - lean"),
        (("EGGS", "EGGS - LARGE", "1 DZ"), "eggs - large, 1 dozen"),
        (("CHEESES", "CHEESE: NATURAL BULK", None), "cheese: natural bulk"),
        (("CAT FOOD", "CANNED CAT FOOD (9 LIVES/FRISK", "5.5 OZ"), "canned cat food, 5.5 oz"),
        (("FRZN ICE", "ICE - CRUSHED/CUBED", "22 LB"), "frozen ice - ice - crushed/cubed, 22 lb"),
        (("YOGURT", None, "6 OZ"), "yogurt, 6 oz"),
    ],
)
def test_shorthand_becomes_words(row, words):
    assert title(*row) == words


def test_a_product_without_description_has_its_department():
    assert title(None, None, None, "MISCELLANEOUS") == "miscellaneous"
    assert title(None, None, None, None) == "unnamed product"


def test_titles_keep_the_order_of_rows():
    rows = [("BEEF", "LEAN", None, "MEAT"), ("EGGS", "EGGS - LARGE", None, "GROCERY")] * 2
    assert titles(rows) == ["beef - lean", "eggs - large"] * 2
