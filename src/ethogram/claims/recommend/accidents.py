"""MovieLens-100K with planted accidents, and what a fitted `pld` knows of them: the laws of its claim."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

SMALL = {"users": 80, "items": 120, "categories": 12, "length": (20, 40), "recent": 10}


@cache
def noisy(noise: float, disliked: bool = False, small: bool = False, seed: int = 0) -> Any:
    """(log dealt at random per user, accidents); ratings of 4 and more count, users with ten of them."""
    from ethogram import data
    from ethogram.data.planted_noise import planted

    if small:
        return planted(data.load("interests", **SMALL), noise=noise, least=6, seed=seed)
    return planted(data.load("ml_100k"), noise=noise, liked=4.0, disliked=disliked, seed=seed)


def log(noise: float, disliked: bool = False) -> Any:
    """A function of the grid's form."""
    return partial(_log, noise, disliked)


def _log(noise: float, disliked: bool, quick: bool = False) -> Any:
    return noisy(noise, disliked, quick).log


def fitted(built: Any, noise: float, quick: bool, seed: int = 0) -> tuple[Any, np.ndarray]:
    """(the system fitted on the noisy training part, which of its pairs are accidents)."""
    made = noisy(noise, small=quick)
    cut = made.log.split("leave-last-out")
    built.fit(cut.train, cut.valid, seed=seed)
    known, pairs = built.fitted.model.known, built.fitted.pairs
    user, item = known.users.encode(made.accidents["user"]), known.items.encode(made.accidents["item"])
    keys = pairs.owner.astype(np.int64) * len(known.counts) + np.flatnonzero(known.counts > 0)[pairs.items]
    return built, np.isin(keys, user.astype(np.int64) * len(known.counts) + item)


def selection(built: Any, stray: np.ndarray) -> float:
    """How often accidents were chosen, over how often they were offered."""
    f = built.fitted
    chosen, offered = f.chance[stray].sum() / f.chance.sum(), f.offered[stray].sum() / f.offered.sum()
    return float(chosen / offered)


def frozen_rate(built: Any, stray: np.ndarray, k: int, tau: float, draws: int = 40_000, seed: int = 0) -> float:
    """Share of accidents among what the sampler chooses from pools of the fitted model."""
    from ethogram.numeric.resampling import Pools, pool_losses

    f = built.fitted
    pools, n = Pools(f.pairs, np.random.default_rng(seed)), len(stray)
    pool, place = pools.draw(draws, k)
    loss = pool_losses(pool, (f.model.users, f.model.vectors), pointwise=False)
    offered, chance = np.zeros(n), np.zeros(n)
    pools.choose(pool, place, loss, tau, offered, chance)
    return float(chance[stray].sum() / chance.sum())


def predicted_rates(
    built: Any, stray: np.ndarray, k: int, tau: float, draws: int = 400, seed: int = 0
) -> tuple[float, float]:
    """(closed form, Monte Carlo) of the same rate from means and deviations of each user's scores alone.

    The closed form takes losses as equal within a kind; the simulation draws scores of clean, accidental and untaken
    items from normal laws and takes the losses from there.
    """
    from ethogram.numeric.resampling import pick_rate, softmin

    f, rng = built.fitted, np.random.default_rng(seed)
    users, items, closed, simulated = f.model.users, f.model.vectors, [], []
    for u in range(len(f.pairs)):
        rows = slice(f.pairs.offsets[u], f.pairs.offsets[u + 1])
        mine, wrong = f.pairs.items[rows], stray[rows]
        if not len(mine):
            continue
        every, taken = items @ users[u], np.zeros(len(items), bool)
        taken[mine] = True
        kinds = [every[mine[~wrong]], every[mine[wrong]], every[~taken]]
        low, high, untaken = (_normal(rng, x, (draws, n)) for x, n in zip(kinds, (k, k, 1), strict=True))
        share = float(wrong.mean())
        gap = float(_loss(untaken, high).mean() - _loss(untaken, low).mean()) if 0 < share < 1 else 0.0
        closed.append(pick_rate(gap, k, tau, share))
        noise = rng.random((draws, k)) < share
        chance = softmin(_loss(untaken, np.where(noise, high, low)), tau)
        simulated.append(float((chance * noise).sum(1).mean()))
    return float(np.mean(closed)), float(np.mean(simulated))


def _normal(rng: np.random.Generator, x: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return rng.normal(x.mean(), x.std(), shape) if len(x) else np.zeros(shape)


def _loss(untaken: np.ndarray, taken: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, untaken - taken)
