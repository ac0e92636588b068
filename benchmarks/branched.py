"""What it takes to resume, to fork and to save a run of many people, in a process of its own.

    python -m benchmarks.branched PEOPLE FOLDER

prints one line of JSON: for each step CPU seconds, wall seconds, anonymous memory that it leaves behind in MiB, and
bytes of columns that it puts on the disk. A tenth of the people is awake in each tick and takes one of eight items by
taste; a taste never changes. Anonymous memory is the process's own: pages of mapped files are the system's, shared by
all who map them.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.simulated import EVERY, clock, crowd

BEGUN = 10
"""Ticks before the run is left."""


def anonymous() -> float:
    """MiB of this process that no file stands behind; what was freed is given back first."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def written(folder: Path) -> int:
    """Bytes in a folder beside the events that no other folder holds as well."""
    found = [p.stat() for p in folder.rglob("*") if p.is_file() and p.name != "events.bin"]
    return sum(s.st_size for s in found if s.st_nlink == 1)


def build(people: int, folder: Path | None, **options: Any) -> Any:
    return crowd(people, folder, EVERY, **options)


def prepared(people: int, folder: Path) -> None:
    """A run with two checkpoints, left."""
    made = build(people, folder).run(BEGUN - 1)
    made.checkpoint()
    made.run(BEGUN).checkpoint()
    made.close()


@contextmanager
def unlinked() -> Iterator[None]:
    """As on a file system without links."""

    def refused(*_: Any) -> None:
        raise OSError("no links")

    link, os.link = os.link, refused  # type: ignore[assignment]
    try:
        yield
    finally:
        os.link = link


def steps(people: int, folder: Path) -> dict[str, Any]:
    """What each step took; the run that is resumed lies in ``folder/run``."""
    found: dict[str, Any] = {}

    def step(name: str, do: Callable[[], Any], place: Path | None = None) -> Any:
        before, began = anonymous(), clock()
        made = do()
        wall, cpu = (b - a for a, b in zip(began, clock(), strict=True))
        found[name] = {
            "wall": wall, "cpu": cpu, "anonymous": anonymous() - before, "written": written(place) if place else 0
        }  # fmt: skip
        return made

    prepared(100, folder / "small")  # what is compiled and imported on the way is there
    small = build(100, folder / "small", resume=True)
    small.fork(folder=folder / "small fork").close()
    small.close()
    gc.freeze()  # what is there by now is not looked through again and again
    step("declared", lambda: build(people, None)).close()
    run = step("resumed", lambda: build(people, folder / "run", resume=True))
    kept = step("forked into a folder", lambda: run.fork(folder=folder / "fork"), folder / "fork")
    told = kept.checkpoint()
    with unlinked():
        step("without links", lambda: run.fork(folder=folder / "copy"), folder / "copy").close()
    step("columns copied", lambda: {name: array.copy() for name, array in run.live.arrays.items()})
    step("ran a tick", lambda: kept.run(BEGUN + 1))
    branch = step("forked in memory", lambda: kept.fork())
    step("ran a tick in memory", lambda: branch.run(BEGUN + 2))
    again = step("saved after a tick", kept.checkpoint)
    found["saved after a tick"]["written"] = written(again)
    assert again != told
    assert kept.fork().run(BEGUN + 2).fingerprint == branch.fingerprint
    kept.close()
    run.close()
    gc.unfreeze()
    return found


if __name__ == "__main__":
    people, folder = int(sys.argv[1]), Path(sys.argv[2])
    if not folder.exists():
        # the run that is resumed was left by another process
        made = "import sys; from pathlib import Path; from benchmarks.branched import prepared"
        made += "; prepared(int(sys.argv[1]), Path(sys.argv[2]) / 'run')"
        subprocess.run([sys.executable, "-c", made, str(people), str(folder)], check=True)
    json.dump(steps(people, folder), sys.stdout)
