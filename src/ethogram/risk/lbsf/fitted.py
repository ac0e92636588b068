"""Training LBSF, judging with it, and bringing it back from a saved state."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ethogram.log.cases import Cases
from ethogram.nn import saved
from ethogram.nn.train import train
from ethogram.numeric.calibrate import Calibration
from ethogram.risk.lbsf import Fitted
from ethogram.risk.lbsf.encoding import Books, Encoded, encode
from ethogram.risk.lbsf.network import FoldedNetwork, Reader, focal, judged
from ethogram.verbs import State, Watch

HELD = 0.15
"""Share of the people, the latest decided, that is held out where there is no validation part."""
ASKED = 256
"""People judged at once."""


def fit(options: Any, found: Cases, valid: Cases | None, seed: int, watch: Watch | None) -> Fitted:
    """Train on the cases whose outcome is known."""
    held = None if valid is None else np.flatnonzero(valid.known)
    learn = found.known.copy()
    if held is None or not len(held):
        late = np.argsort(found.decided, kind="stable")
        late = late[found.known[late]]
        held = late[len(late) - int(HELD * len(late)) :]
        learn[held] = False
        valid = None
    mine = options.two_kinds("lbsf", found, learn)
    encoded, books = encode(options, found, None, learn)
    other = encoded if valid is None else encode(options, valid, books)[0]
    network = FoldedNetwork(options, books, books.profile.width, encoded.text is not None, seed)
    reader, against = Reader(encoded, network), Reader(other, network)

    yes = float(found.label[mine].mean())
    positive = (1 - yes) / yes if options.balance else 1.0

    def loss(batch: np.ndarray) -> torch.Tensor:
        made = reader.take(batch)
        return focal(network(made)[0], made.label, options.focal, positive)

    def value() -> float:
        total = 0.0
        for batch in against.batches(held, ASKED):
            made = against.take(batch)
            total += float(focal(network(made)[0], made.label, 0.0, positive)) * len(batch)
        return -total / len(held)

    adam = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=options.decay)
    train(
        network, lambda rng: reader.batches(mine, options.batch, rng), loss, optimisers=[adam], epochs=options.epochs,
        seed=seed, valid=value if len(held) else None, patience=options.patience, clip=5.0, watch=watch,
    )  # fmt: skip
    calibration = Calibration("none")
    judge_of = other.cases
    if options.probabilities != "raw" and len(np.unique(judge_of.label[held] > 0.5)) == 2:
        logit = judged(network, other, ASKED)[0]
        calibration = Calibration.learn(options.probabilities, logit[held], judge_of.label[held].astype(np.float64))
    parts = [found] if valid is None else [found, valid]
    facts = {
        "people learned from": len(mine),
        "of them yes": int((found.label[mine] > 0.5).sum()),
        "people held out": len(held),
        "outcome not known, left out": sum(int((~part.known).sum()) for part in parts),
        "of these known too late": sum(part.late for part in parts),
        "payments behind decisions, cut in training": sum(part.cut for part in parts),
    }
    return Fitted(books, network, calibration, encoded.text is not None, {k: float(v) for k, v in facts.items()})


def judge(options: Any, fitted: Fitted, found: Cases) -> tuple[Encoded, np.ndarray, np.ndarray]:
    """(the cases as they were read, logit of each float64[n], attention of each group float64[G])."""
    encoded, _ = encode(options, found, fitted.books)
    return (encoded, *judged(fitted.network, encoded, ASKED))


def restored(options: Any, state: State) -> Fitted:
    """The inverse of a system's `state`."""
    books = Books.from_json(state.json["books"])
    network = FoldedNetwork(options, books, books.profile.width, bool(state.json["text"]), 0)
    saved.restore(network, state.arrays)
    network.eval()
    calibration = Calibration.from_json(state.json["calibration"])
    return Fitted(books, network, calibration, bool(state.json["text"]), dict(state.json["facts"]))
