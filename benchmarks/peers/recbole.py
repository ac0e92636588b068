"""RecBole (RUCAIBox/RecBole, MIT): any of its models on a log, leave-one-out in the stored order of the rows.

    python -m benchmarks.peers.recbole --model BPR --data ml_100k --set epochs=100 --set stopping_step=10

prints one line of JSON. It gets the users' sequences as we store them: the clock in the file that it reads is the
number of the event in its user's history, since a number of seconds loses digits in the float32 that RecBole keeps
it in, and equal times would be put in another order.
"""

from __future__ import annotations

import argparse
import ast
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.peer import Peer, PeerError
from ethogram.log import Log

# its checkpoints are not of the kind that today's torch reads unasked
PEER = Peer("recbole", "benchmarks.peers.recbole_inside", {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"})


def write(log: Log, folder: Path) -> Path:
    """The log as an atomic file in a folder of its name; the first row of a user has time 0, the next 1."""
    import numpy as np

    rows = log.ties("order").rows()
    codes = np.asarray(rows.columns["item"])
    users = rows.vocabularies["user"].ids.take(rows.user).to_pylist()
    items = rows.vocabularies["item"].ids.take(codes).to_pylist()
    order = np.arange(len(rows)) - np.repeat(rows.offsets[:-1], rows.lengths)
    folder.mkdir(parents=True)
    with (folder / f"{folder.name}.inter").open("w") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        file.writelines(f"{u}\t{i}\t{t}\n" for u, i, t in zip(users, items, order.tolist(), strict=True))
    return folder


def ask(
    model: str, data: str, settings: Mapping[str, Any], *, seed: int = 2020, threads: int = 1,
    cpu_seconds: float | None = None, again: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Train and test one of its models.

    Parameters
    ----------
    model : RecBole's name. data : name of a data set of ours.
    settings : RecBole's own, over its defaults for the model.
    cpu_seconds : training stops after the epoch in which so many were used up; None: by RecBole's own rule.
    again : also where this machine has run it before.

    Returns
    -------
    dict
        ``answer`` holds `curve` (per epoch: `valid` NDCG@10 as RecBole computes it, `valid_masked` with seen items
        masked, CPU and wall seconds of training and validation since the start, `train_cpu` of the epoch alone),
        `best_epoch`, `stopped`, `test` (RecBole's own), `ranks` (per user, of the last event, among all items and
        with seen ones masked), `examples_per_cpu_second`, `peak_mb` above imports, `versions`; beside it `load`
        of the machine at both ends, and what was asked.

    Raises
    ------
    PeerError
        RecBole is not installed or fails.
    """
    from ethogram.data import load

    log = load(data)
    question = {
        "model": model, "settings": dict(settings), "seed": seed, "threads": threads,
        "cpu_seconds": None if cpu_seconds is None else float(cpu_seconds),
        "data": log.fingerprint(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="ethogram-atomic-") as made:
        folder = Path(made) / data
        return PEER.stored(f"recbole-{model}", question, lambda: {"folder": str(write(log, folder))}, again=again)


def main() -> int:
    about = argparse.ArgumentParser(prog="python -m benchmarks.peers.recbole", description=__doc__.splitlines()[0])
    about.add_argument("--model", required=True)
    about.add_argument("--data", default="ml_100k")
    about.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of RecBole's")
    about.add_argument("--seed", type=int, default=2020)
    about.add_argument("--cpu-seconds", type=float)
    about.add_argument("--again", action="store_true")
    given = about.parse_args()
    settings = {k: _value(v) for k, _, v in (s.partition("=") for s in given.set)}
    try:
        found = ask(
            given.model, given.data, settings, seed=given.seed, cpu_seconds=given.cpu_seconds, again=given.again
        )
    except PeerError as error:
        print(json.dumps({"error": str(error)}))
        return 2
    print(json.dumps(found))
    return 0


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


if __name__ == "__main__":
    raise SystemExit(main())
