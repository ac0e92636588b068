"""A world built as a system has it: with so many minds, a model, and that model's recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ethogram import options as declared
from ethogram.errors import OptionError, UnknownName
from ethogram.lm import LM, Broker
from ethogram.lm.blocking import run as wait_for
from ethogram.lm.endpoint import Endpoint
from ethogram.replay.manifest import Manifest
from ethogram.system import find, info, system
from ethogram.world import World

SCRIPTED = "scripted"
KEPT = 512
"""MiB for prompts that the embedded model has read."""
TIMEOUT = 300.0
"""Seconds for one try of a call."""


VERB = "simulate"


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
    told: Manifest, folder: Path | None = None, *, mode: str | None = None, timeout: float = TIMEOUT
) -> tuple[Any, Any]:
    """(system, world at its beginning).

    Parameters
    ----------
    folder : where the calls to its model are recorded. mode : of the broker; None records, or goes on recording.
    timeout : seconds that a model at a URL has for one try of a call.

    Raises
    ------
    OptionError
        A model is given, and nobody is played by one. Or what the system's `world` says.
    """
    one, lm = made(told), None
    if told.lm is not None and told.lm != SCRIPTED:
        # people take turns, each with a beginning of their own
        kept = {"kept": KEPT} if told.lm.partition(":")[0] == "local" else {}
        where, _, model = told.lm.partition("#") if told.lm.startswith("http") else (told.lm, "", "")
        lm = LM.connect(where, model=model or None, broker=_broker(told, folder, mode, timeout), **kept)
    world = one.world(seed=told.seed, minds=told.minds, lm=lm)
    if lm is not None and world.declared.lm is not lm:
        raise OptionError(f"--lm {told.lm}: nobody of {told.key} is played by a model yet; give --minds.")
    own = world.declared.lm
    if lm is None and isinstance(own, LM) and folder is not None:
        own.broker = _broker(told, folder, mode, timeout)  # the system's own rules are recorded like any model
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


def _broker(told: Manifest, folder: Path | None, mode: str | None, timeout: float) -> Broker:
    if folder is None:
        return Broker.bare(timeout=timeout)
    place = folder / told.recording
    chosen: Any = mode or ("replay-lenient" if place.exists() else "record")
    place.parent.mkdir(parents=True, exist_ok=True)
    return Broker(run=place, mode=chosen, cache=False, timeout=timeout)
