"""A thin transport for any endpoint of the OpenAI protocol: aiohttp below, typed errors above."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import json
import re
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from email.utils import parsedate_to_datetime
from time import time
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from ethogram.errors import (
    BadReply,
    ContextExceeded,
    EndpointBusy,
    EndpointDown,
    EndpointRefused,
    LMError,
    OptionError,
    UnknownName,
    unknown,
)
from ethogram.lm import keys, probe, scoring
from ethogram.lm.capabilities import Capabilities
from ethogram.lm.wire import SCORE

LANES = 1_000
_TOO_LONG = re.compile(r"context.{0,20}(?:length|size|window|exceed)|exceed.{0,40}context|too many tokens", re.I)
_SHOWN = 300


class Endpoint:
    """A model at a URL.

    Parameters
    ----------
    url : base of the protocol, usually ending in ``/v1``. model : its name there; None takes the only one.
    key : where the API key is ("env:NAME", "file:PATH"); None looks in the host's variable and in the key file.
    headers : sent with each request. lanes : calls at once if nothing else is asked for.

    Raises
    ------
    OptionError
        The URL is not http(s), or holds a password. KeyMissing: `key` names none.
    """

    def __init__(
        self, url: str, model: str | None = None, *, key: str | None = None, headers: dict[str, str] | None = None,
        lanes: int = LANES,
    ):  # fmt: skip
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OptionError(f"'{url}' is not the URL of an endpoint; one looks like http://host:8000/v1")
        if parts.username or parts.password:
            raise OptionError("the URL holds a password; put it into a key file or the environment.")
        self.url, self.lanes = url.rstrip("/"), lanes
        host = parts.hostname + (f":{parts.port}" if parts.port else "")
        self._key = keys.find(host, key)
        self._headers = {
            "Content-Type": "application/json",
            **(headers or {}),
            **(self._key.header() if self._key else {}),
        }
        self._name = model
        self._checked = False
        self._facts: Capabilities | None = None
        self._sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Session] = weakref.WeakKeyDictionary()
        self.identity = f"{self.url}#{model or ''}"
        self.called = self.url  # in messages
        weakref.finalize(self, _drop, self._sessions).atexit = False

    def __repr__(self) -> str:
        return f"Endpoint({self.identity})"

    async def model(self) -> str:
        """The model's name; checked once against what the endpoint lists, where it lists anything.

        Raises
        ------
        UnknownName
            No such model there. OptionError: several are, and none was named.
        """
        if not self._checked:
            try:
                listed = await self.listed()
            except (EndpointRefused, BadReply) as error:
                if self._name is None or re.search(r"\b40[13]\b", str(error)):
                    raise
                listed = {}
            if self._name is None:
                if len(listed) != 1:
                    raise OptionError(
                        f"{self.called} has several models, say model=: {', '.join(listed) or 'none listed'}."
                    )
                self._name = next(iter(listed))
            elif listed and self._name not in (names := {*listed, *itertools.chain(*listed.values())}):
                raise UnknownName(unknown(f"model of {self.called}", self._name, names))
            self._checked = True
        assert self._name is not None
        return self._name

    async def listed(self) -> dict[str, list[str]]:
        """Models that the endpoint lists, with their other names."""
        told = self.decoded(await self.request("GET", self.url + "/models", None, 30.0))
        models = [m for m in told.get("data") or [] if isinstance(m, dict) and m.get("id")]
        return {str(m["id"]): [str(a) for a in m.get("aliases") or ()] for m in models}

    async def capabilities(self) -> Capabilities:
        if self._facts is None:
            self._facts = await probe.capabilities(self)
        return self._facts

    async def send(self, path: str, body: bytes, seconds: float) -> bytes:
        if path == SCORE:
            facts = await self.capabilities()
            return await scoring.score(self, facts.prompt_logprobs, body, seconds)
        return await self.request("POST", self.url + path, body, seconds)

    async def post(
        self, path: str, body: dict[str, Any], seconds: float = 300.0, *, root: bool = False
    ) -> dict[str, Any]:
        """One JSON request outside the broker; `root` is above ``/v1``, where llama.cpp has its own paths."""
        base = self.url.removesuffix("/v1") if root else self.url
        return self.decoded(await self.request("POST", base + path, json.dumps(body).encode(), seconds))

    async def get(self, path: str, seconds: float = 30.0, *, root: bool = False) -> dict[str, Any]:
        """One JSON document of the endpoint."""
        base = self.url.removesuffix("/v1") if root else self.url
        return self.decoded(await self.request("GET", base + path, None, seconds))

    def decoded(self, reply: bytes) -> dict[str, Any]:
        """A reply as an object.

        Raises
        ------
        BadReply
            It is not JSON, or not an object.
        """
        try:
            found = json.loads(reply)
        except ValueError:
            raise BadReply(f"{self.called} sent no whole JSON: {self._shown(reply)}") from None
        if not isinstance(found, dict):
            raise BadReply(f"{self.called} sent no JSON object: {self._shown(reply)}")
        return found

    async def request(self, method: str, url: str, body: bytes | None, seconds: float) -> bytes:
        session = await self._session()
        try:
            async with session.request(
                method, url, data=body, headers=self._headers, timeout=_limit(seconds), allow_redirects=False
            ) as response:
                reply: bytes = await response.read()
                if response.status != 200:
                    raise self._refusal(response.status, reply, response.headers.get("Retry-After"))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._lost(error, seconds) from None
        if reply[-1:] not in (b"}", b"]") and not reply.rstrip().endswith((b"}", b"]")):
            raise BadReply(f"{self.called} sent no whole JSON: {self._shown(reply)}")
        return reply

    async def stream(self, path: str, body: bytes, seconds: float) -> AsyncIterator[bytes]:
        session = await self._session()
        asked = body[:-1] + b',"stream":true,"stream_options":{"include_usage":true}}'
        limit = aiohttp.ClientTimeout(total=None, connect=min(seconds, 30.0), sock_read=seconds)
        ended = False
        try:
            async with session.post(
                self.url + path, data=asked, headers=self._headers, timeout=limit, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise self._refusal(response.status, await response.read(), response.headers.get("Retry-After"))
                async for line in response.content:
                    if not line.startswith(b"data:"):
                        continue
                    event = line[5:].strip()
                    if event == b"[DONE]":
                        ended = True
                        break
                    if event.startswith(b'{"error"'):
                        raise self._refusal(500, event, None)
                    yield event
        except TimeoutError:
            raise EndpointDown(f"the stream of {self.called} stalled: nothing came for {seconds:g} s.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._lost(error, seconds) from None
        if not ended:
            raise BadReply(f"the stream of {self.called} ended before its end mark.")

    def _refusal(self, status: int, reply: bytes, after: str | None) -> LMError:
        told = self._shown(reply)
        at = f"{self.called}{f' ({self._name})' if self._name else ''}"
        if status in (401, 403):
            have = "the key was refused" if self._key else "a key is needed"
            host = urlsplit(self.url).netloc
            return EndpointRefused(
                f"{at} answered {status}: {have}. Set {keys.variable(host)}, or put it into {keys.file()}. "
                f"It said: {told}"
            )
        if status in (400, 413, 422) and _TOO_LONG.search(told):
            return ContextExceeded(f"{at}: the prompt is longer than the context. It said: {told}")
        if status in (408, 409, 425, 429) or (status >= 500 and status != 501):
            error = EndpointBusy(f"{at} answered {status}: {told}")
            error.after = _seconds(after)
            return error
        return EndpointRefused(f"{at} answered {status}: {told}")

    def _lost(self, error: BaseException, seconds: float) -> LMError:
        if isinstance(error, TimeoutError):
            return EndpointDown(f"{self.called} did not answer within {seconds:g} s.")
        if isinstance(error, aiohttp.ClientConnectorError):
            return EndpointDown(f"nothing answers at {self.called} ({error.os_error.strerror or error.os_error}).")
        return EndpointDown(f"the connection to {self.called} broke ({type(error).__name__}).")

    def _shown(self, reply: bytes) -> str:
        text = reply[: 4 * _SHOWN].decode("utf-8", "replace")
        try:
            told = json.loads(reply)["error"]
            text = str(told.get("message") or told) if isinstance(told, dict) else str(told)
        except (ValueError, KeyError, TypeError):
            pass
        text = self._key.scrub(text) if self._key else text
        return " ".join(text.split())[:_SHOWN] or "nothing"

    async def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        kept = self._sessions.get(loop)
        if kept is None or kept[0].closed:
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300), cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True, skip_auto_headers=("User-Agent", "Accept-Encoding"),
            )  # fmt: skip
            ending = _until_the_loop_ends(session)
            await anext(ending)
            _open.add(session)
            kept = self._sessions[loop] = (session, ending)
        return kept[0]

    async def close(self) -> None:
        """Close the connections of the running loop."""
        kept = self._sessions.pop(asyncio.get_running_loop(), None)
        if kept is not None:
            await kept[1].aclose()


_Session = tuple[aiohttp.ClientSession, AsyncGenerator[None]]


async def _until_the_loop_ends(session: aiohttp.ClientSession) -> AsyncGenerator[None]:
    """`asyncio.run` ends the asynchronous generators of its loop; this one closes the session then."""
    try:
        yield
    finally:
        await session.close()


_open: weakref.WeakSet[aiohttp.ClientSession] = weakref.WeakSet()


def _drop(sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Session]) -> None:
    """Close what an endpoint leaves behind when nobody refers to it any more."""
    for loop, (session, ending) in list(sessions.items()):
        if loop.is_running():
            asyncio.run_coroutine_threadsafe(_closed(ending), loop)
        else:
            _cut(session)


async def _closed(ending: AsyncGenerator[None]) -> None:
    await ending.aclose()


def _cut(session: aiohttp.ClientSession) -> None:
    """Let go of a session whose loop will not run again: closing it would need that loop."""
    connector = session.connector
    session.detach()
    if connector is not None:
        getattr(connector, "_conns", {}).clear()  # else it complains of each of them when it is collected


@atexit.register
def _end() -> None:
    """Sessions of loops that never ended are dropped without a word when the process goes."""
    for session in list(_open):
        _cut(session)


_limits: dict[float, aiohttp.ClientTimeout] = {}


def _limit(seconds: float) -> aiohttp.ClientTimeout:
    if seconds not in _limits:
        _limits[seconds] = aiohttp.ClientTimeout(total=seconds, connect=min(seconds, 30.0))
    return _limits[seconds]


def _seconds(after: str | None) -> float | None:
    """Seconds of a `Retry-After` header: a number, or a date."""
    if not after:
        return None
    try:
        return max(0.0, float(after))
    except ValueError:
        try:
            return max(0.0, parsedate_to_datetime(after).timestamp() - time())
        except ValueError:
            return None
