"""Lets people steer and inspect a simulation, each in their role, by commands that are typed, logged and repeatable;
says which ways of control there are.

    command = (why, when, what, who, how)            `registry`: @control(...); the values are those of the survey
    why       initialise, explore, refine, evaluate, analyse, immerse
    who       scriptwriter, director, prototype, actor, observer

    session = HumanControl().session()
    session.do("compile", text="400 people adopt cycling over 60 days, with a campaign on day 10.")    # `compiling`
    session.do("populate", people=400, marginals={"age": {"young": .4, "old": .6}})
    session.do("begin"); session.do("step", ticks=10)
    session.do("inject", strength=.2); session.do("edit_norm", quota=5, at=20)    # events
    session.do("join", uid=7); session.do("act", uid=7, verb="take_up")           # a human in an agent's place
    session.do("question", asked="select kind, list(event) as events from events group by kind")
    session.do("calibrate", targets={"share at the end": .4, ...})
    session.again()                                                               # bit-identical
    HumanControl().coverage()                                                                   # `covering`

What is steered is the spread of a habit among people with friends (`habits`, a Bass process with leaving); the commands
know nothing else of it. What changes a run is an event of it; what only looks leaves no trace in it.

The paper surveys 97 works and classifies; commands, world, calibration and prototype are ours. The phases of "when" and
the labels of "how" are read as: before, during, after; code, parameters, language, embodied.

Carbon and Silicon, Coexist or Compete? A Survey on Human-AI Interactions in Agent-based Modeling and Simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ethogram.errors import OptionError
from ethogram.system import system
from ethogram.verbs import Log, State

if TYPE_CHECKING:
    from ethogram.simulate.human_control.scenario import Scenario
    from ethogram.simulate.human_control.session import Session
    from ethogram.world import World

__all__ = ["HumanControl"]


@system(
    "human_control",
    paper="Carbon and Silicon, Coexist or Compete? A Survey on Human-AI Interactions in Agent-based Modeling and "
    "Simulation",
    year=2025,
    area="simulate",
    verbs=("simulate",),
)
@dataclass(kw_only=True)
class HumanControl:
    """See the module."""

    description: str = "2000 people adopt cycling over 60 days, with a campaign on day 10."
    "What is simulated, in words; it must say the habit, how many people, and how long."
    innovation: float = 0.01
    "Chance per tick of taking the habit up by oneself, where the description says none."
    imitation: float = 0.3
    "Chance per tick of taking it up if all friends have it, where the description says none."
    abandonment: float = 0.02
    "Chance per tick of giving it up, where the description says none."

    fitted = True  # nothing is learned; `calibrate` is a command

    def __post_init__(self) -> None:
        for name in ("innovation", "imitation", "abandonment"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"human_control: {name} = {getattr(self, name)} is no chance; give 0 to 1.")

    def scenario(self) -> Scenario:
        """The scenario that the description means; OptionError names what it does not say."""
        from ethogram.simulate.human_control.compiling import compiled
        from ethogram.simulate.human_control.scenario import Scenario

        own = {n: getattr(self, n) for n in ("innovation", "imitation", "abandonment")}
        told = compiled(self.description).json()
        plain = Scenario(habit="x", people=2, until=2).json()
        return Scenario.of({**told, **{n: v for n, v in own.items() if told[n] == plain[n]}})

    def session(self, scenario: Scenario | None = None, *, seed: int = 0, minds: int = 0, lm: Any = None) -> Session:
        """A session to steer; without a scenario a scriptwriter must say one first."""
        from ethogram.simulate.human_control.session import Session

        return Session(scenario, seed, minds, lm)

    def coverage(self, *, run: bool = True) -> dict[str, Any]:
        """What of the taxonomy is covered; see `covering.coverage`, and `covering.as_page` for HTML."""
        from ethogram.simulate.human_control.covering import coverage

        return coverage(run)

    def world(self, *, seed: int = 0, minds: int | None = None, lm: Any = None) -> World:
        """The world of the description; the first `minds` people are played by `lm` (by rule, if None)."""
        from ethogram.simulate.human_control.habits import world

        return world(self.scenario(), seed=seed, minds=minds or 0, lm=lm)

    def plan(self, world: World) -> None:
        """Nobody is anywhere: no map."""
        return None

    def example(self, *, seed: int = 0) -> World:
        """Eighty people and a habit, half of whom may take it up within a tick."""
        from ethogram.simulate.human_control.habits import world
        from ethogram.simulate.human_control.scenario import Scenario

        return world(Scenario(habit="cycling", people=80, until=20, innovation=0.1, quota=40), seed=seed)

    def run(self, world: World, until: int, *, seed: int = 0) -> Log:
        """What happens before tick `until`; the world stays as it is, what is drawn is drawn anew under `seed`."""
        return world.fork(seed=seed).run(until).log()

    def state(self) -> State:
        return State(json={})

    def restore(self, state: State) -> Self:
        return self
