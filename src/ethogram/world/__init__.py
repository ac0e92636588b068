"""Worlds that answer back."""

from __future__ import annotations

from ethogram.world.actions import Action, Done
from ethogram.world.acts import Acts, Decision
from ethogram.world.agenda import Command
from ethogram.world.asking import Question
from ethogram.world.columns import Column
from ethogram.world.rules import capacity, everyone, first_wins, merge
from ethogram.world.world import World

__all__ = [
    "Action",
    "Acts",
    "Column",
    "Command",
    "Decision",
    "Done",
    "Question",
    "World",
    "capacity",
    "everyone",
    "first_wins",
    "merge",
]
