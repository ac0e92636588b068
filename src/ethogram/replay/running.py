"""`Run`: a world and its folder; begun, continued, forked."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ethogram.errors import BudgetSpent, OptionError, StateError, WorldError
from ethogram.lm import LM
from ethogram.lm.transcript import Recording
from ethogram.log import Log
from ethogram.log.condition import duration
from ethogram.replay.building import Spending, built, reachable
from ethogram.replay.manifest import Branch, Manifest, is_run
from ethogram.world import Command, World
from ethogram.world.events import Record
from ethogram.world.forking import another_luck
from ethogram.world.live import Live
from ethogram.world.stepping import retold
from ethogram.world.tape import Tape

EVERY = 500
"""Ticks between checkpoints."""
Watch = Callable[[Mapping[str, Any]], None]


@dataclass
class Run:
    """A run of a system's world.

    Attributes
    ----------
    folder : where it is kept; None in memory. told : what it is. system, world : built from that.
    """

    folder: Path | None
    told: Manifest
    system: Any
    world: World

    @property
    def name(self) -> str:
        return self.folder.name if self.folder is not None else self.world.declared.run

    def until(self, until: str | int, watch: Watch | None = None) -> Run:
        """Run on to a tick, or to a time since the beginning ("2d"); what lies behind is left as it is.

        Raises
        ------
        LMError
            The model at a URL does not answer at all. Later, a call that fails leaves its decision to the fallback.
        BudgetSpent
            With ``Spending(spent="stop")``: all ticks before are done and kept; the run goes on with a larger budget.
        """
        end = ticks(until, self.world)
        world = self.world
        if world.tick < end:
            reachable(world)
        try:
            while world.tick < end:
                world.run(world.tick + 1)
                if watch is not None:
                    watch({"step": world.tick, "steps": end, "events": world.events})
        except BudgetSpent:
            if self.folder is not None and not world.live.broken:
                world.checkpoint()
            raise
        if self.folder is not None:
            world.checkpoint()
        return self

    def close(self) -> None:
        """Close all files."""
        if self.folder is not None:
            self.world.close()
        if isinstance(self.world.declared.lm, LM):
            self.world.declared.lm.broker.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def log(self) -> Log:
        """What happened, as a behaviour log; of a social network with a table of items that says whose each post is."""
        if "post.author" in self.world.state:
            from ethogram.world.social.platform import with_authors

            return with_authors(self.world.log(), self.world)
        return self.world.log()

    def walk(self) -> Iterator[tuple[Live, Record]]:
        """The run once more from its beginning, tick by tick: the state as it was before each, and what then happened.

        Nobody is asked: minds decide what the tape says, and each tick must end in the same link of the chain.

        Raises
        ------
        StateError
            Something else happens than did: the system, its data or the folder are not what they were.
        """
        world = self.world
        live = world.kept[0].copy()
        live.agenda.as_given(world.live.agenda.history)
        live.tape = Tape()
        for branch in (b for b in self.told.branches if b.seed is not None):
            yield from ((live, record) for record in retold(live, world.declared, world.live.tape.entries, branch.at))
            another_luck(live, int(branch.seed or 0))
        yield from ((live, record) for record in retold(live, world.declared, world.live.tape.entries, world.tick))

    def calls(self) -> dict[str, Any] | None:
        """What the language model was asked over all sessions: calls, sent, failed, tokens, money, and `models`:
        identity -> calls that were sent to it; None for none.

        Where nothing is recorded, since the run began in this process.
        """
        if self.folder is None:
            rows = [r for r in self.world.costs().to_pylist() if r["calls"]]
            if not rows:
                return None
            told = {n: sum(r[c] for r in rows) for n, c in (("calls", "calls"), ("sent", "live"), ("failed", "failed"))}
            tokens = sum(r["prompt"] + r["completion"] for r in rows)
            models = Counter[str]()
            for row in rows:
                models[row["model"]] += row["live"]
            return {"began": None, **told, "tokens": tokens, "money": sum(r["money"] for r in rows), "models": models}
        if not (self.folder / self.told.recording).is_file():
            return None
        recording = Recording(self.folder / self.told.recording, must=True)
        try:
            return {**recording.totals(), "models": {m[0]: m[1] for m in recording.models()}}
        finally:
            recording.close()


def begin(
    folder: str | Path | None, key: str, options: Mapping[str, Any] | None = None, *, seed: int = 0,
    minds: int | None = None, lm: str | None = None, every: int = EVERY, spending: Spending = Spending(),
) -> Run:  # fmt: skip
    """A run in a folder; one that is there already and is the same is continued.

    Raises
    ------
    OptionError
        The folder holds another run, or something else; or what `building.built` says. LMError: see `Run.until`.
    """
    told = Manifest(key, dict(options or {}), seed, minds, lm)
    if folder is None:
        return Run(None, told, *built(told, spending=spending))
    place = Path(folder)
    if is_run(place):
        there = Manifest.read(place)
        if what := there.differs(told):
            raise OptionError(f"{place} holds another run: {what}. Give another folder, or continue it as it was.")
        return opened(place, every=every, spending=spending)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise OptionError(f"{place} is there already and holds no run; give a new folder.")
    fresh = not place.exists()
    try:
        one, world = built(told, place, spending=spending)
        reachable(world)
        told.write(place)
        return Run(place, told, one, world.keep_in(place, every=every))
    except BaseException:
        if fresh:
            shutil.rmtree(place, ignore_errors=True)
        raise


def opened(folder: str | Path, *, every: int = EVERY, spending: Spending = Spending()) -> Run:
    """The run of a folder as far as it went, ready to go on.

    Raises
    ------
    OptionError
        The folder holds no run. StateError: it is damaged, or the system is not what it was. WorldError: it is open
        elsewhere.
    """
    place = Path(folder)
    told = Manifest.read(place)
    one, world = built(told, place, spending=spending)
    return Run(place, told, one, world.keep_in(place, every=every, resume=True))


def fork(folder: str | Path, out: str | Path, at: str | int, do: Sequence[str] = (), *, seed: int | None = None) -> Run:
    """A branch of a run from tick (or time) `at`, in a folder of its own, with what is done there.

    Parameters
    ----------
    do : commands as texts, see `command`. seed : luck of its own from there on; None keeps that of the run, so that
        only what follows from the change differs.

    Raises
    ------
    WorldError
        That tick has not happened, or a command is none of this world's. OptionError: there is no run, or something is
        in the way at `out`.
    """
    place = Path(out)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise OptionError(f"{place} is there already; give the branch a new folder.")
    commands = [command(text) for text in do]
    with opened(folder) as parent:
        tick = ticks(at, parent.world)
        if tick > parent.world.tick:
            raise WorldError(
                f"--at {at}: tick {tick} has not happened; {folder} is at tick {parent.world.tick}, so give 0 to that."
            )
        try:
            branch = parent.world.fork(tick, commands, seed=seed, folder=place)
            told = replace(parent.told, branches=(*parent.told.branches, Branch(tick, str(folder), tuple(do), seed)))
            told.write(place)
            branch.checkpoint()
            branch.close()
            recorded = Path(folder) / parent.told.recording
            if recorded.is_file():
                parent.world.declared.lm.broker.close()
                shutil.copyfile(recorded, place / told.recording)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
    return opened(place)


def command(text: str) -> Command:
    """A command as one types it.

    >>> command("set column=rain value=1.5").arguments
    {'column': 'rain', 'value': 1.5}
    """
    try:
        name, *rest = shlex.split(text)
    except ValueError as error:
        raise OptionError(f"--do '{text}': {error}; write NAME argument=value ...") from None
    arguments = {}
    for part in rest:
        key, sign, value = part.partition("=")
        if not sign or not key:
            raise OptionError(f"--do '{text}': '{part}' is no argument; write NAME argument=value ...")
        try:
            arguments[key] = json.loads(value)
        except ValueError:
            arguments[key] = value
    return Command(name, arguments)


def ticks(told: str | int, world: World) -> int:
    """A number of ticks, or a length of time such as "2d", as ticks of a world.

    Raises
    ------
    OptionError
        It is neither, or negative.
    """
    text = str(told).strip()
    if text.isdigit():
        return int(text)
    try:
        found = math.ceil(duration(text) / world.declared.length)
    except Exception:
        found = -1
    if found < 0:
        raise OptionError(f"'{told}' is no number of ticks and no length of time; write 100, or for example 12h or 2d.")
    return found


def again(run: Run) -> str:
    """The fingerprint of the run when everything is decided anew, the model's answers taken from the recording alone.

    Raises
    ------
    NotRecorded
        Something else is asked than was recorded. StateError: the run is a branch with luck of its own.
    """
    if run.told.branches:
        raise StateError(f"{run.name} is a branch; verify the run that it left: {run.told.branches[0].of}.")
    strict = None if run.folder is None or not (run.folder / run.told.recording).is_file() else "replay-strict"
    _, world = built(run.told, run.folder if strict else None, mode=strict)
    world.live.agenda.as_given(run.world.live.agenda.history)
    world.run(run.world.tick)
    return world.fingerprint
