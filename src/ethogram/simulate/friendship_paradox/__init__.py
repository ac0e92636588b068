"""Says whether a network of people looks like a real one, by the friendship paradox of any log of interactions, beside
what chance alone would give; and simulates people from whose tastes such a network emerges.

    w_ij     = interactions of i with j's content                          (`network`)
    FP_x(i)  = 1[ mean_{j: w_ij > 0} x_j > x_i ]                         x: in-degree, out-degree, activity (posts
    share    = mean of FP_x over agents with ties                           made), popularity (interactions received),
    upward   = sum_ij w_ij 1[x_j > x_i] / sum_ij w_ij                       influence (reposts received)
    gap      = share - share in random networks that keep some of the facts (`report`)

A share above 1/2 says nothing by itself: in a random directed network the paradox of incoming ties holds for about two
thirds. So the nulls stand in every report: ties dealt uniformly, dealt anew with all degrees kept, attributes permuted.
Agents without ties are left out and counted, equality is no paradox and told, the median stands beside the mean, since
one hub among the neighbours makes a mean. Weak ties (weight up to the median) and strong ones are told apart, with the
attributes of the whole network and ("alone") with degrees counted among these ties only: the paper does not say which.
Rewired with all degrees kept, simulated and real networks show as much of the paradox: it is one of degrees alone. That
weak ties hold more of it is so among Congress's members on Twitter; in the light population strong ties do.

G. M. Orlando, V. La Gatta, D. Russo, V. Moscato: Can Generative Agent-Based Modeling Replicate the Friendship Paradox
in Social Media Simulations? WebSci 2025.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.numeric.paradox import STATISTICS, neighbours
from ethogram.numeric.structure import structure
from ethogram.simulate.friendship_paradox.network import Network, network, spread
from ethogram.simulate.friendship_paradox.report import compared, report
from ethogram.system import system
from ethogram.verbs import Log, State, Table

if TYPE_CHECKING:
    from ethogram.world import World

__all__ = ["FriendshipParadox", "Network", "network", "report"]


@system(
    "friendship_paradox",
    paper="Can Generative Agent-Based Modeling Replicate the Friendship Paradox in Social Media Simulations?",
    year=2025,
    area="simulate",
    verbs=("assess", "simulate"),
)
@dataclass(kw_only=True)
class FriendshipParadox:
    """See the module."""

    author: str = ""
    "Column of items or events that names whose content an item is; @item where items are people; empty: `author`."
    ties: Literal["interactions", "follows"] = "interactions"
    "interactions: who acted on whose content. follows: who follows whom when the log ends."
    draws: int = 20
    "Random networks of each kind that the shares are held against; 0 for none."
    resamples: int = 1_000
    "Draws of the intervals."
    seed: int = 0
    "Of everything that is drawn for the report."
    people: int = 500
    "Agents of the simulated population."
    shown: Literal["mixed", "without popular", "strangers"] = "mixed"
    "Feed of the simulated population; the latter two are controls (`population`)."
    minutes: int = 60
    "Minutes of a tick. Light people do as much in an hour, however many ticks it has."
    rest: int | None = None
    "Ticks between two decisions of a person who is played by a model; none: 3 of an hour or more, 1 of less."

    fitted = True  # nothing is learned

    def __post_init__(self) -> None:
        if self.draws < 0 or self.resamples < 1 or self.people < 2:
            raise OptionError(
                f"friendship_paradox: draws = {self.draws}, resamples = {self.resamples}, people = {self.people}; give "
                "0, 1 and 2 or more."
            )
        if self.minutes < 1 or (self.rest is not None and self.rest < 1):
            raise OptionError(f"friendship_paradox: minutes = {self.minutes}, rest = {self.rest}; give 1 or more.")

    def assess(self, log: Log) -> Table:
        """One row per agent: users of the log, then authors that did nothing themselves.

        Columns `user`, `ties` (how many they acted on), and for each attribute its value, what the neighbours have
        (`..._mean`, `..._median`) and whether that is more (`..._fp`, `..._fp_median`; null without ties). What holds
        of the whole network is in the schema's metadata, `summary`: rows of `report` by mean over all ties, as JSON.

        Raises
        ------
        RolesError
            Nothing says whose content an item is.
        """
        found = network(log, self.author, self.ties)
        tied = found.graph.out_degree > 0
        columns: dict[str, pa.Array | np.ndarray] = {"user": found.ids, "ties": found.graph.out_degree}
        for name, x in found.attributes.items():
            columns[name] = x
            for statistic in STATISTICS:
                middle, sign = neighbours(found.graph, x, statistic)
                columns[f"{name}_{statistic}"] = pa.array(middle, mask=~tied)
                columns[f"{name}_fp" + ("_median" if statistic == "median" else "")] = pa.array(sign > 0, mask=~tied)
        rows = [r for r in self._report(found).to_pylist() if (r["ties"], r["statistic"]) == ("all", "mean")]
        kept = ("measure", "share", "equal", "upward", "null", "null_share", "gap", "gap_low", "gap_high", "p")
        told = [{k: r[k] for k in kept} for r in rows if r["null"] or not self.draws]
        return pa.table(columns).replace_schema_metadata({"summary": json.dumps(told)})

    def report(self, log: Log) -> Table:
        """The network as a whole; see `report.report` for the columns."""
        return self._report(network(log, self.author, self.ties))

    def facts(self, log: Log) -> dict[str, float]:
        """Agents, ties, events that count and that do not, density, reciprocity, clustering; where the items have a
        column `parent`, also mean size, depth and breadth of the cascades of posts that somebody took up.
        """
        found, trees = network(log, self.author, self.ties), spread(log)
        told: dict[str, float] = {}
        if trees is not None and (taken := trees.size > 1).any():
            told = {f"cascade_{n}": float(getattr(trees, n)[taken].mean()) for n in ("size", "depth", "breadth")}
        return {
            **{k: float(v) for k, v in vars(structure(found.graph)).items()}, "interactions": float(found.interactions),
            "own": float(found.own), "unattributed": float(found.unattributed), "users": float(found.users),
            **told,
        }  # fmt: skip

    def compare(self, real: Log, simulated: Log) -> Table:
        """Two logs side by side, the result of the paper; see `report.compared` for the columns."""
        return compared(self.report(real), self.report(simulated))

    def world(self, *, seed: int = 0, minds: int | None = None, lm: Any = None) -> World:
        """The light population at its beginning, `people` agents; the first `minds` of them are played by a model.

        Parameters
        ----------
        lm : the model (`ethogram.lm.LM`); None is one that answers by rule.
        """
        if minds:
            from ethogram.simulate.friendship_paradox.played import played

            rest = self.rest or (3 if self.minutes >= 60 else 1)
            return played(self.people, minds, lm, seed, self.shown, minutes=self.minutes, rest=rest)
        from ethogram.simulate.friendship_paradox.population import crowd

        return crowd(self.people, seed, self.shown, minutes=self.minutes)

    def plan(self, world: World) -> None:
        """Nobody is anywhere: no map."""
        return None

    def example(self, *, seed: int = 0) -> World:
        """The same with 60 agents."""
        from ethogram.simulate.friendship_paradox.population import crowd

        return crowd(60, seed, self.shown, minutes=self.minutes)

    def members(self, posts: Log, *, people: int = 25, lm: Any = "local", seed: int = 0, **options: Any) -> World:
        """A population that a language model plays, with interests and tone of people of a log of posts.

        Parameters
        ----------
        posts : a log with `text`. lm : an LM, or where to connect to one. options : of `World`.

        Raises
        ------
        RolesError
            The log has no texts. OptionError: too few people wrote enough.
        """
        from ethogram.lm import LM
        from ethogram.simulate.friendship_paradox.population import members
        from ethogram.simulate.friendship_paradox.profiles import profiles

        asked = LM.connect(lm) if isinstance(lm, str) else lm
        return members(profiles(posts, people, seed=seed), asked, seed, **options)

    def run(self, world: World, until: int, *, seed: int = 0) -> Log:
        """What happens on the platform until a tick, with a table of items that says whose each post is.

        The world stays as it is; what it has to draw is drawn anew under `seed`.
        """
        from ethogram.world.social.platform import with_authors

        branch = world.fork(seed=seed).run(until)
        return with_authors(branch.log(), branch)

    def state(self) -> State:
        return State(json={})

    def restore(self, state: State) -> Self:
        return self

    def _report(self, found: Network) -> Table:
        how = {"draws": self.draws, "resamples": self.resamples, "seed": self.seed}
        return report(found.graph, found.attributes, **how)
