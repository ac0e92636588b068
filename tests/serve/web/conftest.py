"""A ranker in two versions, a recommender that explains and one with vectors, behind a service in this process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("lmdb")
pytest.importorskip("torch")

import httpx
from starlette.testclient import TestClient

import ethogram
from ethogram import data
from ethogram.serve.app import build
from ethogram.serve.experiments import Experiment
from ethogram.serve.keys import Keyring
from ethogram.serve.limits import Limits
from ethogram.serve.opening import open_store
from ethogram.serve.service import Service
from ethogram.serve.shelf import Shelf

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def fitted(tmp_path_factory) -> Path:
    """Folders of saved systems: rank/v1, rank/v2, find, vectors."""
    folder = tmp_path_factory.mktemp("models")
    log = data.load("interests", users=40, slates=4, seed=0)
    small = {"epochs": 1, "dim": 8, "side": 4, "hidden": (8,)}
    for seed in (1, 2):
        ethogram.system("mean_pooled", **small).fit(log, seed=seed).save(folder / "rank" / f"v{seed}")
    ethogram.system("transition_kernel").fit(log).save(folder / "find")
    ethogram.system("als", factors=8, iterations=2).fit(log).save(folder / "vectors")
    return folder


@dataclass
class Running:
    """A service in this process, and a client of it."""

    http: TestClient
    service: Service

    def events(self, *events: dict[str, Any]) -> Any:
        return self.http.post("/v1/events", json={"events": list(events)})


def event(number: object = 1, **changes: Any) -> dict[str, Any]:
    return {"event_id": f"e{number}", "user_id": "u1", "item_id": "3", "kind": "view", "time": 1_700_000_000, **changes}


@pytest.fixture
def serving(fitted, tmp_path) -> Callable[..., Any]:
    """Makes a service in this process."""

    @contextmanager
    def make(
        keys: Keyring | None = None, limits: Limits | None = None, experiments: tuple[Experiment, ...] = ()
    ) -> Iterator[Running]:
        store = open_store(f"lmdb:{tmp_path}/state")
        sources = {"rank": fitted / "rank", "find": fitted / "find", "vectors": fitted / "vectors"}
        service = Service(store, Shelf(store, sources), limits=limits, experiments=experiments)
        try:
            with TestClient(build(service, keys), "http://127.0.0.1", raise_server_exceptions=False) as client:  # type: ignore[arg-type]
                yield Running(client, service)
        finally:
            store.close()

    return make


@pytest.fixture
def running(serving) -> Iterator[Running]:
    with serving() as found:
        yield found


class Process:
    """`ethogram serve` as people start it."""

    def __init__(self, *arguments: str, folder: Path, **environment: str):
        self.arguments, self.folder = arguments, folder
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", **environment}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        command = [sys.executable, "-m", "ethogram", "serve", *self.arguments, "--port", str(self.port)]
        with (self.folder / "server.txt").open("ab") as said:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=said, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                httpx.get(f"{self.url}/healthz", timeout=5)
                return self
            except httpx.TransportError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        raise AssertionError(f"the server did not start: {self.said()}")

    def said(self) -> str:
        return (self.folder / "server.txt").read_text()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self.process is None:
            return 0
        self.process.terminate()
        return self.process.wait(timeout=60)

    def __enter__(self) -> Process:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
