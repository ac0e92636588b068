"""Released listening logs as sessions: what people played together, session after session.

A pause of more than `gap` minutes begins a new session, unless the files name sessions themselves. Of a session its
first `songs` distinct tracks are kept, and all of them get the time at which it began: they are one unordered group,
and a question about what comes next is about a whole session.

Reference: V.-A. Tran, G. Salha-Galvan, B. Sguerra, R. Hennequin: Transformers Meet ACT-R: Repeat-Aware and Sequential
Listening Session Recommendation. RecSys 2024 (how sessions are cut, and the release of Deezer's).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit

from ethogram.data.files import roots
from ethogram.data.plays import Form, Plays, form, read
from ethogram.data.registry import Reading, data_set
from ethogram.errors import MissingData, OptionError, SourceError

FOLDER = "listening-sessions"
RELEASES = {
    "deezer": (
        "deezer",
        "zenodo.org/records/13890194: the Parquet files of sessions, and of tracks and artists",
    ),
    "lfm_1b": ("lfm-1b", "LFM-1b_LEs.txt of LFM-1b, or listening events or sessions cut from it"),
    "lastfm_1k": ("lastfm-1k", "userid-timestamp-artid-artname-traid-traname.tsv of zenodo.org/records/6090214"),
}
MINUTE = 60_000_000


@data_set(
    "listening_sessions",
    what="listening sessions of a released log: Deezer's (700 M plays, 3.4 M people), LFM-1b's, Last.fm-1K's",
    licence="each release's own; for research, non-commercial",
    origin="; ".join(told for _, told in RELEASES.values()),
    get=f"put files as released into {FOLDER}/deezer/, {FOLDER}/lfm-1b/ or {FOLDER}/lastfm-1k/ in the folder that "
    "ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class ListeningSessions:
    """Items: artist, title where the files tell them. Rows that are no plays stand in the log's quarantine."""

    source: Literal["auto", "deezer", "lfm_1b", "lastfm_1k"] = "auto"
    "Whose release; auto takes the first that is there."
    gap: float = 20.0
    "Minutes without a play after which a session ends; not asked where the files name sessions."
    songs: int = 10
    "First distinct tracks of a session that are kept; 0 keeps all."
    least: int = 10
    "Distinct tracks below which a session is left out."
    sessions: int = 50
    "Sessions below which a person is left out; Deezer's own study has 250."
    heard: int = 1
    "People below whom a track is left out before sessions are cut; the study of LFM-1b has 1,500."
    share: float = 1.0
    "Share of the people, drawn by a hash of their id, so that what is large fits into memory."

    def __post_init__(self) -> None:
        for wrong, text in (
            (not self.gap > 0, f"gap = {self.gap}; give minutes above 0"),
            (self.songs < 0, f"songs = {self.songs}; give 1 or more, 0 for all"),
            (min(self.least, self.sessions, self.heard) < 1, "least, sessions, heard: 1 or more"),
            (
                0 < self.songs < self.least,
                f"least = {self.least}, but songs = {self.songs} are kept of a session",
            ),
            (not 0 < self.share <= 1, f"share = {self.share} does not lie in (0, 1]"),
        ):
            if wrong:
                raise OptionError(f"listening_sessions: {text}.")

    def files(self) -> tuple[Path, ...]:
        return tuple(path for path, _ in self._found)

    @cached_property
    def _found(self) -> list[tuple[Path, Form]]:
        asked = RELEASES if self.source == "auto" else {self.source: RELEASES[self.source]}
        looked = [root / FOLDER / folder for root in roots() for folder, _ in asked.values()]
        for place in looked:
            files = sorted(p for p in place.rglob("*") if p.is_file() and not p.name.startswith((".", "_")))
            found = [(p, f) for p in files if (f := form(p)) is not None]
            if any("user" in f.roles for _, f in found):
                return found
        told = "; ".join(f"{FOLDER}/{folder}/: {what}" for folder, what in asked.values())
        raise MissingData(
            f"data set 'listening_sessions' is not here: no file of plays in {' or '.join(map(str, looked))}. "
            f"Put files as released there and set ETHOGRAM_DATA to the folder above {FOLDER}/ ({told})."
        )

    def read(self) -> Reading:
        plays, artists = read(self._found, self.share)
        columns = plays.columns
        user, item = (columns[n].combine_chunks().dictionary_encode() for n in ("user", "item"))
        people, tracks = (c.indices.to_numpy(zero_copy_only=False) for c in (user, item))
        time = columns["time"].to_numpy()
        given = columns["session"].combine_chunks().dictionary_encode() if "session" in columns else None
        session = None if given is None else given.indices.to_numpy(zero_copy_only=False)
        chosen = np.arange(len(time)) if self.heard == 1 else np.flatnonzero(self._often(people, tracks)[tracks])
        kept = cut(
            people[chosen], tracks[chosen], time[chosen], None if session is None else session[chosen],
            gap=int(self.gap * MINUTE), songs=self.songs, least=self.least, sessions=self.sessions,
        )  # fmt: skip
        logging.getLogger(__name__).info(
            "listening_sessions: %s plays, %s sessions of %s people have %s of them", f"{len(time):,}",
            f"{len(np.unique(kept.number)):,}", f"{len(np.unique(people[chosen][kept.rows])):,}",
            f"{len(kept.rows):,}",
        )  # fmt: skip
        if not len(kept.rows):
            raise SourceError(
                f"listening_sessions: none of {len(time):,} plays is in a session of {self.least} tracks of a person "
                f"with {self.sessions} sessions; give fewer (least, sessions)."
            )
        rows = chosen[kept.rows]
        events = pa.table(
            {
                "user": user.dictionary.take(pa.array(people[rows])),
                "item": item.dictionary.take(pa.array(tracks[rows])),
                "time": pa.array(kept.begun, pa.timestamp("us", "UTC")),
            }
        )
        roles = {name: name for name in events.column_names}
        return Reading(events, roles, _tracks(plays, artists, item, tracks, rows), None, plays.counts, _table(plays))

    def _often(self, people: np.ndarray, tracks: np.ndarray) -> np.ndarray:
        """bool[tracks]: whether so many people played each."""
        size = int(tracks.max(initial=0)) + 1
        pairs = np.unique(people.astype(np.int64) * size + tracks)
        return np.bincount(pairs % size, minlength=size) >= self.heard


