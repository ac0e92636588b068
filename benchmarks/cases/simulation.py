"""Simulated people: a million as columns beside an object for each, forked, in a network; the log; minds of 200 ms.

``python -m benchmarks simulation``; with ``--quick`` small sizes that show that everything runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.harness import Target
from benchmarks.race import Found, Race

OURS, TENTH, OBJECTS = "ethogram, all awake", "ethogram, a tenth awake", "an object per person, a loop over all"
QUICK = "quick" in os.environ.get("ETHOGRAM_BENCH", "").split(",")
PEOPLE = 20_000 if QUICK else 1_000_000
LOOPED = 2_000 if QUICK else 200_000
"""People of the loop: a million of them would take minutes, and no longer each."""

FORK = "forked into a folder"
STEPS = {
    "declared": "a world declared, in memory", "resumed": "ethogram, resumed", FORK: "ethogram, forked into a folder",
    "without links": "the same where the file system has no links", "forked in memory": "ethogram, forked in memory",
    "columns copied": "all columns copied in memory", "ran a tick": "ethogram, the fork's first tick",
    "saved after a tick": "ethogram, its next checkpoint",
}  # fmt: skip


def measured(kind: str, people: int, ticks: int) -> dict[str, Any]:
    """What a process of its own found."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.simulated", kind, str(people), str(ticks)],
        env=dict(os.environ), stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def people() -> Found:
    """(a) of the engine's acceptance, beside the plain loop."""
    found = Found()
    runs = {
        OURS: ("world", PEOPLE, 10), TENTH: ("sparse", PEOPLE, 20), OBJECTS: ("objects", LOOPED, 1)
    }  # fmt: skip
    for name, (kind, size, ticks) in runs.items():
        # of three, the fastest: whatever else the machine does only adds
        told = min((measured(kind, size, ticks) for _ in range(1 if QUICK else 3)), key=lambda t: t["wall"])
        found.rows.append(
            {
                "": name, "people": size, "decisions / s": told["decisions"] / told["wall"],
                "decisions / CPU s": told["decisions"] / told["cpu"], "ticks / s": told["ticks"] / told["wall"],
                "peak RSS, MiB": told["peak"], "bytes a person": told["own"] * 2**20 / size,
            }
        )  # fmt: skip
        found.values |= {f"{name} {what}": float(told[what]) for what in ("wall", "cpu", "peak")}
        found.values[f"{name} rate"] = told["decisions"] / told["wall"]
        found.values[f"{name} cpu rate"] = told["decisions"] / told["cpu"]
        found.values[f"{name} ticks"] = told["ticks"] / told["wall"]
    found.notes.append("decisions of ours are logged to disk in a chain of hashes; those of the loop go to a list")
    found.notes.append("peak RSS is of the whole process; bytes a person are without imports and compiled code")
    return found


def logged() -> Found:
    """(b): events to disk."""
    told = min(
        (measured("log", PEOPLE, 10) for _ in range(1 if QUICK else 3)),
        key=lambda t: -t["rates"]["packed to disk"]["wall"],
    )
    found = Found(
        [
            {"": f"ethogram, {name}", "M events / s": rate["wall"] / 1e6, "M events / CPU s": rate["cpu"] / 1e6}
            for name, rate in told["rates"].items()
        ],
        {name: rate["wall"] for name, rate in told["rates"].items()},
    )
    found.notes.append(
        f"{told['bytes']:.1f} bytes an event; batches of {PEOPLE:,} events; the page cache takes the writes"
    )
    return found


def network() -> Found:
    """(a), with feeds."""
    size = PEOPLE
    told = min((measured("network", size, 10) for _ in range(1 if QUICK else 3)), key=lambda t: t["wall"])
    ticks = {clock: told["ticks"] / told[clock] for clock in ("wall", "cpu")}
    row = {
        "": "ethogram, a tenth awake", "people": size, "ticks / s": ticks["wall"], "ticks / CPU s": ticks["cpu"],
        "acts a tick": told["decisions"] / told["ticks"], "posts": told["posts"], "peak RSS, MiB": told["peak"],
    }  # fmt: skip
    notes = [
        "everybody follows ten; feeds of ten posts from those followed, by taste and by popularity; logged to disk"
    ]
    return Found([row], {"ticks": ticks["wall"], "cpu ticks": ticks["cpu"], "peak": told["peak"]}, notes=notes)


