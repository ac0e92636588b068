"""What is learned of a stream, and how each way of learning goes on with the next window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ethogram.errors import StepError
from ethogram.numeric import hawkes, renewal
from ethogram.numeric.streams import Streams
from ethogram.risk.prompt_tpp.reading import Marks, window
from ethogram.verbs import Log, State, Vocabulary, Watch

if TYPE_CHECKING:
    from ethogram.risk.prompt_tpp import PromptTPP

NEURAL = ("attentive", "recurrent")
Batch = tuple[np.ndarray, int]


@dataclass(eq=False)
class Fitted:
    """The process as it is now.

    Attributes
    ----------
    unit : mean gap of the fit in microseconds, the process's unit of time. windows : learned so far.
    kept : sequences (in units) that ``replay`` keeps. met : sequences that were candidates for them.
    """

    marks: Marks
    unit: float
    seed: int
    silence: bool
    process: Any
    windows: int = 1
    kept: Streams | None = None
    met: int = 0
    course: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def fit(cls, options: PromptTPP, train: Log, valid: Log | None, *, seed: int, watch: Watch | None) -> Fitted:
        marks = Marks.of(train.histories(), options.mark, options.bins, options.kinds)
        found = usable(window(train, marks, options.silence)[0])
        gaps = found.gaps
        unit = float((gaps.stop - gaps.start).sum() / max(int((gaps.event >= 0).sum()), 1))
        held = cls(marks, unit, seed, options.silence, None)
        own = found.scaled(unit)
        judged = None
        if valid is not None and len(valid.histories()):
            later = window(valid, marks, options.silence)[0]
            judged = later.scaled(unit) if later.judged.any() else None
        held.process = _made(options, marks, seed) if options.process in NEURAL else None
        held._learn(options, own, judged, options.epochs, watch)
        held._keep(options, own)
        return held

    def update(self, options: PromptTPP, log: Log) -> None:
        """The next window."""
        found = usable(window(log, self.marks, self.silence)[0])
        if (unknown := int((found.kind < 0).sum())) and self.marks.column:
            raise StepError(
                f"prompt_tpp: {unknown} events of the window are of a kind that the fit did not meet (column "
                f"'{self.marks.column}'); fit anew with a log that holds all, or name them all: kinds."
            )
        self.windows += 1
        if options.stream == "once":
            return
        own = found.scaled(self.unit)
        if options.stream == "retrain" and options.process in NEURAL:
            self.process = _made(options, self.marks, self.seed)
            self._learn(options, own, None, options.epochs, None)
            return
        self._learn(options, own, None, options.update_epochs, None)
        self._keep(options, own)

    @property
    def answers(self) -> Any:
        """The process in microseconds: likelihoods, residuals, next events."""
        if isinstance(self.process, hawkes.Hawkes | renewal.Poisson | renewal.Renewal):
            return Rescaled(self.process, self.unit)
        from ethogram.nn.processes import Neural

        return Neural(self.process, self.unit)

    def _learn(
        self, options: PromptTPP, own: Streams, judged: Streams | None, epochs: int, watch: Watch | None
    ) -> None:
        if options.process not in NEURAL:
            fits = {"hawkes": hawkes.fit, "renewal": renewal.Renewal.fit, "poisson": renewal.Poisson.fit}
            self.process = fits[options.process](own)  # type: ignore[operator]
            return
        from ethogram.nn.adam import adam
        from ethogram.nn.processes import Neural, batch_loss
        from ethogram.nn.train import train

        network, later = self.process, self.windows > 1 and options.stream == "prompts" and bool(self.process.prompts())
        steps = [adam(network.base(), options.lr * (options.base_rate if later else 1.0))]
        if network.prompts():
            keys = [pool.key for pool in network.pools]
            other = [p for p in network.prompts() if all(p is not k for k in keys)]
            steps += [adam(other, options.lr * options.prompt_rate), adam(keys, options.lr * options.key_rate)]
        past = self.kept if options.stream == "replay" and self.windows > 1 else None
        every = own if past is None else joined(own, past)
        turn = [0]
        for pool in getattr(network, "pools", ()):
            pool.settling = self.windows == 1

        def batches(rng: np.random.Generator) -> Iterator[Batch]:
            if later and options.alternate:  # prompts first, then the network under them, and so on
                for mine, group in ((0, network.prompts()), (1, network.base())):
                    for p in group:
                        p.requires_grad_(turn[0] % 2 == mine)
                turn[0] += 1
            order = rng.permutation(len(every))
            for at in range(0, len(order), options.batch):
                yield order[at : at + options.batch], int(rng.integers(2**31))

        def loss(batch: Batch) -> Any:
            rng, part = np.random.default_rng(batch[1]), every.take(batch[0])
            return batch_loss(
                network, part, options.points, "random", rng, pull=options.pull,
                vote=options.vote and bool(network.prompts()),
            )  # fmt: skip

        def value() -> float:
            return float(Neural(network, 1.0).loglikelihood(judged).sum())  # type: ignore[arg-type]

        seed = int(np.random.SeedSequence([self.seed, self.windows]).generate_state(1)[0])
        try:
            done = train(
                network, batches, loss, optimisers=steps, epochs=epochs, seed=seed, patience=options.patience,
                valid=None if judged is None else value, watch=watch,
            )  # fmt: skip
        finally:
            for p in network.parameters():
                p.requires_grad_(True)
        for pool in getattr(network, "pools", ()):
            pool.close()
        self.course.append({"window": self.windows, "epochs": done.epoch, "loss": done.curve[-1]["loss"]})

    def _keep(self, options: PromptTPP, own: Streams) -> None:
        """A uniform sample of all sequences so far (reservoir; J. Vitter, ACM TOMS 11, 1985)."""
        if options.stream != "replay" or not options.buffer:
            return
        rng = np.random.default_rng([self.seed, self.windows, 1])
        every = own if self.kept is None else joined(self.kept, own)
        old = 0 if self.kept is None else len(self.kept)
        place = list(range(old))
        for i in range(len(own)):
            self.met += 1
            if len(place) < options.buffer:
                place.append(old + i)
            elif (drawn := int(rng.integers(self.met))) < options.buffer:
                place[drawn] = old + i
        self.kept = every.take(np.sort(place))

    def state(self) -> State:
        tables, arrays = {}, {}
        if self.marks.ids is not None:
            tables["kinds"] = pa.table({"kind": self.marks.ids.ids})
        if self.marks.edges is not None:
            arrays["edges"] = self.marks.edges
        if self.kept is not None:
            arrays |= {f"kept.{n}": getattr(self.kept, n) for n in ("time", "kind", "offsets", "begin", "end")}
        json = {"column": self.marks.column, "unit": self.unit, "seed": self.seed, "silence": self.silence,
                "windows": self.windows, "met": self.met, "course": self.course}  # fmt: skip
        if isinstance(self.process, hawkes.Hawkes):
            arrays |= {"mu": self.process.mu, "branching": self.process.branching}
            json["decay"] = self.process.decay
        elif isinstance(self.process, renewal.Poisson):
            arrays["rate"] = self.process.rate
        elif isinstance(self.process, renewal.Renewal):
            arrays["moves"] = self.process.moves
            json |= {"mean": self.process.mean, "spread": self.process.spread}
        else:
            from ethogram.nn import saved

            arrays |= saved.arrays(self.process)
        return State(arrays, tables, json)

    @classmethod
    def restore(cls, options: PromptTPP, state: State) -> Fitted:
        ids = Vocabulary(state.tables["kinds"].column("kind").combine_chunks()) if "kinds" in state.tables else None
        edges = np.array(state.arrays["edges"]) if "edges" in state.arrays else None
        marks, told = Marks(state.json["column"], ids, edges), state.json
        held = {n.split(".")[1]: np.array(v) for n, v in state.arrays.items() if n.startswith("kept.")}
        kept = Streams(**held, kinds=len(marks)) if held else None
        process: Any
        if "mu" in state.arrays:
            process = hawkes.Hawkes(np.array(state.arrays["mu"]), np.array(state.arrays["branching"]), told["decay"])
        elif "rate" in state.arrays:
            process = renewal.Poisson(np.array(state.arrays["rate"]))
        elif "moves" in state.arrays:
            process = renewal.Renewal(told["mean"], told["spread"], np.array(state.arrays["moves"]))
        else:
            from ethogram.nn import saved

            process = _made(options, marks, told["seed"])
            saved.restore(process, state.arrays)
            process.eval()
        return cls(
            marks, told["unit"], told["seed"], told["silence"], process, told["windows"], kept, told["met"],
            list(told["course"]),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Rescaled:
    """A classical process that counts time in units, asked in microseconds."""

    process: Any
    unit: float

    def residuals(self, streams: Streams) -> np.ndarray:
        return self.process.residuals(streams.scaled(self.unit))

    def intensities(self, streams: Streams) -> np.ndarray:
        return self.process.intensities(streams.scaled(self.unit)) / self.unit

    def next(self, streams: Streams, states: Any, draws: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        own, moved = self._scaled(streams, states)
        gap, kind = self.process.next(own, moved, draws, seed=seed)
        return gap * self.unit, kind

    def after(self, streams: Streams, states: Any, wait: np.ndarray) -> np.ndarray:
        own, moved = self._scaled(streams, states)
        return self.process.after(own, moved, wait / self.unit) / self.unit

    def _scaled(self, streams: Streams, states: Any) -> tuple[Streams, Any]:
        from ethogram.numeric.streams import States

        now = (states.now - streams.origin[states.owner]) / self.unit
        return streams.scaled(self.unit), States(states.owner, states.known, now)


def usable(found: Streams) -> Streams:
    """Sequences of which there is something to judge.

    Raises
    ------
    StepError
        There is none.
    """
    there = np.bincount(found.owner[found.judged], minlength=len(found)) > 0
    if not there.any():
        raise StepError(
            "prompt_tpp: nobody has two events at different times, so nothing can be learned about the time between."
        )
    return found.take((found.lengths > 0) & (found.end > found.begin))


def joined(one: Streams, other: Streams) -> Streams:
    """Sequences of both."""
    parts = {n: np.concatenate([getattr(one, n), getattr(other, n)]) for n in ("time", "kind", "begin", "end")}
    return Streams(offsets=np.append(one.offsets, one.offsets[-1] + other.offsets[1:]), kinds=one.kinds, **parts)


def _made(options: PromptTPP, marks: Marks, seed: int) -> Any:
    from ethogram.nn.attentive_process import AttentiveProcess
    from ethogram.nn.recurrent_process import RecurrentProcess

    if options.process == "recurrent":
        return RecurrentProcess(len(marks), hidden=options.hidden, seed=seed)
    entries = options.prompts if options.stream == "prompts" else 0
    return AttentiveProcess(
        len(marks), hidden=options.hidden, time=options.clock, layers=options.layers, heads=options.heads,
        entries=entries, chosen=options.chosen, rows=options.rows, timed=options.timed,
        diversify=options.diversify, seed=seed,
    )  # fmt: skip
