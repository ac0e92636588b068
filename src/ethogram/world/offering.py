"""What a mind may do, as a schema that a language model is held to, and its answer as a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ethogram.errors import AnswerError
from ethogram.world.acts import NOTHING, Decision
from ethogram.world.minds import Context

MOST_NAMED = 60
"""Up to so many objects are offered by name; more are asked for by number."""


def offered(seen: Context, verbs: Sequence[str] | None = None) -> tuple[dict[str, Any], str]:
    """(JSON schema with `do`, `on`, `say`; the verbs in words). Doing nothing is always offered."""
    actions = [a for n, a in seen.world.actions.items() if verbs is None or n in verbs]
    names: list[str] = []
    lines = []
    for action in actions:
        line = f"{action.name}: {action.about}" if action.about else action.name
        if action.on:
            own = seen.named(action.on)
            few = len(own) <= MOST_NAMED
            names += own if few else []
            line += f" (on: {', '.join(own)})" if few else f" (on: {action.on} 0 to {len(own) - 1})"
        lines.append(f"- {line}")
    lines.append(f"- {NOTHING}")
    on: dict[str, Any] = {"type": "string", "maxLength": 60}
    if names and not any(a.on and len(seen.named(a.on)) > MOST_NAMED for a in actions):
        on = {"enum": [*dict.fromkeys(names), ""]}
    fields = {
        "do": {"enum": [*(a.name for a in actions), NOTHING]},
        "on": on,
        "say": {"type": "string", "maxLength": 200},
    }
    schema = {
        "type": "object", "properties": fields, "required": ["do", "on", "say"], "additionalProperties": False
    }  # fmt: skip
    return schema, "\n".join(lines)


def read(seen: Context, answer: Mapping[str, Any], via: str = "model") -> Decision:
    """The decision that an answer says.

    Raises
    ------
    AnswerError
        Its object is none that this verb can be done on.
    """
    verb, text = str(answer["do"]), str(answer.get("say", ""))
    thing = seen.world.thing(verb)
    if not thing:
        return Decision(verb, text=text, via=via)
    said = str(answer.get("on", "")).strip()
    known = [n.casefold() for n in seen.named(thing)]
    if said.casefold() in known:
        return Decision(verb, known.index(said.casefold()), text=text, via=via)
    number = said.removeprefix(thing).strip()
    if number.isdigit() and int(number) < len(known):
        return Decision(verb, int(number), text=text, via=via)
    raise AnswerError(f"'{verb}' on '{said[:60]}': there is no such {thing}.")
