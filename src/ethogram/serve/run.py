"""The server process: uvicorn on uvloop and httptools, told when it listens, stopped without losing anybody."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn

from ethogram.errors import OptionError
from ethogram.serve.guard import Guard

SWITCH = 0.001
"""Seconds after which a thread that computes lets the event loop go on, where both want the interpreter."""


class Server(uvicorn.Server):
    """Calls `started` once connections are taken."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]):
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._tell()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises
    ------
    OptionError
        The address is not of this machine, or the port is taken.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2_048)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise OptionError(f"cannot listen at {host}:{port}: {why}; choose another --port or --host.") from None


def run(app: Guard, at: socket.socket, *, grace: float = 30.0, started: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight have `grace` seconds to finish."""
    sys.setswitchinterval(SWITCH)
    loop: Any = "uvloop" if sys.platform != "win32" else "auto"
    config = uvicorn.Config(
        app, loop=loop, http="httptools", ws="none", access_log=False, log_level="warning", lifespan="on",
        server_header=False, timeout_graceful_shutdown=max(1, round(grace)), timeout_keep_alive=30, backlog=2_048,
        proxy_headers=False,
    )  # fmt: skip
    server = Server(config, started)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again behind a graceful stop
        server.run(sockets=[at])
