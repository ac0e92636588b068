"""API keys: made once, shown once, kept as hashes, with scopes, an end and a successor.

A key is ``eth_ID_SECRET`` with 256 random bits, so that a plain SHA-256 of the secret cannot be searched. Keys lie in a
file that only its owner can read, or in the store, where replicas share them. A running server sees changes within a
second.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from ethogram.errors import KeyMissing, OptionError, StateError, StoreError

log = logging.getLogger("ethogram.serve")
Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "write", "admin")
FACT = "serve/keys"
VARIABLE = "ETHOGRAM_API_KEY"
LOOK_AGAIN = 1.0
"""Seconds between two looks at whether the keys changed."""


class Kept(msgspec.Struct, kw_only=True):
    """What is kept of a key."""

    id: str
    name: str
    scopes: list[Scope]
    sha256: str
    made: float
    until: float | None = None

    def allows(self, scope: Scope) -> bool:
        """An admin may read and write, too."""
        return scope in self.scopes or "admin" in self.scopes

    def live(self, now: float) -> bool:
        return self.until is None or now < self.until


class Place(Protocol):
    """Where keys are kept.

    Attributes
    ----------
    far : a look may take long, so nobody waits for one but the first.
    """

    far: bool

    def read(self) -> bytes: ...
    def write(self, text: bytes) -> None: ...
    def mark(self) -> object:
        """Something that differs when the keys do."""
        ...


@dataclass(frozen=True)
class KeyFile:
    """A file of keys, mode 600.

    Raises
    ------
    KeyMissing
        Others may read the file.
    """

    path: Path
    far = False

    def read(self) -> bytes:
        if not self.path.exists():
            return b""
        if os.name == "posix" and self.path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyMissing(f"{self.path} may be read by others; chmod 600 {self.path}.")
        return self.path.read_bytes()

    def write(self, text: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    def mark(self) -> object:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


@dataclass(frozen=True)
class KeyFact:
    """Keys as a fact of the store."""

    fact: Callable[[str], bytes | None]
    settle: Callable[[str, bytes], object]
    far = True

    def read(self) -> bytes:
        return self.fact(FACT) or b""

    def write(self, text: bytes) -> None:
        self.settle(FACT, text)

    def mark(self) -> object:
        return self.read()


def default_file() -> Path:
    """Where keys lie if nothing else is said."""
    return Path(os.environ.get("ETHOGRAM_SERVE_KEYS") or "~/.config/ethogram/serve-keys.json").expanduser()


class Keyring:
    """The keys of a place, and those that are given by hand.

    Parameters
    ----------
    place : where they are kept; None for those given alone. given : a key with all scopes (`ETHOGRAM_API_KEY`).
    """

    def __init__(self, place: Place | None, given: str | None = None):
        self.place = place
        self._given = (
            None
            if not given
            else Kept(id="environment", name=VARIABLE, scopes=["admin"], sha256=digest(given), made=0.0)
        )
        self._lock = threading.Lock()
        self._keys: dict[str, Kept] = {}
        self._mark: object = object()
        self._looked = float("-inf")

    def find(self, key: str, now: float | None = None) -> Kept | None:
        """Who a key belongs to; None if to nobody, or if its time is over. Takes the same time for every wrong key."""
        now = time.time() if now is None else now
        self._look()
        wanted = digest(key)
        parts = key.split("_", 2)
        named = self._keys.get(parts[1]) if len(parts) == 3 and parts[0] == "eth" else None
        mine = hmac.compare_digest(wanted, named.sha256 if named else "0" * 64)
        by_hand = hmac.compare_digest(wanted, self._given.sha256 if self._given else "0" * 64)
        if by_hand:
            return self._given
        return named if named is not None and mine and named.live(now) else None

    def __len__(self) -> int:
        self._look()
        return len(self._keys) + (self._given is not None)

    def all(self) -> list[Kept]:
        """What is kept, the oldest first."""
        return sorted(_read(self.place).values(), key=lambda k: k.made) if self.place else []

    def make(self, name: str, scopes: list[Scope], *, days: float | None = None) -> tuple[str, Kept]:
        """A new key: its text, which is nowhere else, and what is kept of it."""
        if unknown := [s for s in scopes if s not in SCOPES]:
            raise OptionError(f"scope '{unknown[0]}' does not exist; scopes are {', '.join(SCOPES)}.")
        if not scopes:
            raise OptionError(f"a key needs a scope: {', '.join(SCOPES)}.")
        now = time.time()
        number = secrets.token_hex(4)
        text = f"eth_{number}_{secrets.token_urlsafe(32)}"
        kept = Kept(
            id=number, name=name, scopes=list(dict.fromkeys(scopes)), sha256=digest(text), made=now,
            until=None if days is None else now + days * 86_400,
        )  # fmt: skip
        held = _read(self._where())
        held[kept.id] = kept
        self._write(held)
        return text, kept

    def rotate(self, number: str, *, hours: float = 24.0) -> tuple[str, Kept]:
        """A successor with the same name and scopes; the old key ends in so many hours."""
        old = self._named(number)
        text, kept = self.make(old.name, old.scopes)
        held = _read(self._where())
        ends = time.time() + hours * 3_600
        held[number].until = ends if old.until is None else min(old.until, ends)
        self._write(held)
        return text, kept

    def revoke(self, number: str) -> Kept:
        """End a key now."""
        gone = self._named(number)
        held = _read(self._where())
        del held[number]
        self._write(held)
        return gone

    def _named(self, number: str) -> Kept:
        held = _read(self._where())
        if number not in held:
            raise OptionError(f"there is no key '{number}'; `ethogram keys list` shows them.")
        return held[number]

    def _where(self) -> Place:
        if self.place is None:
            raise OptionError("keys need a place: a file or a store.")
        return self.place

    def _write(self, held: dict[str, Kept]) -> None:
        self._where().write(msgspec.json.format(msgspec.json.encode(list(held.values()))))

    def _look(self) -> None:
        if self.place is None or time.monotonic() - self._looked < LOOK_AGAIN:
            return
        first, self._looked = self._looked == float("-inf"), time.monotonic()
        if self.place.far and not first:
            threading.Thread(target=self._refresh, name="ethogram-keys", daemon=True).start()
        else:
            self._refresh()

    def _refresh(self) -> None:
        assert self.place is not None
        with self._lock:
            try:
                mark = self.place.mark()
                if mark != self._mark:
                    self._keys, self._mark = _read(self.place), mark
            except StoreError as error:
                if not self._keys:
                    raise
                log.warning("keys: %s; those that are known go on", error)


def digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _read(place: Place | None) -> dict[str, Kept]:
    text = place.read() if place else b""
    if not text:
        return {}
    try:
        return {k.id: k for k in msgspec.json.decode(text, type=list[Kept])}
    except msgspec.MsgspecError as error:
        raise StateError(f"the keys are damaged: {error}.") from None
