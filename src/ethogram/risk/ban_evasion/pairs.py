"""What a pair (banned account, new account) is like: differences, similarities, and what the new account is itself.

    |difference|   of every attribute that both have; not of the age, which ends where somebody found it out
    similarity     names (Levenshtein, keyboard, grams, tokens), pages (Jaccard, shared weight, share of the new
                   account's pages), titles, words added, words deleted, comments (cosine), vocabulary (Jaccard), hours
    own            attributes of the new account, again without its age

The time between ban and creation is not among them: controls are matched on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.risk.ban_evasion.edits import FIELDS
from ethogram.risk.ban_evasion.profiles import ATTRIBUTES, CLOCK, FAMILY, Idf, Profiles
from ethogram.text.usernames import keyboard, levenshtein

HIDDEN = ("age",)
SEEN = tuple(n for n in ATTRIBUTES if n not in HIDDEN)
_AT = [ATTRIBUTES.index(n) for n in SEEN]
_CLOCK = [ATTRIBUTES.index(n) for n in CLOCK]
SIMILARITIES: dict[str, str] = {
    "same name": "username", "same keys": "username", "same grams": "username", "same name words": "username",
    "same pages": "edit", "shared pages": "edit", "on old pages": "edit", "same titles": "edit",
    "same added": "language", "same deleted": "language", "same comments": "language", "same vocabulary": "language",
    "same hours": "temporal",
}  # fmt: skip
"""Similarity -> its family."""
AXIS = {
    **{n: "username" for n, f in SIMILARITIES.items() if f == "username"},
    **{n: "pages" for n, f in SIMILARITIES.items() if f in ("edit", "temporal")},
    **{n: "added content" for n, f in SIMILARITIES.items() if f == "language"},
}
COLUMNS = (*SIMILARITIES, *(f"difference: {n}" for n in SEEN), *(f"new: {n}" for n in SEEN))
COLUMN_FAMILY = (*SIMILARITIES.values(), *(FAMILY[n] for n in SEEN), *(FAMILY[n] for n in SEEN))


def family_columns(families: tuple[str, ...]) -> list[int]:
    """Places of the columns of some families."""
    return [i for i, f in enumerate(COLUMN_FAMILY) if f in families]


def pair_columns(old: Profiles, new: Profiles, i: np.ndarray, j: np.ndarray, idf: Idf) -> np.ndarray:
    """Columns of pairs (row i of `old`, row j of `new`), float64[m, len(COLUMNS)]."""
    own = new.numbers[j][:, _AT]
    gap = np.abs(old.numbers[i][:, _AT] - own)
    return np.column_stack([similarities(old, new, i, j, idf), gap, own])


def similarities(old: Profiles, new: Profiles, i: np.ndarray, j: np.ndarray, idf: Idf) -> np.ndarray:
    """The similarities of pairs in the order of `SIMILARITIES`; NaN where one side has nothing to compare."""
    one, other = [old.names[k] for k in i.tolist()], [new.names[k] for k in j.tolist()]
    pages = old.pages[i], new.pages[j]
    both, left, right = _overlap(*pages)
    weighted = np.asarray(pages[0].multiply(pages[1]).dot(idf.weights["pages"])).ravel()
    with np.errstate(invalid="ignore", divide="ignore"):
        made = {
            "same name": levenshtein(one, other), "same keys": keyboard(one, other),
            "same grams": _jaccard(old.grams[i], new.grams[j]),
            "same name words": _jaccard(old.tokens[i], new.tokens[j]),
            "same pages": both / (left + right - both), "shared pages": np.log1p(weighted),
            "on old pages": both / right,
            **{name: _cosine(old.vectors[f][i], new.vectors[f][j]) for name, f in zip(
                ("same titles", "same added", "same deleted", "same comments"), FIELDS, strict=True)},
            "same vocabulary": _jaccard(old.vectors["added"][i].sign(), new.vectors["added"][j].sign()),
            "same hours": _same_hours(old.numbers[i][:, _CLOCK], new.numbers[j][:, _CLOCK]),
        }  # fmt: skip
    return np.column_stack([made[n] for n in SIMILARITIES])


def _overlap(a: Any, b: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    both = np.asarray(a.multiply(b).sum(1)).ravel()
    return both, np.diff(a.indptr).astype(np.float64), np.diff(b.indptr).astype(np.float64)


def _jaccard(a: Any, b: Any) -> np.ndarray:
    both, left, right = _overlap(a, b)
    with np.errstate(invalid="ignore", divide="ignore"):
        return both / (left + right - both)


def _cosine(a: Any, b: Any) -> np.ndarray:
    made = np.asarray(a.multiply(b).sum(1)).ravel()
    return np.where((np.diff(a.indptr) > 0) & (np.diff(b.indptr) > 0), made, np.nan)


def _same_hours(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Overlap of two people's days: sum of the smaller shares."""
    return np.minimum(a, b).sum(1)
