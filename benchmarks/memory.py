"""Peak memory of one of our trainings, in a process of its own: what was freed before hides what is taken after.

    python -m benchmarks.memory mmoe FOLDER

opens the log in the folder, trains for an epoch, and prints the highest anonymous memory above that of the imports, in
MiB, by the clock that runs inside the peers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from benchmarks.peers.inside import peak
from ethogram.log import Log


def of(name: str, log: Log) -> float:
    """Of the pair of `benchmarks.cases.ctr` of that name."""
    with tempfile.TemporaryDirectory(prefix="ethogram-memory-") as made:
        log.write(f"{made}/log")
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.memory", name, f"{made}/log"],
            env=dict(os.environ), stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    return float(done.stdout.splitlines()[-1])


def main(name: str, folder: str) -> None:
    import torch

    from benchmarks.cases.ctr import EQUAL, PAIRS
    from ethogram.nn import goal_ranker, interest  # noqa: F401 - imported before the clock starts
    from ethogram.system import system

    torch.set_num_threads(1)
    pair = next(p for p in PAIRS if p.name == name)
    built = system(pair.key, **{**EQUAL, **pair.options, "epochs": 1})
    with peak() as highest:
        cut = Log.open(folder).split("leave-last-out")
        built.fit(cut.train, cut.valid)
        print(highest())


if __name__ == "__main__":
    main(*sys.argv[1:])
