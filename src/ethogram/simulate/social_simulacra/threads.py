"""Threads as trees: who replies to what, with which act, until it ends; what if; other universes.

    P(another reply) = min(0.95, p0 (1 + heat / 2)) d^depth       heat' = 0.8 heat + 1 after a hostile act,
    author ~ activity (Zipf, exponent s) x interest in the topic           0.8 heat - 2 after a moderator's
    act ~ mix_act x tendency_act x e^heat (attack, derail) x obeys (what a rule forbids)

A member who is told to break rules draws one of them in half of what they write. All numbers are drawn by counting
(seed, thread, step), where what is inserted takes no step: a thread that is changed and its control share all luck.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np

from ethogram.errors import OptionError, unknown
from ethogram.simulate.social_simulacra.design import ACTS, Design
from ethogram.simulate.social_simulacra.writing import Ask, Writer, digest, path
from ethogram.world.draws import Draws
from ethogram.world.people.persona import Persona

HOSTILE = ("attack",)
MODERATE = "moderate"
POST_MIX = {"share": 0.6, "ask": 0.34, "joke": 0.03, "attack": 0.005, "derail": 0.025, "promote": 0.06}
REPLY_MIX = {"agree": 0.3, "answer": 0.32, "ask": 0.18, "joke": 0.08, "attack": 0.04, "derail": 0.04, "promote": 0.04}
FIRST, DEEPER, OFTENEST, LONGEST = 0.85, 0.93, 0.95, 30
"""p0, d, the cap, and nodes of a thread at most."""


@dataclass(frozen=True)
class Member:
    """A persona, how often it writes, what it tends to, and whether it is told to break rules."""

    persona: Persona
    activity: float
    tendency: Mapping[str, float]
    troll: bool


@dataclass(frozen=True)
class Node:
    """A post or a reply.

    Attributes
    ----------
    parent : place of what it answers, -1 for the post. author : place of the member, -1 for a moderator or a visitor.
    rule : what its author was told to break. breaks : rules that its act breaks. seed, prompt : what it follows from.
    """

    parent: int
    author: int
    act: str
    text: str
    rule: str = ""
    breaks: tuple[str, ...] = ()
    seed: int = 0
    prompt: str = ""
    inserted: bool = False


@dataclass(frozen=True)
class Thread:
    """A tree of nodes in the order in which they were written."""

    number: int
    topic: str
    nodes: tuple[Node, ...] = field(default=())

    def depth(self, node: int) -> int:
        made = 0
        while (node := self.nodes[node].parent) >= 0:
            made += 1
        return made

    def prefix(self, node: int) -> str:
        """Hash of everything up to a node, itself included."""
        return blake2b(repr([asdict(n) for n in self.nodes[: node + 1]]).encode(), digest_size=16).hexdigest()

    def text(self) -> str:
        """The thread as it is read."""
        return "\n".join(f"{'  ' * self.depth(i)}- {n.text}" for i, n in enumerate(self.nodes))


@dataclass(frozen=True)
class Course:
    """How threads go. obeys : what is left of an act's weight where a rule forbids it; the others as in the module."""

    obeys: float = 0.25
    first: float = FIRST
    deeper: float = DEEPER
    longest: int = LONGEST

    def __post_init__(self) -> None:
        if not 0 <= self.obeys <= 1 or not 0 <= self.first <= 1 or not 0 < self.deeper <= 1 or self.longest < 1:
            raise OptionError(
                f"threads: obeys = {self.obeys}, first = {self.first}, deeper = {self.deeper} from 0 to 1, longest = "
                f"{self.longest} from 1."
            )


@dataclass(frozen=True)
class Turn:
    """What is going to be said: in answer to which node (-1: a post), by whom, with which act, breaking which rule."""

    parent: int
    author: int
    act: str
    rule: str
    seed: int


def own_seed(seed: int, number: int, step: int) -> int:
    """Of the words of a step."""
    return int.from_bytes(blake2b(f"{seed}/{number}/{step}".encode(), digest_size=6).digest(), "big")


