"""A log as a directory: Parquet blocks, vocabularies, memory-mapped arrays and log.toml (see docs/log-format.md)."""

from __future__ import annotations

import hashlib
import os
import shutil
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa

from ethogram.errors import LogFormatError
from ethogram.log import manifest as manifests
from ethogram.log import room
from ethogram.log.events import Events, Rows
from ethogram.log.journal import (
    ROW_GROUP,
    Member,
    RowGroups,
    locked,
    member,
    replace_text,
    sync,
    write_array,
    write_table,
)
from ethogram.log.manifest import NAME, Manifest
from ethogram.log.sequences import Sequences
from ethogram.log.vocabulary import Vocabulary

if TYPE_CHECKING:
    from ethogram.log.append import Added

FRAME = ("users", "offsets", "groups", "place")
"""Arrays that place the rows; the columns lie in a folder below."""
WAITING = "waiting"
"""Folder of rows that wait to be sorted while a large log is written."""
T = TypeVar("T", Vocabulary, pa.Table)


def open_stored(path: str | Path) -> Events:
    """Open a log; costs the same for any number of events, as arrays are mapped and tables read when asked for.

    Raises
    ------
    LogFormatError
        Not a log, damaged, or written by a newer version.
    """
    path = Path(path)
    while True:
        before = _text(path)
        try:
            return _events(path, manifests.read(path))
        except LogFormatError:
            if before is None or _text(path) == before:
                raise  # and not: somebody appended while we were reading


def _text(path: Path) -> bytes | None:
    try:
        return (path / NAME).read_bytes()
    except OSError:
        return None


def _events(path: Path, found: Manifest) -> Events:
    arrays = {Path(m.path): path / m.path for m in found.members["array"]}
    try:
        loaded = {p: np.load(f, mmap_mode="c").view(np.ndarray) for p, f in arrays.items()}
    except (OSError, ValueError) as e:
        raise LogFormatError(f"{path}: an array is damaged ({str(e)[:120]}).") from e
    frame = {p.stem: a for p, a in loaded.items() if p.parent.name != "columns"}
    columns = {unquote(p.stem): a for p, a in loaded.items() if p.parent.name == "columns"}
    parts: dict[str, list[Path]] = {}
    for m in found.members["vocabulary"]:
        parts.setdefault(unquote(Path(m.path).stem.rpartition("-")[0]), []).append(path / m.path)
    tables: dict[str, list[Path]] = {Path(m.path).stem: [path / m.path] for m in found.members["table"]}
    if found.members["quarantine"]:
        tables["quarantine"] = [path / m.path for m in found.members["quarantine"]]
    vocabularies = Vocabularies(parts)
    if len(frame["offsets"]) and int(frame["offsets"][-1]) != found.events:
        raise LogFormatError(
            f"{path}: the arrays hold {int(frame['offsets'][-1]):,} events, {NAME} says {found.events:,}."
        )
    return Events(
        found.roles,
        Sequences(frame["users"], frame["offsets"], columns, vocabularies, {"groups": frame["groups"]}),
        vocabularies,
        found.schema,
        quarantined=found.quarantined,
        repeated=found.repeated,
        tables=Tables(tables),
        blocks=tuple(path / m.path for m in found.members["block"]),
        place=frame.get("place"),
        stored_fingerprint=found.fingerprint,
        payload=found.payload,
        tz=found.tz,
    )


class Lazy(Mapping[str, T], Generic[T]):
    """Name -> what its Parquet files hold, read at the first use."""

    def __init__(self, files: Mapping[str, list[Path]]):
        self._files = files
        self._read: dict[str, T] = {}

    @abstractmethod
    def load(self, table: pa.Table) -> T:
        """What the rows of the files mean."""

    def __getitem__(self, name: str) -> T:
        if name not in self._read:
            import pyarrow.parquet as pq

            files = self._files[name]
            try:
                table = pa.concat_tables([pq.ParquetFile(f).read() for f in files])
            except (OSError, pa.ArrowException) as e:
                raise LogFormatError(f"{files[0].parent}: {name} is damaged ({str(e)[:120]}).") from e
            self._read[name] = self.load(table)
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


class Vocabularies(Lazy[Vocabulary]):
    """Vocabularies of a stored log."""

    def load(self, table: pa.Table) -> Vocabulary:
        return Vocabulary(table["id"])


class Tables(Lazy[pa.Table]):
    """Side tables and quarantine of a stored log."""

    def load(self, table: pa.Table) -> pa.Table:
        # Parquet has its own name for the elements of a list
        lists = {f.name: pa.list_(f.type.value_type) for f in table.schema if pa.types.is_list(f.type)}
        return table.cast(pa.schema([(f.name, lists.get(f.name, f.type)) for f in table.schema]))


