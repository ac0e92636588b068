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

from dataclasses import dataclass
from typing import Any, Self

from ethogram.simulate.social_simulacra.calibrating import calibrated
from ethogram.simulate.social_simulacra.community import Prototype, populated, side_by_side, zipf_exponent
from ethogram.simulate.social_simulacra.design import Design
from ethogram.simulate.social_simulacra.discriminating import answered, asked, error_rates, paired, trial_sheet
from ethogram.simulate.social_simulacra.threads import Course, Thread
from ethogram.simulate.social_simulacra.writing import GrammarWriter, LMWriter
from ethogram.system import system
from ethogram.verbs import Log, State
from ethogram.world.people.persona import Persona

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

    fitted = True  # nothing is learned

    def __post_init__(self) -> None:
        Course(self.obeys, self.first, self.deeper, self.longest)

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

    def example(self, *, seed: int = 0) -> Prototype:
        """A small forum for beginners in the garden."""
        return self.prototype(garden(), seed=seed)

    def run(self, world: Prototype, until: int, *, seed: int = 0) -> Log:
        """The first `until` threads as a log, the luck of the threads drawn anew under `seed`; members stay."""
        from dataclasses import replace

        drawn = replace(world, seed=world.seed * 1_000_003 + seed)
        return drawn.log(drawn.threads(until), f"{world.design.name}, seed {seed}")

    def state(self) -> State:
        return State(json={})

    def restore(self, state: State) -> Self:
        return self


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
