"""People of the sandbox who are played by a language model, with a memory in three stages.

    round:  recommender, social or nothing
            recommender: page by page  watch i | next page | search for a title | leave;  watched: a feeling in words
            social: chat with a friend, or a post to all, about the film that comes to mind
    then:   what happened is sensed (a sentence and its importance), linked, perhaps moved on with an insight,
            perhaps reflected upon (`lm.stages`)

Options are put before the model and drawn by its probabilities with the person's own numbers, so no answer can lie
outside 1 ... 5. A searched title is free text: what it finds is what shares most words with it, what was heard lately
first. What the model said on the way is in the notes of the first decision: a repeated run asks nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ethogram.lm.stages import Moved, Stages
from ethogram.lm.staging import insight, reflection, sensed
from ethogram.simulate.recagent.ranking import PAGE, PAGES, pages
from ethogram.simulate.recagent.sandbox import rest
from ethogram.world.acts import NOTHING, Decision
from ethogram.world.minds import Context
from ethogram.world.social import relations

if TYPE_CHECKING:
    from ethogram.simulate.recagent.sandbox import Sandbox

TOP = ("look at what the recommender offers", "chat with a friend", "post to all friends", "do nothing")
CHANCES = 512
"""Numbers drawn for the memory of a round."""


class Viewer:
    """A mind for ``sandbox.world(minds={"viewer": lambda persona: Viewer(persona, sandbox)}, lm=...)``.

    Parameters
    ----------
    persona : `row` in the scene is taken from the context; `about` replaces the scene's profile.
    words : tokens of what is said. recall : memories in a prompt. remembers : whether a round is sensed and remembered.
    """

    def __init__(
        self, persona: Mapping[str, Any], sandbox: Sandbox, *, words: int = 32, recall: int = 3,
        temperature: float = 0.8, remembers: bool = True,
    ):  # fmt: skip
        self.persona, self.sandbox, self.words, self.recall = persona, sandbox, words, recall
        self.temperature, self.remembers = temperature, remembers
        self.memory = Stages()

    def _system(self, seen: Context) -> str:
        about = str(self.persona.get("about") or self.sandbox.scene.profiles[seen.row])
        return f"You are {self.sandbox.scene.people[seen.row]}. You are a person who {about}."

    def _told(self, seen: Context) -> str:
        """Memories that fit, and what was heard."""
        found = self.memory.retrieve(seen.text, self.recall, now=seen.time, touch=False)
        recent = [m.text for m in self.memory.short[-self.recall :]] if self.recall else []
        lines = [f"- {t}" for t in dict.fromkeys([*found, *recent])]
        return "\n".join([*(["You remember:", *lines] if lines else []), seen.text, ""])

    def prompt(self, seen: Context) -> str:
        """What the model is told first, system and question."""
        return f"{self._system(seen)}\n\n{self._told(seen)}What do you do?"

    async def act(self, seen: Context) -> Sequence[Decision]:
        """What the person does in this round."""
        return await self._round(seen)

    def rests(self, seen: Context) -> int:
        """Ticks until its next turn, also where it could not decide in this one."""
        return int(rest(seen.state, np.array([seen.row]))[0])

    async def _round(self, seen: Context) -> Sequence[Decision]:
        if seen.state["busy"][seen.row] > seen.tick:
            return (Decision(NOTHING),)
        top = await self._drawn(seen, f"{self._told(seen)}What do you do?", list(TOP), "top")
        if top == 0:
            acts, story = await self._visit(seen)
        elif top == 3:
            return (Decision(NOTHING),)
        else:
            acts, story = await self._social(seen, top)
        notes = await self._remembering(seen, story) if self.remembers and story else None
        return (replace(acts[0], notes=notes), *acts[1:])

    async def _visit(self, seen: Context) -> tuple[list[Decision], str]:
        scene = self.sandbox.scene
        shown = pages(seen.state, np.array([seen.row]))[0]
        acts: list[Decision] = []
        story = "I looked for a film and found none."
        for page in range(PAGES):
            some = [int(i) for i in shown[page] if i >= 0]
            if not some:
                break
            options = [f"watch {k}: {scene.words(i)}" for k, i in enumerate(some, 1)]
            more = (["look at the next page"] if page < PAGES - 1 else []) + ["search for a title", "leave"]
            place = await self._drawn(seen, f"{self._told(seen)}Page {page + 1}.", [*options, *more], f"page {page}")
            took = place if place < len(some) else -1
            acts += [
                Decision("pass", i, page * PAGE + k + 1) for k, i in enumerate(some) if k != took
            ]  # fmt: skip
            if took >= 0:
                return [*acts, *await self._watch(seen, some[took], page * PAGE + took + 1)], self._story(some[took])
            what = more[place - len(some)]
            if what == "leave":
                break
            if what == "search for a title":
                said = await self._said(seen, "Which title do you search for? Only the title.", "search")
                if (item := self.found(seen, said)) >= 0:
                    acts.append(Decision("search", item, text=said))
                    return [*acts, *await self._watch(seen, item, 0)], self._story(item)
                break
            acts.append(Decision("next", value=page + 2))
        return [*acts, Decision("leave")], story

    def _story(self, item: int) -> str:
        return f"I watched {self.sandbox.scene.words(item)}."

    async def _watch(self, seen: Context, item: int, place: int) -> list[Decision]:
        asked = f"You just watched {self.sandbox.scene.words(item)}. What do you feel about it, in one sentence?"
        feeling = await self._said(seen, asked, "feeling")
        stars = await self._drawn(
            seen, f"You said: {feeling}\nHow many stars do you give {self.sandbox.scene.titles[item]}?",
            ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"], "stars",
        )  # fmt: skip
        return [Decision("watch", item, place), Decision("rate", item, stars + 1, text=feeling)]

    async def _social(self, seen: Context, top: int) -> tuple[list[Decision], str]:
        scene, mine = self.sandbox.scene, seen.state["watched"][seen.row]
        item = int(mine[-1])
        if item < 0:
            heard = seen.state["heard_what"][seen.row]
            item = int(heard[heard >= 0][-1]) if (heard >= 0).any() else -1
        ties = relations.graph(seen.state)
        friends = ties.targets[ties.offsets[seen.row] : ties.offsets[seen.row + 1]]
        about = f" about {scene.words(item)}" if item >= 0 else ""
        if top == 1 and len(friends):
            friend = int(friends[seen.luck.integers("friend", len(friends))[0, 0]])
            asked = f"{self._told(seen)}Say something to your friend {scene.people[friend]}{about}, in one sentence."
            said = await self._said(seen, asked, "chat")
            return [Decision("chat", friend, item, text=said)], f"I told {scene.people[friend]}: {said}"
        if item < 0:
            return [Decision(NOTHING)], ""
        said = await self._said(
            seen, f"{self._told(seen)}Write a post to your friends{about}, in one sentence.", "post"
        )
        return [Decision("post", item, text=said)], f"I posted: {said}"

    def found(self, seen: Context, title: str) -> int:
        """The item whose title shares most words with what was searched (that heard of lately, then the more liked,
        where equal), among those not shown yet; -1 where none shares any."""
        asked = _words(title)
        heard = set(seen.state["heard_what"][seen.row].tolist())
        best, item = (0.0, False, 0.0), -1
        for i, told in enumerate(self.sandbox.scene.titles):
            both = len(asked & _words(told))
            if not both or seen.state["shown"][seen.row, i]:
                continue
            key = (both / len(asked | _words(told)), i in heard, float(self.sandbox.scene.taste.appeal[i]))
            if key > best:
                best, item = key, i
        return item

    async def _drawn(self, seen: Context, prompt: str, options: list[str], what: str) -> int:
        """A place in the options, by the model's probabilities and this person's own numbers."""
        facts = await seen.lm.capabilities()
        method = "first_token" if "first_token" in facts.choices and len(options) <= facts.top_logprobs else None
        found = await seen.lm.choose(
            prompt, options, system=self._system(seen), method=method, purpose=f"viewer: {what.split()[0]}"
        )
        return int(seen.luck.among(f"viewer {what}", found.probabilities)[0])

    async def _said(self, seen: Context, prompt: str, what: str) -> str:
        reply = await seen.lm.chat(
            prompt, system=self._system(seen), max_tokens=self.words, temperature=self.temperature, seed=seen.seed,
            purpose=f"viewer: {what}",
        )  # fmt: skip
        return " ".join(reply.text.split())

    async def _remembering(self, seen: Context, story: str) -> dict[str, Any] | None:
        """What the memory will make of the round; nothing is changed yet."""
        sentence, worth = await sensed(seen.lm, story, seed=seen.seed)
        notes: dict[str, Any] = {"sentence": sentence, "importance": worth, "insights": [], "reflected": None}
        trial = Stages().restore(self.memory.state())
        if not trial.noticed(worth):
            return notes
        moved = trial.take(sentence, worth, now=seen.time, chance=self._chance(seen))
        notes["insights"] = [await insight(seen.lm, [m.text, *m.links], seed=seen.seed) for m in moved]
        self._moved(seen, trial, moved, notes)
        if trial.due:
            notes["reflected"] = await reflection(seen.lm, trial, now=seen.time, seed=seen.seed)
        return notes

    def _chance(self, seen: Context) -> np.ndarray:
        return np.asarray(seen.luck.uniform("memory", CHANCES)[0])

    def _moved(self, seen: Context, memory: Stages, moved: Sequence[Moved], notes: Mapping[str, Any]) -> None:
        """Put what left the short term, and what follows from it, into the long one."""
        for one, follows in zip(moved, notes["insights"], strict=True):
            for text in filter(None, (one.text, follows)):
                memory.keep(text, one.importance, now=seen.time, chance=self._chance(seen))

    def remember(self, seen: Context, acts: Sequence[Decision]) -> None:
        """Go through the three stages with what the decision's notes hold; then what came to mind is reinforced."""
        notes = acts[0].notes
        if not isinstance(notes, Mapping) or not self.memory.noticed(notes["importance"]):
            return
        recalled = self.memory.retrieve(seen.text, self.recall, now=seen.time, touch=False)
        moved = self.memory.take(notes["sentence"], notes["importance"], now=seen.time, chance=self._chance(seen))
        self._moved(seen, self.memory, moved, notes)
        if notes["reflected"]:
            said, cited = notes["reflected"]
            self.memory.conclude(said, cited, now=seen.time)
        self.memory.retrieve(seen.text, self.recall, now=seen.time)
        self.memory.reinforce(recalled, self._chance(seen))

    async def answer(self, seen: Context, question: str, schema: Mapping[str, Any]) -> Any:
        """An interview: answered from the memory, and not remembered."""
        found = self.memory.retrieve(question, self.recall, now=seen.time, touch=False)
        lines = [f"- {t}" for t in [*found, *(m.text for m in self.memory.short)]]
        told = await seen.lm.answer(
            "\n".join([*(["You remember:", *lines, ""] if lines else []), question]), dict(schema),
            system=self._system(seen), seed=seen.seed, purpose="viewer: interview",
        )  # fmt: skip
        return told.value

    def state(self) -> dict[str, Any]:
        return self.memory.state()

    def restore(self, kept: Mapping[str, Any]) -> None:
        self.memory.restore(kept)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower())) - {"the", "a", "of", "and", "to", "in"}
