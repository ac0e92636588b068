"""``ethogram risk clusters MODEL LOG``: what a system's clusters are, their rules, and who of a log falls into them."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.cli.opening import Reading, describes, open_log
from ethogram.cli.output import Json, Output
from ethogram.cli.risk_cases import judging
from ethogram.errors import OptionError

SHOWN = 20
COLUMNS = {
    "cluster": "cluster", "size": "cases", "tag_rate": "tagged", "lift": "lift", "risk": "risk", "flagged": "flagged",
    "at_risk": "money at risk", "growth": "growth", "stability": "stability",
}  # fmt: skip
"""Column of a card -> its title."""


def clusters(
    model: str,
    log: str,
    /,
    *,
    rules: Path | None = None,
    lm: str | None = None,
    json: Json = None,
    reading: Reading | None = None,
) -> None:
    """Show the clusters of a system that finds some, their rules, and how many cases of a log fall into each.

    Parameters
    ----------
    model
        Folder of a saved system (`ethogram fit fin_deep_cluster LOG --out FOLDER`).
    log
        A log directory, a file or folder of events, or the name of a data set.
    rules
        Also write the rules to this file (.json), for `ethogram serve --rules` and other rule engines.
    lm
        A language model that tells the narratives: local, or the URL of an endpoint. A text with a number that is not
        on the card is refused, and the template stays.
    """
    say = Output(json)
    if rules is not None and rules.suffix != ".json":
        raise OptionError(f"--rules {rules}: the name must end in .json.")
    built = judging(model)
    if "assign" not in built.info.verbs:
        raise OptionError(f"{built.info.key} finds no clusters; `ethogram risk score` shows its risks.")
    if lm is not None and not hasattr(built, "narrate"):
        raise OptionError(f"--lm {lm}: {built.info.key} has no narratives that a language model could tell.")
    events = open_log(log, reading, say)
    say.line(f"{built.info.key}: assigning {describes(events)}")
    placed = built.assign(events)
    told_by = _narrated(built, lm, say) if lm is not None else None
    cards = built.cards().to_pylist()
    labels = np.asarray(placed["cluster"].to_numpy(), np.int64)
    here = dict(zip(*(v.tolist() for v in np.unique(labels, return_counts=True)), strict=True))
    outside, flagged = here.pop(-1, 0), sum(bool(c["flagged"]) for c in cards)
    say.line(
        f"{len(cards):,} clusters, {flagged:,} of them flagged; {len(labels) - outside:,} "
        f"of {len(labels):,} cases of this log fall into one"
    )
    meaning = built.columns() if callable(getattr(built, "columns", None)) else {}
    told = [{**card, "here": here.get(card["cluster"], 0)} for card in cards]
    there = [c for c in COLUMNS if any(card.get(c) is not None for card in cards)]
    say.table([*(COLUMNS[c] for c in there), "here"], [[c[n] for n in (*there, "here")] for c in told[:SHOWN]])
    if len(told) > SHOWN:
        say.line(f"... and {len(told) - SHOWN:,} more (--json FILE)")
    for card in told:
        if card.get("rules"):
            say.line(f"cluster {card['cluster']}: {card.get('narrative') or 'no narrative'}")
            for rule in card["rules"]:
                say.line(f"  where {rule}")
            for name in (n for n in meaning if any(f"{n} " in rule for rule in card["rules"])):
                say.line(f"  {name}: {meaning[name]}")
    if rules is not None:
        count = _export(built, told, rules)
        say.line(f"{count:,} rules written to {rules}")
    say.result({"clusters": told, "outside": outside, "cases": placed.to_pylist() if json else None,
                "narratives": told_by})  # fmt: skip


def _narrated(built: Any, lm: str, say: Output) -> dict[str, int]:
    """Have a model tell the narratives, and say what became of them."""
    from ethogram.lm import LM

    model = LM.connect(lm)
    model.sync.capabilities()  # nothing answers: the error says so, and nothing is told
    found: dict[str, int] = built.narrate(model)
    say.line(f"narratives: {found['told']:,} told by {model.identity}, {found['refused']:,} refused, "
             f"{found['failed']:,} without a valid answer; the template stays for those")  # fmt: skip
    return found


def _export(built: Any, cards: list[dict[str, Any]], path: Path) -> int:
    """Write the rules of flagged clusters as JsonLogic; how many there are."""
    from ethogram.numeric.rule_sets import written

    mined = built.mined() if callable(getattr(built, "mined", None)) else {}
    found = [(str(c["cluster"]), c.get("narrative") or "", mined.get(c["cluster"], [])) for c in cards]
    found = [one for one in found if one[2]]
    own = built.columns() if callable(getattr(built, "columns", None)) else {}
    path.write_text(jsonlib.dumps(written(built.info.key, found, own), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return sum(len(own) for _, _, own in found)
