"""Runs in the openai client's interpreter: chats to an endpoint, so many at once, and what they cost."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.peers.inside import Clock, answer, versions


def run(question: dict[str, Any]) -> dict[str, Any]:
    """See `benchmarks.peers.openai.ask` for question and answer."""
    return asyncio.run(_run(question))


async def _run(question: dict[str, Any]) -> dict[str, Any]:
    import openai

    client = openai.AsyncOpenAI(base_url=question["url"], api_key="none", max_retries=0)
    turns = asyncio.Semaphore(question["at_once"])

    async def right(number: int) -> bool:
        text = question["question"].format(number)
        async with turns:
            said: Any = [{"role": "user", "content": text}]
            told = await client.chat.completions.create(model="echo", messages=said, temperature=0)
        return told.choices[0].message.content == text

    first, last = question["start"], question["start"] + question["calls"]
    await asyncio.gather(*(right(last + i) for i in range(question["warm"])))
    with Clock() as spent:
        kept = await asyncio.gather(*(right(i) for i in range(first, last)))
    await client.close()
    return {"spent": spent.read(), "wrong": kept.count(False), "versions": versions(("openai", "httpx2", "pydantic"))}


if __name__ == "__main__":
    answer(run)
