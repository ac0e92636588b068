"""A scene from the files that were published with the paper: films in words, invented people, and how they are related.

    items      id, title, genre ("Comedy|Romance"), description
    users      id, name, gender, age, traits, status, interest ("sci-fi movies, comedies"), feature
    relations  user_1, user_2, relationship, closeness

These people never chose anything, so tastes are what they say they like: a genre named in `interest` adds `strength` to
the utility of its films (shared among the genres that a person names), and nothing else counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv

from ethogram.errors import RolesError, SourceError
from ethogram.numeric.graphs import Graph
from ethogram.simulate.recagent.scene import Scene
from ethogram.simulate.recagent.taste import Choices, Taste

SAID = {
    "sci-fi": "Sci-Fi", "science": "Sci-Fi", "famil": "Children's", "kid": "Children's", "cartoon": "Animation",
    "romantic": "Romance", "comed": "Comedy", "classic": "Drama", "noir": "Film-Noir", "scary": "Horror",
    "histor": "War", "music": "Musical", "detective": "Mystery", "documentar": "Documentary",
}  # fmt: skip
"""Words of an interest -> genre, beside the genres' own names."""


def published(
    users: str | Path, items: str | Path, relations: str | Path, *, closeness: float = 0.0, strength: float = 3.0
) -> Scene:  # fmt: skip
    """See the module.

    Parameters
    ----------
    closeness : relations below it are no friendship.

    Raises
    ------
    SourceError
        A file cannot be read. RolesError: a column lacks, or a relation names somebody who is not there.
    """
    film = _read(items, "id", "title", "genre", "description")
    person = _read(users, "id", "name", "gender", "age", "traits", "status", "interest")
    tie = _read(relations, "user_1", "user_2", "closeness")
    genres = [str(g or "").split("|") for g in film["genre"].to_pylist()]
    kinds = tuple(sorted({g for row in genres for g in row if g}))
    categories = np.array([[k in row for k in kinds] for row in genres], bool).reshape(len(genres), len(kinds))
    told = person.to_pylist()
    likes = np.array([[named(str(r["interest"]), k) for k in kinds] for r in told], float)
    share = likes / np.maximum(np.linalg.norm(likes, axis=1, keepdims=True), 1e-9)
    vector = categories / np.maximum(np.linalg.norm(categories, axis=1, keepdims=True), 1e-9)
    n, m = len(told), len(film)
    place = {int(i): k for k, i in enumerate(person["id"].to_pylist())}
    both = [tie[c].to_numpy() for c in ("user_1", "user_2")]
    if strange := sorted({int(i) for c in both for i in c} - set(place)):
        raise RolesError(f"{relations}: there is no user {strange[0]} in {users}.")
    near = tie["closeness"].to_numpy() >= closeness
    source, target = (np.array([place[int(i)] for i in c[near]], np.int64) for c in both)
    none = np.zeros(0, np.int32)
    taste = Taste(
        (strength * share).astype(np.float32), vector.astype(np.float32), np.zeros(m, np.float32),
        vector.astype(np.float32), 0.0, np.array([0.0, strength, 0.0, 0.0]),
    )  # fmt: skip
    about = tuple(
        f"is {r['age']} years old, a {r['status']}, {r['traits']}; likes {str(r['interest']).strip()}" for r in told
    )
    # two people may have one name
    names = tuple(f"{r['name']} ({r['id']})" for r in told)
    return Scene(
        names, about, tuple(map(str, film["title"].to_pylist())), tuple(map(str, film["description"].to_pylist())),
        kinds, categories, taste, Choices(none, none, n, m), Graph.of(source, target, n),
    )  # fmt: skip


def named(interest: str, kind: str) -> bool:
    """Whether an interest in words names a genre.

    >>> named("sci-fi movies, comedies", "Sci-Fi"), named("sci-fi movies, comedies", "War")
    (True, False)
    """
    low = interest.lower()
    return kind.lower() in low or any(word in low and genre == kind for word, genre in SAID.items())


def _read(path: str | Path, *columns: str) -> pa.Table:
    try:
        table = pv.read_csv(path, parse_options=pv.ParseOptions(newlines_in_values=True))
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path} cannot be read: {error}") from None
    if lacking := [c for c in columns if c not in table.column_names]:
        raise RolesError(f"{path}: the column '{lacking[0]}' lacks; it has {', '.join(table.column_names)}.")
    made: Any = table.select(list(columns))
    return made
