"""Ask a peer's own interpreter, and keep what it said.

The question is one JSON object on standard input, the answer is the last line of standard output; whatever else the
peer writes is not looked at, and its progress goes through on standard error. A run of half an hour is not repeated:
an answer is stored under ``benchmarks/results/peers`` and found again by what was asked and on what machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ethogram.errors import EthogramError

ROOT = Path(__file__).parents[2]
STORE = ROOT / "benchmarks" / "results" / "peers"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


class PeerError(EthogramError):
    """A peer cannot run here: not installed, or it failed; a row then says so and no ratio is printed."""


@dataclass(frozen=True)
class Peer:
    """A library in an environment of its own.

    Attributes
    ----------
    name : of its folder below ``.peers``. module : what its interpreter runs. environment : variables that it needs.
    """

    name: str
    module: str
    environment: Mapping[str, str]

    @property
    def python(self) -> Path:
        return ROOT / ".peers" / self.name / "bin" / "python"

    def ask(self, question: Mapping[str, Any], *, seconds: float | None = None) -> dict[str, Any]:
        """Its answer.

        Raises
        ------
        PeerError
            It is not installed, fails, takes longer than `seconds` on the clock, or does not answer in JSON.
        """
        if not self.python.exists():
            raise PeerError(f"{self.name} is not installed ({self.python} is missing); run `make peers`.")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "PYTHON"))}
        env = {**kept, **ONE_THREAD, **self.environment, "PYTHONPATH": str(ROOT)}
        with tempfile.TemporaryDirectory(prefix=f"{self.name}-") as folder:
            try:
                done = subprocess.run(
                    [str(self.python), "-m", self.module],
                    input=json.dumps(question),
                    stdout=subprocess.PIPE,
                    text=True,
                    timeout=seconds,
                    cwd=folder,  # peers leave logs and checkpoints where they stand
                    env=env,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise PeerError(f"{self.name} had not answered after {seconds:g} s.") from error
        return self._read(done)

    def _read(self, done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
        said = done.stdout.splitlines()
        try:
            answer = json.loads(said[-1]) if said else {}
        except ValueError:
            answer = {}
        if done.returncode or not isinstance(answer, dict) or not answer:
            last = answer.get("error") if isinstance(answer, dict) else None
            raise PeerError(f"{self.name} failed (exit {done.returncode}): {last or 'it gave no answer in JSON'}.")
        return answer

    def stored(
        self, label: str, question: Mapping[str, Any], places: Callable[[], Mapping[str, Any]], *, again: bool = False
    ) -> dict[str, Any]:
        """The answer to a question, from the store if this machine asked it before.

        Parameters
        ----------
        label : beginning of the file's name.
        question : what makes the answer. places : what only says where things lie, made when it is asked.
        again : ask even so.
        """
        told = {"peer": self.name, "question": question, "cpu": processor()}
        name = hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=6).hexdigest()
        file = STORE / f"{label}-{name}.json"
        if file.exists() and not again:
            return json.loads(file.read_text("utf-8"))
        load = os.getloadavg()[0]
        answer = self.ask({**question, **places()})
        kept = {
            **told, "load": [round(load, 2), round(os.getloadavg()[0], 2)],
            "at": datetime.now(UTC).isoformat("T", "seconds"), "answer": answer,
        }  # fmt: skip
        STORE.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(kept) + "\n", "utf-8")
        os.replace(fresh, file)
        return kept


def processor() -> str:
    """Model of the processor, as the machine names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((ln.split(":")[1].strip() for ln in lines if ln.startswith("model name")), platform.processor())
