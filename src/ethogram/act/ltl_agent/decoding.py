"""Writing a trace that satisfies a specification, with any model.

At each step the automaton tells which stages may come. One alone is opened without asking the model; among several
the model's own preference decides. What the environment owns is never asked of the model. With a bound on the steps
only those stages are open from which the trace can still end in time, so that nothing is begun that cannot finish.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ethogram.act.ltl_agent.specs import Spec, Stage
from ethogram.errors import AnswerError, OptionError
from ethogram.verbs import Environment, Seen

FEW = 12
"""Most contents that are offered to a model to choose from; of more, those that share words with the question."""


@dataclass
class Episode:
    """A trace while it is written: steps (stage, content), who wrote each, rewards, and how often a model was asked.

    `unread` counts choices of which the model named none; then the stage nearest to the end is taken, or the first
    content.
    """

    goal: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    actors: list[str] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    asked: int = 0
    unread: int = 0

    def add(self, stage: str, said: str, actor: str, reward: float = 0.0) -> None:
        self.steps.append((stage, " ".join(said.split())))
        self.actors.append(actor)
        self.rewards.append(reward)


class Writer:
    """Writes episodes of one specification with one model.

    Parameters
    ----------
    most : steps that a trace may have. retries : of a content that does not match its stage's pattern.
    """

    def __init__(self, spec: Spec, lm: Any, *, most: int = 24, retries: int = 2, example: str = ""):
        least = int(spec.monitor.automaton.distance[spec.monitor.automaton.start])
        if most < least:
            raise OptionError(f"spec {spec.name}: a trace has at least {least} steps; most = {most} is too few.")
        self.spec, self.lm, self.most, self.retries, self.example = spec, lm, most, retries, example

    async def write(
        self, goal: str, environment: Environment, *, seed: int = 0, begun: Episode | None = None
    ) -> Episode:
        """An episode from the goal to an accepted end; `begun` is gone on with, its environment as it stands."""
        machine, episode = self.spec.monitor.automaton, begun or Episode(goal)
        seen = environment.reset(goal, seed) if begun is None else Seen("")
        state = self._state(episode)
        while len(episode.steps) < self.most:
            open_ = machine.admissible(state, self.most - len(episode.steps))
            stages = [s for s, ok in zip(self.spec.stages, open_, strict=True) if ok]
            if not stages:
                break
            mine = [s for s in stages if s.owner == "model"]
            if mine:
                stage = await self._next(episode, mine, seed)
                said = await self._content(episode, stage, environment, seed)
                episode.add(stage.name, said, self.lm.identity)
            else:
                if episode.steps:
                    seen = self._done(episode, environment)
                wanted = [s for s in stages if s.name == seen.kind]
                stage = (wanted or stages)[0]
                told = self.spec.harmless(seen.text if episode.steps else goal)
                episode.add(stage.name, told, "environment", seen.reward)
            state = int(machine.table[state, machine.names.index(stage.name)])
        return episode

    async def _next(self, episode: Episode, stages: Sequence[Stage], seed: int) -> Stage:
        if len(stages) == 1:
            return stages[0]
        episode.asked += 1
        told = "\n".join(f"{s.opens} {s.told}".rstrip() for s in stages)
        prompt = f"{self._shown(episode)}\n\nWhich step comes next?\n{told}"
        machine, state = self.spec.monitor.automaton, self._state(episode)
        near = [int(machine.distance[machine.table[state, machine.code(s.name)]]) for s in stages]
        place = await self._chosen(episode, prompt, [s.opens for s in stages], int(np.argmin(near)))
        return stages[place]

    def _state(self, episode: Episode) -> int:
        return int(self.spec.monitor.automaton.states([name for name, _ in episode.steps])[-1])

    async def _chosen(self, episode: Episode, prompt: str, options: list[str], otherwise: int) -> int:
        """Place of the option that the model prefers; `otherwise` where it names none."""
        if len(options) == 1:
            return 0
        try:
            return int((await self.lm.choose(prompt, options, normalise="mean", purpose="ltl: choice")).index)
        except AnswerError:
            episode.unread += 1
            return otherwise

    async def _content(self, episode: Episode, stage: Stage, environment: Environment, seed: int) -> str:
        episode.asked += 1
        tools = environment.actions()
        options: Sequence[str] = self.spec.allowed(stage, episode.steps)
        if stage.name == "action" and tools:
            options = tuple(tools)
        prompt = f"{self._shown(episode)}\n\nWrite {stage.told or stage.name.replace('_', ' ')}."
        if stage.name == "input" and episode.steps[-1][0] == "action":
            prompt += f" The tool is {episode.steps[-1][1]}: {tools.get(episode.steps[-1][1], 'text')}."
        if options:
            offered = _near(options, episode.goal)
            return offered[await self._chosen(episode, prompt, offered, 0)]
        said = ""
        for attempt in range(self.retries + 1):
            reply = await self.lm.chat(
                prompt, max_tokens=stage.tokens, temperature=0.7 if attempt else 0.0, seed=seed + attempt,
                stop=["\n"], purpose="ltl: content",
            )  # fmt: skip
            said = self.cleaned(reply.text)
            if said and (not stage.pattern or re.fullmatch(stage.pattern, said)):
                return said
        if stage.pattern:
            schema = {"type": "object", "properties": {"text": {"type": "string", "pattern": f"^(?:{stage.pattern})$"}},
                      "required": ["text"], "additionalProperties": False}  # fmt: skip
            answer = await self.lm.answer(prompt, schema, purpose="ltl: content")
            return str(answer.value["text"])
        return said or "-"

    def _done(self, episode: Episode, environment: Environment) -> Any:
        """What the environment says to the last action and its input (or to all of a plan, one after the other)."""
        calls, steps = [], episode.steps
        for at in range(len(steps) - 1, 0, -1):
            if steps[at][0] == "input" and steps[at - 1][0] == "action":
                calls.append((steps[at - 1][1], steps[at][1]))
            elif steps[at][0] != "action":
                break
        seen = [environment.step(action, argument) for action, argument in reversed(calls)]
        if not seen:
            return environment.step("", "")
        return replace(seen[-1], text=" ".join(s.text for s in seen), reward=sum(s.reward for s in seen))

    def cleaned(self, text: str) -> str:
        """One line, cut where another step would begin: what a content says never opens a stage."""
        for stage in self.spec.stages:
            text = text.strip().removeprefix(stage.opens)
        for stage in self.spec.stages:
            text = text.split(stage.opens)[0]
        return " ".join(text.split())

    def _shown(self, episode: Episode) -> str:
        parts = [f"An example:\n{self.example}"] if self.example else []
        return "\n\n".join([*parts, self.spec.write(episode.steps) or episode.goal])


def _near(options: Sequence[str], goal: str) -> list[str]:
    """At most `FEW` options: those nearest to the goal in words, in their own order."""
    if len(options) <= FEW:
        return list(options)
    wanted = set(re.findall(r"\w+", goal.lower()))
    # an answer that only repeats the question says nothing: shared words place it, other words must remain
    told = [set(re.findall(r"\w+", o.lower())) for o in options]
    worth = np.array([len(t & wanted) - 2 * (t <= wanted) - 0.01 * len(t) for t in told])
    best = np.sort(np.argsort(-worth, kind="stable")[:FEW])
    return [options[int(i)] for i in best]


async def free(spec: Spec, lm: Any, goal: str, environment: Environment, *, most: int = 24, seed: int = 0,
               example: str = "", temperature: float = 0.7) -> Episode:  # fmt: skip
    """The same agent without the automaton: the model is told the format and writes; only the environment's marker
    interrupts it. What it wrote is read by the markers."""
    episode = Episode(goal)
    seen = environment.reset(goal, seed)
    episode.add(spec.stages[0].name, spec.harmless(goal), "environment", seen.reward)
    stops = [s.opens for s in spec.stages if s.owner == "environment"]
    told = "\n".join(f"{s.opens} {s.told}".rstrip() for s in spec.stages[1:])
    while len(episode.steps) < most:
        shown = f"An example:\n{example}\n\n{spec.write(episode.steps)}" if example else spec.write(episode.steps)
        prompt = f"Answer in steps, each on a line that begins with its marker:\n{told}\n\n{shown}"
        episode.asked += 1
        reply = await lm.chat(
            prompt, max_tokens=160, temperature=temperature, seed=seed + episode.asked, stop=stops, purpose="ltl: free"
        )  # fmt: skip
        steps, before = spec.read(reply.text)
        if before and not steps:
            episode.add("?", before, lm.identity)
            break
        for name, said in steps[: most - len(episode.steps)]:
            episode.add(name, said, lm.identity)
        if not steps or episode.steps[-1][0] != "input":
            break
        action = next((said for name, said in reversed(episode.steps) if name == "action"), "")
        seen = environment.step(action, episode.steps[-1][1])
        waiting = [s.name for s in spec.stages[1:] if s.owner == "environment"]
        kind = seen.kind if seen.kind in waiting else (waiting or ["?"])[0]
        episode.add(kind, spec.harmless(seen.text), "environment", seen.reward)
    return episode


async def repaired(spec: Spec, lm: Any, goal: str, environment: Environment, *, most: int = 24, seed: int = 0,
                   example: str = "") -> Episode:  # fmt: skip
    """Free writing watched from outside: what follows the first violation is cut off, and the guided writer ends it."""
    made = await free(spec, lm, goal, environment, most=most, seed=seed, example=example)
    machine = spec.monitor.automaton
    names = [name for name, _ in made.steps]
    kept = next((i for i, name in enumerate(names) if name not in spec.names), len(names))
    found = spec.monitor.check(names[:kept])
    if found.accepted and kept == len(names):
        return made
    kept = kept if found.position is None else min(kept, found.position)
    # what is kept must leave room to end in time
    left = machine.distance[machine.states(names[:kept])] + np.arange(kept + 1)
    kept = int(np.flatnonzero(left <= most)[-1])
    begun = Episode(goal, made.steps[:kept], made.actors[:kept], made.rewards[:kept], made.asked)
    return await Writer(spec, lm, most=most, example=example).write(goal, environment, seed=seed, begun=begun)
