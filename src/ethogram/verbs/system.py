"""What every system has, and how it learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
import pyarrow as pa

from ethogram.log import Log

Table: TypeAlias = pa.Table
"""Answers come back as Arrow tables in the caller's own ids (`.to_pandas()`, `polars.from_arrow`)."""

Watch = Callable[[Mapping[str, Any]], None]
"""Called with progress facts (`{"epoch", "step", "steps", "loss", "valid"}`); raise KeyboardInterrupt to stop."""


class Enough(Exception):
    """Raised by `watch` behind an epoch (its fact `step` is None): training ends there with its best weights."""


@dataclass(frozen=True)
class State:
    """Everything that a fitted system knows, as data: never a pickle.

    Saved as a folder: `arrays.safetensors`, one Parquet file per table, `state.json`, one sub-folder per part.
    """

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    json: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, State] = field(default_factory=dict)


class System(Protocol):
    """What every system has: options as dataclass fields, and fitted state as data."""

    def state(self) -> State: ...
    def restore(self, state: State) -> Self: ...


class Fits(System, Protocol):
    """Learns from a log."""

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Train in place on `train`; `valid` only decides when to stop. Options never change."""
        ...


@runtime_checkable
class Updates(Protocol):
    """Learns from further events without a new fit."""

    def update(self, log: Log) -> Self: ...
