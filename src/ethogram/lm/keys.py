"""API keys: from the environment or from a file that only its owner can read, and shown to nobody."""

from __future__ import annotations

import os
import re
import stat
import sys
import tomllib
from pathlib import Path

from ethogram.errors import KeyMissing

OPENAI_HOST = "api.openai.com"


class Key:
    """A secret: its text is nowhere but in the header of a request."""

    __slots__ = ("_text",)

    def __init__(self, text: str):
        self._text = text

    def __repr__(self) -> str:
        return "Key(***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a key is not written anywhere.")

    def header(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._text}"}

    def scrub(self, text: str) -> str:
        """The text without the key, should an endpoint repeat it."""
        return text.replace(self._text, "***") if self._text else text


def file() -> Path:
    """Where keys are kept by host: ``ETHOGRAM_KEYS``, else ``~/.config/ethogram/keys.toml``."""
    return Path(os.environ.get("ETHOGRAM_KEYS") or "~/.config/ethogram/keys.toml").expanduser()


def variable(host: str) -> str:
    """Environment variable that holds the key of a host.

    >>> variable("llm.example.org:8000")
    'ETHOGRAM_KEY_LLM_EXAMPLE_ORG_8000'
    """
    return "ETHOGRAM_KEY_" + re.sub(r"\W", "_", host).upper()


def find(host: str, where: str | None = None) -> Key | None:
    """The key for a host ("name" or "name:port"), None if there is none.

    Parameters
    ----------
    where : "env:NAME", "file:PATH" (the whole file is the key), or None: the host's variable, then the key file
        (TOML, `"host" = "key"`). A key itself is refused: what is written in a call ends in logs and Records.

    Raises
    ------
    KeyMissing
        What `where` names does not hold a key, or the file can be read by others.
    """
    if where is not None:
        return _named(where)
    names = (variable(host), *(("OPENAI_API_KEY",) if host == OPENAI_HOST else ()))
    for name in names:
        if text := os.environ.get(name, "").strip():
            return Key(text)
    path = file()
    if not path.is_file():
        return None
    try:
        text = str(tomllib.loads(_private(path)).get(host, "")).strip()
    except tomllib.TOMLDecodeError as error:
        raise KeyMissing(f'{path} is not TOML ({error}); a line is "host" = "key".') from None
    return Key(text) if text else None


def _named(where: str) -> Key:
    kind, _, name = where.partition(":")
    if kind == "env" and name:
        if text := os.environ.get(name, "").strip():
            return Key(text)
        raise KeyMissing(f"the environment variable {name} holds no key.")
    if kind == "file" and name:
        path = Path(name).expanduser()
        if not path.is_file():
            raise KeyMissing(f"there is no key file {path}.")
        if text := _private(path).strip():
            return Key(text)
        raise KeyMissing(f"the key file {path} is empty.")
    raise KeyMissing("key= says where a key is, 'env:NAME' or 'file:PATH'; a key itself is never passed.")


def _private(path: Path) -> str:
    mode = stat.S_IMODE(path.stat().st_mode)
    if sys.platform != "win32" and mode & 0o077:
        raise KeyMissing(f"{path} has mode {mode:o} and can be read by others; run: chmod 600 {path}")
    return path.read_text("utf-8")
