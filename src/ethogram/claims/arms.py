"""What every arm of a measured claim reached, floors included, as tables of the results page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ethogram.evaluate.verdict import short

FALLS = frozenset({"logloss", "ece", "brier", "rmse", "mae"})
"""Metrics of which less is better."""


def tables(result: Mapping[str, Any], floors: Iterable[str]) -> list[str]:
    """Markdown lines: one table per data set, best arm first; `floors` are the systems that are marked as baselines.

    A value is the mean over the seeds, with its 95% interval over users where there was one seed and with the
    range over the seeds where there were several. Times are CPU seconds of one run, fit and evaluation. Behind a table
    that holds floors a sentence names those that are above the system.
    """
    marked, lines = set(floors), []
    for data in dict.fromkeys(cell["data"] for cell in result["cells"]):
        cells = [c for c in result["cells"] if c["data"] == data]
        metrics = _asked(result, data) or sorted(cells[0]["metrics"])[:1]
        arms = {arm: [c for c in cells if c["arm"] == arm] for arm in dict.fromkeys(c["arm"] for c in cells)}
        sign = 1 if metrics[0] in FALLS else -1
        order = sorted(arms, key=lambda arm: sign * _mean(arms[arm], metrics[0]))
        lines += ["", f"{data}:", "", "| arm | " + " | ".join(metrics) + " | seeds | CPU s | peak MB |"]
        lines += ["|---|" + "---:|" * (len(metrics) + 3)]
        lines += [_row(arm, arms[arm], metrics, marked) for arm in order]
        if told := _above(result["key"], data, {arm: arms[arm] for arm in order}, metrics[0], marked):
            lines += ["", told]
    return lines


def _above(key: str, data: str, arms: Mapping[str, list[Mapping[str, Any]]], metric: str, floors: set[str]) -> str:
    """Which floors are better than the system, by the mean of a metric; nothing where there is no floor to compare.

    `arms` stand best first. The system is the arm of its name, or else the best whose name begins with it.
    """
    own = [a for a in arms if a == key] or [a for a in arms if a.startswith(key)]
    held = [arm for arm, runs in arms.items() if _systems(runs) <= floors]
    if not own or not held:
        return ""

    def valued(arm: str) -> str:
        return f"{arm} ({short(_mean(arms[arm], metric))})"

    worse = -1 if metric in FALLS else 1
    better = [arm for arm in held if worse * (_mean(arms[arm], metric) - _mean(arms[own[0]], metric)) > 0]
    where = f"On {data}, by {metric}, {valued(own[0])} is"
    return f"{where} below {', '.join(map(valued, better))}." if better else f"{where} above every floor."


def _systems(runs: Iterable[Mapping[str, Any]]) -> set[str]:
    """What was run; of an arm that makes a system for each goal, that system."""
    return {str(run["options"].get("system", run["system"])) for run in runs}


KERNEL = "transition kernel"
"""Label of the floor that a recommender must beat to have shown anything."""


def against_the_kernel(result: Mapping[str, Any]) -> list[str]:
    """A sentence for each condition by which a recommender did not beat the decayed-transition kernel."""
    said = []
    for outcome in (o for claim in result["claims"] for o in claim["outcomes"]):
        told, _, asked = outcome["text"].rpartition(": ")
        if f"− {KERNEL}" not in asked or outcome["verdict"] != "fails" or outcome["measured"] is None:
            continue
        system, ends = asked.split(" − ")[0], outcome["interval"]
        much = f"{short(outcome['measured'])}" + (f" [{short(ends[0])}, {short(ends[1])}]" if ends else "")
        place = told.replace(" on ", ", ", 1)
        said.append(f"{system} does not beat the decayed-transition kernel, which is not trained ({place}: {much}).")
    return said


def _asked(result: Mapping[str, Any], data: str) -> list[str]:
    """The metrics that conditions on this data set compare, or on any where none is about this; those of arms only."""
    every = [o for claim in result["claims"] for o in claim["outcomes"]]
    told = [o["metric"] for o in every if o["data"] == data] or [o["metric"] for o in every]
    known = {m for cell in result["cells"] if cell["data"] == data for m in cell["metrics"]}
    return [m for m in dict.fromkeys(told) if m in known]


def _row(arm: str, runs: list[Mapping[str, Any]], metrics: list[str], floors: set[str]) -> str:
    name = f"{arm} (baseline)" if _systems(runs) <= floors else arm
    costs = [sum(cost["cpu_seconds"] for cost in run["costs"].values()) for run in runs]
    peaks = [cost["peak_mb"] for run in runs for cost in run["costs"].values() if cost["peak_mb"] is not None]
    peak = f"{max(peaks):,.0f}" if peaks else "–"
    values = " | ".join(_value(runs, metric) for metric in metrics)
    return f"| {name.replace('|', chr(92) + '|')} | {values} | {len(runs)} | {sum(costs) / len(costs):,.1f} | {peak} |"


def _value(runs: list[Mapping[str, Any]], metric: str) -> str:
    found = [run["metrics"][metric] for run in runs if run["metrics"].get(metric) is not None]
    if not found:
        return "–"
    ends = (min(found), max(found)) if len(found) > 1 else runs[0]["intervals"].get(metric)
    middle = short(sum(found) / len(found))
    return f"{middle} [{short(ends[0])}, {short(ends[1])}]" if ends else middle


def _mean(runs: list[Mapping[str, Any]], metric: str) -> float:
    found = [run["metrics"].get(metric) for run in runs]
    known = [f for f in found if f is not None]
    return sum(known) / len(known) if known else float("-inf")
