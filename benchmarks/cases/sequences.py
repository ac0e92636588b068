"""Five million events: from raw rows to sessions, last-50 histories and a split, beside the data-frame libraries."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Case, Figure, Target, best

EVENTS, USERS, ITEMS, GAP = 5_000_000, 100_000, 50_000, 1_800_000
DAYS = 30


@dataclass
class Problem:
    """A time-sorted Parquet file with raw ids, and each side's best form in memory."""

    folder: Path
    file: Path
    log: Any = None
    rows: Any = None
    pandas: Any = None
    polars: Any = None
    duckdb: Any = None


def raw() -> Problem:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    folder = Path(tempfile.mkdtemp(prefix="ethogram-bench-"))
    table = pa.table(
        {
            "user": rng.integers(0, USERS, EVENTS) * 13 + 5,
            "item": rng.zipf(1.2, EVENTS) % ITEMS * 7 + 3,
            "time": np.sort(rng.integers(0, DAYS * 86_400_000, EVENTS)) + 1_500_000_000_000,
        }
    )
    pq.write_table(table, folder / "events.parquet")
    return Problem(folder, folder / "events.parquet")


def ours_from_parquet(p: Problem) -> int:
    from ethogram.log import Log
    from ethogram.log import opened as cache

    cache._OPENED.clear()  # every turn reads the file
    rows = Log.open(str(p.file)).sessions(timedelta(milliseconds=GAP)).rows()
    return _sessions(rows)


def _sessions(rows: Any) -> int:
    number = rows.columns["session"]
    return int(number[rows.offsets[1:] - 1].sum() + len(rows.users))


def pandas_from_parquet(p: Problem) -> int:
    import pandas as pd

    frame = pd.read_parquet(p.file, columns=["user", "time"])
    return _pandas(frame)


def _pandas(frame: Any) -> int:
    gap = frame.groupby("user", sort=False)["time"].diff()
    return int((gap.isna() | (gap > GAP)).sum())


def polars_from_parquet(p: Problem) -> int:
    import polars as pl

    frame = pl.read_parquet(p.file, columns=["user", "time"])
    return _polars(frame)


def _polars(frame: Any) -> int:
    import polars as pl

    ordered = frame.sort("user", maintain_order=True)
    new = (pl.col("user") != pl.col("user").shift(1)) | (pl.col("time") - pl.col("time").shift(1) > GAP)
    return int(ordered.select(new.fill_null(True).sum()).item())


def duckdb_from_parquet(p: Problem) -> int:
    return _duckdb(f"read_parquet('{p.file}')", _connection())


def _connection() -> Any:
    import duckdb

    con = duckdb.connect()
    con.execute("SET threads = 1")
    return con


def _duckdb(source: str, con: Any) -> int:
    sql = f"""SELECT count(*) FILTER (before IS NULL OR time - before > {GAP})
              FROM (SELECT time, lag(time) OVER (PARTITION BY "user" ORDER BY time) AS before FROM {source})"""
    return int(con.execute(sql).fetchall()[0][0])


def same(_: Problem, answers: Mapping[str, Any]) -> None:
    assert len({str(a) for a in answers.values()}) == 1, f"answers differ: {answers}"


def prepared() -> Problem:
    import pandas as pd
    import polars as pl

    from ethogram.log import Log

    p = raw()
    p.log = Log.open(str(p.file))
    p.rows = p.log.rows()
    # each library's best form: integer codes, rows by user and time, Polars told so
    frame = pd.read_parquet(p.file)
    coded = {c: pd.factorize(frame[c], sort=True)[0].astype("int32") for c in ("user", "item")}
    p.pandas = frame.assign(**coded).sort_values(["user", "time"], kind="stable", ignore_index=True)
    p.polars = pl.from_pandas(p.pandas).with_columns(pl.col("user").set_sorted())
    p.duckdb = _connection()
    p.duckdb.register("frame", p.pandas)
    p.duckdb.execute('CREATE TABLE events AS SELECT "user", item, time, row_number() OVER () AS row FROM frame')
    return p


def ours_in_memory(p: Problem) -> tuple[int, int, int]:
    from dataclasses import replace

    from ethogram.log import Histories
    from ethogram.log.split import LastGroups
    from ethogram.log.steps import Sessions

    rows = replace(p.rows, _kept={})  # nothing remembered from the turn before
    sessions = _sessions(Sessions(GAP * 1_000).rows(rows, p.log))
    last = Histories.at(rows, rows.users).last(50)
    parts = [LastGroups(name).rows(rows, p.log) for name in ("train", "valid", "test")]
    for part in parts:  # columns are copied when they are read
        assert len(part.columns["item"]) == len(part.columns["time"]) == len(part)
    return sessions, int(last.lengths.sum()), sum(len(x) * w for x, w in zip(parts, (1, 3, 7), strict=True))


