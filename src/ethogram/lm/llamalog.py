"""Reads what llama.cpp wrote while it ran: the model, its own timings, and (of a build that profiles its graph) the
time of every operation of every token.

    found = read("run.log")           # .gz too
    found.timings["eval"].rate        # tokens per second
    found.totals                      # table: graph, op, ms

A *graph* is one evaluation: of the prompt (several tokens at once), then of each token that is written.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from ethogram.errors import SourceError

_TIMING = re.compile(
    r"\b(load|sample|sampling|prompt eval|eval|total) time\s*=\s*([\d.]+) ms(?:\s*/\s*(\d+)\s*(?:tokens?|runs?))?"
)
_META = re.compile(r"(?:llm_load_print_meta|print_info): ([\w .]+?)\s*= (.+)")
_TENSOR = re.compile(r"- tensor\s+\d+:\s+(\S+)\s+(\S+)\s+\[\s*([\d, ]+)\]")
_NODES = re.compile(r"^n_nodes = (\d+)", re.MULTILINE)
_NODE = re.compile(
    r"^ -\s*\d+: \[\s*(\d+),\s*(\d+),\s*(\d+)\]\s+(\S+)\s.*?"
    r"cpu =\s*[\d.]+ /\s*([\d.]+) ms, wall =\s*[\d.]+ /\s*([\d.]+) ms",
    re.MULTILINE,
)
_TOTAL = re.compile(r"^perf_total_per_op_us\[\s*(\w+)\] =\s*([\d.]+) ms", re.MULTILINE)


@dataclass(frozen=True)
class Timing:
    """Milliseconds and, where they are told, tokens."""

    ms: float
    tokens: int | None = None

    @property
    def rate(self) -> float | None:
        """Tokens per second."""
        return 1000 * self.tokens / self.ms if self.tokens and self.ms > 0 else None


@dataclass(frozen=True)
class LlamaLog:
    """What a log says.

    Attributes
    ----------
    model : name -> text of the loader's lines ("n_layer", "model params", "model ftype" ...).
    timings : "load", "sample", "prompt eval", "eval", "total" -> `Timing`; the last of each.
    tensors : table of name, type and shape. operations : table of graph, op, d0, d1, d2 (shape of the result), cpu_ms,
        wall_ms. totals : table of graph, op, ms, as the program summed them.
    broken : graphs of which the log does not hold all operations (it was cut off); they are left out.
    """

    model: dict[str, str]
    timings: dict[str, Timing]
    tensors: pa.Table
    operations: pa.Table
    totals: pa.Table
    broken: int = 0
    name: str = field(default="")

    def graphs(self) -> pa.Table:
        """One row per graph: `graph`, `tokens` (evaluated at once), `ms` (wall, all operations), `matmul` (share of
        matrix products in it)."""
        graph, op = (np.array(self.operations.column(n).to_pylist()) for n in ("graph", "op"))
        ms, batch = (np.array(self.operations.column(n).to_pylist(), np.float64) for n in ("wall_ms", "d1"))
        rows = []
        for g in np.unique(graph):
            mine = graph == g
            first = int(np.flatnonzero(mine)[0])  # GET_ROWS: a row for each token
            whole = float(ms[mine].sum())
            rows.append((int(g), int(batch[first]), whole, float(ms[mine & (op == "MUL_MAT")].sum()) / whole))
        columns = list(map(list, zip(*rows, strict=True))) or [[], [], [], []]
        return pa.table(dict(zip(("graph", "tokens", "ms", "matmul"), columns, strict=True)))


def read(path: str | Path) -> LlamaLog:
    """Read a log, plain or gzipped.

    Raises
    ------
    SourceError
        It cannot be read, or holds neither timings nor operations of llama.cpp.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8", "replace")
    except (OSError, EOFError) as error:
        raise SourceError(f"{path} cannot be read ({error}).") from None
    return parse(text, path.name)


def parse(text: str, name: str = "the text") -> LlamaLog:
    """What a log's text says; see `read`."""
    timings = {
        kind.replace("sampling", "sample"): Timing(float(ms), int(n) if n else None)
        for kind, ms, n in _TIMING.findall(text)
    }
    totals = _TOTAL.findall(text)
    heads = list(_NODES.finditer(text))
    if not timings and not heads and not totals:
        raise SourceError(f"{name} holds neither timings nor operations of llama.cpp.")
    ends = [*(m.start() for m in heads[1:]), len(text)][: len(heads)]
    rows: list[tuple[int, str, int, int, int, float, float]] = []
    sums: list[tuple[int, str, float]] = []
    graph = broken = 0
    for head, end in zip(heads, ends, strict=True):
        part = text[head.end() : end]
        found = _NODE.findall(part)
        if len(found) != int(head[1]):
            broken += 1
            continue
        rows += [(graph, op, int(a), int(b), int(c), float(cpu), float(wall)) for a, b, c, op, cpu, wall in found]
        sums += [(graph, op, float(ms)) for op, ms in _TOTAL.findall(part)]
        graph += 1
    return LlamaLog(
        {key.strip(): value.strip() for key, value in _META.findall(text)},
        timings,
        _table(
            ("name", "type", "shape"), [(n, t, [int(x) for x in s.split(",")]) for n, t, s in _TENSOR.findall(text)]
        ),
        _table(("graph", "op", "d0", "d1", "d2", "cpu_ms", "wall_ms"), rows),
        _table(("graph", "op", "ms"), sums),
        broken,
        name,
    )


def _table(names: tuple[str, ...], rows: list[tuple]) -> pa.Table:
    columns = list(map(list, zip(*rows, strict=True))) or [[] for _ in names]
    return pa.table(dict(zip(names, columns, strict=True)))
