"""The community as a world that lives: threads begin over the days, and who is to speak next in one is woken for it.

    turn   = `Threads.turn` of the thread as it stands, by numbers counted by (thread, step)      the law of `threads`
    due    = now + 1 + floor(-PACE ln u) ticks                                                    when it is said
    thread k begins at tick k day / daily, whoever writes its post

Verbs are `post` and `reply`; `value` is the place of the act in `SAID`, and the reason that the log keeps says it in
words, with the rules that it breaks: trolling is an event like any other. Members write by grammar; those with a mind
let the language model find the words, the act stays drawn (a model by itself is too polite). What if: the command
``say post=3 act=moderate`` (or with text=) lets a moderator or a visitor answer a post; what follows is anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.errors import LMError, WorldError, unknown
from ethogram.simulate.social_simulacra.community import Prototype
from ethogram.simulate.social_simulacra.design import ACTS
from ethogram.simulate.social_simulacra.threads import MODERATE, Node, Thread, Turn
from ethogram.simulate.social_simulacra.writing import DOES, GOOD, WORDS, Ask, GrammarWriter, LMWriter, path
from ethogram.world.actions import Action, Done
from ethogram.world.acts import NOTHING, Acts, Decision
from ethogram.world.draws import WORLD
from ethogram.world.minds import Context
from ethogram.world.people.persona import Persona
from ethogram.world.rules import capacity
from ethogram.world.saying import Said, packed
from ethogram.world.social import posts
from ethogram.world.social.platform import POST, Platform
from ethogram.world.state import NEVER, Frozen, State
from ethogram.world.world import World

PACE = 3.0
"""Mean ticks that a reply takes, beside the one that it takes at least."""
SAID = (*ACTS, MODERATE)
OUTSIDE = (MODERATE, "visitor")
"""Who has a place behind the members, and speaks only where a command says so."""
POLICY, KIND = "member", "writer"
STEPS = 1_000
"""Steps of a thread at most: the numbers of different threads are apart."""


class Living:
    """What is fixed in a living community; `world` makes one.

    Parameters
    ----------
    made : design, members, course; its own seed draws nothing here, the world's does. daily : threads that begin in a
        day. minutes : of a tick.
    """

    def __init__(self, made: Prototype, daily: float, minutes: int):
        self.made, self.threads, self.minutes = made, made.engine, minutes
        self.gap = 1_440 / minutes / daily
        self.grammar = GrammarWriter()
        n = len(made.members)
        likes = np.array([[m.persona.interests.get(t, 0.0) for t in made.design.topics] for m in made.members])
        self.platform = Platform(np.vstack([likes + 0.1, np.ones((len(OUTSIDE), likes.shape[1]))]))
        self.people = [*(m.persona.id for m in made.members), *OUTSIDE]
        self.members = n

    def world(self, *, seed: int, minds: int = 0, lm: Any = None, words: int = 48) -> World:
        """The community before its first post; the `minds` most active members are played by `lm`.

        Raises
        ------
        WorldError
            There are fewer members than that.
        """
        if not 0 <= minds <= self.members:
            raise WorldError(f"{minds} minds among {self.members} members; give 0 to {self.members}.")
        platform, none = self.platform, np.full(64, -1, np.int32)
        own = {"thread": none, "node": none, "act": none, "rule": none, "seed": np.zeros(64, np.int64)}
        things = platform.things()
        things[POST] = {**things[POST], **own}
        things["thread"] = {c: np.full(1, -1, np.int64) for c in ("author", "due", "parent", "act", "rule", "seed")}
        things["say"] = {c: np.full(1, -1, np.int64) for c in ("by", "due", "post", "act", "text")}
        actions = [
            Action("post", apply=self._posted, about="begin a thread"),
            Action("reply", POST, capacity(posts.written), self._replied, about="answer a post"),
        ]
        made = World(
            self.people, columns=platform.columns(), things=things, facts=platform.facts(), actions=actions,
            policies={POLICY: self}, fallback=POLICY, minds={KIND: lambda persona: Writer(persona, self, words)},
            commands={"say": self._say, "begin": self._begin}, observe=self.observed, lm=lm, seed=seed, wake=NEVER,
            start="2024-01-01", length=f"{self.minutes}m", run=f"{self.made.design.name}, seed {seed}",
        )  # fmt: skip
        active = np.argsort(-self.threads.activity, kind="stable")
        for uid in np.sort(active[:minds]).tolist():
            made.promote(uid, KIND, {"name": self.people[uid], "about": self.made.members[uid].persona.text()})
        made.intervene("begin", by="community")
        return made

    def observed(self, seen: Any, row: int) -> str:
        return str(self.made.design.told())

    # threads as they stand

    def thread(self, seen: Frozen, number: int) -> Thread:
        """A thread with what has been said in it."""
        mine = np.flatnonzero(seen["post.thread"][: posts.number(seen)] == number)
        mine = mine[np.argsort(seen["post.node"][mine], kind="stable")]
        nodes = []
        for p, said in zip(mine.tolist(), posts.texts(seen, mine), strict=True):
            author, above = int(seen["post.author"][p]), int(seen["post.parent"][p])
            outside = author >= self.members
            act, rule = SAID[seen["post.act"][p]], self._rule(seen, p)
            nodes.append(
                Node(
                    -1 if above < 0 else int(seen["post.node"][above]), -1 if outside else author, act, said, rule,
                    self.threads.breaks(act, rule), int(seen["post.seed"][p]), "", outside,
                )
            )  # fmt: skip
        return Thread(number, self._opening(seen, number)[0].topic, tuple(nodes))

    def _rule(self, seen: Frozen, post: int) -> str:
        place = int(seen["post.rule"][post])
        return self.made.design.discouraged[place] if place >= 0 else ""

    def _planned(self, seen: Frozen, number: int) -> Turn:
        """The turn that was planned in a thread."""
        author, parent, act, rule, own = (
            int(seen[f"thread.{c}"][number]) for c in ("author", "parent", "act", "rule", "seed")
        )
        return Turn(parent, author, SAID[act], self.made.design.discouraged[rule] if rule >= 0 else "", own)

    def _numbers(self, seen: Frozen, number: int, step: int) -> tuple[np.ndarray, int]:
        """u[8] of a step, and the seed of its words: of the world's own random numbers."""
        at = number * STEPS + step
        u = seen.draws.uniform("thread", [WORLD], at, 8)[0]
        return u, int(seen.draws.words("words", [WORLD], at)[0, 0])

    def _opening(self, seen: Frozen, number: int) -> tuple[Thread, Turn]:
        return self.threads.opening(number, *self._numbers(seen, number, 0))

    def _next(self, seen: Frozen, thread: Thread) -> tuple[Turn | None, int]:
        """(turn, ticks until then)."""
        step = sum(not n.inserted for n in thread.nodes)
        u, own = self._numbers(seen, thread.number, step)
        return self.threads.turn(thread, u, own), 1 + int(-PACE * np.log(max(u[7], 1e-12)))

    def due(self, seen: Frozen, row: int) -> list[tuple[int, Ask, Turn]]:
        """(post that is answered or -1, what is to be put into words, turn) of what a person is to say now."""
        found = []
        for number in np.flatnonzero((seen["thread.author"] == row) & (seen["thread.due"] == seen.tick)).tolist():
            thread, turn = self.thread(seen, number), self._planned(seen, number)
            on = -1
            if thread.nodes:
                at = (seen["post.thread"] == number) & (seen["post.node"] == turn.parent)
                on = int(np.flatnonzero(at[: posts.number(seen)])[0])
            found.append((on, self.threads.ask(thread, turn), turn))
        for i in np.flatnonzero((seen["say.by"] == row) & (seen["say.due"] == seen.tick)).tolist():
            on, act = int(seen["say.post"][i]), SAID[seen["say.act"][i]]
            thread = self.thread(seen, int(seen["post.thread"][on]))
            above = path([n.text for n in thread.nodes], [n.parent for n in thread.nodes], int(seen["post.node"][on]))
            own = int(seen.draws.words("said", [WORLD], seen.tick)[0, 0])
            ask = Ask(self.made.design, Persona(id=self.people[row]), act, thread.topic, above, seed=own)
            found.append((on, ask, Turn(int(seen["post.node"][on]), -1, act, seen.text(int(seen["say.text"][i])), own)))
        return found

    # the policy of everybody without a mind

    def act(self, rows: np.ndarray, seen: Frozen, luck: Any) -> list[Acts]:
        """Who is due says it, in the words of the grammar."""
        acts = []
        for row in rows.tolist():
            for on, ask, turn in self.due(seen, row):
                said = turn.rule if turn.author < 0 and turn.rule else self.grammar.words(ask)
                acts.append(
                    Acts(
                        "post" if on < 0 else "reply", np.array([row]), on, SAID.index(turn.act),
                        None if on < 0 else seen["post.event"][[on]], {0: packed(Said(said, self.why(turn)))},
                    )
                )  # fmt: skip
        return acts

    def wait(self, rows: np.ndarray, seen: Frozen, luck: Any) -> np.ndarray:
        """Ticks until each is due again."""
        return np.array([self.rest(seen, row) for row in rows.tolist()], np.int64)

    def rest(self, seen: Frozen, row: int) -> int:
        """Ticks until a person is due, of what is planned now; NEVER for nothing."""
        later = seen["thread.due"][(seen["thread.author"] == row) & (seen["thread.due"] > seen.tick)]
        said = seen["say.due"][(seen["say.by"] == row) & (seen["say.due"] > seen.tick)]
        every = np.append(later, said)
        return int(every.min() - seen.tick) if len(every) else NEVER

    def why(self, turn: Turn) -> str:
        """An act in words, with what it breaks."""
        broken = self.threads.breaks(turn.act, turn.rule if turn.author >= 0 else "")
        return turn.act + (f"; breaks: {', '.join(broken)}" if broken else "")

    # effects and commands

    def _posted(self, state: State, done: Done) -> None:
        for i, row in enumerate(done.rows.tolist()):
            mine = np.flatnonzero((state["thread.author"] == row) & (state["thread.due"] == state.tick))
            roots = state["post.thread"][: posts.number(state)]
            fresh = [t for t in mine.tolist() if not (roots == t).any()]
            post = self._written(state, _one(done, i), posts.POST)
            if not fresh:  # by somebody from outside, who was not due: a thread beside the others
                raise WorldError(f"{self.people[row]} posts, and is not due; reply to a post instead.")
            self._keep(state, post, fresh[0], self._planned(state, fresh[0]))
            self._plan(state, fresh[0])
            self._open(state, fresh[0] + 1)

    def _replied(self, state: State, done: Done) -> None:
        for i, (row, on) in enumerate(zip(done.rows.tolist(), done.object.tolist(), strict=True)):
            number, node = int(state["post.thread"][on]), int(state["post.node"][on])
            turn = Turn(node, row, SAID[int(done.value[i])], "", 0)  # of somebody who was not due
            if state["thread.due"][number] == state.tick and state["thread.author"][number] == row:
                planned = self._planned(state, number)
                turn = planned if planned.parent == node else turn
            self._keep(state, self._written(state, _one(done, i), posts.REPLY), number, turn)
            self._plan(state, number)

    def _written(self, state: State, done: Done, kind: int) -> int:
        effects = posts.Effects(self.platform.drift)
        (effects.post if kind == posts.POST else effects.reply)(state, done)
        return posts.number(state) - 1

    def _keep(self, state: State, post: int, number: int, turn: Turn) -> None:
        """What a post is in its thread."""
        before = int((state["post.thread"][:post] == number).sum())
        rules = self.made.design.discouraged
        told = {
            "thread": number, "node": before, "act": SAID.index(turn.act), "seed": turn.seed,
            "rule": rules.index(turn.rule) if turn.rule in rules else -1,
        }  # fmt: skip
        for name, value in told.items():
            state[f"post.{name}"][post] = value

    def _plan(self, state: State, number: int) -> None:
        """Who is to speak next in a thread."""
        self._due(state, number, *self._next(state, self.thread(state, number)))

    def _open(self, state: State, number: int) -> None:
        """Plan the beginning of a thread."""
        state.grow("thread", number + 1)
        after = max(1, int(np.ceil(number * self.gap)) - state.tick)
        self._due(state, number, self._opening(state, number)[1], after)

    def _due(self, state: State, number: int, turn: Turn | None, after: int) -> None:
        if turn is None:
            state["thread.author"][number] = state["thread.due"][number] = -1
            return
        rules = self.made.design.discouraged
        told = {
            "author": turn.author, "due": state.tick + after, "parent": turn.parent, "act": SAID.index(turn.act),
            "rule": rules.index(turn.rule) if turn.rule else -1, "seed": turn.seed,
        }  # fmt: skip
        for name, value in told.items():
            state[f"thread.{name}"][number] = value
        state.wake(turn.author, self.rest(state, turn.author))

    def _begin(self, state: State) -> None:
        self._open(state, 0)

    def _say(self, state: State, post: int, act: str = "share", text: str = "") -> None:
        """Let a moderator (act "moderate") or a visitor answer a post at the next tick, in words of the act or in
        those that are given."""
        if act not in SAID:
            raise WorldError(unknown("act", act, SAID))
        if not 0 <= post < posts.number(state):
            raise WorldError(f"say: there is no post {post}; there are {posts.number(state)}.")
        row = self.members + OUTSIDE.index(MODERATE if act == MODERATE else "visitor")
        at = len(state["say.by"])
        state.grow("say", at + 1)
        code = int(state.intern([text])[0]) if text else -1
        for name, value in (("by", row), ("due", state.tick + 1), ("post", post), ("act", SAID.index(act)),
                            ("text", code)):  # fmt: skip
            state[f"say.{name}"][at] = value
        state.wake(row, self.rest(state, row))


