"""What stands beside every recommender in its tables: floors that learn nothing or next to nothing."""

from __future__ import annotations

FLOORS = {
    "popularity": "popularity",
    "personal frequency": "personal_frequency",
    "item-kNN, decay": "item_knn_decay",
    "transition kernel": "transition_kernel",
}
"""Label -> system; the transition kernel is the one to beat (specifications, recommend)."""

TIES = "ml_100k, stored order"
"""Label of MovieLens-100K with the stored order of simultaneous ratings taken as the truth."""


def stored_order(quick: bool = False) -> object:
    """MovieLens-100K whose rows of one second follow each other as they are stored; 44% of users end on a tie."""
    from ethogram import data
    from ethogram.claims.bench import SMALL

    return (data.load("interests", **SMALL) if quick else data.load("ml_100k")).ties("order")
