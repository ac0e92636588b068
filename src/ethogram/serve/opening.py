"""From one line of text to a store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from ethogram.errors import MissingExtra, OptionError, nearest
from ethogram.serve.state import KEEP, Store

SHAPES = "lmdb:PATH, or redis://HOST:PORT/NUMBER"
ASKS = ("prefix", "durable")


def open_store(location: str, *, keep: int = KEEP) -> Store:
    """Open (or make) the store at a location.

    Parameters
    ----------
    location : ``lmdb:PATH``, a folder on this machine; or ``redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER]`` (``rediss``
        for TLS), where ``?prefix=NAME`` lets several services share a server, and ``?durable=no`` accepts a server that
        may lose what it acknowledged.
    keep : events of each user's ring.

    Raises
    ------
    OptionError
        The location names no store.
    StoreError
        It cannot be opened, or would not be durable.
    """
    if keep < 1:
        raise OptionError(f"store: keep = {keep}; a ring holds 1 event or more.")
    kind, colon, rest = location.partition(":")
    try:
        if colon and kind == "lmdb":
            if not rest or "\0" in rest:
                raise OptionError(f"store '{location}': names no folder; write lmdb:PATH, such as lmdb:./state.")
            from ethogram.serve.embedded import Embedded

            return Embedded(Path(rest).expanduser(), keep=keep)
        if colon and kind in ("redis", "rediss") and rest.startswith("//"):
            from ethogram.serve.shared import Shared

            url, asked = _parted(location)
            durable = asked.get("durable", "yes")
            if durable not in ("yes", "no"):
                raise OptionError(f"store '{url}': durable = '{durable}'; write yes or no.")
            return Shared(url, keep=keep, prefix=asked.get("prefix", "ethogram"), durable=durable == "yes")
    except ImportError as error:
        raise MissingExtra(f"store '{kind}': {error}; pip install 'ethogram[serve]'.") from error
    hint = nearest(kind, ("lmdb", "redis", "rediss")) if colon else ""
    raise OptionError(f"store '{location}': is none of {SHAPES}.{hint}")


def _parted(location: str) -> tuple[str, dict[str, str]]:
    """(the location without its question, what the question asks for)."""
    parts = urlsplit(location)
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in asked:
        if name not in ASKS:
            raise OptionError(f"store: unknown setting '{name}'.{nearest(name, ASKS)} Known: {', '.join(ASKS)}.")
    return urlunsplit(parts._replace(query="")), asked
