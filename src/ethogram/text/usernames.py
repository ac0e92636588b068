"""How alike are two usernames? By letters, by pieces, by tokens, and as a hand would hide it on a keyboard.

For names a, b as code points after NFKC and case folding:

    levenshtein   1 - d(a, b) / max(|a|, |b|)     d: fewest insertions, deletions, substitutions
    keyboard      the same on names read plain; to hit a neighbouring key of a QWERTY keyboard costs 1/2
    grams         |A ∩ B| / |A ∪ B|               character n-grams of the plain names, with ends marked
    tokens        |A ∩ B| / |A ∪ B|               words of a name: "R.K Nehal_Sharma2" has r, k, nehal, sharma

Plain reads leetspeak as letters (0 o, 1 i, 3 e, 4 a, 5 s, 7 t, 8 b, @ a, $ s, ! i) and leaves out what is neither
letter nor digit; digits at the end are a number, not letters, and stay. Two empty names are alike (1).

Levenshtein: Binary codes capable of correcting deletions, insertions, and reversals (Soviet Physics Doklady, 1966).
"""

# mypy: allow-untyped-decorators

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from ethogram.errors import OptionError
from ethogram.text.words import as_column

LEET = str.maketrans("0134578@$!", "oieastbasi")
ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
TRAITS = ("length", "digits", "capitals", "signs", "words")
_TAIL = re.compile(r"\d+$")
_WORDS = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Points(NamedTuple):
    """Names as code points: name i is ``codes[offsets[i]:offsets[i + 1]]``, int32."""

    offsets: np.ndarray
    codes: np.ndarray


def folded(name: str) -> str:
    """A name without the differences that nobody sees: NFKC, case folded."""
    return unicodedata.normalize("NFKC", name).casefold()


def plain(name: str) -> str:
    """A name with leetspeak read as letters and signs left out.

    >>> [plain(n) for n in ("Tr0ll_K1ng", "N3hal Sh@rma99", "2021")]
    ['trollking', 'nehalsharma99', '2021']
    """
    flat = folded(name)
    tail = _TAIL.search(flat)
    end = tail.start() if tail else len(flat)
    return "".join(c for c in flat[:end].translate(LEET) if c.isalnum()) + flat[end:]


def tokens(name: str) -> list[str]:
    """The words of a name, split at signs, digits and capitals.

    >>> tokens("TheGreek_NewYorker7")
    ['the', 'greek', 'new', 'yorker']
    """
    return [folded(w) for w in _WORDS.findall(_CAMEL.sub(" ", unicodedata.normalize("NFKC", name)).replace("_", " "))]


def traits(names: Sequence[str]) -> np.ndarray:
    """What a name looks like, float64[n, 5] in the order of `TRAITS`.

    Characters; shares of digits, of capitals and of signs (neither letter nor digit); words.
    """
    as_column(names)
    rows = [
        (len(n), *(sum(map(test, n)) / max(len(n), 1) for test in (str.isdigit, str.isupper, _is_sign)), len(tokens(n)))
        for n in names
    ]
    return np.array(rows, np.float64).reshape(len(names), len(TRAITS))


def points(names: Sequence[str]) -> Points:
    """Names as code points."""
    as_column(names)
    offsets = np.concatenate([[0], np.cumsum([len(n) for n in names], dtype=np.int64)]).astype(np.int64)
    codes = np.frombuffer("".join(names).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int32)
    return Points(offsets, codes)


def levenshtein(one: Sequence[str], other: Sequence[str]) -> np.ndarray:
    """Similarity of each pair, folded, float64[n] in [0, 1].

    >>> levenshtein(["Gfstudent21", "kitten"], ["gfstudent2", "sitting"]).round(3).tolist()
    [0.909, 0.571]
    """
    return _similar(one, other, folded, 1.0)


