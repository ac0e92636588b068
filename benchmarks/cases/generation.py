"""Lists written by an encoder-decoder: what keeping the past's keys and values, and walking a trie, cost and save."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import Case, Target

QUESTIONS, BEAMS, ITEMS, LETTERS, LEVELS, CATALOGUE = 64, 8, 5, 32, 3, 7_676


@dataclass(frozen=True)
class Problem:
    """An untrained writer (its speed is that of a trained one), what it read, and the words that exist."""

    model: Any
    memory: Any
    real: Any
    free: Any


def setup() -> Problem:
    import torch

    from ethogram.nn.encdec import EncoderDecoder, Shape
    from ethogram.numeric.trie import Trie

    rng = np.random.default_rng(0)
    model = EncoderDecoder(Shape(LETTERS, LEVELS, ITEMS, 20), seed=0).eval()
    codes = torch.from_numpy(rng.integers(0, LETTERS, (QUESTIONS, 20, LEVELS)))
    with torch.no_grad():
        places = torch.arange(20).expand(QUESTIONS, -1)
        memory = model.encode(codes, places, torch.ones(QUESTIONS, 20, dtype=torch.bool))
    every = np.stack(np.unravel_index(np.arange(LETTERS**LEVELS), (LETTERS,) * LEVELS), 1)
    words = every[np.sort(rng.choice(len(every), CATALOGUE, replace=False))]
    return Problem(model, memory, *(Trie.of(w, LETTERS, np.ones(len(w))) for w in (words, every)))


class Again:
    """Steps without keys and values of the past: every step reads all letters so far anew."""

    def __init__(self, problem: Problem):
        self.problem, self.letters = problem, None
        self.memory = tuple(m.repeat_interleave(BEAMS, 0) for m in problem.memory)

    def next(self, letters: Any, parents: Any = None) -> Any:
        import torch

        if letters is not None:
            if self.letters is None:
                self.letters = letters[..., None]
            else:
                row = torch.arange(QUESTIONS)[:, None]
                self.letters = torch.cat([self.letters[row, parents], letters[..., None]], 2)
        done = 0 if self.letters is None else self.letters.shape[2]
        given = torch.zeros(QUESTIONS * BEAMS, (done // LEVELS + 1) * LEVELS, dtype=torch.int64)
        if done:
            given[:, :done] = self.letters.view(QUESTIONS * BEAMS, done)
        said = self.problem.model(self.memory, given.view(len(given), -1, LEVELS))
        return said[:, done // LEVELS, done % LEVELS].view(QUESTIONS, BEAMS, -1)


def written(problem: Problem, trie: Any, step: Any) -> np.ndarray:
    from ethogram.nn.beam import write

    offered = np.ones((QUESTIONS, len(trie.path)), bool)
    left = np.broadcast_to(trie.left(offered[:1]), (QUESTIONS, len(trie.child)))
    return write(step, trie, left, width=BEAMS, things=ITEMS, offered=offered).things


def ours(problem: Problem) -> np.ndarray:
    from ethogram.nn.encdec import Cached

    return written(problem, problem.real, Cached(problem.model, problem.memory, BEAMS).next)


def free(problem: Problem) -> np.ndarray:
    from ethogram.nn.encdec import Cached

    return written(problem, problem.free, Cached(problem.model, problem.memory, BEAMS).next)


def again(problem: Problem) -> np.ndarray:
    return written(problem, problem.real, Again(problem).next)


def check(problem: Problem, answers: Mapping[str, np.ndarray]) -> None:
    """The same lists with and without what is kept, and never an item twice.

    Raises
    ------
    AssertionError
        They differ.
    """
    best = answers["ethogram"][:, 0]
    assert (np.diff(np.sort(best, 1), axis=1) > 0).all(), "an item twice"
    same = (best == answers["nothing kept, every step reads all"][:, 0]).mean()
    assert same > 0.99, f"only {same:.1%} of the items are the same"  # sums in another order may part a tie


def cases() -> Iterable[Case]:
    """The harness's form."""
    letters = QUESTIONS * ITEMS * LEVELS
    yield Case(
        "generation",
        f"{QUESTIONS} lists of {ITEMS} items of {LEVELS} letters, {BEAMS} beams each, {CATALOGUE:,} items",
        setup,
        {"ethogram": ours, "all words of the alphabet": free, "nothing kept, every step reads all": again},
        check,
        [
            Target("lists a CPU second", lambda f: QUESTIONS / f["ethogram"].cpu, least=1.0),
            Target("letters of the best lists a CPU second", lambda f: letters / f["ethogram"].cpu, least=1.0),
            Target("nothing kept / ours", lambda f: f["nothing kept, every step reads all"].cpu / f["ethogram"].cpu,
                   least=1.0),
            Target("all words / ours", lambda f: f["all words of the alphabet"].cpu / f["ethogram"].cpu, least=0.5),
        ],
        notes="dim 64, encoder 1 and decoder 2 blocks, 2 of 8 experts; weights as drawn",
    )  # fmt: skip
