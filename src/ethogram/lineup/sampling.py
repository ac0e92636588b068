"""Some people of a log, with all that they did: the same ones for the same seed, whatever stores the log."""

from __future__ import annotations

import numpy as np

from ethogram.errors import OptionError
from ethogram.log import Log
from ethogram.log.crossfold import Dropped


def some_users(log: Log, users: int, seed: int = 0) -> Log:
    """A log in memory of so many people, drawn at random; the log itself where it has no more.

    Raises
    ------
    OptionError
        Fewer than two people.
    """
    if users < 2:
        raise OptionError(f"users = {users}: a comparison resamples people; take at least two.")
    there = np.unique(np.asarray(log.sequences().users))
    if len(there) <= users:
        return log
    gone = np.random.default_rng(seed).permutation(len(there))[users:]
    return log.with_step(Dropped("user_code", tuple(np.sort(there[gone]).tolist()))).materialise()
