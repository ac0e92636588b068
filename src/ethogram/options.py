"""Options of a system: dataclass fields checked by their annotations, read from text, with their docs.

An option's annotation is `int`, `float`, `bool`, `str`, `Literal[...]`, `tuple[...]`, `X | None`, or a verb
protocol (`ranker: Scores = "din"`: another system, given as an object or by its key).
"""

from __future__ import annotations

import ast
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

from ethogram.errors import OptionError, nearest

Resolve = Callable[[str, Any], Any]
"""(key or system, protocol) -> system that keeps the protocol."""


@dataclass(frozen=True)
class Option:
    """One option as the command line, the catalogue and forms show it."""

    name: str
    type: str
    default: Any = None
    doc: str = ""
    required: bool = False
    choices: tuple[Any, ...] = ()
    space: Mapping[str, Any] | None = None
    "Where tuning looks: ``{'low', 'high', 'log'}`` or ``{'among'}``; None: it leaves the option as it is."


def searched(
    default: Any, low: float | None = None, high: float | None = None, *, log: bool = False, among: Any = None
) -> Any:
    """An option's default with the space that tuning searches: from `low` to `high`, or `among` a few values.

    Parameters
    ----------
    log : equal ratios are equally far apart.

    Examples
    --------
    >>> @dataclass(kw_only=True)
    ... class Smoothed:
    ...     strength: float = searched(10.0, 0.1, 1_000.0, log=True)
    ...     window: int | None = searched(None, among=(None, 30, 90))
    >>> Smoothed().strength, spaces(Smoothed)["window"]
    (10.0, {'among': [None, 30, 90]})
    """
    if (among is None) == (low is None or high is None):
        raise OptionError("searched: give low and high, or among.")
    space = {"among": list(among)} if among is not None else {"low": low, "high": high, "log": log}
    return field(default=default, metadata={"space": space})


def spaces(cls: type) -> dict[str, Mapping[str, Any]]:
    """Option -> space, for the options that tuning searches; a field that only moves a default keeps its space."""
    found = {}
    for name in (f.name for f in fields(cls) if f.init):
        owners = (vars(c).get("__dataclass_fields__", {}) for c in cls.__mro__)
        declared = (o[name].metadata.get("space") for o in owners if name in o)
        if (space := next((s for s in declared if s is not None), None)) is not None:
            found[name] = space
    return found


@cache
def hints(cls: type) -> Mapping[str, Any]:
    """Option name -> resolved annotation, in the order of the fields."""
    found = {}
    for f in fields(cls):
        if f.init:
            owner = next(c for c in cls.__mro__ if f.name in inspect.get_annotations(c))
            probe = types.SimpleNamespace(__annotations__={f.name: inspect.get_annotations(owner)[f.name]})
            module = inspect.getmodule(owner)
            names = {**vars(typing), **(vars(module) if module else {}), **vars(owner)}
            found[f.name] = typing.get_type_hints(probe, globalns=names)[f.name]
    return types.MappingProxyType(found)


def settle(cls: type, key: str, given: Mapping[str, Any], resolve: Resolve) -> dict[str, Any]:
    """Checked options: what was given, else the default; near types are converted (2 -> 2.0, [1] -> (1,)).

    Raises
    ------
    OptionError
        Unknown name (the nearest is told), missing value, or a value that its annotation does not allow.
    """
    known = hints(cls)
    for name in given:
        if name not in known:
            raise OptionError(unknown_option(key, name, known))
    settled: dict[str, Any] = {}
    for f in fields(cls):
        if not f.init:
            continue
        if f.name in given:
            settled[f.name] = check(key, f.name, known[f.name], given[f.name], resolve)
        elif f.default is not MISSING:
            settled[f.name] = check(key, f.name, known[f.name], f.default, resolve)
        elif f.default_factory is MISSING:
            raise OptionError(f"{key}: option '{f.name}' has no default; give {told(known[f.name])}.")
    return settled


def unknown_option(key: str, name: str, known: Iterable[str]) -> str:
    """Message for an option that a system does not have."""
    known = list(known)
    return f"{key} has no option '{name}'.{nearest(name, known)} Options: {', '.join(known) or 'none'}."


def check(key: str, name: str, annotation: Any, value: Any, resolve: Resolve) -> Any:
    """The value as its annotation has it, or OptionError."""
    if (protocol := verb(annotation)) is not None:
        if value is None and type(None) in typing.get_args(annotation):
            return None
        return resolve(value, protocol)
    try:
        return _convert(annotation, value)
    except ValueError:
        shown = getattr(value, "key", None) or repr(value)
        hint = nearest(value, map(str, _choices(annotation))) if isinstance(value, str) else ""
        raise OptionError(f"{key}: option {name} = {shown} is not {told(annotation)}.{hint}") from None


def parse(key: str, name: str, annotation: Any, text: str) -> Any:
    """The value that a text (``--set name=text``) means under an annotation; not yet checked further."""
    for kind in _members(annotation):
        try:
            return _read(kind, text)
        except ValueError:
            continue
    hint = nearest(text, map(str, _choices(annotation)))
    raise OptionError(f"{key}: option {name} = '{text}' is not {told(annotation)}.{hint}")


