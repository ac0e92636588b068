"""What a run says, as tables: cards, reasons, notes; and what it is stored as."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ethogram.numeric.rule_formats import json_logic, read_json_logic, sql
from ethogram.numeric.rules import Condition, Quality, Rule, number
from ethogram.risk.fin_deep_cluster import narrative
from ethogram.risk.fin_deep_cluster.cards import Cards, path, weights
from ethogram.risk.fin_deep_cluster.cases import Cases, summaries
from ethogram.risk.fin_deep_cluster.steps import Step
from ethogram.risk.fin_deep_cluster.vectors import Scales, Tokens
from ethogram.verbs import State, Table

if TYPE_CHECKING:
    from ethogram.nn.time_attention import Clicks

REASONS = pa.list_(pa.struct([("what", pa.string()), ("value", pa.string()), ("share", pa.float64())]))
SHARED_PATH = 0.2
"""Share of a cluster from which its most frequent path is told."""
DENSITY = ("labels", "probabilities", "outlier_scores", "stability", "points", "core", "births", "deaths")

__all__ = ["card_table", "clicks", "columns", "notes", "reasons", "restored", "state", "weights"]


def clicks(held: Cases, codes: np.ndarray) -> Clicks:
    """Cases as the network reads them."""
    import torch

    from ethogram.nn.time_attention import Clicks

    return Clicks(
        torch.from_numpy(codes), torch.from_numpy(held.places), torch.from_numpy(held.seconds.astype(np.float32)),
        torch.from_numpy(held.starts),
    )  # fmt: skip


def columns(held: Cases, tokens: Tokens) -> dict[str, np.ndarray]:
    """What rules are about: the experts' columns (the amount under that name) and what is plain in the clicks."""
    own = {"amount" if n == "value" else n: v for n, v in held.known.items()}
    kinds = tokens.kinds or tokens.pages
    return {**own, **{n: v for n, v in summaries(held, kinds).items() if n not in own}}


def notes(
    held: Cases, codes: np.ndarray, names: Sequence[str], labels: np.ndarray, made: Cards,
    rules: Mapping[int, list[Rule]],
) -> dict[int, narrative.Note]:  # fmt: skip
    """Flagged cluster -> its note, by template."""
    found = {}
    for c, own in rules.items():
        rows = np.flatnonzero(labels == c)
        walked, share = path(names, codes, held.offsets, rows)
        through = int((~(held.tag[rows] > 0) & ~(held.declined[rows] > 0)).sum())
        note = narrative.tell(
            int(made.size[c]), int(made.tagged[c]), int(made.declined[c]), made.base, int(made.began[c]),
            int(made.ended[c]), float(np.median(held.total[rows])), float(made.at_risk[c]), through,
            float(made.growth[c]), walked if share >= SHARED_PATH else (), share, own,
        )  # fmt: skip
        found[c] = narrative.Note(note, narrative.TEMPLATE, note)
    return found


def reasons(labels: np.ndarray, rows: Mapping[str, np.ndarray], made: Any) -> tuple[pa.Array, pa.Array]:
    """A sentence for each case, and what of its cluster's rules it meets."""
    card: Cards = made.cards
    says = [
        f"Group {c} of {card.size[c]:,} transactions that click alike: {card.tagged[c]:,} tagged, "
        f"{card.lift[c]:.1f} times the rate of all."
        for c in range(len(card))
    ]
    said = np.array([*says, "No group of transactions has clicks like these."], object)[labels]
    plain = [[{"what": "tagged in its group", "value": f"{card.tagged[c]} of {card.size[c]}", "share": 1.0}]
             for c in range(len(card))]  # fmt: skip
    told: list[list[dict[str, Any]]] = [plain[c] if c >= 0 else [] for c in labels.tolist()]
    for c, rules in made.rules.items():
        mine = np.flatnonzero(labels == c)
        if not rules or not len(mine):
            continue
        rule, share = rules[0], made.shares[c][0]
        meets = np.stack([condition.applies(rows) for condition in rule.conditions])[:, mine]
        for at, case in enumerate(mine.tolist()):
            met = np.flatnonzero(meets[:, at])
            whole = sum(share[i] for i in met)
            if not len(met) or whole <= 0:
                continue
            told[case] = [
                {"what": rule.conditions[i].column, "value": _value(rows[rule.conditions[i].column][case]),
                 "share": share[i] / whole}
                for i in sorted(met, key=lambda i: -share[i])
            ]  # fmt: skip
            shared = " and ".join(str(rule.conditions[i]) for i in met)
            said[case] = f"{says[c][:-1]}; it shares {shared}."
    return pa.array(said.tolist(), pa.string()), pa.array(told, REASONS)


def _value(value: Any) -> str:
    return str(value) if isinstance(value, str) else number(float(value))


