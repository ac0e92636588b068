"""A language model as judge, with what is known to go wrong in the open.

*Pairs* are judged in both orders. With p the probability that the first shown is better,

    P(a better) = (p_ab + 1 - p_ba) / 2           bias to the first place = (p_ab + p_ba) / 2 - 1/2

The judge abstains where the two orders name different winners, or where P lies within `margin` of one half. *Rubrics*
are judged criterion by criterion on a short scale; the grade is the expected one, and the judge abstains where the
answer could not be read or where its probabilities say nothing (entropy above `doubt` of the largest possible).
Verdicts say when the judge made what it judges. Before a judge is trusted it is compared with people: `against`.

Zheng et al.: Judging LLM-as-a-Judge (NeurIPS 2023).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ethogram.errors import AnswerError, OptionError
from ethogram.evaluate.agreement import Agreement, Weights, kappa

Winner = Literal["a", "b"]


@dataclass(frozen=True)
class Preference:
    """A judged pair.

    Attributes
    ----------
    winner : "a", "b", or None where the judge abstains (`why` says why).
    probability : that a is better, both orders averaged. first : bias to the answer shown first, in [-1/2, 1/2].
    own : the judge wrote one of the two itself. method : how the probabilities were obtained.
    """

    winner: Winner | None
    probability: float
    first: float
    own: bool
    method: str
    why: str = ""


@dataclass(frozen=True)
class Grade:
    """A judged answer: criterion -> expected grade (None where the judge abstains), and the probabilities of each."""

    grades: Mapping[str, float | None]
    probabilities: Mapping[str, np.ndarray]
    own: bool
    method: str

    @property
    def mean(self) -> float | None:
        """Mean of the grades that were given."""
        given = [g for g in self.grades.values() if g is not None]
        return float(np.mean(given)) if given else None


class Judge:
    """Judges answers with a language model.

    Parameters
    ----------
    margin : how near one half a preference may lie before the judge abstains.
    doubt : share of the largest entropy above which a grade says nothing.
    """

    def __init__(self, lm: Any, *, margin: float = 0.05, doubt: float = 0.98):
        if not 0 <= margin < 0.5 or not 0 < doubt <= 1:
            raise OptionError(f"Judge: margin = {margin} must lie in [0, 0.5), doubt = {doubt} in (0, 1].")
        self.lm, self.margin, self.doubt = lm, margin, doubt

    async def compare(
        self, question: str, a: str, b: str, *, rubric: str = "", authors: Sequence[str] = (), purpose: str = "judge",
    ) -> Preference:  # fmt: skip
        """Which of two answers is better.

        Parameters
        ----------
        rubric : what better means. authors : identities of who wrote the answers (`LM.identity`).
        """
        own = self.lm.identity in authors
        made = await asyncio.gather(
            self._first(question, a, b, rubric, purpose), self._first(question, b, a, rubric, purpose)
        )
        if any(m is None for m in made):
            return Preference(None, 0.5, 0.0, own, "unread", "the judge named neither answer")
        (ab, method), (ba, _) = made[0], made[1]  # type: ignore[misc]
        p, first = (ab + 1 - ba) / 2, (ab + ba) / 2 - 0.5
        if (ab > 0.5) == (ba > 0.5):
            return Preference(None, p, first, own, method, "the orders name different winners")
        if abs(p - 0.5) < self.margin:
            return Preference(None, p, first, own, method, f"within {self.margin} of one half")
        return Preference("a" if p > 0.5 else "b", p, first, own, method)

    async def _first(self, question: str, one: str, two: str, rubric: str, purpose: str) -> tuple[float, str] | None:
        """Probability that the answer shown first is the better one."""
        asked = f"{rubric or 'Which answer is more helpful and correct?'} Which of the two answers is better?"
        shown = [f"Question: {question}", f"Answer 1: {one}", f"Answer 2: {two}"]
        try:
            made = await self.lm.choose(asked, ["Answer 1", "Answer 2"], data=shown, purpose=purpose)
        except AnswerError:
            return None
        return float(made.probabilities[0]), str(made.method)

    async def grade(
        self, question: str, answer: str, rubric: Mapping[str, str], *, scale: Sequence[int] = (1, 2, 3, 4, 5),
        author: str = "", purpose: str = "judge",
    ) -> Grade:  # fmt: skip
        """Grade an answer by criteria.

        Parameters
        ----------
        rubric : criterion -> what it asks. scale : grades from worst to best.

        Raises
        ------
        OptionError
            No criterion, or fewer than two grades.
        """
        if not rubric or len(scale) < 2 or list(scale) != sorted(set(scale)):
            raise OptionError("a rubric needs a criterion, and a scale two or more ascending grades.")
        values, options = np.asarray(scale, float), [str(s) for s in scale]
        grades: dict[str, float | None] = {}
        shares: dict[str, np.ndarray] = {}
        method = "unread"
        for name, told in rubric.items():
            asked = f"{name}: {told} Grade the answer from {scale[0]} (worst) to {scale[-1]} (best)."
            try:
                made = await self.lm.choose(
                    asked, options, data=[f"Question: {question}", f"Answer: {answer}"], purpose=purpose
                )
            except AnswerError:
                grades[name], shares[name] = None, np.full(len(scale), 1 / len(scale))
                continue
            p, method = np.asarray(made.probabilities, float), str(made.method)
            entropy = -float((p[p > 0] * np.log(p[p > 0])).sum()) / np.log(len(scale))
            grades[name] = None if entropy > self.doubt else float(p @ values)
            shares[name] = p
        return Grade(grades, shares, bool(author) and author == self.lm.identity, method)


@dataclass(frozen=True)
class Trial:
    """How a judge stands against people.

    Attributes
    ----------
    agreement : kappa with its interval on the items that it answered.
    answered : share of the items that it answered. first : mean bias to the first place.
    longer : how often it preferred the longer answer, less how often people did; None without lengths.
    own : items of which the judge wrote an answer itself.
    """

    agreement: Agreement
    answered: float
    first: float
    longer: float | None
    own: int

    def __str__(self) -> str:
        k = self.agreement
        said = f"kappa {k.kappa:.2f} [{k.low:.2f}, {k.high:.2f}] on {k.answered} of {k.items} items"
        said += f"; bias to the first place {self.first:+.2f}"
        if self.longer is not None:
            said += f"; prefers longer answers {self.longer:+.2f} more often than people do"
        return said + (f"; {self.own} judged its own output" if self.own else "")


def against(
    judged: Sequence[Preference], people: Sequence[Winner | None], *, lengths: Sequence[tuple[int, int]] | None = None,
    weights: Weights = "none", units: Sequence[Any] | None = None, seed: int = 0,
) -> Trial:  # fmt: skip
    """A judge's pairs against people's.

    Parameters
    ----------
    people : "a", "b" or None (a tie) for each pair. lengths : of both answers. units : as in `kappa`.
    """
    said = [p.winner for p in judged]
    agreement = kappa(said, list(people), weights=weights, units=units, seed=seed)
    longer = None
    if lengths is not None:
        tall = ["a" if x > y else "b" for x, y in lengths]
        rows = [(s == t, h == t) for s, h, t in zip(said, people, tall, strict=True) if s and h]
        longer = float(np.mean([a for a, _ in rows]) - np.mean([b for _, b in rows])) if rows else None
    answered = sum(s is not None for s in said) / max(1, len(said))
    first = float(np.mean([p.first for p in judged])) if judged else 0.0
    return Trial(agreement, answered, first, longer, sum(p.own for p in judged))
