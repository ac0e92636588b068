"""``ethogram demo``: a year of shopping, from raw rows to a report. Interrupted, it goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ethogram.cli.output import Json, Output

NEXT: dict[str, dict[str, Any]] = {
    "popularity": {},
    "item_knn_decay": {},
    "transition_kernel": {},
    "personal_frequency": {},
    "sasrec": {"loss": "sampled", "epochs": 4, "batch": 4_096, "lr": 2e-3},
}
"""What to buy next: the whole catalogue of 68,509 products is ranked for every household."""
SLATES: dict[str, dict[str, Any]] = {
    "smoothed_rates": {},
    "boosted_aggregates": {"max_questions": 20_000},
    "din": {"questions": 15_000, "epochs": 3, "last": 50},
    "sdim": {"questions": 10_000, "epochs": 2, "last": 500},
}
"""Which of the products on display in the store is taken."""
SHOWN = ("ndcg@10", "hr@10", "recall@10", "mrr", "ndcg@10/repeat", "ndcg@10/explore", "gauc", "auc", "logloss", "ece")
HOUSEHOLDS, K, SEED = 3, 5, 0


def demo(
    out: Annotated[Path, Parameter(name="--out")] = Path("ethogram-demo"),
    /,
    *,
    households: int | None = None,
    json: Json = None,
) -> None:
    """Run the main job on The Complete Journey: a year of shopping of 2,469 households.

    Parameters
    ----------
    out
        Folder of records, models and the report; what lies there already is not done again.
    households
        Only so many households, drawn by a seed: a faster look.
    """
    import torch

    from ethogram import data
    from ethogram.evaluate import RecordStore, compare

    # networks this narrow gain little from a second thread, and lose much where another program wants the core
    torch.set_num_threads(1)
    say, begun = Output(json), time.monotonic()
    store = RecordStore(out / "records")
    say.line("1  The log: every product that every household bought, and what was on display in the store that week")
    log = data.load("complete_journey", households=households)
    bought = (
        log.where("kind == 'purchase'").materialise() if households else data.load("complete_journey", exposures=False)
    )
    facts = bought.describe()
    told = ("events", "users", "items", "span", "events_per_user", "repeat_ratio", "tie_share")
    say.facts({name: facts[name] for name in told})
    say.line()
    fitted: dict[str, Any] = {}
    records: dict[str, list[Any]] = {}
    for number, heading, source, systems in (
        (2, "What will the household buy next? (the whole catalogue ranked, temporal split)", bought, NEXT),
        (3, "Which of the displayed products will this basket take? (temporal split)", log, SLATES),
    ):
        say.line(f"{number}  {heading}")
        split = source.split("temporal")
        records[heading] = []
        for key, options in systems.items():
            record, fitted[key] = _run(key, options, split, store, out, say)
            records[heading].append(record)
        shown = [m for m in SHOWN if m in records[heading][0].metrics]
        say.line(str(compare(records[heading], metrics=shown)))
        say.line()
    say.line("4  Recommendations, with the past purchases that speak for them")
    answers = _recommend(bought, fitted, say)
    path = _report(out, facts, bought, records, fitted, answers)
    seconds = time.monotonic() - begun
    say.line(f"\nThe report: {path}  ({seconds:.0f} s)")
    metrics = {r.system: r.metrics for found in records.values() for r in found}
    say.result({"report": str(path), "seconds": seconds, "metrics": metrics})


def _run(key: str, options: Mapping[str, Any], split: Any, store: Any, out: Path, say: Output) -> tuple[Any, Any]:
    """Record and fitted system; both are taken from the folder if they are there."""
    from ethogram.evaluate import run
    from ethogram.system import load, save, system

    built = system(key, **options)
    begun = time.monotonic()
    with say.progress(f"   {key}") as watch:
        record = run(built, split, store=store, seed=SEED, data="complete_journey", watch=watch)
    model = out / "models" / record.key
    if built.fitted is not None:
        save(built, model)
        say.line(f"   {key}: {time.monotonic() - begun:.0f} s")
    elif model.exists():
        built = load(model)
        say.line(f"   {key}: done before")
    else:  # killed between the record and the model
        built.fit(split.train, split.valid, seed=SEED)
        save(built, model)
    return record, built


def _recommend(bought: Any, fitted: Mapping[str, Any], say: Output) -> dict[str, Any]:
    """Three households and a stranger: sasrec finds, sdim orders, sdim's weights are the reasons."""
    import numpy as np

    from ethogram.log import Candidates, Histories

    every = bought.histories()
    # households of short, middle and long histories, the same ones on every machine
    order = np.argsort(every.lengths, kind="stable")
    rows = order[(np.array([0.2, 0.5, 0.9]) * len(order)).astype(int)]
    known = every[rows]
    words = _words(bought)
    finder = fitted["personal_frequency"] if "sasrec" not in fitted else fitted["sasrec"]
    pipeline = finder >> fitted["sdim"]
    # a stranger is nothing but a list of product ids: what a household with children might carry home
    typical = known.item_ids(1)[-12:]
    stranger = Histories.of([typical[::2]])
    answers: dict[str, Any] = {"words": words, "people": [], "recommendations": [], "reasons": []}
    names = bought.vocabulary("user").decode(known.users).to_pylist()
    for number, asked in enumerate([*(known[i : i + 1] for i in range(HOUSEHOLDS)), stranger]):
        found = pipeline.recommend(asked, k=K, exclude_seen=False)
        items = found.column("item").to_pylist()
        why = fitted["sdim"].explain(asked, Candidates.of([items]), k=3)
        title = f"Household {names[number]}" if number < HOUSEHOLDS else "A stranger, known by six product ids"
        recent = [words.get(i, str(i)) for i in reversed(asked.item_ids(0)[-6:])]
        note = f"{int(asked.lengths[0]):,} purchases on record" if number < HOUSEHOLDS else "never seen in training"
        answers["people"].append({"title": title, "note": note, "recent": recent})
        answers["recommendations"].append(_numbered(found, number))
        answers["reasons"].append(_numbered(why, number))
        speaks: dict[Any, list[str]] = {}
        for row in why.to_pylist():
            if row["share"] > 0:
                speaks.setdefault(row["candidate"], []).append(words.get(row["item"], str(row["item"])))
        table = [(words.get(i, str(i)), "; ".join(dict.fromkeys(speaks.get(i, [])))) for i in items]
        say.table(("recommended", "because of"), table, title=f"   {title} ({note})")
    return answers


