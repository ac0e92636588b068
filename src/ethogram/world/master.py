"""The game master: what somebody tries in free words becomes an act of the world, or nothing, with the reason.

A mind returns ``Decision(verb="", text="I sit down by the river")``. Rules are tried first (patterns, which cost
nothing); where none fits, a language model is asked, held to the verbs and things that there are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ethogram.errors import AnswerError, WorldError
from ethogram.world.acts import NOTHING, Decision
from ethogram.world.minds import Context
from ethogram.world.offering import offered, read


@dataclass(frozen=True)
class Pattern:
    """A rule: a text that holds this regular expression (case is ignored) means this verb.

    A group ``(?P<on>...)`` names the thing, by name or number; where there is none, `object` is meant.
    """

    expression: str
    verb: str
    object: int = -1


class GameMaster:
    """See the module.

    Parameters
    ----------
    rules : tried in order. model : whether the world's language model is asked where no rule fits; else what no rule
        knows comes to nothing.

    Examples
    --------
    >>> GameMaster([Pattern("sleep|nap", "rest")]).by_rule("I take a nap").verb
    'rest'
    """

    def __init__(self, rules: Sequence[Pattern] = (), *, model: bool = True, purpose: str = "game master"):
        try:
            self._rules = [(re.compile(r.expression, re.IGNORECASE | re.DOTALL), r) for r in rules]
        except re.error as error:
            raise WorldError(f"a rule of the game master is no regular expression: {error}.") from None
        self.model, self.purpose = model, purpose

    def by_rule(self, text: str) -> Pattern | None:
        """The first rule that fits."""
        return next((rule for found, rule in self._rules if found.search(text)), None)

    async def judge(self, seen: Context, tried: Decision) -> Decision:
        """The typed outcome of free words; LMError where the model gives no valid answer."""
        kept = replace(tried, verb=NOTHING, object=-1)
        if not tried.text.strip():
            return replace(kept, why="nothing was said")
        for found, rule in self._rules:
            if match := found.search(tried.text):
                said = match.groupdict().get("on")
                on = rule.object if said is None else _named(seen, rule.verb, said)
                if on is None:
                    return replace(kept, why=f"there is no '{said}'")
                return replace(kept, verb=rule.verb, object=on, why=f"rule: {rule.expression}")
        if not self.model:
            return replace(kept, why="no rule knows this")
        schema, verbs = offered(seen)
        answer = await seen.lm.answer(
            f"Somebody in a simulated world tries what is written above. They see: {seen.text}\n\n"
            f"Possible are:\n{verbs}\n\nWhich of these is it, on what? Answer {NOTHING} where it is impossible.",
            schema, data=[tried.text], seed=seen.seed, purpose=self.purpose, max_tokens=96,
        )  # fmt: skip
        outcome = read(seen, answer.value)
        return replace(kept, verb=outcome.verb, object=outcome.object, why="game master")


def _named(seen: Context, verb: str, said: str) -> int | None:
    try:
        found = read(seen, {"do": verb, "on": said})
    except AnswerError:
        return None
    return found.object