class Writer:
    """A member whose words a language model finds; the act is drawn, as for everybody."""

    def __init__(self, persona: Mapping[str, Any], living: Living, words: int):
        self.persona, self.living, self.words = persona, living, words

    def rests(self, seen: Context) -> int:
        """Ticks until it is due again."""
        return self.living.rest(seen.state, seen.row)

    def prompt(self, seen: Context) -> str:
        """What the model is asked to put into words now."""
        asks = [LMWriter(None).prompt(ask) for _, ask, _ in self.living.due(seen.state, seen.row)]
        return "\n\n".join(asks) or self.living.made.design.told()

    async def act(self, seen: Context) -> Sequence[Decision]:
        writer = LMWriter(seen.lm, words=self.words)
        made = []
        for on, ask, turn in self.living.due(seen.state, seen.row):
            said = await writer.write(ask)
            if said == "...":
                raise LMError("the model wrote nothing.")
            cause = -1 if on < 0 else int(seen.state["post.event"][on])
            verb, value = ("post" if on < 0 else "reply"), float(SAID.index(turn.act))
            why = self.living.why(turn)
            made.append(Decision(verb, on, value, said, cause, why=why))
        return made or [Decision(NOTHING)]

    async def answer(self, seen: Context, question: str, schema: Mapping[str, Any]) -> Any:
        """An interview: answered as this member, of this community."""
        told = await seen.lm.answer(
            question, dict(schema), system=f"{self.living.made.design.told()}\nYou are {self.persona['about']}",
            seed=seen.seed, purpose="social simulacra: interview",
        )  # fmt: skip
        return told.value


def scripted(messages: Sequence[Any], luck: Any) -> str:
    """A model by rule: a template of the act that the prompt asks for."""
    asked = messages[-1].text
    act = next((a for a, does in DOES.items() if f"The author {does}" in asked), "share")
    topic = re.search(r"<topic>(.*?)</topic>", asked)
    form = luck.choice(WORDS[act])
    return str(form.format(topic=topic.group(1) if topic else "this", good=luck.choice(GOOD), rule=""))


def _one(done: Done, i: int) -> Done:
    """The i-th act alone."""
    text = {0: done.text[i]} if i in done.text else {}
    columns = (getattr(done, n)[i : i + 1] for n in ("rows", "uid", "object", "value", "event", "cause"))
    return Done(*columns, text)
