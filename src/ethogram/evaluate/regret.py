"""Is a choice good, where the loss of every choice is known? Against the oracle, the best single choice, and chance.

    regret = mean_n [ L_n,chosen - min_k L_nk ]        closed = (S - R) / (S - O)

with R the mean loss of what was chosen, O that of the oracle, S that of the single choice that was best elsewhere (on
training data, never on these rows): `closed` is 1 for the oracle, 0 where choosing is worth nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate.bootstrap import Interval, interval, sums


class Regret(NamedTuple):
    """Each with its interval over the rows.

    Attributes
    ----------
    top1 : share of rows whose chosen loss is within `tolerance` of the least. loss : mean loss of what was chosen.
    regret : loss above the oracle's. gain : loss of the single best choice minus that of what was chosen.
    closed : share of the way from the single best to the oracle, NaN where there is none to go.
    """

    top1: Interval
    loss: Interval
    regret: Interval
    gain: Interval
    closed: Interval


def regret(
    losses: np.ndarray,
    chosen: np.ndarray,
    single: int,
    *,
    tolerance: float = 0.0,
    resamples: int = 1_000,
    seed: int = 0,
) -> Regret:
    """Judge choices.

    Parameters
    ----------
    losses : float[n, k] of every choice. chosen : int[n]. single : the choice that is best on other data.
    tolerance : how near to the least loss counts as the best.

    Raises
    ------
    OptionError
        Shapes differ, or a loss is not a number.
    """
    losses, chosen = np.asarray(losses, np.float64), np.asarray(chosen, np.int64)
    if losses.ndim != 2 or chosen.shape != losses.shape[:1] or not np.isfinite(losses).all():
        raise OptionError(f"regret: losses {losses.shape} of finite numbers and one choice of each row.")
    if not len(losses) or not ((chosen >= 0) & (chosen < losses.shape[1])).all():
        raise OptionError(f"regret: choices lie between 0 and {losses.shape[1] - 1}, one or more rows of them.")
    took, least = losses[np.arange(len(chosen)), chosen], losses.min(1)
    alone = losses[:, single]
    rows = np.stack([took <= least + tolerance, took, took - least, alone - took, alone - least], 1)
    draws, total = sums(rows, resamples, seed) / len(rows), rows.mean(0)

    def share(over: np.ndarray, under: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(under > 0, over / under, np.nan))

    closed = interval(float(share(total[3], total[4])), share(draws[:, 3], draws[:, 4]))
    first, loss, above, gain = (interval(float(total[i]), draws[:, i]) for i in range(4))
    return Regret(first, loss, above, gain, closed)
