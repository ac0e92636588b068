"""A shop's transactions with the click stream before each, and rings of fraudsters among them whose truth is known.

Everybody moves by a chain over types of pages (`ways`); honest people have one of a few habits and a pace of their own.
A ring has a script, a path that honest people could take as well, with a rhythm of seconds per page, and its members
follow both with noise. What risk experts look at (age of the account, amount, orders of the device within a day ...) is
alike within a ring in `shifted` of seven ways (accounts made in bulk, one proxy, one price), for most of its members,
about a value that honest transactions have as well: no number tells ring from normal. A tag lies on a
quarter of a ring's transactions and on a few honest ones.

A real-time engine scores every transaction by the numbers alone and declines the worst:

    s = 1.2 [account younger than a week] + mismatch + .8 ln velocity + .5 z(ln amount) + .4 z(ln distance) + Normal
    declined = s > the quantile 1 - `declines` of honest transactions

What it lets through of the rings is the money that is left to be caught. With ``effect=0`` rings behave, and are
tagged, as everybody: whatever is found then is an error; ``rings=0`` is normal traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from ethogram.data.fraud_rings import ways
from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError

START = int(np.datetime64("2024-03-01", "us").astype(np.int64))
HOUR = 3_600_000_000
DEVICES = ("android", "ios", "windows", "mac", "linux")
OFTEN = (0.36, 0.3, 0.22, 0.1, 0.02)
SHIFTS = ("account_age", "amount", "velocity", "mismatch", "distance", "device", "email_age")
NUMBERS = ("account_age", "email_age", "prior_orders", "velocity", "mismatch", "distance", "articles", "discount")
"""Columns that a checkout carries beside amount, `device`, `declined` and tag; ages in days, distance in km."""


@data_set(
    "fraud_rings",
    what="generated: 20,000 transactions with the clicks before each; 12 rings of fraudsters, a quarter of them tagged",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class FraudRings:
    """Two weeks from 2024-03-01. `user` is an account, `session` a transaction, `item` a page, `kind` its type.

    The last event of a session, of kind ``checkout``, carries what is known of the transaction: amount (`value`), tag
    (`label`, 1 or 0), `declined` by the engine (1 or 0), `device` and the numbers of the experts.
    """

    transactions: int = 20_000
    "Honest and fraudulent ones together."
    rings: int = 12
    "Rings of fraudsters; 0 is normal traffic."
    size: tuple[int, int] = (15, 80)
    "Fewest and most transactions of a ring."
    effect: float = 1.0
    "Share of a ring's members that behave as the ring does; the others behave as everybody. 0 is no effect at all."
    scripts: int | None = None
    "So many scripts for all rings, which then differ by rhythm; none gives every ring its own."
    script: tuple[int, int] = (5, 9)
    "Fewest and most pages of a script."
    noise: float = 0.15
    "Share of the pages of a script that is another one, left out, or followed by a detour."
    jitter: float = 0.25
    "Spread of the log of seconds about a ring's rhythm; of honest people it is 0.7."
    shifted: int = 5
    "Numbers of the experts, of seven, in which a ring's members are alike."
    overlap: float = 0.05
    "Share of a ring's members, for each of these numbers, with whom it is as everybody's."
    tagged: float = 0.25
    "Share of a ring's transactions that carry a tag."
    false_tags: float = 0.004
    "Share of honest transactions that carry one."
    declines: float = 0.015
    "Share of honest transactions that the engine declines."
    habits: int = 6
    "Ways of moving through the shop that honest people have."
    again: int = 0
    "Draws the transactions anew, of the same habits and rings: 0, 1, 2 ... are different weeks of one shop."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        shares = ("effect", "noise", "overlap", "tagged", "false_tags", "declines")
        for wrong, text in (
            (self.transactions < 1 or self.habits < 1, "transactions and habits: 1 or more"),
            (min(self.rings, self.jitter, self.again) < 0, "rings, jitter and again: 0 or more"),
            (not 1 <= self.size[0] <= self.size[1], f"size = {self.size} is not (fewest, most)"),
            (not 2 <= self.script[0] <= self.script[1] <= 20, f"script = {self.script} is not (fewest, most) in 2..20"),
            (self.scripts is not None and self.scripts < 1, "scripts: 1 or more, or none"),
            (not 0 <= self.shifted <= len(SHIFTS), f"shifted: 0 to {len(SHIFTS)}"),
            (any(not 0 <= getattr(self, s) <= 1 for s in shares), f"{', '.join(shares)} are shares in [0, 1]"),
            (
                self.rings * self.size[1] > self.transactions,
                f"{self.rings} rings of {self.size[1]} do not fit into {self.transactions} transactions",
            ),
        ):
            if wrong:
                raise OptionError(f"fraud_rings: {text}.")

    def files(self) -> tuple[Path, ...]:
        return ()

    def _random(self, part: int, *, fresh: bool = True) -> np.random.Generator:
        """`fresh`: another one for each `again`."""
        return np.random.default_rng([self.seed, part, self.again] if fresh else [self.seed, part])

    @cached_property
    def sizes(self) -> np.ndarray:
        """Transactions of each ring, int64[rings]."""
        return self._random(0, fresh=False).integers(self.size[0], self.size[1] + 1, self.rings)

    @cached_property
    def ring(self) -> np.ndarray:
        """Ring of each transaction, -1 for the honest; rings stand first, int64[transactions]."""
        return np.r_[
            np.repeat(np.arange(self.rings), self.sizes), np.full(self.transactions - self.sizes.sum(), -1)
        ].astype(np.int64)

    @cached_property
    def acts(self) -> np.ndarray:
        """bool[transactions]: the transaction behaves as its ring does."""
        return (self.ring >= 0) & (self._random(1).random(self.transactions) < self.effect)

    @cached_property
    def plans(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Script of each ring: pages and log of seconds on each."""
        rng = self._random(2, fresh=False)
        chains = self._habits
        made = [ways.script(chains, *self.script, rng) for _ in range(self.scripts or self.rings)]
        if self.scripts is None:
            return made
        pages = [made[r % self.scripts][0] for r in range(self.rings)]
        return [(page, ways.pattern(page, rng)) for page in pages]

    @cached_property
    def _habits(self) -> np.ndarray:
        return ways.habits(self.habits, self._random(3, fresh=False))

    @cached_property
    def walks(self) -> ways.Walks:
        """The page views of every transaction."""
        rng, parts = self._random(4), []
        usual = ways.walk(int((~self.acts).sum()), self._habits, rng)
        for ring in range(self.rings):
            mine = int((self.acts & (self.ring == ring)).sum())
            parts.append(ways.follow(mine, *self.plans[ring], self.noise, self.jitter, rng))
        acted, ordinary = np.flatnonzero(self.acts), np.flatnonzero(~self.acts)
        whole = ways.Walks.joined([*parts, usual])
        order = np.argsort(np.concatenate([acted, ordinary]), kind="stable")
        lengths = whole.lengths[order]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.repeat(whole.offsets[order] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return ways.Walks(whole.page[rows], whole.seconds[rows], offsets)

    @cached_property
    def numbers(self) -> dict[str, np.ndarray]:
        """What the experts look at, and the amount, by name: [transactions] each; `device` holds codes."""
        n, rng = self.transactions, self._random(5)
        new = rng.random(n) < 0.15
        age = np.where(new, rng.exponential(6, n), np.exp(rng.normal(np.log(400), 1.1, n)))
        found = {
            "account_age": np.round(age, 1),
            "email_age": np.round(np.exp(rng.normal(np.log(900), 1.2, n)), 1),
            "velocity": 1.0 + rng.poisson(0.35, n),
            "mismatch": (rng.random(n) < 0.12).astype(np.float64),
            "distance": np.round(np.exp(rng.normal(np.log(25), 1.5, n)), 1),
            "articles": 1.0 + rng.poisson(1.0, n),
            "discount": np.round(rng.beta(1, 8, n), 2),
            "amount": np.round(np.exp(rng.normal(np.log(60), 0.9, n)), 2),
            "device": rng.choice(len(DEVICES), n, p=OFTEN).astype(np.float64),
        }
        own = {name: self._own[name][self.ring] for name in self._own}

        def near(name: str, spread: float, digits: int = 1) -> np.ndarray:
            return np.round(own[name] * np.exp(rng.normal(0, spread, n)), digits)

        drawn = {
            "account_age": near("account_age", 0.3),
            "email_age": near("email_age", 0.3),
            "velocity": 1.0 + rng.poisson(2.5, n),
            "mismatch": (rng.random(n) < 0.8).astype(np.float64),
            "distance": near("distance", 0.3),
            "amount": near("amount", 0.1, 2),
            "device": own["device"].astype(np.float64),
        }  # honest transactions read the last ring's, and use none of it
        follows = rng.random((len(SHIFTS), n)) >= self.overlap
        for s, name in enumerate(SHIFTS):
            moved = self.acts & follows[s] & (self._own["shifts"][self.ring, s] > 0)
            found[name] = np.where(moved, drawn[name], found[name])
        found["prior_orders"] = rng.poisson(np.minimum(found["account_age"], 3_000) / 60).astype(np.float64)
        return found

    @cached_property
    def _own(self) -> dict[str, np.ndarray]:
        """What is fixed for each ring; one more row stands for none."""
        rng, rings = self._random(6, fresh=False), self.rings + 1
        shifts = np.zeros((rings, len(SHIFTS)))
        for r in range(self.rings):
            shifts[r, rng.permutation(len(SHIFTS))[: self.shifted]] = 1
        places = {"account_age": (1, 90), "email_age": (10, 400), "distance": (50, 2_000), "amount": (40, 400)}
        centres = {n: np.exp(rng.uniform(np.log(low), np.log(high), rings)) for n, (low, high) in places.items()}
        return {"shifts": shifts, "device": rng.integers(0, len(DEVICES), rings), **centres}

    @cached_property
    def engine(self) -> np.ndarray:
        """bool[transactions]: declined by the real-time engine."""
        f = self.numbers
        amount, far = np.log(f["amount"]), np.log(f["distance"] + 1)
        score = 1.2 * (f["account_age"] < 7) + f["mismatch"] + 0.8 * np.log(f["velocity"])
        score += 0.5 * (amount - np.log(60)) / 0.9 + 0.4 * (far - np.log(26)) / 1.5
        score += self._random(7).standard_normal(self.transactions)
        honest = score[self.ring < 0]
        return score > (np.quantile(honest, 1 - self.declines) if len(honest) else np.inf)

    @cached_property
    def tags(self) -> np.ndarray:
        """bool[transactions]: tagged so far; without effect rings are tagged as everybody."""
        chance = np.where((self.ring >= 0) & (self.effect > 0), self.tagged, self.false_tags)
        return self._random(8).random(self.transactions) < chance

    @cached_property
    def began(self) -> np.ndarray:
        """Microseconds since 1970 at which each session begins; a ring acts within 6 to 36 hours."""
        rng, fixed = self._random(9), self._random(10, fresh=False)
        first, span = fixed.uniform(24, 288, self.rings + 1), fixed.uniform(6, 36, self.rings + 1)
        hour = np.floor(rng.random(self.transactions) * 14) * 24 + np.clip(rng.normal(15, 5, self.transactions), 0, 24)
        mine = first[self.ring] + rng.random(self.transactions) * span[self.ring]
        return START + (np.where(self.acts, mine, hour) * HOUR).astype(np.int64)

    def read(self) -> Reading:
        n, rng = self.transactions, self._random(11)
        name = np.char.add("t", np.char.zfill(rng.permutation(n).astype(str), 6))
        account = np.where(self.acts, n + np.arange(n), rng.integers(0, max(1, int(0.7 * n)), n))
        user = np.char.add("a", np.char.zfill(account.astype(str), 6))
        walks = self.walks
        lengths = walks.lengths + 1  # and the checkout
        stops = np.cumsum(lengths)
        last = np.zeros(stops[-1], bool)
        last[stops - 1] = True
        page = np.full(len(last), len(ways.PAGES) - 1)
        page[~last] = walks.page
        spent = np.zeros(len(last))
        spent[~last] = np.exp(walks.seconds)
        micros = np.round(spent * 1e6).astype(np.int64)
        before = np.cumsum(micros) - micros
        time = np.repeat(self.began - before[stops - lengths], lengths) + before
        owner = np.repeat(np.arange(n), lengths)

        def at_end(values: np.ndarray) -> pa.Array:
            return pa.array(np.asarray(values, np.float64)[owner], mask=~last)

        f = self.numbers
        events = {
            "user": user[owner],
            "session": name[owner],
            "item": np.array(ways.PAGES)[page],
            "time": pa.array(time, pa.timestamp("us", "UTC")),
            "kind": np.array(ways.TYPES)[ways.TYPE_OF[page]],
            "value": at_end(f["amount"]),
            "label": at_end(self.tags),
            "declined": at_end(self.engine),
            "device": pa.array(np.array(DEVICES)[f["device"].astype(np.int64)][owner], mask=~last),
            **{column: at_end(f[column]) for column in NUMBERS},
        }
        roles = {r: r for r in ("user", "session", "item", "time", "kind", "value", "label")}
        items = pa.table({"item": ways.PAGES, "type": np.array(ways.TYPES)[ways.TYPE_OF]})
        return Reading(pa.table(events), roles, items)

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``cases``: session, ring (-1 honest), acts, tagged, declined, amount. ``rings``: ring, size, script, seconds
            (medians on its pages), shifted.
        """
        name = np.char.add("t", np.char.zfill(self._random(11).permutation(self.transactions).astype(str), 6))
        cases = {
            "session": name, "ring": self.ring, "acts": self.acts, "tagged": self.tags, "declined": self.engine,
            "amount": self.numbers["amount"],
        }  # fmt: skip
        shifted = [[s for s, on in zip(SHIFTS, row, strict=True) if on] for row in self._own["shifts"][: self.rings]]
        rings = {
            "ring": np.arange(self.rings),
            "size": self.sizes,
            "script": pa.array([[ways.PAGES[p] for p in page] for page, _ in self.plans], pa.list_(pa.string())),
            "seconds": pa.array([np.exp(s).round(1).tolist() for _, s in self.plans], pa.list_(pa.float64())),
            "shifted": pa.array(shifted, pa.list_(pa.string())),
        }
        return {"cases": pa.table(cases), "rings": pa.table(rings)}
