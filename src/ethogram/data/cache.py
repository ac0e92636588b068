"""Loaded logs are kept in Ethogram's own format, so that only the first load of a data set does the work."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ethogram.errors import LogFormatError, SourceError
from ethogram.folders import cache as folder

if TYPE_CHECKING:
    from ethogram.log import Log


def place(name: str, version: int, options: Mapping[str, Any], files: tuple[Path, ...]) -> Path:
    """Folder of one log: a data set under these options, from these files as they are now."""
    stamps = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    told = json.dumps([name, version, dict(options), stamps], sort_keys=True)
    return folder() / "data" / f"{name}-{hashlib.blake2b(told.encode(), digest_size=8).hexdigest()}"


def kept(where: Path, build: Callable[[], Log]) -> Log:
    """The log at `where`; built and put there first if it is absent or cannot be read.

    The folder appears whole or not at all: it is written beside its place and then renamed. If another
    process was faster, its log is taken.

    Raises
    ------
    SourceError
        The cache folder cannot be written.
    """
    from ethogram.log import Log

    if where.exists():
        try:
            return Log.open(where)
        except LogFormatError:  # damaged, or of another version of the format: it can always be built again
            shutil.rmtree(where, ignore_errors=True)
    fresh = where.with_name(f".{where.name}.{uuid.uuid4().hex[:8]}")
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        build().write(fresh)
        try:
            fresh.rename(where)
        except OSError:
            if not where.exists():
                raise
    except OSError as error:
        raise SourceError(
            f"the cache folder {where.parent} cannot be written ({error.strerror or error}); "
            "set ETHOGRAM_CACHE to a folder that can."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Log.open(where)
