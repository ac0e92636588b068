"""A persona: who somebody is, as data that a program checks and a model reads.

A file of personas is JSON (a list, or one object on each line) or Parquet. Reading checks every field, and refuses a
person who cannot be: the two statements that contradict each other are named.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from ethogram.errors import PersonaError, nearest

TRAITS = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
"""The five factors of personality, on a scale from 1 to 5; a persona has all of them or none."""
_LISTS = ("goals", "attributes", "constraints")
_JSON = ("demographics", "provenance")
SCHEMA = pa.schema(
    [("id", pa.string()), ("demographics", pa.string()), ("traits", pa.map_(pa.string(), pa.float64())),
     ("goals", pa.list_(pa.string())), ("interests", pa.map_(pa.string(), pa.float64())), ("style", pa.string()),
     ("attributes", pa.list_(pa.string())), ("constraints", pa.list_(pa.string())), ("provenance", pa.string())]
)  # fmt: skip
"""Columns of a Parquet file; demographics and provenance hold numbers and texts, so they are JSON texts."""


@dataclass(frozen=True, kw_only=True)
class Persona:
    """One person.

    Attributes
    ----------
    demographics : name, age and whatever is known: texts and numbers.
    traits : the five factors (`TRAITS`), 1 to 5; empty where they are not known.
    goals : what the person wants. interests : topic to weight above 0. style : how the person talks.
    attributes : statements about the person. constraints : what the person never does, or always must.
    provenance : where it comes from: the seed and the generator, or the row of a log.

    Examples
    --------
    >>> ann = Persona(id="ann", demographics={"name": "Ann", "age": 34}, interests={"tea": 2.0, "chess": 1.0})
    >>> ann.name, ann.says()[0]
    ('Ann', 'name: Ann')
    """

    id: str
    demographics: Mapping[str, Any] = field(default_factory=dict)
    traits: Mapping[str, float] = field(default_factory=dict)
    goals: tuple[str, ...] = ()
    interests: Mapping[str, float] = field(default_factory=dict)
    style: str = ""
    attributes: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _LISTS:
            value = getattr(self, name)
            if isinstance(value, str) or not all(isinstance(v, str) for v in value):
                raise PersonaError(f"persona '{self.id}': {name} must be a list of texts.")
            object.__setattr__(self, name, tuple(value))
        _check(self)

    @property
    def name(self) -> str:
        return str(self.demographics.get("name", self.id))

    def says(self) -> list[str]:
        """All that is said of the person, a statement each."""
        told = [f"{k}: {v}" for k, v in self.demographics.items()]
        told += list(self.attributes) + list(self.goals) + list(self.constraints)
        told += [f"interested in {topic}" for topic in self.interests]
        return told + ([f"style: {self.style}"] if self.style else [])

    def text(self) -> str:
        """The person in words, for a prompt or an encoder."""
        who = ", ".join(f"{k} {v}" for k, v in self.demographics.items() if k != "name")
        parts = [f"{self.name}{f' ({who})' if who else ''}."]
        if self.traits:
            parts.append("Personality, 1 to 5: " + ", ".join(f"{t} {self.traits[t]:g}" for t in TRAITS) + ".")
        for title, lines in (("", self.attributes), ("Goals", self.goals), ("Rules", self.constraints)):
            if lines:
                parts.append(f"{title}: {'; '.join(lines)}." if title else "; ".join(lines) + ".")
        if self.interests:
            ordered = sorted(self.interests, key=lambda t: (-self.interests[t], t))
            parts.append(f"Interested in {', '.join(ordered)}.")
        return " ".join([*parts, f"Talks: {self.style}."] if self.style else parts)

    def to_json(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, value: Any, where: str = "persona") -> Self:
        """A persona from an object; a field that does not exist, or is of another kind, is refused."""
        if not isinstance(value, Mapping):
            raise PersonaError(f"{where}: a persona is an object, not {type(value).__name__}.")
        names = [f.name for f in fields(cls)]
        for key in value:
            if key not in names:
                raise PersonaError(f"{where}: unknown field '{key}'.{nearest(key, names)} Fields: {', '.join(names)}.")
        if "id" not in value:
            raise PersonaError(f"{where}: a persona needs an id.")
        given = {k: v for k, v in value.items() if v is not None}
        for name in _LISTS:
            if not isinstance(given.get(name, []), list | tuple):
                raise PersonaError(f"{where}: {name} must be a list of texts, not {type(given[name]).__name__}.")
        try:
            return cls(**given)
        except PersonaError as error:
            raise PersonaError(f"{where}: {error}") from None


def read(path: str | Path, *, contradicting: bool = False) -> list[Persona]:
    """Personas of a JSON, JSON-lines or Parquet file, in its order.

    Parameters
    ----------
    contradicting : take people whose statements contradict each other, too.

    Raises
    ------
    PersonaError
        The file cannot be read, a field is wrong, an id stands twice, or somebody cannot be; the place is named.
    """
    from ethogram.world.people.contradictions import refuse

    path = Path(path)
    made = [Persona.from_json(row, where) for where, row in _rows(path)]
    seen: set[str] = set()
    for persona in made:
        if persona.id in seen:
            raise PersonaError(f"{path}: the id '{persona.id}' stands twice.")
        seen.add(persona.id)
        if not contradicting:
            refuse(persona, str(path))
    return made


def write(personas: Iterable[Persona], path: str | Path) -> Path:
    """Write personas as ``.json``, ``.jsonl`` or ``.parquet``, whole or not at all."""
    path, rows = Path(path), [p.to_json() for p in personas]
    fresh = path.with_name(f".{path.name}.fresh")
    if path.suffix == ".parquet":
        told = [{**r, **{k: json.dumps(r[k], ensure_ascii=False) for k in _JSON}} for r in rows]
        columns = {
            f.name: [list(r[f.name].items()) if pa.types.is_map(f.type) else r[f.name] for r in told] for f in SCHEMA
        }
        pq.write_table(pa.table(columns, schema=SCHEMA), fresh)
    elif path.suffix in (".json", ".jsonl"):
        lines = [json.dumps(r, ensure_ascii=False) for r in rows]
        whole = "\n".join(lines) if path.suffix == ".jsonl" else "[\n" + ",\n".join(lines) + "\n]"
        fresh.write_text(whole + "\n", "utf-8")
    else:
        raise PersonaError(f"{path}: personas are written as .json, .jsonl or .parquet.")
    return fresh.replace(path)


def _rows(path: Path) -> list[tuple[str, Any]]:
    """(where it stands, object) of every persona of a file."""
    if path.suffix not in (".json", ".jsonl", ".parquet"):
        raise PersonaError(f"{path}: personas are read from .json, .jsonl or .parquet.")
    if not path.is_file():
        raise PersonaError(f"there is no file {path}.")
    try:
        if path.suffix == ".parquet":
            return [(f"{path} row {i}", _plain(row)) for i, row in enumerate(pq.read_table(path).to_pylist(), 1)]
        text = path.read_text("utf-8")
        if path.suffix == ".jsonl":
            lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
            return [(f"{path} line {i}", json.loads(line)) for i, line in lines]
        told = json.loads(text)
    except (ValueError, OSError, pa.ArrowException) as error:
        raise PersonaError(f"{path} cannot be read as personas: {error}") from None
    if not isinstance(told, list):
        raise PersonaError(f"{path}: a .json file holds a list of personas, not {type(told).__name__}.")
    return [(f"{path} number {i}", row) for i, row in enumerate(told, 1)]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    for key in _JSON:
        if isinstance(row.get(key), str):
            row[key] = json.loads(row[key])
    for key in ("traits", "interests"):
        if isinstance(row.get(key), Sequence):
            row[key] = dict(row[key])
    return row


def _check(persona: Persona) -> None:
    where = f"persona '{persona.id}'"
    if not isinstance(persona.id, str) or not persona.id.strip():
        raise PersonaError(f"{where}: the id must be a text that is not empty.")
    for name in ("demographics", "traits", "interests", "provenance"):
        if not isinstance(getattr(persona, name), Mapping):
            raise PersonaError(f"{where}: {name} must be an object of names and values.")
    if not isinstance(persona.style, str):
        raise PersonaError(f"{where}: style must be a text.")
    for key, value in persona.demographics.items():
        if not isinstance(value, str | int | float | bool):
            raise PersonaError(f"{where}: demographics.{key} must be a text or a number.")
    if persona.traits and set(persona.traits) != set(TRAITS):
        raise PersonaError(f"{where}: traits are none, or all of {', '.join(TRAITS)}.")
    for key, value in persona.traits.items():
        if not _number(value) or not 1 <= value <= 5:
            raise PersonaError(f"{where}: traits.{key} = {value!r} is not a number from 1 to 5.")
    for key, value in persona.interests.items():
        if not _number(value) or not 0 < value < float("inf"):
            raise PersonaError(f"{where}: interests.{key} = {value!r} is not a weight above 0.")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
