"""Who plays which part: the model under study, the one that judges it, and the one that plays the user.

The three may be one model or different ones. A judge that judges its own output is told of, never hidden: models
prefer what they wrote themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ethogram.lm.model import LM


@dataclass(frozen=True)
class Cast:
    """The parts of a study; `judge` and `user` are the subject where they are not given."""

    subject: LM
    judge_: LM | None = None
    user_: LM | None = None

    @classmethod
    def of(cls, subject: LM, *, judge: LM | None = None, user: LM | None = None) -> Cast:
        """The parts, by name."""
        return cls(subject, judge, user)

    @property
    def judge(self) -> LM:
        return self.judge_ or self.subject

    @property
    def user(self) -> LM:
        return self.user_ or self.subject

    @property
    def self_judged(self) -> bool:
        """Whether the judge is the subject: the same weights, or the same model at the same endpoint."""
        return self.judge.identity == self.subject.identity

    @property
    def self_talking(self) -> bool:
        """Whether the user is played by the subject."""
        return self.user.identity == self.subject.identity

    def notes(self) -> dict[str, Any]:
        """Facts for a Record."""
        return {
            "subject": self.subject.identity,
            "judge": self.judge.identity,
            "user": self.user.identity,
            "self_judged": self.self_judged,
            "self_talking": self.self_talking,
        }

    def warning(self) -> str:
        """One line where the judge judges itself, else empty."""
        return f"the judge judges its own output: {self.judge.identity}" if self.self_judged else ""