class Kept(NamedTuple):
    """Plays that are kept: int64 `rows`, the session `number` of each and when it `begun`, in microseconds."""

    rows: np.ndarray
    number: np.ndarray
    begun: np.ndarray


def cut(
    user: np.ndarray, item: np.ndarray, time: np.ndarray, session: np.ndarray | None = None, *, gap: int,
    songs: int = 10, least: int = 10, sessions: int = 50,
) -> Kept:  # fmt: skip
    """Cut plays in any order into sessions.

    Parameters
    ----------
    user, item : codes from 0. time : int64, microseconds. session : codes; without them a session ends by a longer
        silence than `gap`. songs, least, sessions : options of `ListeningSessions`.
    """
    order = np.lexsort((time, user) if session is None else (time, session, user))
    whose, what, when = user[order], item[order], time[order]
    named = None if session is None else session[order]
    number, keep, count = _cut(
        whose, what, when, np.empty(0, np.int32) if named is None else named, gap, songs, int(item.max(initial=-1)) + 1
    )
    first = np.flatnonzero(np.diff(number, prepend=-1)) if len(number) else np.empty(0, np.int64)
    sound = count >= least
    owner = whose[first]
    many = np.bincount(owner, sound, minlength=int(user.max(initial=-1)) + 1) >= sessions
    keep &= (sound & many[owner])[number]
    return Kept(order[keep], number[keep], when[first][number[keep]])


@njit(cache=True, nogil=True)
def _cut(user, item, time, session, gap, songs, items):  # type: ignore[no-untyped-def]
    """(session of each play, whether it is kept, distinct tracks of each session)."""
    number, keep = np.empty(len(user), np.int64), np.zeros(len(user), np.bool_)
    count, last = np.zeros(len(user), np.int64), np.full(items, -1)
    s = -1
    for i in range(len(user)):
        fresh = i == 0 or user[i] != user[i - 1]
        if not fresh:
            fresh = session[i] != session[i - 1] if len(session) else time[i] - time[i - 1] > gap
        s += fresh
        number[i] = s
        if last[item[i]] != s:
            last[item[i]] = s
            keep[i] = songs == 0 or count[s] < songs
            count[s] += 1
    return number, keep, count[: s + 1]


def _tracks(plays: Plays, artists: Mapping[Any, Any], item: Any, tracks: np.ndarray, rows: np.ndarray) -> Any:
    """Artist and title of the tracks that are kept; None where nobody tells them."""
    codes, first = np.unique(tracks[rows], return_index=True)
    told = {"item": item.dictionary.take(pa.array(codes))}
    at = pa.array(rows[first])
    told |= {name: plays.columns[name].take(at) for name in ("artist", "title") if name in plays.columns}
    if artists and "artist" not in told:
        told["artist"] = pa.array([artists.get(i) for i in told["item"].to_pylist()])
    return pa.table(told) if len(told) > 1 else None


def _table(plays: Plays) -> pa.Table | None:
    names = {"file": pa.string(), "line": pa.int64(), "reason": pa.string(), "row": pa.string()}
    return pa.Table.from_pylist(plays.aside, pa.schema(names.items())) if plays.aside else None