def _numbered(table: Any, number: int) -> Any:
    import pyarrow as pa

    return table.set_column(0, "question", pa.array([number] * len(table)))


def _words(bought: Any) -> dict[Any, str]:
    items = bought.items
    return dict(zip(items.column(0).to_pylist(), items.column("title").to_pylist(), strict=True))


def _report(
    out: Path, facts: Any, bought: Any, records: Mapping[str, list[Any]], fitted: Mapping[str, Any], answers: Any
) -> Path:
    import pyarrow as pa
    import pyarrow.compute as pc

    from ethogram.evaluate.report import report

    reasons = pa.concat_tables(answers["reasons"])
    found = [t.select(["question", "user", "item", "score", "rank"]) for t in answers["recommendations"]]
    users = pa.string()
    found = [t.set_column(1, "user", t.column("user").cast(users)) for t in found]
    curves = {
        key: trained.curve
        for key, built in fitted.items()
        if (trained := getattr(built.fitted, "trained", None)) is not None
    }
    limits = [
        "A product on display is not a product that was seen: nobody recorded who walked past which shelf.",
        "Each basket is stored sorted by product, so its inner order says nothing; here it is one unordered group.",
        "The stranger's products come from another household's list; what a real stranger wants is not known.",
    ]
    return report(
        [r for group in records.values() for r in group],
        out / "report.html",
        title="A year of shopping",
        subtitle="The Complete Journey: what households bought, what was on display, and who can tell what comes next",
        log_description=facts,
        lengths=bought.sequences().lengths,
        floors=[*(k for k in NEXT if k != "sasrec"), "smoothed_rates", "boosted_aggregates"],
        curves=curves,
        recommendations=pa.concat_tables(found),
        reasons=reasons.filter(pc.greater(reasons.column("share"), 0)),
        words=answers["words"],
        people=answers["people"],
        limits=limits,
    )
