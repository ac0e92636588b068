"""log.toml: what a stored log consists of. Read by any TOML reader; replaced whole, never edited."""

from __future__ import annotations

import base64
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from ethogram.errors import LogFormatError
from ethogram.log.journal import Member
from ethogram.log.roles import ROLES, Roles

NAME = "log.toml"
FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """The content of log.toml (see docs/log-format.md).

    Attributes
    ----------
    events, next_event : number of events; the id that the next one without an id gets.
    generation : which arrays belong to this state.
    schema : columns of the blocks, in order.
    coded : name -> number of ids, for each column with a vocabulary.
    members : role in the log ("block", "vocabulary", "array", "table", "quarantine") -> its files.
    rows : path -> rows, for members that are tables.
    payload : kind -> key -> type of what the payloads hold.
    tz : zone of times without one, or the column that names it.
    """

    roles: Roles
    fingerprint: str
    events: int
    next_event: int
    generation: int
    schema: Mapping[str, pa.DataType]
    coded: Mapping[str, int]
    members: Mapping[str, tuple[Member, ...]]
    rows: Mapping[str, int]
    quarantined: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    payload: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tz: str | None = None

    def paths(self) -> set[str]:
        """Every file that belongs to this state."""
        return {m.path for members in self.members.values() for m in members}

    def text(self) -> str:
        """As TOML."""
        from ethogram import __version__

        schema = pa.schema(list(self.schema.items())).serialize().to_pybytes()
        lines = [
            "# A behaviour log of Ethogram; the format is described in docs/log-format.md of the project.",
            _line("format", FORMAT),
            _line("written_by", f"ethogram {__version__}"),
            _line("fingerprint", self.fingerprint),
            _line("events", self.events),
            _line("next_event", self.next_event),
            _line("generation", self.generation),
            _line("repeated", self.repeated),
            _line("arrow_schema", base64.b64encode(schema).decode()),
            *([_line("tz", self.tz)] if self.tz else []),
            "",
            "[roles]",
            *(_line(role, column) for role, column in self.roles.named().items()),
            f"extra = [{', '.join(map(_quoted, self.roles.extra))}]",
            "",
            "[quarantined]",
            *(_line(_quoted(reason), n) for reason, n in self.quarantined.items()),
        ]
        for of, keys in self.payload.items():
            lines += ["", f"[payload.{_quoted(of)}]", *(_line(_quoted(key), types) for key, types in keys.items())]
        for name, kind in self.schema.items():
            lines += ["", "[[column]]", _line("name", name), _line("type", str(kind))]
            if name in self.coded:
                lines.append(_line("ids", self.coded[name]))
        for role, members in self.members.items():
            for m in members:
                lines += ["", f"[[{role}]]", _line("path", m.path), _line("bytes", m.bytes), _line("blake2b", m.hash)]
                if m.path in self.rows:
                    lines.append(_line("rows", self.rows[m.path]))
        return "\n".join(lines) + "\n"


ROLES_OF_MEMBERS = ("block", "vocabulary", "array", "table", "quarantine")


def read(path: Path) -> Manifest:
    """Read log.toml of the log at `path` and check that its files are there in full length.

    Raises
    ------
    LogFormatError
        There is none, it is damaged, was written by a newer version, or a file is missing or truncated.
    """
    file = path / NAME
    if not file.is_file():
        raise LogFormatError(f"{path}: not a log: there is no {NAME} in it.")
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
        if found["format"] > FORMAT:
            raise LogFormatError(
                f"{path}: written by a newer version ({found.get('written_by', 'unknown')}, format {found['format']}); "
                f"this one reads formats up to {FORMAT}. Upgrade ethogram."
            )
        manifest = _manifest(found)
    except (KeyError, TypeError, ValueError, AttributeError, OSError, pa.ArrowException) as e:
        raise LogFormatError(f"{file}: damaged ({type(e).__name__}: {str(e)[:120]}).") from e
    for members in manifest.members.values():
        for m in members:
            _check(path, m)
    return manifest


def _check(path: Path, m: Member) -> None:
    try:
        size = (path / m.path).stat().st_size
    except OSError:
        raise LogFormatError(f"{path}: the file {m.path} is missing.") from None
    if size != m.bytes:
        raise LogFormatError(f"{path}: the file {m.path} has {size:,} bytes where {m.bytes:,} were written.")


def _manifest(found: dict[str, Any]) -> Manifest:
    schema = pa.ipc.read_schema(pa.BufferReader(base64.b64decode(found["arrow_schema"])))
    given = found["roles"]
    rows: dict[str, int] = {}
    members = {}
    for role in ROLES_OF_MEMBERS:
        members[role] = tuple(Member(m["path"], m["bytes"], m["blake2b"]) for m in found.get(role, ()))
        rows.update({m["path"]: m["rows"] for m in found.get(role, ()) if "rows" in m})
    return Manifest(
        roles=Roles(**{r: given[r] for r in ROLES if r in given}, extra=tuple(given["extra"])),
        fingerprint=found["fingerprint"],
        events=found["events"],
        next_event=found["next_event"],
        generation=found["generation"],
        schema={f.name: f.type for f in schema},
        coded={c["name"]: c["ids"] for c in found["column"] if "ids" in c},
        members=members,
        rows=rows,
        quarantined=dict(found.get("quarantined", {})),
        repeated=found["repeated"],
        payload=dict(found.get("payload", {})),
        tz=found.get("tz"),
    )


def _quoted(text: str) -> str:
    # a JSON string is a TOML string, but for DEL
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _line(name: str, value: str | int) -> str:
    return f"{name} = {_quoted(value) if isinstance(value, str) else value}"
