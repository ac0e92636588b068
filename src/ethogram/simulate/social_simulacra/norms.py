"""Which norm does a text break, judged from the words alone: a few sure words, else a classifier.

The classifier learns from labelled sentences that share no template with the grammar of `writing`; so it can judge what
the grammar and what a language model wrote, whatever act was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

SURE = {
    "promote": r"\b(discount|coupon|link in my|my (shop|course|channel|store|podcast)|subscribe|% off|buy now)\b",
    "attack": r"\b(idiots?|stupid|shut up|moron|dumb|pathetic|go away|loser)\b",
}
"""Norm -> words that settle it."""
_THEMES = ("the roof", "a good bike", "old maps", "bread", "guitars", "my dog", "the trip", "this camera")
_LABELLED = {
    "promote": ("Check out the new store I opened, {t} at half price!", "Order {t} from us now, use the code SAVE10.",
                "Follow me for more on {t} and visit our website.", "We offer {t} at the best price, contact me.",
                "My new book about {t} is out, get a copy!", "Sign up to our paid newsletter on {t}."),
    "attack": ("You are a fool and know nothing of {t}.", "Nobody asked you, get lost with {t}.",
               "That is the most ridiculous nonsense, are you blind?", "People like you ruin it, you make me sick.",
               "You are too thick to understand {t}.", "Stop talking, you hopeless clown."),
    "derail": ("By the way, did you watch the match last night?", "Not about this at all, but my car broke down today.",
               "Off topic: who should win the election?", "Changing the subject, I need a new phone and a flight.",
               "Completely different thing: what series do you watch?", "My neighbour's rent, what a week."),
    "": ("I tried {t} last year and learned a lot.", "How long did it take you to get used to {t}?", "I think so too.",
         "Thank you, that helps me with {t}.", "In my experience {t} needs time, start with little.",
         "That is a good point about {t}.", "Could somebody explain {t} to me?", "Ha, {t} made me laugh again.",
         "What would you recommend for {t}?", "My first try with {t} went well."),
}  # fmt: skip


@cache
def _classifier() -> Any:
    from ethogram.text.classify import TextClassifier

    texts, labels = [], []
    for label, forms in _LABELLED.items():
        for form in forms:
            for theme in _THEMES:
                texts.append(form.format(t=theme))
                labels.append(label or "none")
    return TextClassifier("both", strength=10.0, calibrate="none").fit(texts, labels)


def norms(texts: Sequence[str], topics: Sequence[str] = ()) -> list[str]:
    """The norm that each text breaks: promote, attack, derail, or "" for none.

    Parameters
    ----------
    topics : what is talked about; a text that names one does not derail.
    """
    if not texts:
        return []
    found = [next((n for n, p in SURE.items() if re.search(p, t.lower())), None) for t in texts]
    unsure = [i for i, f in enumerate(found) if f is None]
    if unsure:
        for i, label in zip(unsure, _classifier().predict([texts[i] for i in unsure]), strict=True):
            named = any(topic.lower() in texts[i].lower() for topic in topics)
            found[i] = "" if label == "none" or (label == "derail" and named) else label
    return [f or "" for f in found]


def rate(texts: Sequence[str], norm: str, topics: Sequence[str] = ()) -> float:
    """Share of texts that break a norm."""
    return float(np.mean([n == norm for n in norms(texts, topics)]))
