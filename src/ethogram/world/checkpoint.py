"""A run on disk: its tape, its commands, and now and then its whole state.

    FOLDER/events.bin              the tape; grows with every tick
    FOLDER/commands.jsonl          what was commanded from outside
    FOLDER/checkpoints/TICK/       columns.safetensors, NAME.npy for each large column (`mapped`), state.json (with
                                   the hash of all of them); whole or not at all

A run that was broken off continues from its newest checkpoint: the ticks behind it are repeated, minds deciding what
the tape says they decided, and each must end in the link of the chain that it ended in before.

A large column that has not changed since the checkpoint before is the same file under another name; so it is in the
folder of a branch. Whoever comes back to a checkpoint reads its large columns when they are first looked at.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ethogram.errors import StateError
from ethogram.world import mapped
from ethogram.world.agenda import NAME as COMMANDS
from ethogram.world.agenda import Agenda, Command
from ethogram.world.calendar import Calendar
from ethogram.world.columns import WAKE
from ethogram.world.declared import Declared
from ethogram.world.draws import Draws
from ethogram.world.live import Live, own
from ethogram.world.mapped import Stored, put, same, stored
from ethogram.world.minds import Overlay
from ethogram.world.stepping import repeated
from ethogram.world.tape import NAME as EVENTS
from ethogram.world.tape import Tape

FORMAT = 2
"""1: all columns stand in one file."""
KEPT = 2
"""Checkpoints that are kept: a damaged one is no loss."""


def folder(root: Path) -> Path:
    return root / "checkpoints"


def save(live: Live, world: Declared, root: Path) -> Path:
    """Write a checkpoint beside its place, flush it, and move it there; older ones beyond two go."""
    from safetensors.numpy import save_file

    live.tape.sync()
    place = folder(root) / f"{live.tick:09d}"
    fresh = place.with_name(f".{place.name}.writing")
    for begun in folder(root).glob(".*.writing"):  # by processes that were killed
        shutil.rmtree(begun)
    fresh.mkdir(parents=True)
    columns = fresh / "columns.safetensors"
    files = {
        n: put(a, fresh / f"{n}.npy", live.stored.get(n)) for n, a in live.arrays.items() if a.nbytes >= mapped.LARGE
    }
    small = {n: a if a.flags.c_contiguous else a.copy() for n, a in live.arrays.items() if n not in files}
    save_file(small, columns)
    head = {
        "format": FORMAT, "tick": live.tick, "seed": live.draws.seed, "domain": live.draws.domain,
        "chain": live.tape.chain.hex(), "agenda": live.agenda.json(), "minds": live.overlay.kept(),
        "policies": {n: p.state() for n, p in live.policies.items() if hasattr(p, "state")},
        "verbs": world.verbs, "owners": world.owners, "decisions": dict(live.decisions),
        "commanded": [c.json() for c in live.commanded],
        "texts": live.texts.to_arrow().column("text").to_pylist(),
        "columns": _digest(columns.read_bytes()), "large": {n: s.digest for n, s in files.items()},
    }  # fmt: skip
    text = json.dumps(head, sort_keys=True)
    (fresh / "state.json").write_text(json.dumps({"state": head, "checksum": _digest(text.encode())}), "utf-8")
    for file in (columns, fresh / "state.json", fresh):
        _sync(file)
    shutil.rmtree(place, ignore_errors=True)
    os.rename(fresh, place)
    _sync(place.parent)
    live.stored.clear()
    live.stored.update({n: replace(s, path=place / s.path.name) for n, s in files.items()})
    for old in saved(root)[:-KEPT]:
        shutil.rmtree(folder(root) / f"{old:09d}")
    return place


def saved(root: Path) -> list[int]:
    """Ticks of the checkpoints of a run, ascending."""
    return sorted(int(p.name) for p in folder(root).glob("[0-9]*") if p.is_dir())


def remap(live: Live) -> None:
    """Take columns that were just saved, and that others hold too, from their files: what is written is then copied
    page by page, and not whole."""
    for name, lies in live.stored.items():
        if name in live.shared and lies.array is None:
            live.stored[name] = made = stored(lies.path, lies.digest, check=False)
            assert made.array is not None
            live.arrays[name] = made.array
    live.calendar.wake = live.arrays[WAKE]


def lean(begun: Live, live: Live) -> None:
    """Have the beginning hold, of what has not changed since, the mapped columns, and not its own as well."""
    for name, lies in live.stored.items():
        if lies.array is not None and same(begun.arrays[name], lies.array):
            begun.arrays[name], begun.stored[name] = lies.array, lies
            begun.shared.add(name)
    begun.calendar.wake = begun.arrays[WAKE]


def read(root: Path, tick: int, world: Declared) -> tuple[dict[str, Any], dict[str, Any], dict[str, Stored]]:
    """(state, small columns, large columns) of a checkpoint.

    Raises
    ------
    StateError
        It is damaged, of a newer version, or of a world that was declared otherwise.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    place = folder(root) / f"{tick:09d}"
    try:
        kept = json.loads((place / "state.json").read_text("utf-8"))
        head = kept["state"]
        whole = kept["checksum"] == _digest(json.dumps(head, sort_keys=True).encode())
        if whole and head["format"] > FORMAT:
            raise StateError(f"checkpoint {place} was written by a newer version (format {head['format']}).")
        data = (place / "columns.safetensors").read_bytes()
        if not whole or head["columns"] != _digest(data):
            raise ValueError("its content is not what was written")
        arrays = {n: a.copy() for n, a in load(data).items()}
        files = {n: stored(place / f"{n}.npy", digest) for n, digest in head.get("large", {}).items()}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise StateError(f"checkpoint {place} is damaged ({str(error)[:120]}).") from None
    for what, mine in (("verbs", world.verbs), ("owners", world.owners)):
        if tuple(head[what]) != tuple(mine):
            raise StateError(
                f"checkpoint {place} is of another world: its {what} are {', '.join(head[what])}; declared are "
                f"{', '.join(mine)}."
            )
    return head, arrays, files


