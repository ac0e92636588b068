"""An endpoint on loopback that answers as a test tells it, and counts what it was asked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


def said(text: str = "hello", **more: Any) -> dict[str, Any]:
    """A chat reply."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} | more
    return {"model": "m", "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


class Faulty:
    """`handler` answers chats; `seen` are the bodies, `headers` the headers that came."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.models = ["m"]
        self.at_once = self.most_at_once = 0
        self.handler: Handler = self.hello
        self.embedding: Handler = refusing(501, "no embeddings")
        self.completion: Handler = refusing(404, "no completions")
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._up.wait()

    async def hello(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(said())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._up.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/embeddings", self._embed)
        app.router.add_post("/v1/completions", self._complete)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"object": "list", "data": [{"id": name, "aliases": [name, f"{name}-x"]} for name in self.models]}
        )

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        return await self.embedding(request, json.loads(await request.read()))

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        return await self.completion(request, json.loads(await request.read()))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.seen.append(body)
        self.headers.append(dict(request.headers))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self.handler(request, body)
        finally:
            self.at_once -= 1

    def stop(self) -> None:
        async def down() -> None:
            await self._runner.cleanup()

        asyncio.run_coroutine_threadsafe(down(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def refusing(status: int, text: str = "no", **headers: str) -> Handler:
    """Answers every call with a status and an error as the protocol has it."""

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"error": {"message": text}}, status=status, headers=headers)

    return handler


def then(*handlers: Handler) -> Handler:
    """One after the other; the last stays."""
    left = list(handlers)

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request, body)

    return handler


def raw(payload: bytes) -> Handler:
    """Sends bytes as they are, as a whole reply."""

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(body=payload, content_type="application/json")

    return handler


def events(*lines: str, stall: float = 0.0, end: bool = True) -> Handler:
    """A stream of these data lines; then nothing for `stall` seconds; then its end mark."""

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for line in lines:
            await response.write(f"data: {line}\n\n".encode())
        await asyncio.sleep(stall)
        if end:
            await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    return handler


def delta(text: str) -> str:
    """One event of a stream."""
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]})
