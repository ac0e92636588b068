"""Where Ethogram keeps what it can make or fetch again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ethogram.errors import OptionError


def cache() -> Path:
    """The cache folder: ``ETHOGRAM_CACHE``, else ``ethogram`` in the platform's cache folder."""
    if given := os.environ.get("ETHOGRAM_CACHE"):
        return Path(given).expanduser()
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "ethogram"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "ethogram"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/ethogram").expanduser()
    return Path("~/.cache/ethogram").expanduser()


def target(path: str | Path, ending: str) -> Path:
    """A file that is to be written; asked before the work that fills it.

    Raises
    ------
    OptionError
        Its name ends otherwise, or its folder is not there.
    """
    place = Path(path)
    if place.suffix != ending:
        raise OptionError(f"'{path}' must end in {ending}.")
    if not place.absolute().parent.is_dir():
        raise OptionError(f"there is no folder {place.absolute().parent}.")
    return place
