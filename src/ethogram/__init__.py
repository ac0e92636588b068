"""Ethogram: learn the behaviour of people from logs, rank and recommend by it, see whether claims hold.

Names are imported when they are first used, so that `import ethogram` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ethogram.evaluate import compare, run
    from ethogram.log import Candidates, Features, Histories, Log, Roles
    from ethogram.serve.client import AsyncClient, Client
    from ethogram.system import load, save, system, systems
    from ethogram.tuning import tune

__version__ = "0.1.0"

_HOMES = {
    "AsyncClient": "ethogram.serve.client",
    "Candidates": "ethogram.log",
    "Client": "ethogram.serve.client",
    "Features": "ethogram.log",
    "Histories": "ethogram.log",
    "Log": "ethogram.log",
    "Roles": "ethogram.log",
    "compare": "ethogram.evaluate",
    "load": "ethogram.system",
    "run": "ethogram.evaluate",
    "save": "ethogram.system",
    "system": "ethogram.system",
    "systems": "ethogram.system",
    "tune": "ethogram.tuning",
}

__all__ = [
    "AsyncClient",
    "Candidates",
    "Client",
    "Features",
    "Histories",
    "Log",
    "Roles",
    "compare",
    "load",
    "run",
    "save",
    "system",
    "systems",
    "tune",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'ethogram' has no attribute '{name}'")
    home = importlib.import_module(_HOMES[name])
    # `ethogram.system` stays the (callable) module: importing the submodule binds that name anyway
    return home if name == "system" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
