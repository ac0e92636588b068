"""The year of shopping is read once per run; logs go to a cache of the run's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ethogram.data.registry import Reading, find
from ethogram.errors import MissingData, MissingExtra


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("ETHOGRAM_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def here():
    """Skip, saying why, where a data set's files are not on this machine."""

    def check(name: str) -> None:
        try:
            find(name)().files()
        except (MissingData, MissingExtra) as error:
            pytest.skip(str(error))

    return check


@pytest.fixture(scope="session")
def year(here) -> Reading:
    """The whole year of The Complete Journey with its exposures, before it becomes a log."""
    here("complete_journey")
    reading: Reading = find("complete_journey")().read()
    return reading
