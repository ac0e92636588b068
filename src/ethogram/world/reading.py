"""A world of texts: an agent may search them and read them, nothing else. For question answering without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ethogram.errors import OptionError
from ethogram.text.bm25 import BM25
from ethogram.verbs import Seen


class Texts:
    """Titled texts behind the tools `search` (the best text for some words) and `read` (a text by its title).

    Examples
    --------
    >>> world = Texts({"Tea": "Tea is grown in Assam.", "Silk": "Silk is woven."})
    >>> world.step("search", "where is tea grown").text
    'Tea: Tea is grown in Assam.'
    """

    def __init__(self, texts: Mapping[str, str] | Sequence[str]):
        named = texts if isinstance(texts, Mapping) else {f"text {i}": t for i, t in enumerate(texts, 1)}
        if not named:
            raise OptionError("a world of texts needs at least one text.")
        self._texts = dict(named)
        self._index = BM25().fit([f"{title} {text}" for title, text in named.items()])

    def reset(self, goal: str, seed: int = 0) -> Seen:
        return Seen(goal)

    def actions(self) -> Mapping[str, str]:
        return {"search": "words that the wanted text holds", "read": "the title of a text"}

    def step(self, action: str, argument: str) -> Seen:
        titles = list(self._texts)
        if action == "search":
            place = int(self._index.search([argument], 1)[1][0, 0])
            if place < 0:
                return Seen(f"Nothing holds the words '{argument}'.", kind="failure")
            return Seen(f"{titles[place]}: {self._texts[titles[place]]}")
        if action == "read":
            wanted = [t for t in titles if t.lower() == argument.strip().lower()]
            if not wanted:
                return Seen(f"There is no text '{argument}'.", kind="failure")
            return Seen(self._texts[wanted[0]])
        return Seen(f"There is no tool '{action}'. Tools: search, read.", kind="failure")
