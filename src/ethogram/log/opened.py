"""Where the events of a log lie, so that a log can be compared, hashed and pickled without reading them again."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ethogram.errors import OptionError, SourceError
from ethogram.log import finding
from ethogram.log.engine import owner
from ethogram.log.events import Events

_OPENED: dict[tuple[Any, ...], Events] = {}
MOST_OPENED = 8
SIDES = ("items", "users")


@dataclass(frozen=True, eq=False)
class Source:
    """A path with the options it was read by, or rows held in memory.

    Attributes
    ----------
    stamp : tells whether the files are still those that were read: of a stored log its fingerprint, else names,
        sizes and times of change. (A hash of the content would cost more than reading it; see `fingerprint`.)
    """

    path: str | None
    stamp: str
    options: tuple[tuple[str, Any], ...] = ()
    held: Events | None = field(default=None, repr=False)

    def _key(self) -> tuple[Any, ...]:
        if self.held is not None:
            return (None, self.held.fingerprint)
        return (self.path, self.stamp, self.options)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    @property
    def fingerprint(self) -> str:
        """Hash of the content; made when first asked for."""
        return self.events().fingerprint

    def events(self) -> Events:
        """The events, read again where they are not at hand.

        Raises
        ------
        SourceError
            The files are not those that were opened.
        """
        if self.held is not None:
            return self.held
        if self._key() not in _OPENED:
            assert self.path is not None
            options = dict(self.options)
            before = _files(self.path, options)
            found = _read(self.path, options)
            if (found.stored_fingerprint or before) != self.stamp:
                raise SourceError(f"{self.path} has changed since this log was opened; open it again.")
            self._remember(found)
        return _OPENED[self._key()]

    def _remember(self, events: Events) -> None:
        while len(_OPENED) >= MOST_OPENED:  # logs that are still held read their path again
            _OPENED.pop(next(iter(_OPENED)))
        _OPENED[self._key()] = events


def opened(source: Any, options: Mapping[str, Any]) -> Source:
    """Read a source; errors are those of `importer.read` and `store.open_stored`."""
    plain = all(v is None or isinstance(v, str | bool) for v in options.values())
    if not (isinstance(source, str | Path) and plain):
        return held(_read(source, options))
    path = str(Path(source).expanduser().absolute())
    before = _files(path, options)
    events = _read(source, options)
    made = Source(path, events.stored_fingerprint or before, tuple(sorted(options.items())))
    made._remember(events)
    return made


def stored(path: str | Path, events: Events) -> Source:
    """A log directory whose events are at hand."""
    assert events.stored_fingerprint is not None
    made = Source(str(Path(path).expanduser().absolute()), events.stored_fingerprint)
    made._remember(events)
    return made


def held(events: Events) -> Source:
    """Events that lie in memory only."""
    return Source(None, "", (), events)


def _read(source: Any, options: Mapping[str, Any]) -> Events:
    if isinstance(source, str | Path) and (Path(source).expanduser() / "log.toml").exists():
        from ethogram.log.store import open_stored

        roles = {k: v for k, v in options.items() if k not in ("strict", *SIDES)}
        if roles:
            raise OptionError(f"{source} is a log: its roles are fixed, so {', '.join(roles)} cannot be given again.")
        return open_stored(Path(source).expanduser())
    if owner(source) is not None:
        from ethogram.log.cluster import read as read_there

        return read_there(source, **options)
    from ethogram.log.importer import read

    return read(source, **options)


def _files(path: str, options: Mapping[str, Any]) -> str:
    """Hash of the names, sizes and times of change of all files that a path and its side tables may be read from."""
    digest = hashlib.blake2b(digest_size=16)
    for place in (path, *(options[s] for s in SIDES if s in options)):
        root = Path(place).expanduser().absolute()
        if finding.is_pattern(root):
            files = sorted(Path(p) for p in glob.glob(str(root), recursive=True))
        elif root.is_dir():
            files = sorted(p for p in root.rglob("*") if p.is_file())
        else:  # RecBole's side tables lie beside the events
            files = [root, *(root.with_suffix(s) for s in (".item", ".user") if root.suffix == ".inter")]
        for file in files:
            try:
                found = file.stat()
            except OSError:
                continue
            digest.update(f"{file}\0{found.st_size}\0{found.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