class Threads:
    """Writes threads of a community."""

    def __init__(self, design: Design, members: Sequence[Member], writer: Writer, course: Course, seed: int):
        self.design, self.members, self.writer, self.course, self.seed = design, members, writer, course, seed
        self.activity = np.array([m.activity for m in members])
        wide = {t for m in members for t in m.persona.interests}
        self.likes = {t: np.array([m.persona.interests.get(t, 0.0) for m in members]) for t in wide}

    async def several(self, numbers: Sequence[int]) -> list[Thread]:
        """Threads by number; each hangs on its number alone."""
        return list(await asyncio.gather(*(self.thread(n) for n in numbers)))

    async def thread(self, number: int) -> Thread:
        begun, turn = self.opening(number, self._luck(number, 0, self.seed), own_seed(self.seed, number, 0))
        return await self.grown(replace(begun, nodes=(await self._written(begun, turn),)), self.seed, 1)

    async def grown(self, thread: Thread, seed: int, step: int) -> Thread:
        """The thread continued until it ends; `step` is the first draw that is used."""
        while True:
            u, own = self._luck(thread.number, step, seed), own_seed(seed, thread.number, step)
            if (turn := self.turn(thread, u, own)) is None:
                return thread
            thread = replace(thread, nodes=(*thread.nodes, await self._written(thread, turn)))
            step += 1

    def opening(self, number: int, u: np.ndarray, own: int) -> tuple[Thread, Turn]:
        """A thread without nodes, and its post, by numbers u[8] in [0, 1)."""
        topic = self.design.topics[int(u[4] * len(self.design.topics))]
        author = self._author(topic, -1, u[0])
        act, rule = self.act(self.members[author], POST_MIX, 0.0, u[5], u[6])
        return Thread(number, topic), Turn(-1, author, act, rule, own)

    def turn(self, thread: Thread, u: np.ndarray, own: int) -> Turn | None:
        """What is said next in a thread, by numbers u[8] in [0, 1); None where it ends."""
        if len(thread.nodes) >= self.course.longest:
            return None
        heat, last = self.heat(thread), len(thread.nodes) - 1
        parent = last if u[1] < 0.6 else int(u[2] * (last + 1))
        more = min(OFTENEST, self.course.first * (1 + max(heat, 0.0) / 2)) * self.course.deeper ** thread.depth(parent)
        if u[3] >= more:
            return None
        author = self._author(thread.topic, thread.nodes[parent].author, u[0])
        act, rule = self.act(self.members[author], REPLY_MIX, heat, u[5], u[6])
        return Turn(parent, author, act, rule, own)

    def heat(self, thread: Thread) -> float:
        """How heated a thread is at its end."""
        heat = 0.0
        for n in thread.nodes:
            heat = 0.8 * heat + (1.0 if n.act in HOSTILE else -2.0 if n.act == MODERATE else 0.0)
        return heat

    async def what_if(
        self, thread: Thread, node: int, *, text: str = "", act: str = "", seed: int | None = None
    ) -> Thread:  # fmt: skip
        """The thread up to a node, what somebody says there, and what follows.

        Parameters
        ----------
        text : what is said; "" lets the writer find words for the act. act : of ACTS, or "moderate"; "" with no text:
            nothing is inserted, which gives the control. seed : None keeps the luck of the thread.

        Raises
        ------
        OptionError
            There is no such node or act.
        """
        if not 0 <= node < len(thread.nodes):
            raise OptionError(f"what if: node {node}; this thread has 0 to {len(thread.nodes) - 1}.")
        kept = thread.nodes[: node + 1]
        told = replace(thread, nodes=kept)
        if act or text:
            act = act or "share"
            if act not in (*ACTS, MODERATE):
                raise OptionError("what if: " + unknown("act", act, [*ACTS, MODERATE]))
            visitor = Persona(id=MODERATE if act == MODERATE else "visitor")
            ask = Ask(self.design, visitor, act, thread.topic, self._path(told, node), seed=self.seed)
            said = text or await self.writer.write(ask)
            new = Node(
                node, -1, act, said, "", self.design.forbids(act), self.seed, digest(self.writer.prompt(ask)), True
            )
            told = replace(thread, nodes=(*kept, new))
        step = sum(not n.inserted for n in kept)
        return await self.grown(told, self.seed if seed is None else seed, step)

    async def multiverse(self, thread: Thread, k: int, node: int = 0) -> list[Thread]:
        """k other courses of a thread from a node on.

        Raises
        ------
        OptionError
            Fewer than two: one course shows a possibility as if it were a forecast.
        """
        if k < 2:
            raise OptionError(f"multiverse: k = {k}; show 2 or more, one alone reads like a forecast.")
        seeds = [int.from_bytes(blake2b(f"{self.seed}/{i}".encode(), digest_size=6).digest(), "big") for i in range(k)]
        return list(await asyncio.gather(*(self.what_if(thread, node, seed=s) for s in seeds)))

    def _luck(self, number: int, step: int, seed: int) -> np.ndarray:
        return np.asarray(Draws(seed, "thread").uniform(str(number), [0], step, 8)[0])

    def _author(self, topic: str, besides: int, u: float) -> int:
        weight = self.activity * (1 + 2 * self.likes.get(topic, np.zeros(len(self.members))))
        if besides >= 0:
            weight = np.where(np.arange(len(weight)) == besides, 0.0, weight)
        ends = np.cumsum(weight)
        return int(np.searchsorted(ends, u * ends[-1], side="right").clip(0, len(weight) - 1))

    def ask(self, thread: Thread, turn: Turn) -> Ask:
        """What is to be put into words."""
        persona = self.members[turn.author].persona
        return Ask(
            self.design, persona, turn.act, thread.topic, self._path(thread, turn.parent), turn.rule, turn.seed
        )  # fmt: skip

    def breaks(self, act: str, rule: str = "") -> tuple[str, ...]:
        """The rules that an act breaks, and that its author was told to break."""
        return tuple(dict.fromkeys([*self.design.forbids(act), *([rule] if rule else [])]))

    async def _written(self, thread: Thread, turn: Turn) -> Node:
        ask = self.ask(thread, turn)
        text = await self.writer.write(ask)
        breaks = self.breaks(turn.act, turn.rule)
        return Node(
            turn.parent, turn.author, turn.act, text, turn.rule, breaks, turn.seed, digest(self.writer.prompt(ask))
        )  # fmt: skip

    def act(self, member: Member, mix: Mapping[str, float], heat: float, u: float, told: float) -> tuple[str, str]:
        """(act, rule that the author was told to break)."""
        rules = self.design.discouraged
        if member.troll and rules and told < 0.5:
            rule = rules[int(2 * told * len(rules))]
            broken = [a for a in ACTS if rule in self.design.forbids(a)]
            return (broken[0] if broken else "share"), rule
        weight = {}
        for a, w in mix.items():
            w *= member.tendency.get(a, 1.0) * (np.exp(heat) if a in ("attack", "derail") else 1.0)
            weight[a] = w * (self.course.obeys if self.design.forbids(a) else 1.0)
        ends = np.cumsum(list(weight.values()))
        return list(weight)[int(np.searchsorted(ends, u * ends[-1], side="right").clip(0, len(ends) - 1))], ""

    @staticmethod
    def _path(thread: Thread, node: int) -> tuple[str, ...]:
        return path([n.text for n in thread.nodes], [n.parent for n in thread.nodes], node)


def as_rows(threads: Sequence[Thread], members: Sequence[Member]) -> list[dict[str, Any]]:
    """Nodes as rows: `thread`, `node`, `parent`, `author` (an id), `act`, `text`, `breaks`, `seed`, `prompt`."""
    return [
        {
            "thread": t.number, "node": i, "parent": n.parent, "topic": t.topic,
            "author": members[n.author].persona.id if n.author >= 0 else n.act if n.act == MODERATE else "visitor",
            "act": n.act, "text": n.text, "breaks": list(n.breaks), "seed": n.seed, "prompt": n.prompt,
        }
        for t in threads for i, n in enumerate(t.nodes)
    ]  # fmt: skip
