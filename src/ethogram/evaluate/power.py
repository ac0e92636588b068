"""What the machine tells of its energy and heat, where it tells anything: counters, battery, sensors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SYSTEM = Path("/sys/class")


@dataclass(frozen=True)
class Reading:
    """What was read at one moment; None where nothing can be read.

    Attributes
    ----------
    joules : of the processor packages since some moment in the past. watts : drawn from the battery now.
    celsius : of the hottest sensor. at : seconds on the clock.
    """

    joules: float | None
    watts: float | None
    celsius: float | None
    at: float

    def since(self, before: Reading) -> float | None:
        """Joules between two readings: the counters' difference, else the battery's mean power times the time; None
        where neither is readable or a counter ran over."""
        if self.joules is not None and before.joules is not None:
            return self.joules - before.joules if self.joules >= before.joules else None
        if self.watts is not None and before.watts is not None:
            return (self.watts + before.watts) / 2 * (self.at - before.at)
        return None


def read(system: Path = _SYSTEM) -> Reading:
    """Read what is readable (Linux); `system` is where the kernel shows it."""
    packages = [
        value / 1e6
        for zone in sorted((system / "powercap").glob("intel-rapl:?"))
        + sorted((system / "powercap").glob("amd-rapl:?"))
        if (value := _number(zone / "energy_uj")) is not None
    ]
    power = [value / 1e6 for value in _each(system / "power_supply", "*/power_now") if value is not None]
    heat = [value / 1000 for value in _each(system / "thermal", "thermal_zone*/temp") if value is not None]
    return Reading(
        sum(packages) if packages else None, sum(map(abs, power)) if power else None, max(heat, default=None),
        time.monotonic(),
    )  # fmt: skip


def _each(folder: Path, pattern: str) -> Iterator[float | None]:
    return (_number(path) for path in sorted(folder.glob(pattern)))


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text("ascii").strip())
    except (OSError, ValueError):
        return None
