"""A world built as a system has it: with so many minds, a model, and that model's recording."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ethogram import options as declared
from ethogram.errors import OptionError, UnknownName
from ethogram.lm import LM, Broker, Budget, Prices
from ethogram.lm.blocking import run as wait_for
from ethogram.lm.endpoint import Endpoint
from ethogram.lm.fallback import Fallback
from ethogram.replay.manifest import Manifest
from ethogram.system import find, info, system
from ethogram.world import World

SCRIPTED = "scripted"
KEPT = 512
"""MiB for prompts that the embedded model has read."""
TIMEOUT = 300.0
"""Seconds for one try of a call."""


VERB = "simulate"
_NEXT = re.compile(r",(?=local\b|torch\b|https?://)")
"""Between the models of a chain."""


@dataclass(frozen=True)
class Spending:
    """What a session of a run may spend of its models, and what follows when that is gone.

    Attributes
    ----------
    budget, prices : of the models at URLs, where there are some; what is in this process then goes on without bound.
    spent : "degrade": the next model of a chain, else the system's rules decide; "stop": the run ends before the tick.
    timeout : seconds that a model at a URL has for one try of a call.
    """

    budget: Budget | None = None
    prices: Prices | None = None
    spent: str = "degrade"
    timeout: float = TIMEOUT


def made(told: Manifest) -> Any:
    """The system of a run.

    Raises
    ------
    UnknownName, MissingExtra, OptionError
        No such system, something it needs is missing, it cannot simulate, or an option is none of its own.
    """
    known = info(told.key)
    if VERB not in known.verbs:
        raise OptionError(f"{told.key} cannot simulate; its verbs are {', '.join(known.verbs)}.")
    hints = declared.hints(find(told.key))
    given = {}
    for name, value in told.options.items():
        if name not in hints:
            raise UnknownName(declared.unknown_option(told.key, name, hints))
        if isinstance(value, str):
            value = declared.parse(told.key, name, hints[name], value)
        given[name] = tuple(value) if isinstance(value, list) else value
    return system(told.key, **given)


def built(
    told: Manifest, folder: Path | None = None, *, mode: str | None = None, spending: Spending = Spending()
) -> tuple[Any, Any]:
    """(system, world at its beginning).

    Parameters
    ----------
    folder : where the calls to its model are recorded. mode : of the broker; None records, or goes on recording.

    Raises
    ------
    OptionError
        A model is given, and nobody is played by one. Or what the system's `world` says.
    """
    one, lm = made(told), None
    if told.lm is not None and told.lm != SCRIPTED:
        lm = _connected(told, folder, mode, spending)
    world = one.world(seed=told.seed, minds=told.minds, lm=lm)
    if lm is not None and world.declared.lm is not lm:
        raise OptionError(f"--lm {told.lm}: nobody of {told.key} is played by a model yet; give --minds.")
    own = world.declared.lm
    if lm is None and isinstance(own, LM):
        # the system's own rules are recorded like any model
        own.broker = _broker(told, folder, mode, spending, [own.identity])
    if world.declared.spent != spending.spent:
        world.declared = replace(world.declared, spent=spending.spent)
    if told.branches:
        world.declared = replace(world.declared, run=f"{world.declared.run}, fork {told.branches[-1].at}")
    return one, world


def reachable(world: World) -> None:
    """Make sure that the model of a world is there, if it is at a URL; nobody's first decision is the place to learn.

    Raises
    ------
    LMError
        Nothing answers there, or the key is refused. UnknownName, OptionError: there is no such model, or several.
    """
    lm = world.declared.lm
    if isinstance(lm, LM) and isinstance(lm.wire, Endpoint):
        wait_for(lm.wire.model())


def _connected(told: Manifest, folder: Path | None, mode: str | None, spending: Spending) -> LM:
    """The model of a run, or several as a chain."""
    models = []
    for one in _NEXT.split(str(told.lm)):
        # people take turns, each with a beginning of their own
        kept = {"kept": KEPT} if one.partition(":")[0] == "local" else {}
        where, _, model = one.partition("#") if one.startswith("http") else (one, "", "")
        models.append(LM.connect(where, model=model or None, broker=Broker.bare(), **kept))
    paid = {m.identity for m in models if isinstance(m.wire, Endpoint)} or {m.identity for m in models}
    broker = _broker(told, folder, mode, spending, paid, {m.identity for m in models} - paid)
    for lm in models:
        lm.broker = broker
    return Fallback(models) if len(models) > 1 else models[0]


def _broker(
    told: Manifest, folder: Path | None, mode: str | None, spending: Spending, paid: Collection[str],
    free: Collection[str] = (),
) -> Broker:  # fmt: skip
    how: dict[str, Any] = {"budget": spending.budget, "timeout": spending.timeout, "free": free}
    if spending.prices is not None:
        how["prices"] = dict.fromkeys(paid, spending.prices)
    if folder is None:
        return Broker.bare(**how)
    place = folder / told.recording
    chosen: Any = mode or ("replay-lenient" if place.exists() else "record")
    place.parent.mkdir(parents=True, exist_ok=True)
    return Broker(run=place, mode=chosen, cache=False, **how)
