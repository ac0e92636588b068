"""The behaviour log: who did what, when, of which kind, with what value, in which context."""

from ethogram.log.batch import Batch, ItemColumn, Slices
from ethogram.log.columns import Column
from ethogram.log.features import Features
from ethogram.log.histories import Candidates, Histories, Questions
from ethogram.log.log import Log
from ethogram.log.roles import Roles
from ethogram.log.rolling import Rolling
from ethogram.log.sequences import Sequences
from ethogram.log.split import Split
from ethogram.log.vocabulary import Vocabulary

__all__ = [
    "Batch",
    "Candidates",
    "Column",
    "Features",
    "Histories",
    "ItemColumn",
    "Log",
    "Questions",
    "Roles",
    "Rolling",
    "Sequences",
    "Slices",
    "Split",
    "Vocabulary",
]
