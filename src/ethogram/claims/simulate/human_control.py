"""What is claimed of `human_control`, and how it is measured.

Calibration: 20 worlds with parameters drawn from the middle of the prior, statistics of one run each, 200 runs of 2,000
people to find them. The grammar was written on other descriptions (those of the tests) and not changed after these had
been read by it; the refused ones miss one thing each, or ask for what cannot be. Prototype: 200 people of The Complete
Journey with 60 acts on 20 occasions or more, everybody's own last fifth of occasions held out; actions are departments
(32) and categories of products (304), the floor is the mean of all other people until then.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, claim

KEY = "human_control"
DESCRIPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("520 people take up knitting over 35 days.", {"people": 520, "habit": "knitting", "until": 35}),
    ("The spread of urban gardening among 1,750 residents over 20 weeks.", {"people": 1750, "until": 140}),
    ("140 students adopt speed reading for 6 weeks with imitation 0.35.", {"imitation": 0.35, "until": 42}),
    ("Run 80 days: 2,100 households start rain harvesting, at most 15 a day.", {"quota": 15, "until": 80}),
    ("Weak imitation, 640 neighbours adopt shared tools over 50 days.", {"imitation": 0.1, "people": 640}),
    ("260 employees adopt remote work over 90 days; abandonment is 0.04.", {"abandonment": 0.04, "until": 90}),
    ("With innovation at 0.03 and strong imitation, 700 people begin birdwatching over 45 days.",
     {"innovation": 0.03, "imitation": 0.6, "habit": "birdwatching"}),
    ("9,000 people adopt train travel over 300 days with a campaign on day 100 of strength 0.15.",
     {"people": 9000, "campaigns": ({"at": 100, "strength": 0.15},)}),
    ("Spread of yoga among 85 people for 40 days, no more than 4 a day.", {"quota": 4, "habit": "yoga"}),
    ("1,300 residents take up composting and drop it rarely. Run 11 weeks.", {"abandonment": 0.005, "until": 77}),
    ("Please simulate how 410 students start fasting during 25 days.", {"people": 410, "until": 25}),
    ("The spread of e-bikes in 3,600 households over 1 month, with campaigns: a campaign on day 3 and a campaign on "
     "day 20.", {"until": 30, "campaigns": ({"at": 3, "strength": 0.1}, {"at": 20, "strength": 0.1})}),
    ("220 people adopt journaling for 60 days. They imitate each other weakly.", {"imitation": 0.1, "people": 220}),
    ("Some 75 neighbours begin carpooling, for 9 weeks, up to 2 a day.", {"quota": 2, "until": 63, "people": 75}),
    ("4,200 people start online banking over 150 days, give it up seldom.", {"abandonment": 0.01, "people": 4200}),
    ("Over 10 weeks 330 employees take up stair climbing, innovation 0.02, abandonment 0.05.",
     {"innovation": 0.02, "abandonment": 0.05, "until": 70}),
    ("What if 1000 people adopt rooftop solar over 365 days with a quota of 8?", {"quota": 8, "until": 365}),
    ("In a school of 600 students, the spread of chess for 2 months.", {"people": 600, "habit": "chess"}),
    ("A campaign from day 14 of strength 0.3 makes 950 people adopt tap water over 70 days.",
     {"campaigns": ({"at": 14, "strength": 0.3},), "people": 950}),
    ("For 28 days, 50 people adopt cold showers; they give it up often.", {"abandonment": 0.1, "until": 28}),
)  # fmt: skip
REFUSED = (
    ("People adopt cycling over 60 days.", "people"), ("400 people adopt cycling.", "until"),
    ("400 people live here for 60 days.", "habit"), ("Make it rain.", "habit, people, until"),
    ("One day 1 people adopt cycling over 60 days.", "people = 1"),
    ("400 people adopt cycling over 60 days, imitation 7.", "imitation"),
)  # fmt: skip


@claim(KEY, "Every Why, every Who, and every pair of When and What that is declared has a command that works")
def covered(bench: Any) -> Laws:
    return Laws(
        Law("values of Why and Who, and declared pairs, that no passing command shows",
            lambda b: len(_coverage(b)["missing"]), "<=", 0),
        Law("commands whose scenario passes", lambda b: sum(r["passes"] for r in _coverage(b)["commands"]), ">=", 20),
        Law("commands whose scenario fails", lambda b: sum(not r["passes"] for r in _coverage(b)["commands"]), "<=", 0),
        Law("pairs of When and What without a command (told, of 12)",
            lambda b: len(_coverage(b)["unsupported"]), "<=", 4),
    )  # fmt: skip


@claim(KEY, "A session is repeated to the last bit; an intervention changes nothing before its tick")
def repeated(bench: Any) -> Laws:
    return Laws(
        Law("sessions of random commands whose repetition differs", lambda b: _sessions(b)[0], "<=", 0),
        Law("sessions that differ from the one without interventions before the first of them",
            lambda b: _sessions(b)[1], "<=", 0),
        Law("sessions that do not differ from it afterwards", lambda b: _sessions(b)[2], "<=", 0),
        Law("interventions that are no event of the log", lambda b: _sessions(b)[3], "<=", 0),
    )  # fmt: skip


@claim(KEY, "Three planted parameters are found within a tenth, in 200 runs of 2,000 agents")
def found(bench: Any) -> Laws:
    return Laws(
        *(
            Law(f"{name}: mean relative error", lambda b, n=name: _mean(_errors(b)[n]), "<=", 0.10)
            for name in ("innovation", "imitation", "abandonment")
        ),
        Law("worlds of which all three are within a tenth, share", lambda b: _mean(_errors(b)["all"]), ">=", 0.8),
        Law("runs that it took", lambda b: float(_errors(b)["runs"].max()), "<=", 200),
        Law("mean relative error of random search alone (its nearest run) − that, all three",
            lambda b: _mean(_errors(b)["nearest"] - _errors(b)["mean"]), ">", 0.0),
    )  # fmt: skip


@claim(KEY, "An actor is an agent like any other, and stalls nobody")
def actor(bench: Any) -> Laws:
    return Laws(
        Law("columns of an actor's events that another agent's have not, or reverse",
            lambda b: _actor(b)["columns"], "<=", 0),
        Law("observations of friends that differ when a human does what the agent did",
            lambda b: _actor(b)["seen"], "<=", 0),
        Law("seconds of wall time of a tick whose human says nothing, deadline 0.05 s",
            lambda b: _actor(b)["seconds"], "<=", 0.5),
        Law("decisions of the silent human that the rule took over, share",
            lambda b: _actor(b)["autopilot"], ">=", 1.0),
    )  # fmt: skip


@claim(KEY, "Descriptions compile; what is missing is named, not invented")
def compiles(bench: Any) -> Laws:
    return Laws(
        Law("descriptions of 20 that become the scenario that they mean, share", lambda b: _compiled()[0], ">=", 0.95),
        Law("refused, with what is missing or wrong named, share of 6", lambda b: _compiled()[1], ">=", 1.0),
    )


@claim(KEY, "A person's own log predicts their next act better than the mean of all people")
def person(bench: Any) -> Laws:
    laws = []
    for data, of in (("complete_journey", "department"), ("complete_journey", "product_category")):
        laws += [
            Law(f"{of}: log probability of a held-out act − that under the population's mean (nats)",
                lambda b, d=data, o=of: _mean(_people(b, d, o)["gain"]), ">", 0.0),
            Law(f"{of}: share of people for whom it is higher",
                lambda b, d=data, o=of: _mean(_people(b, d, o)["gain"] > 0), ">", 0.5),
            Law(f"{of}: share of acts put first − that of the population",
                lambda b, d=data, o=of: _mean(_people(b, d, o)["hits"]), ">", 0.0),
        ]  # fmt: skip
    return Laws(*laws)


def _mean(values: Any) -> Estimate:
    from ethogram.evaluate.bootstrap import mean

    found_ = mean(np.asarray(values, float))
    return Estimate(found_.value, found_.low, found_.high)


def _kept(bench: Any, name: str, make: Any) -> Any:
    """What a law already measured on this bench."""
    held = bench.__dict__.setdefault("_human_control", {})
    if name not in held:
        held[name] = make()
    return held[name]


def _coverage(bench: Any) -> dict[str, Any]:
    from ethogram.simulate.human_control.covering import coverage

    return dict(_kept(bench, "coverage", coverage))


def _sessions(bench: Any) -> tuple[int, int, int, int]:
    return tuple(_kept(bench, "sessions", lambda: _steered(3 if bench.quick else 30)))  # type: ignore[return-value]


def _steered(sessions: int) -> tuple[int, int, int, int]:
    """Sessions of three random interventions each: (not repeated, too early, without effect, not in the log)."""
    from ethogram.simulate.human_control.scenario import Scenario
    from ethogram.simulate.human_control.session import Session

    found = np.zeros(4, int)
    for seed in range(sessions):
        rng = np.random.default_rng([seed, 31])
        scenario = Scenario(habit="cycling", people=120, until=30)
        plain, steered = Session(scenario, seed, 2), Session(scenario, seed, 2)
        ats = np.sort(rng.integers(3, 25, 3)).tolist()
        for session in (plain, steered):
            session.do("begin")
        for at in ats:
            kind = int(rng.integers(4))
            if kind == 0:
                steered.do("inject", strength=float(rng.uniform(0.2, 0.6)), at=at)
            elif kind == 1:
                steered.do("edit_norm", quota=int(rng.integers(3)), at=at)
            elif kind == 2:
                steered.do("edit_rule", parameter="imitation", value=float(rng.uniform(0.6, 1)), at=at)
            else:
                steered.do("edit_memory", uid=0, text="Cycling is harmful.", at=at)
        for session in (plain, steered):
            session.do("step", ticks=30)
        found[0] += steered.again().running.fingerprint != steered.running.fingerprint
        chains = [{e.tick: e.chain for e in s.running.live.tape.entries} for s in (plain, steered)]
        apart = [t for t in chains[0].keys() | chains[1].keys() if chains[0].get(t) != chains[1].get(t)]
        found[1] += bool(apart) and min(apart) < ats[0]
        found[2] += not apart
        log = steered.running.log(own=True).table()
        kinds = log.column("kind").to_pylist()
        told = [p for k, p in zip(kinds, log.column("payload").to_pylist(), strict=True) if k == "command"]
        found[3] += 3 - min(3, sum('"by": "director"' in p for p in told))
    return tuple(found.tolist())  # type: ignore[return-value]


def _errors(bench: Any) -> dict[str, np.ndarray]:
    return dict(_kept(bench, "errors", lambda: _planted(bench)))


def _planted(bench: Any) -> dict[str, np.ndarray]:
    from ethogram.simulate.human_control.calibrating import NAMES, PRIOR, calibrated, simulated
    from ethogram.simulate.human_control.scenario import Scenario

    worlds, people, runs = (2, 300, 40) if bench.quick else (20, 2_000, 200)
    scenario = Scenario(habit="cycling", people=people, until=40)
    rows: dict[str, list[float]] = {n: [] for n in (*PRIOR, "all", "mean", "nearest", "runs")}
    for seed in range(worlds):
        rng = np.random.default_rng([seed, 32])
        low, high = (np.log([ends[i] for ends in PRIOR.values()]) for i in (0, 1))
        true = np.exp(low + (high - low) * rng.uniform(0.2, 0.8, len(PRIOR)))
        planted = dict(zip(PRIOR, true.tolist(), strict=True))
        targets = simulated(scenario, planted, 10_000 + seed)
        got = calibrated(scenario, dict(zip(NAMES, targets.tolist(), strict=True)), runs=runs, seed=seed)
        miss = np.array([abs(got.parameters[n] / planted[n] - 1) for n in PRIOR])
        first = slice(0, runs // 2)  # the random search alone
        scale = np.maximum(got.seen[first].std(0), 1e-6)
        near = int(np.argmin((((got.seen[first] - targets) / scale) ** 2).mean(1)))
        for name, error in zip(PRIOR, miss.tolist(), strict=True):
            rows[name].append(error)
        rows["all"].append(float((miss <= 0.10).all()))
        rows["mean"].append(float(miss.mean()))
        rows["nearest"].append(float(np.abs(got.tried[near] / true - 1).mean()))
        rows["runs"].append(float(got.runs))
    return {n: np.array(v) for n, v in rows.items()}


def _actor(bench: Any) -> dict[str, float]:
    return dict(_kept(bench, "actor", _acted))


def _acted() -> dict[str, float]:
    """A human repeats what the agent did in the run before: nobody else sees a difference."""
    from ethogram.simulate.human_control.habits import world
    from ethogram.simulate.human_control.scenario import Scenario
    from ethogram.simulate.human_control.session import Session
    from ethogram.world.minds import Context

    scenario, who, ticks = Scenario(habit="cycling", people=60, until=20, innovation=0.1), 5, 12
    plain, played = Session(scenario, seed=4), Session(scenario, seed=4)
    for session in (plain, played):
        session.do("begin")
    played.do("join", uid=who)
    watchers = [i for i in range(60) if i != who]
    differ = 0

    def eyes(session: Session) -> list[str]:
        one = session.running
        return [str(one.declared.observe(one.state, i)) for i in watchers]  # type: ignore[misc]

    for _ in range(ticks):
        plain.do("step", ticks=1)
        record = next(iter(plain.running.live.tape.records(plain.running.tick - 1)), None)
        mine = np.flatnonzero((record.uid == who) & (record.verb > 0)) if record is not None else []
        verbs = plain.running.declared.verbs
        played.do("act", uid=who, verb=verbs[record.verb[mine[0]]] if record is not None and len(mine) else "nothing")
        played.do("step", ticks=1)
        differ += sum(a != b for a, b in zip(eyes(plain), eyes(played), strict=True))
    logs = [s.running.log().table() for s in (plain, played)]
    columns = set(logs[0].column_names) ^ set(logs[1].column_names)

    async def silent(seen: Context) -> Any:
        import asyncio

        await asyncio.sleep(60)

    from ethogram.simulate.human_control.habits import ACTOR
    from ethogram.world.outside import Outside

    slow = world(scenario, seed=4, deadline=0.05)
    slow.declared.minds[ACTOR] = lambda persona: Outside(persona, silent)  # type: ignore[index]
    slow.promote(who, ACTOR)
    began = time.perf_counter()
    slow.run(4)
    seconds = (time.perf_counter() - began) / 4
    fell = slow.live.decisions["fallback"] + sum(
        int((r.uid == who).sum() == 0) for r in slow.live.tape.records()
    )  # the rule may decide to do nothing, which is no event
    return {"columns": float(len(columns)), "seen": float(differ), "seconds": seconds, "autopilot": fell / 4}


def _compiled() -> tuple[float, float]:
    from ethogram.errors import EthogramError
    from ethogram.simulate.human_control.compiling import compiled

    right, refused = 0, 0
    for text, meant in DESCRIPTIONS:
        try:
            found_ = compiled(text)
            right += all(getattr(found_, n) == v for n, v in meant.items())
        except EthogramError:
            continue
    for text, named in REFUSED:
        try:
            compiled(text)
        except EthogramError as error:
            refused += named in str(error)
    return right / len(DESCRIPTIONS), refused / len(REFUSED)


def _people(bench: Any, data: str, of: str) -> dict[str, np.ndarray]:
    return dict(_kept(bench, data + of, lambda: _predicted(bench, data, of)))


def _predicted(bench: Any, data: str, of: str) -> dict[str, np.ndarray]:
    from ethogram.simulate.human_control.prototype import acts, fitted

    if bench.quick:
        rng = np.random.default_rng(0)
        time_, who = np.divmod(np.arange(480), 6)
        what = np.where(rng.random(480) < 0.6, who % 5, rng.integers(0, 5, 480))
        actions: list[Any] = list(range(5))
    else:
        who, what, time_, actions = acts(bench.load(data), of)
    gains, hits = [], []
    occasions = np.unique(np.stack([who, time_.astype(np.int64)], 1), axis=0)[:, 0]
    able = np.flatnonzero((np.bincount(who) >= 60) & (np.bincount(occasions, minlength=who.max() + 1) >= 20))
    for code in np.random.default_rng(33).permutation(able)[:200].tolist():
        one = fitted(who, what, time_, actions, code, str(code))
        gains.append(one.gain)
        hits.append(one.hits - one.floor)
    return {"gain": np.array(gains), "hits": np.array(hits)}
