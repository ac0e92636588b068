"""FuxiCTR (reczoo/FuxiCTR, Apache-2.0): DIN, pooled network, DeepFM, DCNv2, SDIM, MMoE, PLE on the click questions.

    python -m benchmarks.peers.fuxictr --model DIN --seed 2019

prints one line of JSON. It reads CSV files with the rows that ours read, through its own feature processing. SDIM, and
MMoE and PLE, which answer `label` and `love`, are those of its repository's model zoo, which the published package
lacks: ``FUXICTR_CHECKOUT`` names a folder with it (version 2.3.9). SDIM has a longer history, read by the loader that
the others have: the zoo's own, which joins tables for every batch, would take longer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from benchmarks.peers.peer import Peer, PeerError
from benchmarks.ratings import KINDS, LENGTH, PARTS, Ratings, ratings

PEER = Peer("fuxictr", "benchmarks.peers.fuxictr_inside", {})
MODELS = ("DIN", "DNN", "DeepFM", "DCNv2", "SDIM", "MMoE", "PLE")
ZOO = ("SDIM", "MMoE", "PLE")
CHECKOUT = os.environ.get("FUXICTR_CHECKOUT", "")
SETTINGS: Mapping[str, Any] = {
    "dim": 16, "length": LENGTH, "hidden": [128, 64], "attention": [64], "layers": 2, "dropout": 0.1, "lr": 1e-3,
    "decay": 1e-5, "batch": 1024, "epochs": 10, "patience": 2, "experts": 4, "own": 2, "expert": [64], "gate": [],
    "towers": [32],
}  # fmt: skip
"""Embedding width, history, tower, attention unit, cross layers of DCNv2; L2 on all embedding rows; patience on AUC;
shared experts and each goal's own (PLE), their layers, those of gates and of goals' towers."""
SDIM: Mapping[str, Any] = {"length": 200, "short": 50, "hashes": 2, "bits": 4, "heads": 2}
"""What its SDIM has beside or instead: signatures of so many bits and the attention heads of its own configuration."""


def write(table: Ratings, folder: Path) -> Path:
    """train.csv, valid.csv, test.csv; the training rows shuffled as the loader of the peer does again."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        rows = table.of(part)
        for name in set(KINDS.values()) & set(rows.column_names):
            joined = pc.binary_join(rows[name].combine_chunks(), "^")
            rows = rows.set_column(rows.column_names.index(name), name, joined)
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
    model : one of `MODELS`. settings : over `SETTINGS`; `sequences` names the histories that are read.
    checkout : folder of its repository, from which DIN (and always SDIM, MMoE, PLE) is then taken.
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
    if model in ZOO and not (checkout := checkout or CHECKOUT):
        raise PeerError(f"{model} is not in its package; set FUXICTR_CHECKOUT to a folder with its repository.")
    question = {
        "model": model, **SETTINGS, **(SDIM if model == "SDIM" else {}), **settings, "seed": seed, "threads": threads,
        "data": fingerprint(table),
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
        length = SDIM["length"] if given["model"] == "SDIM" else LENGTH
        found = ask(given.pop("model"), ratings(length=length), **given)
    except PeerError as error:
        print(json.dumps({"error": str(error)}))
        return 2
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
