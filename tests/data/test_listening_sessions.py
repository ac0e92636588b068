"""Released listening logs, on made-up copies in the layouts of the originals; not a row of them is here."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ethogram import data
from ethogram.data.listening_sessions import MINUTE, cut
from ethogram.errors import MissingData, OptionError, SourceError

SMALL = {"songs": 3, "least": 2, "sessions": 2}
START = 1_650_000_000


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("ETHOGRAM_DATA", str(tmp_path))

    def folder(name):
        made = tmp_path / "listening-sessions" / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    return folder


def by_hand(user, item, time, session, gap, songs, least, sessions):
    """The cut, one play at a time."""
    held: dict[int, list[tuple[int, list[int]]]] = {}
    key = (lambda r: (user[r], time[r])) if session is None else (lambda r: (user[r], session[r], time[r]))
    before = None
    for r in sorted(range(len(user)), key=key):
        fresh = before is None or user[before] != user[r]
        if not fresh:
            fresh = session[before] != session[r] if session is not None else time[r] - time[before] > gap
        if fresh:
            held.setdefault(user[r], []).append((time[r], []))
        mine = held[user[r]][-1][1]
        if item[r] not in mine:
            mine.append(item[r])
        before = r
    found = []
    for u, all_ in held.items():
        good = [(t, s[:songs]) for t, s in all_ if len(s) >= least]
        if len(good) >= sessions:
            found += [(u, t, i) for t, s in good for i in s]
    return sorted(found)


@pytest.mark.parametrize("named", [False, True])
def test_sessions_are_cut_as_by_hand(named):
    rng = np.random.default_rng(0)
    n = 3_000
    user, item = rng.integers(0, 12, n), rng.integers(0, 9, n)
    time = rng.integers(0, 40_000, n) * 60 * 10**6 // 10
    session = rng.integers(0, 40, n) if named else None
    how = {"songs": 4, "least": 3, "sessions": 20}
    kept = cut(user, item, time, session, gap=20 * MINUTE, **how)
    mine = sorted(zip(user[kept.rows].tolist(), kept.begun.tolist(), item[kept.rows].tolist(), strict=True))
    assert mine == by_hand(user, item, time, session, 20 * MINUTE, **how)
    assert 0 < len(mine) < n


def test_a_pause_of_twenty_minutes_belongs_to_the_session():
    time = np.array([0, 20 * MINUTE, 40 * MINUTE + 1])
    kept = cut(np.zeros(3, int), np.arange(3), time, gap=20 * MINUTE, songs=10, least=1, sessions=1)
    assert kept.begun.tolist() == [0, 0, 40 * MINUTE + 1]


def deezer(folder, rows, name="min250sess/sessions/part-00000"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    columns = ("user_id", "session_id", "ts", "product_track_id")
    pq.write_table(pa.table(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))), folder / name)


def test_deezers_files_are_read(place):
    folder = place("deezer")
    rows = [(u, 10 * u + s, START + 5_000 * s + 60 * j, 100 + (s + j) % 4) for u in (1, 2) for s in range(3)
            for j in range(4)]  # fmt: skip
    bad = [(1, None, START, 100), (2, 20, -5, 101), (None, 20, START, 101), (2, 21, START, None)]
    deezer(folder, rows[::-1] + bad)
    pq.write_table(
        pa.table({"product_track_id": [100, 101, 102, 103], "artist_id": [7, 7, 8, 9], "vector": [[0.0, 1.0]] * 4}),
        folder / "min250sess" / "svd_embeddings",
    )
    log = data.load("listening_sessions", **SMALL)
    told = log.describe()
    assert (told["events"], told["users"]) == (2 * 3 * 3, 2)
    assert told["quarantine"] == {"no session": 1, "time is none": 1, "no user": 1, "no track": 1}
    times = log.table().column("time").cast(pa.int64()).to_pylist()
    assert sorted(set(times)) == [(START + 5_000 * s) * 10**6 for s in range(3)], "a session has one time"
    assert dict(zip(*log.items.to_pydict().values(), strict=True)) == {100: 7, 101: 7, 102: 8, 103: 9}
    assert data.describe("listening_sessions").here
    assert len(data.load("listening_sessions", **SMALL, source="deezer").events.tables["quarantine"]) == 4


def test_a_share_of_the_people_is_drawn_by_their_id(place):
    rows = [(u, 10 * u + s, START + 5_000 * s + j, j) for u in range(200) for s in range(2) for j in range(2)]
    deezer(place("deezer"), rows)
    few, many = (
        data.load("listening_sessions", **SMALL, share=s).vocabulary("user").ids.to_pylist() for s in (0.2, 0.5)
    )
    assert 20 <= len(few) <= 60
    assert set(few) < set(many)


def test_last_fm_1k_is_read_and_tracks_without_an_id_go_by_their_names(place):
    rows = [
        ("user_1", "2009-05-04T23:08:57Z", "art", 'The "Band"', "", "First, song"),
        ("user_1", "2009-05-04T23:12:00Z", "art", 'The "Band"', "id2", "Second"),
        ("user_1", "yesterday", "art", 'The "Band"', "id2", "Second"),
        ("user_1", "broken"),
        ("", "2009-05-05T23:08:57Z", "art", "X", "id3", "Third"),
        ("user_1", "2009-05-05T23:08:57Z", "art", "X", "id3", "Third"),
        ("user_1", "2009-05-05T23:09:57Z", "art", "X", "id4", "Fourth"),
    ]
    (place("lastfm-1k") / "userid-timestamp-artid-artname-traid-traname.tsv").write_text(
        "".join("\t".join(r) + "\n" for r in rows)
    )
    log = data.load("listening_sessions", **SMALL)
    assert log.describe()["quarantine"] == {"2 columns where 6 are": 1, "time is none": 1, "no user": 1}
    titles = dict(zip(log.items["item"].to_pylist(), log.items["title"].to_pylist(), strict=True))
    assert titles == {'The "Band" / First, song': "First, song", "id2": "Second", "id3": "Third", "id4": "Fourth"}
    quarantine = log.events.tables["quarantine"].to_pylist()
    assert {q["reason"]: q["line"] for q in quarantine} == {"2 columns where 6 are": 4, "time is none": 3, "no user": 5}


@pytest.mark.parametrize("sessions", [False, True])
def test_lfm_1b_is_read_raw_and_as_sessions(place, sessions):
    plays = [(u, 5, t + 50, START + 4_000 * s + 100 * t, s) for u in (1, 2) for s in range(2) for t in range(3)]
    if sessions:
        lines = [f"{u},{a},{i},{t},{s}" for u, a, i, t, s in plays] + ["1,5,x,3,1"]
        (place("lfm-1b") / "user_sessions_recent365days_nsess50.csv").write_text("\n".join(lines))
    else:
        lines = [f"{u}\t{a}\t1\t{i}\t{t}" for u, a, i, t, _ in plays] + ["1\t5\t1\tx\t3"]
        (place("lfm-1b") / "LFM-1b_LEs.txt").write_text("\n".join(lines))
    log = data.load("listening_sessions", **SMALL)
    assert log.describe()["events"] == len(plays)
    assert log.describe()["quarantine"] == {"no track": 1}
    assert log.vocabulary("item").ids.to_pylist() == [50, 51, 52]


def test_a_table_with_a_header_is_read_compressed_too(place):
    import gzip

    lines = ["user_id\ttrack_id\talbum_id\ttimestamp"]
    lines += [f"9\t{t}\t1\t2020-02-0{1 + s} 10:0{t}:00" for s in range(2) for t in range(3)]
    (place("lfm-1b") / "listening_events.tsv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert data.load("listening_sessions", **SMALL).describe()["events"] == 6


def test_what_few_people_heard_is_left_out(place):
    rows = [
        (u, 10 * u + s, START + 5_000 * s + j, j if u else 40 + j) for u in range(3) for s in range(2) for j in (1, 2)
    ]
    deezer(place("deezer"), rows)
    assert data.load("listening_sessions", **SMALL, heard=2).vocabulary("item").ids.to_pylist() == [1, 2]


def test_absent_or_useless_files_say_what_would_be_right(place):
    with pytest.raises(MissingData, match=r"listening-sessions/deezer.*zenodo"):
        data.load("listening_sessions")
    assert not data.describe("listening_sessions").here
    (place("deezer") / "README.md").write_text("words, and words\n")
    with pytest.raises(MissingData, match="no file of plays"):
        data.load("listening_sessions", source="deezer")
    deezer(place("deezer"), [(1, 1, START, 5), (1, 1, START + 60, 6)])
    with pytest.raises(SourceError, match="give fewer"):
        data.load("listening_sessions")
    (place("deezer") / "half.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(SourceError, match="no whole Parquet file"):
        data.load("listening_sessions")
    for wrong in ({"gap": 0.0}, {"least": 0}, {"songs": 4, "least": 5}, {"share": 0.0}):
        with pytest.raises(OptionError, match="listening_sessions"):
            data.load("listening_sessions", **wrong)
