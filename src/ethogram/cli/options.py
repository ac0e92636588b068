"""The options of a system as flags of a command, and as ``--set name=value``."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ethogram import options
from ethogram.catalogue import SystemInfo, index
from ethogram.cli.opening import Reading
from ethogram.errors import OptionError
from ethogram.system import find, system

Set = Annotated[
    tuple[str, ...],
    Parameter(name="--set", help="An option as name=value; can be repeated.", negative=(), show_default=False),
]


def with_options(command: str, tokens: Sequence[str]) -> Callable[..., Any]:
    """A command whose function takes `**flags`, with the flags of the system that the tokens name.

    The flags come from systems.json, so help imports no system.
    """
    function: Callable[..., Any] = getattr(importlib.import_module(f"ethogram.cli.{command}"), command)
    named = next((t for t in tokens if t in index()), None)
    if named is None:
        return function  # takes any flag, and says which system is unknown
    signature = inspect.signature(function, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    taken = {p.name for p in own} | {f.name for f in fields(Reading)}
    flags = [_flag(index()[named], o) for o in index()[named].options if o.name not in taken]

    def called(*args: Any, **given: Any) -> Any:
        return function(*args, **{n: v for n, v in given.items() if v is not None or n in taken})

    called.__signature__ = signature.replace(parameters=[*own, *flags])  # type: ignore[attr-defined]
    called.__doc__, called.__name__ = function.__doc__, function.__name__
    called.__annotations__ = {p.name: p.annotation for p in [*own, *flags]}
    return called


def _flag(known: SystemInfo, option: options.Option) -> inspect.Parameter:
    kind: Any = str
    if option.type == "bool":
        kind = bool
    elif option.choices and all(isinstance(c, str) for c in option.choices):
        kind = Literal[option.choices]  # type: ignore[valid-type]
    default = "required" if option.required else f"default: {shown(option.default)}"
    told = Parameter(help=f"{option.doc} [{option.type}; {default}]".strip(), group=f"Options of {known.key}")
    return inspect.Parameter(
        option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, told]
    )


def shown(value: Any) -> str:
    """A default as one would type it."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def chosen(key: str, sets: Sequence[str], flags: dict[str, Any] | None = None) -> dict[str, Any]:
    """Option -> value from ``--set name=value`` and flags, checked against the system's own declaration.

    Raises
    ------
    UnknownName, MissingExtra, OptionError
        No such system, something it needs is missing, or an unknown option or value.
    """
    return read(key, find(key), sets, flags)


def read(key: str, cls: type, sets: Sequence[str], flags: dict[str, Any] | None = None) -> dict[str, Any]:
    """Option -> value for a dataclass of options, named `key` in errors."""
    hints = options.hints(cls)
    texts: dict[str, Any] = {n.replace("-", "_"): v for n, v in (flags or {}).items()}
    for text in sets:
        name, sign, value = text.partition("=")
        if not sign:
            raise OptionError(f"--set {text}: write name=value.")
        texts[name.strip().replace("-", "_")] = value
    found = {}
    for name, value in texts.items():
        if name not in hints:
            raise OptionError(options.unknown_option(key, name, hints))
        found[name] = options.parse(key, name, hints[name], value) if isinstance(value, str) else value
    return found


def make(key: str, sets: Sequence[str], flags: dict[str, Any] | None = None) -> Any:
    """A system of that key with these options."""
    return system(key, **chosen(key, sets, flags))
