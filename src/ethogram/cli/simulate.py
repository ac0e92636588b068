"""``ethogram simulate KEY``: let a system's own people live for a while; kept in a folder, it can be gone on with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ethogram.cli.options import Set, chosen
from ethogram.cli.output import Json, Output
from ethogram.errors import BudgetSpent, OptionError

if TYPE_CHECKING:
    from ethogram.replay import Run


def simulate(
    key: str,
    /,
    *,
    until: str = "100",
    minds: int | None = None,
    lm: str | None = None,
    seed: int = 0,
    out: Path | None = None,
    log: Path | None = None,
    every: int = 500,
    timeout: float = 300.0,
    budget: str | None = None,
    prices: str | None = None,
    spent: str = "degrade",
    sets: Set = (),
    json: Json = None,
    **flags: str,
) -> None:
    """Run a system's own world, and tell what happened, who decided, and what it cost.

    Called again with the same folder, a run that was broken off goes on where it was, and one that is whole goes on
    to a later --until.

    Parameters
    ----------
    key
        The system, as in `ethogram systems`, or the folder of a run to go on with.
    until
        Ticks to run, or a length of simulated time such as 12h or 2d.
    minds
        People that a language model plays, where the system has such.
    lm
        The model of the minds: local, the URL of an endpoint (URL#MODEL where it has several), scripted (the system's
        own rules), or scripted:TEXT. URL,local asks the second where the first fails or may spend no more.
    seed
        Seed of everything that is drawn.
    out
        Keep the run in this folder: events, commands, checkpoints, and every call to the model.
    log
        Also write what happened as a behaviour log, to this folder.
    every
        Ticks between checkpoints.
    timeout
        Seconds that a model at a URL has for one try of a call; whose calls all fail is led by the fallback.
    budget
        What the run may spend of its model, over all sessions: calls=500, tokens=2e6, money=5, seconds=600 (of this
        session), several with commas. Of URL,local it binds the first alone.
    prices
        Money for a million tokens, of those read and those written: 0.5,1.5
    spent
        What follows when the budget is spent: degrade (the next model, then the rules) or stop, at a whole tick.
    """
    from ethogram.cli.spending import spending
    from ethogram.replay import begin, opened
    from ethogram.replay.manifest import is_run
    from ethogram.replay.running import ticks

    say = Output(json)
    if minds is not None and minds < 1:
        raise OptionError(f"--minds {minds}: give 1 or more.")
    if every < 1:
        raise OptionError(f"--every {every}: give 1 or more.")
    means = spending(budget, prices, spent, timeout)
    if log is not None and log.exists():
        raise OptionError(f"--log {log}: that is there already; give a new folder.")
    if is_run(key):
        if out is not None or minds is not None or lm is not None or sets or flags or seed:
            raise OptionError(
                f"{key} is a run; it goes on as it began: give only --until, --log, --every, --timeout, --budget, "
                "--prices, --spent."
            )
        run = opened(key, every=every, spending=means)
    else:
        given = {n: v for n, v in chosen(key, sets, flags).items() if n not in ("lm", "minds")}
        run = begin(out, key, given, seed=seed, minds=minds, lm=lm, every=every, spending=means)
    with run:
        if ticks(until, run.world) < 1:
            raise OptionError(f"--until {until}: give 1 tick or more.")
        if began := run.world.tick:
            say.line(f"{run.folder} is at tick {began:,}; it goes on from there.")
        before, stopped = Counter(run.world.live.decisions), ""
        try:
            with say.progress(run.told.key) as watch:
                run.until(until, watch)
        except BudgetSpent as error:
            stopped = str(error)
            more = f"; ethogram simulate {run.folder} --until {until} --budget ... goes on" if run.folder else ""
            say.line(f"stopped at tick {run.world.tick:,}: {stopped}{more}")
        except KeyboardInterrupt:
            if run.folder is not None:
                say.line(f"stopped at tick {run.world.tick:,}; ethogram simulate {run.folder} --until {until} goes on")
            raise
        told = tell(run, say, before)
        if log is not None:
            run.log().write(log)
            say.line(f"log: {log}")
        if run.folder is not None:
            say.line(f"run: {run.folder}   look at it: ethogram replay {run.folder}")
    say.result({**told, "stopped": stopped})


ASKED = ("model", "cache", "archetype", "surrogate", "fallback")
"""Sources of the decisions that a language model is there for."""


def tell(run: Run, say: Output, before: Counter[str] | None = None) -> dict[str, Any]:
    """Print what a run holds; the same as a value. `before`: decisions of earlier sessions, by source."""
    world = run.world
    kinds, people = Counter[str](), set[int]()
    for record in world.live.tape.records():
        acts = (record.uid != 0xFFFFFFFF) & (record.verb > 0) & ~record.refused
        kinds.update({world.declared.verbs[v]: n for v, n in Counter(record.verb[acts].tolist()).items()})
        people.update(record.uid[acts].tolist())
    total = sum(kinds.values())
    say.line(
        f"{run.told.key}: {total:,} events of {len(people):,} people in {world.tick:,} tick{'s' * (world.tick != 1)}"
    )
    say.table(("kind", "events"), kinds.most_common())
    shares = world.shares()
    say.line("decided by " + (", ".join(f"{s} {100 * v:.1f}%" for s, v in shares.items()) or "nobody"))
    calls, minds = run.calls(), asked(run, before or Counter())
    if calls is not None:
        if minds:
            say.line(
                f"for the model {minds['decisions']:,} decisions: "
                + ", ".join(f"{s} {100 * n / minds['decisions']:.1f}%" for s, n in minds["sources"].items())
                + f"; {minds['seconds']:.3g} s of wall time each"
            )
        hours = world.tick * world.declared.length / 3.6e9
        where = f"; recorded in {run.told.recording}" if run.folder is not None else ""
        say.line(
            f"model: {calls['calls']:,} calls ({calls['calls'] / hours:,.4g} per simulated hour), {calls['sent']:,} of "
            f"them sent, {calls['failed']:,} failed, {calls['tokens']:,} tokens, money {calls['money']:.4g}{where}"
        )
        if len(calls["models"]) > 1:
            say.table(("model", "calls sent"), list(calls["models"].items()))
    costs = [r for r in world.costs().to_pylist() if r["seconds"]]
    say.table(("cost of", "seconds"), [(r["component"], r["seconds"]) for r in costs])
    say.line(f"fingerprint {world.fingerprint}")
    return {
        "events": total, "people": len(people), "ticks": world.tick, "kinds": dict(kinds.most_common()),
        "shares": shares, "calls": calls, "asked": minds, "fingerprint": world.fingerprint,
        "seconds": {r["component"]: r["seconds"] for r in costs},
    }  # fmt: skip


def asked(run: Run, before: Counter[str]) -> dict[str, Any] | None:
    """Decisions of this session that a language model is there for, by source, and wall seconds of each."""
    sources = {s: n for s in ASKED if (n := run.world.live.decisions[s] - before[s])}
    total = sum(sources.values())
    if not total:
        return None
    return {"decisions": total, "sources": sources, "seconds": run.world.live.seconds.get("ask", 0.0) / total}
