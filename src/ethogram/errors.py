"""Typed errors: what was wrong, where, and what would be right. The CLI prints one line and exits with 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EthogramError(Exception):
    """Root of every error that Ethogram raises on purpose."""


class SourceError(EthogramError):
    """A file, folder or frame cannot be read as behaviour events."""


class RolesError(EthogramError):
    """A column needed for a role is missing, ambiguous or of the wrong type."""


class StrictError(EthogramError):
    """Rows were quarantined and the caller asked for none (`strict=True`, `--strict`)."""


class LogFormatError(EthogramError):
    """A directory is not a log, is damaged, or was written by a newer version."""


class StepError(EthogramError):
    """A step or a split cannot be applied to this log."""


class OptionError(EthogramError):
    """An option is unknown or its value is outside what is allowed."""


class UnknownName(EthogramError):
    """A system, data set, protocol or claim of that name does not exist."""


class NotFitted(EthogramError):
    """A verb was called before `fit` or `restore`."""


class StateError(EthogramError):
    """Saved state is damaged, incomplete, or was written by a newer version."""


class MissingExtra(EthogramError):
    """An optional dependency is not installed; the message names the extra."""


class MissingData(EthogramError):
    """A named data set is not on this machine; the message says how to get it."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest valid name, or an empty string.

    >>> nearest("sdmi", ["sdim", "din"])
    " Did you mean 'sdim'?"
    """
    found = difflib.get_close_matches(str(name), [str(v) for v in valid], n=1, cutoff=0.6)
    return f" Did you mean '{found[0]}'?" if found else ""


def unknown(what: str, name: str, valid: Iterable[str]) -> str:
    """Message for a name that is not in a list: the nearest one, then all of them."""
    valid = sorted(str(v) for v in valid)
    return f"unknown {what} '{name}'.{nearest(name, valid)} Known: {', '.join(valid) or 'none'}."
