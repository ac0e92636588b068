"""Epochs over arrays that learn in place, until a validation value no longer rises: training without a framework."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ethogram.errors import OptionError, StateError
from ethogram.verbs import Enough, Watch

Epoch = Callable[[], float]
"""Learns for an epoch and returns the mean loss."""


@dataclass
class Course:
    """How a training went. `curve` has one row per epoch: epoch, loss, valid (None without validation)."""

    epoch: int = 0
    best_epoch: int = 0
    best: float | None = None
    stopped: str = "epochs"
    curve: list[dict[str, Any]] = field(default_factory=list)


def run(
    epoch: Epoch, arrays: Sequence[np.ndarray], *, epochs: int, valid: Callable[[], float] | None = None,
    patience: int = 10, watch: Watch | None = None,
) -> Course:  # fmt: skip
    """Call `epoch` (which returns its mean loss) until it is enough; `arrays` end as they were in the best epoch.

    Parameters
    ----------
    valid : value of the arrays as they are, higher is better; without it all epochs are run and the last is kept.
    patience : epochs without a better value before it stops.
    watch : told {"epoch", "epochs", "step", "loss", "valid"} after each epoch; may raise `Enough`.

    Raises
    ------
    OptionError
        Fewer than one epoch. StateError: the loss is not finite.
    KeyboardInterrupt
        From `watch`, passed on after the best arrays were put back.
    """
    if epochs < 1:
        raise OptionError(f"epochs = {epochs}; give 1 or more.")
    course, best = Course(), [a.copy() for a in arrays]
    try:
        for at in range(1, epochs + 1):
            loss = epoch()
            if not np.isfinite(loss):
                raise StateError(f"training diverged: the loss is {loss} in epoch {at}. Lower the learning rate.")
            value = valid() if valid is not None else None
            course.epoch = at
            course.curve.append({"epoch": at, "loss": loss, "valid": value})
            if value is None or course.best is None or value > course.best:
                course.best, course.best_epoch = value, at
                if value is not None:
                    best = [a.copy() for a in arrays]
            elif at - course.best_epoch >= patience:
                course.stopped = "patience"
            if watch is not None:
                try:
                    watch({"epoch": at, "epochs": epochs, "step": None, "loss": loss, "valid": value})
                except Enough:
                    course.stopped = "asked"
            if course.stopped != "epochs":
                break
    finally:
        if course.best is not None:
            for array, kept in zip(arrays, best, strict=True):
                array[:] = kept
    return course
