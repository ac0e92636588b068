"""Larger than memory: a generated log of any length imported, described, split, encoded and learned from.

``python -m benchmarks scale`` measures 20 M events; ``SCALE_EVENTS=200000000`` another number, on the same users and
items, so that the memory of both can be compared. Every stage is a process of its own: what it says of memory is its
own. Files lie in ``TMPDIR`` and go at the end.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Target
from benchmarks.race import Found, Race

EVENTS = int(os.environ.get("SCALE_EVENTS", 20_000_000))
USERS, ITEMS, BLOCK = 1_000_000, 100_000, 2_000_000
LIMIT = 4_096
"""MiB of anonymous memory that no stage may exceed."""


def generate(folder: Path, events: int = EVENTS) -> None:
    """Parquet parts in order of time: items by popularity in a neighbourhood of the user's own, a value, a kind."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    begin, span = 1_600_000_000_000_000, 31_536_000_000_000
    kinds = pa.array(["view", "buy", "rate"])
    for i, at in enumerate(range(0, events, BLOCK)):
        n = min(BLOCK, events - at)
        user = (rng.random(n) ** 1.5 * USERS).astype(np.int64)
        taste = user * 2_654_435_761 % ITEMS
        near = (rng.pareto(0.8, n) * 3).astype(np.int64) % ITEMS
        item = np.where(rng.random(n) < 0.7, (taste + near) % ITEMS, near)
        time = np.sort(rng.integers(at, at + n, n)) * (span // events) + begin
        table = pa.table(
            {
                "user_id": user * 7 + 11,
                "item_id": item * 3 + 5,
                "timestamp": pa.array(time, pa.timestamp("us", "UTC")),
                "rating": pa.array(rng.integers(1, 6, n), pa.int64()).cast(pa.float64()),
                "event_type": pa.DictionaryArray.from_arrays(rng.choice(3, n, p=[0.8, 0.15, 0.05]), kinds),
            }
        )
        pq.write_table(table, folder / f"part-{i:05d}.parquet", compression="zstd")


def import_(source: Path, out: Path) -> dict[str, Any]:
    from ethogram.log.ingest import ingest

    found = ingest(source, out)
    size = sum(f.stat().st_size for f in (out / "blocks").iterdir())
    arrays = sum(f.stat().st_size for f in (out / "arrays").rglob("*") if f.is_file())
    return {"events": len(found), "block_bytes": size, "array_bytes": arrays}


def describe(source: Path, out: Path) -> dict[str, Any]:
    facts = _log(out).describe()
    return {n: facts[n] for n in ("events", "users", "items", "repeat_ratio", "tie_share", "density")}


def split(source: Path, out: Path) -> dict[str, Any]:
    cut = _log(out).split("temporal")
    return {p: len(getattr(cut, p).sequences()) for p in ("train", "valid", "test")}


def encode(source: Path, out: Path) -> dict[str, Any]:
    log = _log(out)
    features = log.features()
    asked = log.split("temporal").test.questions("next")
    batch = features.encode(asked.histories, asked.candidates)
    return {"questions": len(batch), "columns": sorted(batch.sequences["history"].columns)}


def popularity(source: Path, out: Path) -> dict[str, Any]:
    from ethogram import system

    return {"counted": int(system("popularity").fit(_log(out)).fitted.known.counts.sum())}


def transition_kernel(source: Path, out: Path) -> dict[str, Any]:
    from ethogram import system

    fitted = system("transition_kernel", gap=1, neighbours=100).fit(_log(out)).fitted
    return {"neighbours": len(fitted.rows.codes)}


def sasrec(source: Path, out: Path) -> dict[str, Any]:
    from ethogram import system

    built = system("sasrec", epochs=1, windows=2_000, loss="sampled", dim=32, layers=1)
    return {"epochs": built.fit(_log(out)).fitted.trained.epoch}


STAGES: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "import": import_,
    "describe": describe,
    "split": split,
    "encode": encode,
    "fit popularity": popularity,
    "fit transition_kernel": transition_kernel,
    "fit sasrec, 2,000 windows": sasrec,
}


def _log(out: Path) -> Any:
    from ethogram.log import Log

    return Log.open(out)


def stage(name: str, source: Path, out: Path) -> dict[str, Any]:
    """Run one stage here and say what it cost."""
    from ethogram.evaluate import measure

    with measure() as cost:
        told = STAGES[name](source, out)
    return {"cpu": cost.cpu_seconds, "wall": cost.wall_seconds, "peak_mb": cost.peak_mb, "told": told}


def run(events: int = EVENTS) -> Found:
    """All stages, each in a process of its own."""
    folder = Path(tempfile.mkdtemp(prefix="ethogram-scale-"))
    found, told = Found(), {}
    try:
        (folder / "source").mkdir()
        generate(folder / "source", events)
        for name in STAGES:
            told[name] = child(name, folder / "source", folder / "log")
            print(f"  {name}: {told[name]}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder)
    return summary(found, told, events)


def child(name: str, source: Path, out: Path) -> dict[str, Any]:
    """One stage in a process of its own."""
    code = "import sys; from benchmarks.cases.scale import main; main(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, name, str(source), str(out)], stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def summary(found: Found, told: Mapping[str, Mapping[str, Any]], events: int) -> Found:
    """Rows and goals; the answers of the stages have to agree."""
    said = {name: stage["told"] for name, stage in told.items()}
    assert said["import"]["events"] == said["describe"]["events"] == said["fit popularity"]["counted"] == events
    assert sum(said["split"].values()) == events
    for name, stage in told.items():
        found.rows.append(
            {
                "stage": f"ethogram {name}",
                "CPU s": stage["cpu"],
                "wall s": stage["wall"],
                "peak anonymous MiB": round(stage["peak_mb"]),
                "million events per CPU s": events / stage["cpu"] / 1e6,
            }
        )
    blocks, arrays = (said["import"][f"{what}_bytes"] / events for what in ("block", "array"))
    found.values = {"peak": max(stage["peak_mb"] for stage in told.values()), "bytes": blocks}
    found.notes = [
        f"{events:,} events of {said['describe']['users']:,} users on {said['describe']['items']:,} items, five "
        f"columns; compressed {blocks:.1f} bytes an event in Parquet, {arrays:.1f} in the mapped arrays beside it",
        "columns of parts and whatever else is as long as the log lie in temporary files; memory is anonymous memory "
        "above that at the start of the stage",
    ]
    return found


def main(name: str, source: str, out: str) -> None:
    """One stage; its cost is printed as a line of JSON."""
    print(json.dumps(stage(name, Path(source), Path(out))))


def cases() -> Iterable[Race]:
    yield Race(
        f"scale_{EVENTS // 1_000_000:03d}m",
        f"Larger than memory: {EVENTS // 1_000_000} M generated events, each stage in a process of its own",
        run,
        [Target("highest peak of anonymous memory, MiB", lambda v: v["peak"], most=LIMIT)],
    )
