"""The people of the sandbox by rule, where no language model plays them: any option is as good as another."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from ethogram.lm.messages import Message
from ethogram.lm.scripted import options_of

SAID = ("I liked {it}.", "{it} was not for me.", "You should see {it}.", "I keep thinking of {it}.")


def viewer(messages: Sequence[Message], luck: random.Random) -> Any:
    """Takes any option, says something of a film, remembers what happened as worth 1 to 10."""
    asked = messages[-1].text
    if found := options_of(asked):
        return luck.choice(found)
    said = luck.choice(SAID).format(it="that film")
    if "how important it is" in asked:
        return {"sentence": said, "importance": luck.randint(1, 10)}
    return said