class Writer:
    """Writes members of a log below `root` and remembers them."""

    def __init__(self, root: Path, old: Manifest | None = None):
        self.root = root
        self.members: dict[str, list[Member]] = {role: [] for role in manifests.ROLES_OF_MEMBERS}
        self.rows: dict[str, int] = dict(old.rows) if old else {}
        if old:
            for role, members in old.members.items():
                self.members[role] = list(members) if role != "array" else []

    def table(self, role: str, path: str, table: pa.Table) -> None:
        write_table(self.root, path, table, self.members[role])
        self.rows[path] = len(table)

    def block(self, number: int, events: Events) -> None:
        path = f"blocks/{number:06d}.parquet"
        if events.blocks:
            self.table("block", path, events.table())
            return
        rows = Rows(events.sequences.user, events.sequences.columns, events.apart)
        with self.rowgroups(path, events.schema) as groups:
            for part in room.blocks(len(events), ROW_GROUP):
                groups.add(rows.slice(part).table(events.schema, events.vocabularies))

    @contextmanager
    def rowgroups(self, path: str, schema: Mapping[str, pa.DataType]) -> Iterator[RowGroups]:
        """A block that is written row group by row group."""
        with member(self.root, path, self.members["block"]) as file:
            groups = RowGroups(file, pa.schema(list(schema.items())))
            yield groups
            groups.close()
        self.rows[path] = groups.rows

    def vocabulary(self, name: str, number: int, vocabulary: Vocabulary, first: int = 0) -> None:
        """The ids from code `first` on."""
        ids = vocabulary.ids.slice(first)
        codes = pa.array(np.arange(first, len(vocabulary), dtype=np.int32))
        path = f"vocabularies/{quote(name, safe=' ')}-{number:06d}.parquet"
        self.table("vocabulary", path, pa.table({"id": ids, "code": codes}))

    def arrays(self, generation: int, sequences: Sequences, place: np.ndarray | None) -> None:
        folder = f"arrays/{generation:06d}"
        frame = {"users": sequences.users, "offsets": sequences.offsets, "groups": sequences.groups, "place": place}
        for name, array in frame.items():
            if array is not None:
                write_array(self.root, f"{folder}/{name}.npy", array, self.members["array"])
        for name, array in sequences.columns.items():
            write_array(self.root, self.array_path(generation, name), array, self.members["array"])

    @staticmethod
    def array_path(generation: int, name: str) -> str:
        """Where the array of a column lies."""
        return f"arrays/{generation:06d}/columns/{quote(name, safe=' ')}.npy"

    def aside(self, number: int, quarantine: pa.Table | None) -> None:
        if quarantine is not None and len(quarantine):
            self.table("quarantine", f"quarantine/{number:06d}.parquet", quarantine)

    def whole(self, events: Events, next_event: int) -> None:
        """All that a new log has beside block and arrays, and its manifest."""
        for name in events.vocabularies:
            self.vocabulary(name, 1, events.vocabularies[name])
        for name in ("items", "users"):
            if name in events.tables:
                self.table("table", f"tables/{name}.parquet", events.tables[name])
        if "quarantine" in events.tables:
            self.aside(1, events.tables["quarantine"])
        self.finish(
            Manifest(
                roles=events.roles,
                fingerprint=events.fingerprint,
                events=len(events),
                next_event=next_event,
                generation=1,
                schema=events.schema,
                coded={name: len(events.vocabularies[name]) for name in events.vocabularies},
                members={role: tuple(members) for role, members in self.members.items()},
                rows=self.rows,
                quarantined=events.quarantined,
                repeated=events.repeated,
                payload=events.payload,
                tz=events.tz,
            )
        )

    def finish(self, manifest: Manifest) -> None:
        """Make the new state the state: everything on the disk first, then log.toml in one step."""
        folders = {(self.root / p).parent for p in manifest.paths()}
        sync(*folders, *{f.parent for f in folders}, self.root)
        replace_text(self.root / NAME, manifest.text())


def write(events: Events, path: str | Path) -> None:
    """Write events as a new log; the directory appears whole or not at all.

    Raises
    ------
    LogFormatError
        Something is there already.
    """
    with building(path) as writer:
        writer.block(1, events)
        writer.arrays(1, events.sequences, None)
        writer.whole(events, int(np.max(events.sequences.columns["event"], initial=-1)) + 1)


@contextmanager
def building(path: str | Path) -> Iterator[Writer]:
    """A new log that is written beside its place and moved there at the end; what fails leaves nothing.

    Raises
    ------
    LogFormatError
        Something is there already.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise LogFormatError(f"{path}: something is there already; name a new folder, or append to the log.")
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.parent / f".{path.name}.writing"
    place.mkdir(exist_ok=True)
    try:
        with locked(place / ".lock", wait=False):
            sweep(place, None)  # of a writer that was killed
            yield Writer(place)
            os.rename(place, path)
            sync(path.parent)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def sweep(path: Path, found: Manifest | None) -> None:
    """Remove what a killed write or append left behind: files that log.toml does not name."""
    known = found.paths() if found else set()
    for folder in ("blocks", "vocabularies", "arrays", "tables", "quarantine", WAITING):
        for file in sorted((path / folder).rglob("*"), reverse=True):
            if file.is_dir():
                if not any(file.iterdir()):
                    file.rmdir()
            elif file.relative_to(path).as_posix() not in known:
                file.unlink()
    (path / f"{NAME}.new").unlink(missing_ok=True)


def verify(path: str | Path) -> None:
    """Compare every file of a log with the hash that was written down for it; reads the whole log.

    Raises
    ------
    LogFormatError
        A file is not what was written.
    """
    path = Path(path)
    for members in manifests.read(path).members.values():
        for m in members:
            with (path / m.path).open("rb") as file:
                found = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
            if found != m.hash:
                raise LogFormatError(f"{path}: the content of {m.path} is not what was written.")


def append(
    path: str | Path,
    source: Any,
    /,
    *,
    strict: bool = False,
    header: bool = True,
    tz: str | None = None,
    **roles: str | None,
) -> Added:
    """Add the events of a source to a stored log; see `ethogram.log.append`."""
    from ethogram.log.append import append as grow

    return grow(path, source, strict=strict, header=header, tz=tz, **roles)
