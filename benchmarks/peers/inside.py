"""What runs inside a peer's interpreter, whichever the peer: answer one question, measure what it cost.

Imports nothing but the standard library, since the peer's environment holds the peer alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def answer(run: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Read the question, print the answer as the last line; on an error print what it was and leave with 1."""
    question = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the peer prints goes to standard error
    try:
        said = run(question)
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else ""
        print(json.dumps({"error": f"{type(error).__name__}: {first}"}), file=out, flush=True)
        raise SystemExit(1) from error
    print(json.dumps(said), file=out, flush=True)


def say(**facts: Any) -> None:
    """Progress, one line of JSON on standard error."""
    print(json.dumps(facts), file=sys.stderr, flush=True)


def versions(names: Iterable[str]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def anonymous_mb() -> float:
    """Heap and arrays of this process now, in MiB (not file-backed pages)."""
    with open("/proc/self/status") as file:
        return next((int(ln.split()[1]) / 1024 for ln in file if ln.startswith("RssAnon")), float("nan"))


@contextlib.contextmanager
def peak() -> Iterator[Callable[[], float]]:
    """Highest anonymous memory above that at the start, in MiB, looked at every 10 ms."""
    start = most = anonymous_mb()
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.01):
            most = max(most, anonymous_mb())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: max(most, anonymous_mb()) - start
    finally:
        done.set()
        thread.join()


class Clock:
    """CPU and wall seconds spent inside ``with clock:``, added up."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    def __enter__(self) -> Clock:
        self._began = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        cpu, wall = self._began
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall

    def read(self) -> dict[str, float]:
        return {"cpu": round(self.cpu, 3), "wall": round(self.wall, 3)}
