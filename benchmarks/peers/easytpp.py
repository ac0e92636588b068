"""EasyTPP (ant-research/EasyTemporalPointProcess, Apache-2.0): its point processes on sequences of (time, type)."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.peer import Peer

PEER = Peer("easytpp", "benchmarks.peers.easytpp_inside", {"HF_HUB_OFFLINE": "1"})
Parts = Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]]


def write(parts: Parts, kinds: int, folder: Path) -> None:
    """One file of its JSON form per part: a row per sequence."""
    for part, sequences in parts.items():
        rows = [
            {
                "dim_process": kinds, "seq_len": len(time), "seq_idx": i, "time_since_start": time.tolist(),
                "time_since_last_event": np.diff(time, prepend=time[:1]).tolist(), "type_event": kind.tolist(),
            }
            for i, (time, kind) in enumerate(sequences)
        ]  # fmt: skip
        (folder / f"{part}.json").write_text(json.dumps(rows))


def ask(
    model: str, parts: Parts, kinds: int, *, settings: Mapping[str, Any], seed: int, epochs: int, draws: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Train one of its models now, on one thread; its own thinning (predictions of time and type) is switched off.

    Nothing is taken from the store: who is timed turn by turn with another has to run in the same minutes.

    Parameters
    ----------
    model : EasyTPP's name. parts : train, valid, test -> (times, types) of each sequence.
    settings : of its trainer and model (`batch_size`, `learning_rate`, `hidden_size` ...), over its defaults.
    draws : with it, time its thinning afterwards: so many next times behind every event of two test batches.

    Returns
    -------
    dict
        `curve` (per epoch: log-likelihood per event of validation and test as EasyTPP computes it, of test with the
        integral by the trapezoid rule, CPU and wall seconds of training and validation, `train_cpu` of the epoch
        alone), `events` of training, `events_per_cpu_second`, `peak_mb`, `parameters`, `versions`; with `draws` also
        `draw_cpu` seconds for `asked` events.

    Raises
    ------
    PeerError
        EasyTPP is not installed or fails.
    """
    question = {
        "model": model,
        "settings": dict(settings),
        "seed": seed,
        "epochs": epochs,
        "threads": 1,
        "draws": draws,
    }
    with tempfile.TemporaryDirectory(prefix="ethogram-easytpp-") as made:
        folder = Path(made)
        write(parts, kinds, folder)
        return PEER.ask({**question, "threads": 1, "folder": str(folder), "kinds": kinds})
