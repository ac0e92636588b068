"""All systems of an area on one log: who is good, beside the best floor, and at what cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ethogram.lineup.running import Lineup, lineup

__all__ = ["Lineup", "lineup"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from ethogram.lineup import running  # here, because a child that only waits need not load it

        return getattr(running, name)
    raise AttributeError(f"module 'ethogram.lineup' has no attribute '{name}'")
