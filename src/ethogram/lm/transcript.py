"""One run is one SQLite file: every call with its answer, who asked for what purpose, where the answer came from.

The same file is a recording: `Recording.answer` finds what was answered to an equal question. Keys of API never
reach this module; requests are the JSON bodies, without headers.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ethogram import folders
from ethogram.errors import SourceError, UnknownName, nearest
from ethogram.lm.writer import connect

SUFFIX = ".lmrun"
_AUTO = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")
_FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers(
    key BLOB, draw INTEGER, path TEXT, request BLOB, reply BLOB, PRIMARY KEY(key, draw)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls(
    seq INTEGER PRIMARY KEY, at REAL, purpose TEXT, identity TEXT, key BLOB, draw INTEGER, source TEXT,
    seconds REAL, tries INTEGER, prompt INTEGER, completion INTEGER, money REAL, error TEXT);
"""


def folder() -> Path:
    """Where runs are kept."""
    return folders.cache() / "lm" / "runs"


def place(run: str | Path) -> Path:
    """File of a run: a path is itself, a name lies in the folder of runs."""
    path = Path(run)
    return path if path.suffix == SUFFIX or len(path.parts) > 1 else folder() / f"{run}{SUFFIX}"


def new_name() -> str:
    """Name of a run that was given none: when it began, and a random end."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


def names() -> list[str]:
    """Runs that are kept, the newest last."""
    found = sorted(folder().glob(f"*{SUFFIX}"), key=lambda p: p.stat().st_mtime)
    return [p.stem for p in found]


def prune(cap_mb: float) -> int:
    """Drop the oldest runs that were given no name until the rest of those fits; returns how many went."""
    found = [(p.stat().st_mtime, p.stat().st_size, p) for p in folder().glob(f"*{SUFFIX}") if _AUTO.fullmatch(p.stem)]
    room, gone = cap_mb * 2**20, 0
    for _, size, path in sorted(found, reverse=True):
        room -= size
        if room < 0:
            for tail in ("", "-wal", "-shm"):
                path.with_name(path.name + tail).unlink(missing_ok=True)
            gone += 1
    return gone


@dataclass(frozen=True)
class Row:
    """One call as it is written down; `reply` is None where it failed."""

    purpose: str
    identity: str
    path: str
    key: bytes
    draw: int
    source: str
    request: bytes
    reply: bytes | None
    seconds: float = 0.0
    tries: int = 0
    prompt: int = 0
    completion: int = 0
    money: float = 0.0
    error: str = ""


class Recording:
    """A run's file.

    Parameters
    ----------
    path : the file. must : whether it has to be there already.

    Raises
    ------
    UnknownName
        It has to be there and is not; the nearest run is told.
    SourceError
        The file is not a run, or cannot be written.
    """

    def __init__(self, path: Path, *, must: bool = False):
        self.path = path
        self._lock = threading.Lock()
        if must and not path.is_file():
            raise UnknownName(f"there is no run {path.stem} ({path}).{nearest(path.stem, names())}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = connect(path)
            self._db.executescript(_TABLES)
            found = self.fact("format")
            if found is None:
                self.note({"format": _FORMAT, "began": time.time()})
            elif found != _FORMAT:
                raise SourceError(f"{path} was written by a newer version (format {found}); update ethogram.")
        except (sqlite3.Error, OSError) as error:
            raise SourceError(f"{path} cannot be opened as a run of a language model ({error}).") from None

    def answer(self, key: bytes, draw: int) -> bytes | None:
        """The reply recorded to a question, None if there is none."""
        with self._lock:
            found = self._db.execute("SELECT reply FROM answers WHERE key=? AND draw=?", (key, draw)).fetchone()
        return found[0] if found else None

    def failure(self, key: bytes, draw: int) -> str:
        """What went wrong when a question was asked last ("KIND: message"), "" if nothing did."""
        with self._lock:
            found = self._db.execute(
                "SELECT error FROM calls WHERE key=? AND draw=? ORDER BY seq DESC LIMIT 1", (key, draw)
            ).fetchone()
        return str(found[0]) if found else ""

    def write(self, rows: Iterable[Row]) -> None:
        """Add calls in one transaction."""
        rows = list(rows)
        now = time.time()
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(
                    # what failed is kept as a question, until it is answered
                    "INSERT INTO answers VALUES (?,?,?,?,?) "
                    "ON CONFLICT(key, draw) DO UPDATE SET reply=excluded.reply WHERE reply IS NULL",
                    [(r.key, r.draw, r.path, r.request, r.reply) for r in rows],
                )
                self._db.executemany(
                    "INSERT INTO calls VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?)",
                    [
                        (now, r.purpose, r.identity, r.key, r.draw, r.source, r.seconds, r.tries, r.prompt,
                         r.completion, r.money, r.error)
                        for r in rows
                    ],
                )  # fmt: skip
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def fact(self, name: str) -> Any:
        """A fact noted with the run, None if it was not."""
        with self._lock:
            found = self._db.execute("SELECT value FROM facts WHERE name=?", (name,)).fetchone()
        return json.loads(found[0]) if found else None

    def note(self, facts: dict[str, Any]) -> None:
        """Note facts: what the endpoint can do, its model's name."""
        with self._lock:
            rows = [(k, json.dumps(v)) for k, v in facts.items()]
            self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?,?)", rows)

    def calls(self) -> Iterator[dict[str, Any]]:
        """Every call in the order of its answer, with request and reply decoded."""
        with self._lock:
            rows = self._db.execute(
                "SELECT seq, at, purpose, identity, c.key, c.draw, source, seconds, tries, prompt, completion, money, "
                "error, path, request, reply FROM calls c LEFT JOIN answers a ON a.key=c.key AND a.draw=c.draw "
                "ORDER BY seq"
            ).fetchall()
        for row in rows:
            found = dict(zip(_COLUMNS, row, strict=True))
            found["key"] = found["key"].hex()
            for name in ("request", "reply"):
                found[name] = json.loads(found[name]) if found[name] is not None else None
            yield found

    def totals(self) -> dict[str, Any]:
        """When it began, how many calls, how many of them were sent and how many failed, tokens, money."""
        with self._lock:
            row = self._db.execute(
                f"SELECT MIN(at), COUNT(*), TOTAL({_SENT}), TOTAL(error<>''), TOTAL(prompt + completion), "
                "TOTAL(money) FROM calls"
            ).fetchone()
        return {
            "began": row[0] and time.strftime("%Y-%m-%d %H:%M", time.localtime(row[0])), "calls": row[1],
            "sent": int(row[2]), "failed": int(row[3]), "tokens": int(row[4]), "money": row[5],
        }  # fmt: skip

    def spent(self, free: Collection[str] = ()) -> tuple[int, int, float]:
        """Calls that were sent, tokens and money, of all models but those."""
        found = [told for told in self.models() if told[0] not in free]
        return sum(t[1] for t in found), sum(t[2] for t in found), sum(t[3] for t in found)

    def models(self) -> list[tuple[str, int, int, float]]:
        """(identity, calls that were sent to it, tokens, money), the most called first."""
        with self._lock:
            rows = self._db.execute(
                f"SELECT identity, TOTAL({_SENT}), TOTAL(prompt + completion), TOTAL(money) FROM calls "
                "GROUP BY identity ORDER BY 2 DESC, 1"
            ).fetchall()
        return [(i, int(calls), int(tokens), money) for i, calls, tokens, money in rows]

    def close(self) -> None:
        """Close the file."""
        self._db.close()


_SENT = "source='live' AND error NOT LIKE 'BudgetSpent:%'"
"""What was refused for its price was not sent."""


_COLUMNS = (
    *("seq", "at", "purpose", "identity", "key", "draw", "source", "seconds", "tries", "prompt", "completion"),
    *("money", "error", "path", "request", "reply"),
)
