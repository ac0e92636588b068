"""Who is behind the accounts: chains of returning people, isolated malicious ones, benign ones, and their latents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethogram.data.returning_accounts.names import Namer
from ethogram.data.returning_accounts.rates import KINDS, OWN, PERSONAL, RATES, Rates

DAY = 86_400.0
TOPICS, PAGES = 400, 60
"""Topics, and pages in each."""
FAVOURITES, STYLE, COMMENTS = 3, 14, 3
NEUTRAL, TEMPLATES = 240, 36
STRAIGHT = 0.15
"""Who brings favourite pages along goes straight there: what is left of the rate of `news`."""
FOCUS = (0.50, 0.95)
"""Share of the edits that go to favourite pages, from the broadest person to the narrowest."""
SITTING = 3.5
"""Standard deviation of the hour at which somebody sits down, in hours."""
SPREAD = 0.55
"""Standard deviation of personal levels, on the logarithm."""


@dataclass(frozen=True, eq=False)
class People:
    """Accounts, one row each: kind (place in `KINDS`), master (row of the first account of the person), parent (row of
    the account before, -1), created and banned (seconds, NaN if never), and the latents."""

    kind: np.ndarray
    master: np.ndarray
    parent: np.ndarray
    created: np.ndarray
    banned: np.ndarray
    names: list[str]
    topics: np.ndarray
    favourites: np.ndarray
    style: np.ndarray
    comments: np.ndarray
    peak: np.ndarray
    focus: np.ndarray
    rates: dict[str, np.ndarray]
    shared: dict[str, np.ndarray]
    "Whether a returning account brought each thing along; False for all others."

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def returning(self) -> np.ndarray:
        """bool[n]: accounts of people who came back."""
        return (self.parent >= 0) | np.isin(np.arange(len(self)), self.parent)

    @classmethod
    def draw(cls, pairs: int, malicious: int, benign: int, days: int, again: float, rates: Rates, seed: int) -> People:
        rng = np.random.default_rng([seed, 21])
        lengths = chains(pairs, again, rng)
        firsts = np.concatenate([[0], np.cumsum(lengths)])[:-1].astype(np.int64)
        returning = int(lengths.sum())
        n = returning + malicious + benign
        kind = np.repeat([0, 1, 2], [returning, malicious, benign])
        kind[(firsts + lengths - 1)] = KINDS.index("malicious")  # the last of a person does not come back
        master, parent = np.arange(n), np.full(n, -1)
        master[:returning] = np.repeat(firsts, lengths)
        parent[:returning] = np.where(np.arange(returning) == master[:returning], -1, np.arange(returning) - 1)
        topics, favourites = _interests(n, rng)
        latent = {
            "style": rng.integers(0, NEUTRAL, (n, STYLE)), "comments": rng.integers(0, TEMPLATES, (n, COMMENTS)),
            "hours": rng.uniform(0, 24, n), "focus": rng.uniform(*FOCUS, n), "topics": topics, "pages": favourites,
            "habits": np.exp(rng.normal(0, SPREAD, (n, len(PERSONAL))) - SPREAD**2 / 2),
        }  # fmt: skip
        brought = {name: (rng.random(n) < rates.brings(name)) & (parent >= 0) for name in ("username", *latent)
                   if name not in ("topics", "focus")}  # fmt: skip
        _inherit(latent, brought, parent, rng)
        names = _named(parent, brought["username"], np.random.default_rng([seed, 22]))
        levels = _levels(kind, latent["habits"], rates, rng)
        levels["news"][brought["pages"]] *= STRAIGHT
        care = _care(parent, rates, levels, brought["username"])
        created, banned = _times(kind, parent, days, care, latent["hours"], rng)
        return cls(
            kind, master, parent, created, banned, names, latent["topics"], latent["pages"], latent["style"],
            latent["comments"], latent["hours"], latent["focus"], levels, brought,
        )  # fmt: skip


def chains(pairs: int, again: float, rng: np.random.Generator) -> np.ndarray:
    """Accounts of each person who returns, 2 or more, with `pairs` returns in all."""
    drawn = rng.geometric(1 - again, pairs)
    ends = np.cumsum(drawn)
    kept = drawn[: int(np.searchsorted(ends, pairs)) + 1].copy()
    kept[-1] -= kept.sum() - pairs
    return kept + 1


def _interests(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(three topics, most loved first; favourite pages, of the first two topics) of each person."""
    topics = rng.integers(0, TOPICS, (n, 3))
    rank = np.minimum(rng.zipf(1.4, (n, FAVOURITES)) - 1, PAGES - 1)
    place = (rank + rng.integers(0, 40, (n, FAVOURITES))) % PAGES
    of = np.where(rng.random((n, FAVOURITES)) < 0.7, topics[:, :1], topics[:, 1:2])
    return topics, of * PAGES + place


