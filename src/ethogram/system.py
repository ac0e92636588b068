"""What makes a class a system: `@system(...)` declares it, `system(key)` makes one, `systems()` lists them.

Listing reads the generated index `systems.json` and imports no system; making one imports only its module.

Examples
--------
>>> import ethogram
>>> "popularity" in [s.key for s in ethogram.systems(area="recommend")]
True
"""

from __future__ import annotations

import functools
import importlib
import re
import sys
import types
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar, overload

from ethogram.catalogue import AREAS, SystemInfo, index
from ethogram.catalogue import systems as systems
from ethogram.errors import NotFitted, OptionError, StateError, UnknownName, unknown
from ethogram.options import settle
from ethogram.saving import Saved, read
from ethogram.saving import save as save

_DECLARATION = ("paper", "year", "area", "verbs", "needs", "uses", "baseline")
LEARNED = ("score", "recommend", "forecast", "update", "explain", "similar_items")
"""Verbs of what is learned from a log: their systems have `fit`."""
_declared: dict[str, type] = {}
_C = TypeVar("_C", bound=type)


@overload
def system(
    key: str,
    /,
    *,
    paper: str,
    year: int,
    area: str,
    verbs: Iterable[str],
    needs: Iterable[str] = (),
    uses: Iterable[str] = (),
    baseline: bool = False,
) -> Callable[[_C], _C]: ...
@overload
def system(key: str, /, **options: Any) -> Any: ...
def system(key: str, /, **given: Any) -> Any:
    """Declare a system (as a decorator, with `paper` and the other facts) or make one from its options.

    Parameters
    ----------
    key : short name, unique among all systems.
    paper, year, area, verbs, needs, uses, baseline : the declaration; see `SystemInfo`.
    **options : otherwise, the options of the system to make.

    Raises
    ------
    UnknownName
        No system of that key; the nearest is told.
    OptionError
        Unknown option or a value that it does not allow.
    MissingExtra
        A module in `needs` is not installed; the extra that brings it is told.
    """
    if "paper" in given:
        return _declare(key, **given)
    return find(key)(**given)


def info(key: str) -> SystemInfo:
    """What is known of one system."""
    known = index()
    if key in known:
        return known[key]
    if key in _declared:
        declared: SystemInfo = _declared[key].info  # type: ignore[attr-defined]
        return declared
    raise UnknownName(unknown("system", key, [*known, *_declared]))


def find(key: str) -> type:
    """The class of a system, imported now."""
    if key in _declared:
        return _declared[key]
    known = info(key)
    known.require()
    found: type = getattr(importlib.import_module(known.module), known.class_name)
    return found


def load(path: str | Path) -> Any:
    """A fitted system from a folder that `save` wrote.

    Raises
    ------
    StateError
        The folder is no saved system, a member (named) is missing or damaged, or another version wrote it, whose state
        the installed system cannot read.
    OptionError
        It was saved with an option that the installed system does not have.
    """
    return _revive(read(Path(path)))


def options(built: Any) -> dict[str, Any]:
    """The options of a system as they are now, by name."""
    return {f.name: getattr(built, f.name) for f in fields(built) if f.init}


def resolve(given: Any, protocol: Any) -> Any:
    """A system given as an object or by its key, checked to keep a verb's protocol."""
    built = system(given) if isinstance(given, str) else given
    lacking = [m for m in _methods(protocol) if not callable(getattr(built, m, None))]
    if lacking:
        name = getattr(getattr(built, "info", None), "key", type(built).__name__)
        raise OptionError(f"'{name}' cannot stand here: {protocol.__name__} asks for {', '.join(lacking)}.")
    return built


def _revive(saved: Saved) -> Any:
    given = {n: _revive(v) if isinstance(v, Saved) else v for n, v in saved.options.items()}
    built = system(saved.key, **given)
    if saved.state is None:
        return built
    try:
        return built.restore(saved.state)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        # its members have the right checksums: they are of another form
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise StateError(
            f"'{saved.key}' was saved by a version that keeps other things ({said}). Fit it again."
        ) from error


