"""Recommendations as people read them: product words, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

REASONS = 3


def cards(
    recommendations: Any,
    reasons: Any = None,
    words: Callable[[Any], str] | Mapping[Any, str] | None = None,
    people: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """One card per question, for `sections.people`.

    Parameters
    ----------
    recommendations : answer of `recommend`: question, user (null for strangers), item, score, rank.
    reasons : answer of `explain`: question, candidate, item, share, rank; shares are of the whole weight.
    words : item id -> what people call it; ids that it does not know stand for themselves.
    people : card of each question: `title`, `note`, `recent`.
    """
    if recommendations is None:
        return []
    name = _namer(words)
    why: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
    for row in reasons.to_pylist() if reasons is not None else ():
        why.setdefault((row["question"], row["candidate"]), []).append(row)
    made: dict[int, dict[str, Any]] = {}
    for row in sorted(recommendations.to_pylist(), key=lambda r: (r["question"], r["rank"])):
        question = row["question"]
        if question not in made:
            given = people[question] if question < len(people) else {}
            who = f"User {row['user']}" if row.get("user") is not None else "A stranger"
            made[question] = {"title": who, **given, "items": []}
        because = why.get((question, row["item"]), [])
        made[question]["items"].append({"name": name(row["item"]), "why": _because(because, name)})
    return list(made.values())


def _because(rows: Sequence[Mapping[str, Any]], name: Callable[[Any], str]) -> str | None:
    """The past items of most weight, each named once with the sum of its shares."""
    shares: dict[str, float] = {}
    for row in rows:
        said = name(row["item"])
        shares[said] = shares.get(said, 0.0) + float(row["share"])
    best = sorted(shares.items(), key=lambda pair: (-abs(pair[1]), pair[0]))[:REASONS]
    told = []
    for words, chosen in (
        ("because of ", [b for b in best if b[1] >= 0]), ("in spite of ", [b for b in best if b[1] < 0]),
    ):  # fmt: skip
        if chosen:
            told.append(words + ", ".join(f"{said} ({abs(share):.0%})" for said, share in chosen))
    return ", ".join(told) or None


def _namer(words: Callable[[Any], str] | Mapping[Any, str] | None) -> Callable[[Any], str]:
    if words is None:
        return str
    if isinstance(words, Mapping):
        return lambda item: str(words.get(item, item))
    return lambda item: str(words(item))
