"""ADS-16, from a copy that you are licensed to use: 120 people with Big-Five personality rate 300 adverts.

The release agreement forbids redistribution, so nothing of it is packaged. Its folders are read as they are unpacked
(the two parts may lie side by side or inside each other):

    .../Corpus/U0001/U0001-B5.csv      Answer: ten answers of the BFI-10, -2 ... 2
    .../Corpus/U0001/U0001-INF.csv     Gender; Age; Income; ... one row
    .../Corpus/U0001/U0001-PREF.csv    favourite websites; music; films; TV programmes; books: lists
    .../Corpus/U0001/U0001-RT.csv      Cat0 ... Cat19: lists of ratings 1 ... 5

Two files are yours to add beside them: ``formats.csv`` (item;format) says which adverts are rich media, image or text,
which the folders do not; ``pictures.csv`` (user;polarity;v0;v1 ...) has a vector for each personal picture, from an
encoder of yours, polarity being liked or disliked. Pictures themselves are never opened.

Reference: G. Roffo, A. Vinciarelli: Personality in Computational Advertising: A Benchmark. EMPIRE at RecSys 2016.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.data.big_five import TRAITS, score_bfi10
from ethogram.data.files import roots
from ethogram.data.registry import Reading, data_set
from ethogram.errors import MissingData, OptionError, SourceError, nearest

FOLDER = "ads16"
PERSON = re.compile(r"U\d{4}")
LISTS = ("websites", "music", "movies", "tv", "books")
"""Columns of PREF, in their order."""
LOWEST, HIGHEST = 1, 5


@data_set(
    "ads16",
    what="ratings (1 to 5) of 300 adverts by 120 people with Big-Five personality; your own licensed copy",
    licence="ADS-16 release agreement: research only, no redistribution; not packaged",
    origin="G. Roffo, A. Vinciarelli, University of Glasgow 2016",
    get="sign the agreement, unpack both parts into the folder ads16/ of the folder that ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class ADS16:
    """Every rating is both behaviour and question: label 1 for `liked` stars or more, value = the stars.

    Items: category, format (where formats.csv tells). Users: the five traits (-4 ... 4), age, gender, income, and 1 or
    0 for each favourite that at least `common` people state. In which order people rated is in no file: the role
    `order` is drawn at random (`shuffle`), so that a model may read the ratings that stand before as known.
    """

    liked: int = 4
    "Stars from which a rating counts as a click."
    common: int = 5
    "People who must state a favourite for it to become a column."
    shuffle: int = 0
    "Seed of the order in which each person's ratings stand."

    def __post_init__(self) -> None:
        if not 2 <= self.liked <= HIGHEST or self.common < 1:
            raise OptionError(f"ads16: liked = {self.liked}, common = {self.common}; give 2 to 5, and 1 or more.")

    def files(self) -> tuple[Path, ...]:
        found = [path for folder in self._folders() for path in sorted(folder.iterdir()) if path.suffix == ".csv"]
        beside = [self._root() / name for name in ("formats.csv", "pictures.csv")]
        return (*found, *(p for p in beside if p.is_file()))

    def _root(self) -> Path:
        for root in roots():
            if (root / FOLDER).is_dir():
                return root / FOLDER
        raise MissingData(
            f"data set 'ads16' is not here: no folder {FOLDER}/ in {' or '.join(map(str, roots()))}. It may not be "
            "passed on: sign its release agreement, unpack it there, and set ETHOGRAM_DATA to the folder above."
        )

    def _folders(self) -> list[Path]:
        found = {p.parent.name: p.parent for p in sorted(self._root().rglob("U????-RT.csv"))}
        kept = [found[name] for name in sorted(found) if PERSON.fullmatch(name)]
        if not kept:
            raise MissingData(
                f"data set 'ads16': {self._root()} holds no .../U0001/U0001-RT.csv; unpack the Corpus there."
            )
        return kept

    def read(self) -> Reading:
        rows: list[tuple[str, str, float]] = []
        people: list[dict[str, Any]] = []
        for folder in self._folders():
            rows += _ratings(folder / f"{folder.name}-RT.csv")
            people.append(
                {"user": folder.name, **_traits(folder), **_facts(folder), "_favourites": _favourites(folder)}
            )
        user, item, value = zip(*((folder, item, stars) for folder, item, stars in rows), strict=True)
        stars = np.array(value, np.float32)
        order = np.random.default_rng(self.shuffle).permutation(len(stars))
        events = pa.table(
            {
                "user": user,
                "item": item,
                "order": order,
                "value": stars,
                "label": (stars >= self.liked).astype(np.float32),
            }
        )
        names = sorted(set(item), key=lambda n: tuple(map(int, re.findall(r"\d+", n))))
        adverts: dict[str, Any] = {"item": names, "category": [n.split("_")[0] for n in names]}
        if (told := _beside(self._root() / "formats.csv", ("item", "format"))) is not None:
            known = {row["item"]: row["format"] for row in told}
            adverts["format"] = [known.get(n) for n in names]
        roles = {name: name for name in events.column_names}
        return Reading(events, roles, pa.table(adverts), self._table(people))

    def _table(self, people: list[dict[str, Any]]) -> pa.Table:
        said: dict[str, int] = {}
        for one in people:
            for name in one["_favourites"]:
                said[name] = said.get(name, 0) + 1
        kept = sorted(name for name, count in said.items() if count >= self.common)
        columns = {n: [p[n] for p in people] for n in ("user", *TRAITS, "age", "gender", "income")}
        for name in kept:
            columns[f"favourite_{name}"] = [float(name in p["_favourites"]) for p in people]
        return pa.table({**columns, **_pictures(self._root() / "pictures.csv", columns["user"])})


def _rows(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            return [row for row in csv.reader(file, delimiter=";") if any(c.strip() for c in row)]
    except OSError as error:
        raise SourceError(f"ads16: {path.name} cannot be read ({error.strerror}).") from None


def _ratings(path: Path) -> Iterator[tuple[str, str, float]]:
    table = _rows(path)
    # a row of words may stand between the header and the ratings
    lists = next((row for row in table[1:] if all(re.fullmatch(r"\s*\d+(\s*,\s*\d+)*\s*", c) for c in row if c)), None)
    if not table or lists is None:
        raise SourceError(f"ads16: {path.name} has no row of ratings (lists of numbers under Cat0; Cat1; ...).")
    for name, text in zip((c.strip() for c in table[0]), lists, strict=False):
        if not name:
            continue
        if not re.fullmatch(r"Cat\d+", name):
            raise SourceError(f"ads16: {path.name} has a column '{name}'; they are called Cat0, Cat1, ...")
        for place, told in enumerate(text.split(","), 1):
            stars = float(told)
            if not LOWEST <= stars <= HIGHEST:
                raise SourceError(f"ads16: {path.name}: rating {told.strip()} of {name}_{place} is not 1 to 5.")
            yield path.parent.name, f"{name}_{place}", stars


def _traits(folder: Path) -> dict[str, float]:
    path = folder / f"{folder.name}-B5.csv"
    table = _rows(path)
    head = [c.strip() for c in table[0]] if table else []
    at = head.index("Answer") if "Answer" in head else -1
    try:
        told = [float(row[at]) for row in table[1:]]
        found = score_bfi10([told])[0]
    except (ValueError, IndexError, OptionError) as error:
        raise SourceError(f"ads16: {path.name} has no ten answers from -2 to 2 ({error}).") from None
    return dict(zip(TRAITS, found.tolist(), strict=True))


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / f"{folder.name}-INF.csv"
    table = _rows(path)
    if len(table) < 2:
        raise SourceError(f"ads16: {path.name} has no row of facts about the person.")
    told = {name.strip(): value.strip() for name, value in zip(table[0], table[1], strict=False)}
    for name in ("Gender", "Age", "Income"):
        if name not in told:
            raise SourceError(f"ads16: {path.name} has no column '{name}'.{nearest(name, told)}")
    return {"gender": told["Gender"] or None, "age": _number(told["Age"]), "income": _number(told["Income"])}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _favourites(folder: Path) -> set[str]:
    path = folder / f"{folder.name}-PREF.csv"
    if not path.is_file():
        return set()
    table = _rows(path)
    found: set[str] = set()
    for kind, text in zip(LISTS, table[1] if len(table) > 1 else [], strict=False):
        plain = re.sub(r"\([^)]*\)", "", text)  # examples stand in brackets, with commas of their own
        words = (re.sub(r"[^a-z0-9]+", "_", w.lower()).strip("_") for w in plain.replace("&amp;", "").split(","))
        found |= {f"{kind}_{w}" for w in words if w}
    return found


def _beside(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]] | None:
    if not path.is_file():
        return None
    table = _rows(path)
    head = [c.strip() for c in table[0]] if table else []
    for name in needed:
        if name not in head:
            raise SourceError(f"ads16: {path.name} has no column '{name}'.{nearest(name, head)}")
    return [dict(zip(head, (c.strip() for c in row), strict=False)) for row in table[1:]]


def _pictures(path: Path, people: list[str]) -> dict[str, list[float | None]]:
    """Mean vector of each person's liked and disliked pictures, column by column; null where there are none."""
    told = _beside(path, ("user", "polarity"))
    if told is None:
        return {}
    names = [n for n in (told[0] if told else {}) if n not in ("user", "polarity")]
    made: dict[str, list[float | None]] = {}
    for polarity in ("liked", "disliked"):
        held: dict[str, list[list[float]]] = {}
        for row, one in enumerate(told, 2):
            if one["polarity"] not in ("liked", "disliked"):
                raise SourceError(
                    f"ads16: {path.name} line {row}: polarity '{one['polarity']}' is neither liked nor disliked."
                )
            if one["polarity"] == polarity:
                try:
                    held.setdefault(one["user"], []).append([float(one[n]) for n in names])
                except (ValueError, KeyError):
                    raise SourceError(f"ads16: {path.name} line {row}: not {len(names)} numbers.") from None
        means = {user: np.mean(vectors, 0) for user, vectors in held.items()}
        for j in range(len(names)):
            made[f"{polarity}_{j}"] = [float(means[u][j]) if u in means else None for u in people]
    return made
