"""Stores to test: the same tests run on both kinds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.serve.redis_server import RedisServer

from ethogram.serve.state import Store

Opened = Callable[..., Store]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


_numbers = itertools.count()


@pytest.fixture(params=["lmdb", "redis"])
def open_new(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """Opens an empty store, or with `again=` one that was opened before."""
    opened: list[Store] = []
    places: dict[int, Any] = {}

    def make(*, again: Store | None = None, keep: int = 16) -> Store:
        if request.param == "lmdb":
            from ethogram.serve.embedded import Embedded

            place = tmp_path_factory.mktemp("store") if again is None else places[id(again)]
            store: Store = Embedded(place, keep=keep, size=1 << 20)
        else:
            from ethogram.serve.shared import Shared

            place = f"t{next(_numbers)}" if again is None else places[id(again)]
            store = Shared(request.getfixturevalue("redis_server").url, keep=keep, prefix=place)
        places[id(store)] = place
        opened.append(store)
        return store

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(open_new: Opened) -> Store:
    return open_new()
