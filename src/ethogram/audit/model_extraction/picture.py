"""How much a copy agrees with the service, by the queries that its maker asked, without and with each defence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

CAPTION = "Agreement against queries, with and without each defence"
READING = (
    "Each line is the full attack against one defence, tried anew with a part of the sequences: the share of the "
    "service's lists of 10 that the copy repeats, mean over test people and seeds. The lower, the more the defence "
    "helps. Refused queries count, too."
)
Points = Mapping[str, list[dict[str, float]]]


def points(table: Mapping[str, np.ndarray]) -> Points:
    """Defence -> its points, by number of queries; `none` first."""
    found: dict[str, list[dict[str, float]]] = {}
    for group in dict.fromkeys(table["group"].tolist()):
        name = group.split(" at ")[0]
        if name != "full" and not name.startswith("full against "):
            continue
        rows = table["group"] == group
        queries, agreement = (np.array(table[n][rows], float).mean() for n in ("queries", "agreement@10"))
        label = "no defence" if name == "full" else name.removeprefix("full against ")
        found.setdefault(label, []).append({"queries": float(queries), "agreement@10": float(agreement)})
    return {label: sorted(held, key=lambda p: p["queries"]) for label, held in found.items()}


def curve(told: Points) -> Any:
    """The picture, an Altair chart."""
    from ethogram.evaluate.plots import learning

    return learning(told, "agreement@10", step="queries")
