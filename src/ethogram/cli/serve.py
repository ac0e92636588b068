"""``ethogram serve MODEL...``: models behind HTTP, with a store of what people did."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ethogram.cli.output import Output
from ethogram.errors import MissingExtra, OptionError, StepError
from ethogram.log.condition import duration

LOOPBACK = ("127.0.0.1", "localhost", "::1")
DEMO = Path("ethogram-demo")


def serve(
    *models: str,
    store: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    demo: Annotated[bool, Parameter(negative=())] = False,
    households: int | None = None,
    keys: str | None = None,
    no_keys: Annotated[bool, Parameter(negative=())] = False,
    experiments: Annotated[tuple[str, ...], Parameter(name="--experiment", negative=())] = (),
    rules: Annotated[tuple[Path, ...], Parameter(name="--rules", negative=())] = (),
    index: Literal["auto", "exact", "graph"] = "auto",
    rate: float | None = None,
    waiting: int | None = None,
    body: int | None = None,
    batch: int | None = None,
    candidates: int | None = None,
    compact: float | None = None,
    attribution: str = "30m",
) -> None:
    """Serve saved models over HTTP: events in, rankings, recommendations and risks out.

    Parameters
    ----------
    models
        Folders of saved systems, or folders of versions (a saved system in each sub-folder); NAME=FOLDER names one.
    store
        Where events are kept: lmdb:PATH in this process, or redis://HOST:PORT/NUMBER where several replicas share it.
        lmdb:ethogram-state if not given.
    host
        Address to listen at; the default answers this machine only.
    port
        Port to listen at; 0 takes a free one.
    demo
        Serve the models of `ethogram demo` (in ethogram-demo; fitted first if they are not there).
    households
        With --demo: learn from so many households only, which is faster.
    keys
        File of API keys (`ethogram keys make`), or `store` for keys in the store; ~/.config/ethogram/serve-keys.json
        if not given. A key in ETHOGRAM_API_KEY is taken besides, with all scopes.
    no_keys
        Ask for no key; only on loopback.
    experiments
        NAME=MODEL:SHARE,MODEL:SHARE: requests that name it get one of the models by their user; can be repeated.
    rules
        Rules that `ethogram risk clusters --rules` wrote: answers tell which of them a case meets; can be repeated.
    index
        How recommenders with vectors search: exact scores every item, graph finds by HNSW and re-scores exactly,
        auto by the size of the catalogue.
    rate
        Requests a second that one key may make (2000).
    waiting
        Requests that may wait; beyond it the answer is 503 with Retry-After (256).
    body
        Bytes that a request may have (1048576).
    batch
        Events that a request may hold (1000).
    candidates
        Candidates that a request may hold (2000).
    compact
        Seconds after which the bytes of a forgotten user are gone (600).
    attribution
        Time within which an event answers what was shown, such as 30m or 2h; models with an error memory learn so.
    """
    say = Output(None)
    given = {
        "rate": rate,
        "waiting": waiting,
        "body": body,
        "batch": batch,
        "candidates": candidates,
        "compact": compact,
    }
    for name, value in given.items():
        if value is not None and not value > 0:
            raise OptionError(f"--{name} {value}: give a number above 0.")
    if demo and models:
        raise OptionError("--demo serves its own models; give either --demo or folders.")
    if not demo and not models:
        raise OptionError(
            "name a model: `ethogram serve FOLDER`, where `ethogram fit SYSTEM LOG --out FOLDER` wrote it; or --demo."
        )
    if households is not None and not demo:
        raise OptionError("--households belongs to --demo.")
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtra(f"ethogram serve needs {error.name}; pip install 'ethogram[serve]'.") from None
    try:
        window = duration(attribution) / 1e6
    except StepError as error:
        raise OptionError(f"--attribution {attribution}: {error}") from None
    sources = _sources(models)
    if demo:
        from ethogram.cli.demo_served import served

        sources = served(DEMO, households, say)
    _run(
        _Chosen(
            sources, store or (f"lmdb:{DEMO}/state" if demo else "lmdb:ethogram-state"), host, port, demo, households,
            keys, no_keys, experiments, rules, index, {k: v for k, v in given.items() if v is not None}, window,
        ),
        say,
    )  # fmt: skip


@dataclass(frozen=True)
class _Chosen:
    """What the command was told."""

    sources: dict[str, Path]
    store: str
    host: str
    port: int
    demo: bool
    households: int | None
    keys: str | None
    no_keys: bool
    experiments: tuple[str, ...]
    rules: tuple[Path, ...]
    index: Any
    limits: dict[str, Any]
    window: float


def _run(chosen: _Chosen, say: Output) -> None:
    from ethogram.numeric import rule_sets
    from ethogram.serve.app import build
    from ethogram.serve.experiments import Experiment
    from ethogram.serve.limits import Limits
    from ethogram.serve.opening import open_store
    from ethogram.serve.run import listen, run
    from ethogram.serve.service import Service
    from ethogram.serve.shelf import Shelf

    limits = Limits(**chosen.limits)
    tried = [Experiment.parse(text, chosen.sources) for text in chosen.experiments]
    known = [rule_sets.read(path) for path in chosen.rules]
    # what is wrong is told before a store is made
    at = listen(chosen.host, chosen.port)
    keyring = None if chosen.keys == "store" else _keyring(chosen, None)
    held = open_store(chosen.store)
    try:
        if chosen.keys == "store":
            keyring = _keyring(chosen, held)
        who = "u1"
        if chosen.demo:
            from ethogram.cli.demo_served import seed

            who = seed(held, chosen.households, say)
        shelf = Shelf(held, chosen.sources, how=chosen.index, window=chosen.window)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(1)  # requests are small: a second thread costs them more than it brings
        rules = _rules(known, shelf)
        app = build(Service(held, shelf, limits=limits, experiments=tried, rules=rules), keyring)
        host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
        told = f"http://{host}:{at.getsockname()[1]}"
        run(app, at, grace=limits.grace, started=lambda: _told(told, chosen.store, shelf, keyring, who, say))
    finally:
        held.close()


def _rules(known: list[tuple[str, Any]], shelf: Any) -> dict[str, Any]:
    """Rules by the models of the systems that they were found by."""
    served = {m.name: m.system for m in shelf.told()}
    for system, _ in known:
        if system not in served.values():
            raise OptionError(f"--rules: no model of '{system}' is served; there are {', '.join(served.values())}.")
    return {n: [r for of, found in known if of == s for r in found] for n, s in served.items() if s in dict(known)}


def _sources(models: tuple[str, ...]) -> dict[str, Path]:
    from ethogram.serve.shelf import NAMED

    found: dict[str, Path] = {}
    for given in models:
        name, sign, path = given.partition("=")
        place = Path(path if sign else given).expanduser()
        name = name if sign else place.resolve().name
        if not NAMED.fullmatch(name):
            raise OptionError(
                f"'{name}' cannot name a model; write NAME={place} with letters, digits, '_', '.' and '-'."
            )
        if name in found:
            raise OptionError(f"two models are called '{name}'; write NAME=FOLDER to tell them apart.")
        if not place.exists():
            raise OptionError(f"there is no folder '{place}'; `ethogram fit SYSTEM LOG --out {place}` makes a model.")
        found[name] = place
    return found


def _keyring(chosen: _Chosen, held: Any) -> Any:
    """Who may ask; None where nobody is asked, which is allowed on loopback only."""
    from ethogram.serve.keys import VARIABLE, KeyFact, KeyFile, Keyring, default_file

    keys, demo, host = chosen.keys, chosen.demo, chosen.host
    given = os.environ.get(VARIABLE, "").strip() or None
    if chosen.no_keys or (demo and given is None and keys is None):
        if host not in LOOPBACK:
            how = f"set {VARIABLE}" if demo else "leave out --no-keys"
            raise OptionError(f"without keys the service listens on 127.0.0.1 only, not at {host}; {how}.")
        return None
    place = (
        KeyFact(held.fact, held.settle)
        if keys == "store"
        else KeyFile(Path(keys).expanduser() if keys else default_file())
    )
    found = Keyring(None if demo and keys is None else place, given)
    if not len(found):
        where = "" if keys is None else f" --keys {keys}"
        raise OptionError(
            f"there is no API key yet; `ethogram keys make NAME{where}` makes one. To try without: --no-keys, on this "
            "machine only."
        )
    return found


def _told(shown: str, location: str, shelf: Any, keyring: Any, who: str, say: Output) -> None:
    from ethogram.serve.keys import VARIABLE

    told = [(m.name, m.system, ", ".join(m.verbs), m.version) for m in shelf.told()]
    say.line(f"Ethogram serves at {shown}")
    say.table(("model", "system", "can", "version"), told)
    say.line(f"store {location.rpartition('@')[2] if '@' in location else location}")
    auth = "" if keyring is None else f' -H "Authorization: Bearer ${VARIABLE}"'
    say.line(
        "no key is asked (this machine only)" if keyring is None else f"keys: {len(keyring)}; every request carries one"
    )
    say.line(f"what can be asked: {shown}/docs")
    first = next((m for m in shelf.told() if "recommend" in m.verbs), None)
    if first is not None:
        say.line(f"""try: curl{auth} {shown}/v1/recommend -d '{{"user_id": "{who}", "k": 3}}'""")
    elif not any("score" in m.verbs for m in shelf.told()):
        say.line(f"""try: curl{auth} {shown}/v1/assess -d '{{"user_id": "{who}"}}'""")
    else:
        say.line(f"""try: curl{auth} {shown}/v1/rank -d '{{"user_id": "{who}", "candidates": ["i1", "i2"]}}'""")
    say.line("stop: Ctrl-C")
    say.stream.flush()
