"""People of a social network who are played by a language model: each reads its feed, decides, and says it in words.

    feed -> what is remembered of it -> which post, or a post of one's own, or nothing -> like, reply ... -> words

A decision is drawn from the model's probabilities of the options, with the person's own random numbers: a small model's
first choice is nearly always the same. Nobody is told how many follow or like whom: that would put the result into the
prompt.

What was seen lately stays in the short-term memory; each record is dropped at a decision with

    p = 1 - ((pop + rec) / 2) max(rec^beta, delta)      pop, rec: popularity of the post and recency, in [0, 1]

(the form of Wang et al.: User Behavior Simulation with Large Language Model based Agents; constants are ours). After
every few decisions the person concludes something from it in a sentence; conclusions are kept (`lm.memory`), and those
that fit the feed come back in the prompt. They are notes of the decision, so that a run that is repeated asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ethogram.errors import WorldError, unknown
from ethogram.lm.choices import lettered
from ethogram.lm.memory import Memory
from ethogram.text.table import TextTable
from ethogram.world.acts import NOTHING, Decision
from ethogram.world.minds import Context
from ethogram.world.social import posts
from ethogram.world.social.feeds import attention
from ethogram.world.social.platform import Platform
from ethogram.world.state import Frozen

WORDS = {
    "like": "like it", "reply": "answer it", "repost": "pass it on", "quote": "pass it on with a comment",
    "dislike": "dislike it", "follow": "follow its author", "mute": "never see its author again",
    "report": "report it to the moderators",
}  # fmt: skip
"""Verb -> what the model reads."""
REACTIONS = ("like", "reply", "repost", "quote", "follow")
"""What members do with posts where nothing else is said."""
PERSON = ("follow", "mute")
WRITE, NONE = "write a post of your own", "do nothing"


class _Questions(NamedTuple):
    """What is asked in a decision: first, with its options; before words for a post; of each post that is shown."""

    first: str
    options: list[str]
    writing: str
    about: list[str]


class Member:
    """A mind for ``platform.world(minds={"member": lambda persona: Member(persona, platform)}, lm=...)``.

    Parameters
    ----------
    persona : `name`; `about` (who that is, in words), `posts` (posts of that person, as examples); what else there is
        is not read.
    shown : examples of own posts in the prompt. recall : conclusions that come back. reflect : decisions between two
        conclusions, 0 for none. beta, delta, capacity : of the short-term memory. words : tokens of what is written.
    every : ticks between decisions. verbs : what can be done with a post, of `WORDS`.
    wording : (frozen state, post) -> what a post says that has no words of its own; without it, that it has none.
    brief : whether posts are listed once, as the options themselves, and what is asked next in a decision begins as
        what was asked first: half the tokens, or fewer where the model keeps beginnings (`Embedded`). Only where the
        model tells the probabilities of its first token; elsewhere, and where False, each question stands for itself.
    """

    def __init__(
        self, persona: Mapping[str, Any], platform: Platform, *, shown: int = 3, recall: int = 2, reflect: int = 6,
        beta: float = 1.5, delta: float = 0.2, capacity: int = 30, words: int = 40, every: int = 1,
        temperature: float = 0.8, verbs: Sequence[str] = REACTIONS, brief: bool = False,
        wording: Callable[[Frozen, int], str] | None = None,
    ):  # fmt: skip
        if wrong := [v for v in verbs if v not in WORDS]:
            raise WorldError("member: " + unknown("reaction", wrong[0], WORDS))
        if len(verbs) < 2:
            raise WorldError(f"member: {len(verbs)} reactions; 2 or more are needed, to choose among.")
        self.verbs, self.brief = tuple(verbs), brief
        self.wording = wording or (lambda seen, post: "(no words)")
        self.persona, self.platform, self.every = persona, platform, every
        self.shown, self.recall, self.reflect, self.words = shown, recall, reflect, words
        self.beta, self.delta, self.capacity, self.temperature = beta, delta, capacity, temperature
        self.memory = Memory(TextTable())
        self.short: list[dict[str, Any]] = []
        self.decisions = 0

    def _system(self) -> str:
        examples = [f"- {p}" for p in list(self.persona.get("posts", ()))[: self.shown]]
        about = str(self.persona.get("about", "")).strip()
        told = [f"You are {self.persona.get('name', 'somebody')} on a social network.", about]
        return "\n".join([" ".join(t for t in told if t), *(["You once wrote:", *examples] if examples else [])])

    def feed(self, seen: Context) -> list[tuple[int, str, str]]:
        """(post, author, text) of what is shown now."""
        found = self.platform.shown(seen.state, [seen.row])[0]
        found = found[found >= 0]
        names = seen.world.ids or seen.named("people")
        author = seen.state["post.author"][found]
        said = posts.texts(seen.state, found)
        told = [t or self.wording(seen.state, p) for p, t in zip(found.tolist(), said, strict=True)]
        return [(p, names[a], t) for p, a, t in zip(found.tolist(), author, told, strict=True)]

    def prompt(self, seen: Context) -> str:
        """What the model is told first, system and question; `brief` as a model reads it that has first tokens."""
        feed = self.feed(seen)
        return f"{self._system()}\n\n{self._brief(seen, feed).writing if self.brief else self._asked(seen, feed)}"

    def _recalled(self, seen: Context, lines: Sequence[str]) -> list[str]:
        """Conclusions that fit what is shown, as lines of a prompt."""
        if not self.recall or not len(self.memory):
            return []
        about = "\n".join(lines) or self._system()
        found = self.memory.retrieve(about, self.recall, now=seen.time, touch=False)
        return ["You think:", *(f"- {t}" for t in found.texts), ""]

    def _asked(self, seen: Context, feed: list[tuple[int, str, str]]) -> str:
        lines = [f"{i}. {author}: {text}" for i, (_, author, text) in enumerate(feed, 1)]
        shown = ["In your feed:", *lines] if lines else ["Your feed is empty."]
        return "\n".join([*self._recalled(seen, lines), *shown, ""])

    def _plain(self, seen: Context, feed: list[tuple[int, str, str]]) -> _Questions:
        told = self._asked(seen, feed)
        options = [f"react to post {i}" for i in range(1, len(feed) + 1)] + [WRITE, NONE]
        return _Questions(f"{told}What do you do?", options, told, [f"{a} wrote: {t}\n\n" for _, a, t in feed])

    def _brief(self, seen: Context, feed: list[tuple[int, str, str]]) -> _Questions:
        lines: list[str] = []
        for _, author, text in feed:  # options must differ
            line = f"{author}: {text}"
            lines.append(line if line not in lines else f"{line} ({len(lines) + 1})")
        asked = "\n".join([*self._recalled(seen, lines), "React to a post, write one of your own, or do nothing?"])
        options = [*lines, WRITE, NONE]
        begun = f"{asked}\n\n{lettered(options)}\n"
        return _Questions(asked, options, begun, [f"{begun}You choose: {line}\n" for line in lines])

    async def act(self, seen: Context) -> Decision:
        """One decision: a choice, perhaps a second, perhaps a text."""
        feed, system = self.feed(seen), self._system()
        brief = self.brief and await self._method(seen, len(feed) + 2) == "first_token"
        ask = self._brief(seen, feed) if brief else self._plain(seen, feed)
        place = await self._drawn(seen, ask.first, ask.options, system, "what")
        decision = Decision(NOTHING)
        if ask.options[place] == WRITE:
            said = await self._said(seen, f"{ask.writing}Write your next post, in one sentence.", system)
            decision = Decision("post", text=said)
        elif place < len(feed):
            post, about = feed[place][0], ask.about[place]
            choices = [WORDS[v] for v in self.verbs]
            verb = self.verbs[await self._drawn(seen, f"{about}What do you do with this post?", choices, system, "how")]
            said = ""
            if verb in ("reply", "quote"):
                said = await self._said(seen, f"{about}Write your comment, in one sentence.", system)
            on = int(seen.state["post.author"][post]) if verb in PERSON else post
            decision = Decision(verb, on, text=said, cause=int(seen.state["post.event"][post]))
        return replace(decision, notes=await self._concluded(seen, feed) or None)

    async def _method(self, seen: Context, options: int) -> str | None:
        facts = await seen.lm.capabilities()
        return "first_token" if "first_token" in facts.choices and options <= facts.top_logprobs else None

    async def _drawn(self, seen: Context, prompt: str, options: list[str], system: str, purpose: str) -> int:
        method = await self._method(seen, len(options))
        found = await seen.lm.choose(prompt, options, system=system, method=method, purpose=f"member: {purpose}")
        return int(seen.luck.among(f"member {purpose}", found.probabilities)[0])

    async def _said(self, seen: Context, prompt: str, system: str) -> str:
        reply = await seen.lm.chat(
            prompt, system=system, max_tokens=self.words, temperature=self.temperature, seed=seen.seed,
            purpose="member: words",
        )  # fmt: skip
        return " ".join(reply.text.split())

    async def _concluded(self, seen: Context, feed: list[tuple[int, str, str]]) -> str:
        """What the person thinks of what it read lately, in a sentence; "" where it is not time for that."""
        held = [*self._kept(seen), *_records(seen, feed)][-8:]
        if not self.reflect or (self.decisions + 1) % self.reflect or not held:
            return ""
        lines = "\n".join(f"- {m['text']}" for m in held)
        asked = f"Lately you read:\n{lines}\n\nWhat do you think of it, in one sentence?"
        return await self._said(seen, asked, self._system())

    def remember(self, seen: Context, acts: Sequence[Decision]) -> None:
        """Keep what was read, and what was concluded from it."""
        if acts[0].via == "fallback":
            return
        self.short = [*self._kept(seen), *_records(seen, self.feed(seen))][-self.capacity :]
        self.decisions += 1
        if acts[0].notes:
            self.memory.add(str(acts[0].notes), time=seen.time, importance=5, kind="thought")

    def _kept(self, seen: Context) -> list[dict[str, Any]]:
        """What is left of the short-term memory, by popularity and recency."""
        if not self.short:
            return []
        age = np.array([seen.tick - m["tick"] for m in self.short], float)
        recency = 1 - age / max(age.max(), 1.0)
        points = attention(seen.state, np.array([m["post"] for m in self.short])).astype(float)
        popularity = np.clip(points / max(points.max(), 1.0), 0, 1)
        kept = retention(popularity, recency, self.beta, self.delta)
        u = seen.luck.uniform("member forgets", len(self.short))[0]
        return [m for m, stays in zip(self.short, u < kept, strict=True) if stays]

    def state(self) -> dict[str, Any]:
        rows = self.memory.to_arrow().to_pylist()
        return {
            "short": list(self.short), "decisions": self.decisions, "memory": rows, "pending": self.memory.pending,
        }  # fmt: skip

    def restore(self, kept: Mapping[str, Any]) -> None:
        self.short, self.decisions = list(kept["short"]), int(kept["decisions"])
        if kept["memory"]:
            table = pa.Table.from_pylist(kept["memory"]).replace_schema_metadata({"pending": str(kept["pending"])})
            self.memory = Memory.from_arrow(table, TextTable())


def _records(seen: Context, feed: list[tuple[int, str, str]]) -> list[dict[str, Any]]:
    """What is shown, as records of the short-term memory."""
    return [{"post": post, "text": f"{author}: {text}", "tick": seen.tick} for post, author, text in feed]


def retention(popularity: np.ndarray, recency: np.ndarray, beta: float = 1.5, delta: float = 0.2) -> np.ndarray:
    """Probability that a record of the short-term memory stays.

    >>> retention(np.array([1.0, 0.0]), np.array([1.0, 0.0])).tolist()
    [1.0, 0.0]
    """
    return np.asarray((popularity + recency) / 2 * np.maximum(recency**beta, delta))
