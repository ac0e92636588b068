"""One attack on one target, and what came of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.audit.model_extraction.copying import Copy, Taught
from ethogram.audit.model_extraction.detecting import KINDS, groups
from ethogram.audit.model_extraction.growing import closeness, grow
from ethogram.audit.model_extraction.service import Defence, Service, marked
from ethogram.audit.model_extraction.target import Target, Trace
from ethogram.errors import OptionError
from ethogram.evaluate.bootstrap import auc

K = 10


def attack(o: Any, target: Target, *, attack: str, defence: str, seed: int) -> dict[str, Any]:
    """The grades of `ModelExtraction`; besides `tested`, numbers of the test people, `vector` and `hits`, agreement@10
    and hit of the copy for each, and `taught`.

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
    copy, taught = steal(o, service, real, attack, seed)
    prefixes = [target.prefixes[i] for i in tested]
    theirs, ordered = target.lists(prefixes, K), copy.lists(prefixes, len(target.items))
    mine = ordered[:, :K]
    both = ((theirs[:, :, None] == mine[:, None, :]) & (theirs >= 0)[:, :, None]).any(2).mean(1)
    after = target.after[tested][:, None]
    told: dict[str, Any] = {
        "agreement@10": float(both.mean()), "error": float(both.std() / np.sqrt(len(both))),
        "agreement@1": float((theirs[:, 0] == mine[:, 0]).mean()),
        "rank correlation": _correlation(theirs, ordered),
        "hit@10": float((mine == after).any(1).mean()), "victim hit@10": float((theirs == after).any(1).mean()),
        "queries": float(service.queries), "refused": float(service.refused), "vector": both,
        "tested": tested, "hits": (mine == after).any(1).astype(float), "taught": taught,
    }  # fmt: skip
    if taught is not None:
        told |= closeness(taught.sequences, real, len(target.items))
    if taught is not None and defence == "none":
        for kind in o.defences:
            if kind in KINDS:
                told |= detected(o, target, taught, others, kind)
    if detector is not None:
        told["alarms"] = alarmed(target, others, detector, o.listed)
    if defence == "watermark":
        share, chance, p = marked(copy.lists, service.secret, prefixes, seed=seed)
        told |= {"marked": share, "chance": chance, "mark p": p}
    return told


def _correlation(lists: np.ndarray, ordered: np.ndarray) -> float:
    """Spearman correlation of places in full lists and in another order of all items, mean over the lists."""
    full = (lists >= 0).all(1)
    if not full.any() or lists.shape[1] < 2:
        return float("nan")
    place = (lists[full][:, :, None] == ordered[full][:, None, :]).argmax(2).argsort(1).argsort(1)
    k = lists.shape[1]
    return float((1 - 6 * ((place - np.arange(k)) ** 2).sum(1) / (k * (k**2 - 1))).mean())


def steal(o: Any, service: Service, real: list[np.ndarray], attack: str, seed: int) -> tuple[Copy, Taught | None]:
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
        service, kind, [] if free else real, sequences=o.sequences, steps=o.growth, own=own, seed=seed, spread=o.spread
    )
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
    """How well a detector tells the accounts of an attack that is not refused anything from people.

    ``KIND AUC`` of groups of queries, its interval over accounts and people; ``KIND found``: share of the accounts
    that are refused at some time; ``KIND alarms``: share of the judged people who are.
    """
    detector = target.detector(kind, others, o.listed, o.alarms)
    judged = target.groups(others)[2]
    every = [groups(kind, detector.frequencies, *trace) for trace in
             (*traces(taught, o.spread), *target.traces(judged, o.listed))]  # fmt: skip
    scores = [detector.scores(g) for g in every]
    attacks = len(every) - len(judged)
    worst = np.array([s.max() if len(s) else 0.0 for s in scores])
    lengths = [len(s) for s in scores]
    who, score = np.repeat(np.arange(len(every)), lengths), np.concatenate(scores)
    found = auc(who < attacks, score, units=who) if 0 < (who < attacks).sum() < len(who) else (np.nan,) * 3
    return {
        f"{kind} AUC": found[0], f"{kind} low": found[1], f"{kind} high": found[2],
        f"{kind} found": float((worst[:attacks] > detector.threshold).mean()),
        f"{kind} alarms": float((worst[attacks:] > detector.threshold).mean()) if len(judged) else float("nan"),
    }  # fmt: skip


def alarmed(target: Target, others: np.ndarray, detector: Any, k: int) -> float:
    """Share of the judged people whom a detector refuses."""
    people = target.traces(target.groups(others)[2], k)
    every = [detector.scores(groups(detector.kind, detector.frequencies, *trace)) for trace in people]
    return float(np.mean([len(s) > 0 and s.max() > detector.threshold for s in every])) if every else float("nan")
