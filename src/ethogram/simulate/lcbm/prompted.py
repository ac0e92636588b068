"""Messages and behaviour in plain words, put with some examples to a language model that was never tuned on them.

Numbers are asked as whole ones under a schema with the least and the most of training; choices are scored or drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.log.messages import Messages, roles
from ethogram.simulate.lcbm.tuned import Told, gaps
from ethogram.verbs import State

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SURE = 1.0


def verbalised(
    messages: Messages, i: int, *, behaviour: Sequence[str] = (), replays: bool = True, sees: str = "all"
) -> str:
    """A message in words: scenes in their order with `Replays`, and a closing sentence of who, when, and behaviours."""
    minutes = int(messages.time[i] // 60_000_000) % 1440
    day = DAYS[int(messages.time[i] // 86_400_000_000 + 3) % 7]
    lines = []
    if sees != "metadata":
        lines += [f'Title: "{messages.title[i] or "(hidden)"}".'] if messages.title[i] or not messages.scenes[i] else []
        lines += [f'Text: "{messages.body[i]}".'] if messages.body[i] else []
    for s, (text, replay) in enumerate(zip(messages.scenes[i], messages.replays[i], strict=True), 1):
        told = f" Replays: {replay:.0f}." if replays and not np.isnan(replay) else " Replays: ?"
        lines.append(f"Scene {s}: {text or '(hidden)'}.{told}")
    if sees != "content":
        reach = "" if np.isnan(messages.audience[i]) else f" with {messages.audience[i]:.0f} followers"
        place = "" if np.isnan(messages.position[i]) else f", in place {messages.position[i] + 1:.0f}"
        channel = f" on {messages.channel[i]}" if messages.channel[i] else ""
        when = f"on {day} at {minutes // 60:02d}:{minutes % 60:02d}"
        lines.append(f"Sent by {messages.sender[i]}{reach}{channel}, {when}{place}.")
    lines += [f"{b}: {messages.behaviour[b][i]:.0f}." for b in behaviour if not np.isnan(messages.behaviour[b][i])]
    return "\n".join(lines)


class Prompted:
    """A language model with `shots` examples; nothing is learned but the range of each number."""

    def __init__(self, options: Any):
        self.options = options

    def fit(self, messages: Messages, seed: int, watch: Any) -> None:
        rng = np.random.default_rng([seed, 5])
        self.shots = messages.take(np.sort(rng.permutation(len(messages))[: self.options.shots]))
        numbers = {**messages.behaviour, "replay": np.concatenate([*messages.replays, np.zeros(0)])}
        self.ranges = {
            n: (int(np.floor(np.nanmin(v))), int(np.ceil(np.nanmax(v))))
            for n, v in numbers.items()
            if len(v) and not np.isnan(v).all()
        }
        self.said: dict[str, list[str]] = {}
        for one in messages.comment:
            for key, value in one.items():
                if value not in self.said.setdefault(key, []):
                    self.said[key].append(value)

    def anticipate(self, messages: Messages, known: bool) -> list[Told]:
        made: list[Told] = []
        lm, one = self._lm(), np.ones(1)
        for i in range(len(messages)):
            there = [b for b, v in messages.behaviour.items() if known and not np.isnan(v[i])]
            told = self._told(messages, i, there, known)
            for b in (b for b in self.ranges if b not in there and b != "replay"):
                examples = [
                    verbalised(self.shots, k, behaviour=[b], sees=self.options.sees) for k in range(len(self.shots))
                ]
                made.append(Told(i, None, b, np.array([self._number(lm, examples, told, b, b)]), one))
            for s, replay in enumerate(messages.replays[i]):
                if "replay" in self.ranges and not (known and not np.isnan(replay)):
                    examples = [verbalised(self.shots, k, sees=self.options.sees) for k in range(len(self.shots))]
                    value = self._number(lm, examples, told, "replay", f"Replays of scene {s + 1}")
                    made.append(Told(i, s, "replay", np.array([value]), one))
        return made

    def recognise(self, messages: Messages, options: Sequence[Sequence[Any]]) -> list[np.ndarray]:
        found, lm = [], self._lm()
        for i in range(len(messages)):
            gaps(messages, i)
            texts = [o if isinstance(o, str) else " / ".join(o) for o in options[i]]
            asked = f"{self._told(messages, i, list(messages.behaviour), True)}\n\nWhat was hidden?"
            told = lm.sync.choose(asked, list(dict.fromkeys(texts)), purpose="recognise")
            shares = dict(zip(dict.fromkeys(texts), told.probabilities, strict=True))
            found.append(np.log(np.array([max(float(shares[t]), 1e-12) for t in texts])))
        return found

    def reasons(self, messages: Messages) -> list[dict[str, np.ndarray]]:
        found: list[dict[str, np.ndarray]] = []
        lm = self._lm()
        for i in range(len(messages)):
            told = self._told(messages, i, list(messages.behaviour), True)
            found.append({})
            for key, values in self.said.items():
                if len(values) < 2:
                    found[-1][key] = np.array([SURE])
                    continue
                asked = f"{told}\n\nWhat is the {key} of what receivers say?"
                found[-1][key] = np.asarray(lm.sync.choose(asked, values, purpose="reasons").probabilities)
        return found

    def _told(self, messages: Messages, i: int, there: Sequence[str], known: bool) -> str:
        return verbalised(messages, i, behaviour=there, replays=known, sees=self.options.sees)

    def _number(self, lm: Any, examples: Sequence[str], told: str, name: str, asked: str) -> float:
        low, high = self.ranges[name]
        schema = {
            "type": "object", "required": ["value"], "additionalProperties": False,
            "properties": {"value": {"type": "integer", "minimum": low, "maximum": high}},
        }  # fmt: skip
        shown = "\n\n".join([*(f"Example:\n{e}" for e in examples), f"Now this message:\n{told}"])
        question = f"{shown}\n\n{asked}: which whole number from {low} to {high}?"
        return float(lm.sync.answer(question, schema, purpose="anticipate", max_tokens=24).value["value"])

    def _lm(self) -> Any:
        from ethogram.lm import LM

        if not isinstance(self.options.lm, str):
            return self.options.lm
        return LM.connect(self.options.lm)

    def state(self) -> State:
        ranges = {k: list(v) for k, v in self.ranges.items()}
        shots = {"shots": self.shots.table()} if len(self.shots) else {}
        return State(tables=shots, json={"ranges": ranges, "said": self.said, "shots": len(self.shots)})

    def restore(self, state: State) -> None:
        self.ranges = {k: (int(a), int(b)) for k, (a, b) in state.json["ranges"].items()}
        self.said = {k: list(v) for k, v in state.json["said"].items()}
        if state.json["shots"]:
            from ethogram.log import Log

            table = state.tables["shots"]
            played: Mapping[str, Any] = roles(table.column_names)
            self.shots = Messages.of(Log.open(table, **played))
        else:
            raise OptionError("lcbm: a saved prompted reader holds no examples.")