def pandas_in_memory(p: Problem) -> tuple[int, int, int]:
    frame = p.pandas
    user, time = frame["user"].to_numpy(), frame["time"].to_numpy()
    sessions = 1 + int(((user[1:] != user[:-1]) | (time[1:] - time[:-1] > GAP)).sum())
    last = frame[frame.groupby("user", sort=False).cumcount(ascending=False).to_numpy() < 50]
    held = _last_time(frame)
    rest, test = frame[~held], frame[held]
    held = _last_time(rest)
    return sessions, len(last), len(rest[~held]) + 3 * len(rest[held]) + 7 * len(test)


def _last_time(frame: Any) -> np.ndarray:
    """bool[N]: the row has the time of its user's last row; equal times at the end are one group in all four."""
    last = ~frame["user"].duplicated(keep="last").to_numpy()
    time, sizes = frame["time"].to_numpy(), np.diff(np.append(-1, np.flatnonzero(last)))
    return time == np.repeat(time[last], sizes)


def polars_in_memory(p: Problem) -> tuple[int, int, int]:
    import polars as pl

    frame = p.polars
    new = (pl.col("user") != pl.col("user").shift(1)) | (pl.col("time") - pl.col("time").shift(1) > GAP)
    sessions = int(frame.select(new.fill_null(True).sum()).item())
    last = frame.group_by("user", maintain_order=True).tail(50)
    at_last = pl.col("time") == pl.col("time").last().over("user")
    held = frame.select(at_last).to_series()
    rest, test = frame.filter(~held), frame.filter(held)
    held = rest.select(at_last).to_series()
    return sessions, len(last), len(rest.filter(~held)) + 3 * len(rest.filter(held)) + 7 * len(test)


def duckdb_in_memory(p: Problem) -> tuple[int, int, int]:
    con = p.duckdb
    sessions = _duckdb("events", con)
    sql = """SELECT count(*) FROM (
             SELECT 1 FROM events QUALIFY row_number() OVER (PARTITION BY "user" ORDER BY time DESC, row DESC) <= 50)"""
    last = con.execute(sql).fetchall()[0][0]
    sql = """CREATE OR REPLACE TEMP TABLE parts AS
             SELECT *, dense_rank() OVER (PARTITION BY "user" ORDER BY time DESC) AS back FROM events"""
    con.execute(sql)
    train, valid, test = con.execute(
        "SELECT count(*) FILTER (back > 2), count(*) FILTER (back = 2), count(*) FILTER (back = 1) FROM parts"
    ).fetchall()[0]
    return sessions, int(last), int(train + 3 * valid + 7 * test)


def ours_import(p: Problem) -> int:
    from ethogram.log import Log
    from ethogram.log import opened as cache

    cache._OPENED.clear()
    target = p.folder / "log"
    shutil.rmtree(target, ignore_errors=True)
    return len(Log.open(str(p.file)).write(target).rows())


def pandas_bare(p: Problem) -> int:
    import pandas as pd

    frame = pd.read_parquet(p.file)
    frame["user_code"] = pd.factorize(frame["user"], sort=True)[0].astype("int32")
    frame["item_code"] = pd.factorize(frame["item"], sort=True)[0].astype("int32")
    frame = frame.sort_values(["user_code", "time"], kind="stable")
    frame.to_parquet(p.folder / "pandas.parquet", index=False)
    return len(frame)


def cases() -> Iterable[Case]:
    def ratio(figures: Mapping[str, Figure]) -> float:
        return best(figures) / figures["ethogram"].cpu

    size = f"{EVENTS // 1_000_000} M events, {USERS // 1000} k users"
    yield Case(
        "sessions_from_parquet",
        f"{size}, time-sorted Parquet with raw ids: ours to coded rows + sessions, peers to sessions alone",
        raw,
        {
            "ethogram": ours_from_parquet,
            "pandas groupby.diff": pandas_from_parquet,
            "polars stable sort, shift": polars_from_parquet,
            "duckdb lag() over": duckdb_from_parquet,
        },
        same,
        [Target("best peer's CPU / ours", ratio, least=1.0)],
        notes="ours validates, codes users and items, sorts and keeps the result; the peers count sessions only",
    )
    yield Case(
        "sessions_last50_split_in_memory",
        f"{size}, each side's best form in memory: sessions + last 50 of each user + leave-last-out",
        prepared,
        {
            "ethogram": ours_in_memory,
            "pandas": pandas_in_memory,
            "polars": polars_in_memory,
            "duckdb": duckdb_in_memory,
        },
        same,
        [Target("best peer's CPU / ours", ratio, least=3.0)],
        notes="rows lie by user and time in all but duckdb, which cannot be told; leave-last-out holds out groups of "
        "equal times; ours and the data frames copy item and time of the three parts, the frames also the user and the "
        "last 50 events, which are slices in ours",
    )
    yield Case(
        "import_with_validation",
        f"{size}: import with validation, quarantine, vocabularies, fsync; pandas: bare read, code, sort, write",
        raw,
        {"ethogram": ours_import, "pandas bare": pandas_bare},
        same,
        [Target("ours / pandas' CPU", lambda f: f["ethogram"].cpu / best(f), most=3.0)],
        repeats=3,
    )
