"""Which system a record is about: its key, its options as data, and the code that it is made of."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate.evaluation import name_of


def options_of(system: Any) -> dict[str, Any]:
    """Options as JSON; a system among them becomes ``{"system": key, "options": {...}}``.

    Raises
    ------
    OptionError
        An option holds what a record cannot: it could not be run again from there.
    """
    if not is_dataclass(system):
        return {}
    return {f.name: _option(getattr(system, f.name), f"{name_of(system)}: {f.name}") for f in fields(system) if f.init}


def code_of(system: Any) -> str:
    """Hash of the source of the module that defines the system and of those of the systems among its options.

    A record made before that module changed is then another record. A change in a room below goes with a new
    version of the package.
    """
    digest = hashlib.blake2b(digest_size=8)
    for kind in sorted({type(s) for s in _with_parts(system)}, key=lambda k: (k.__module__, k.__qualname__)):
        digest.update(f"{kind.__module__}.{kind.__qualname__}".encode())
        try:
            digest.update(Path(inspect.getfile(kind)).read_bytes())
        except (OSError, TypeError):
            continue  # defined in a prompt or a notebook: its name must do
    return digest.hexdigest()


def plain(value: Any) -> Any:
    """A value as strict JSON knows it: NumPy numbers unwrapped, NaN and infinities null, tuples lists."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return [plain(v) for v in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, Path):
        return str(value)
    return value


def _option(value: Any, where: str) -> Any:
    if hasattr(value, "info") and is_dataclass(value) and not isinstance(value, type):
        return {"system": name_of(value), "options": options_of(value)}
    if isinstance(value, list | tuple):
        return [_option(v, where) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _option(v, where) for k, v in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _option(getattr(value, f.name), where) for f in fields(value) if f.init}
    made = plain(value)
    if made is None or isinstance(made, str | int | float | bool | list | dict):
        return made
    raise OptionError(f"{where} holds a {type(value).__name__}, which a record cannot keep.")


def _with_parts(system: Any) -> list[Any]:
    found = [system]
    for f in fields(system) if is_dataclass(system) else ():
        value = getattr(system, f.name, None)
        if f.init and is_dataclass(value) and not isinstance(value, type):
            found += _with_parts(value)
    return found