def _inherit(
    latent: dict[str, np.ndarray], brought: dict[str, np.ndarray], parent: np.ndarray, rng: np.random.Generator
) -> None:
    """Children take what they bring along from their parents, with drift; chains in their order."""
    drift = rng.random(latent["style"].shape) < 0.25
    fresh = rng.random(latent["pages"].shape) < 0.1
    hours = rng.normal(0, 0.8, len(parent))
    wobble = np.exp(rng.normal(0, 0.2, latent["habits"].shape))
    for child in np.flatnonzero(parent >= 0).tolist():
        p = parent[child]
        if brought["pages"][child]:
            latent["topics"][child], latent["focus"][child] = latent["topics"][p], latent["focus"][p]
            latent["pages"][child] = np.where(fresh[child], latent["pages"][child], latent["pages"][p])
        if brought["style"][child]:
            latent["style"][child] = np.where(drift[child], latent["style"][child], latent["style"][p])
        if brought["comments"][child]:
            latent["comments"][child] = latent["comments"][p]
        if brought["hours"][child]:
            latent["hours"][child] = (latent["hours"][p] + hours[child]) % 24
        if brought["habits"][child]:
            latent["habits"][child] = latent["habits"][p] * wobble[child]


def _named(parent: np.ndarray, brought: np.ndarray, rng: np.random.Generator) -> list[str]:
    namer, names, habits = Namer(rng), [], []
    for i, p in enumerate(parent.tolist()):
        habits.append(habits[p] if brought[i] else namer.habit())
        names.append(namer.variant(names[p], habits[i]) if brought[i] else namer.fresh(habits[i]))
    return names


def _levels(kind: np.ndarray, habits: np.ndarray, rates: Rates, rng: np.random.Generator) -> dict[str, np.ndarray]:
    made = {}
    for name in RATES:
        level = rates.means(name)[kind]
        if name in PERSONAL:
            level = level * habits[:, PERSONAL.index(name)]
        elif name in OWN:
            level = level * np.exp(rng.normal(0, SPREAD, len(kind)) - SPREAD**2 / 2)
        made[name] = level if name == "words" else np.minimum(level, 0.9)
    return made


def _care(parent: np.ndarray, rates: Rates, levels: dict[str, np.ndarray], named: np.ndarray) -> np.ndarray:
    """How long a returning account lasts (log): longer the less it swears, opines and keeps its name."""
    care, child = np.zeros(len(parent)), parent >= 0
    signs = np.column_stack([-np.log(levels["swear"]), -np.log(levels["opinion"]), -1.0 * named])[child]
    care[child] = 0.45 * rates.effect * ((signs - signs.mean(0)) / np.maximum(signs.std(0), 1e-9)).sum(1)
    return care


def _times(
    kind: np.ndarray, parent: np.ndarray, days: int, care: np.ndarray, peak: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Created and banned, in seconds. An account is made at an hour when its person is up, after the ban before it."""
    n = len(kind)
    age = DAY * np.clip(10 * np.exp(rng.normal(0, 1.2, n) + care), 0.5, 300)
    lag = DAY * np.clip(4 * np.exp(rng.normal(0, 1.4, n)), 0.01, 200)
    hour = (peak + rng.normal(0, SITTING, n)) % 24
    created = rng.uniform(0, days * DAY, n)
    created += (hour * 3600 - created) % DAY
    for i in np.flatnonzero(parent >= 0).tolist():
        earliest = created[parent[i]] + age[parent[i]] + lag[i]
        created[i] = earliest + (hour[i] * 3600 - earliest) % DAY
    return created, np.where(kind == KINDS.index("benign"), np.nan, created + age)
