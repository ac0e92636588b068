"""On what a number was measured, what it cost, and what else the machine was doing meanwhile."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_PACKAGES = (
    *("ethogram", "numpy", "scipy", "numba", "pyarrow", "duckdb", "narwhals", "scikit-learn", "torch", "polars"),
    *("pandas", "safetensors"),
)
_STATUS = Path("/proc/self/status")


@dataclass
class Cost:
    """What a piece of work cost; filled when it ends.

    Attributes
    ----------
    cpu_seconds : of this process, all threads. wall_seconds : on the clock.
    peak_mb : highest anonymous memory (heap, arrays; not file-backed pages) above that at the start, in MiB,
        sampled every 10 ms, so a shorter peak may be missed; None where the system does not tell (not Linux).
    load : runnable processes on the machine over the last minute, when the work began; None if unknown.
    """

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_mb: float | None = None
    load: float | None = None

    def json(self) -> dict[str, float | None]:
        return asdict(self)


@contextlib.contextmanager
def measure() -> Iterator[Cost]:
    """Measure what is done inside.

    >>> with measure() as cost:
    ...     total = sum(range(1000))
    >>> cost.wall_seconds > 0
    True
    """
    cost = Cost(load=load())
    with _Peak() as peak:
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield cost
        finally:
            cost.cpu_seconds = time.process_time() - cpu
            cost.wall_seconds = time.perf_counter() - wall
    cost.peak_mb = peak.above_start()


class _Peak:
    """Samples anonymous memory on a thread of its own; NumPy and the kernels let it run, they hold no lock."""

    interval = 0.01

    def __enter__(self) -> _Peak:
        self._done = threading.Event()
        self._start = self._most = anonymous_bytes()
        self._thread = threading.Thread(target=self._watch, name="ethogram-memory", daemon=True)
        if self._start is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._done.wait(self.interval):
            self._look()

    def _look(self) -> None:
        now = anonymous_bytes()
        if now is not None and self._most is not None:
            self._most = max(self._most, now)

    def above_start(self) -> float | None:
        if self._start is None or self._most is None:
            return None
        return (self._most - self._start) / 2**20


def anonymous_bytes() -> int | None:
    """Anonymous memory of this process now; resident memory where the kernel does not split it; None elsewhere."""
    try:
        text = _STATUS.read_text("ascii", "replace")
    except OSError:
        return None
    for name in ("RssAnon", "VmRSS"):
        found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    return None


def resident_bytes() -> int | None:
    """Memory of this process now, mapped files included (weights that were read); None where it is not told."""
    try:
        found = re.search(r"^VmRSS:\s+(\d+) kB", _STATUS.read_text("ascii", "replace"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def load() -> float | None:
    """Runnable processes over the last minute, None where the system does not count them."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def facts() -> dict[str, Any]:
    """The machine: processor, cores (all and usable), memory, system, threads of the numeric libraries, load."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": threads(),
        "load": load(),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages on which results depend; nothing is imported to tell."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def threads() -> dict[str, int]:
    """Threads of each numeric library that is loaded."""
    from threadpoolctl import threadpool_info

    found: dict[str, int] = {}
    for pool in threadpool_info():
        name = str(pool["internal_api"])
        found[name] = max(found.get(name, 0), int(pool["num_threads"]))
    if "torch" in sys.modules:
        found["torch"] = int(sys.modules["torch"].get_num_threads())
    return found


def _cpu() -> str:
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
        found = re.search(r"^(?:model name|Hardware|cpu model)\s*:\s*(.+)$", text, re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None