def resume(begun: Live, world: Declared, root: Path) -> Live:
    """The run of a folder, as far as its tape goes. `begun` is the world at its beginning, as it is declared now.

    Raises
    ------
    StateError
        The folder holds no run, all its checkpoints are damaged, or the world was declared otherwise.
    """
    tape = Tape.read(root / EVENTS)
    try:
        return _continued(begun, world, root, tape)
    except BaseException:
        tape.close()
        raise


def _continued(begun: Live, world: Declared, root: Path, tape: Tape) -> Live:
    ticks, live, errors = saved(root), None, []
    for tick in reversed(ticks):
        try:
            live = opened(root, tick, begun, world, tape)
            break
        except StateError as error:
            if "damaged" not in str(error):
                raise
            errors.append(str(error))
    if live is None:
        if ticks:
            raise StateError(" ".join(errors))
        live = begun
    for told in errors:
        warnings.warn(f"{told} The one before it is taken.", stacklevel=5)
    entries = tape.entries
    live.agenda.path = root / COMMANDS
    live.agenda.catch_up(live.tick)
    live.tape = Tape(None, tape.before(live.tick))
    last = entries[-1].tick + 1 if entries else 0
    repeated(live, world, entries, max(last, live.tick))
    live.tape = tape
    return live


def opened(root: Path, tick: int, begun: Live, world: Declared, tape: Tape) -> Live:
    head, arrays, files = read(root, tick, world)
    arrays |= {n: s.array for n, s in files.items()}
    for name, array in begun.arrays.items():
        # things may have become more since the beginning
        fixed = int("." in name)
        if name not in arrays or arrays[name].shape[fixed:] != array.shape[fixed:] or arrays[name].dtype != array.dtype:
            raise StateError(f"checkpoint {tick} of {root} is of another world: column '{name}' is not as declared.")
    arrays = {n: arrays[n] for n in begun.arrays}  # in the declared order, which is what minds observe them in
    before = tape.before(tick)
    if (before[-1].chain.hex() if before else "00" * 16) != head["chain"]:
        raise StateError(f"checkpoint {tick} of {root} does not belong to the events beside it, or they are damaged.")
    policies = {n: own(p) for n, p in world.policies.items()}
    for name, kept in head["policies"].items():
        policies[name].restore(kept)
    live = Live(
        arrays, Draws(head["seed"], head["domain"]), Calendar(arrays[WAKE]), Agenda.restore(head["agenda"]), tape,
        Overlay.restore(world.minds, head["minds"]), policies, tick, set(files), files, plain=begun.plain,
    )  # fmt: skip
    live.decisions.update(head["decisions"])
    live.texts.add(head["texts"])
    live.commanded = [Command(**c) for c in head["commanded"]]
    return live


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
