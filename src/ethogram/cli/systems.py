"""``ethogram systems``: what there is."""

from __future__ import annotations

from typing import Any

from ethogram import catalogue
from ethogram.cli.output import Json, Output


def systems(*, area: str | None = None, verb: str | None = None, json: Json = None) -> None:
    """List the systems.

    Parameters
    ----------
    area
        Only those of one area, such as rank or recommend.
    verb
        Only those that can do something, such as score or recommend.
    """
    out = Output(json)
    found = catalogue.systems(area, verb)
    rows = [(s.key, s.area, s.year, " ".join(s.verbs), "baseline" if s.baseline else "", s.summary) for s in found]
    out.table(("system", "area", "year", "verbs", "", "what it does"), [(*r[:2], str(r[2]), *r[3:]) for r in rows])
    out.result([as_json(s) for s in found])


def as_json(known: catalogue.SystemInfo) -> dict[str, Any]:
    """A system as scripts read it."""
    return {
        "key": known.key,
        "area": known.area,
        "paper": known.paper,
        "year": known.year,
        "baseline": known.baseline,
        "verbs": list(known.verbs),
        "summary": known.summary,
        "needs": list(known.needs),
        "uses": list(known.uses),
    }
