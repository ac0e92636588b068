"""What is claimed of `trainor`, and how it is measured.

Real trips are of Yelp, each person's first to one of three towns; people are split 70/10/20. A question is a trip, all
its places are targets, those of the destination that travellers of training visited three times compete, and every arm
is asked so. Settings were chosen on other people (a validation part of a fifth), where nothing that was tried came
above what is popular among travellers, a logistic regression on categories and towns at home included; nothing was
chosen on test. On generated travellers the purposes are known; its defaults were set by how far one who knows the mixes
is ahead of popularity. Measured so, on real trips it comes nearly as far as what is popular and no further, and no part
adds; without the bias of places, as the paper has it, it is far below. On generated ones it beats every floor, and
the transfer alone by less than is asked. The topic model learns alone first (`warm`) since a first measurement showed
its explanations of real trips barely trained (Jaccard .76, coherence .84 below that of popular places).

"No intention" is the transfer alone: free factors of travellers, and a mapping that learns to predict them (EMCDR).
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from ethogram.claims import Gap, Grid, Law, Laws, Ratio, claim
from ethogram.claims.recommend.floors import FLOORS
from ethogram.claims.recommend.towns import InTown, MatchedPopularity, trips

TOWNS = ("New Orleans", "Nashville", "Philadelphia")
WORLD = {"users": 1_500}
SMALL = {"users": 60, "homes": 6, "places": 10, "common": 8}
QUICK = {"epochs": 1, "warm": 1, "samples": 4, "dim": 8}
TOP = 5
"""Categories of an intention that are compared."""


def real(*towns: str) -> Any:
    """The trips to these towns; in a quick run a small generated world."""

    def make(quick: bool = False) -> Any:
        from ethogram import data

        return world(True) if quick else trips(data.load("out_of_town", destinations=towns))

    return make


def world(quick: bool = False, seed: int = 0) -> Any:
    from ethogram import data

    return trips(data.load("travellers", **(SMALL if quick else WORLD), seed=seed), least=1 if quick else 3)


def asked(quick: bool, **options: Any) -> Any:
    return partial(InTown, system="trainor", options={**options, **(QUICK if quick else {})})


def floors() -> dict[str, Any]:
    made = {name: partial(InTown, system=key) for name, key in FLOORS.items()}
    return {
        "popular among travellers": partial(InTown, system="popularity", on="trip"),
        "popular by category at home": MatchedPopularity,
        **made,
    }


@claim("trainor", "Recommends places of a town that somebody has never been to better than what is popular there")
def places(bench: Any) -> Grid:
    made = partial(asked, bench.quick)
    return Grid(
        arms={"trainor": made(), "no intention": made(intent="none"), **floors()},
        ablations={
            "general intention": made(intent="general"),
            "linear mapping": made(mapping="linear"),
            "no transfer": made(mapping="none"),
            "no geography": made(geography=False),
            "no graph at home": made(graph=False),
            "no categories": made(category=None),
            "no bias of places": made(popular=False),
            "mapping taught by ranking too": made(mapped=0.5),
        },
        data=[("three towns", real(*TOWNS)), *((town, real(town)) for town in TOWNS)],
        metric="recall@10",
        exclude_seen=False,
        seeds=3,
        budget="15m",
        holds=[
            Gap("trainor", "popular among travellers") >= 0,
            Gap("trainor", "popular by category at home") >= 0,
            Gap("trainor", "transition kernel") > 0,
            Gap("trainor", "item-kNN, decay") > 0,
            Gap("trainor", "no intention").__gt__(0).on("three towns"),
            *(Gap("trainor", other) > 0 for other in ("general intention", "no transfer", "no graph at home")),
            *(Gap("trainor", other) >= 0 for other in ("linear mapping", "no geography")),
        ],
    )


@claim("trainor", "Where people travel for purposes that their life at home hints at, intentions are what finds them")
def purposes(bench: Any) -> list[Grid | Laws]:
    made = partial(asked, bench.quick)
    grid = Grid(
        arms={"trainor": made(), "no intention": made(intent="none"), "general intention": made(intent="general"),
              "mapping taught by ranking too": made(mapped=0.5),
              "no intention, mapping taught by ranking too": made(mapped=0.5, intent="none"), **floors()},
        data=[("travellers", world)],
        metric="recall@10",
        exclude_seen=False,
        seeds=3,
        holds=[
            Ratio("trainor", "no intention") >= 1.2,
            Gap("trainor", "popular among travellers") > 0,
            Gap("trainor", "transition kernel") > 0,
            Gap("trainor", "item-kNN, decay") > 0,
        ],
    )  # fmt: skip
    return [
        grid,
        Laws(
            Law("share of unseen trips whose intention, of three, is the planted purpose (mean of three worlds)",
                lambda b: np.mean([recovered(b.quick, s)[0] for s in range(1 if b.quick else 3)]), ">=", 0.8),
            Law("share of travellers whose purpose their largest intention names from home alone, less that of the "
                "most common purpose",
                lambda b: np.mean([recovered(b.quick, s)[1] for s in range(1 if b.quick else 3)]), ">", 0),
        ),
    ]  # fmt: skip


@claim("trainor", "Its intentions are about different things, and what one visits goes together")
def explained(bench: Any) -> Laws:
    return Laws(
        Law(f"mean Jaccard similarity of two intentions' {TOP} largest categories",
            lambda b: said(b.quick)[0], "<", 0.3),
        Law("the same of the categories that tell most of it (share by log of lift)",
            lambda b: said(b.quick)[1], "<", 0.3),
        Law("NPMI coherence of an intention's ten places in New Orleans, less that of the ten most popular",
            lambda b: said(b.quick)[2], ">", 0),
    )  # fmt: skip


@cache
def recovered(quick: bool, seed: int) -> tuple[float, float]:
    """Matching of three intentions with three purposes on the test people: by what the trip was, and by home alone
    (less the share of the most common purpose). Purposes are matched by what the training trips were."""
    from scipy.optimize import linear_sum_assignment

    from ethogram import data
    from ethogram.nn.topics import Bags
    from ethogram.system import system

    cut = world(quick, seed)
    told = data.truth("travellers", **(SMALL if quick else WORLD), seed=seed)["people"]
    truth = dict(zip(told.column("user").to_pylist(), told.column("purpose").to_pylist(), strict=True))
    built = system("trainor", intentions_count=3, **(QUICK if quick else {})).fit(cut.train, cut.valid, seed=seed)
    known, found = built.fitted.known, {}
    for part in ("train", "test"):
        asking = getattr(cut, part).questions("next", which="last")
        codes, offsets = asking.candidates.flat(len(asking))
        row = known.rows_in(asking.candidates.vocabulary)[codes]
        ends = np.concatenate([[0], np.cumsum(row >= 0)])[offsets]
        users = asking.histories.vocabularies["user"].decode(asking.histories.users).to_pylist()
        theta = built.fitted.network.topics.theta(Bags.of(row[row >= 0], ends)).argmax(1)
        found[part] = theta, np.array([truth[u] for u in users]), asking.histories
    theta, purpose, _ = found["train"]
    together = np.zeros((3, 3))
    np.add.at(together, (theta, purpose), 1)
    named = linear_sum_assignment(-together)[1]
    theta, purpose, asking = found["test"]
    table = built.purposes(asking)
    first = table.column("intention").to_numpy()[table.column("rank").to_numpy() == 1]
    common = np.bincount(purpose).max() / len(purpose)
    return float((named[theta] == purpose).mean()), float((named[first] == purpose).mean() - common)


@cache
def said(quick: bool) -> tuple[float, float, float]:
    """(overlap of the largest categories, of those that tell most, coherence beyond popularity), of real trips."""
    from ethogram.evaluate.topics import coherence, overlap
    from ethogram.recommend.trainor import explaining
    from ethogram.system import system

    cut = real(*TOWNS)(quick)
    built = system("trainor", **(QUICK if quick else {})).fit(cut.train, cut.valid, seed=0)
    fitted = built.fitted
    share = explaining.said(fitted)
    largest, most = (np.argsort(-s, axis=1, kind="stable")[:, :TOP] for s in (share, explaining.telling(share)))
    trip = fitted.travel.trips(cut.train.histories())
    town = fitted.travel.town[np.flatnonzero(fitted.known.counts)]
    names = fitted.travel.towns.ids.to_pylist()
    here = np.flatnonzero(town == (names.index(TOWNS[0]) if TOWNS[0] in names else town[0]))
    phi, counts = fitted.network.topics.phi()[:, here], fitted.known.counts[fitted.known.counts > 0][here]
    top = here[np.argsort(-np.vstack([phi, counts]), axis=1, kind="stable")[:, :10]]
    values = coherence(top, fitted.known.rows[trip.items], trip.offsets)
    return overlap(largest), overlap(most), float(values[:-1].mean() - values[-1])
