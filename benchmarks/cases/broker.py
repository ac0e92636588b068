"""The CPU of one call to a language model: 5,000 chats, 1,000 at once, against a local server that echoes.

The same calls with the broker (limits, budget, coalescing, cache and transcript on disk before the caller sees the
answer, ledger) and without it (the body built, sent and read by the same transport), and aiohttp used by hand. The
openai client takes its turns in its own interpreter, with fewer calls, and tells its own CPU; the figure is scaled to
the number of calls. The server is another process; its CPU is not counted.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import Case, Figure, Target, judge, measure
from benchmarks.peers import openai

CALLS, AT_ONCE, CLIENT_CALLS = 5_000, 1_000, 2_000
OURS, WITHOUT, BY_HAND, CLIENT = "ethogram", "ethogram, no broker", "aiohttp, by hand", "openai client"
QUESTION = (
    "Customer {} bought bread on Monday and milk on Tuesday. What comes next, and why? " + "Say it briefly. " * 20
)


@dataclass
class Problem:
    """The server's address, a folder for what is kept, one event loop, and numbers that make each call a new one."""

    url: str
    folder: Path
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    numbers: Any = field(default_factory=lambda: itertools.count(0, CALLS))
    made: dict[str, Any] = field(default_factory=dict)

    def questions(self) -> list[str]:
        start = next(self.numbers)
        return [QUESTION.format(start + i) for i in range(CALLS)]