def card_table(made: Any) -> Table:
    """See `FinDeepCluster.cards`."""
    card: Cards = made.cards
    order = np.lexsort((np.arange(len(card)), -card.at_risk, -card.risk))
    names = [f.name for f in fields(Cards) if f.name not in ("base", "noise")]
    told: dict[str, Any] = {"cluster": order.astype(np.int32)}
    told |= {n: getattr(card, n)[order] for n in names}
    for clock in ("began", "ended"):
        told[clock] = pa.array(told[clock], pa.timestamp("us", "UTC"))
    told |= {"base": np.full(len(order), card.base), "stability": made.density.stability[order]}
    own = [made.rules.get(int(c), []) for c in order]
    told["rules"] = pa.array([[str(r) for r in rules] for rules in own], pa.list_(pa.string()))
    held = [rules[0].held if rules else None for rules in own]
    for name in ("precision", "recall", "covered", "lift"):
        values = [None if h is None else float(getattr(h, name)) for h in held]
        told[f"held_{name}"] = pa.array(values, pa.float64(), from_pandas=True)
    told["json_logic"] = pa.array([json.dumps(json_logic(r)) if r else None for r in own], pa.string())
    path = [list(map(str, made.paths.get(int(c), ()))) for c in order]
    told["steps"] = pa.array(path, pa.list_(pa.string()))
    told["sql"] = pa.array([sql(r) if r else None for r in own], pa.string())
    for at, name in enumerate(("narrative", "told_by")):
        told[name] = pa.array([made.notes[int(c)][at] if int(c) in made.notes else None for c in order], pa.string())
    return pa.table(told)


def state(made: Any) -> State:
    from ethogram.nn.saved import arrays

    held = {
        **arrays(made.network),
        **{f"cards.{f.name}": np.asarray(getattr(made.cards, f.name)) for f in fields(Cards)},
    }
    found = made.density
    held |= {f"density.{n}": np.asarray(getattr(found, n)) for n in DENSITY}
    rules = {
        str(c): [{"logic": json_logic(r), "shares": list(s), "learnt": _counts(r.learnt), "held": _counts(r.held)}
                 for r, s in zip(own, made.shares[c], strict=True)]
        for c, own in made.rules.items()
    }  # fmt: skip
    return State(
        arrays=held,
        json={
            "pages": list(made.tokens.pages), "kinds": list(made.tokens.kinds), "scales": made.scales.json(),
            "spreads": list(made.spreads), "rules": rules, "notes": {str(c): list(n) for c, n in made.notes.items()},
            "paths": {str(c): [list(s) for s in path] for c, path in made.paths.items()},
            "density": [found.recall, found.backend, found.repaired, found.min_samples],
        },
    )  # fmt: skip


def restored(kept: State, options: Any) -> Any:
    """What `state` stored; single linkage and the condensed tree, which nothing asks for later, are left out."""
    from ethogram.nn.saved import restore
    from ethogram.nn.time_attention import TimeAttention
    from ethogram.numeric.density import Density
    from ethogram.risk.fin_deep_cluster import Fitted

    facts, held = kept.json, kept.arrays
    tokens = Tokens(tuple(facts["pages"]), tuple(facts["kinds"]))
    network = TimeAttention(
        len(tokens), dim=options.dim, hidden=options.hidden, out=options.out, pooling=options.pooling
    )
    restore(network, held)
    network.eval()
    card: dict[str, Any] = {f.name: held[f"cards.{f.name}"] for f in fields(Cards)}
    card |= {n: float(card[n]) for n in ("base", "noise")}
    own: dict[str, Any] = {n: held[f"density.{n}"] for n in DENSITY}
    recall, backend, repaired, samples = facts["density"]
    none = np.zeros(0)
    found = Density(tree=none, linkage=none, recall=recall, backend=backend, repaired=repaired, min_samples=samples,
                    **own)  # fmt: skip
    rules = {
        int(c): [Rule(_conditions(r["logic"]), _quality(r["learnt"]), _quality(r["held"])) for r in own]
        for c, own in facts["rules"].items()
    }
    shares = {int(c): [tuple(r["shares"]) for r in own] for c, own in facts["rules"].items()}
    notes = {int(c): narrative.Note(*map(str, n)) for c, n in facts["notes"].items()}
    paths = {int(c): tuple(Step(str(p), float(a), float(b)) for p, a, b in path) for c, path in facts["paths"].items()}
    spreads = float(facts["spreads"][0]), float(facts["spreads"][1])
    return Fitted(
        tokens, Scales.from_json(facts["scales"]), spreads, network, found, Cards(**card), rules, shares, paths, notes
    )


def _conditions(logic: Mapping[str, Any]) -> tuple[Condition, ...]:
    return read_json_logic(logic)[0].conditions


def _counts(measured: Quality | None) -> list[int] | None:
    return None if measured is None else [measured.covered, measured.hits, measured.size, measured.n]


def _quality(counts: Sequence[int] | None) -> Quality | None:
    return None if counts is None else Quality(*counts)
