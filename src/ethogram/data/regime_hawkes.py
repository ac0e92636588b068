"""Streams of events whose law changes from window to window and comes back: ground truth for continual learning.

In window w all people behave by regime r = w mod `regimes`, a multivariate Hawkes process (`numeric.hawkes`) with
base rates, a branching matrix and a time scale of its own:

    mu_k = rate (1 + 3 [k in the regime's own kinds]) / norm,   A[j, k] = pull [k = (j + r) mod K] + rest / K
    decay = 1.5 * scale^(r - 1)

so which kind follows which, how fast, and how often each comes differ between regimes. Without `effect` all windows
have the law of regime 0. Excitation begins anew with each window: a person's window is one run of its process.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from ethogram.data.drift import START
from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError
from ethogram.numeric.hawkes import Hawkes

HOUR = 3_600_000_000


@data_set(
    "regime_hawkes",
    what="generated: events of a Hawkes process in continuous time whose regime changes at known instants and returns",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class RegimeHawkes:
    """Events of `users` people in `windows` windows of `hours` hours from 2024-01-01; kinds k0, k1, ..."""

    users: int = 100
    "People; each has one sequence in every window."
    windows: int = 10
    "Windows, one behind the other."
    regimes: int = 3
    "Different laws that take turns."
    kinds: int = 5
    "Kinds of events."
    hours: float = 24.0
    "Length of a window, in hours."
    rate: float = 0.4
    "Events without cause in an hour, over all kinds."
    pull: float = 0.5
    "Events that one calls forth of the kind that its regime lets follow."
    rest: float = 0.1
    "Events that one calls forth of all kinds alike."
    scale: float = 4.0
    "Factor between the time scales of neighbouring regimes."
    effect: bool = True
    "Whether regimes differ; without it nothing ever changes."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        counts = (self.users, self.windows, self.regimes, self.kinds)
        for wrong, text in (
            (min(counts) < 1, "users, windows, regimes and kinds are 1 or more"),
            (self.hours <= 0 or self.rate <= 0 or self.scale <= 0, "hours, rate and scale are above 0"),
            (self.pull < 0 or self.rest < 0 or self.pull + self.rest >= 1, "pull + rest lies in [0, 1)"),
        ):
            if wrong:
                raise OptionError(f"regime_hawkes: {text}.")

    def files(self) -> tuple[Path, ...]:
        return ()

    @property
    def instants(self) -> np.ndarray:
        """Begin of each window and the end of the last, microseconds since 1970; int64[windows + 1]."""
        return START + np.round(np.arange(self.windows + 1) * self.hours * HOUR).astype(np.int64)

    def law(self, window: int) -> Hawkes:
        """The process of a window; time in hours."""
        r, k = (window % self.regimes if self.effect else 0), self.kinds
        liked = np.ones(k)
        liked[np.arange(k) % self.regimes == r] += 3
        branching = np.full((k, k), self.rest / k)
        branching[np.arange(k), (np.arange(k) + r) % k] += self.pull
        return Hawkes(self.rate * liked / liked.sum(), branching, 1.5 * self.scale ** (r - 1))

    @cached_property
    def drawn(self) -> dict[str, np.ndarray]:
        """Events in order of window, person and time: window, user, hour (within the window), kind."""
        seeds = np.random.SeedSequence(self.seed).generate_state(self.windows)
        until = np.full(self.users, self.hours)
        runs = [self.law(w).sample(until, seed=int(s)) for w, s in enumerate(seeds)]
        return {
            "window": np.repeat(np.arange(self.windows), [len(s.time) for s in runs]),
            "user": np.concatenate([s.owner for s in runs]),
            "hour": np.concatenate([s.time for s in runs]),
            "kind": np.concatenate([s.kind for s in runs]),
        }

    def read(self) -> Reading:
        drawn = self.drawn
        time = self.instants[drawn["window"]] + np.round(drawn["hour"] * HOUR).astype(np.int64)
        names = pa.array([f"k{i}" for i in range(self.kinds)])
        events = pa.table(
            {
                "user": drawn["user"],
                "time": pa.array(time, pa.timestamp("us", "UTC")),
                "kind": names.take(pa.array(drawn["kind"])),
            }
        )
        return Reading(events, {name: name for name in events.column_names})

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``windows``: window, regime, since, until. ``laws``: regime, decay, and its `mu` and `branching` as lists.
        """
        micros = pa.timestamp("us", "UTC")
        window = np.arange(self.windows)
        windows = {
            "window": window, "regime": window % self.regimes if self.effect else window * 0,
            "since": pa.array(self.instants[:-1], micros), "until": pa.array(self.instants[1:], micros),
        }  # fmt: skip
        laws = [self.law(r) for r in range(self.regimes)]
        told = {
            "regime": np.arange(self.regimes), "decay": [law.decay for law in laws],
            "mu": [law.mu.tolist() for law in laws], "branching": [law.branching.tolist() for law in laws],
        }  # fmt: skip
        return {"windows": pa.table(windows), "laws": pa.table(told)}
