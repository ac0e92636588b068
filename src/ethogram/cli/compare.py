"""``ethogram compare``: records or systems side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ethogram.cli.compare_area import Area, compare_area
from ethogram.cli.compare_runs import compare_runs, holds_runs
from ethogram.cli.evaluate import Store, judge, name_of, scorer, tell_ties
from ethogram.cli.opening import LogName, Reading, describes, open_log, options_in
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError

if TYPE_CHECKING:
    from ethogram.evaluate import Comparison, Record


def compare(
    *arms: str,
    log: LogName | None = None,
    protocol: Literal["temporal", "leave-last-out", "by-user", "within-user", "new-user", "new-item"] | None = None,
    ties: Literal["groups", "order"] = "groups",
    reference: str | None = None,
    metric: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    seed: int = 0,
    latency: int = 500,
    report: Path | None = None,
    store: Store = None,
    json: Json = None,
    area: Area | None = None,
    reading: Reading | None = None,
) -> None:
    """Compare systems on the same questions, or runs of simulated people; differences are paired over users.

    Parameters
    ----------
    arms
        Folders of records (or of stores with records), or of runs of `ethogram simulate` (or with such runs of several
        seeds in them), or, with --log, systems to run now, with options after a
        colon where wanted: als:factors=32,alpha=5. A system with a vector per user stands twice, with users as they
        were trained and folded in from their histories, unless its option fold_in is given.
    log
        A log directory, a file or folder of events, or the name of a data set, for systems to run on; options of a
        data set stand behind a colon: complete_journey:households=400,max_baskets=5000.
    protocol
        How the log is cut; temporal if not given and the log has a clock.
    ties
        groups: events of one user with equal time are one unordered group. order: the order of the rows is taken
        for the truth.
    reference
        The arm that the others are compared with; the first if not given.
    metric
        Only these metrics; can be repeated.
    seed
        Seed of the training.
    latency
        Candidates of the requests that are timed, one after the other; 0 times none. Where systems run now.
    report
        Also write the comparison as an HTML page with pictures of quality against cost and against latency.
    """
    from ethogram.evaluate import compare as side_by_side

    out = Output(json)
    if area is not None and area.area is not None:
        if arms or log is None:
            raise OptionError("compare --area: give --log LOG, and systems of the area by --systems.")
        compare_area(
            area, log, out, reading, protocol=protocol, ties=ties, reference=reference, metric=metric, seed=seed,
            report=report, store=store,
        )  # fmt: skip
        return
    if area is not None and (flag := area.given()):
        raise OptionError(f"compare: --{flag} is for --area AREA.")
    if not arms:
        raise OptionError("compare: give records, or --log LOG and systems, or --log LOG and --area AREA.")
    if log is None and any(holds_runs(arm) for arm in arms):
        compare_runs(arms, out, metric=metric, reference=reference, seed=seed)
        return
    if log is None:
        records = [r for arm in arms for r in load(Path(arm))]
    else:
        built = [one for arm in arms for one in systems_of(arm)]
        events = open_log(log, reading, out)
        out.line(f"log: {describes(events)}")
        if ties == "order":
            tell_ties(events, protocol, out)
            events = events.ties("order")
        how = {"seed": seed, "data": name_of(log), "store": store, "latency": latency or None}
        records = [judge(one, events, protocol, out, **how) for one in built]
    found = side_by_side(records, reference=reference, metrics=metric or None)
    tell_values(found, metric[0] if metric else None, out)
    spent = costs(records, found, metric[0] if metric else None)
    out.line()
    tell_costs(spent, out)
    for note in found.notes:
        out.line(note)
    if report is not None:
        from ethogram import catalogue
        from ethogram.evaluate.report import report as write

        floors = [s.key for s in catalogue.systems() if s.baseline]
        write(records, report, title="Side by side", floors=floors, metric=metric[0] if metric else None)
        out.line(f"report: {report}")
    out.result({"reference": found.reference, "rows": found.table.to_pylist(), "notes": found.notes, "costs": spent})


def tell_values(found: Comparison, metric: str | None, out: Output) -> None:
    """Values as a table: a column per arm, or for more than three, which no terminal holds, a row per arm."""
    from ethogram.evaluate.report.rows import preferred

    told = f"difference from {found.reference} behind it, * p < 0.05, paired over users"
    if len(found.arms) <= 3:
        rows = [[m, *(_cell(found.row(arm, m)) for arm in found.arms)] for m in found.metrics]
        out.table(["metric", *found.arms], rows, title=f"95% interval in brackets; {told}")
        return
    chosen = metric or preferred(found.metrics)
    others = [m for m in found.metrics if m != chosen]
    rows = [
        [arm, _cell(found.row(arm, chosen)), *(_value(found.row(arm, m)) for m in others)]
        for arm in found.arms
    ]  # fmt: skip
    out.table(["arm", chosen, *others], rows, title=f"95% interval of {chosen} in brackets; {told}")


def costs(records: list[Record], found: Comparison, metric: str | None) -> list[dict[str, Any]]:
    """Per arm its cost, and whether nothing beats its quality at that cost or less (`frontier`)."""
    from ethogram.evaluate.comparison import arms_of
    from ethogram.evaluate.effects import costs as spent_by
    from ethogram.evaluate.plots import frontier
    from ethogram.evaluate.report.reading import latency_of
    from ethogram.evaluate.report.rows import is_better_low, preferred

    chosen = metric or preferred(found.metrics)
    rows: list[dict[str, Any]] = []
    for arm, runs in arms_of(records).items():
        each = [spent_by(r) for r in runs]
        mean = {name: sum(e[name] for e in each) / len(each) for name in each[0]}
        timed = latency_of(runs)
        rows.append({"arm": arm, "metric": chosen, "value": found.row(arm, chosen)["value"], **mean,
                     "latency_ms": timed and timed[0], "latency_p95_ms": timed and timed[1],
                     "latency_cpu_ms": timed and timed[3], "candidates": timed and timed[2],
                     "served": way_of(runs)})  # fmt: skip
    known = [{**row, "cost": row["seconds"]} for row in rows if row["value"] is not None and row["seconds"] > 0]
    best = {row["arm"] for row in frontier(known, low=is_better_low(chosen))}
    return [{**row, "frontier": row["arm"] in best} for row in rows]


def way_of(runs: list[Record]) -> str | None:
    """How requests of an arm were answered: by the system's prepared form, or plainly by its `score`."""
    ways = {r.facts["latency"].get("way", "plain") for r in runs if r.facts.get("latency") is not None}
    return " and ".join(sorted(ways)) or None


