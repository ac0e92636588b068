"""The taxonomy as code: every way to steer or inspect a simulation is a named command that says where it stands.

    @control(why="explore", when="during", what="environment", who="director", how="code")
    def inject(session, strength: float, at: int | None = None): "A campaign of this strength."

Values of the five questions are those of the survey; a command may stand for several ("what"). The arguments of a
command are typed by its signature and checked before anything is done.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ethogram.errors import OptionError, UnknownName, unknown

WHY = ("initialise", "explore", "refine", "evaluate", "analyse", "immerse")
WHEN = ("before", "during", "after")
WHAT = ("agents", "environment", "system", "data")
WHO = ("scriptwriter", "director", "prototype", "actor", "observer")
HOW = ("code", "parameters", "language", "embodied")
QUESTIONS: dict[str, tuple[str, ...]] = {"why": WHY, "when": WHEN, "what": WHAT, "who": WHO, "how": HOW}


@dataclass(frozen=True)
class Control:
    """A command: its name, what it does, where it stands, and whether it changes the simulation."""

    name: str
    about: str
    why: tuple[str, ...]
    when: tuple[str, ...]
    what: tuple[str, ...]
    who: tuple[str, ...]
    how: tuple[str, ...]
    changes: bool
    function: Callable[..., Any]

    def checked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments, typed; OptionError where one is missing, unknown or of another type."""
        signature = inspect.signature(self.function)
        try:
            bound = signature.bind(None, **arguments)
        except TypeError as error:
            raise OptionError(f"{self.name}: {error}; it takes {self.takes() or 'nothing'}.") from None
        hints = typing.get_type_hints(self.function, localns={"Session": object})
        for name, value in list(bound.arguments.items())[1:]:
            if not _is(value, hints[name]):
                raise OptionError(
                    f"{self.name}: {name} = {value!r} is {type(value).__name__}; it must be {_told(hints[name])}."
                )
        return dict(arguments)

    def takes(self) -> str:
        """Names of the arguments."""
        return ", ".join(list(inspect.signature(self.function).parameters)[1:])


REGISTRY: dict[str, Control] = {}


def control(
    *, why: str | Sequence[str], when: str | Sequence[str], what: str | Sequence[str], who: str | Sequence[str],
    how: str | Sequence[str], changes: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # fmt: skip
    """Register a command; its docstring says what it does.

    Raises
    ------
    UnknownName
        A value that the taxonomy does not have. OptionError: the name is there already, or nothing says what it does.
    """
    given = {"why": why, "when": when, "what": what, "who": who, "how": how}
    told = {n: (v,) if isinstance(v, str) else tuple(v) for n, v in given.items()}
    for question, values in told.items():
        for value in values:
            if value not in QUESTIONS[question]:
                raise UnknownName(unknown(question, value, QUESTIONS[question]))

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__
        if name in REGISTRY:
            raise OptionError(f"two commands are called '{name}'.")
        about = (inspect.getdoc(function) or "").partition("\n")[0]
        if not about:
            raise OptionError(f"command '{name}' does not say what it does; give it a docstring.")
        REGISTRY[name] = Control(name, about, changes=changes, function=function, **told)
        return function

    return register


def find(name: str) -> Control:
    """The command of a name; UnknownName tells the nearest."""
    if name not in REGISTRY:
        raise UnknownName(unknown("command", name, REGISTRY))
    return REGISTRY[name]


def _is(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return any(_is(value, h) for h in typing.get_args(hint))
    kind = typing.get_origin(hint) or hint
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _told(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint)) if not typing.get_args(hint) else str(hint).replace("typing.", "")
