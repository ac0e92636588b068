"""What can be made anew, beside the ledger in an environment of its own: no fsync, and thrown away when in doubt.

A killed process loses nothing. After a crash of the machine pages may be missing, so the folder notes the boot in
which it was used: opened in another boot without having been closed, it starts empty. So it does when it is damaged.
"""

from __future__ import annotations

import shutil
import threading
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct
from typing import TypeVar

import lmdb
import numpy as np

from ethogram.errors import StoreError
from ethogram.log.journal import replace_text
from ethogram.serve.encoding import HASH, hashed
from ethogram.serve.mapped import Mapped, Transaction

HEAD = Struct(">QQ")
"""Revision and checksum before the bytes of a value."""
CLEAN = "closed"
DAMAGE = (
    lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError, lmdb.PanicError, lmdb.VersionMismatchError,
    lmdb.ProblemError, lmdb.BadDbiError, lmdb.IncompatibleError,
)  # fmt: skip
T = TypeVar("T")


class Disposable:
    """(version, user) -> (revision, bytes)."""

    def __init__(self, path: Path, *, size: int) -> None:
        self.path, self.size = path, size
        self._mending = threading.Lock()
        mark = path / "boot"
        if path.exists() and (not mark.exists() or mark.read_text() not in (CLEAN, _boot())):
            shutil.rmtree(path)
        self._kept = self._opened()
        self._mark(_boot())

    def _mark(self, text: str) -> None:
        mark = self.path / "boot"
        if not mark.exists() or mark.read_text() != text:
            replace_text(mark, text)

    def _opened(self) -> Mapped:
        def made() -> Mapped:
            return Mapped(self.path, ("tables", "versions"), durable=False, size=self.size)

        try:
            return made()
        except StoreError:
            shutil.rmtree(self.path)
        return made()

    def read(self, version: str, users: Sequence[bytes]) -> list[tuple[int, bytes] | None]:
        """What is kept of each user (by hash); None where nothing is, or not what was written."""
        prefix = hashed(version)

        def job(kept: Mapped) -> list[tuple[int, bytes] | None]:
            with kept.read() as transaction:
                return [_value(transaction.get(prefix + u, db=kept.db["tables"])) for u in users]

        return self._mended(job)

    def write(self, version: str, made: Iterable[tuple[bytes, int, bytes]]) -> None:
        """Keep (user, revision, bytes), but never in the place of a later revision."""
        prefix, values = hashed(version), [(u, r, HEAD.pack(r, _checksum(b)) + b) for u, r, b in made]

        def job(kept: Mapped) -> None:
            tables, versions = kept.db["tables"], kept.db["versions"]

            def put(transaction: Transaction) -> None:
                if transaction.get(prefix, db=versions) is None:
                    transaction.put(prefix, version.encode(), db=versions)
                for user, revision, value in values:
                    old = transaction.get(prefix + user, db=tables)
                    if old is None or HEAD.unpack_from(old)[0] <= revision:
                        transaction.put(prefix + user, value, db=tables)

            kept.write(put)

        self._mended(job)

    def drop(self, version: str) -> None:
        """All of a version, a thousand at a time."""
        prefix = hashed(version)

        def job(kept: Mapped) -> None:
            while kept.write(lambda t: _deleted(t, kept.db["tables"], prefix, 1_000)):
                pass
            kept.write(lambda t: t.delete(prefix, db=kept.db["versions"]))

        self._mended(job)

    def forget(self, user: bytes) -> None:
        """A user's bytes of all versions."""

        def job(kept: Mapped) -> None:
            def delete(transaction: Transaction) -> None:
                with transaction.cursor(db=kept.db["versions"]) as cursor:
                    for version in [bytes(k) for k in cursor.iternext(values=False)]:
                        transaction.delete(version + user, db=kept.db["tables"])

            kept.write(delete)

        self._mended(job)

    def sweep(self, keep: Callable[[bytes], bool]) -> None:
        """Remove the bytes of users (by hash) who are not to be kept."""

        def job(kept: Mapped) -> None:
            with kept.read() as transaction, transaction.cursor(db=kept.db["tables"]) as cursor:
                keys = [bytes(k) for k in cursor.iternext(values=False)]
            gone = [k for k in keys if not keep(k[HASH:])]
            if gone:
                kept.write(lambda t: [t.delete(k, db=kept.db["tables"]) for k in gone])

        self._mended(job)

    def rewrite(self) -> None:
        """Give freed pages back."""
        self._mended(lambda kept: kept.rewrite())

    def close(self) -> None:
        if self._kept.closed:
            return
        with suppress(OSError, lmdb.Error):  # on a full disk: then it is as if it had been killed
            if self._kept.sole():
                self._kept.flush()
                self._mark(CLEAN)
        self._kept.close()

    def _mended(self, job: Callable[[Mapped], T]) -> T:
        """The job's result; where the environment is damaged, once more with an empty one."""
        used = self._kept
        try:
            return job(used)
        except StoreError as error:
            if not isinstance(error.__cause__, DAMAGE):
                raise
            with self._mending, _told(self.path):
                if self._kept is used:
                    used.close()
                    shutil.rmtree(self.path, ignore_errors=True)
                    self._kept = self._opened()
                    self._mark(_boot())
            return job(self._kept)


def _value(found: memoryview | None) -> tuple[int, bytes] | None:
    if found is None or len(found) < HEAD.size:
        return None
    revision, checksum = HEAD.unpack_from(found)
    value = bytes(found[HEAD.size :])
    return (revision, value) if _checksum(value) == checksum else None


def _checksum(value: bytes) -> int:
    """Sum of the words of 8 bytes: any one of them that changed is told, in a tenth of the time of a CRC."""
    words = len(value) // 8
    total = int(np.frombuffer(value, "<u8", words).sum(dtype=np.uint64)) + zlib.crc32(value[8 * words :])
    return total & (2**64 - 1)


def _deleted(transaction: Transaction, db: object, prefix: bytes, most: int) -> int:
    """Delete up to so many keys with a prefix; how many there were."""
    gone = 0
    with transaction.cursor(db=db) as cursor:
        found = cursor.set_range(prefix)
        while found and gone < most and bytes(cursor.key()[: len(prefix)]) == prefix:
            found = cursor.delete() and bool(cursor.key())
            gone += 1
    return gone


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: cannot be made anew: {error}.") from error


def _boot() -> str:
    """Names this run of the operating system; never twice the same where that cannot be told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid.uuid4().hex
