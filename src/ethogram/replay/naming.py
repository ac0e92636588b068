"""Names of what a tape holds in numbers."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from ethogram.world.acts import SOURCES
from ethogram.world.declared import COMMAND, PEOPLE
from ethogram.world.draws import WORLD
from ethogram.world.events import REFUSED, Record
from ethogram.world.saying import Said, unpacked
from ethogram.world.world import World

_DAY = 86_400_000_000


class Names:
    """Names of a world's people, things and times."""

    def __init__(self, world: World):
        self.world = world.declared

    def person(self, uid: int) -> str:
        if uid == WORLD:
            return "the world"
        return str(self.world.ids[uid]) if self.world.ids is not None else f"person {uid}"

    def thing(self, verb: str, on: int) -> str:
        """What an act is done on, "" for nothing."""
        thing = self.world.thing(verb)
        if on < 0 or not thing:
            return ""
        if thing == PEOPLE:
            return self.person(on)
        names = self.world.names.get(thing)
        return str(names[on]) if names is not None else f"{thing} {on}"

    def time(self, tick: int) -> str:
        """When a tick begins: the time of a clock where the world has one, else how long after the beginning."""
        at = self.world.time(tick)
        if self.world.start:
            told = dt.datetime.fromtimestamp(at / 1e6, dt.UTC)
            return told.strftime("%Y-%m-%d" if self.world.length >= _DAY else "%Y-%m-%d %H:%M:%S")
        return f"tick {tick}"

    def event(self, record: Record, i: int) -> dict[str, Any]:
        """An event in words: `who`, `verb`, `on`, `value`, `text`, `why`, `by`, `refused`."""
        verb, said = self.world.verbs[record.verb[i]], unpacked(record.text.get(i, ""))
        if record.uid[i] == WORLD and verb == COMMAND:
            told = json.loads(said.text)
            said = Said(" ".join([told["name"], *(f"{k}={json.dumps(v)}" for k, v in told["arguments"].items())]))
        return {
            "who": self.person(int(record.uid[i])), "verb": verb, "on": self.thing(verb, int(record.object[i])),
            "value": float(record.value[i]), "text": said.text, "why": said.why,
            "by": f"{SOURCES[int(record.via[i]) % REFUSED]}:{self.world.owners[record.policy[i]]}",
            "refused": bool(record.via[i] >= REFUSED),
        }  # fmt: skip


def sentence(event: dict[str, Any] | None) -> str:
    """An event as one reads it; "nothing" for none."""
    if event is None:
        return "nothing"
    told = f"{event['who']}: {event['verb']}" + (f" {event['on']}" if event["on"] else "")
    told += f" ({event['value']:g})" if event["value"] else ""
    told += ", refused" if event["refused"] else ""
    return told + (f' "{event["text"][:120]}"' if event["text"] else "")