def verb(annotation: Any) -> Any:
    """The verb protocol in an annotation (alone, or as ``Scores | str``); None if there is none."""
    return next((m for m in _members(annotation) if _is_verb(m)), None)


def _is_verb(annotation: Any) -> bool:
    return bool(getattr(annotation, "_is_protocol", False))


def told(annotation: Any) -> str:
    """An annotation in words."""
    members = _members(annotation)
    if len(members) > 1:
        return " or ".join(told(m) for m in members)
    kind = members[0]
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        return ("one of " if len(choices) > 1 else "") + ", ".join(map(str, choices))
    if typing.get_origin(kind) in (tuple, list):
        inner = [a for a in typing.get_args(kind) if a is not ...]
        return f"a list of {told(inner[0])}" if len(set(inner)) == 1 else f"({', '.join(map(told, inner))})"
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "none"}
    if _is_verb(kind):
        return f"a system that can {kind.__name__.lower().rstrip('s')}"
    return plain.get(kind, getattr(kind, "__name__", str(kind)))


def _members(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _choices(annotation: Any) -> tuple[Any, ...]:
    return tuple(c for m in _members(annotation) if typing.get_origin(m) is typing.Literal for c in typing.get_args(m))


def _convert(annotation: Any, value: Any) -> Any:
    members = _members(annotation)
    if len(members) > 1:
        for kind in members:
            try:
                return _convert(kind, value)
            except ValueError:
                continue
        raise ValueError
    kind, origin, args = members[0], typing.get_origin(members[0]), typing.get_args(members[0])
    if kind is Any:
        return value
    if origin is typing.Literal:
        for choice in args:
            if type(choice) is type(value) and choice == value:
                return choice
        raise ValueError
    if origin in (tuple, list):
        if not isinstance(value, tuple | list):
            raise ValueError
        if origin is list or args[-1] is ...:
            return origin(_convert(args[0], v) for v in value)
        if len(args) != len(value):
            raise ValueError
        return tuple(_convert(a, v) for a, v in zip(args, value, strict=True))
    if kind in (int, float) and isinstance(value, bool):
        raise ValueError
    if kind is int and isinstance(value, Integral):
        return int(value)
    if kind is float and isinstance(value, Real) and not math.isnan(value):
        return float(value)
    if kind in (None, type(None)) and value is None:
        return None
    if isinstance(origin or kind, type) and kind not in (int, float) and isinstance(value, origin or kind):
        return value
    raise ValueError


def _read(kind: Any, text: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    plain = text.strip().lower()
    if kind in (None, type(None)):
        if plain in ("none", "null"):
            return None
        raise ValueError
    if kind is bool:
        if plain in ("true", "yes", "on", "1"):
            return True
        if plain in ("false", "no", "off", "0"):
            return False
        raise ValueError
    if kind in (int, float):
        return kind(text)
    if origin is typing.Literal:
        for choice in args:
            if str(choice).lower() == plain:
                return choice
        raise ValueError
    if origin in (tuple, list):
        parts = [p for p in text.strip("()[] ").split(",") if p.strip()]
        kinds = [args[0]] * len(parts) if origin is list or args[-1] is ... else list(args)
        if len(kinds) != len(parts):
            raise ValueError
        return origin(_read(k, p.strip()) for k, p in zip(kinds, parts, strict=True))
    return text


def table(cls: type) -> tuple[Option, ...]:
    """Every option with its type as written, its default and the text below the field; inherited ones come last."""
    docs, own, searching = field_docs(cls), inspect.get_annotations(cls), spaces(cls)
    rows = []
    for f in sorted(fields(cls), key=lambda f: f.name not in own):
        if f.init:
            default = f.default_factory() if f.default_factory is not MISSING else f.default
            required = default is MISSING
            annotation = hints(cls)[f.name]
            written = f.type if isinstance(f.type, str) else inspect.formatannotation(f.type)
            if typing.get_origin(annotation) is typing.Literal:  # an alias would not tell a reader what may be given
                written = f"Literal[{', '.join(map(repr, typing.get_args(annotation)))}]"
            doc, choices = docs.get(f.name, ""), _choices(annotation)
            space = searching.get(f.name)
            rows.append(Option(f.name, written, None if required else default, doc, required, choices, space))
    return tuple(rows)


def field_docs(cls: type) -> dict[str, str]:
    """Field -> the string literal below it (Python throws these away, so they are read from the source)."""
    docs: dict[str, str] = {}
    for owner in reversed(cls.__mro__[:-1]):
        try:
            tree = ast.parse(inspect.getsource(inspect.getmodule(owner) or owner))
        except (OSError, TypeError):
            continue
        classes = (n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == owner.__name__)
        for line, below in pairwise(next((n.body for n in classes), [])):
            if (
                isinstance(line, ast.AnnAssign)
                and isinstance(line.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
                and isinstance(below.value.value, str)
            ):
                docs[line.target.id] = inspect.cleandoc(below.value.value)
    return docs
