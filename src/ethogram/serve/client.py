"""A typed client of the service: retries what may be retried, raises what was wrong.

Examples
--------
>>> from ethogram import Client
>>> client = Client("http://127.0.0.1:8000")  # doctest: +SKIP
>>> client.send([{"user_id": "u7", "item_id": "i42", "kind": "view"}]).accepted  # doctest: +SKIP
1
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

import httpx

from ethogram.errors import OptionError, ServiceDown, ServiceError
from ethogram.serve import calls
from ethogram.serve.calls import Call
from ethogram.serve.keys import VARIABLE

P = ParamSpec("P")
T = TypeVar("T")
URL = "http://127.0.0.1:8000"


class _Settings:
    """What both clients are told; see `Client`."""

    def __init__(
        self, url: str = URL, key: str | None = None, *, timeout: float = 10.0, retries: int = 5, transport: Any = None
    ):
        if not url.startswith(("http://", "https://")):
            raise OptionError(f"url '{url}': write http://HOST:PORT or https://...")
        if retries < 0 or not timeout > 0:
            raise OptionError(f"retries = {retries}, timeout = {timeout}: give 0 or more, and above 0.")
        key = key or os.environ.get(VARIABLE, "").strip() or None
        self.url, self.timeout, self.retries = url.rstrip("/"), timeout, retries
        self._headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        self._open(transport)

    def _open(self, transport: Any) -> None:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def _down(self, call: Call[Any], error: httpx.HTTPError) -> ServiceDown:
        down = ServiceDown(f"{call.method} {self.url}{call.path}: no answer ({str(error) or type(error).__name__}).")
        down.again = True
        return down


def _sync(build: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    @functools.wraps(build)
    def method(self: Client, *args: P.args, **given: P.kwargs) -> T:
        return self.call(build(*args, **given))

    return cast(Any, method)


def _async(build: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Awaitable[T]]:
    @functools.wraps(build)
    async def method(self: AsyncClient, *args: P.args, **given: P.kwargs) -> T:
        return await self.call(build(*args, **given))

    return cast(Any, method)


class Client(_Settings):
    """Asks a service.

    Parameters
    ----------
    url : where it listens. key : an API key; `ETHOGRAM_API_KEY` if not given.
    timeout : seconds for one attempt. retries : further attempts where the service is down or busy.

    Raises
    ------
    OptionError
        The url is none.
    ServiceError
        From every call: KeyRefused, EventConflict, ServiceRefused, ServiceBusy or ServiceDown.
    """

    send = _sync(calls.send)
    rank = _sync(calls.rank)
    recommend = _sync(calls.recommend)
    assess = _sync(calls.assess)
    user = _sync(calls.user)
    forget = _sync(calls.forget)
    models = _sync(calls.models)
    activate = _sync(calls.activate)
    roll_back = _sync(calls.roll_back)
    ready = _sync(calls.ready)

    def _open(self, transport: Any) -> None:
        self._http = httpx.Client(headers=self._headers, timeout=self.timeout, transport=transport)

    def call(self, call: Call[T]) -> T:
        """Send a call, and again where that makes sense.

        Raises
        ------
        ServiceError
            What the service said, or that nobody answered.
        """
        for attempt in range(self.retries + 1):
            try:
                return self._once(call)
            except ServiceError as error:
                if not error.again or attempt == self.retries:
                    raise
                time.sleep(calls.wait(attempt, error, random.random()))
        raise AssertionError("unreachable")

    def _once(self, call: Call[T]) -> T:
        try:
            found = self._http.request(call.method, self.url + call.path, content=call.body)
        except httpx.HTTPError as error:
            raise self._down(call, error) from None
        return calls.answered(call, found.status_code, found.content, found.headers)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(_Settings):
    """Asks a service from a program of coroutines; see `Client`."""

    send = _async(calls.send)
    rank = _async(calls.rank)
    recommend = _async(calls.recommend)
    assess = _async(calls.assess)
    user = _async(calls.user)
    forget = _async(calls.forget)
    models = _async(calls.models)
    activate = _async(calls.activate)
    roll_back = _async(calls.roll_back)
    ready = _async(calls.ready)

    def _open(self, transport: Any) -> None:
        self._http = httpx.AsyncClient(headers=self._headers, timeout=self.timeout, transport=transport)

    async def call(self, call: Call[T]) -> T:
        """Send a call, and again where that makes sense; raises as `Client.call` does."""
        for attempt in range(self.retries + 1):
            try:
                return await self._once(call)
            except ServiceError as error:
                if not error.again or attempt == self.retries:
                    raise
                await asyncio.sleep(calls.wait(attempt, error, random.random()))
        raise AssertionError("unreachable")

    async def _once(self, call: Call[T]) -> T:
        try:
            found = await self._http.request(call.method, self.url + call.path, content=call.body)
        except httpx.HTTPError as error:
            raise self._down(call, error) from None
        return calls.answered(call, found.status_code, found.content, found.headers)

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