def setup() -> Problem:
    """The server started, as a child that ends with this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8_192)), hard))
    child = subprocess.Popen([sys.executable, "-m", "benchmarks.echo_server"], stdout=subprocess.PIPE, text=True)
    atexit.register(child.kill)
    assert child.stdout is not None
    port = json.loads(child.stdout.readline())["port"]
    folder = Path(tempfile.mkdtemp(prefix="ethogram-broker-"))
    atexit.register(shutil.rmtree, folder, True)
    problem = Problem(f"http://127.0.0.1:{port}/v1", folder)
    atexit.register(_close, problem)
    return problem


def _close(p: Problem) -> None:
    """Close what the contestants opened."""

    async def every() -> None:
        for name in (OURS, WITHOUT, BY_HAND):
            if name in p.made:
                await p.made[name].close()

    p.loop.run_until_complete(every())


def _run(p: Problem, ask: Callable[[str], Awaitable[str]]) -> tuple[list[str], list[str]]:
    questions = p.questions()
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(question: str) -> str:
        async with turns:
            return await ask(question)

    async def every() -> list[str]:
        return await asyncio.gather(*map(one, questions))

    return questions, p.loop.run_until_complete(every())


def ours(p: Problem) -> tuple[list[str], list[str]]:
    """`LM.chat`, everything kept."""
    from ethogram.lm import LM, Broker, Limits
    from ethogram.lm.cache import AnswerCache

    if OURS not in p.made:
        broker = Broker(run=p.folder / "bench.lmrun", cache=AnswerCache(p.folder / "c.sqlite"), limits=Limits(AT_ONCE))
        p.made[OURS] = LM.connect(p.url, model="echo", broker=broker)
    lm = p.made[OURS]

    async def ask(question: str) -> str:
        return str((await lm.chat(question, purpose="bench")).text)

    return _run(p, ask)


def without(p: Problem) -> tuple[list[str], list[str]]:
    """The same calls through the same transport, nothing between."""
    from ethogram.lm import Sampling, protocol
    from ethogram.lm.endpoint import Endpoint
    from ethogram.lm.messages import conversation
    from ethogram.lm.wire import CHAT

    wire = p.made.setdefault(WITHOUT, Endpoint(p.url, "echo"))
    sampling = Sampling()

    async def ask(question: str) -> str:
        body = protocol.body("echo", conversation(question), sampling)
        return protocol.reply(await wire.send(CHAT, body, 300.0), wire.identity, "live", 0.0, 1).text

    return _run(p, ask)


def by_hand(p: Problem) -> tuple[list[str], list[str]]:
    """aiohttp as its manual shows it."""
    import aiohttp

    async def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    if BY_HAND not in p.made:
        p.made[BY_HAND] = p.loop.run_until_complete(make())
    session = p.made[BY_HAND]

    async def ask(question: str) -> str:
        body = {"model": "echo", "messages": [{"role": "user", "content": question}], "temperature": 0}
        async with session.post(p.url + "/chat/completions", json=body) as response:
            return str((await response.json())["choices"][0]["message"]["content"])

    return _run(p, ask)


def client(p: Problem) -> tuple[list[str], list[str]]:
    """The client that most programs use, in its own interpreter; its own clock is kept with the problem.

    Raises
    ------
    AssertionError
        It gave an answer that is not the question's.
    """
    start = next(p.numbers)
    told = openai.ask(p.url, QUESTION, calls=CLIENT_CALLS, at_once=AT_ONCE, start=start, warm=AT_ONCE)
    assert not told["wrong"], f"{told['wrong']} answers of the {CLIENT}"
    p.made.setdefault(CLIENT, []).append(told["spent"])
    return [], []


run: Mapping[str, Callable[[Problem], Any]] = {OURS: ours, WITHOUT: without, BY_HAND: by_hand, CLIENT: client}


def check(p: Problem, answers: Mapping[str, tuple[list[str], list[str]]]) -> None:
    """Every contestant got every question's own text back.

    Raises
    ------
    AssertionError
        An answer is another question's, or was lost.
    """
    for name, (questions, told) in answers.items():
        assert questions == told, name


def _ms(figure: Figure) -> float:
    return 1e3 * figure.cpu / CALLS


@dataclass(frozen=True)
class Beside:
    """A case one contestant of which runs in another process, so that its figure is its own clock's."""

    case: Case
    readings: Callable[[], list[dict[str, float]]]

    @property
    def name(self) -> str:
        return self.case.name

    @property
    def title(self) -> str:
        return self.case.title

    @property
    def threads(self) -> int:
        return self.case.threads

    def measure(self) -> dict[str, Any]:
        """As the harness does; the turns of both are interleaved."""
        found = measure(self.case)
        figures = {name: Figure(**told) for name, told in found["figures"].items()}
        if CLIENT in figures:
            turns = self.readings()[-self.case.repeats :]  # the turn before was not measured
            cpu, wall = (sorted(CALLS / CLIENT_CALLS * t[what] for t in turns) for what in ("cpu", "wall"))
            figures[CLIENT] = Figure(cpu[0], wall[0], cpu[len(cpu) // 2], wall[len(wall) // 2])
        told = {name: asdict(figure) for name, figure in figures.items()}
        return found | {"figures": told, "targets": [judge(t, figures) for t in self.case.targets]}


def cases() -> Iterable[Any]:
    """The harness's form."""
    problems: list[Problem] = []

    def begun() -> Problem:
        problems.append(setup())
        return problems[-1]

    case = Case(
        "lm_broker",
        f"{CALLS:,} chats, {AT_ONCE:,} at once, local echo server, one thread",
        begun,
        run,
        check,
        [
            Target("broker, ms CPU a call", lambda f: _ms(f[OURS]) - _ms(f[WITHOUT]), most=0.3),
            Target("whole path, ms CPU a call", lambda f: _ms(f[OURS]), most=0.6),
            Target("openai client / whole path, CPU", lambda f: f[CLIENT].cpu / f[OURS].cpu, least=5),
        ],
        notes=f"seconds are of {CALLS:,} calls ({CLIENT}: {CLIENT_CALLS:,} measured, scaled); with the broker every "
        "answer is on disk before the caller sees it",
        available=lambda p: {CLIENT: openai.PEER.python.exists()},
    )
    yield Beside(case, lambda: problems[-1].made[CLIENT])
