"""llama.cpp in this process: the prebuilt `xllamacpp` wheel, as an OpenAI-compatible server on loopback.

Three defaults of the server are unsafe for this use and are changed: it has no key (a random one is set, which
never leaves the process unless `ethogram lm serve` shows it), it lets any web page call it (cross-origin requests
are closed, the web page it serves is off), and its prompt cache may grow to 8 GiB (off; the slot's own prefix cache
stays).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import threading
import weakref
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ethogram.errors import MissingExtra, OptionError, WeightsError
from ethogram.evaluate import machine
from ethogram.lm import weights
from ethogram.lm.capabilities import Capabilities
from ethogram.lm.endpoint import Endpoint

NAME = "local"


@dataclass(frozen=True)
class Settings:
    """How the server runs.

    Attributes
    ----------
    context : tokens of prompt and reply together, per slot. slots : calls that run side by side.
    threads : of the computation; 0 takes ``OMP_NUM_THREADS`` if it is set, else the cores that were idle over the
        last minute (at least 1, at most 4): more threads than idle cores wait for each other and are many times slower.
    port : 0 takes a free one.
    embeddings : serve the model's own (mean-pooled) embeddings, and nothing else.
    kept : MiB for prompts that were read, 0 for none: one that begins as an earlier one did is read from where they
        part. Worth it where many take turns, each with a beginning of their own (about 24 KiB a token of SmolLM2-135M).
    """

    context: int = 4096
    slots: int = 1
    threads: int = 0
    port: int = 0
    embeddings: bool = False
    kept: int = 0

    def __post_init__(self) -> None:
        if min(self.context, self.slots) < 1 or min(self.threads, self.kept) < 0 or not 0 <= self.port < 65_536:
            raise OptionError(
                f"context {self.context} and slots {self.slots} must be 1 or more, threads {self.threads} and kept "
                f"{self.kept} 0 or more, port {self.port} from 0 to 65535."
            )

    @property
    def cores(self) -> int:
        given = self.threads or int(os.environ.get("OMP_NUM_THREADS") or 0)
        if given:
            return given
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, min(4, usable - round(machine.load() or 0)))


class Server:
    """A running server; it stops when the last reference to it goes."""

    def __init__(self, path: Path, settings: Settings, key: str):
        try:
            import xllamacpp
        except ImportError:
            raise MissingExtra("the embedded model needs the extra: pip install 'ethogram[lm]'") from None
        if settings.port:
            _free(settings.port)
        p = xllamacpp.CommonParams()
        p.model.path = str(path)
        p.model_alias = {NAME}
        p.n_ctx, p.n_parallel = settings.context * settings.slots, settings.slots
        p.cpuparams.n_threads = p.cpuparams_batch.n_threads = settings.cores
        p.hostnames, p.port, p.api_keys = ["127.0.0.1"], settings.port, [key]
        p.ui, p.cors_origins, p.cache_ram_mib = False, "http://127.0.0.1", settings.kept
        # draws are from the model's own distribution unless a call says otherwise
        p.sampling.top_k, p.sampling.top_p, p.sampling.min_p = 0, 1.0, 0.0
        p.verbosity, p.offline, p.endpoint_slots = -1, True, False
        if settings.embeddings:
            p.embedding = True
        try:
            self._server = xllamacpp.Server(p)
        except Exception as error:  # the wheel raises plain RuntimeError, whatever is wrong
            raise WeightsError(
                f"llama.cpp cannot open {path}: {' '.join(str(error).split()).rstrip('.') or 'no reason told'}."
            ) from None
        self.url = str(self._server.listening_address)


def _free(port: int) -> None:
    """OptionError where something else listens already; llama.cpp would only say that it failed."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            told = getattr(error, "strerror", None) or error
            raise OptionError(f"port {port} cannot be had ({told}); take another, or 0 for a free one.") from None


_servers: weakref.WeakValueDictionary[tuple[str, Settings], Server] = weakref.WeakValueDictionary()
_keys: dict[tuple[str, Settings], str] = {}
_starting = threading.Lock()


def running(path: Path, settings: Settings) -> tuple[Server, str]:
    """The server of these weights and settings, started where it does not run yet, and its key."""
    with _starting:
        at = (str(path), settings)
        server = _servers.get(at)
        if server is None:
            _keys[at] = secrets.token_urlsafe(24)
            server = _servers[at] = Server(path, settings, _keys[at])
        return server, _keys[at]


class Embedded:
    """The wire to a model in this process; its server starts with the first call.

    Raises
    ------
    WeightsError
        The weights are not here, or are not whole.
    """

    def __init__(self, name: str = "", settings: Settings | None = None):
        self.path = weights.find(name)
        self.settings = settings or Settings()
        self.identity = weights.identity(self.path)
        self.lanes = self.settings.slots
        self._server: Server | None = None
        self._endpoint: Endpoint | None = None

    def __repr__(self) -> str:
        return f"Embedded({self.path.name})"

    @property
    def loaded(self) -> bool:
        """Whether the server runs, so that the weights are in memory."""
        return self._server is not None

    async def _ready(self) -> Endpoint:
        if self._endpoint is None:
            server, key = await asyncio.to_thread(running, self.path, self.settings)
            made = Endpoint(server.url + "/v1", NAME, headers={"Authorization": f"Bearer {key}"}, lanes=self.lanes)
            # facts and messages speak of the weights: port and key change with every start
            made.identity, made.called = self.identity, f"the embedded {self.path.name}"
            self._server, self._endpoint = server, made
        return self._endpoint

    async def model(self) -> str:
        return NAME

    async def capabilities(self) -> Capabilities:
        return await (await self._ready()).capabilities()

    async def send(self, path: str, body: bytes, seconds: float) -> bytes:
        return await (await self._ready()).send(path, body, seconds)

    async def stream(self, path: str, body: bytes, seconds: float) -> AsyncIterator[bytes]:
        async for event in (await self._ready()).stream(path, body, seconds):
            yield event

    async def get(self, path: str) -> dict[str, Any]:
        """A document of the server's own (``/props``, ``/metrics``)."""
        return await (await self._ready()).get(path, root=True)

    async def close(self) -> None:
        if self._endpoint is not None:
            await self._endpoint.close()
        self._endpoint = self._server = None
