"""``ethogram lm``: language models, their weights, endpoints, runs and answers."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ethogram.cli.calls import log_ as log_
from ethogram.cli.output import Json, Output
from ethogram.cli.teaching import tune_ as tune_
from ethogram.cli.trial import trial_ as trial_
from ethogram.errors import UnknownName, unknown

Key = Annotated[str | None, Parameter(help="Where the API key is: env:NAME or file:PATH.")]


def ls_(*, json: Json = None) -> None:
    """List weights, probed endpoints and runs."""
    from ethogram.lm import probe, transcript, weights

    out = Output(json)
    rows = []
    for known in weights.KNOWN.values():
        here = weights.present(known)
        size = round(here.stat().st_size / 1e6) if here else None
        rows.append(
            {"name": known.name, "here": here is not None, "mb": size, "licence": known.licence, "what": known.what}
        )
    out.table(("weights", "here", "MB", "licence", ""), [tuple(r.values()) for r in rows])
    endpoints = probe.kept()
    if endpoints:
        out.line()
        out.table(
            ("probed", "", "server", "context", "schema", "log-probabilities", "tools"),
            [
                (
                    i,
                    weights.named(i),
                    f.server,
                    f.context,
                    f.json_schema,
                    f"{f.top_logprobs} top, given text: {f.prompt_logprobs}",
                    f.tools,
                )
                for i, f in endpoints.items()
            ],
        )
    runs = transcript.names()
    out.line(f"\n{len(runs)} runs" + (": ethogram lm log" if runs else ""))
    out.line("talk to one: ethogram lm chat local, local:NAME, local:PATH.gguf, or the URL of an endpoint")
    out.result({"weights": rows, "endpoints": {i: f.json() for i, f in endpoints.items()}, "runs": runs})


def pull_(name: str = "smollm2", /, *, again: bool = False, json: Json = None) -> None:
    """Fetch weights into the cache; their SHA-256 is compared.

    Parameters
    ----------
    name
        Weights, as in `ethogram lm ls`.
    again
        Fetch them even if they are there.
    """
    from ethogram.lm.pull import pull

    out = Output(json)
    out.result({"name": name, "path": str(pull(name, again=again, say=out.line))})


def serve_(
    name: str = "", /, *, port: int = 8080, context: int = 4096, slots: int = 1, threads: int = 0, seconds: float = 0
) -> None:
    """Serve the embedded model on loopback, with a key, as an OpenAI-compatible endpoint.

    Parameters
    ----------
    name
        Weights: a name or a GGUF file; the default weights if not given.
    port
        Port on 127.0.0.1; 0 takes a free one.
    context
        Tokens of prompt and reply together.
    slots
        Calls side by side.
    threads
        Threads of the computation; 0 takes the idle cores.
    seconds
        Stop after so long; 0 serves until interrupted.
    """
    from ethogram import folders
    from ethogram.lm import weights
    from ethogram.lm.embedded import Server, Settings

    path = weights.find(name)
    server = Server(path, Settings(context, slots, threads, port), key := secrets.token_urlsafe(24))
    held = folders.cache() / "lm" / f"serve-{server.url.rsplit(':', 1)[-1]}.key"
    held.parent.mkdir(parents=True, exist_ok=True)
    held.unlink(missing_ok=True)
    with os.fdopen(os.open(held, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
        f.write(key)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # however it is stopped, the key's file goes
    print(f"{path.name} at {server.url}/v1, key in {held}", flush=True)
    print(f"  ethogram lm chat {server.url}/v1 --key file:{held}", flush=True)
    try:
        until = time.monotonic() + seconds
        while not seconds or time.monotonic() < until:
            time.sleep(0.2)
    finally:
        held.unlink(missing_ok=True)


def chat_(
    where: str = "local", /, *, text: str | None = None, model: str | None = None, key: Key = None,
    system: str | None = None, max_tokens: int = 256, temperature: float = 0.0,
) -> None:  # fmt: skip
    """Talk to a model.

    Parameters
    ----------
    where
        local, local:PATH.gguf, torch, or the URL of an endpoint.
    text
        Say this, print the reply and end; without it, read from the terminal until an empty line.
    model
        Name of the model at the endpoint.
    system
        A message of the system before the talk.
    max_tokens
        Longest reply.
    temperature
        0 takes the most probable tokens.
    """
    from ethogram.lm import LM, Message, gguf
    from ethogram.lm.embedded import Embedded

    lm = LM.connect(where, model=model, key=key)
    said: list[Message] = []
    if isinstance(lm.wire, Embedded) and not gguf.check(lm.wire.path).instructed:
        print(f"{lm.wire.path.name} is a base model: it continues text and follows no instructions.", file=sys.stderr)
    if text is None and sys.stdin.isatty():
        print("An empty line ends.", file=sys.stderr)
    with _closing(lm):
        while True:
            line = text if text is not None else _line()
            if not line:
                return
            said.append(Message("user", line))
            told = []
            for piece in lm.sync.stream(said, system=system, max_tokens=max_tokens, temperature=temperature):
                told.append(piece)
                print(piece, end="", flush=True)
            print()
            if text is not None:
                return
            said.append(Message("assistant", "".join(told)))


def _line() -> str:
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return ""


@contextlib.contextmanager
def _closing(lm: Any) -> Any:
    try:
        yield lm
    finally:
        lm.sync.close()


def probe_(
    where: str = "local", /, *, model: str | None = None, key: Key = None, again: bool = False, json: Json = None
) -> None:
    """Ask a model what it can really do; the facts are kept for a week.

    Parameters
    ----------
    where
        local, local:PATH.gguf, torch, or the URL of an endpoint.
    model
        Name of the model at the endpoint.
    again
        Ask even if the facts are kept.
    """
    from ethogram.lm import LM, Broker, probe, weights

    out = Output(json)
    lm = LM.connect(where, model=model, key=key, broker=Broker.bare())
    if again:
        probe.place(lm.identity).unlink(missing_ok=True)
    with _closing(lm):
        facts = lm.sync.capabilities()
    out.line(" ".join(filter(None, (lm.identity, weights.named(lm.identity)))))
    out.facts(facts.json() | {"choices by": facts.choices})
    out.result({"identity": lm.identity, **facts.json(), "choices": facts.choices})


def bench_(
    where: str = "local", /, *, model: str | None = None, key: Key = None, rounds: int = 3, json: Json = None
) -> None:
    """Measure how fast a model is here: first token, reading, writing, typed answers, choices.

    Parameters
    ----------
    where
        local, local:PATH.gguf, torch, or the URL of an endpoint; or a file that llama.cpp wrote, which is read.
    model
        Name of the model at the endpoint.
    rounds
        Rounds; medians are shown.
    """
    if Path(where).is_file():
        _logged(where, Output(json))
        return
    from ethogram.lm import LM, Broker
    from ethogram.lm.speed import speed

    out = Output(json)
    lm = LM.connect(where, model=model, key=key, broker=Broker.bare())
    with _closing(lm):
        from ethogram.lm import blocking

        with out.progress("bench") as watch:
            found = blocking.run(speed(lm, rounds, watch=watch))
    units = {"first_token": "s", "read": "tokens/s", "write": "tokens/s", "answer": "s", "choice": "s", "load": ""}
    out.table(("", "median", ""), [(n.replace("_", " "), v, units[n]) for n, v in found.json().items()])
    out.result({"identity": lm.identity, **found.json()})


def _logged(path: str, out: Output) -> None:
    """What a log of llama.cpp says."""
    from ethogram.lm import llamalog

    found = llamalog.read(path)
    told = {
        n: found.model[n] for n in ("general.name", "model params", "model ftype", "model size") if n in found.model
    }
    out.facts(told)
    if found.timings:
        rows = [(n, t.ms, t.tokens, t.rate) for n, t in found.timings.items()]
        out.table(("", "ms", "tokens", "tokens/s"), rows)
    graphs = found.graphs().to_pylist()
    if graphs:
        out.table(("graph", "tokens", "ms", "matrix products"), [tuple(g.values()) for g in graphs])
    if found.broken:
        out.line(f"{found.broken} graphs are not whole and were left out.")
    timings = {n: {"ms": t.ms, "tokens": t.tokens} for n, t in found.timings.items()}
    out.result({"model": found.model, "timings": timings, "graphs": graphs, "broken": found.broken})


def cache_(*, clear: bool = False, model: str | None = None, json: Json = None) -> None:
    """Show the kept answers, or drop them.

    Parameters
    ----------
    clear
        Drop the answers (of one model, if it is named).
    model
        Identity of a model, as this command shows it.
    """
    from ethogram.lm import cache, weights

    out = Output(json)
    if not cache.place().exists():
        out.line("no answers are kept.")
        out.result({"models": []})
        return
    kept = cache.AnswerCache()
    try:
        held = [m["model"] for m in kept.facts()["models"]]
        if model is not None and model not in held:
            raise UnknownName(unknown("model", model, held))
        dropped = kept.clear(model) if clear else 0
        facts = kept.facts()
    finally:
        kept.close()
    if clear:
        out.line(f"{dropped} answers dropped.")
    rows = [(m["model"], weights.named(m["model"]), m["answers"], m["mb"]) for m in facts["models"]]
    out.table(("model", "", "answers", "MB"), rows)
    out.line(f"{facts['path']}, at most {facts['cap_mb']:g} MB")
    out.result({**facts, "dropped": dropped})
