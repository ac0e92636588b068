"""Says how well an outsider could copy one's own sequential recommender, by how many queries, and what helps.

The attacker holds a few people's sequences and queries the service: sequences grown one item a query (`growing`), the
lists kept; a network of their own learns from the lists and the few sequences (`copying`). What counts is agreement:

    Agr@k = mean over test prefixes of |R_s & R_v| / k       R_v: the service's undefended list, R_s: the copy's

Cases are attacks (full, data-free, few sequences only; more by option) and, for the full attack, the owner's defences
(`service`), each under several seeds. Whoever queries must own the service: without an `owner` nothing is asked, and
the name is logged and stands in the report.

Deviations: the paper's two components are built from its abstract, the losses as in its data-free predecessor; the
repair loss compares the first 20 places.

Reference: H. Zhang, F. Liu: Few-shot Model Extraction Attacks against Sequential Recommender Systems. 2024.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from ethogram.errors import OptionError
from ethogram.system import system
from ethogram.verbs import Item, Planted, Report, State, Table, Transcript

if TYPE_CHECKING:
    from ethogram.audit.model_extraction.target import Target

ATTACKS = ("full", "data-free", "few-shot only", "random", "list", "pool", "no repair")
DEFENCES = ("truncate", "shuffle", "budget", "watermark")
GRADES = ("agreement@10", "agreement@1", "hit@10", "victim hit@10", "queries", "refused", "items", "transitions",
          "length", "marked", "chance", "mark p")  # fmt: skip


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
    "System that is trained and attacked where the subject is no saved one: sasrec, gru4rec, or any that scores."
    copy: Literal["sasrec", "gru"] = "sasrec"
    "Network of the attacker."
    attacks: tuple[str, ...] = ("full", "data-free", "few-shot only")
    "Attacks that are tried: full, data-free, few-shot only, random, and full without a part: list, pool, no repair."
    defences: tuple[str, ...] = DEFENCES
    "Defences that the full attack is tried against: truncate, shuffle, budget, watermark."
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
    "Share of the attack's queries that the defence `budget` allows."
    passes: int = 20
    "Passes of the copy over what it learned."
    repair: float = 0.5
    "Weight beta of the repair loss."
    tests: int = 500
    "People on whose prefixes agreement is measured; none of them is among the few."
    seeds: int = 1
    "Repetitions of every case."
    limit: float = 0.3
    "Agreement@10 of the full attack that passes."

    fitted = True  # nothing is learned before a subject is there

    def subject(self, given: str) -> Target:
        """The service to attack: a saved system's folder, or ``local`` for a `victim` trained here.

        Raises
        ------
        OptionError
            No owner, or options that make no attack.
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
        for name in ("sequences", "growth", "listed", "shown", "passes", "tests", "seeds"):
            if getattr(self, name) < 1:
                raise OptionError(f"model_extraction: {name} = {getattr(self, name)}; give 1 or more.")
        for name in ("few", "allowed"):
            if not 0 < getattr(self, name) < 1:
                raise OptionError(f"model_extraction: {name} = {getattr(self, name)} does not lie between 0 and 1.")

    def items(self, seed: int = 0) -> Sequence[Item]:
        """A case for each attack and each defence, under each seed."""
        cases = [(a, "none") for a in self.attacks] + [("full", d) for d in self.defences]
        return [
            Item(f"{label} {s}", {"attack": attack, "defence": defence, "seed": seed + s}, label, f"seed {s}")
            for s in range(self.seeds)
            for attack, defence in cases
            for label in [attack if defence == "none" else f"full against {defence}"]
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
        logging.getLogger(__name__).warning(
            "model extraction '%s' of %s, which is queried with the consent of its owner: %s", item.id, lm, self.owner
        )
        return Transcript(item.id, measured=attack(self, lm, **item.inputs))

    def grade(self, item: Item, transcript: Transcript) -> Mapping[str, float | None]:
        """Agreement (of lists of 10, of first items), hit rates, queries, closeness of what was grown, watermark."""
        return {name: transcript.measured.get(name) for name in GRADES}

    def summarise(self, rows: Table) -> Report:
        """Agreement of each attack and under each defence; differences are to the full attack without a defence.

        Intervals are over the test people within each seed (mean of their ends over seeds).
        """
        table = {n: np.array(rows.column(n).to_pylist(), object) for n in rows.column_names}
        metrics: dict[str, tuple[float, float, float]] = {}
        contrasts: dict[str, tuple[float, float, float]] = {}
        for group in dict.fromkeys(table["group"].tolist()):
            mine = table["group"] == group
            found = _mean(table["agreement@10"][mine])
            if np.isnan(found):
                continue
            # the standard error of a mean of values in [0, 1] is at most that of a coin
            error = 1.96 * np.sqrt(found * (1 - found) / (self.tests * max(int(mine.sum()), 1)))
            metrics[group] = (found, max(0.0, found - error), min(1.0, found + error))
            for name in ("agreement@1", "hit@10", "queries", "items", "transitions", "marked", "mark p"):
                value = _mean(table[name][mine]) if name in table else np.nan
                if not np.isnan(value):
                    metrics[f"{group}: {name}"] = (value, value, value)
        if "full" in metrics:
            for name in metrics:
                if name.startswith("full against") and ":" not in name:
                    value, low, high = metrics[name]
                    full = metrics["full"]
                    contrasts[f"{name} − none"] = (value - full[0], low - full[2], high - full[1])
        notes = (
            f"queried with the consent of its owner: {self.owner}",
            f"the attacker held {self.few:.0%} of the people's sequences and asked {self.sequences * self.growth:,} "
            "queries; every query counts, also a repeated one",
        )
        if "full" not in metrics:
            return Report("model_extraction", "", metrics, "inconclusive", "the full attack was not tried", contrasts,
                          notes)  # fmt: skip
        value, low, high = metrics["full"]
        verdict: Literal["pass", "fail", "inconclusive"]
        verdict = "pass" if high <= self.limit else "fail" if low > self.limit else "inconclusive"
        why = f"agreement@10 of the copy {value:.2f} [{low:.2f}, {high:.2f}] against {self.limit}"
        return Report("model_extraction", "", metrics, verdict, why, contrasts, notes)

    def planted(self) -> Sequence[Planted]:
        """A service that lists the same for everybody, which any copy repeats, and one that lists at random."""
        from ethogram.audit.model_extraction.target import planted

        return planted(self)

    def state(self) -> State:
        return State(json={})

    def restore(self, state: State) -> Self:
        return self


def _mean(values: np.ndarray) -> float:
    known = [float(v) for v in values if v is not None]
    return float(np.mean(known)) if known else float("nan")
