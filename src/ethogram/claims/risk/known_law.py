"""A Hawkes process of known parameters, against which integrals, likelihoods, draws and a trained network are held."""

from __future__ import annotations

from typing import Any

import numpy as np


def known(sequences: int, seed: int) -> tuple[Any, Any]:
    """(law, sequences of it): five kinds that call forth their own kind most."""
    from ethogram.numeric.hawkes import Hawkes

    law = Hawkes(np.full(5, 0.15), 0.8 * (0.25 * np.eye(5) + 0.08), 1.5)
    return law, law.sample(np.full(sequences, 40.0), seed=seed)


def _integrals(bench: Any) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    from ethogram.numeric.integrals import instants
    from ethogram.numeric.streams import States

    law, own = known(20 if bench.quick else 300, 1)
    when, weight = instants(own.gaps, 20, "trapezoid")
    states = States(*(np.repeat(a, 20) for a in (own.gaps.owner, own.gaps.known, own.gaps.start)))
    rate = law.after(own, states, when.ravel() - states.now).sum(1).reshape(when.shape)
    return law, own, (rate * weight).sum(1), law.residuals(own)


def integral(bench: Any) -> float:
    _, _, said, exact = _integrals(bench)
    return float(abs(said.sum() - exact.sum()) / exact.sum())


def likelihood(bench: Any) -> float:
    law, own, said, exact = _integrals(bench)
    total = float(law.loglikelihood(own).sum())
    return float(abs((said - exact).sum() / total))


def thinned(bench: Any) -> float:
    """Draws by the sampler that networks use, under a Hawkes intensity."""
    from ethogram.numeric.rescaling import kolmogorov
    from ethogram.numeric.streams import Streams
    from ethogram.numeric.thinning import first_arrivals

    law, own = known(5 if bench.quick else 100, 2)
    last, many = own.last(), 50
    keys = np.arange(len(own)).astype(np.uint64)
    gap = first_arrivals(lambda s, wait: law.after(own, last.take(s), wait).sum(1), keys, many)
    each = own.take(np.repeat(np.arange(len(own)), many))
    later = Streams(each.time, each.kind, each.offsets, each.end, each.end + gap.ravel(), 5)
    return kolmogorov(law.residuals(later))[1]


def attentive(bench: Any) -> tuple[float, float]:
    """(true process − trained, trained − Poisson), nats per event of held-out sequences."""
    held = bench.__dict__.setdefault("_prompt_tpp", {})
    if "attentive" not in held:
        from ethogram.nn.adam import adam
        from ethogram.nn.attentive_process import AttentiveProcess
        from ethogram.nn.processes import Neural, batch_loss
        from ethogram.numeric.renewal import Poisson

        epochs, size = (1, 16) if bench.quick else (14, 1_500)
        law, train = known(size, 3)
        _, test = known(max(size // 5, 4), 4)
        net, rng = AttentiveProcess(5, seed=0), np.random.default_rng(0)
        step = adam(net.parameters(), 5e-3)
        for epoch in range(epochs):
            step.lr = 5e-3 * min(1.0, 2 * (epochs - epoch) / epochs)  # type: ignore[union-attr]
            order = rng.permutation(len(train))
            for at in range(0, len(order), 16):
                step.zero_grad()
                batch_loss(net, train.take(order[at : at + 16]), 8, "random", rng).backward()
                step.step()
        events = int(test.judged.sum())
        own, best, none = (
            float(p.loglikelihood(test).sum()) / events for p in (Neural(net, 1.0), law, Poisson.fit(train))
        )
        held["attentive"] = best - own, own - none
    found: tuple[float, float] = held["attentive"]
    return found
