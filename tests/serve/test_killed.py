"""Killed while it writes, a store keeps every acknowledged event once, and tables that are right.

In full (50,000 events, 20 kills, both stores, one and two writers, some minutes): ``python -m tests.serve.killed``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.serve.killed import trial
from tests.serve.redis_server import RedisServer


@pytest.mark.parametrize(("kind", "writers"), [("lmdb", 1), ("redis", 2)])
def test_every_acknowledged_event_is_there_once(
    kind: str, writers: int, tmp_path: Path, redis_server: RedisServer
) -> None:
    location = f"lmdb:{tmp_path}/state" if kind == "lmdb" else f"{redis_server.url}?prefix=killed"
    found = trial(location, 400, 1, writers, pause=0.1)
    assert found.kills == 1
    assert found.acknowledged == found.stored == 400
    assert (found.twice, found.lost) == (0, 0)
    assert found.wrong <= 1e-5
    assert found.tables > 0
