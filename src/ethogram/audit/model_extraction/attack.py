"""One attack on one target, and what came of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.audit.model_extraction.copying import Copy, Taught
from ethogram.audit.model_extraction.detecting import FIRST, GROUP, KINDS, groups
from ethogram.audit.model_extraction.growing import closeness, grow
from ethogram.audit.model_extraction.service import Defence, Service, marked
from ethogram.audit.model_extraction.target import Target, Trace
from ethogram.errors import OptionError
from ethogram.evaluate.bootstrap import auc

K = 10


def attack(
    o: Any, target: Target, *, attack: str, defence: str, seed: int, share: float = 1.0
) -> dict[str, Any]:  # fmt: skip
    """With a share of the sequences, the grades of `ModelExtraction`; besides `tested`, numbers of the test people,
    `vector` and `hits`, agreement@10 and hit of the copy for each, and `taught`.

    Raises
    ------
    OptionError
        Nobody is left to measure agreement on, or nobody's sequences can be learned from.
    """
    real, others = target.few(o.few, seed)
    tested = np.array([i for i in others if len(target.prefixes[i])], int)[: o.tests]
    if not len(tested) or not any(len(s) > 1 for s in real):
        raise OptionError("model_extraction: too few people; the few need two events, the others a test event.")
    budget = max(1, round(o.allowed * min(o.spread, o.sequences) * o.growth))
    detector = target.detector(defence, others, o.listed, o.alarms) if defence in KINDS else None
    service = Service(
        target.lists, target.items, o.listed, Defence(defence, o.shown, o.noise, budget, detector=detector), seed
    )
    grown = max(1, round(share * o.sequences))
    copy, taught = steal(o, service, real, attack, seed, grown)
    prefixes = [target.prefixes[i] for i in tested]
    theirs, ordered = target.lists(prefixes, K), copy.lists(prefixes, len(target.items))
    mine = ordered[:, :K]
    both = ((theirs[:, :, None] == mine[:, None, :]) & (theirs >= 0)[:, :, None]).any(2).mean(1)
    after, correlated = target.after[tested][:, None], _correlation(theirs, ordered)
    told: dict[str, Any] = {
        "agreement@10": float(both.mean()), "error": float(both.std() / np.sqrt(len(both))),
        "people": float(len(tested)),
        "agreement@1": float((theirs[:, 0] == mine[:, 0]).mean()),
        "rank correlation": correlated[0], "rank error": correlated[1],
        "hit@10": float((mine == after).any(1).mean()), "victim hit@10": float((theirs == after).any(1).mean()),
        "queries": float(service.queries), "refused": float(service.refused), "vector": both,
        "tested": tested, "hits": (mine == after).any(1).astype(float), "taught": taught,
    }  # fmt: skip
    if taught is not None:
        told |= closeness(taught.sequences, real, len(target.items))
    if taught is not None and defence == "none" and share == 1:
        for kind in o.defences:
            if kind in KINDS:
                told |= detected(o, target, taught, others, kind)
    if defence == "watermark":
        share, chance, p = marked(copy.lists, service.secret, prefixes, seed=seed)
        told |= {"marked": share, "chance": chance, "mark p": p}
    return told


def _correlation(lists: np.ndarray, ordered: np.ndarray) -> tuple[float, float]:
    """Spearman correlation of places in full lists and in another order of all items: mean over lists, its error."""
    full = (lists >= 0).all(1)
    if not full.any() or lists.shape[1] < 2:
        return np.nan, np.nan
    place = (lists[full][:, :, None] == ordered[full][:, None, :]).argmax(2).argsort(1).argsort(1)
    k = lists.shape[1]
    found = 1 - 6 * ((place - np.arange(k)) ** 2).sum(1) / (k * (k**2 - 1))
    return float(found.mean()), float(found.std() / np.sqrt(len(found)))


def steal(
    o: Any, service: Service, real: list[np.ndarray], attack: str, seed: int, sequences: int | None = None
) -> tuple[Copy, Taught | None]:
    """(the copy, what was grown) of an attack; a data-free one does not read the real sequences.

    The copy learns from the real sequences first and from the lists then: learned together, the few sequences
    drown the lists.
    """
    free = attack in ("data-free", "random")
    kind = {"no repair": "full"}.get(attack, attack)
    copy = Copy(service.items, o.copy, seed=seed)
    if not free:
        copy.follow(real, epochs=o.passes)
    if attack == "few-shot only":
        return copy, None
    own = copy if free or o.copy == "sasrec" else Copy(service.items, seed=seed).follow(real, epochs=o.passes)
    taught = grow(
        service, kind, [] if free else real, sequences=sequences or o.sequences, steps=o.growth, own=own, seed=seed,
        spread=o.spread,
    )  # fmt: skip
    repair = 0.0 if free or attack == "no repair" else o.repair
    return copy.imitate(taught, epochs=o.passes, repair=repair), taught


def traces(taught: Taught, spread: int) -> list[Trace]:
    """The queries of each account that grew `spread` sequences, in their order, and their answers."""
    found = []
    for at in range(0, len(taught.sequences), spread):
        made, lists = taught.sequences[at : at + spread], taught.lists[at : at + spread]
        queries = [s[: t + 1] for t in range(made.shape[1]) for s in made]
        found.append((queries, lists.swapaxes(0, 1).reshape(-1, lists.shape[2])))
    return found


def detected(o: Any, target: Target, taught: Taught, others: np.ndarray, kind: str) -> dict[str, float]:
    """How well a detector tells the accounts of an attack that is refused nothing from people.

    ``KIND AUC`` with its interval: accounts by their worst group among as many first queries as attackers and people
    both have, those with a group at least. ``KIND found``: share of the ``KIND accounts`` that are refused at some
    time; ``KIND alarms``: share of the ``KIND people``, judged ones, who are.
    """
    detector = target.detector(kind, others, o.listed, o.alarms)
    attacks, people = traces(taught, o.spread), target.traces(target.groups(others)[2], o.listed)
    theirs, ours = ([detector.scores(groups(kind, detector.frequencies, *t)) for t in x] for x in (attacks, people))
    first = min(FIRST, max(len(s) for s in theirs) * GROUP) // GROUP
    ends = [np.array([s[:first].max() for s in x if len(s) and first]) for x in (theirs, ours)]
    found: Any = (np.nan,) * 3
    if all(map(len, ends)):
        found = auc(np.repeat([True, False], [len(x) for x in ends]), np.concatenate(ends))
    told = {f"{kind} AUC": found[0], f"{kind} low": found[1], f"{kind} high": found[2]}
    for name, scores, count in (("found", theirs, "accounts"), ("alarms", ours, "people")):
        above = [len(s) > 0 and s.max() > detector.threshold for s in scores]
        told |= {f"{kind} {name}": float(np.mean(above)) if above else np.nan, f"{kind} {count}": float(len(above))}
    return told
