"""``ethogram keys``: who may ask the service."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError

Where = Annotated[
    str | None,
    Parameter(
        name="--keys",
        help="File of keys, or the location of a store (lmdb:PATH, redis://...) for keys that lie there.",
    ),
]


def make_(
    name: str, /, *, scopes: str = "read,write", days: float | None = None, keys: Where = None, json: Json = None
) -> None:
    """Make a key for the service; it is shown once, and kept as a hash.

    Parameters
    ----------
    name
        Who will use it; for people to read.
    scopes
        What it may do: read (rankings, recommendations, look-ups), write (events), admin (both, forgetting people,
        activating models); separated by commas.
    days
        So many days it is good for; without end if not given.
    """
    say = Output(json)
    if days is not None and not days > 0:
        raise OptionError(f"--days {days}: give a number above 0.")
    text, kept = _ring(keys).make(name, [s.strip() for s in scopes.split(",") if s.strip()], days=days)
    _shown(say, text, kept)


def list_(*, keys: Where = None, json: Json = None) -> None:
    """List the keys of the service (never their text)."""
    say = Output(json)
    held = _ring(keys).all()
    say.table(("id", "name", "scopes", "made", "until"), [_row(k) for k in held])
    say.result([{"id": k.id, "name": k.name, "scopes": k.scopes, "made": k.made, "until": k.until} for k in held])


def rotate_(number: str, /, *, hours: float = 24.0, keys: Where = None, json: Json = None) -> None:
    """Make a successor of a key; the old one goes on for a while, so that nobody is locked out.

    Parameters
    ----------
    number
        The key's id, as `ethogram keys list` shows it.
    hours
        So long the old key goes on.
    """
    say = Output(json)
    if hours < 0:
        raise OptionError(f"--hours {hours}: give 0 or more.")
    text, kept = _ring(keys).rotate(number, hours=hours)
    _shown(say, text, kept)
    say.line(f"{number} ends in {hours:g} hours")


def revoke_(number: str, /, *, keys: Where = None, json: Json = None) -> None:
    """End a key now; a running service notices within a second.

    Parameters
    ----------
    number
        The key's id, as `ethogram keys list` shows it.
    """
    say = Output(json)
    gone = _ring(keys).revoke(number)
    say.line(f"{gone.id} ({gone.name}) is revoked")
    say.result({"id": gone.id, "name": gone.name})


def _ring(where: str | None) -> Any:
    from ethogram.serve.keys import KeyFact, KeyFile, Keyring, default_file

    if where is not None and where.startswith(("lmdb:", "redis:", "rediss:")):
        from ethogram.serve.opening import open_store

        held = open_store(where)
        return Keyring(KeyFact(held.fact, held.settle))
    return Keyring(KeyFile(Path(where).expanduser() if where else default_file()))


def _shown(say: Output, text: str, kept: Any) -> None:
    say.line(f"key     {text}")
    say.line(f"id      {kept.id} ({kept.name}; {', '.join(kept.scopes)})")
    say.line("It is shown this once. Clients read it from ETHOGRAM_API_KEY.")
    say.result({"key": text, "id": kept.id, "name": kept.name, "scopes": kept.scopes, "until": kept.until})


def _row(kept: Any) -> tuple[str, ...]:
    day = "%Y-%m-%d %H:%M"
    until = "-" if kept.until is None else time.strftime(day, time.localtime(kept.until))
    return kept.id, kept.name, ", ".join(kept.scopes), time.strftime(day, time.localtime(kept.made)), until
