"""A populated prototype: members, threads, and two of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.lm.blocking import run as wait_for
from ethogram.log import Log
from ethogram.simulate.social_simulacra.design import ACTS, Design
from ethogram.simulate.social_simulacra.threads import Course, Member, Thread, Threads, as_rows
from ethogram.simulate.social_simulacra.writing import Writer
from ethogram.text.dense import Embed, hashed
from ethogram.world.people.expand import expand
from ethogram.world.people.persona import Persona

START = int(np.datetime64("2024-01-01", "us").astype(np.int64))
DAY, MINUTE = 86_400_000_000, 60_000_000


@dataclass(frozen=True)
class Prototype:
    """A community that can be populated: design, members, a writer. `threads(n)` are always the same first n."""

    design: Design
    members: tuple[Member, ...]
    writer: Writer
    course: Course
    seed: int

    @property
    def engine(self) -> Threads:
        return Threads(self.design, self.members, self.writer, self.course, self.seed)

    def threads(self, n: int | None = None) -> list[Thread]:
        """The first n threads (as many as the design says)."""
        return wait_for(self.engine.several(range(self.design.n_threads if n is None else n)))

    def thread(self, number: int) -> Thread:
        return wait_for(self.engine.thread(number))

    def what_if(self, thread: Thread, node: int, *, text: str = "", act: str = "", seed: int | None = None) -> Thread:
        """See `Threads.what_if`."""
        return wait_for(self.engine.what_if(thread, node, text=text, act=act, seed=seed))

    def multiverse(self, thread: Thread, k: int, node: int = 0) -> list[Thread]:
        """See `Threads.multiverse`."""
        return wait_for(self.engine.multiverse(thread, k, node))

    def rows(self, threads: Sequence[Thread]) -> list[dict[str, Any]]:
        return as_rows(threads, self.members)

    def log(self, threads: Sequence[Thread], run: str = "") -> Log:
        """The threads as a behaviour log: a thread a day, a minute a node."""
        rows = self.rows(threads)
        if not rows:
            raise OptionError("social_simulacra: no threads, so no log.")
        name = [f"post {r['thread']}.{r['node']}" for r in rows]
        parent = [None if r["parent"] < 0 else f"post {r['thread']}.{r['parent']}" for r in rows]
        time = [START + r["thread"] * DAY + r["node"] * MINUTE for r in rows]
        writer = "rule" if type(self.writer).__name__ == "GrammarWriter" else "model"
        events = pa.table(
            {
                "user": [r["author"] for r in rows], "item": name, "time": pa.array(time, pa.timestamp("us", "UTC")),
                "kind": ["post" if p is None else "reply" for p in parent], "text": [r["text"] for r in rows],
                "actor": [f"{writer}:{r['act']}" for r in rows],
                "source": [f"simulated:{run or f'{self.design.name}, seed {self.seed}'}"] * len(rows),
            }
        )  # fmt: skip
        items = pa.table(
            {
                "item": name, "author": [r["author"] for r in rows], "parent": pa.array(parent, pa.string()),
                "act": [r["act"] for r in rows], "topic": [r["topic"] for r in rows],
                "breaks": pa.array([r["breaks"] for r in rows], pa.list_(pa.string())),
                "seed": pa.array([r["seed"] for r in rows], pa.int64()), "prompt": [r["prompt"] for r in rows],
            }
        )  # fmt: skip
        roles = {c: c for c in ("user", "item", "time", "kind", "text", "actor", "source")}
        return Log.open(events, items=items, **roles)

    def redesigned(self, design: Design, *, embed: Embed = hashed) -> Prototype:
        """The same luck under another design. Members stay who they are where the seed personas stay."""
        if design.seed_personas == self.design.seed_personas and design.n_members == self.design.n_members:
            trolls = troll_places(design, self.seed)
            members = tuple(replace(m, troll=i in trolls) for i, m in enumerate(self.members))
            return replace(self, design=design, members=members)
        return populated(design, self.writer, self.course, self.seed, embed=embed)


def populated(
    design: Design, writer: Writer, course: Course, seed: int, *, zipf: float = 1.0, embed: Embed = hashed,
    people: Sequence[Persona] | None = None,
) -> Prototype:  # fmt: skip
    """Members from the seed personas (recombined until they differ), with activity, tendencies and trolls.

    Parameters
    ----------
    zipf : exponent of the activity, s in rank^-s. people : given members instead.
    """
    if not 0 <= zipf < 10:
        raise OptionError(f"social_simulacra: zipf = {zipf}; an exponent from 0 to 10.")
    who = list(people) if people is not None else expand(design.seed_personas, design.n_members, seed=seed, embed=embed,
                                                         prefix="member").people  # fmt: skip
    rng = np.random.default_rng([seed, 31])
    activity = (1.0 + rng.permutation(len(who))) ** -zipf
    # heavy-tailed: a few people make most of the advertisements, jokes and insults
    tendency = np.minimum(rng.lognormal(-0.5, 1.0, (len(who), len(ACTS))), 8.0)
    trolls = troll_places(design, seed)
    members = tuple(
        Member(p, float(a), dict(zip(ACTS, t.tolist(), strict=True)), i in trolls)
        for i, (p, a, t) in enumerate(zip(who, activity, tendency, strict=True))
    )
    return Prototype(design, members, writer, course, seed)


def troll_places(design: Design, seed: int) -> set[int]:
    """Who is told to break rules: the same first ones of a drawn order, whatever the rate."""
    order = np.random.default_rng([seed, 32]).permutation(design.n_members)
    return set(order[: round(design.troll_rate * design.n_members)].tolist())


def side_by_side(one: Prototype, other: Prototype, n: int | None = None) -> pa.Table:
    """What a redesign changes, a row for each thread number.

    Columns `thread`, `same` (first nodes that are equal), and for both: `nodes`, `breaks` (nodes that break a rule of
    the first design or the second), `hostile` (attacks), `text`.
    """
    rules = tuple(dict.fromkeys([*one.design.discouraged, *other.design.discouraged]))
    judge = replace(one.design, discouraged=rules)
    n = min(one.design.n_threads, other.design.n_threads) if n is None else n
    rows = []
    for a, b in zip(one.threads(n), other.threads(n), strict=True):
        same = next((i for i, (x, y) in enumerate(zip(a.nodes, b.nodes, strict=False)) if x.text != y.text),
                    min(len(a.nodes), len(b.nodes)))  # fmt: skip
        row: dict[str, Any] = {"thread": a.number, "same": same}
        for name, t in (("first", a), ("second", b)):
            row |= {
                f"{name}_nodes": len(t.nodes), f"{name}_breaks": sum(bool(judge.forbids(x.act)) for x in t.nodes),
                f"{name}_hostile": sum(x.act == "attack" for x in t.nodes), f"{name}_text": t.text(),
            }  # fmt: skip
        rows.append(row)
    return pa.Table.from_pylist(rows)


def zipf_exponent(counts: Any) -> float:
    """The exponent s of activity ~ rank^-s in the posts of a real forum's members, by least squares of the logarithms
    over ranks with two posts or more.

    >>> round(zipf_exponent([1000, 500, 333, 250, 200]), 2)
    1.0
    """
    sorted_ = np.sort(np.asarray(counts, float))[::-1]
    sorted_ = sorted_[sorted_ >= 2]
    if len(sorted_) < 3:
        raise OptionError("zipf_exponent: three people with two posts or more are needed.")
    x, y = np.log(1.0 + np.arange(len(sorted_))), np.log(sorted_)
    return float(-np.polyfit(x, y, 1)[0])
