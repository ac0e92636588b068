"""Who somebody is, read off their real posts: what they write about, how they write, and where their taste lies.

    interests  words of several of the person's posts with the highest tf-idf against everybody's
    tone       measured: length, questions, exclamations, shouting; and the commonest emotion where posts carry one
    taste      the first dimensions (singular vectors) of the tf-idf matrix of people and words

A topic model and counts in place of a prompt: the paper infers profiles by prompt, a model of 135 million parameters
cannot.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from ethogram.errors import OptionError, RolesError
from ethogram.text.words import STOP
from ethogram.verbs import Log

_WORD = re.compile(r"[a-z][a-z']{2,}")
_LINK = re.compile(r"https?://\S+")
_HABITUAL = """what just all get got out about like going good know think see make time don't i'm can't didn't isn't
won't i've i'll let let's want need much way say said off did does doing being even still back here now one user some
any only too also very over into more than then amp"""
_COMMON = STOP | set(_HABITUAL.split())


@dataclass(frozen=True)
class Profile:
    """Somebody, as their posts tell.

    Attributes
    ----------
    name : made up. origin : the user of the log. taste : float32[d], length 1.
    """

    name: str
    origin: str
    interests: tuple[str, ...]
    tone: str
    posts: tuple[str, ...]
    taste: np.ndarray

    def persona(self) -> dict[str, Any]:
        """For a mind: `name`, `about`, `posts`."""
        about = f"You write about {', '.join(self.interests)}. {self.tone}"
        return {"name": self.name, "about": about, "posts": list(self.posts)}


def profiles(log: Log, people: int = 25, *, seed: int = 0, least: int = 5, dimensions: int = 8) -> list[Profile]:
    """People of a log of posts, drawn among those who wrote enough.

    Parameters
    ----------
    log : with `text`; a column `emotion` is read where there is one. least : posts that somebody must have written.

    Raises
    ------
    RolesError
        The log has no texts. OptionError: fewer people than asked for wrote enough.
    """
    table = log.table()
    if "text" not in table.column_names:
        raise RolesError("profiles: the log has no role 'text'; they are read off what people wrote.")
    table = table.filter(pc.greater(pc.utf8_length(pc.fill_null(table["text"], "")), 0))
    said: dict[str, list[str]] = {}
    felt: dict[str, Counter[str]] = {}
    emotion = table["emotion"].to_pylist() if "emotion" in table.column_names else [None] * len(table)
    for who, text, mood in zip(map(str, table["user"].to_pylist()), table["text"].to_pylist(), emotion, strict=True):
        said.setdefault(who, []).append(plain(text))
        if mood is not None:
            felt.setdefault(who, Counter())[str(mood)] += 1
    able = sorted(w for w, texts in said.items() if len(texts) >= least)
    if people < 1 or len(able) < people:
        raise OptionError(f"profiles: {len(able)} people wrote {least} posts or more; {people} were asked for.")
    chosen = sorted(np.random.default_rng([seed, 11]).permutation(len(able))[:people].tolist())
    names = [able[i] for i in chosen]
    counted = [Counter(w for text in said[n] for w in set(_words(text))) for n in names]
    vocabulary = sorted({w for c in counted for w in c})
    at = {w: i for i, w in enumerate(vocabulary)}
    matrix = np.zeros((len(names), len(vocabulary)))
    for i, words in enumerate(counted):
        for word, n in words.items():
            matrix[i, at[word]] = 1 + np.log(n)
    matrix *= np.log((1 + len(names)) / (1 + (matrix > 0).sum(0)))
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    left, values, _ = np.linalg.svd(matrix / np.maximum(length, 1e-12), full_matrices=False)
    taste = (left * values)[:, :dimensions]
    taste = taste / np.maximum(np.linalg.norm(taste, axis=1, keepdims=True), 1e-12)
    made = []
    for i, name in enumerate(names):
        often = np.array([counted[i][w] > 1 for w in vocabulary])  # one post makes no interest
        best = np.lexsort((-matrix[i], ~often))[:5]
        interests = tuple(vocabulary[j] for j in best if matrix[i, j] > 0) or ("this and that",)
        posts = tuple(sorted(said[name], key=lambda t: abs(len(t) - 90))[:8])
        how = tone(said[name], felt.get(name))
        made.append(Profile(f"member {i + 1}", name, interests, how, posts, taste[i].astype(np.float32)))
    return made


def tone(texts: Sequence[str], felt: Counter[str] | None = None) -> str:
    """How somebody writes, in words.

    >>> tone(["Why now?", "Who did it?"])
    'You write short posts and ask a lot.'
    """
    length = float(np.mean([len(t.split()) for t in texts]))
    told = f"You write {'short' if length < 12 else 'long' if length > 25 else 'plain'} posts"

    def share(test: Any) -> float:
        return float(np.mean([bool(test(t)) for t in texts]))

    often = [
        said for said, much in (
            ("ask a lot", share(lambda t: "?" in t) > 0.3), ("exclaim", share(lambda t: "!" in t) > 0.3),
            ("shout", share(lambda t: sum(c.isupper() for c in t) > 0.4 * max(1, len(t))) > 0.1),
        ) if much
    ]  # fmt: skip
    told += "".join(f" and {o}" for o in often) + "."
    if felt and (strong := [m for m, n in felt.most_common() if m != "neutral" and n >= 0.2 * sum(felt.values())]):
        told += f" Your mood: {', '.join(strong[:2])}."
    return told


def plain(text: str) -> str:
    """A post without links, markup and line ends.

    >>> plain("I&#39;m  in http://a.b/c now")
    "I'm in now"
    """
    return " ".join(_LINK.sub(" ", html.unescape(text)).split())


def _words(text: str) -> list[str]:
    return [w for w in _WORD.findall(text.lower()) if w not in _COMMON]