def archetypes() -> Found:
    """(f): classes beside calls for each person."""
    size, ticks = (5_000, 2) if QUICK else (100_000, 5)
    told = measured("archetypes", size, ticks)
    gaps, exact = np.abs(np.array(told["gaps"])), np.abs(np.array(told["exact"]))
    mean = np.abs(np.array(told["gaps"]).mean(0))
    row = {
        "": "ethogram, a call per class", "people": size, "calls, first tick": told["calls"][0],
        "calls, later ticks": max(told["calls"][1:]), "points off, mean of samples": float(mean.max()),
        "points off, worst sample": float(gaps.max()), "points off the model's chances": float(exact.max()),
        "decisions / CPU s": told["decisions"] / told["cpu"],
    }  # fmt: skip
    notes = [
        f"{ticks} samples of 2,000 people, one a tick, a call for each; a share of such a sample has a standard error"
        " of about 1 point, the mean of five of 0.5",
        "the model's chances are what a call for each of the people would give on average",
    ]
    values = {
        "calls": float(max(told["calls"])), "points": float(mean.max()), "exact": float(exact.max()),
        "cpu rate": told["decisions"] / told["cpu"],
    }  # fmt: skip
    return Found([row], values, notes=notes)


def forks() -> Found:
    """Resumed, forked, saved."""
    with tempfile.TemporaryDirectory(prefix="ethogram-branched-") as made:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.branched", str(PEOPLE), f"{made}/of"],
            env=dict(os.environ), stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    rows, values = [], {}
    for name, what in STEPS.items():
        one = told[name]
        rows.append(
            {
                "": what, "CPU ms": 1e3 * one["cpu"], "wall ms": 1e3 * one["wall"],
                "own memory, MiB": one["anonymous"], "written, MiB": one["written"] / 2**20,
            }
        )  # fmt: skip
        values |= {f"{name} {column}": float(one[column]) for column in ("cpu", "anonymous", "written")}
    notes = [
        "82 bytes a person: 16 tastes, the last choice, identity, wake, policy; a tenth is awake in a tick",
        "own memory: anonymous, after the allocator gave back what was free; written: files of columns that no other"
        " folder holds; events are copied, 16 bytes each",
        "resumed: the declaration is made anew, and its columns go where the checkpoint holds the same",
    ]
    return Found(rows, values, notes=notes)


def minds() -> Found:
    """(d): 25 minds."""
    told = measured("minds", 25, 4 if QUICK else 40)
    serial = told["one after the other"]["wall"]
    rows = [
        {
            "": name if name.startswith("one") else f"ethogram, {name}", "s / tick": one["wall"],
            "x serial": serial / one["wall"], "occupancy": one["occupancy"],
            "LM calls / simulated h": one["calls_per_hour"],
        }
        for name, one in told.items()
    ]  # fmt: skip
    values = {f"{n} gain": serial / one["wall"] for n, one in told.items()}
    values |= {f"{n} occupancy": one["occupancy"] for n, one in told.items()}
    notes = [
        "25 minds, 200 ms a call, 16 calls at once; ticks of 10 s; barrier and running ahead end in one fingerprint"
    ]
    notes.append("with a barrier 25 calls go in two waves of 16: at most 78% of the lanes can be busy")
    return Found(rows, values, notes=notes)  # type: ignore[arg-type]


