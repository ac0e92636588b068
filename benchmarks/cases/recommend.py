"""What an epoch of each recommender costs beside SASRec's, on the same data, one thread.

An epoch is one pass: over all positions of all histories for models of sequences, over as many draws as there are
distinct pairs for models of pairs. Systems take turns; a figure is the fastest of the epochs behind each first one.
Memory is not told: in one process a fit takes what earlier ones gave back (`ethogram compare --area` measures it).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from benchmarks.harness import Target
from benchmarks.race import Found, Race

USERS, EPOCHS, ROUNDS = int(os.environ.get("USERS", "5590")), 3, 2
"""First users of Amazon Beauty that are read (a quarter; `USERS=22363` reads all), epochs of a fit, rounds."""
SYSTEMS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "SASRec": ("sasrec", {}),
    "GRU4Rec": ("gru4rec", {}),
    "icsrec": ("icsrec", {}),
    "icsrec, no contrast": ("icsrec", {"coarse": 0.0, "fine": 0.0}),
    "desmil": ("desmil", {}),
    "desmil, no weights (ComiRec-SA)": ("desmil", {"stable": False}),
    "BPR-MF, Adam": ("bpr_mf", {"optimiser": "adam"}),
    "pld on BPR-MF": ("pld", {"warm": 0}),
    "LightGCN": ("lightgcn", {"layers": 2}),
    "dccf": ("dccf", {}),
    "pisa": ("pisa", {}),
    "onerec, the writer alone": ("onerec", {"rounds": 0}),
}
"""Row -> system and its options; a system of the area adds its row here."""


def run() -> Found:
    """All systems, in turns."""
    from ethogram.data import load

    train = load("amazon_beauty").where(f"user <= {USERS}").split("leave-last-out").train
    epochs: dict[str, list[float]] = {name: [] for name in SYSTEMS}
    for _ in range(ROUNDS):
        for name, (key, options) in SYSTEMS.items():
            epochs[name] += fit(key, options, train)
    least = {name: min(seconds) for name, seconds in epochs.items()}
    found = Found(values={f"{n}: {what}": v for n, s in least.items() for what, v in (("ratio", s / least["SASRec"]),)})
    for name, seconds in least.items():
        found.rows.append(
            {
                "": f"ethogram {name}", "CPU s an epoch": seconds, "over SASRec's": seconds / least["SASRec"],
            }
        )  # fmt: skip
    events = int(train.histories().lengths.sum())
    found.notes.append(
        f"Amazon Beauty, first {USERS:,} users, {events:,} training events; options by default (width 64, dccf 32), "
        f"fp32; fastest of {ROUNDS * (EPOCHS - 1)} epochs"
    )
    return found


def fit(key: str, options: Mapping[str, Any], train: Any) -> list[float]:
    """CPU seconds of the epochs behind the first, which compiles."""
    from ethogram.system import system

    marks: list[float] = []

    def watch(facts: Mapping[str, Any]) -> None:
        if facts.get("step") is None:
            marks.append(time.process_time())

    system(key, epochs=EPOCHS, **options).fit(train, seed=0, watch=watch)
    return [after - before for before, after in pairwise(marks)]


def cases() -> Iterable[Race]:
    """The harness's form."""
    goals = [
        Target("CPU of an epoch, icsrec / SASRec", lambda v: v["icsrec: ratio"], most=2.0),
        Target("CPU of an epoch, desmil / SASRec", lambda v: v["desmil: ratio"], most=2.0),
        Target("CPU of an epoch, pld / BPR-MF", lambda v: v["pld on BPR-MF: ratio"] / v["BPR-MF, Adam: ratio"], most=3),
    ]
    yield Race("recommend_epochs", "an epoch of each recommender, Amazon Beauty, one thread", run, goals)
