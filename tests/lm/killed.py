"""A process that asks and asks, and prints each answer once it has it; it is killed from outside."""

import asyncio
import sys

from ethogram.lm import Broker, ScriptedLM


async def main(run: str) -> None:
    broker = Broker(run=run, mode="record")
    lm = ScriptedLM(lambda messages, rng: f"answer to {messages[-1].text}", name="killed", broker=broker)

    async def worker(n: int) -> None:
        for i in range(100_000):
            question = f"{n}-{i}"
            await lm.chat(question)
            sys.stdout.write(question + "\n")
            sys.stdout.flush()

    await asyncio.gather(*map(worker, range(8)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
