"""The commands: who may do what to a simulation, when, why and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ethogram.errors import OptionError, WorldError
from ethogram.simulate.human_control.habits import ACTOR
from ethogram.simulate.human_control.registry import control
from ethogram.simulate.human_control.scenario import Scenario
from ethogram.world.outside import act as say

if TYPE_CHECKING:
    from ethogram.simulate.human_control.session import Session

CALIBRATED = ("innovation", "imitation", "abandonment")


@control(why="initialise", when="before", what="environment", who="scriptwriter", how="language")
def compile(session: Session, text: str) -> dict[str, Any]:
    """A description in words becomes a checked scenario."""
    from ethogram.simulate.human_control.compiling import compiled

    _not_begun(session)
    session.scenario = compiled(text, session.lm)
    return session.scenario.sections()


@control(why="initialise", when="before", what="agents", who="scriptwriter", how="parameters")
def populate(session: Session, people: int, marginals: dict) -> dict[str, dict[str, float]]:  # type: ignore[type-arg]
    """A population with given shares of groups; what its shares are, exactly."""
    from ethogram.simulate.human_control.habits import drawn

    _not_begun(session)
    if session.scenario is None:
        raise OptionError("populate: there is no scenario yet; compile one first.")
    session.scenario = Scenario.of({**session.scenario.json(), "people": people, "marginals": marginals})
    groups = drawn(people, session.scenario.marginals, session.seed)
    return {
        name: dict(zip(shares, (np.bincount(groups[name], minlength=len(shares)) / people).tolist(), strict=True))
        for name, shares in session.scenario.marginals.items()
    }


@control(why="initialise", when="before", what="system", who="scriptwriter", how="code")
def begin(session: Session) -> int:
    """The scenario's world, at tick 0."""
    _not_begun(session)
    return session.begin().tick


@control(why="explore", when="during", what="environment", who="director", how="code")
def inject(session: Session, strength: float, at: int | None = None) -> None:
    """An exogenous event: a campaign for the habit, now or at a tick."""
    session.running.intervene("inject", at=at, by="director", strength=float(strength))


@control(why="explore", when="during", what="environment", who="director", how="parameters")
def edit_norm(session: Session, quota: int | None, at: int | None = None) -> None:
    """A norm: how many may take the habit up in a tick."""
    session.running.intervene("quota", at=at, by="director", most=quota)


@control(why="explore", when="during", what="agents", who="director", how="language")
def edit_memory(session: Session, uid: int, text: str, at: int | None = None) -> None:
    """A memory of one agent, as its mind will find it when it next decides."""
    world = session.running
    world.live.overlay.of(world.live.row(uid))
    world.intervene("note", at=at, by="director", uid=uid, text=text)


@control(why="refine", when="during", what="agents", who="director", how="parameters")
def edit_rule(session: Session, parameter: str, value: float, at: int | None = None) -> None:
    """A parameter of the rule that everybody follows."""
    if parameter not in CALIBRATED or not 0 <= value <= 1:
        raise OptionError(f"edit_rule: {parameter} = {value}; give {', '.join(CALIBRATED)} a chance from 0 to 1.")
    session.running.intervene("set", at=at, by="director", column=parameter, value=float(value))


@control(why="explore", when="during", what="system", who="director", how="code")
def step(session: Session, ticks: int) -> int:
    """Time goes on by some ticks, or until the next pause; where it is then."""
    if ticks < 1:
        raise OptionError(f"step: ticks = {ticks}; give 1 or more.")
    world = session.running
    stops = [t for t in session.stops if world.tick < t <= world.tick + ticks]
    world.run(min(stops, default=world.tick + ticks))
    session.stops -= {world.tick}
    return world.tick


@control(why="explore", when="during", what="system", who="director", how="code")
def pause(session: Session, at: int) -> None:
    """Time stands still when a tick is reached."""
    if at <= session.running.tick:
        raise WorldError(f"pause at tick {at}: it is at tick {session.running.tick} already.")
    session.stops.add(at)


@control(why="explore", when=("during", "after"), what="system", who="director", how="code")
def rewind(session: Session, to: int) -> int:
    """Back to a tick that has happened; what was commanded from then on is left out."""
    session.world = session.running.fork(to, commands=False)
    return session.world.tick


