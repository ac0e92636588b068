"""Answers kept on disk by the content of the question, up to a size; the least recently used go first."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ethogram import folders
from ethogram.lm.writer import connect

CAP_MB = 1024
_TABLES = """
CREATE TABLE IF NOT EXISTS answers(
    key BLOB PRIMARY KEY, identity TEXT, path TEXT, reply BLOB, size INTEGER, made REAL, used REAL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON answers(used);
"""
_ROW_OVERHEAD = 120


def place() -> Path:
    """File of the cache that runs share."""
    return folders.cache() / "lm" / "answers.sqlite"


class AnswerCache:
    """Exact answers: key -> bytes of the reply.

    Parameters
    ----------
    path : file; made where absent. A file that is damaged is put aside as `*.damaged` and begun anew, because what
        it held can be asked again.
    cap_mb : most megabytes of answers; when passed, the least recently used are dropped down to nine tenths.
    """

    def __init__(self, path: Path | None = None, cap_mb: float = CAP_MB):
        self.path = path or place()
        self.cap = int(cap_mb * 2**20)
        self._lock = threading.Lock()
        self._hits: list[tuple[float, bytes]] = []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._read, self._write = self._open()
        except sqlite3.DatabaseError:
            os.replace(self.path, self.path.with_name(self.path.name + ".damaged"))
            for tail in ("-wal", "-shm"):
                self.path.with_name(self.path.name + tail).unlink(missing_ok=True)
            self._read, self._write = self._open()

    def _open(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        write = connect(self.path)
        write.execute("PRAGMA auto_vacuum=INCREMENTAL")
        write.executescript(_TABLES)
        self._size = write.execute("SELECT COALESCE(SUM(size), 0) FROM answers").fetchone()[0]
        return connect(self.path), write

    def get(self, key: bytes) -> bytes | None:
        """The reply kept under a key."""
        with self._lock:
            found = self._read.execute("SELECT reply FROM answers WHERE key=?", (key,)).fetchone()
            if found is None:
                return None
            self._hits.append((time.time(), key))
        reply: bytes = found[0]
        return reply

    def put(self, rows: Iterable[tuple[bytes, str, str, bytes]]) -> None:
        """Keep (key, identity, path, reply) rows in one transaction, and note what was read since the last one."""
        now = time.time()
        made = [(k, i, p, r, len(r) + _ROW_OVERHEAD, now, now) for k, i, p, r in rows]
        with self._lock:
            hits, self._hits = self._hits, []
        self._write.execute("BEGIN IMMEDIATE")
        try:
            self._write.executemany("INSERT OR REPLACE INTO answers VALUES (?,?,?,?,?,?,?)", made)
            self._write.executemany("UPDATE answers SET used=? WHERE key=?", hits)
            self._write.execute("COMMIT")
        except BaseException:
            self._write.execute("ROLLBACK")
            raise
        self._size += sum(m[4] for m in made)
        if self._size > self.cap:
            self._evict()

    def _evict(self) -> None:
        total = self._write.execute("SELECT COALESCE(SUM(size), 0) FROM answers").fetchone()[0]
        if total > self.cap:
            excess, dropped, gone = total - int(0.9 * self.cap), 0, []
            for key, size in self._write.execute("SELECT key, size FROM answers ORDER BY used"):
                gone.append((key,))
                dropped += size
                if dropped >= excess:
                    break
            self._write.execute("BEGIN IMMEDIATE")
            self._write.executemany("DELETE FROM answers WHERE key=?", gone)
            self._write.execute("COMMIT")
            self._write.execute("PRAGMA incremental_vacuum")
            total -= dropped
        self._size = total

    def facts(self) -> dict[str, Any]:
        """How many answers of which models, and how large."""
        rows = self._read.execute("SELECT identity, COUNT(*), SUM(size) FROM answers GROUP BY identity ORDER BY 3 DESC")
        models = [{"model": i, "answers": n, "mb": round(s / 2**20, 3)} for i, n, s in rows]
        return {"path": str(self.path), "cap_mb": self.cap / 2**20, "models": models}

    def clear(self, identity: str | None = None) -> int:
        """Drop the answers of a model, or all; returns how many."""
        where, given = ("WHERE identity=?", (identity,)) if identity else ("", ())
        count = self._write.execute(f"DELETE FROM answers {where}", given).rowcount
        self._write.execute("PRAGMA incremental_vacuum")
        self._size = self._write.execute("SELECT COALESCE(SUM(size), 0) FROM answers").fetchone()[0]
        return count

    def close(self) -> None:
        """Note the last readings and close the file."""
        if self._hits:
            self.put(())
        self._read.close()
        self._write.close()
