"""``--devices N``: the same command again, in N processes that torchrun starts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ethogram.errors import EthogramError, OptionError

SAID = "ETHOGRAM_SAID"
"""Names the file in which a process leaves the line that says what was wrong."""


def devices(tokens: Sequence[str]) -> int:
    """How many processes a command asks for; 1 in a process that was started for one."""
    if "LOCAL_RANK" in os.environ or not tokens or tokens[0] != "fit":
        return 1
    for place, token in enumerate(tokens):
        name, sign, value = token.partition("=")
        if name == "--devices":
            text = value if sign else next(iter(tokens[place + 1 :]), "")
            if not text.isdigit() or int(text) < 1:
                raise OptionError(f"--devices {text}: give a whole number of processes, 1 or more.")
            return int(text)
    return 1


def launch(number: int, tokens: Sequence[str]) -> int:
    """Run a command in so many processes of this machine.

    Raises
    ------
    EthogramError
        What one of them said was wrong.
    """
    from ethogram.catalogue import index

    system = next((index()[t] for t in tokens if t in index()), None)
    if system is not None and "torch" not in system.needs:
        raise OptionError(f"{system.key} does not learn in several processes; leave --devices at 1.")
    with tempfile.TemporaryDirectory(prefix="ethogram-") as folder:
        said = Path(folder, "said")
        run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
        settings = {SAID: str(said), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
        # what torchrun itself says of a process that ended is kept back: the process says it better
        done = subprocess.run(
            [*run, "-m", "ethogram", *tokens], env=os.environ | settings, stderr=subprocess.PIPE, text=True
        )
        if done.returncode and said.exists():
            raise EthogramError(said.read_text("utf-8"))
        if done.returncode:
            print(done.stderr, file=sys.stderr)
    return done.returncode


def told(line: str) -> None:
    """Leave a line for the process that started this one."""
    if SAID in os.environ:
        Path(os.environ[SAID]).write_text(line, "utf-8")
