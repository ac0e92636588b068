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


class NoSupport(EthogramError):
    """A log says nothing, or too little, about what a policy would do: it never did the like."""


class StepError(EthogramError):
    """A step or a split cannot be applied to this log."""


class LeakError(EthogramError):
    """Events lie behind the moment of the decision that they would inform: nobody knew them then."""


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


class PersonaError(EthogramError):
    """A persona cannot be read or cannot be: a field is wrong, or two of its statements contradict each other."""


class WorldError(EthogramError):
    """A world is declared wrongly, or an act, a command or an instant is none of its own."""


class LMError(EthogramError):
    """A language model could not be reached, refused, or did not answer what was asked.

    Attributes
    ----------
    again : whether the same call may succeed later. after : seconds that the endpoint asked to wait, None if not.
    """

    again = False
    after: float | None = None


class EndpointDown(LMError):
    """Nothing answers at the endpoint, or the connection broke or stalled."""

    again = True


class EndpointRefused(LMError):
    """The endpoint will not take this request, and asking again would not help (401, 403, 404, 400)."""


class EndpointBusy(LMError):
    """The endpoint kept answering 429 or 5xx until no try was left."""

    again = True


class BadReply(LMError):
    """What came back is not an answer of the protocol: half a JSON, a missing field."""

    again = True


class ContextExceeded(EndpointRefused):
    """The prompt is longer than the model's context."""


class SchemaError(LMError):
    """A schema cannot be read, or no text satisfies it."""


class AnswerError(LMError):
    """No reply satisfied the schema within the allowed attempts."""


class CapabilityError(LMError):
    """The model behind this connection cannot do what was asked (log-probabilities, tools, embeddings)."""


class WeightsError(LMError):
    """A file of weights is absent, damaged, or of a kind that cannot be opened."""


class NotRecorded(LMError):
    """A strict replay met a call that the recording does not hold."""


class BudgetSpent(LMError):
    """The budget of a run does not allow another call; what was answered before is kept."""


class KeyMissing(LMError):
    """An API key is needed, or its file may be read by others."""


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


class StoreError(EthogramError):
    """The online store cannot be reached, written or believed; nothing of the call was acknowledged."""


class ServiceError(EthogramError):
    """The decision service did not do what a client asked.

    Attributes
    ----------
    again : whether the same call may succeed later. after : seconds that the service asked to wait, None if not.
    status : of HTTP, None where nobody answered. where, right : the place in the request, and what would be right.
    """

    again = False
    after: float | None = None
    status: int | None = None
    where: str = ""
    right: str = ""


class ServiceDown(ServiceError):
    """Nobody answers, or something else than the service does, or it failed."""


class ServiceBusy(ServiceError):
    """The service kept saying that it is busy (429, 503) until no attempt was left."""


class ServiceRefused(ServiceError):
    """The request is wrong, and asking again would not help."""


class KeyRefused(ServiceRefused):
    """The service wants a key, knows another one, or the key has not the scope that is needed."""


class EventConflict(ServiceRefused):
    """An event id is taken by an event with other content.

    Attributes
    ----------
    outcomes : (event id, what became of it) of every event that was sent; empty where the batch was refused whole.
    """

    outcomes: tuple[tuple[str, str], ...] = ()
