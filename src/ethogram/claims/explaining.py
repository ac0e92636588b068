"""The law that every explanation of a ranking claim keeps: the events it names make the score."""

from __future__ import annotations

from typing import Any

from ethogram.evaluate.verdict import Estimate

NAMED = "change of the log odds by deleting the 3 events named as reasons less that by 3 random ones"


def deleted(model: Any, asked: Any, quick: bool) -> Estimate:
    """What deleting named events moves beyond random ones, with its interval over users; see `evaluate.deletion`."""
    from ethogram.evaluate import deletion

    found = deletion(model, asked, k=3, pairs=20 if quick else 500)
    return Estimate(*found.difference[:3], units=found.users)
