"""A system that judges, as the command line names it: a folder of a saved one, or a key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ethogram.errors import NotFitted, OptionError, UnknownName, nearest


def judging(model: str, sets: Sequence[str] = (), flags: dict[str, Any] | None = None) -> Any:
    """A system that judges: a folder of a saved one, or the key of one that need not learn, with its options.

    Raises
    ------
    OptionError
        It cannot assess, or is saved and is given options. UnknownName : neither a folder nor a system.
    NotFitted
        It has to learn first.
    """
    from ethogram.catalogue import index
    from ethogram.saving import HEAD
    from ethogram.system import find, load

    place = Path(model).expanduser()
    # a folder that holds no system may bear a system's name
    if (place / HEAD).is_file() or (place.exists() and not _is_system(model)):
        if given := [f"--set {s}" for s in sets] or [f"--{f.replace('_', '-')}" for f in flags or {}]:
            raise OptionError(f"{given[0]}: a saved system has the options that it learned with; leave it out.")
        built = load(place)
        known = built.info
    else:
        known = _known(model)
        if "assess" in known.verbs:
            from ethogram.cli.options import make

            built = make(model, sets, flags)
    if "assess" not in known.verbs:
        able = ", ".join(k for k, i in index().items() if "assess" in i.verbs)
        verbs = ", ".join(known.verbs)
        raise OptionError(f"{known.key} cannot assess: its verbs are {verbs}. Systems that judge: {able or 'none'}.")
    if built.fitted is None and hasattr(find(known.key), "fit"):
        raise NotFitted(
            f"{known.key} has learned nothing yet; `ethogram fit {known.key} LOG --out FOLDER`, then give FOLDER here."
        )
    return built


def _is_system(model: str) -> bool:
    try:
        return bool(_known(model))
    except UnknownName:
        return False


def _known(model: str) -> Any:
    from ethogram.catalogue import index
    from ethogram.system import info

    try:
        return info(model)
    except UnknownName:
        raise UnknownName(
            f"there is no folder '{model}', nor a system of that name.{nearest(model, index())}"
        ) from None
