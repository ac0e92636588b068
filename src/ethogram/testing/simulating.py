"""Promises of systems that simulate people."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from ethogram.log import Log
from ethogram.testing.case import Case

COLUMNS = ("user", "time", "kind", "actor", "source")
TICKS = 4
"""Ticks of a check."""


def _run(case: Case, until: int = TICKS, seed: int = 1) -> Log:
    built = case.make()
    log: Log = built.run(built.example(seed=seed), until, seed=seed)
    return log


def _rows(log: Log) -> pa.Table:
    table = log.table()
    return table.sort_by("event") if "event" in table.column_names else table


def is_a_log(case: Case) -> None:
    """What happened is a log: who, when, what, how it was decided, and that it was simulated."""
    log = _run(case)
    assert isinstance(log, Log), f"run returned {type(log).__name__}"
    table = log.table()
    lacking = [c for c in COLUMNS if c not in table.column_names]
    assert not lacking, f"the log has no {lacking}"
    assert table.num_rows > 0, f"nothing happened in {TICKS} ticks"
    assert not any(table.column(c).null_count for c in COLUMNS), "an event without user, time, kind, actor or source"
    wrong = [s for s in pc.unique(table.column("source")).to_pylist() if not s.startswith("simulated:")]
    assert not wrong, f"source is '{wrong[0]}'"


def repeatable(case: Case) -> None:
    """The same world and seed give the same log."""
    assert _rows(_run(case)).equals(_rows(_run(case))), "two runs differ"


def untouched(case: Case) -> None:
    """The world that was given stays as it is: run twice, it gives the same."""
    built = case.make()
    world = built.example(seed=1)
    one, other = (_rows(built.run(world, TICKS, seed=1)) for _ in range(2))
    assert one.equals(other), "the second run of one world differs"


def continued(case: Case) -> None:
    """A longer run begins with the shorter one."""
    short, long = _rows(_run(case)), _rows(_run(case, 2 * TICKS))
    assert long.num_rows >= short.num_rows, "a longer run has fewer events"
    shared = [c for c in short.column_names if c in long.column_names and not c.endswith("_code")]
    last = pc.max(short.column("time"))
    begun = long.filter(pc.less_equal(long.column("time"), last))
    for name in shared:
        assert begun.column(name).to_pylist() == short.column(name).to_pylist(), f"column '{name}' begins otherwise"


def worlds(case: Case) -> None:
    """`world` is one of the engine at its beginning, with so many minds and their model; its map is one, or none."""
    from ethogram.lm import ScriptedLM
    from ethogram.world import World

    built, lm = case.make(), ScriptedLM("nothing", name="contract")
    plain, played = built.world(seed=1), built.world(seed=1, minds=2, lm=lm)
    for world in (plain, played):
        assert isinstance(world, World), f"world returned {type(world).__name__}"
        assert world.tick == 0, "a world does not begin at tick 0"
        found = built.plan(world)
        assert found is None or isinstance(found, Mapping), f"plan returned {type(found).__name__}"
    assert len(played.live.overlay.held) == 2, f"{len(played.live.overlay.held)} minds; 2 were asked for"
    assert played.declared.lm is lm, "the model that was given is not the world's"
    same = [w.run(TICKS).fingerprint for w in (plain, built.world(seed=1))]
    assert same[0] == same[1], "two worlds of one seed differ"


SIMULATES = (worlds, is_a_log, repeatable, untouched, continued)
