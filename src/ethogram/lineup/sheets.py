"""A line-up as tables of words: the same for a page, for Markdown and for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ethogram.evaluate.report.rows import metric_title, number, seconds, signed
from ethogram.lineup.running import Lineup
from ethogram.lineup.spending import spending
from ethogram.lineup.standing import arms_in

NONE = "–"


@dataclass(frozen=True)
class Sheet:
    """A table: `text` are the columns of words, the others hold numbers; `floors` says which rows are floors."""

    identity: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: tuple[int, ...] = (0,)
    note: str = ""
    floors: tuple[bool, ...] = ()

    def markdown(self) -> list[str]:
        """Lines of Markdown: heading, table, note."""
        rule = "|".join("---" if i in self.text else "---:" for i in range(len(self.head)))
        rows = [[c.replace("|", "\\|") for c in row] for row in (self.head, *self.rows)]
        table = [f"| {' | '.join(row)} |" for row in rows]
        return [f"## {self.title}", "", table[0], f"|{rule}|", *table[1:], *(["", self.note] if self.note else [])]


def sheets(found: Lineup) -> list[Sheet]:
    """Quality, cost, users as trained or folded in, who was left out: those with rows."""
    made = [_quality(found), _cost(found)]
    if found.standing.ways:
        made.append(_ways(found))
    if found.left:
        rows = tuple((x.key, x.how, x.why) for x in found.left)
        made.append(Sheet("left", "Not measured", ("system", "", "why"), rows, (0, 1, 2)))
    return made


def _quality(found: Lineup) -> Sheet:
    standing = found.standing
    metrics, first = standing.metrics, standing.metrics[0]
    head = ("system", *map(metric_title, metrics), f"{metric_title(first)} against {standing.reference}")
    rows = []
    for row in standing.rows:
        values = [ranged(number, row, m) for m in metrics]
        gap = NONE if not row["verdict"] else ranged(signed, row, f"{first} gap")
        p = NONE if not row["verdict"] else f"{row[f'{first} p corrected']:.2g}"
        verdict = row["verdict"] or ("the best floor" if row["floor"] else "the reference")
        rows.append((named(row), *values, gap, p, verdict))
    note = (
        "Brackets hold 95% intervals, from resampling people. The difference is paired over the same people; p is"
        f" corrected for {len(rows) - 1} tests (Holm). ◇ marks floors and other baselines; the best of them was chosen"
        " on the validation part. Where the last column does not say `beats`, the system does not beat it."
    )
    marks = tuple(bool(row["floor"]) for row in standing.rows)
    return Sheet("quality", "Quality", (*head, "p", "verdict"), tuple(rows), (0, len(head) + 1), note, marks)


def _cost(found: Lineup) -> Sheet:
    first = found.standing.metrics[0]
    spent = spending(arms_in(found.records), first)
    columns = {
        "fit CPU s": ("fit_cpu_seconds", seconds), "fit s": ("fit_seconds", seconds), "peak MB": ("peak_mb", _whole),
        "p50 ms": ("median_ms", _short), "p95 ms": ("p95_ms", _short), "people/s": ("people_per_second", _whole),
        "coverage@10": ("coverage@10", number), "novelty@10": ("novelty@10", _short),
    }  # fmt: skip
    there = {t: c for t, c in columns.items() if any(not math.isnan(row[c[0]]) for row in spent.values())}
    rows = []
    for row in found.standing.rows:
        own = spent[row["arm"]]
        cells = [say(own[name]) if not math.isnan(own[name]) else NONE for name, say in there.values()]
        rows.append((named(row), number(row[first]), *cells, "yes" if own["frontier"] else ""))
    loads = [own["load"] for own in spent.values()]
    busy = f" Up to {max(loads):.1f} processes were runnable on the machine meanwhile: CPU seconds say more than s."
    head = ("system", metric_title(first), *there, "frontier")
    note = (
        "Each system ran in a process of its own. A first fit on few people, which does not count, loads and"
        " compiles. Memory is the peak of fitting, judging and answering: anonymous, above the imports, with the log."
        " p50 and p95 are of requests for one person, one after the other; people/s is in batch. Novelty is the mean"
        " self-information of a list's items, in bits. Frontier: nothing is better for as many CPU seconds of fitting"
        f" or fewer.{'' if math.isnan(max(loads)) else busy}"
    )
    marks = tuple(bool(row["floor"]) for row in found.standing.rows)
    return Sheet("cost", "Cost, and what the lists offer", head, tuple(rows), (0, len(head) - 1), note, marks)


def _ways(found: Lineup) -> Sheet:
    title, rows = metric_title(found.standing.metrics[0]), []
    for way in found.standing.ways:
        values = number(way["as trained"]), number(way["folded in"]), ranged(signed, way, "gap")
        rows.append((way["system"], *values, f"{way['p corrected']:.2g}", way["verdict"]))
    note = (
        "As trained: the user's own vector. Folded in: one made from the history, as for a stranger. One fit answers"
        " both."
    )
    head = ("system", f"{title} as trained", "folded in", "difference", "p", "verdict")
    return Sheet("ways", "Users as trained, and folded in", head, tuple(rows), (0, 5), note)


def named(row: Mapping[str, Any]) -> str:
    """An arm with the mark of a floor."""
    return f"{row['arm']} ◇" if row["floor"] else str(row["arm"])


def ranged(say: Any, row: Mapping[str, Any], name: str) -> str:
    """A value with its interval in brackets, where it has one."""
    low, high = row[f"{name} low"], row[f"{name} high"]
    ends = "" if math.isnan(low) else f" [{say(low)}, {say(high)}]"
    return f"{say(row[name])}{ends}"


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def circumstances(found: Lineup) -> Sequence[str]:
    """What was measured and how, in sentences."""
    first, seeds = found.records[-1], sorted({r.seed for r in found.records})
    asked, machine = first.facts, first.machine
    ranked = f", each ranks all {asked['items']:,} items" if "items" in asked else ""
    threads = ", ".join(f"{k} {v}" for k, v in sorted(machine.get("threads", {}).items()))
    versions = ", ".join(f"{k} {v}" for k, v in first.versions.items())
    words = [
        f"Data: {found.data}, {found.shared()}. Split: {found.protocol}; {asked['questions']:,} questions of"
        f" {asked['users']:,} users on the test part{ranked}.",
        f"Seeds: {', '.join(map(str, seeds))}. Options are the systems' own unless a name says otherwise; nothing was"
        " searched.",
        f"Machine: {machine.get('cpu')}, {machine.get('usable_cores')} cores, {machine.get('memory_gb')} GB; {threads}."
        f" Versions: {versions}. Measured {min(r.made for r in found.records)[:10]}.",
    ]  # fmt: skip
    if found.quick:
        words.insert(0, "A quick run on few people for one epoch: it only shows that every part runs.")
    return words
