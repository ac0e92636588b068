"""A library of tiny language models, each trained on one kind of text, and prompts whose losses under all are known.

The texts lie on every machine that has this package: Python's standard library, C headers, licences and read-me files
of installed packages. Documents are dealt out whole: those that experts learn from, those of the router's training,
those that are judged. A fifth of the prompts joins two kinds of text.
"""

from __future__ import annotations

import importlib.metadata
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.log import Log

KINDS = {
    "python": "Python programs: functions, classes, imports",
    "c": "C and C++ headers: declarations, macros, structs",
    "licence": "legal text: licences, copyright, warranty, conditions",
    "readme": "read-me files of software: installation, usage, links, prose",
}
LETTERS = 256
MOST = 40_000


@dataclass
class Bench:
    """Prompts and what every expert loses on them.

    Attributes
    ----------
    models : names of the experts. library : what is known of each, as an items table.
    prompts, losses, kinds : of the two parts "train" and "test"; losses are bits per byte, float64[n, K]; the kind of a
        joined prompt has a "+".
    """

    models: list[str]
    library: pa.Table
    prompts: dict[str, list[str]] = field(default_factory=dict)
    losses: dict[str, np.ndarray] = field(default_factory=dict)
    kinds: dict[str, np.ndarray] = field(default_factory=dict)

    def log(self, part: str = "train", seen: np.ndarray | None = None) -> Log:
        """The runs as a log; `seen` bool[n, K] says which were made."""
        n, k = self.losses[part].shape
        row, column = np.nonzero(np.ones((n, k), bool) if seen is None else seen)
        return Log.open(
            pa.table(
                {
                    "user": [f"{part} {i:05d}" for i in row],
                    "order": np.arange(len(row)),
                    "item": [self.models[j] for j in column],
                    "value": self.losses[part][row, column],
                    "text": [self.prompts[part][i] for i in row],
                }
            ),
            items=self.library,
        )


def documents(kind: str) -> Iterator[str]:
    """Texts of a kind, each once, in the order of their names."""
    library = Path(sysconfig.get_path("stdlib"))
    seen: set[str] = set()
    for path in sorted(_files(kind, library)):
        try:
            text = path.read_text("utf-8", "ignore")[:MOST]
        except OSError:
            continue
        if kind == "readme":
            text = text.partition("\n\n")[2]
        if len(text) >= 4 * LETTERS and text[:200] not in seen:
            seen.add(text[:200])
            yield text


def _files(kind: str, library: Path) -> list[Path]:
    if kind == "python":
        return list(library.glob("*.py"))
    if kind == "c":
        return [*Path(sysconfig.get_path("include")).glob("*.h"), *_installed("numpy", ".h")]
    found = []
    for dist in importlib.metadata.distributions():
        for file in dist.files or ():
            named = file.name.upper()
            if named.startswith("LICENSE") if kind == "licence" else named == "METADATA" and ".dist-info" in str(file):
                found.append(Path(str(file.locate())))
    return found


def _installed(package: str, ending: str) -> list[Path]:
    return [Path(str(f.locate())) for f in importlib.metadata.files(package) or () if f.name.endswith(ending)]


