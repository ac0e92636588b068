"""Says how well an outsider could copy one's own sequential recommender, by how many queries, and what helps.

The attacker holds a few people's sequences and queries the service: sequences grown one item a query (`growing`), the
lists kept; a network of their own learns from the few sequences and then from the lists (`copying`). What counts is

    Agr@k = mean over test prefixes of |R_s & R_v| / k       R_v: the service's undefended list, R_s: the copy's

Cases are attacks (full, data-free, few sequences only; more by option) and, for the full attack, the owner's defences
(`service`), each under several seeds. Detectors (`detecting`) are tried twice: on attacks that they only watch, for how
well they tell accounts from people's, and as a defence that refuses. A subject is a saved system's folder, the address
of a running service, or ``local``: `victim`, trained here. Whoever queries must own the service: without an `owner`
nothing is asked, and the name is logged and stands in the report.

Deviations: the paper's two components are built from its abstract, the losses as in its data-free predecessor; grown
sequences begin with pieces of real ones; real sequences are learned before the lists instead of beside them, where they
drown them; the repair loss compares the first 10 places, its weight is small, as chosen on the attacker's own people.

Reference: H. Zhang, F. Liu: Few-shot Model Extraction Attacks against Sequential Recommender Systems. 2024.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from ethogram.errors import OptionError
from ethogram.system import system
from ethogram.verbs import Item, Planted, Report, State, Table, Transcript

if TYPE_CHECKING:
    from ethogram.audit.model_extraction.target import Target

_told: weakref.WeakSet[Target] = weakref.WeakSet()
ATTACKS = ("full", "data-free", "few-shot only", "random", "popular", "list", "pool", "no pieces", "no repair")
DEFENCES = ("truncate", "shuffle", "budget", "watermark", "prefixes", "anomaly")
KINDS = ("prefixes", "anomaly")
DETECTED = tuple(f"{k} {x}" for k in KINDS for x in ("AUC", "low", "high", "found", "accounts", "alarms", "people"))
GRADES = ("agreement@10", "error", "agreement@1", "rank correlation", "rank error", "hit@10", "victim hit@10", "people",
          "queries", "refused", "items", "transitions", "length", "marked", "chance", "mark p", *DETECTED)  # fmt: skip


@system(
    "model_extraction",
    paper="Few-shot Model Extraction Attacks against Sequential Recommender Systems",
    year=2024,
    area="audit",
    verbs=("audit",),
    needs=("torch",),
)
@dataclass(kw_only=True)
class ModelExtraction:
    """See the module."""

    owner: str = ""
    "Who owns the service that is queried and consents to it; without a name nothing is asked."
    data: str = "ml_100k"
    "Sequences of the service's people: the name of a data set, or a log."
    victim: str = "sasrec"
    "System that is trained and attacked where the subject is no saved one: sasrec, bert4rec, narm, any that scores."
    copy: Literal["sasrec", "gru"] = "sasrec"
    "Network of the attacker."
    attacks: tuple[str, ...] = ("full", "data-free", "few-shot only")
    "full, data-free, few-shot only, random, popular; full without a part: list, pool, no pieces, no repair."
    defences: tuple[str, ...] = DEFENCES
    "What the full attack is tried against: truncate, shuffle, budget, watermark, prefixes, anomaly."
    few: float = 0.1
    "Share of the people whose sequences the attacker holds."
    sequences: int = 1_000
    "Sequences that are grown."
    growth: int = 20
    "Items that each grows to; every one is a query."
    listed: int = 100
    "Items of the service's lists."
    shown: int = 10
    "Items that the defence `truncate` shows."
    noise: float = 10.0
    "Places by which the defence `shuffle` moves items (standard deviation)."
    allowed: float = 0.1
    "Share of an account's queries that the defence `budget` allows."
    spread: int = 50
    "Sequences that the attacker grows from one account; 1 takes an account for each."
    alarms: float = 0.01
    "Share of real people whom the detectors `prefixes` and `anomaly` may refuse."
    passes: int = 20
    "Passes of the copy over what it learned."
    repair: float = 0.1
    "Weight beta of the repair loss."
    tests: int = 500
    "People on whose prefixes agreement is measured; none of them is among the few."
    curve: tuple[float, ...] = (0.25, 0.5)
    "Shares of the sequences with which the full attack is also tried, without and with each defence: the picture."
    seeds: int = 1
    "Repetitions of every case."
    limit: float = 0.3
    "Agreement@10 of the full attack that passes."

    fitted = True  # nothing is learned before a subject is there

    def subject(self, given: str) -> Target:
        """The service to attack: a saved system's folder, a service's address, or ``local``: a `victim` trained here.

        Raises
        ------
        OptionError
            No owner, options that make no attack, or no such subject. ServiceDown: nobody answers at the address.
        """
        from ethogram.audit.model_extraction.target import target

        self._check()
        return target(self, given)

    def _check(self) -> None:
        if not self.owner.strip():
            raise OptionError("model_extraction: say who owns the service (--owner NAME); only one's own is queried.")
        for name, known in (("attacks", ATTACKS), ("defences", DEFENCES)):
            if wrong := [x for x in getattr(self, name) if x not in known]:
                raise OptionError(f"model_extraction: no {name[:-1]} '{wrong[0]}'; there are {', '.join(known)}.")
        for name in ("sequences", "growth", "listed", "shown", "spread", "passes", "tests", "seeds"):
            if getattr(self, name) < 1:
                raise OptionError(f"model_extraction: {name} = {getattr(self, name)}; give 1 or more.")
        for share in self.curve:
            if not 0 < share < 1:
                raise OptionError(f"model_extraction: curve = {share} does not lie between 0 and 1.")
        for name in ("few", "allowed", "alarms"):
            if not 0 < getattr(self, name) < 1:
                raise OptionError(f"model_extraction: {name} = {getattr(self, name)} does not lie between 0 and 1.")

    def items(self, seed: int = 0) -> Sequence[Item]:
        """A case for each attack and each defence, and for each share of the curve, under each seed."""
        cases: list[tuple[str, str, float]] = [(a, "none", 1.0) for a in self.attacks]
        cases += [("full", d, 1.0) for d in self.defences]
        cases += [("full", d, x) for x in self.curve for d in ("none", *self.defences) if "full" in self.attacks]
        return [
            Item(f"{label} {s}", {"attack": a, "defence": d, "seed": seed + s, "share": x}, label, f"seed {s}")
            for s in range(self.seeds)
            for a, d, x in cases
            for label in [(a if d == "none" else f"full against {d}") + ("" if x == 1 else f" at {x:.0%}")]
        ]

    async def episode(self, item: Item, lm: Any) -> Transcript:
        """Attack the service once; `measured` holds the grades.

        Raises
        ------
        OptionError
            No owner is named.
        """
        from ethogram.audit.model_extraction.attack import attack

        self._check()
        if lm not in _told:
            _told.add(lm)
            logging.getLogger(__name__).warning(
                "model extraction: %s is queried with the consent of its owner: %s", lm, self.owner
            )
        return Transcript(item.id, measured=attack(self, lm, **item.inputs))

    def grade(self, item: Item, transcript: Transcript) -> Mapping[str, float | None]:
        """Agreement (of lists of 10, of first items), hit rates, queries, closeness of what was grown, watermark."""
        return {name: transcript.measured.get(name) for name in GRADES}

    def summarise(self, rows: Table) -> Report:
        """Agreement of each attack and under each defence; differences are to the full attack without a defence."""
        from ethogram.audit.model_extraction.reporting import summarise

        return summarise(self, rows)

    def planted(self) -> Sequence[Planted]:
        """A service that lists the same for everybody, which any copy repeats, and one that lists at random."""
        from ethogram.audit.model_extraction.target import planted

        return planted(self)

    def state(self) -> State:
        return State(json={})

    def restore(self, state: State) -> Self:
        return self
