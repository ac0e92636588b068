"""Accounts that are banned and come back, on a made-up encyclopaedia: a generator with known truth.

Every person has latents: favourite topics and pages, favourite words, ways to comment, an hour of the day, levels of
talking, reverting, swearing and opining, and a way to build usernames. Who returns under a new account after a ban
brings each of them along with some probability, with drift (`rates.BRINGS`). Kinds of accounts differ in mean rates
(`rates.RATES`): accounts whose person will return, malicious ones whose person will not, and benign ones. What is not
`planted` is the same for all, and with ``effect=0`` there is nothing to find.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.data.registry import Reading, data_set
from ethogram.data.returning_accounts.people import People
from ethogram.data.returning_accounts.rates import KINDS, RATES, SHARED, Rates
from ethogram.data.returning_accounts.writing import NAMESPACES, Book, edits
from ethogram.errors import OptionError

START = 1_262_304_000
"""2010-01-01 UTC, seconds."""
__all__ = ["KINDS", "RATES", "SHARED", "ReturningAccounts"]


@data_set(
    "returning_accounts",
    what="generated: 2,000 returns of banned people under new accounts, among malicious and benign accounts; edits",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=3,
)
@dataclass(frozen=True, kw_only=True)
class ReturningAccounts:
    """A log of edits (user, item: the page, time, text added, and columns deleted, comment, ns, sizediff, minor).

    The accounts are its users: created, blocked, parent (the account before of the same person), master (the first),
    evasion (1 where there is a parent).
    """

    pairs: int = 2_000
    "Returns: pairs of a banned account and the next one of its person."
    malicious: int = 4_000
    "Banned accounts of people who do not come back."
    benign: int = 4_000
    "Accounts that nobody bans."
    days: int = 730
    "Days in which first accounts are made."
    again: float = 0.35
    "Chance that who has come back comes back once more."
    planted: tuple[str, ...] = (*RATES, *SHARED)
    "What differs between kinds (`rates.RATES`), and what people bring along (`rates.SHARED`)."
    effect: float = 1.0
    "Size of all that is planted; 0 plants nothing."
    world: int = 0
    "Which encyclopaedia: its pages and words are the same for every seed."
    seed: int = 0
    "Of everything else that is drawn."

    def __post_init__(self) -> None:
        if min(self.pairs, self.malicious, self.benign, self.days) < 1 or not 0 <= self.again < 0.95:
            raise OptionError("returning_accounts: pairs, malicious, benign, days: 1 or more; again in [0, 0.95).")
        Rates.of(self.planted, self.effect)

    def files(self) -> tuple[Path, ...]:
        return ()

    @cached_property
    def rates(self) -> Rates:
        return Rates.of(self.planted, self.effect)

    @cached_property
    def _made(self) -> tuple[People, Book, dict[str, np.ndarray | pa.Array]]:
        how = (self.pairs, self.malicious, self.benign, self.days, self.again, self.rates, self.seed)
        people, book = People.draw(*how), Book(self.world)
        return people, book, edits(people, book, self.seed)

    def read(self) -> Reading:
        people, book, made = self._made
        names = pa.array(people.names)
        page = np.asarray(made["page"])
        ns = np.asarray(made["ns"])
        title = pc.binary_join_element_wise(
            pa.array(NAMESPACES).take(pa.array(ns)), pa.array(book.titles).take(pa.array(page)), ""
        )
        sizes = [pc.utf8_length(made[c]).to_numpy() for c in ("text", "deleted")]
        events = pa.table(
            {
                "user": names.take(pa.array(made["account"])), "item": title, "time": _instants(made["time"]),
                "text": made["text"], "deleted": made["deleted"], "comment": made["comment"], "ns": ns,
                "sizediff": sizes[0] - sizes[1], "minor": made["minor"], "kind": pa.array(["edit"] * len(page)),
            }
        )  # fmt: skip
        users = pa.table(
            {
                "user": names, "created": _instants(people.created), "blocked": _instants(people.banned),
                "parent": names.take(pa.array(people.parent, mask=people.parent < 0)),
                "master": names.take(pa.array(people.master, mask=~people.returning)),
                "evasion": (people.parent >= 0).astype(np.int8),
            }
        )  # fmt: skip
        roles = {name: name for name in ("user", "item", "time", "text", "kind")}
        return Reading(events, roles, users=users)

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``accounts``: user, kind, and what each brought along. ``rates``: name, mean by kind. ``shared``: name,
            chance to be brought along.
        """
        people = self._made[0]
        accounts = {"user": people.names, "kind": [KINDS[k] for k in people.kind], **people.shared}
        means = {n: self.rates.means(n) for n in RATES}
        rates = {"name": list(RATES), **{k: [float(means[n][i]) for n in RATES] for i, k in enumerate(KINDS)}}
        shared = {"name": list(SHARED), "chance": [self.rates.brings(n) for n in SHARED]}
        return {"accounts": pa.table(accounts), "rates": pa.table(rates), "shared": pa.table(shared)}


def _instants(seconds: np.ndarray) -> pa.Array:
    known = np.isfinite(seconds)
    micros = ((np.where(known, seconds, 0.0) + START) * 1e6).astype(np.int64) // 10**6 * 10**6
    return pa.array(micros, mask=~known).cast(pa.timestamp("us", "UTC"))
