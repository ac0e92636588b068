"""Who puts an act into words: a grammar, or a language model with a chain of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np

from ethogram.lm.messages import Message
from ethogram.simulate.social_simulacra.design import Design
from ethogram.world.people.persona import Persona


@dataclass(frozen=True)
class Ask:
    """What is to be written.

    Attributes
    ----------
    path : texts from the post down to what is answered, empty for a post. rule : what the author was told to break.
    seed : of this text.
    """

    design: Design
    author: Persona
    act: str
    topic: str
    path: tuple[str, ...] = ()
    rule: str = ""
    seed: int = 0


class Writer(Protocol):
    """Puts acts into words."""

    def prompt(self, ask: Ask) -> str:
        """All that the text follows from, but the seed."""
        ...

    async def write(self, ask: Ask) -> str: ...


WORDS: dict[str, tuple[str, ...]] = {
    "share": ("I spent the weekend with {topic} and it was {good}.", "My notes on {topic} after a month of it.",
              "What worked for me in {topic}: go slowly.", "A small report about {topic}, it turned out {good}."),
    "agree": ("I agree, {topic} is like that.", "Exactly, this is how I see {topic} too.",
              "Same here with {topic}, {good}."),
    "answer": ("For {topic} I would start small and keep notes.", "It depends; with {topic} patience is {good}.",
               "The usual way with {topic} is to ask somebody who did it before."),
    "ask": ("How did you begin with {topic}?", "Does anybody know whether {topic} needs much time?",
            "What would you do about {topic}?"),
    "joke": ("{topic} walks into a bar and orders patience.", "My cat knows more of {topic} than I do, ha.",
             "I came for {topic} and stayed for the biscuits, haha."),
    "attack": ("Only an idiot would say that about {topic}.", "You clearly have no clue, just shut up.",
               "What a stupid thing to write, go away."),
    "derail": ("Anyway, has anybody seen the football results?", "Speaking of that, my landlord raised the rent again.",
               "Unrelated, but which phone should I buy?"),
    "promote": ("Buy my course on {topic}, link in my profile!", "My shop has a discount on {topic} now, visit it.",
                "Subscribe to my channel, I sell everything about {topic}."),
    "break": ("I know this is not allowed here, but I do it anyway: {rule}.", "Rules are silly, so: {rule}."),
    "moderate": ("Please keep to the rules, this thread is being watched.", "A reminder from the moderators: be kind."),
}  # fmt: skip
GOOD = ("good", "worth it", "hard but fine", "a surprise", "calming", "better than I hoped")
OPENINGS = ("", "Well, ", "Honestly, ", "Hi all, ", "Hm, ", "So, ", "To be fair, ", "Listen, ", "Right, ", "Friends, ")
ENDINGS = ("", " Cheers!", " :)", " Just my view.", " Hope it helps.", " Right?", " Thanks.", " ...", " Best wishes.")


@dataclass(frozen=True)
class GrammarWriter:
    """Templates by act, in a voice of each person's own (opening, ending, case). persona : whether voices differ."""

    persona: bool = True

    def prompt(self, ask: Ask) -> str:
        return _told(ask, self.persona, True)

    async def write(self, ask: Ask) -> str:
        return self.words(ask)

    def words(self, ask: Ask) -> str:
        """The text; nobody is asked."""
        rng = np.random.default_rng(ask.seed)
        forms = WORDS["break" if ask.rule and ask.act == "share" else ask.act]
        form = forms[int(rng.integers(len(forms)))]
        text = form.format(topic=ask.topic, good=GOOD[int(rng.integers(len(GOOD)))], rule=ask.rule)
        if not self.persona:
            return text
        voice = np.random.default_rng(int.from_bytes(blake2b(ask.author.id.encode(), digest_size=8).digest(), "big"))
        opening, ending = OPENINGS[int(voice.integers(len(OPENINGS)))], ENDINGS[int(voice.integers(len(ENDINGS)))]
        if voice.random() < 0.2:
            text = text.lower()
        if opening and rng.random() < 0.8:
            text = opening + text[:1].lower() + text[1:]
        return text + (ending if rng.random() < 0.8 else "")