def make(count: tuple[int, int], steps: int, seed: int = 0) -> Bench:
    """Experts and prompts; `count` of the two parts. With 0 steps the experts count pairs of bytes and learn nothing
    else."""
    rng = np.random.default_rng(seed)
    learnt, held = {}, {}
    for kind in KINDS:
        texts = list(documents(kind))
        rng.shuffle(texts)
        cut = len(texts) // 2
        learnt[kind] = "\n".join(texts[:cut]).encode()[:1_500_000]
        held[kind] = (texts[cut : cut + (len(texts) - cut) * 2 // 3], texts[cut + (len(texts) - cut) * 2 // 3 :])
    made = _counted(learnt) if not steps else _trained(learnt, steps)
    names = list(made)
    bench = Bench(names, _library(names, made, rng))
    for part, (name, size) in enumerate(zip(("train", "test"), count, strict=True)):
        told = [_prompt(held, part, rng) for _ in range(size)]
        bench.prompts[name] = [text for text, _ in told]
        bench.kinds[name] = np.array([kind for _, kind in told])
        bench.losses[name] = np.stack([made[m].bits(bench.prompts[name]) for m in names], 1)
    return bench


def _prompt(held: dict[str, Any], part: int, rng: np.random.Generator) -> tuple[str, str]:
    kinds = list(KINDS)
    if rng.random() < 0.2:
        a, b = rng.choice(kinds, 2, replace=False)
        return f"{_piece(held[a][part], rng, LETTERS // 2)}\n{_piece(held[b][part], rng, LETTERS // 2)}", f"{a}+{b}"
    kind = str(rng.choice(kinds))
    return _piece(held[kind][part], rng, LETTERS), kind


def _piece(texts: Sequence[str], rng: np.random.Generator, size: int) -> str:
    text = texts[rng.integers(len(texts))]
    at = int(rng.integers(0, len(text) - size))
    return text[at : at + size]


@dataclass
class Counted:
    """Bytes after one byte (or alone), counted with one added to each."""

    table: np.ndarray
    size: int

    def bits(self, prompts: Sequence[str]) -> np.ndarray:
        found = []
        for prompt in prompts:
            raw = np.frombuffer(prompt.encode("utf-8", "replace"), np.uint8)
            found.append(-np.log2(self.table[raw[:-1], raw[1:]]).mean())
        return np.array(found)

    def write(self, rng: np.random.Generator, size: int = 200) -> str:
        out = [32]
        for _ in range(size):
            out.append(int(rng.choice(256, p=self.table[out[-1]])))
        return bytes(out).decode("utf-8", "replace")


def _counted(learnt: dict[str, bytes]) -> dict[str, Any]:
    made = {}
    for kind, raw in learnt.items():
        codes = np.frombuffer(raw, np.uint8).astype(np.int64)
        pairs = np.bincount(codes[:-1] * 256 + codes[1:], minlength=65536).reshape(256, 256) + 0.05
        alone = np.broadcast_to(pairs.sum(0), (256, 256))
        made[f"{kind}-small"] = Counted(alone / alone.sum(1, keepdims=True), 256)
        made[f"{kind}-large"] = Counted(pairs / pairs.sum(1, keepdims=True), 65536)
    return made


class Decoder:
    """A small decoder over bytes."""

    def __init__(self, raw: bytes, layers: int, width: int, steps: int, seed: int):
        import torch

        from ethogram.lm.tiny import decoder

        codes = torch.from_numpy(np.frombuffer(raw, np.uint8).astype(np.int64) + 3)
        self.model = decoder(259, layers=layers, width=width, heads=4, context=LETTERS + 8, seed=seed).train()
        self.size = sum(p.numel() for p in self.model.parameters())
        rng = np.random.default_rng(seed)
        made = torch.optim.AdamW(self.model.parameters(), lr=4e-3)
        for step in range(steps):
            for group in made.param_groups:
                group["lr"] = 4e-3 * min(1.0, (step + 1) / 20) * (1 - 0.9 * step / steps)
            rows = torch.from_numpy(rng.integers(0, len(codes) - LETTERS, 12))[:, None] + torch.arange(LETTERS)
            logits = self.model(codes[rows]).logits[:, :-1]
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), codes[rows][:, 1:].flatten())
            made.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            made.step()
        self.model.eval()

    def bits(self, prompts: Sequence[str]) -> np.ndarray:
        """Bits per byte of each, the first byte given."""
        import torch

        found = []
        with torch.inference_mode():
            for prompt in prompts:
                raw = np.frombuffer(prompt.encode("utf-8", "replace")[:LETTERS], np.uint8).astype(np.int64) + 3
                ids = torch.from_numpy(raw)[None]
                loss = torch.nn.functional.cross_entropy(self.model(ids).logits[0, :-1], ids[0, 1:])
                found.append(loss.item() / np.log(2))
        return np.array(found)

    def write(self, rng: np.random.Generator, size: int = 200) -> str:
        import torch

        ids, past = torch.tensor([[35]]), None
        out: list[int] = []
        with torch.inference_mode():
            for _ in range(size):
                told = self.model(ids, past_key_values=past, use_cache=True)
                past = told.past_key_values
                p = torch.softmax(told.logits[0, -1, 3:].double(), 0).numpy()
                out.append(int(rng.choice(256, p=p / p.sum())))
                ids = torch.tensor([[out[-1] + 3]])
        return bytes(out).decode("utf-8", "replace")


def _trained(learnt: dict[str, bytes], steps: int) -> dict[str, Any]:
    made = {}
    for i, (kind, raw) in enumerate(learnt.items()):
        made[f"{kind}-small"] = Decoder(raw, 1, 32, steps, 2 * i)
        made[f"{kind}-large"] = Decoder(raw, 2, 64, steps, 2 * i + 1)
    return made


def _library(names: list[str], made: dict[str, Any], rng: np.random.Generator) -> pa.Table:
    """Size as it is; words and reading ease measured on what each writes; dates and security are given, not real."""
    from ethogram.text import readable

    said = [[made[n].write(rng) for _ in range(3)] for n in names]
    ease = [[e for t in told if (e := readable.ease(t)) is not None] for told in said]
    return pa.table(
        {
            "item": names,
            "card": [f"{KINDS[n.rpartition('-')[0]]} ({n.rpartition('-')[2]} model)" for n in names],
            "size": [made[n].size for n in names],
            "released": [date(2021 + (3 * i) % 5, 1 + i, 1).isoformat() for i in range(len(names))],
            "security": [float((5 * i) % 8) for i in range(len(names))],
            "verbosity": [float(np.mean([len(readable.words(t)) for t in told])) for told in said],
            "readability": [float(np.mean(e)) if e else None for e in ease],
        }
    )
