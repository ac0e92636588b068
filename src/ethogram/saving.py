"""Fitted systems on disk: a folder of plain files, each with its checksum; never a pickle.

    model/
      state.json            format, key, options, the state's json, sha256 of every member and of itself
      arrays.safetensors    State.arrays
      <table>.parquet       State.tables, one file each
      parts/<name>/         State.parts, each a folder like this one
      options/<name>/       options that are systems themselves

A folder appears whole or not at all: it is written beside its place and moved there.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ethogram.errors import StateError

if TYPE_CHECKING:
    from ethogram.verbs import State

FORMAT = 1
HEAD = "state.json"
ARRAYS = "arrays.safetensors"


@dataclass(frozen=True)
class Saved:
    """A saved system before it is built again; options that are systems are `Saved` too."""

    key: str
    options: Mapping[str, Any]
    state: State | None


def save(system: Any, path: str | Path, *, notes: Mapping[str, Any] | None = None) -> Path:
    """Write a fitted system to the folder `path`, whole or not at all; one saved there before is replaced.

    Parameters
    ----------
    notes : facts to keep beside it as JSON, such as the log that it learned from; see `notes`.

    Raises
    ------
    NotFitted
        There is nothing learned to save.
    StateError
        `path` holds something that is not a saved system, or the state holds what cannot be written.
    """
    path = Path(path)
    check_free(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        _write_system(system, fresh, notes or {})
        fresh.chmod(0o755)
        _move(fresh, path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return path


def check_free(path: Path) -> None:
    """Raise StateError if `path` holds something that is not a saved system, and so must not be replaced."""
    if path.exists() and not (path / HEAD).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise StateError(f"{path} exists and is not a saved system; it is left as it is.")


def read(path: Path) -> Saved:
    """Read and verify a saved system; nothing of it is run."""
    head = _head(path)
    if "key" not in head:
        raise StateError(f"{path / HEAD} belongs to a part of a system; load the folder above.")
    options = dict(head["options"])
    for name in head["option_systems"]:
        options[name] = read(path / "options" / name)
    return Saved(head["key"], options, _read_state(path, head) if head.get("fitted", True) else None)


def notes(path: Path) -> dict[str, Any]:
    """What was noted when a system was saved."""
    return dict(_head(path).get("notes", {}))


def _write_system(system: Any, folder: Path, notes: Mapping[str, Any], *, part: bool = False) -> None:
    """An option that is a system and has learned nothing itself is kept with its options alone."""
    from ethogram.verbs import State

    own = {f.name: getattr(system, f.name) for f in fields(system) if f.init}
    nested = {n: v for n, v in own.items() if hasattr(v, "info") and hasattr(v, "state")}
    for name, value in nested.items():
        (folder / "options" / name).mkdir(parents=True)
        _write_system(value, folder / "options" / name, {}, part=True)
    head = {
        "key": system.info.key,
        "options": {n: v for n, v in own.items() if n not in nested},
        "option_systems": sorted(nested),
        "notes": notes,
        "fitted": not part or system.fitted is not None,
    }
    _write_state(system.state() if head["fitted"] else State(), folder, head)


def _write_state(state: State, folder: Path, head: Mapping[str, Any]) -> None:
    import numpy as np
    import pyarrow.parquet as pq
    from safetensors.numpy import save_file

    if state.arrays:
        arrays = {n: np.asarray(a, order="C") for n, a in state.arrays.items()}
        if wrong := [n for n, a in arrays.items() if a.dtype.kind not in "iufb"]:
            raise StateError(f"array '{wrong[0]}' ({arrays[wrong[0]].dtype}) is not numbers; put it in a table.")
        save_file(arrays, folder / ARRAYS)
    for name, table in state.tables.items():
        pq.write_table(table, folder / f"{_file(name)}.parquet")
    for name, part in state.parts.items():
        place = folder / "parts" / _file(name)
        place.mkdir(parents=True)
        _write_state(part, place, {})
    members = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    whole = {
        "format": FORMAT,
        "ethogram": importlib.metadata.version("ethogram"),
        **head,
        "json": state.json,
        "arrays": list(state.arrays),
        "tables": list(state.tables),
        "parts": list(state.parts),
        "sha256": {m: _digest(folder / m) for m in members},
    }
    try:
        whole = json.loads(json.dumps(whole, default=_plain))
    except (TypeError, ValueError) as error:
        raise StateError(f"the state or the options cannot be written as JSON: {error}.") from None
    whole["checksum"] = _checksum(whole)
    (folder / HEAD).write_text(json.dumps(whole, indent=1), "utf-8")
    for member in (*members, HEAD):
        _sync(folder / member)
    _sync(folder)


def _read_state(folder: Path, head: Mapping[str, Any]) -> State:
    import pyarrow.parquet as pq
    from safetensors.numpy import load_file

    from ethogram.verbs import State

    arrays = load_file(folder / ARRAYS) if head["arrays"] else {}
    return State(
        {n: arrays[n] for n in head["arrays"]},
        {n: pq.read_table(folder / f"{_file(n)}.parquet") for n in head["tables"]},
        head["json"],
        {n: _read_state(p, _head(p)) for n in head["parts"] for p in [folder / "parts" / _file(n)]},
    )


def _head(folder: Path) -> dict[str, Any]:
    place = folder / HEAD
    if not place.is_file():
        raise StateError(f"{folder} is not a saved system: it has no {HEAD}.")
    try:
        head = json.loads(place.read_bytes())
        version = head["format"]
    except (ValueError, KeyError, TypeError):
        raise StateError(f"{place} is damaged: it is not the JSON that was saved.") from None
    if not isinstance(version, int) or version > FORMAT:
        raise StateError(f"{place} was written by a newer version (format {version}; this one reads up to {FORMAT}).")
    if head.pop("checksum", None) != _checksum(head):
        raise StateError(f"{place} is damaged: its checksum differs.")
    for member, digest in head["sha256"].items():
        if not (folder / member).is_file():
            raise StateError(f"{folder / member} is missing.")
        if _digest(folder / member) != digest:
            raise StateError(f"{folder / member} is damaged: its checksum differs.")
    return dict(head)


def _move(fresh: Path, path: Path) -> None:
    """Put `fresh` in the place of `path`; what was there before is removed."""
    if not path.exists():
        fresh.rename(path)
    elif not _exchange(fresh, path):
        old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        path.rename(old / "old")
        fresh.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    _sync(path.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step where the system can (Linux); False where it cannot."""
    try:
        swap = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, exchange = -100, 2
    return bool(swap(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _checksum(head: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()


def _file(name: str) -> str:
    """A name as one path segment: tables are named after columns, which may hold any character."""
    if not name.strip("."):
        raise StateError(f"'{name}' cannot name a table or a part.")
    return quote(name, safe=" ")


def _plain(value: Any) -> Any:
    """NumPy numbers as JSON has them; anything else is refused rather than written as its repr."""
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")
