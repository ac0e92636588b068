"""The text of an event: what was said, and where there is more (a reason, a wait), all of it as JSON."""

from __future__ import annotations

import json

_MORE = "\x00"


def packed(text: str, why: str = "", wait: int | None = None) -> str:
    """One string of the three.

    >>> unpacked(packed("hello", "asked to", 3))
    ('hello', 'asked to', 3)
    """
    if not why and wait is None and not text.startswith(_MORE):
        return text
    return _MORE + json.dumps([text, why, wait], ensure_ascii=False)


def unpacked(said: str) -> tuple[str, str, int | None]:
    """Text, reason and wait."""
    if not said.startswith(_MORE):
        return said, "", None
    text, why, wait = json.loads(said[len(_MORE) :])
    return text, why, wait
