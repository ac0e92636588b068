"""The sections of a report: each takes plain facts and returns markup for `Page.section`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from ethogram.evaluate import plots
from ethogram.evaluate.deleting import Deletion
from ethogram.evaluate.record import Record
from ethogram.evaluate.report.html import Html, join, prose, table, tag
from ethogram.evaluate.report.page import Page
from ethogram.evaluate.report.rows import Row, Task, is_better_low, is_neutral, metric_title, number, seconds, signed

__all__ = [
    *("circumstances", "claims", "deletions", "described", "facts", "limits", "machine", "people", "pictures"),
    "results",
]


def facts(pairs: Mapping[str, Any]) -> Html | None:
    """Large figures with small words."""
    if not pairs:
        return None
    cells = [tag("div", tag("dd", value), tag("dt", name)) for name, value in pairs.items()]
    return tag("dl", *cells, class_="facts")


def results(task: Task) -> Html:
    """The table: rows from the best, floors marked, intervals below the values, differences to the reference."""
    rows = task.ranked()
    names = task.shown()
    best = {m: _best(rows, m) for m in names}
    floor = task.best_floor()
    with_gaps = any(r.gap is not None for r in rows)
    costs = any(r.seconds for r in rows), any(r.peak_mb for r in rows)
    head: list[Any] = ["System", *(metric_title(m) for m in names)]
    head += [tag("span", "against ", tag("span", task.reference, class_="whole"))] if with_gaps else []
    head += [h for h, there in zip(("CPU s", "peak MB"), costs, strict=True) if there]
    body = []
    for r in rows:
        cells: list[Any] = [join([r.label, *_tags(r, task, floor)])]
        cells += [_value(r, m, r.metrics.get(m) == best[m]) for m in names]
        if with_gaps:
            cells.append(_gap(r) if r.label != task.reference else "–")
        cells += [seconds(r.seconds)] if costs[0] else []
        cells += [f"{r.peak_mb:,.0f}" if r.peak_mb else "–"] if costs[1] else []
        body.append(cells)
    made = table(
        head,
        body,
        numbers=range(1, len(head)),
        kinds=["floor" if r.floor else "" for r in rows],
        caption=f"Systems from the best {metric_title(task.metric)} down.",
        wide=True,
    )
    words = tag("p", prose(_table_words(task, rows, with_gaps)), class_="note")
    return join([made, words, _everything(task, rows), _requests(task)])


def _everything(task: Task, rows: Sequence[Row]) -> Html | None:
    """All metrics of all systems, folded away: metrics down, systems across."""
    if len(task.metrics()) <= len(task.shown()):
        return None
    body = [[metric_title(m), *(_value(r, m, False) for r in rows)] for m in task.metrics()]
    made = table(["Metric", *(r.label for r in rows)], body, numbers=range(1, len(rows) + 1), wide=True)
    return tag("details", tag("summary", f"All {len(body)} metrics"), made)


def _best(rows: Sequence[Row], metric: str) -> float | None:
    values = [r.metrics[metric] for r in rows if metric in r.metrics and r.metrics[metric] == r.metrics[metric]]
    if not values or len(rows) < 2 or is_neutral(metric):
        return None
    return min(values) if is_better_low(metric) else max(values)


def _tags(row: Row, task: Task, floor: Row | None) -> list[Html]:
    tags = [tag("span", "floor", class_="tag")] if row.floor else []
    if not row.floor and floor is not None and task.is_below(row, floor):
        tags.append(tag("span", "below the best floor", class_="tag warn"))
    if row.seeds > 1:
        tags.append(tag("span", f"{row.seeds} seeds", class_="tag"))
    return tags


def _value(row: Row, metric: str, best: bool) -> Html:
    if metric not in row.metrics:
        return Html("–")
    shown = number(row.metrics[metric])
    ends = row.intervals.get(metric)
    small = tag("small", f"{number(ends[0])}–{number(ends[1])}") if ends else None
    return join([tag("b", shown, class_="top") if best else shown, small])


def _gap(row: Row) -> Html:
    if row.gap is None:
        return Html("–")
    value, low, high = (signed(x) for x in row.gap)
    return join([value, tag("small", f"{low} to {high}")])


def _requests(task: Task) -> Html | None:
    """Quality beside everything that it costs, where requests were timed."""
    rows = [r for r in task.ranked() if r.latency and task.metric in r.metrics]
    if not rows:
        return None
    body = []
    for r in rows:
        median, late, _, cpu = r.latency or (0.0, 0.0, 0, 0.0)
        peak = f"{r.peak_mb:,.0f}" if r.peak_mb else "–"
        body.append(
            [
                r.label,
                number(r.metrics[task.metric]),
                seconds(r.seconds),
                peak,
                f"{median:.3g}",
                f"{late:.3g}",
                f"{cpu:.3g}",
            ]
        )
    size = rows[0].latency[2] if rows[0].latency else 0
    head = ["System", metric_title(task.metric), "CPU s", "peak MB", "median ms", "95% below", "CPU ms"]
    made = table(head, body, numbers=range(1, len(head)), caption=f"What it costs; requests of {size:,} candidates.")
    words = (
        "CPU seconds and memory are of fitting and scoring; milliseconds of one request by one thread, on the clock."
    )
    return join([made, tag("p", words, class_="note")])


def _table_words(task: Task, rows: Sequence[Row], with_gaps: bool) -> str:
    words = []
    if any(r.intervals for r in rows):
        words.append(f"Below each value: its 95% interval, from resampling {task.unit}.")
    words.append("The best value of a column is bold.")
    if any(r.floor for r in rows):
        words.append("Floors are simple rules that a trained model has to beat before it has shown anything.")
    if with_gaps:
        words.append(
            f"The difference to {task.reference} is paired over the same {task.unit}: where its interval includes 0,"
            " the two are not told apart."
        )
    return " ".join(words)


def pictures(page: Page, task: Task) -> list[Html | None]:
    """Forest plot, quality against cost, repeat and explore, calibration, learning curves: those with data."""
    rows, title, floor = task.ranked(), metric_title(task.metric), task.best_floor()
    drawn = [r.drawn(task.metric) for r in rows if task.metric in r.metrics]
    made: list[Html | None] = []
    if len(drawn) > 1:
        reference = floor.metrics[task.metric] if floor else None
        line = " The dashed line is the best floor." if floor else ""
        made.append(
            page.chart(
                f"{task.identity}-forest", lambda: plots.forest(drawn, title, reference=reference),
                f"{title[0].upper()}{title[1:]} with 95% intervals.",
                f"A point is the measured value, the bar is where the true one plausibly lies.{line} Filled circles are"
                " systems, hollow diamonds floors. The axis does not start at zero.",
            )
        )  # fmt: skip
    less = is_better_low(task.metric)
    costs = (
        ("cost", [r.seconds for r in rows], "CPU seconds to fit and score", "s", "its seconds"),
        ("latency", [r.latency[0] if r.latency else None for r in rows], "milliseconds per request", "ms", "the wait"),
    )
    known = {r.label: d for r in rows for d in drawn if d["label"] == r.label}
    for name, spent, axis, unit, worth in costs:
        points = [{**known[r.label], "cost": c} for r, c in zip(rows, spent, strict=True) if c and r.label in known]
        if len(points) < 2:
            continue
        made.append(
            page.chart(
                f"{task.identity}-{name}", partial(plots.quality_cost, points, title, cost=axis, unit=unit, low=less),
                f"Quality against {'cost' if name == 'cost' else 'latency'}.",
                f"{'Down' if less else 'Up'} is better, left is cheaper; the lower axis is logarithmic, bars are 95%"
                f" intervals. What lies on the dashed line is beaten by nothing that costs as much or less; a point off"
                f" it is not worth {worth}.",
            )
        )  # fmt: skip
    split = [d for r in rows if (d := r.split(task.metric))]
    if split:
        made.append(
            page.chart(
                f"{task.identity}-repeat", lambda: plots.repeat_explore(split, title),
                "Old habits and new finds.",
                "The same metric, once over targets that the user had before, once over those new to them. A large"
                " span means that the system mostly brings back what is known.",
            )
        )  # fmt: skip
    if task.calibration:
        made.append(
            page.chart(
                f"{task.identity}-calibration", lambda: plots.calibration(task.calibration),
                "Are the probabilities true?",
                "Each point is a group of rows with similar predictions. On the dashed line, a prediction of 10%"
                " comes true in 10% of the cases; below it the system promises too much.",
                square=True,
            )
        )  # fmt: skip
    for fact, curves in task.curves.items():
        made.append(
            page.chart(
                f"{task.identity}-learning-{fact}", lambda c=curves, f=fact: plots.learning(c, f),
                f"Learning: {fact}.",
                "One line per system, from the first epoch to the last. Training stops where the validation value"
                " no longer improves.",
            )
        )  # fmt: skip
    return made


def people(cards: Iterable[Mapping[str, Any]]) -> Html | None:
    """Recommendations with reasons.

    Each card: `title`, optional `note` and `recent` (list of words), and `items`: mappings with `name` and
    optional `why`.
    """
    made = []
    for card in cards:
        recent = card.get("recent")
        items = [
            tag("li", tag("span", i["name"], tag("span", i["why"], class_="why") if i.get("why") else None))
            for i in card["items"]
        ]
        made.append(
            tag(
                "article",
                tag("h3", card["title"]),
                tag("p", card["note"], class_="recent") if card.get("note") else None,
                tag("p", "Lately: " + ", ".join(map(str, recent)), class_="recent") if recent else None,
                tag("ol", *items) if items else tag("p", "Nothing to recommend.", class_="note"),
                class_="person",
            )
        )
    return tag("div", *made, class_="people") if made else None


def deletions(found: Sequence[Deletion]) -> Html | None:
    """Whether the events that reasons name make the score; rows of `ethogram.evaluate.deletion`."""
    if not found:
        return None
    head = ["System", "named", "random", "difference", "95% from", "to", "events", "pairs"]
    rows = []
    for d in found:
        figures = *map(number, (d.named, d.random)), *map(signed, d.difference[:3])
        rows.append([d.system, *figures, d.k, f"{d.pairs:,}"])
    kinds = {d.odds for d in found}
    what = " and ".join(name for name, odds in (("log odds", True), ("score", False)) if odds in kinds)
    told = f"How far the {what} moves when the events that a reason names are deleted, and when random ones are"
    return table(head, rows, numbers=tuple(range(1, 8)), caption=told)


def limits(sentences: Sequence[str]) -> Html | None:
    """What the figures do not say."""
    return tag("ul", *(tag("li", prose(s)) for s in sentences), class_="plain") if sentences else None


def claims(found: Sequence[Mapping[str, Any]]) -> Html | None:
    """What the measured claims came to; rows of `ethogram.claims.run`."""
    rows = []
    for one in found:
        for c in one["claims"]:
            verdict = tag("span", c["verdict"], class_=f"tag {_VERDICTS.get(c['verdict'], '')}".strip())
            rows.append([one["key"], c["text"], _plain(c["measured"]), _plain(c["threshold"]), verdict, c["why"]])
    head = ["System", "Claim", "measured", "threshold", "verdict", "why"]
    return table(head, rows, numbers=(2, 3), wide=True) if rows else None


_VERDICTS = {"holds": "good", "fails": "warn"}


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def described(facts_: Mapping[str, Any]) -> dict[str, str]:
    """The facts of `Log.describe` that a reader wants first."""
    made = {n: f"{facts_[n]:,}" for n in ("events", "users", "items") if n in facts_}
    span, spread = facts_.get("span") or {}, facts_.get("events_per_user") or {}
    if "days" in span:
        made[f"days, from {span['first'][:10]}"] = f"{span['days']:,.0f}"
    if "median" in spread:
        made["events of the median user"] = f"{spread['median']:,}"
        made["events of the busiest user"] = f"{spread['max']:,}"
    for name, words in _SHARES.items():
        if facts_.get(name) is not None:
            made[words] = f"{facts_[name]:.0%}" if facts_[name] >= 0.095 else f"{facts_[name]:.1%}"
    if "quarantined" in facts_:
        made["rows set aside as unreadable"] = f"{facts_['quarantined']:,}"
    return made


_SHARES = {
    "repeat_ratio": "of the events repeat an item",
    "tie_share": "of the events share their instant",
    "positive_rate": "of the labels are positive",
}


def circumstances(records: Sequence[Record]) -> tuple[dict[str, str], dict[str, str]]:
    """Machine and versions of the records, with the span of the load while they were made."""
    if not records:
        return {}, {}
    there, loads = dict(records[-1].machine), [c.load for r in records for c in r.costs.values() if c.load is not None]
    told = {
        "processor": there.get("cpu"),
        "cores usable": there.get("usable_cores"),
        "memory": f"{there['memory_gb']:g} GB" if there.get("memory_gb") else None,
        "system": there.get("system"),
        "threads": ", ".join(f"{k} {v}" for k, v in (there.get("threads") or {}).items()),
        "load while measuring": f"{min(loads):.1f} to {max(loads):.1f}" if loads else None,
        "measured": " to ".join(sorted({min(r.made for r in records)[:10], max(r.made for r in records)[:10]})),
    }
    return {k: str(v) for k, v in told.items() if v not in (None, "")}, dict(sorted(records[-1].versions.items()))


def machine(facts_: Mapping[str, Any], versions: Mapping[str, Any]) -> Html | None:
    """Where and with what it was measured."""
    pairs = [tag("div", tag("h3", title), table(["", ""], list(rows.items())), class_="pairs")
             for title, rows in (("Machine", facts_), ("Versions", versions)) if rows]  # fmt: skip
    return tag("div", *pairs, class_="columns") if pairs else None
