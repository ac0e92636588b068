"""An endpoint that answers every chat with its last message at once; run as a process, it prints its port.

An argument is the seconds that it takes for a chat.

Written on `asyncio.Protocol`, so that it is never the slower side of a measurement.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

DELAY = float(sys.argv[1]) if __name__ == "__main__" and len(sys.argv) > 1 else 0.0
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TEXT = re.compile(rb'"content":\s*("(?:[^"\\]|\\.)*")(?!.*"content")', re.DOTALL)


class Echo(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, just enough for JSON posts."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self.buffer, 0, end)
            size = int(found[1]) if found else 0
            if len(self.buffer) < end + 4 + size:
                return
            head, body = self.buffer[:end], self.buffer[end + 4 : end + 4 + size]
            self.buffer = self.buffer[end + 4 + size :]
            if head.startswith(b"GET"):
                self._answer(models())
            elif DELAY:
                asyncio.get_running_loop().call_later(DELAY, self._answer, chat(body))
            else:
                self._answer(chat(body))

    def _answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)


def models() -> bytes:
    return b'{"object": "list", "data": [{"id": "echo", "object": "model"}]}'


def chat(body: bytes) -> bytes:
    found = _TEXT.search(body)
    said = found[1] if found else b'""'
    return (
        b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"echo","choices":[{"index":0,"message":'
        b'{"role":"assistant","content":' + said + b'},"finish_reason":"stop"}],"usage":'
        b'{"prompt_tokens":12,"completion_tokens":8,"total_tokens":20}}'
    )


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=2048)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
