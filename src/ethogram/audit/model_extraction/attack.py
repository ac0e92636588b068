"""One attack on one target, and what came of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.audit.model_extraction.copying import Copy, Taught
from ethogram.audit.model_extraction.growing import closeness, grow
from ethogram.audit.model_extraction.service import Defence, Service, marked, ranked
from ethogram.audit.model_extraction.target import Target
from ethogram.errors import OptionError

K = 10


def attack(o: Any, target: Target, *, attack: str, defence: str, seed: int) -> dict[str, Any]:
    """The grades of `ModelExtraction`.

    Raises
    ------
    OptionError
        Nobody is left to measure agreement on, or nobody's sequences can be learned from.
    """
    real, others = target.few(o.few, seed)
    tested = np.array([i for i in others if len(target.prefixes[i])], int)[: o.tests]
    if not len(tested) or not any(len(s) > 1 for s in real):
        raise OptionError("model_extraction: too few people; the few need two events, the others a test event.")
    settings = Defence(defence, o.shown, o.noise, max(1, round(o.allowed * o.sequences * o.growth)))
    service = Service(target.score, target.items, o.listed, settings, seed)
    copy, taught = steal(o, service, real, attack, seed)
    prefixes = [target.prefixes[i] for i in tested]
    theirs, mine = (ranked(s, target.items, prefixes, K) for s in (target.score, copy.score))
    both = (theirs[:, :, None] == mine[:, None, :]) & (theirs >= 0)[:, :, None]
    after = target.after[tested][:, None]
    told: dict[str, Any] = {
        "agreement@10": float(both.any(2).mean()), "agreement@1": float((theirs[:, 0] == mine[:, 0]).mean()),
        "hit@10": float((mine == after).any(1).mean()), "victim hit@10": float((theirs == after).any(1).mean()),
        "queries": float(service.queries), "refused": float(service.refused),
        "vector": both.any(2).mean(1),
    }  # fmt: skip
    if taught is not None:
        told |= closeness(taught.sequences, real, len(target.items))
    if defence == "watermark":
        share, chance, p = marked(copy.score, target.items, service.secret, prefixes, seed=seed)
        told |= {"marked": share, "chance": chance, "mark p": p}
    return told


def steal(o: Any, service: Service, real: list[np.ndarray], attack: str, seed: int) -> tuple[Copy, Taught | None]:
    """(the copy, what was grown) of an attack; a data-free one does not read the real sequences."""
    copy = Copy(service.items, o.copy, seed=seed)
    if attack == "few-shot only":
        return copy.learn(real, None, epochs=max(o.passes, 20)), None
    free = attack in ("data-free", "random")
    kind = {"no repair": "full"}.get(attack, attack)
    own = None if free else Copy(service.items, "sasrec", seed=seed + 10_000).learn(real, None, epochs=20)
    mine = [] if free else real
    taught = grow(service, kind, mine, sequences=o.sequences, steps=o.growth, own=own, seed=seed)
    repair = 0.0 if free or attack == "no repair" else o.repair
    return copy.learn(mine, taught, epochs=o.passes, repair=repair), taught
