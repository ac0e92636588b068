"""The store inside the process: LMDB, one folder, nothing to install or to start.

    PATH/ledger    fsync at every commit: ledger, ids, rings, users, tombstones, facts. One commit moves them together,
                   so whatever kills the process or the machine, they tell the same story.
    PATH/derived   no fsync, thrown away when in doubt (`ethogram.serve.disposable`).

Several processes of one machine may open a path: reads never wait, writers take turns, all see what is committed. (A
path on a network file system may be opened by one machine only; what LMDB asks for.) Appends of many threads share an
fsync. Deleted bytes of the forgotten leave the file with `compact`, when no other process has the path open.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import EllipsisType
from typing import Any, Literal

import msgspec

from ethogram.errors import StoreError
from ethogram.serve.disposable import Disposable
from ethogram.serve.encoding import HASH, Packed, hashed, order, packed, place, ring, ring_seq, unpacked
from ethogram.serve.mapped import Mapped, Transaction
from ethogram.serve.state import KEEP, Appended, Entry, Kept, Moved, User

PAGE = 1_024
"""Lines that are read in one transaction of a scan: a long one would keep old pages from being used again."""
NAMES = ("entries", "ids", "rings", "users", "tombs", "facts", "marks")
NEXT, WASTE = b"next", b"waste"
"""Marks: the next place in the ledger, and that deleted bytes may still stand in free pages."""
USER = struct.Struct(">QQQ")
"""Revision, count and length of the ring, before msgpack of (user, counters)."""
_counters = msgspec.msgpack.Decoder(tuple[str, dict[str, int]])


class Embedded:
    """The store in a folder.

    Parameters
    ----------
    keep : events of each user's ring. Smaller than before: rings are cut when they next move; larger: they grow.
    size : bytes of the memory map to begin with; it grows by itself.

    Raises
    ------
    StoreError
        It cannot be opened.
    """

    def __init__(self, path: str | Path, *, keep: int = KEEP, size: int = 1 << 30) -> None:
        if keep < 1:
            raise StoreError(f"store: keep = {keep}; a ring holds 1 event or more.")
        self.path, self.keep = Path(path), keep
        self._ledger = Mapped(self.path / "ledger", NAMES, durable=True, size=size)
        try:
            self._derived = Disposable(self.path / "derived", size=size)
        except (StoreError, OSError) as error:
            self._ledger.close()
            raise StoreError(f"{self.path}: cannot be opened as a store: {error}") from error

    # -- events -------------------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry], *, ring: bool = True) -> Appended:
        lines = packed(entries)
        if not lines:
            return Appended((), {})
        return self._ledger.write(lambda transaction: self._append(transaction, entries, lines, ring))

    def _append(
        self, transaction: Transaction, entries: Sequence[Entry], lines: Sequence[Packed], ring: bool
    ) -> Appended:
        db, outcomes = self._ledger.db, []
        seq = first = _number(transaction.get(NEXT, db=db["marks"]))
        touched: dict[bytes, list[tuple[Kept, bytes]]] = {}
        outcome: Literal["accepted", "duplicate", "conflict", "forgotten"]
        for entry, line in zip(entries, lines, strict=True):
            known = transaction.get(line.id, db=db["ids"])
            if known is None:
                outcome, at = "accepted", place(seq)
                transaction.put(at, line.record, db=db["entries"], append=True)
                transaction.put(line.id, line.content + line.user + at, db=db["ids"])
                if ring:
                    touched.setdefault(line.user, []).append((Kept(seq, entry), line.body))
                seq += 1
            elif known[:HASH] != line.content:
                outcome = "conflict"
            else:
                tomb = transaction.get(line.user, db=db["tombs"])
                outcome = "duplicate" if tomb is None or known[2 * HASH :] > tomb else "forgotten"
            outcomes.append(outcome)
        if seq > first:
            transaction.put(NEXT, place(seq), db=db["marks"])
        moved = {lines[0][0].entry.user: self._move(transaction, user, lines) for user, lines in touched.items()}
        return Appended(tuple(outcomes), {user: move for user, move in moved.items() if move is not None})

    def _move(self, transaction: Transaction, user: bytes, new: Sequence[tuple[Kept, bytes]]) -> Moved | None:
        """Put events into a ring and take out what is too much; None where it holds the same as before."""
        db = self._ledger.db
        before, count, length, counters = _user(transaction.get(user, db=db["users"]))
        for kept, body in new:
            transaction.put(user + ring(kept.entry.time, kept.seq), body, db=db["rings"])
            counters[kept.entry.kind] = counters.get(kept.entry.kind, 0) + 1
        count, length = count + len(new), length + len(new)
        added, expired = {kept.seq: kept for kept, _ in new}, []
        if length > self.keep:
            with transaction.cursor(db=db["rings"]) as cursor:
                cursor.set_range(user)
                for _ in range(length - self.keep):
                    seq = ring_seq(cursor.key())
                    if added.pop(seq, None) is None:
                        expired.append(unpacked(seq, cursor.value()))
                    cursor.delete()
            length = self.keep
        after = max(added) + 1 if added else before
        head = USER.pack(after, count, length)
        transaction.put(user, head + msgspec.msgpack.encode((new[0][0].entry.user, counters)), db=db["users"])
        if not added and not expired:
            return None
        return Moved(before, after, tuple(sorted(added.values(), key=order)), tuple(expired))

    def user(self, user: str, last: int | None = None) -> User:
        key = hashed(user)
        with self._ledger.read() as transaction:
            revision, count, length, counters = _user(transaction.get(key, db=self._ledger.db["users"]))
            found: list[tuple[int, bytes]] = []
            if length:
                with transaction.cursor(db=self._ledger.db["rings"]) as cursor:
                    found = _ring(cursor, key, length, length if last is None else last)
        return User(revision, count, counters, tuple(unpacked(seq, body) for seq, body in found))

    def users(self) -> Iterator[str]:
        at = b""
        while True:
            with self._ledger.read() as transaction, transaction.cursor(db=self._ledger.db["users"]) as cursor:
                page = []
                if cursor.set_range(at) if at else cursor.first():
                    for key, value in cursor.iternext():
                        page.append(_counters.decode(value[USER.size :])[0])
                        at = bytes(key) + b"\0"
                        if len(page) == PAGE:
                            break
            yield from page
            if len(page) < PAGE:
                return

    # -- what is derived ----------------------------------------------------------------------------------------------

    def derived(self, version: str, users: Sequence[str], at: Sequence[int] | None = None) -> list[bytes | None]:
        keys = [hashed(u) for u in users]
        found = self._derived.read(version, keys)
        if at is None:
            with self._ledger.read() as transaction:
                at = [self._revision(transaction, k) for k in keys]
        return [f[1] if f is not None and f[0] == r else None for f, r in zip(found, at, strict=True)]

    def derive(self, version: str, made: Iterable[tuple[str, int, bytes]]) -> int:
        lines = [(hashed(user), revision, value) for user, revision, value in made]
        with self._ledger.read() as transaction:
            kept = [line for line in lines if line[1] and self._revision(transaction, line[0]) == line[1]]
        if kept:
            self._derived.write(version, kept)
        return len(kept)

    def drop(self, version: str) -> None:
        self._derived.drop(version)

    def _revision(self, transaction: Transaction, key: bytes) -> int:
        return _number(transaction.get(key, db=self._ledger.db["users"]))

    # -- the ledger ---------------------------------------------------------------------------------------------------

    def entries(self, after: int = -1, until: int | None = None) -> Iterator[Kept]:
        last = self.watermark() if until is None else until
        while after < last:
            page, after = self._page(after, last)
            yield from page

    def _page(self, after: int, last: int) -> tuple[list[Kept], int]:
        """(lines of some places behind one, the last place that was looked at)."""
        found: list[tuple[int, bytes]] = []
        tombs: dict[bytes, int] = {}
        with self._ledger.read() as transaction:
            lines, at = self._lines(transaction, after, last, PAGE)
            for seq, record in lines:
                user = bytes(record[:HASH])
                if user not in tombs:
                    tomb = transaction.get(user, db=self._ledger.db["tombs"])
                    tombs[user] = -1 if tomb is None else _number(tomb)
                if seq > tombs[user]:
                    found.append((seq, bytes(record[2 * HASH :])))
        return [unpacked(seq, body) for seq, body in found], at

    def _lines(
        self, transaction: Transaction, after: int, last: int, most: int
    ) -> tuple[list[tuple[int, memoryview]], int]:
        """(seq and record of lines behind a place, valid within the transaction; the last place looked at)."""
        found: list[tuple[int, memoryview]] = []
        with transaction.cursor(db=self._ledger.db["entries"]) as cursor:
            if cursor.set_range(place(after + 1)):
                for key, record in cursor.iternext():
                    seq = _number(key)
                    if seq > last:
                        break
                    found.append((seq, record))
                    if len(found) == most:
                        return found, seq
        return found, last

    def watermark(self) -> int:
        with self._ledger.read() as transaction:
            return _number(transaction.get(NEXT, db=self._ledger.db["marks"])) - 1

    # -- forgetting ---------------------------------------------------------------------------------------------------

    def forget(self, user: str) -> int:
        key = hashed(user)
        count = self._ledger.write(lambda transaction: self._forget(transaction, key))
        with suppress(StoreError):  # no read tells bytes of another revision, and `compact` removes them
            self._derived.forget(key)
        return count

    def _forget(self, transaction: Transaction, key: bytes) -> int:
        db = self._ledger.db
        last = _number(transaction.get(NEXT, db=db["marks"])) - 1
        if last < 0:
            return 0
        _, count, length, _ = _user(transaction.get(key, db=db["users"]))
        transaction.put(key, place(last), db=db["tombs"])
        transaction.delete(key, db=db["users"])
        if length:
            with transaction.cursor(db=db["rings"]) as cursor:
                cursor.set_range(key)
                for _ in range(length):
                    cursor.delete()
        return count

    def compact(self) -> int:
        """As the contract says. Writers wait while the file is written anew, if no other process has it open."""
        with self._ledger.read() as transaction, transaction.cursor(db=self._ledger.db["tombs"]) as cursor:
            tombs = {bytes(user): _number(seq) for user, seq in cursor.iternext()}
        removed = 0
        if tombs:
            at, last = -1, max(tombs.values())
            while at < last:
                doomed, at = self._doomed(at, last, tombs)
                if doomed:
                    removed += self._ledger.write(partial(self._remove, doomed))
            self._ledger.write(lambda transaction: self._lift(transaction, tombs))
        with self._ledger.read() as transaction, transaction.cursor(db=self._ledger.db["users"]) as cursor:
            there = {bytes(user) for user in cursor.iternext(values=False)}
            waste = transaction.get(WASTE, db=self._ledger.db["marks"]) is not None
        self._derived.sweep(there.__contains__)
        if waste and self._ledger.rewrite():
            self._ledger.write(lambda transaction: transaction.delete(WASTE, db=self._ledger.db["marks"]))
            self._derived.rewrite()
        return removed

    def _doomed(self, after: int, last: int, tombs: dict[bytes, int]) -> tuple[list[tuple[bytes, bytes]], int]:
        """(place and id of forgotten lines behind a place, the last place that was looked at)."""
        with self._ledger.read() as transaction:
            lines, at = self._lines(transaction, after, last, 8 * PAGE)
            return [
                (place(seq), bytes(record[HASH : 2 * HASH]))
                for seq, record in lines
                if seq <= tombs.get(bytes(record[:HASH]), -1)
            ], at

    def _remove(self, doomed: Sequence[tuple[bytes, bytes]], transaction: Transaction) -> int:
        removed = 0
        transaction.put(WASTE, b"", db=self._ledger.db["marks"])  # until the file was written anew
        for seq, id in doomed:
            removed += transaction.delete(seq, db=self._ledger.db["entries"])
            transaction.delete(id, db=self._ledger.db["ids"])
        return removed

    def _lift(self, transaction: Transaction, tombs: dict[bytes, int]) -> None:
        for user, seq in tombs.items():
            if _number(transaction.get(user, db=self._ledger.db["tombs"])) == seq:  # not forgotten again meanwhile
                transaction.delete(user, db=self._ledger.db["tombs"])

    # -- facts --------------------------------------------------------------------------------------------------------

    def fact(self, name: str) -> bytes | None:
        with self._ledger.read() as transaction:
            found = transaction.get(hashed(name), db=self._ledger.db["facts"])
            return None if found is None else bytes(found)

    def settle(self, name: str, value: bytes | None, *, expected: bytes | EllipsisType | None = ...) -> bool:
        key, facts = hashed(name), self._ledger.db

        def job(transaction: Transaction) -> bool:
            if expected is not ... and transaction.get(key, db=facts["facts"]) != expected:
                return False
            if value is None:
                transaction.delete(key, db=facts["facts"])
            else:
                transaction.put(key, value, db=facts["facts"])
            return True

        return self._ledger.write(job)

    def check(self) -> None:
        def job(transaction: Transaction) -> None:
            turn = _number(transaction.get(b"checked", db=self._ledger.db["marks"]))
            transaction.put(b"checked", place(turn + 1), db=self._ledger.db["marks"])

        self._ledger.write(job)

    def close(self) -> None:
        self._ledger.close()
        self._derived.close()


def _number(found: bytes | memoryview | None) -> int:
    """Of the first 8 bytes; 0 where nothing is."""
    return 0 if found is None else int.from_bytes(found[:8], "big")


def _user(found: bytes | memoryview | None) -> tuple[int, int, int, dict[str, int]]:
    """(revision, count, length of the ring, counters)."""
    if found is None:
        return 0, 0, 0, {}
    return *USER.unpack_from(found), _counters.decode(found[USER.size :])[1]


def _ring(cursor: Any, user: bytes, length: int, last: int) -> list[tuple[int, bytes]]:
    """The last so many of a ring that is `length` long, oldest first."""
    if last >= length:
        cursor.set_range(user)
        return [(ring_seq(key), bytes(value)) for key, value in _first(cursor.iternext(), length)]
    # from the end of the ring backwards: where the next user's begins, or behind all
    found = cursor.prev() if cursor.set_range(user + b"\xff" * 17) else cursor.last()
    assert found
    pairs = [(ring_seq(key), bytes(value)) for key, value in _first(cursor.iterprev(), last)]
    return pairs[::-1]


def _first(pairs: Iterable[tuple[Any, Any]], n: int) -> Iterator[tuple[Any, Any]]:
    return (pair for _, pair in zip(range(n), pairs, strict=False))