def tell_costs(spent: list[dict[str, Any]], out: Output) -> None:
    """Costs as a table."""
    timed = next((row["candidates"] for row in spent if row["candidates"]), None)
    names = ["arm", spent[0]["metric"], "fit CPU s", "score CPU s", "peak MB"]
    keys = ["arm", "value", "fit_seconds", "score_seconds", "peak_mb"]
    if timed:
        names += [f"ms for {timed:,}", "95% below", "CPU ms", "served"]
        keys += ["latency_ms", "latency_p95_ms", "latency_cpu_ms", "served"]
    rows = [[*(row[k] for k in keys), "yes" if row["frontier"] else ""] for row in spent]
    out.table([*names, "frontier"], rows, title="cost; frontier: nothing is better for as many CPU seconds or fewer")


def systems_of(arm: str) -> list[Any]:
    """The systems that an arm such as ``als:factors=32,alpha=5`` names."""
    key, _, told = arm.partition(":")
    sets = options_in(told)
    built = scorer(key, sets)
    if getattr(built, "fold_in", "always") == "always" or any(s.startswith("fold_in=") for s in sets):
        return [built]
    return [built, scorer(key, [*sets, "fold_in=always"])]


def load(path: Path) -> list[Record]:
    """A record, or all of a store."""
    from ethogram.evaluate import Record, RecordStore

    if path.is_dir() and not (path / "record.json").exists() and (found := list(RecordStore(path))):
        return found
    if not path.exists():
        raise OptionError(f"compare: there is no record '{path}'; to run systems now, give --log.")
    return [Record.load(path)]


def _cell(row: dict[str, float | None]) -> str:
    if row["value"] is None:
        return "-"
    gap = "" if row["difference"] is None else f" ({row['difference']:+.4f}{_star(row['p'])})"
    ends = "" if row["low"] is None else f" [{row['low']:.4f}, {row['high']:.4f}]"
    return f"{row['value']:.4f}{ends}{gap}"


def _value(row: dict[str, float | None]) -> str:
    return "-" if row["value"] is None else f"{row['value']:.4f}{_star(row['p'])}"


def _star(p: float | None) -> str:
    return "*" if p is not None and p < 0.05 else ""
