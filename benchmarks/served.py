"""A server to be measured, in a process of its own on its own core; prepared, started and watched from here.

    python -m benchmarks.served SPEC        {"model": ..., "store": ..., "naive": ..., "cpu": ..., "limits": {...}}

prints its port. `naive` is the same model asked by its own `score`: the whole history is fetched from the store,
encoded and read in each request, as a service without tables and prepared arrays would do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
START = 1_704_067_200_000_000
"""Microseconds of the first event."""
TICKS = os.sysconf("SC_CLK_TCK")


def cores() -> tuple[int, int]:
    """(core of the server, core of the generator): two of those that this process may use; the same if it has one."""
    mine = sorted(os.sched_getaffinity(0))
    return mine[0], mine[-1]


def model(folder: Path, items: int, system: str = "sdim", **options: Any) -> tuple[Any, Path]:
    """(a fitted system, where it is saved): trained for a moment, since speed asks for no more."""
    from ethogram import data
    from ethogram.system import save
    from ethogram.system import system as make

    log = data.load("interests", users=120, items=items, length=(60, 120), slates=6)
    fitted = make(system, epochs=1, questions=64, **options).fit(log, seed=0)
    save(fitted, folder / system)
    return fitted, folder / system


def people(location: str, lengths: Mapping[str, int], items: int, seed: int = 0) -> None:
    """Write so many past events of each person into a store."""
    from ethogram.serve.opening import open_store
    from ethogram.serve.state import Entry

    rng, held = np.random.default_rng(seed), open_store(location)
    try:
        for user, length in lengths.items():
            some = rng.integers(0, items, length)
            entries = [
                Entry(f"{user}-{i}", user, str(item), "view", START + i * 60_000_000) for i, item in enumerate(some)
            ]
            for at in range(0, length, 4_096):
                held.append(entries[at : at + 4_096])
    finally:
        held.close()


@dataclass(frozen=True)
class Look:
    """What a process has used so far, and the machine meanwhile.

    Attributes
    ----------
    cpu : seconds of the process. memory : anonymous bytes. busy : seconds that all cores were busy. at : clock.
    """

    cpu: float
    memory: int
    busy: float
    at: float


class Server:
    """A running server.

    Attributes
    ----------
    port : where it listens. process : to be looked at.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")} | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.served", json.dumps(spec)], stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env=env,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start (exit {self.process.wait()})")
        self.port = int(json.loads(line)["port"])

    def look(self) -> Look:
        """What it used until now."""
        # the clock of its process: /proc counts in ticks of 10 ms, and short scenarios take less than one
        cpu = time.clock_gettime((~self.process.pid << 3) | 2)
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        memory = next(int(x.split()[1]) * 1024 for x in status.splitlines() if x.startswith("RssAnon"))
        return Look(cpu, memory, _busy(), time.perf_counter())

    def stop(self) -> None:
        """As an operator would."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _busy() -> float:
    """Seconds that all cores were busy since the machine started."""
    user, nice, system, _, _, irq, soft, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + irq + soft) / TICKS


@contextmanager
def serving(**spec: Any) -> Iterator[Server]:
    """A server with this spec, stopped behind."""
    server = Server(spec)
    try:
        yield server
    finally:
        server.stop()


def main(spec: Mapping[str, Any]) -> None:
    """Serve until told to stop."""
    os.sched_setaffinity(0, {spec["cpu"]})
    import torch

    torch.set_num_threads(1)
    from ethogram.serve import prepared
    from ethogram.serve.app import build
    from ethogram.serve.limits import Limits
    from ethogram.serve.opening import open_store
    from ethogram.serve.run import listen, run
    from ethogram.serve.scoring import Plain
    from ethogram.serve.service import Service
    from ethogram.serve.shelf import Shelf

    held = open_store(spec["store"])
    try:
        if spec.get("naive"):
            prepared.scorer = lambda system, store: Plain(system)
        shelf = Shelf(held, {name: Path(path) for name, path in spec["models"].items()})
        limits = Limits(**{"rate": 1e9, **spec.get("limits", {})})
        at = listen("127.0.0.1", 0)
        service = Service(held, shelf, limits=limits)
        run(build(service), at, started=lambda: print(json.dumps({"port": at.getsockname()[1]}), flush=True))
    finally:
        held.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