@control(why="explore", when=("during", "after"), what="system", who="director", how="code", changes=False)
def fork(session: Session, at: int, parameter: str = "", value: float = 0.0) -> Any:
    """Another course from a tick on, beside this one; perhaps with another parameter."""
    from ethogram.simulate.human_control.session import Session as Other
    from ethogram.world import Command

    do = [Command("set", {"column": parameter, "value": float(value)})] if parameter else []
    branch = session.running.fork(at, do)
    return Other(session.scenario, session.seed, session.minds, session.lm, session.deadline, branch)


@control(why="immerse", when="during", what="agents", who="actor", how="embodied")
def join(session: Session, uid: int) -> str:
    """A human takes an agent's place; what they see. Who says nothing is led by the rule (autopilot)."""
    session.running.promote(uid, ACTOR, {})
    return session.running.context(uid)


@control(why="immerse", when="during", what="agents", who="actor", how="embodied")
def act(session: Session, uid: int, verb: str) -> None:
    """What the human does at the next tick; verbs as for every agent."""
    say(session.running, uid, verb, 0 if session.running.declared.thing(verb) else -1)


@control(why="immerse", when="during", what="agents", who="actor", how="embodied")
def leave(session: Session, uid: int) -> None:
    """The agent is its own again."""
    session.running.demote(uid)


@control(why="immerse", when=("during", "after"), what="environment", who="actor", how="embodied", changes=False)
def look(session: Session, uid: int, at: int | None = None) -> str:
    """The world from one agent's eyes, in words, now or at a tick that has happened."""
    world = session.running if at is None else session.running.at(at)
    row, own = world.live.row(uid), {}
    for record in world.live.tape.records(max(0, world.tick - 3)):
        for i in np.flatnonzero((record.uid == uid) & (record.verb > 0)).tolist():
            own[record.tick] = world.declared.verbs[record.verb[i]] + (" (refused)" if record.refused[i] else "")
    did = "; ".join(f"at tick {t} you did: {v}" for t, v in own.items()) or "you have done nothing lately"
    observed = world.declared.observe(world.state, row) if world.declared.observe else ""
    return f"Tick {world.tick}. {observed} Lately {did}."


@control(why="initialise", when="before", what="agents", who="prototype", how="code", changes=False)
def prototype(session: Session, log: Any, user: Any, of: str = "item") -> Any:
    """The person's own log becomes a persona and a policy, held against what they did later."""
    from ethogram.simulate.human_control.prototype import prototyped

    return prototyped(log, user, of=of)


@control(why="analyse", when=("during", "after"), what="data", who="observer", how=("code", "language"), changes=False)
def question(session: Session, asked: str) -> Any:
    """A question over the log, in SQL or in words, answered with the events that say so."""
    from ethogram.simulate.human_control.questions import answered

    return answered(session.running.log(refused=True), asked, session.lm)


@control(why="analyse", when=("during", "after"), what="agents", who="observer", how="language", changes=False)
def interview(session: Session, uid: int, asked: str) -> Any:
    """What an agent answers; it is not remembered, and changes nothing."""
    return session.running.ask(uid, asked)


@control(why="evaluate", when="after", what="data", who="observer", how="code", changes=False)
def evaluate(session: Session, reference: dict) -> dict[str, float]:  # type: ignore[type-arg]
    """How far the course of the habit and its events are from reference statistics."""
    from ethogram.simulate.human_control.calibrating import NAMES, statistics

    found = dict(zip(NAMES, statistics(session.running).tolist(), strict=True))
    if unknown_ := sorted(set(reference) - set(found)):
        raise OptionError(f"evaluate: there is no statistic '{unknown_[0]}'; there are {', '.join(found)}.")
    return {name: found[name] - float(value) for name, value in reference.items()}


@control(why="refine", when=("before", "after"), what=("agents", "data"), who="scriptwriter", how="code")
def calibrate(session: Session, targets: dict, runs: int = 200) -> dict[str, float]:  # type: ignore[type-arg]
    """Parameters under which the simulation meets target statistics; the scenario takes them over."""
    from ethogram.simulate.human_control.calibrating import calibrated

    if session.scenario is None:
        raise OptionError("calibrate: there is no scenario yet; compile one first.")
    found = calibrated(session.scenario, targets, runs=runs, seed=session.seed).parameters
    session.scenario = Scenario.of({**session.scenario.json(), **found})
    session.world = None  # what has run, ran under other parameters
    return found


def _not_begun(session: Session) -> None:
    if session.world is not None:
        raise WorldError("the simulation has begun; what comes before it cannot be changed now.")
