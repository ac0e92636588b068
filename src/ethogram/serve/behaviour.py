"""Which events of a ring are history: what was done, not what was shown."""

from __future__ import annotations

from collections.abc import Iterable

from ethogram.serve.state import Entry


def parted(events: Iterable[Entry]) -> tuple[list[Entry], list[Entry]]:
    """(events without a label, events with one), of those with an item.

    Where there are both, labels mark what was shown, and the history is what has none; where all have one, that is
    the history (`ethogram.log.questions.behaviour`). So it is ``plain or labelled``.
    """
    plain: list[Entry] = []
    labelled: list[Entry] = []
    for event in events:
        if event.item is not None:
            (labelled if "label" in event.content else plain).append(event)
    return plain, labelled