def endpoint() -> Found:
    """A thousand minds at a real endpoint."""
    told = measured("endpoint", 100 if QUICK else 1_000, 2 if QUICK else 10)
    rows = [
        {
            "": f"ethogram, {lanes} calls at once", "decisions / s": one["rate"], "s / tick": one["wall"],
            "occupancy": one["occupancy"], "CPU ms a decision": 1e3 * one["cpu"], "peak RSS, MiB": one["peak"],
        }
        for lanes, one in told.items()
    ]  # fmt: skip
    values = {f"{lanes} {name}": float(one[name]) for lanes, one in told.items() for name in one}
    notes = ["the endpoint is a process of its own on this machine, HTTP over loopback; one call a decision, no cache"]
    return Found(rows, values, notes=notes)  # type: ignore[arg-type]


def cases() -> Iterable[Any]:
    """The harness's form."""
    yield Race(
        "simulation_people",
        f"{PEOPLE:,} people choose among 8 items by 16 tastes, two cores",
        people,
        [
            Target("decisions / s, all awake", lambda v: v[f"{OURS} rate"], least=1e6),
            Target("ticks / s, a tenth awake, logged", lambda v: v[f"{TENTH} ticks"], least=5),
            Target("peak RSS, MiB", lambda v: v[f"{OURS} peak"], most=4_096),
            Target("x the loop, by CPU", lambda v: v[f"{OURS} cpu rate"] / v[f"{OBJECTS} cpu rate"], least=10),
        ],
        threads=2,
    )
    yield Race(
        "simulation_log",
        "events of a simulation from memory to disk",
        logged,
        [
            Target("packed, events / s", lambda v: v["packed to disk"], least=1e7),
            Target("with the chain of hashes, events / s", lambda v: v["chained to disk"], least=5e5),
        ],
    )
    yield Race(
        "simulation_network",
        f"a social network of {PEOPLE:,} people",
        network,
        [
            Target("ticks / s, a tenth awake, logged, with feeds", lambda v: v["ticks"], least=1),
            Target("peak RSS, MiB", lambda v: v["peak"], most=4_096),
        ],
        threads=2,
    )
    yield Race(
        "simulation_forks",
        f"a run of {PEOPLE:,} people resumed, forked and saved",
        forks,
        [
            Target(
                "fork, of the CPU time without links", lambda v: v[f"{FORK} cpu"] / v["without links cpu"], most=0.2
            ),
            Target("fork, own memory in MiB", lambda v: v[f"{FORK} anonymous"], most=2),
            Target("fork, MiB of columns written", lambda v: v[f"{FORK} written"] / 2**20, most=1),
            Target("fork in memory, own memory in MiB", lambda v: v["forked in memory anonymous"], most=2),
            Target(
                "resumed, own memory of that of a world declared",
                lambda v: v["resumed anonymous"] / v["declared anonymous"],
                most=0.5,
            ),
        ],
    )
    yield Race(
        "simulation_archetypes",
        "100,000 people by archetype beside a call for each",
        archetypes,
        [
            Target("calls of a step", lambda v: v["calls"], most=2_000),
            Target("points off calls per person, mean of five samples of 2,000", lambda v: v["points"], most=2),
            Target("points off the model's own chances", lambda v: v["exact"], most=2),
        ],
    )
    yield Race(
        "simulation_minds",
        "25 minds with a model of 200 ms, 16 calls at once",
        minds,
        [
            Target("barrier, x serial", lambda v: v["barrier gain"], least=8),
            Target("running ahead, x serial", lambda v: v["running ahead gain"], least=8),
            Target("running ahead, share of the lanes that is busy", lambda v: v["running ahead occupancy"], least=0.9),
        ],
    )
    yield Race(
        "simulation_endpoint",
        "1,000 minds with an endpoint that answers after 200 ms",
        endpoint,
        [
            Target("64 at once, share of the lanes that is busy", lambda v: v["64 occupancy"], least=0.9),
            Target("256 at once, share of the lanes that is busy", lambda v: v["256 occupancy"], least=0.6),
            Target("peak RSS, MiB", lambda v: v["256 peak"], most=1_024),
        ],
        threads=2,
    )
