"""Devices that programs run on: this machine, one behind a remote shell, a telephone or board behind a debug bridge,
all behind the same four calls, so that llama.cpp's own programs are measured there without a person.

    bench(RemoteShell("user@board"), "llama-cli", Path("model.gguf"))       -> speeds, read from what the program wrote
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ethogram.errors import OptionError, WeightsError
from ethogram.lm import llamalog

_BATTERY = "cat /sys/class/power_supply/*/power_now"


class Driver(Protocol):
    """A device. Errors are `WeightsError`, with what was run and what it said."""

    def push(self, path: Path, to: str) -> str:
        """Put a file there; where it lies then."""
        ...

    def run(self, command: str, seconds: float = 600.0) -> str:
        """Run a line of shell to its end; what it wrote, both streams."""
        ...

    def pull(self, path: str, to: Path) -> Path:
        """Fetch a file from there."""
        ...

    def power(self) -> float | None:
        """Watts drawn from its battery now, None where it tells none."""
        ...


@dataclass(frozen=True)
class Shell:
    """A device by the programs that reach it: before a command, and to copy (``{}`` twice: from, to)."""

    prefix: tuple[str, ...] = ("sh", "-c")
    copy_to: tuple[str, ...] = ("cp", "{}", "{}")
    copy_from: tuple[str, ...] = ("cp", "{}", "{}")

    def push(self, path: Path, to: str) -> str:
        self._call(_filled(self.copy_to, str(path), to), 600)
        return to

    def run(self, command: str, seconds: float = 600.0) -> str:
        return self._call([*self.prefix, command], seconds)

    def pull(self, path: str, to: Path) -> Path:
        self._call(_filled(self.copy_from, path, str(to)), 600)
        return to

    def power(self) -> float | None:
        try:
            told = [abs(float(line)) / 1e6 for line in self.run(_BATTERY, 30).split()]
        except (WeightsError, ValueError):
            return None
        return sum(told) if told else None

    def _call(self, argv: Sequence[str], seconds: float) -> str:
        try:
            done = subprocess.run(argv, capture_output=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            raise WeightsError(f"the program '{argv[0]}' that reaches the device is not installed.") from None
        except subprocess.TimeoutExpired:
            raise WeightsError(f"'{argv[-1]}' did not end within {seconds:g} s on the device.") from None
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        if done.returncode:
            raise WeightsError(
                f"'{argv[-1]}' failed on the device ({done.returncode}): {' '.join(said.split())[-200:]}"
            )
        return said


def local() -> Shell:
    """This machine."""
    return Shell()


def remote_shell(host: str) -> Shell:
    """A machine behind ssh, such as a board; `host` as ssh takes it.

    Raises
    ------
    OptionError
        The host would be read as an option.
    """
    if not host or host.startswith("-"):
        raise OptionError(f"'{host}' is no host.")
    there = f"{host}:{{}}"
    return Shell(("ssh", "-o", "BatchMode=yes", host), ("scp", "-q", "{}", there), ("scp", "-q", there, "{}"))


def debug_bridge(serial: str = "") -> Shell:
    """A telephone behind adb."""
    adb = ("adb", *(("-s", serial) if serial else ()))
    return Shell((*adb, "shell"), (*adb, "push", "{}", "{}"), (*adb, "pull", "{}", "{}"))


def _filled(parts: Sequence[str], source: str, target: str) -> list[str]:
    given = iter((source, target))
    return [p.replace("{}", next(given), 1) if "{}" in p else p for p in parts]


def bench(
    driver: Driver, program: str, model: Path | str, *, folder: str = "/tmp", prompt: str = "Once upon a time",
    tokens: int = 64, threads: int = 4, seconds: float = 600.0,
) -> dict[str, Any]:  # fmt: skip
    """Run llama.cpp's command line on a device and read its timings.

    Parameters
    ----------
    program : of llama.cpp there. model : a file here, which is copied to `folder` first, or a path there.

    Returns
    -------
    `load_ms`, `read_tps`, `write_tps`, `read`, `written` (tokens), `watts`; None where the program tells none.

    Raises
    ------
    WeightsError
        The device cannot be reached, or the program fails. SourceError: what it wrote holds no timings.
    """
    there = driver.push(model, f"{folder}/{model.name}") if isinstance(model, Path) else model
    words = [program, "-m", there, "-p", prompt, "-n", str(tokens), "-t", str(threads), "--temp", "0", "-no-cnv"]
    before = driver.power()
    found = llamalog.parse(driver.run(shlex.join(words), seconds), f"what {program} wrote").timings
    after = driver.power()
    load, read, write = (found.get(n) for n in ("load", "prompt eval", "eval"))
    return {
        "load_ms": load.ms if load else None, "read_tps": read.rate if read else None,
        "write_tps": write.rate if write else None, "read": read.tokens if read else None,
        "written": write.tokens if write else None,
        "watts": None if before is None or after is None else (before + after) / 2,
    }  # fmt: skip