def keyboard(one: Sequence[str], other: Sequence[str]) -> np.ndarray:
    """Similarity of the plain names of each pair, neighbouring keys at half the price, float64[n] in [0, 1].

    >>> keyboard(["Tr0ll", "hello"], ["troll", "jello"]).round(3).tolist()
    [1.0, 0.9]
    """
    return _similar(one, other, plain, 0.5)


def grams(names: Sequence[str], n: int = 3) -> list[frozenset[str]]:
    """Character n-grams of the plain names, with ``^`` and ``$`` at their ends.

    Raises
    ------
    OptionError
        n is below 1.
    """
    if n < 1:
        raise OptionError(f"grams: n = {n}; give 1 or more.")
    as_column(names)
    made = []
    for name in names:
        flat = f"^{plain(name)}$"
        made.append(frozenset(flat[i : i + n] for i in range(max(1, len(flat) - n + 1))))
    return made


def jaccard(one: Sequence[Any], other: Sequence[Any]) -> np.ndarray:
    """|A ∩ B| / |A ∪ B| of each pair of collections, float64[n]; 0 where both are empty (they have nothing in common).

    >>> jaccard([tokens("Punk1")], [tokens("Punk25")]).tolist()
    [1.0]
    """
    if len(one) != len(other):
        raise OptionError(f"{len(one)} names and {len(other)} others: give as many of each.")
    found = np.zeros(len(one))
    for i, (a, b) in enumerate(zip(one, other, strict=True)):
        a, b = set(a), set(b)
        both = len(a & b)
        found[i] = both / (len(a) + len(b) - both) if a or b else 0.0
    return found


def _similar(one: Sequence[str], other: Sequence[str], read: Callable[[str], str], near: float) -> np.ndarray:
    if len(one) != len(other):
        raise OptionError(f"{len(one)} names and {len(other)} others: give as many of each.")
    made = {n: read(n) for n in {*one, *other}}  # a name stands in many pairs
    a, b = (points([made[n] for n in names]) for names in (one, other))
    found: np.ndarray = _distances(a.offsets, a.codes, b.offsets, b.codes, _NEIGHBOURS, near)
    longest = np.maximum(np.diff(a.offsets), np.diff(b.offsets))
    return np.asarray(np.where(longest > 0, 1 - found / np.maximum(longest, 1), 1.0))


def _is_sign(c: str) -> bool:
    return not c.isalnum()


def _neighbours() -> np.ndarray:
    """bool[128, 128]: two keys touch on a QWERTY keyboard, whose rows are each shifted by half a key."""
    at = {k: (column + row / 2, row) for row, keys in enumerate(ROWS) for column, k in enumerate(keys)}
    made = np.zeros((128, 128), np.bool_)
    for a, (x, y) in at.items():
        for b, (u, v) in at.items():
            made[ord(a), ord(b)] = a != b and abs(x - u) <= 1 and abs(y - v) <= 1
    return made


_NEIGHBOURS = _neighbours()


@njit(cache=True, nogil=True)
def _distances(
    a_offsets: np.ndarray, a: np.ndarray, b_offsets: np.ndarray, b: np.ndarray, neighbours: np.ndarray, near: float
) -> np.ndarray:
    pairs = len(a_offsets) - 1
    found = np.zeros(pairs)
    widest = 0
    for p in range(pairs):
        widest = max(widest, b_offsets[p + 1] - b_offsets[p])
    row = np.zeros(widest + 1)
    for p in range(pairs):
        first, second = a_offsets[p], b_offsets[p]
        m = b_offsets[p + 1] - second
        for j in range(m + 1):
            row[j] = j
        for i in range(a_offsets[p + 1] - first):
            x = a[first + i]
            corner = row[0]
            row[0] = i + 1
            for j in range(m):
                y = b[second + j]
                cost = 1.0
                if x == y:
                    cost = 0.0
                elif x < 128 and y < 128 and neighbours[x, y]:
                    cost = near
                best = min(corner + cost, row[j] + 1, row[j + 1] + 1)
                corner = row[j + 1]
                row[j + 1] = best
        found[p] = row[m]
    return found
