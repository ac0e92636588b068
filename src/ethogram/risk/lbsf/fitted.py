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
from ethogram.risk.lbsf.network import FoldedNetwork, Reader, focal, hidden, judged, moved
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

    # where groups have no category of their own, the name is all that tells them apart
    hide = 0.0 if options.category == "item" else options.hide

    def loss(batch: np.ndarray) -> torch.Tensor:
        made = hidden(reader.take(batch), hide)
        payments = network.payments(made)
        states = network.states(payments, made)
        told = focal(network.judge(payments, states, made)[0], made.label, options.focal, positive)
        return told + options.next * network.surprise(states, made) if options.next else told

    outcome = other.cases.label[held].astype(np.float64)

    def value() -> float:
        logit = np.zeros(len(other))
        for batch in against.batches(held, ASKED):
            logit[batch] = network(against.take(batch))[0].numpy()
        return -_loss(options, logit[held], outcome, positive)

    adam = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=options.decay)
    done = train(
        network, lambda rng: reader.batches(mine, options.batch, rng), loss, optimisers=[adam], epochs=options.epochs,
        seed=seed, valid=value if len(held) else None, patience=options.patience, clip=5.0, watch=watch,
    )  # fmt: skip
    calibration = Calibration("none")
    if options.probabilities != "raw" and _both(outcome):
        logit = judged(network, other, ASKED)[0]
        calibration = Calibration.learn(options.probabilities, logit[held], outcome)
    parts = [found] if valid is None else [found, valid]
    facts: dict[str, float] = {
        "people learned from": len(mine),
        "of them yes": int((found.label[mine] > 0.5).sum()),
        "people held out": len(held),
        "outcome not known, left out": sum(int((~part.known).sum()) for part in parts),
        "of these known too late": sum(part.late for part in parts),
        "payments behind decisions, cut in training": sum(part.cut for part in parts),
    }
    if done.best is not None:
        facts["epoch that was kept"] = done.best_epoch
        if options.probabilities != "raw" and _both(outcome):
            facts["validation loss, as a share of that of the bad rate alone"] = -done.best / _base(outcome)
    return Fitted(books, network, calibration, encoded.text is not None, {k: float(v) for k, v in facts.items()})


def _loss(options: Any, logit: np.ndarray, label: np.ndarray, positive: float) -> float:
    """What training stops by: the log-loss of the probabilities that will be told, those of a sigmoid of the logit.

    The loss that is trained weighs each of the few defaulters many times, so that one who is surely missed outweighs
    all that was learned meanwhile; on it, training stopped before it had begun.
    """
    if options.probabilities == "raw" or not _both(label):
        weight = 1 + (positive - 1) * label
        loss = weight * (np.logaddexp(0, logit) - label * logit)
        return float(loss.mean() / (2 * positive / (1 + positive)))
    found = Calibration.learn("sigmoid", logit, label)
    if found.x[0] <= 0:  # turned round, it would be no better than chance
        return _base(label)
    told = np.clip(found(logit), 1e-7, 1 - 1e-7)
    return float(-(label * np.log(told) + (1 - label) * np.log(1 - told)).mean())


def _both(label: np.ndarray) -> bool:
    return len(np.unique(label > 0.5)) == 2


def _base(label: np.ndarray) -> float:
    """Log-loss of the share of yes as everybody's probability."""
    share = np.clip(label.mean(), 1e-7, 1 - 1e-7)
    return float(-(share * np.log(share) + (1 - share) * np.log(1 - share)))


def judge(options: Any, fitted: Fitted, found: Cases) -> tuple[Encoded, np.ndarray, np.ndarray]:
    """(the cases as they were read, logit of each float64[n], attention of each group float64[G])."""
    encoded, _ = encode(options, found, fitted.books)
    return (encoded, *judged(fitted.network, encoded, ASKED))


def missed(options: Any, fitted: Fitted, encoded: Encoded) -> tuple[np.ndarray, np.ndarray]:
    """(share of each group in its case, by how much the logit is higher with it than without it), float64[G] each."""
    by = moved(fitted.network, encoded, ASKED // 4)
    owner = encoded.folded.owner
    total = np.bincount(owner, np.abs(by), len(encoded))
    return np.abs(by) / np.maximum(total[owner], 1e-12), by


def restored(options: Any, state: State) -> Fitted:
    """The inverse of a system's `state`."""
    books = Books.from_json(state.json["books"])
    network = FoldedNetwork(options, books, books.profile.width, bool(state.json["text"]), 0)
    saved.restore(network, state.arrays)
    network.eval()
    calibration = Calibration.from_json(state.json["calibration"])
    return Fitted(books, network, calibration, bool(state.json["text"]), dict(state.json["facts"]))
