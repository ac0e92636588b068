"""The text of an event: what was said; where there is more (a reason, a wait, notes), all of it as JSON."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

_MORE = "\x00"


class Said(NamedTuple):
    """What stands with an event beside its numbers."""

    text: str = ""
    why: str = ""
    wait: int | None = None
    notes: Any = None


def packed(said: Said) -> str:
    """One string of it.

    >>> unpacked(packed(Said("hello", "asked to", 3))).why
    'asked to'
    """
    if said[1:] == ("", None, None) and not said.text.startswith(_MORE):
        return said.text
    return _MORE + json.dumps(said, ensure_ascii=False, sort_keys=True)


def unpacked(text: str) -> Said:
    """What was packed."""
    return Said(*json.loads(text[len(_MORE) :])) if text.startswith(_MORE) else Said(text)
