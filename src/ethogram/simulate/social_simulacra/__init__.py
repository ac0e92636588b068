"""A populated prototype of a community that does not exist yet: a designer writes goal, rules and a handful of people,
and reads threads of hundreds of members, trolls among them; asks what if; sees several universes; changes a rule and
sees what changes.

    built = SocialSimulacra()
    made = built.prototype(Design.from_json(json.load(open("design.json"))))
    for thread in made.threads(5): print(thread.text())
    made.what_if(thread, 3, act="moderate"), made.what_if(thread, 3, text="You are all wrong.", act="attack")
    made.multiverse(thread, 5, node=2)
    side_by_side(made, made.redesigned(replace(design, discouraged=(*design.discouraged, "no self-promotion"))))

    members  : seeds recombined until n differ (`ethogram.world.people.expand`); activity by rank^-s
    threads  : `threads`; the acts are drawn, not left to the model, which by itself would be too polite
    words    : a grammar, or `LM.connect(...)` told goal, rules and author in tagged blocks (`writing`)
    readers  : `discriminating`, the study whether anybody can tell generated threads from real ones

What follows from a design are possibilities, never a forecast: `multiverse` shows two courses at least. That a rule
weakens what it forbids (`Course.obeys`), and that heat feeds on attacks and falls with moderators, are assumptions of
the process; with a language model the words follow the rules as well.

J. S. Park et al.: Social Simulacra: Creating Populated Prototypes for Social Computing Systems. UIST 2022.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ethogram.errors import OptionError
from ethogram.simulate.social_simulacra.calibrating import calibrated
from ethogram.simulate.social_simulacra.community import Prototype, populated, side_by_side, zipf_exponent
from ethogram.simulate.social_simulacra.design import Design
from ethogram.simulate.social_simulacra.discriminating import answered, asked, error_rates, paired, trial_sheet
from ethogram.simulate.social_simulacra.threads import Course, Thread
from ethogram.simulate.social_simulacra.writing import GrammarWriter, LMWriter
from ethogram.system import system
from ethogram.verbs import Log, State
from ethogram.world.people.persona import Persona

if TYPE_CHECKING:
    from ethogram.simulate.social_simulacra.living import Living
    from ethogram.world import World

__all__ = [
    "Design",
    "Prototype",
    "SocialSimulacra",
    "Thread",
    "answered",
    "asked",
    "calibrated",
    "error_rates",
    "paired",
    "side_by_side",
    "trial_sheet",
    "zipf_exponent",
]


@system(
    "social_simulacra",
    paper="Social Simulacra: Creating Populated Prototypes for Social Computing Systems",
    year=2022,
    area="simulate",
    verbs=("simulate",),
)
@dataclass(kw_only=True)
class SocialSimulacra:
    """See the module."""

    zipf: float = 1.0
    "Exponent s of the members' activity, rank^-s; `calibrated` takes it, `first` and `deeper` from a real forum."
    obeys: float = 0.25
    "What is left of an act's chance where a rule forbids it."
    first: float = 0.85
    "Chance of a reply to the post itself, without heat."
    deeper: float = 0.93
    "What each level of depth leaves of that chance."
    longest: int = 30
    "Nodes of a thread at most."
    design: str = ""
    "JSON file of the design of the living community (`world`); empty: a forum for beginners in the garden."
    daily: float = 10.0
    "Threads that begin in a day of the living community."
    minutes: int = 10
    "Minutes of a tick of the living community."

    fitted = True  # nothing is learned

    def __post_init__(self) -> None:
        Course(self.obeys, self.first, self.deeper, self.longest)
        if not 0 < self.daily <= 1_440 or not 1 <= self.minutes <= 1_440:
            raise OptionError(
                f"social_simulacra: daily = {self.daily} (above 0, up to 1440), minutes = {self.minutes} (1 to 1440)."
            )

    def prototype(
        self, design: Design, *, lm: Any = None, seed: int = 0, persona: bool = True, rules: bool = True,
        words: int = 48, people: list[Persona] | None = None,
    ) -> Prototype:  # fmt: skip
        """A community that can be populated.

        Parameters
        ----------
        lm : language model that writes, or where to connect to one; None writes by grammar.
        persona, rules : False leaves that block out of the prompts (ablations). people : members, if not from seeds.
        """
        if isinstance(lm, str):
            from ethogram.lm import LM

            lm = LM.connect(lm)
        writer = GrammarWriter(persona) if lm is None else LMWriter(lm, persona, rules, words)
        course = Course(self.obeys, self.first, self.deeper, self.longest)
        return populated(design, writer, course, seed, zipf=self.zipf, people=people)

    def living(self, design: Design | None = None, *, seed: int = 0, **how: Any) -> Living:
        """The community as a world that lives; `how` as for `prototype`."""
        from ethogram.simulate.social_simulacra.living import Living

        told = design or (Design.from_json(_read(self.design)) if self.design else garden())
        return Living(self.prototype(told, seed=seed, **how), self.daily, self.minutes)

    def world(self, *, seed: int = 0, minds: int | None = None, lm: Any = None) -> World:
        """The community of `design` before its first post.

        Parameters
        ----------
        minds : how many members, the most active ones, a language model writes for. lm : the model; None is one that
            answers by rule.
        """
        if minds and lm is None:
            from ethogram.lm import ScriptedLM
            from ethogram.simulate.social_simulacra.living import scripted

            lm = ScriptedLM(scripted, name="members", seed=seed)
        return self.living(seed=seed).world(seed=seed, minds=minds or 0, lm=lm)

    def example(self, *, seed: int = 0) -> World:
        """A small forum for beginners in the garden."""
        return self.living(garden(), seed=seed).world(seed=seed)

    def plan(self, world: World) -> None:
        """Nobody is anywhere: no map."""
        return None

    def run(self, world: World | Prototype, until: int, *, seed: int = 0) -> Log:
        """What happens before tick `until`, with a table of items that says whose each post is; the world stays as it
        is, what is drawn is drawn anew under `seed`. Of a prototype: its first `until` threads; members stay.
        """
        from dataclasses import replace

        from ethogram.world import World
        from ethogram.world.social.platform import with_authors

        if isinstance(world, World):
            branch = world.fork(seed=seed).run(until)
            return with_authors(branch.log(), branch)
        drawn = replace(world, seed=world.seed * 1_000_003 + seed)
        return drawn.log(drawn.threads(until), f"{world.design.name}, seed {seed}")

    def state(self) -> State:
        return State(json={})

    def restore(self, state: State) -> Self:
        return self


def _read(place: str) -> Any:
    try:
        return json.loads(Path(place).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"design {place} cannot be read ({error}).") from None


def garden(**changes: Any) -> Design:
    """A design to begin with."""
    seeds = [
        ("Ada Moss", "retired teacher", "growing tomatoes", "asks many questions"),
        ("Ben Reed", "cook", "herbs", "short and dry"), ("Cleo Sand", "student", "balcony plants", "jokes a lot"),
        ("Dov Hill", "engineer", "watering by timer", "precise, with numbers"),
        ("Eva Lind", "nurse", "roses", "warm and chatty"), ("Finn Oak", "carpenter", "raised beds", "blunt"),
        ("Gil Park", "shop owner", "seeds", "tells stories"), ("Hana Wood", "biologist", "soil", "polite and careful"),
        ("Ian Frost", "driver", "lawns", "uses few words"), ("Jo Field", "artist", "wild flowers", "thinks aloud"),
    ]  # fmt: skip
    people = [
        Persona(
            id=name, demographics={"name": name, "occupation": job}, interests={topic: 2.0, "watering": 1.0},
            style=style, attributes=(f"works as {job}", f"cares for {topic}"),
        )
        for name, job, topic, style in seeds
    ]  # fmt: skip
    told: dict[str, Any] = {
        "name": "first garden", "goal": "Beginners help each other to grow something for the first time.",
        "topics": ("growing tomatoes", "watering", "roses", "soil", "herbs", "balcony plants"),
        "encouraged": ("ask anything", "say what worked for you"),
        "discouraged": ("no personal attacks", "stay on topic"), "seed_personas": people, "n_members": 60,
        "n_threads": 20, **changes,
    }  # fmt: skip
    return Design(**told)
