"""The CPU of scoring one request: arrays held ready beside the system's own `score`, and three ways through a tower.

Other candidates in each call, the same for all contestants; turns interleaved, the least of them counts. Scores agree
to 1e-5, or nothing is published.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import served
from benchmarks.cases.serve import FULL, QUICK, flags
from benchmarks.harness import Target
from benchmarks.race import Found, Race

TURNS, CALLS = 15, 20
SYSTEMS = ("sdim", "din", "mean_pooled", "dare")
Call = Callable[[int], np.ndarray]


def timed(ways: Mapping[str, Call], turns: int, *, alike: bool = True) -> dict[str, float]:
    """CPU ms of a call of each way; `ways` take the number of the call; `alike`: they answer the same.

    Raises
    ------
    AssertionError
        Two ways answer differently.
    """
    answers = [np.asarray(way(0)).reshape(-1) for way in ways.values()]
    for other in answers[1:] if alike else ():
        np.testing.assert_allclose(other, answers[0], atol=1e-5)
    least = dict.fromkeys(ways, np.inf)
    for _ in range(turns):
        for name, way in ways.items():
            way(0)
            began = time.process_time()
            for n in range(CALLS):
                way(n)
            least[name] = min(least[name], 1e3 * (time.process_time() - began) / CALLS)
    return least


def scoring(turns: int, size: Any) -> Found:
    """Requests of every system that has arrays, and of tables of histories of several lengths."""
    found = Found()
    with tempfile.TemporaryDirectory(prefix="ethogram-scoring-") as folder:
        for key in SYSTEMS:
            model, _ = served.model(Path(folder), size.items, key, **size.fit)
            ready = model.prepared()
            for count in (200, 500):
                _requests(found, key, model, ready, count, turns, size)
                if key == "sdim":
                    _tables(found, model, ready, count, turns, size)
    return found


def _drawn(ready: Any, count: int) -> list[Any]:
    from ethogram.log import Candidates

    rng, vocabulary = np.random.default_rng(count), ready.catalogue.ids
    size = min(count, len(vocabulary))
    return [
        Candidates(rng.choice(len(vocabulary), size, replace=False).astype(np.int32), vocabulary, shared=True)
        for _ in range(CALLS)
    ]


def _requests(found: Found, key: str, model: Any, ready: Any, count: int, turns: int, size: Any) -> None:
    from ethogram.log import Histories

    some = _drawn(ready, count)
    who = Histories.of([np.random.default_rng(0).integers(0, size.items, size.lengths[0]).tolist()])
    least = timed(
        {
            "ethogram, prepared": lambda n: ready.score(who, some[n]),
            "ethogram, score": lambda n: model.score(who, some[n]),
        },
        turns,
    )
    for name, ms in least.items():
        found.rows.append(_row(f"{name}: {key}, {size.lengths[0]:,} events", count, ms, least))
    found.values[f"{key} {count}"] = least["ethogram, prepared"]


def _tables(found: Found, model: Any, ready: Any, count: int, turns: int, size: Any) -> None:
    from ethogram.log import Histories

    rng, some = np.random.default_rng(1), _drawn(ready, count)
    histories = [rng.integers(0, size.items, n).tolist() for n in size.lengths]
    tables = [model.bucket_tables(Histories.of([h]))[0] for h in histories]
    pasts = [ready.past(h[-model.short - 1 :]) for h in histories]
    rows = [ready.catalogue.moved(c.items, c.vocabulary) for c in some]

    def through(i: int) -> Call:
        return lambda n: ready.answer(pasts[i], rows[n], table=tables[i])

    least = timed({f"{n:,}": through(i) for i, n in enumerate(size.lengths)}, turns, alike=False)
    for name, ms in least.items():
        found.rows.append(_row(f"ethogram, prepared: sdim, table of {name} events", count, ms, None))
    short, middle, long = least.values()
    found.values[f"table {count}"], found.values[f"flat {count}"] = middle, long / short


def _row(name: str, count: int, ms: float, least: Mapping[str, float] | None) -> dict[str, Any]:
    share = None if least is None else ms / min(least.values())
    return {"": name, "candidates": count, "CPU ms": ms, "x fastest": share}


def towers(turns: int) -> Found:
    """A tower of the usual size by NumPy with compiled activations (ours), torch, and ONNX Runtime."""
    import torch

    from ethogram.nn.mlp import Tower
    from ethogram.nn.prepared.dense import Dense

    torch.set_num_threads(1)
    found = Found()
    tower = Tower(202, (128, 64), act="dice").eval()
    with torch.no_grad():
        for module in tower.modules():
            if hasattr(module, "variance"):
                module.variance.uniform_(0.5, 2)
                module.mean.uniform_(-0.5, 0.5)
                module.alpha.uniform_(0, 0.5)
    dense = Dense.of(tower)
    for count in (200, 500):
        rows = np.random.default_rng(0).standard_normal((CALLS, count, 202)).astype(np.float32)
        tensors = torch.from_numpy(rows)

        def ours(n: int, rows: np.ndarray = rows) -> np.ndarray:
            return dense.finish(rows[n] @ dense.weights[0], dense.biases[0])

        @torch.inference_mode()
        def eager(n: int, tensors: torch.Tensor = tensors) -> np.ndarray:
            return tower(tensors[n]).numpy()

        ways: dict[str, Call] = {"ethogram (NumPy, compiled activations)": ours, "torch": eager}
        try:
            ways["ONNX Runtime"] = _onnx(dense, rows)
        except ImportError as missing:
            found.absent.append(f"ONNX Runtime: {missing.name} is not installed")
        least = timed(ways, turns)
        for name, ms in least.items():
            found.rows.append(_row(name, count, ms, least))
            found.values[f"{name} {count}"] = ms
        if "ONNX Runtime" in least:
            ours_, other = least["ethogram (NumPy, compiled activations)"], least["ONNX Runtime"]
            found.values[f"onnx / ours {count}"] = other / ours_
    found.notes.append("parity of all three to 1e-5; the fastest without another dependency is what is served")
    return found


def _onnx(dense: Any, rows: np.ndarray) -> Call:
    """The tower as an ONNX graph in a session of one thread."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, held, at = [], [], "x"

    def constant(name: str, values: np.ndarray) -> str:
        held.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def node(kind: str, *inputs: str) -> str:
        out = f"n{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [out]))
        return out

    for i, (weight, bias) in enumerate(zip(dense.weights, dense.biases, strict=True)):
        at = node("Gemm", at, constant(f"w{i}", weight), constant(f"b{i}", bias))
        if i < len(dense.gates):
            gate = dense.gates[i]
            scaled = node("Mul", at, constant(f"s{i}", gate.scale))
            p = node("Sigmoid", node("Add", scaled, constant(f"m{i}", -gate.mean * gate.scale)))
            p = node("Mul", p, constant(f"c{i}", 1 - gate.alpha))
            at = node("Mul", at, node("Add", p, constant(f"a{i}", gate.alpha)))
    width = dense.weights[0].shape[0]
    graph = helper.make_graph(
        nodes, "tower", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", width])],
        [helper.make_tensor_value_info(at, TensorProto.FLOAT, ["n", 1])], held,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return lambda n: session.run(None, {"x": rows[n]})[0][:, 0]


def _of(name: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda values: values[name]


def cases() -> Iterable[Any]:
    """The harness' form."""
    quick = "quick" in flags()
    turns, size = (1, QUICK) if quick else (TURNS, FULL)
    goals = [
        *(Target(f"{key}: 200 candidates, CPU ms", _of(f"{key} 200"), most=1.0) for key in SYSTEMS),
        Target("sdim: 500 candidates through a table of 10,000 events, CPU ms", _of("table 500"), most=2.0),
        Target("sdim: table of 16,384 events over one of 256", _of("flat 500"), most=1.1),
    ]
    yield Race("serve_scoring", "CPU of scoring one request", lambda: scoring(turns, size), goals)
    yield Race("serve_towers", "A tower for one request, three ways", lambda: towers(turns), [])
