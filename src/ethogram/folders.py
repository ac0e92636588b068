"""Where Ethogram keeps what it can make or fetch again."""

from __future__ import annotations

import os
import sys
from pathlib import Path


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
