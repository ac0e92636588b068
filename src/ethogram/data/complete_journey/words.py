"""Readable titles for the products of The Complete Journey, whose descriptions are till-receipt shorthand."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS = {
    **{"frzn": "frozen", "frz": "frozen", "refrgratd": "refrigerated", "drnk": "drink", "drnks": "drinks"},
    **{"drnking": "drinking", "drnkng": "drinking", "sft": "soft", "btl": "bottle", "carb": "carbonated"},
    **{"incl": "included", "sngl": "single", "sgl": "single", "srv": "serve", "pk": "pack", "pkg": "package"},
    **{"pkgd": "packaged", "dnrs": "dinners", "dnr": "dinner", "bkd": "baked", "dsh": "dish", "bn": "bean"},
    **{"flvrd": "flavored", "flvr": "flavor", "flav": "flavor", "brkfst": "breakfast", "whlsm": "wholesome"},
    **{"sald": "salad", "drsng": "dressing", "sndwch": "sandwich", "sprd": "spread", "wtr": "water"},
    **{"crbntd": "carbonated", "mxs": "mixes", "mx": "mix", "mixs": "mixes", "pwdr": "powder"},
    **{"pwdrs": "powders", "crystl": "crystals", "btr": "butter", "pnt": "peanut", "sply": "supply"},
    **{"gds": "goods", "gdy": "goods", "veg": "vegetable", "sherbts": "sherbets", "trsh": "trash", "bg": "bag"},
    **{"bgs": "bags", "tiss": "tissue", "pkld": "pickled", "pickld": "pickled", "mlt": "malt", "crmd": "creamed"},
    **{"tort": "tortilla", "choc": "chocolate", "conc": "concentrate", "catfd": "cat food", "dogfd": "dog food"},
    **{"brd": "bread", "mnrl": "mineral", "grnd": "ground", "plstc": "plastic", "mlk": "milk", "pnch": "punch"},
    **{"prem": "premium", "chix": "chicken", "rts": "ready to serve", "misc": "other", "syrp": "syrup"},
    **{"hygn": "hygiene", "xpctrnt": "expectorant", "snks": "snacks", "ckys": "cookies", "crkr": "cracker"},
    **{"cndy": "candy", "cran": "cranberry", "swt": "sweet", "wt": "weight", "pt": "pint", "whl": "whole"},
}
_UNITS = {
    **{"oz": "oz", "lb": "lb", "ct": "count", "l": "l", "lt": "l", "ltr": "l", "ga": "gallon", "gal": "gallon"},
    **{"dz": "dozen", "pt": "pint", "qt": "quart", "pk": "pack", "ml": "ml", "in": "inch", "sq": "sq", "ft": "ft"},
}


def title(category: str | None, kind: str | None, size: str | None, department: str | None = None) -> str:
    """Words for a product: category, type unless it only repeats it, size.

    >>> title("SOFT DRINKS", "SOFT DRINKS 12/18&15PK CAN CAR", "12 OZ")
    'soft drinks 12/18&15 pack can car, 12 oz'
    >>> title("BEEF", "LEAN", None)
    'beef - lean'
    >>> title(None, None, "32 OZ", "MISCELLANEOUS")
    'miscellaneous, 32 oz'
    """
    parts = [p for p in (_plain(category), _plain(kind)) if p] or [_plain(department) or "unnamed product"]
    if len(parts) == 2 and set(_stems(parts[0])) <= set(_stems(parts[1])):
        parts = parts[1:]
    words = " - ".join(parts)
    measure = _size(size)
    return f"{words}, {measure}" if measure else words


def titles(rows: Iterable[tuple[str | None, str | None, str | None, str | None]]) -> list[str]:
    """Titles of (category, type, size, department) rows; equal rows are worded once."""
    known: dict[tuple[str | None, ...], str] = {}
    told = []
    for row in rows:
        if row not in known:
            known[row] = title(*row)
        told.append(known[row])
    return told


def _plain(text: str | None) -> str:
    if not text or text.strip().lower() in ("unknown", "no subcommodity description", "no commodity description"):
        return ""
    text = re.sub(r"(?<=\d)pk\b", " pack", text.lower())
    text = re.sub(r"\([^)]*$", "", text)  # a bracket that the shorthand cut off
    text = re.sub(r"[a-z]+", lambda m: _WORDS.get(m[0], m[0]), text)
    text = re.sub(r"\s*:\s*", ": ", text)
    return re.sub(r"\s+", " ", text).strip(" -/:,&")


def _stems(text: str) -> list[str]:
    return [w.removesuffix("s") for w in re.findall(r"[a-z]+", text)]


def _size(text: str | None) -> str:
    if not text:
        return ""
    text = re.sub(r"[a-z]+", lambda m: _UNITS.get(m[0], m[0]), text.strip().lower())
    return re.sub(r"\s+", " ", text).strip(" -/")