def _declare(
    key: str,
    *,
    paper: str,
    year: int,
    area: str,
    verbs: Iterable[str],
    needs: Iterable[str] = (),
    uses: Iterable[str] = (),
    baseline: bool = False,
) -> Callable[[_C], _C]:
    from ethogram.verbs import VERBS  # here, because listing systems must not load NumPy and Arrow

    verbs = tuple(verbs)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", key):
        raise OptionError(f"system key '{key}' is not lower-case letters, digits and underscores.")
    if area not in AREAS:
        raise UnknownName(f"{key}: " + unknown("area", area, AREAS))
    for verb in verbs:
        if verb not in VERBS:
            raise UnknownName(f"{key}: " + unknown("verb", verb, VERBS))

    def decorate(cls: _C) -> _C:
        if not is_dataclass(cls):
            raise OptionError(f"{key}: write @dataclass(kw_only=True) below @system.")
        named = [f for f in fields(cls) if f.init]
        if placed := [f.name for f in named if not f.kw_only]:
            raise OptionError(f"{key}: write @dataclass(kw_only=True); option '{placed[0]}' is not keyword-only.")
        if taken := [f.name for f in named if f.name in (*_DECLARATION, "info", "fitted")]:
            raise OptionError(f"{key}: an option cannot be called '{taken[0]}'.")
        promised = {m for v in verbs for m in _methods(VERBS[v])} | {"state", "restore"}
        promised |= {"fit"} if set(verbs) & set(LEARNED) else set()
        if lacking := sorted(m for m in promised if not callable(getattr(cls, m, None))):
            raise OptionError(f"{key}: its verbs promise {', '.join(lacking)}, which {cls.__name__} lacks.")
        other = _declared.get(key)
        if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise OptionError(f"two systems are called '{key}': {other.__module__} and {cls.__module__}.")
        facts = (key, area, paper, year, verbs, tuple(needs), tuple(uses), baseline)
        known = SystemInfo(*facts, cls.__module__, cls.__qualname__)
        if any(f.name == "calibrate" for f in named) and not getattr(cls, "maps_itself", False):
            from ethogram.numeric.calibrated import calibrating

            for name, value in calibrating(cls).items():
                setattr(cls, name, value)
        for name, value in _additions(cls, known, promised - {"fit", "restore"}).items():
            setattr(cls, name, value)
        _declared[key] = cls
        return cls

    return decorate


def _additions(cls: type, known: SystemInfo, guarded: Iterable[str]) -> dict[str, Any]:
    """What the decorator puts on a class: checked construction, guarded verbs, `save`, `>>`."""
    original = cls.__init__  # type: ignore[misc]

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **given: Any) -> None:
        if args:
            raise OptionError(f"{known.key}: options are given by name, not by place.")
        original(self, **settle(cls, known.key, given, resolve))

    added: dict[str, Any] = {"info": known, "__init__": __init__, "save": save}
    if not hasattr(cls, "fitted"):
        added["fitted"] = None
    for name in guarded:
        added[name] = _guarded(known.key, name, getattr(cls, name))
    if "recommend" in known.verbs and not hasattr(cls, "__rshift__"):
        added["__rshift__"] = lambda self, ranker: system("pipeline", retriever=self, ranker=ranker)
    return added


def _guarded(key: str, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that first asks whether there is anything learned, and whether `k` is a number of items."""

    @functools.wraps(method)
    def asked(self: Any, *args: Any, **given: Any) -> Any:
        if self.fitted is None:
            raise NotFitted(f"{key}: {name} before fit; call fit(log), or load a saved system.")
        if name in ("recommend", "forecast"):
            k = given.get("k", args[1] if len(args) > 1 else 1)
            if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
                what = "items" if name == "recommend" else "events"
                raise OptionError(f"{key}: k = {k!r} is not a number of {what}; give 1 or more.")
        return method(self, *args, **given)

    return asked


def _methods(protocol: type) -> list[str]:
    functions = (n for n, v in vars(protocol).items() if isinstance(v, types.FunctionType))
    return [n for n in functions if not n.startswith("_")]


class _Callable(types.ModuleType):
    """This module, callable: `ethogram.system` is both the module and the thing that one calls."""

    def __call__(self, key: str, /, **given: Any) -> Any:
        return system(key, **given)


sys.modules[__name__].__class__ = _Callable
