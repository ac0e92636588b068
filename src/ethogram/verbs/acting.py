"""Pursuing a goal in an environment that answers back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from ethogram.log import Log


@dataclass(frozen=True)
class Seen:
    """What an environment shows after an action.

    `kind` names what it is where the environment has several things to show ("observation", "failure").
    """

    text: str
    reward: float = 0.0
    done: bool = False
    kind: str = "observation"
    facts: Mapping[str, Any] = field(default_factory=dict)


class Environment(Protocol):
    """A world that answers back, in text."""

    def reset(self, goal: str, seed: int = 0) -> Seen:
        """Begin again with a goal; what is seen first."""
        ...

    def actions(self) -> Mapping[str, str]:
        """Actions that can be taken now: name -> what its argument is, in words."""
        ...

    def step(self, action: str, argument: str) -> Seen:
        """Take an action. One that does not exist, or a bad argument, is answered as kind "failure", not raised."""
        ...


@runtime_checkable
class Acts(Protocol):
    """Pursues a goal in an environment."""

    def act(self, goal: str, environment: Environment, *, seed: int = 0) -> Log:
        """The steps taken, as a log: `user` (the episode), `order`, `kind` (what sort of step), `text`, `actor`."""
        ...