DOES = {
    "share": "shares something", "agree": "agrees", "answer": "answers helpfully", "ask": "asks a question",
    "joke": "makes a joke", "attack": "is angry and insults the other", "derail": "changes the subject",
    "promote": "advertises their own shop or channel", "moderate": "is a moderator and calls everybody to the rules",
}  # fmt: skip


@dataclass(frozen=True)
class LMWriter:
    """A language model, told goal, rules and author in tagged blocks, the thread so far, and what the text does.

    Before it is asked it is shown two texts that do the same about another topic, in the grammar's words: a small model
    that is only told what to write writes about that.

    persona, rules : whether these blocks are there (False: an ablation). words : tokens of a text.
    """

    lm: Any
    persona: bool = True
    rules: bool = True
    words: int = 48
    temperature: float = 0.9
    top_p: float = 0.9

    def prompt(self, ask: Ask) -> str:
        return _told(ask, self.persona, self.rules)

    async def write(self, ask: Ask) -> str:
        reply = await self.lm.chat(
            messages(ask, self.persona, self.rules), max_tokens=self.words, temperature=self.temperature,
            top_p=self.top_p, seed=ask.seed, purpose="social simulacra: write",
        )  # fmt: skip
        return whole(reply.text, reply.finish == "length")


def whole(text: str, cut: bool = False) -> str:
    """The first paragraph of what a model wrote, without quotes around it; where it was cut off, its whole sentences.

    >>> whole('"Soil first. Then see', cut=True), whole("So it goes\\n\\nNote: done"), whole(" ")
    ('Soil first.', 'So it goes', '...')
    """
    first = next((p for p in text.strip().split("\n\n") if p.strip()), "")
    said = " ".join(first.split()).strip("\"'")
    if cut and first.strip() == text.strip():
        at = max(said.rfind(mark) for mark in ".!?")
        said = said[: at + 1] if at > 0 else said.rpartition(" ")[0] + "…"
    return said if any(c.isalnum() for c in said) else "..."


def messages(ask: Ask, persona: bool = True, rules: bool = True) -> list[Message]:
    """The conversation that ends with what is to be written."""
    who = f"<author>{ask.author.text()}</author>" if persona else "<author>a member</author>"
    system = f"{ask.design.told(rules=rules)}\n{who}\nYou write what this author posts here, in one or two sentences."
    topics = [t for t in ask.design.topics if t != ask.topic]
    other = topics[0] if topics else "something else"
    forms = WORDS["break" if ask.rule and ask.act == "share" else ask.act]
    made = [Message("system", system)]
    for k, form in enumerate(forms[:2]):
        before = (f"I begin with {other} now.",) if ask.path else ()
        made.append(Message("user", _does(ask, other, before)))
        made.append(Message("assistant", form.format(topic=other, good=GOOD[k], rule=ask.rule)))
    return [*made, Message("user", _does(ask, ask.topic, ask.path[-4:]))]


def _does(ask: Ask, topic: str, said: Sequence[str]) -> str:
    does = DOES[ask.act] + (f", and breaks the rule: {ask.rule}" if ask.rule else "")
    kind = "reply" if ask.path else "first post of a thread"
    return "\n".join([f"<topic>{topic}</topic>", *(f"<said>{t}</said>" for t in said), f"A {kind}. The author {does}:"])


def _told(ask: Ask, persona: bool, rules: bool) -> str:
    return "\n\n".join(f"{m.role}: {m.text}" for m in messages(ask, persona, rules))


def digest(text: str) -> str:
    """Hash of a prompt."""
    return blake2b(text.encode(), digest_size=8).hexdigest()


def path(texts: Sequence[str], parents: Sequence[int], node: int) -> tuple[str, ...]:
    """Texts from the root down to a node."""
    made = []
    while node >= 0:
        made.append(texts[node])
        node = parents[node]
    return tuple(reversed(made))
