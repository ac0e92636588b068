"""A sandbox in which simulated people browse, search, watch, chat and post around a live recommender that learns from
what they do: for trying out a ranker, for measuring filter bubbles and conformity, for counterfactuals.

    round   = who is active -> visits (pages of 5: watch, next, search, leave) or social life (chat, post) -> a fit
    label   = 1 for the item taken from a page, 0 for the others of every page looked at (`impressions`)
    taste   : learned from real choices (`taste`), or as people say (`published`); the light policy acts by it (`crowd`)
    viewer  : people played by a language model, with a memory in three stages (`viewer`, `ethogram.lm.stages`)
    studies : `choice_fidelity`, `cocoon`, `conformity`

    built = RecAgent(recommender="als")
    box = built.sandbox(ethogram.data.load("ml_100k"), people=500)
    world = box.world()                            # an `ethogram.world.World`: fork, at, resume, intervene, promote
    log = built.run(world, 30)
    branch = world.fork(10, Command("recommender", {"name": "item_knn"}))      # the same past, another ranker
    world.intervene("edit", rows=[3], likes="Horror");  world.intervene("broadcast", rows=[3], items=[17])
    world.promote(7, "player");  outside.act(world, 7, "watch", 17)            # a human takes a person's place

What is not as in the released code: impressions are logged only for pages that were looked at, an answer outside the
page cannot be given, a run is saved as data and not as a pickled process, and a fit takes the newest 50 choices of each
person, so that it does not grow with the run. MF is whatever recommender is named; bpr_mf by default.

L. Wang et al.: RecAgent: A Novel Simulation Paradigm for Recommender Systems (User Behavior Simulation with Large
Language Model based Agents). 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from ethogram.errors import OptionError
from ethogram.simulate.recagent.fidelity import fidelity
from ethogram.simulate.recagent.sandbox import Sandbox, impressions
from ethogram.simulate.recagent.scene import Scene
from ethogram.simulate.recagent.studies import cocoon, conformity
from ethogram.system import system
from ethogram.verbs import Log, State, Table

if TYPE_CHECKING:
    from ethogram.world import World

__all__ = ["RecAgent", "Sandbox", "Scene", "cocoon", "conformity", "fidelity", "impressions"]


@system(
    "recagent",
    paper="RecAgent: A Novel Simulation Paradigm for Recommender Systems",
    year=2023,
    area="simulate",
    verbs=("simulate",),
)
@dataclass(kw_only=True)
class RecAgent:
    """See the module."""

    recommender: str = "bpr_mf"
    "Key of the recommender that the people meet, or random."
    retrain: int = 1
    "Rounds between its fits."
    active: float = 0.5
    "Chance that somebody idle is active in a round."
    mode: Literal["fixed", "marginal", "sampled"] = "fixed"
    "fixed; marginal: times 1 + rounds idle; sampled: a chance of each person's own with that mean."
    most: int = 100
    "Active people of a round at most."
    random_k: int = 0
    "Places of every page (of 5) that hold items of the tail."
    social_random_k: int = 0
    "Random people who hear of a post beside the friends."
    social: float = 0.5
    "Utility of an item for each doubling of 1 + friends who spoke of it; 0: nobody listens."
    past: bool = True
    "Whether the recommender knows the choices from before the sandbox."
    minutes: int = 300
    "Minutes of a round. Shorter ones make no sense without a lower `active` and a higher `retrain`."

    fitted = True  # the tastes are learned where a sandbox is made

    def __post_init__(self) -> None:
        if not 0 <= self.social < float("inf"):
            raise OptionError(f"recagent: social = {self.social} must be a number of 0 or more.")
        if self.minutes < 1:
            raise OptionError(f"recagent: minutes = {self.minutes}; a round lasts 1 or more.")

    def of(self, scene: Scene, *, options: dict[str, Any] | None = None, seed: int = 0) -> Sandbox:
        """A sandbox of a scene; `options` of the recommender."""
        return Sandbox(
            scene if self.past else scene.without_past(), recommender=self.recommender, options=options,
            retrain=self.retrain, active=self.active, mode=self.mode, most=self.most, random_k=self.random_k,
            social_random_k=self.social_random_k, social=self.social, length=self.minutes / 60, seed=seed,
        )  # fmt: skip

    def sandbox(
        self, log: Log, *, people: int | None = None, options: dict[str, Any] | None = None, seed: int = 0, **how: Any
    ) -> Sandbox:
        """A sandbox of the people of a log of ratings; see `Scene.of`.

        Raises
        ------
        RolesError
            The log tells no titles and genres. OptionError: too few choices, or options out of range.
        """
        return self.of(Scene.of(log, people=people, seed=seed, **how), options=options, seed=seed)

    def world(self, *, seed: int = 0, minds: int | None = None, lm: Any = None) -> World:
        """The sandbox of `example`; the first `minds` people are played by a language model.

        Parameters
        ----------
        lm : the model (`ethogram.lm.LM`); None is one that answers by rule.
        """
        box = self.of(Scene.drawn(seed=seed), seed=seed)
        if not minds:
            return box.world()
        if minds > len(box.scene.people):
            raise OptionError(f"recagent: {minds} minds among {len(box.scene.people)} people.")
        if lm is None:
            from ethogram.lm import ScriptedLM
            from ethogram.simulate.recagent.scripted import viewer

            lm = ScriptedLM(viewer, name="viewer", seed=seed)
        return self.members(box, list(range(minds)), lm=lm)

    def plan(self, world: World) -> None:
        """Nobody is anywhere: no map."""
        return None

    def example(self, *, seed: int = 0) -> World:
        """Sixty people with planted tastes and 200 items."""
        return self.of(Scene.drawn(seed=seed), seed=seed).world()

    def members(
        self, sandbox: Sandbox, rows: list[int], *, lm: Any = "local", viewer: dict[str, Any] | None = None, **more: Any
    ) -> World:
        """The sandbox with some people played by a language model.

        Parameters
        ----------
        lm : an LM, or where to connect to one. viewer : options of `viewer.Viewer`. more : of `World`.
        """
        from ethogram.lm import LM
        from ethogram.simulate.recagent.viewer import Viewer

        asked = LM.connect(lm) if isinstance(lm, str) else lm
        minds = {"viewer": lambda persona: Viewer(persona, sandbox, **(viewer or {}))}
        world = sandbox.world(minds=minds, lm=asked, **more)
        for row in rows:
            world.promote(int(world.state["uid"][row]), "viewer")
        return world

    def run(self, world: World, until: int, *, seed: int = 0) -> Log:
        """What happens before round `until`; the world stays as it is, what is drawn is drawn anew under `seed`."""
        return world.fork(seed=seed).run(until).log()

    def choice_fidelity(self, log: Log, **how: Any) -> Table:
        """Do simulated people choose what real ones chose? See `fidelity.fidelity`."""
        return fidelity(log, **how)

    def state(self) -> State:
        return State(json={})

    def restore(self, state: State) -> Self:
        return self
