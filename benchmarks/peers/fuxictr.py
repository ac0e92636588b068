"""FuxiCTR (reczoo/FuxiCTR, Apache-2.0): its DIN, pooled network, DeepFM and DCNv2 on the table of click questions.

    python -m benchmarks.peers.fuxictr --model DIN --seed 2019

prints one line of JSON. It reads CSV files with the rows that ours read, through its own feature processing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from benchmarks.peers.peer import Peer, PeerError
from benchmarks.ratings import LENGTH, PARTS, Ratings, ratings

PEER = Peer("fuxictr", "benchmarks.peers.fuxictr_inside", {})
MODELS = ("DIN", "DNN", "DeepFM", "DCNv2")
SETTINGS: Mapping[str, Any] = {
    "dim": 16, "length": LENGTH, "hidden": [128, 64], "attention": [64], "layers": 2, "dropout": 0.1, "lr": 1e-3,
    "decay": 1e-5, "batch": 1024, "epochs": 10, "patience": 2,
}  # fmt: skip
"""Embedding width, history, tower, attention unit, cross layers of DCNv2; L2 on all embedding rows; patience on AUC."""


def write(table: Ratings, folder: Path) -> Path:
    """train.csv, valid.csv, test.csv; the training rows shuffled as the loader of the peer does again."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        rows = table.of(part)
        joined = pc.binary_join(rows["click_history"].combine_chunks(), "^")
        rows = rows.set_column(rows.column_names.index("click_history"), "click_history", joined)
        csv.write_csv(rows, folder / f"{part}.csv")
    return folder


def fingerprint(table: Ratings) -> str:
    """Hash of the rows and their parts."""
    made = hashlib.blake2b(table.part.tobytes(), digest_size=8)
    with pa.BufferOutputStream() as stream:
        with pa.ipc.new_stream(stream, table.rows.schema) as out:
            out.write_table(table.rows.combine_chunks())
        made.update(stream.getvalue())
    return made.hexdigest()


def ask(
    model: str, table: Ratings, *, seed: int = 2019, threads: int = 1, checkout: str = "", again: bool = False,
    **settings: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train and test one of its models.

    Parameters
    ----------
    model : one of `MODELS`. settings : over `SETTINGS`.
    checkout : folder of its repository, from which DIN is then taken.
    again : also where this machine has run it before.

    Returns
    -------
    dict
        ``answer`` holds `said` (probabilities of the validation and test rows), `curve` (per epoch: validation AUC
        and logloss, CPU and wall seconds since the start of training), `examples_per_cpu_second` of the median epoch
        with its validation, `peak_mb` above imports, `parameters`, `versions`; beside it `load` of the machine at
        both ends, and what was asked.

    Raises
    ------
    PeerError
        FuxiCTR is not installed or fails.
    """
    question = {
        "model": model, **SETTINGS, **settings, "seed": seed, "threads": threads, "data": fingerprint(table),
        "checkout": bool(checkout),
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="ethogram-ratings-") as made:
        return PEER.stored(
            f"fuxictr-{model}", question,
            lambda: {"folder": str(write(table, Path(made))), "checkout": checkout}, again=again,
        )  # fmt: skip


def main() -> int:
    about = argparse.ArgumentParser(prog="python -m benchmarks.peers.fuxictr", description=__doc__.splitlines()[0])
    about.add_argument("--model", required=True, choices=MODELS)
    about.add_argument("--seed", type=int, default=2019)
    about.add_argument("--epochs", type=int, default=SETTINGS["epochs"])
    about.add_argument("--threads", type=int, default=1)
    about.add_argument("--checkout", default="", help="folder of its repository, from which DIN is then taken")
    about.add_argument("--again", action="store_true")
    given = vars(about.parse_args())
    try:
        found = ask(given.pop("model"), ratings(), **given)
    except PeerError as error:
        print(json.dumps({"error": str(error)}))
        return 2
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
