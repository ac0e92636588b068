"""One run as data: enough to believe it, to compare it, and to do it again.

A record lies in a folder named by its key, the hash of everything that determines the result: system, options,
code, seed, data, protocol, version. ::

    <store>/<key>/record.json      all but the tables; numbers finite, NaN is null
    <store>/<key>/vectors.parquet  a row per question
    <store>/<key>/draws.parquet    a row per bootstrap resample
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ethogram.errors import StateError
from ethogram.evaluate import machine as here
from ethogram.evaluate.bootstrap import Interval
from ethogram.evaluate.machine import Cost
from ethogram.evaluate.subject import plain

FORMAT = 1
DONE, FAILED = "done", "failed"
_DETERMINING = ("system", "options", "code", "seed", "data", "protocol", "version")


@dataclass(frozen=True, eq=False, kw_only=True)
class Record:
    """The result of one run.

    Attributes
    ----------
    system, options, code : what ran; see `ethogram.evaluate.subject`. seed : of its training.
    data : ``{"name", "fingerprint"}`` of the log; only the fingerprint enters the key.
    protocol : how it was split, asked and resampled.
    metrics, intervals, facts, vectors, draws, plan : as in `Evaluation`.
    costs : ``{"fit": Cost, "evaluate": Cost}``.
    status : ``done`` or ``failed``, then `error` says why in one line.
    """

    system: str
    options: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    seed: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    vectors: pa.Table | None = None
    draws: pa.Table | None = None
    plan: str = ""
    costs: Mapping[str, Cost] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=here.versions)
    machine: Mapping[str, Any] = field(default_factory=here.facts)
    made: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    status: str = DONE
    error: str | None = None

    @property
    def version(self) -> str:
        """Version of Ethogram that made it."""
        return str(self.versions.get("ethogram", ""))

    @property
    def key(self) -> str:
        """Name of the record: hash of what determines the result."""
        told = {name: getattr(self, name) for name in _DETERMINING}
        told["data"] = self.data.get("fingerprint")
        text = json.dumps(plain(told), sort_keys=True, allow_nan=False)
        return f"{self.system}-{hashlib.blake2b(text.encode(), digest_size=10).hexdigest()}"

    def interval(self, metric: str) -> Interval:
        """A metric with its interval; the ends are NaN where it has none."""
        low, high = self.intervals.get(metric, (math.nan, math.nan))
        return Interval(self.metrics[metric], low, high)

    def draw(self, metric: str) -> np.ndarray | None:
        """The metric in every resample, float64[B], or None."""
        if self.draws is None or metric not in self.draws.column_names:
            return None
        return np.asarray(self.draws.column(metric).to_numpy(zero_copy_only=False))

    def json(self) -> dict[str, Any]:
        """All but the tables, as strict JSON."""
        found = ("metrics", "intervals", "facts", "plan", "versions", "machine", "made", "status", "error")
        costs = {name: cost.json() for name, cost in self.costs.items()}
        told = {name: getattr(self, name) for name in (*_DETERMINING, *found)} | {
            "costs": costs,
            "key": self.key,
            "format": FORMAT,
        }
        return dict(plain(told))

    # -- on disk ------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        """Write the record as a folder, whole or not at all; what is there is replaced."""
        target = Path(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            text = json.dumps(self.json(), indent=1, allow_nan=False)
            _write(fresh / "record.json", text.encode())
            for name, table in (("vectors", self.vectors), ("draws", self.draws)):
                if table is not None:
                    sink = pa.BufferOutputStream()
                    pq.write_table(table, sink, compression="zstd")
                    _write(fresh / f"{name}.parquet", sink.getvalue())
            if target.exists():
                # a kill between the two renames loses a record that can be made again, never half of one
                old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
                os.rename(target, old / "old")
                os.rename(fresh, target)
                shutil.rmtree(old)
            else:
                os.rename(fresh, target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return target

    @classmethod
    def load(cls, folder: str | Path) -> Record:
        """Read a folder that `save` wrote.

        Raises
        ------
        StateError
            It is no record, is damaged, or a newer version wrote it.
        """
        folder = Path(folder)
        try:
            told = json.loads((folder / "record.json").read_text("utf-8"))
            if told["format"] > FORMAT:
                raise StateError(f"{folder}: record format {told['format']} is newer than {FORMAT}; update ethogram.")
            tables = {
                name: pq.read_table(folder / f"{name}.parquet")
                for name in ("vectors", "draws") if (folder / f"{name}.parquet").exists()
            }  # fmt: skip
            numbers = {k: math.nan if v is None else v for k, v in told["metrics"].items()}
            ends = {k: tuple(math.nan if e is None else e for e in v) for k, v in told["intervals"].items()}
            costs = {k: Cost(**v) for k, v in told["costs"].items()}
            known = {k: v for k, v in told.items() if k in cls.__dataclass_fields__}
            return cls(**{**known, "metrics": numbers, "intervals": ends, "costs": costs, **tables})
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise StateError(f"{folder} is no readable record: {error}") from error


class RecordStore:
    """A folder of records, one folder each; safe to fill again after a kill.

    Parameters
    ----------
    path : made when the first record is put.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def __contains__(self, key: str) -> bool:
        return (self.path / key / "record.json").exists()

    def get(self, key: str) -> Record | None:
        """The record of that key, None if there is none."""
        return Record.load(self.path / key) if key in self else None

    def put(self, record: Record) -> Path:
        """Keep a record under its key, in place of an older one."""
        return record.save(self.path / record.key)

    def list(self) -> list[str]:
        """Keys of all records, sorted."""
        if not self.path.is_dir():
            return []
        return sorted(p.name for p in self.path.iterdir() if p.name[0] != "." and p.name in self)

    def __iter__(self) -> Iterator[Record]:
        return (Record.load(self.path / key) for key in self.list())

    def __len__(self) -> int:
        return len(self.list())


def _write(path: Path, content: Any) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
