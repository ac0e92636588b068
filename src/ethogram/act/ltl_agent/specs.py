"""What an agent may do, in which order: stages, how each is written, and a formula over them.

A specification is data: `Spec.json` and `Spec.read` bring it to a file and back, predicates by their names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ethogram.errors import OptionError, unknown
from ethogram.text.ltl import Monitor

Trace = Sequence[tuple[str, str]]
"""(stage, content) pairs in order."""
Allowed = Callable[[Trace], Sequence[str]]
"""The contents that a stage may have after a history; none means that any will do."""


@dataclass(frozen=True)
class Stage:
    """One kind of step.

    Attributes
    ----------
    marker : text that opens the step; ``[Name]`` if empty.
    owner : who writes it: the model, or the environment (then no model is asked).
    choices : the contents that exist, or the name of a predicate of `PREDICATES` that tells them from the history.
    pattern : a regular expression of the whole content. tokens : most that the content may take.
    told : what the model is told that this step is.
    """

    name: str
    owner: Literal["model", "environment"] = "model"
    marker: str = ""
    choices: tuple[str, ...] | str = ()
    pattern: str = ""
    tokens: int = 48
    told: str = ""

    @property
    def opens(self) -> str:
        return self.marker or f"[{self.name.replace('_', ' ').title()}]"


@dataclass(frozen=True)
class Spec:
    """Stages and the formula that every trace of them satisfies.

    Raises
    ------
    OptionError
        Equal names or markers, an unknown predicate, a formula that cannot be read or satisfied.
    """

    name: str
    stages: tuple[Stage, ...]
    formula: str

    def __post_init__(self) -> None:
        for what in ("name", "opens"):
            told = [getattr(s, what) for s in self.stages]
            if len(set(told)) < len(told):
                raise OptionError(f"spec {self.name}: two stages have one {what.replace('opens', 'marker')}.")
        for stage in self.stages:
            if isinstance(stage.choices, str) and stage.choices not in PREDICATES:
                raise OptionError(f"stage {stage.name}: " + unknown("predicate", stage.choices, PREDICATES))
            try:
                re.compile(stage.pattern)
            except re.error as error:
                raise OptionError(f"stage {stage.name}: pattern '{stage.pattern}' cannot be read: {error}.") from None
        self.monitor  # noqa: B018  (compiled now, so that a bad formula is told here)

    @cached_property
    def monitor(self) -> Monitor:
        return Monitor(self.formula, self.names)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(s.name for s in self.stages)

    def stage(self, name: str) -> Stage:
        if name not in self.names:
            raise OptionError(f"spec {self.name}: " + unknown("stage", name, self.names))
        return self.stages[self.names.index(name)]

    def allowed(self, stage: Stage, history: Trace) -> tuple[str, ...]:
        """Contents that the stage may have here; empty where any will do."""
        if isinstance(stage.choices, str):
            return tuple(dict.fromkeys(PREDICATES[stage.choices](history)))
        return stage.choices

    def harmless(self, text: str) -> str:
        """The text with markers broken by an invisible joiner: what a tool returns opens no stage."""
        for stage in self.stages:
            text = text.replace(stage.opens, stage.opens[0] + "\u2060" + stage.opens[1:])
        return text

    def write(self, trace: Trace) -> str:
        """The trace as text, one step a line."""
        return "\n".join(f"{self.stage(name).opens} {' '.join(said.split())}".rstrip() for name, said in trace)

    def read(self, text: str) -> tuple[list[tuple[str, str]], str]:
        """Steps of a text, and what stood before the first marker (which belongs to no step)."""
        marks = {s.opens: s.name for s in self.stages}
        found = re.split("(" + "|".join(re.escape(m) for m in sorted(marks, key=len, reverse=True)) + ")", text)
        pairs = zip(found[1::2], found[2::2], strict=True)
        return [(marks[m], " ".join(said.split())) for m, said in pairs], found[0].strip()

    @property
    def json(self) -> dict[str, Any]:
        plain = ({n: v for n, v in vars(s).items() if v} for s in self.stages)
        return {"name": self.name, "formula": self.formula, "stages": list(plain)}

    @classmethod
    def of(cls, given: str | Path | Mapping[str, Any] | Spec) -> Spec:
        """A ready specification by name, one in a JSON file, or one as a mapping.

        Raises
        ------
        OptionError
            No such name or file, or the file says something else.
        """
        if isinstance(given, Spec):
            return given
        if isinstance(given, str) and given in READY:
            return READY[given]
        if not isinstance(given, Mapping):
            path = Path(given)
            if path.suffix != ".json" or not path.is_file():
                raise OptionError(unknown("specification", str(given), READY) + " Or give a .json file.")
            given = json.loads(path.read_text("utf-8"))
        try:
            stages = [{**s, "choices": _settled(s.get("choices", ()))} for s in given["stages"]]
            return cls(given["name"], tuple(Stage(**s) for s in stages), given["formula"])
        except (KeyError, TypeError) as error:
            raise OptionError(f"a specification holds name, formula and stages: {error}.") from None


def _settled(choices: Any) -> Any:
    return tuple(choices) if isinstance(choices, list) else choices


def spans(history: Trace) -> list[str]:
    """Runs of one to six words of what was observed: an answer that stands in the evidence."""
    found: list[str] = []
    for name, said in history:
        if name in ("observation", "evidence"):
            words = re.findall(r"[\w'-]+", said)
            found += [" ".join(words[i : i + n]) for n in range(1, 7) for i in range(len(words) - n + 1)]
    return found


def sentences(history: Trace) -> list[str]:
    """Whole sentences of what was observed."""
    told = " ".join(said for name, said in history if name in ("observation", "evidence"))
    return [s.strip() for s in re.split(r"(?<=[.!?])\s+", told) if s.strip()]


PREDICATES: dict[str, Allowed] = {"spans": spans, "sentences": sentences}
"""Name -> what a stage may say after a history."""


def _stages(*names: str, **known: Stage) -> tuple[Stage, ...]:
    return tuple(known.get(n, _KINDS.get(n, Stage(n))) for n in names)


_KINDS = {
    "question": Stage("question", "environment"),
    "thought": Stage("thought", told="one short sentence about what to do next"),
    "action": Stage("action", tokens=8, told="the name of a tool"),
    "input": Stage("input", tokens=16, told="what the tool is given"),
    "observation": Stage("observation", "environment"),
    "failure": Stage("failure", "environment"),
    "evidence": Stage("evidence", "environment"),
    "final_thought": Stage("final_thought", told="one short sentence that leads to the answer"),
    "reflect": Stage("reflect", told="one short sentence: what went wrong and what to do instead"),
    "plan": Stage("plan", told="the steps to take, in one line"),
    "summary": Stage("summary", told="what has been found, in one line"),
    "answer": Stage("answer", tokens=24, told="the answer alone"),
}

READY = {
    "direct": Spec("direct", _stages("question", "answer"), "next(question, answer & last)"),
    "chain_of_thought": Spec(
        "chain_of_thought",
        _stages("question", "thought", "answer"),
        "question & X (thought & X (thought U (answer & last)))",
    ),
    "react": Spec(
        "react",
        _stages("question", "thought", "action", "input", "observation", "final_thought", "answer"),
        "question & X until(next(thought, action, input, observation), next(final_thought, answer & last))",
    ),
    "reflexion": Spec(
        "reflexion",
        _stages(
            "question", "thought", "action", "input", "observation", "failure", "reflect", "final_thought", "answer"
        ),
        "question & X G !question & G (question | observation | reflect -> X (thought | final_thought))"
        " & G (thought -> X action) & G (action -> X input) & G (input -> X (observation | failure))"
        " & G (failure -> X reflect) & G (reflect -> X thought) & G (final_thought -> X answer)"
        " & G (answer -> last) & F answer",
    ),
    "rewoo": Spec(
        "rewoo",
        _stages("question", "plan", "action", "input", "evidence", "answer"),
        "question & X (plan & X (action & X (input &"
        " X until(next(action, input), next(evidence, answer & last)))))",
    ),
    "pass": Spec(
        "pass",
        _stages("question", "plan", "action", "input", "observation", "summary", "answer"),
        "question & X (plan & X until(next(action, input, observation), next(summary, answer & last)))",
    ),
}  # fmt: skip
READY["grounded"] = Spec(
    "grounded",
    tuple(replace(s, choices="spans") if s.name == "answer" else s for s in READY["react"].stages),
    READY["react"].formula + " & F observation",
)
"""Ready specifications: no reasoning, chain of thought, ReAct, Reflexion, plan-then-work, plan-act-summarise-solve,
and ReAct whose answer must stand in what was observed."""
