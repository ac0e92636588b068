"""What stands before every request: who asks, how often, how much; and what goes out when something breaks.

Plain ASGI, so that it costs microseconds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from ethogram.errors import StoreError
from ethogram.serve.keys import Keyring, Scope
from ethogram.serve.limits import Limits, Rate
from ethogram.serve.metrics import Metrics
from ethogram.serve.problems import Refused

log = logging.getLogger("ethogram.serve")
Scope_ = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Direct = Callable[[bytes], Awaitable[bytes]]
App = Callable[[Scope_, Receive, Send], Awaitable[None]]
JSON = ((b"content-type", b"application/json"),)
OPEN = ("/healthz", "/readyz", "/openapi.json", "/docs", "/")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Guard:
    """An app behind keys, limits and measures.

    Parameters
    ----------
    keys : None asks for no key: then only pages and programs of this machine may ask (a page of another site, or a
        name that was made to lead here, is refused).
    scope_of : (method, path) -> the scope that is needed, None where nobody knows the path.
    direct : (method, path) -> from a body to the answer as JSON, for paths that are asked so often that the way through
        a framework would be half of what they cost.
    """

    def __init__(
        self, app: App, keys: Keyring | None, limits: Limits, metrics: Metrics,
        scope_of: Callable[[str, str], tuple[Scope | None, str]],
        direct: Mapping[tuple[str, str], Direct] = MappingProxyType({}),
    ):  # fmt: skip
        self.app, self.keys, self.limits, self.metrics, self.scope_of = app, keys, limits, metrics, scope_of
        self.direct, self.rate, self.flying = direct, Rate(limits.rate), 0

    async def __call__(self, scope: Scope_, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status, started = time.perf_counter(), 500, False
        needed, name = self.scope_of(scope["method"], scope["path"])

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
            await send(message)

        self.flying += 1
        try:
            if self.flying > self.limits.flying:
                said = f"{self.limits.flying:,} requests are under way."
                raise Refused("overloaded", said, right="try again", after=1.0)
            headers = dict(scope["headers"])
            self._check(scope["path"], headers, needed, scope.get("client"))
            body = await self._body(headers, receive) if scope["method"] in ("POST", "PUT", "PATCH", "DELETE") else b""
            direct = self.direct.get((scope["method"], scope["path"]))
            if direct is not None and not scope["query_string"]:
                await _send(sending, 200, JSON, await direct(body))
                return
            scope["ethogram.body"] = body
            await self.app(scope, _once(body, receive), sending)
        except Refused as refused:
            await _answer(refused, sending)
        except StoreError as error:
            log.error("the store: %s", error)
            why = "The store cannot be reached or written; nothing was acknowledged."
            await _answer(Refused("unavailable", why, right="try again", after=1.0), sending)
        except Exception:
            log.exception("%s %s failed", scope["method"], name)
            if not started:
                await _answer(Refused("internal", "Something failed; the server's log says more."), sending)
        finally:
            self.flying -= 1
            self.metrics.request(name, status, time.perf_counter() - begun)

    def _check(self, path: str, headers: dict[bytes, bytes], needed: Scope | None, client: Any) -> None:
        if self.keys is None:
            self._from_here(headers)
            who = str(client[0]) if client else ""
        else:
            if path in OPEN:
                return
            given = headers.get(b"authorization", b"").decode("latin-1")
            kind, _, key = given.partition(" ")
            right = "Authorization: Bearer KEY"
            if kind.lower() != "bearer" or not key.strip():
                raise Refused("no-key", "The request has no key.", "header Authorization", right)
            found = self.keys.find(key.strip())
            if found is None:
                raise Refused(
                    "no-key", "The key is not known here, or its time is over.", "header Authorization", right
                )
            if needed is not None and not found.allows(needed):
                raise Refused(
                    "forbidden", f"The key has the scopes {', '.join(found.scopes)}.", "header Authorization",
                    f"a key with the scope '{needed}'",
                )  # fmt: skip
            who = found.id
        if path not in OPEN and (wait := self.rate.wait(who)):
            allowed = f"at most {self.rate.rate:g} requests a second of one key"
            raise Refused("too-many", "This key asks too often.", "header Authorization", allowed, after=wait)

    def _from_here(self, headers: dict[bytes, bytes]) -> None:
        host = urlsplit("//" + headers.get(b"host", b"localhost").decode("latin-1")).hostname
        if host not in LOOPBACK:
            raise Refused(
                "forbidden", "Without keys only this machine may ask.", "header Host", "127.0.0.1, or use keys"
            )
        if origin := headers.get(b"origin"):
            from_ = urlsplit(origin.decode("latin-1")).hostname
            if from_ not in LOOPBACK:
                raise Refused(
                    "forbidden", "Without keys a page of another site may not ask.", "header Origin", "use keys"
                )

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """All of the body; what is too long is not read to its end."""
        most = self.limits.body
        too_long = Refused("too-large", f"The body is longer than {most:,} bytes.", "body", f"at most {most:,} bytes")
        length = headers.get(b"content-length")
        if length is not None and (not length.isdigit() or int(length) > most):
            raise too_long
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.limits.patience):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused("malformed", "The connection ended within the body.", "body")
                    part = message.get("body", b"")
                    parts.append(part)
                    size += len(part)
                    if size > most:
                        raise too_long
                    if not message.get("more_body"):
                        return parts[0] if len(parts) == 1 else b"".join(parts)
        except TimeoutError:
            within = f"within {self.limits.patience:g} seconds"
            raise Refused("slow", "The body did not come to its end.", "body", within) from None


def _once(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _answer(refused: Refused, send: Send) -> None:
    headers = [(k.encode(), v.encode()) for k, v in refused.headers.items()]
    await _send(send, refused.status, headers, refused.body)


async def _send(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
