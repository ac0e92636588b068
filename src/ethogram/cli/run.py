"""``ethogram run RECORD``: a record's saved configuration once more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ethogram.cli.evaluate import Store, as_json, judge, name_of, tell
from ethogram.cli.opening import LogName, Reading, open_log
from ethogram.cli.options import Set, chosen
from ethogram.cli.output import Json, Output
from ethogram.errors import OptionError
from ethogram.system import system

if TYPE_CHECKING:
    from ethogram.evaluate import Record
    from ethogram.log import Log


def run(
    record: Path,
    /,
    *,
    sets: Set = (),
    seed: int | None = None,
    part: Literal["valid", "test"] | None = None,
    log: LogName | None = None,
    store: Store = None,
    json: Json = None,
    reading: Reading | None = None,
) -> None:
    """Run a record's saved configuration again: same system, options, seed, data and protocol.

    Parameters
    ----------
    record
        Folder of a record, or a record.json.
    seed
        Another seed of the training.
    part
        Another part that judges: test, once, for what `ethogram tune` chose on valid.
    log
        Where the log lies now, if it has moved; it must be the same log.
    """
    from ethogram.evaluate import Record

    out = Output(json)
    kept = Record.load(record.parent if record.name == "record.json" else record)
    given = {n: rebuilt(v) for n, v in kept.options.items()} | chosen(kept.system, sets)
    built = system(kept.system, **given)
    events = _events(kept, log, reading, out)
    asked = dict(kept.protocol)
    how: dict[str, Any] = {
        n: asked[n] for n in ("task", "part", "bootstrap", "split", "exclude_seen", "which") if n in asked
    }
    if part is not None:
        how["part"] = part
    if asked.get("ks"):
        how["ks"] = tuple(asked["ks"])
    again = judge(
        built, events, asked.get("name"), out,
        seed=kept.seed if seed is None else seed, bootstrap_seed=asked.get("seed", 0),
        data=kept.data.get("name") if log is None else name_of(log), store=store, **how,
    )  # fmt: skip
    tell(again, out)
    same = [m for m in kept.metrics if m in again.metrics]
    moved = [m for m in same if abs(again.metrics[m] - kept.metrics[m]) > 1e-12]
    if part in (None, kept.protocol.get("part")):
        out.line(f"{len(same) - len(moved)} of {len(same)} metrics equal those of the record")
    out.result({**as_json(again), "before": kept.metrics})


def rebuilt(value: Any) -> Any:
    """An option as a record keeps it, as the system takes it: systems inside are made again."""
    if isinstance(value, Mapping) and set(value) == {"system", "options"}:
        return system(value["system"], **{n: rebuilt(v) for n, v in value["options"].items()})
    return value


def _events(kept: Record, log: str | None, reading: Reading | None, out: Output) -> Log:
    name = log or kept.data.get("name")
    if not name:
        raise OptionError("the record does not say where its log lies; give --log.")
    events = open_log(str(name), reading, out)
    for found in (events, events.ties("order")):
        if found.fingerprint() == kept.data.get("fingerprint"):
            return found
    raise OptionError(f"{name} is not the log of this record: its content or the way it was read differs.")
