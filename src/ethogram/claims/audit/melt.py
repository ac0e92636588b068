"""What is claimed of `melt`, and how it is measured.

Speeds of the local model are tokens per processor second of one thread, so that what else the machine does counts
little; the log is of Llama 2 7B on a telephone, published with the paper (see the licence beside it).
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, NotMeasurable, claim

KINDS = ("q4_0", "q8_0", "f16")
"""Forms in which the default weights (q4_1) are written again; q8_0 is held out where speed is predicted."""


@claim("melt", "It finds the speeds that a model has, and its logs say the same")
def recovered(bench: Any) -> Laws:
    return Laws(
        Law("largest relative miss of planted speeds", lambda b: planted(b)["ours"], "<=", 1e-6),
        Law("miss where tokens over the whole time are taken for the speed of writing", naive, ">=", 0.1),
        Law("writing speed over that which the server tells of itself, difference from 1", against_server, "<=", 0.1),
        Law("share of matrix products in the first token of the log, difference from the 0.93 published", share, "<=",
            0.01),
        Law("largest difference between summed operations and the log's own sums (ms)", sums_agree, "<=", 0.1),
    )  # fmt: skip


@claim("melt", "Writing is bound by memory: one rate of bytes tells the time of other weights")
def memory_bound(bench: Any) -> Laws:
    return Laws(
        Law("telephone, 7B: relative miss of the time of the wide matrices, from the square ones", wide, "<=", 0.25),
        Law("here: relative miss of writing at q8_0, from q4_0, q4_1 and f16", lambda b: predicted(b)[0], "<=", 0.25),
        Law("the same by the mean of the other speeds, which knows no bytes", lambda b: predicted(b)[1], ">", 0.0),
        Law("here: bytes a second while writing, largest over smallest of the four", spread, "<=", 2.0),
        Law("bytes a second while writing at f16 over those of a copying loop", over_triad, "<=", 1.0),
    )


@claim("melt", "A prompt is read faster than a reply is written, and a long context slows writing")
def phases(bench: Any) -> Laws:
    return Laws(
        Law("least of reading over writing speed, four forms of the weights", lambda b: ratios(b, "read"), ">", 1.0),
        Law(
            "writing after 256 words over writing after 32, mean of the four", lambda b: ratios(b, "context"), "<", 1.0
        ),
        Law("gain of a second thread in reading over that in writing", threads, ">=", 1.0),
    )


@claim("melt", "Fewer bits cost quality: the loss rises at each step down")
def quantised(bench: Any) -> Laws:
    return Laws(
        Law("bits per byte, 4 bits − 8 bits", lambda b: step(b, 8, 4), "within", 0.02),
        Law("bits per byte, 3 bits − 4 bits", lambda b: step(b, 4, 3), ">", 0.0),
        Law("bits per byte, 2 bits − 3 bits", lambda b: step(b, 3, 2), ">", 0.0),
        Law("published accuracies: fall from unquantised to 3 bits (mean of models and tasks)", published, ">", 0.0),
    )


@claim("melt", "Described devices: what fits, what is fast enough, and how heat slows writing")
def simulated(bench: Any) -> Laws:
    return Laws(
        Law("largest difference of the heating curve from its solution (K)", heating, "<=", 1e-6),
        Law("writing after ten minutes over writing at once, telephone", lambda b: slowed(25.0), "<", 1.0),
        Law("the same at 40 over 15 degrees", lambda b: slowed(40.0) / slowed(15.0), "<", 1.0),
        Law("7B on telephones: unquantised ones that fit", lambda b: float(fitting("llama-2-7b-f16")), "<=", 0),
        Law("7B on telephones: at 4 bits, of two", lambda b: float(fitting("llama-2-7b-q4_0")), ">=", 1),
        Law("telephone: hours of writing with 7B on a charge", charge, "<=", 12.0),
    )


def planted(bench: Any) -> dict[str, float]:
    """Against three models of known speed; the naive speed counts the time to the first token as writing."""
    from ethogram.audit.melt import Melt, paced
    from ethogram.lm.auditing import audit
    from ethogram.lm.blocking import run

    ours, other = [], []
    for read, write in ((500.0, 40.0), (20.0, 2.0), (90.0, 60.0)):
        report = run(audit(Melt(texts=0), paced.steady(f"{read}", read, write)))
        ours += [abs(report.metrics["read_tps"][0] / read - 1), abs(report.metrics["write_tps"][0] / write - 1)]
        size, tokens = 256, 32
        other.append(abs(tokens / (size / read + (tokens - 1) / write) / write - 1))
    return {"ours": max(ours), "naive": min(other)}


def naive(bench: Any) -> float:
    return planted(bench)["naive"]


def against_server(bench: Any) -> float:
    """On the clock, where both tell the same kind of seconds."""
    if bench.quick:
        raise NotMeasurable("needs the local model; not in a quick run")
    report = _audit(_local(""), clock="wall", words=(32,), repeats=3, texts=0)
    return abs(float(report.metrics["told_ratio"][0]) - 1)


@contextlib.contextmanager
def _log() -> Iterator[Any]:
    from ethogram.lm.llamalog import read

    with as_file(files("ethogram.claims.audit") / "llama-2-7b-q4_0.log.gz") as path:
        yield read(path)


def share(bench: Any) -> float:
    with _log() as log:
        return abs(log.graphs().column("matmul")[0].as_py() - 0.93)


def sums_agree(bench: Any) -> float:
    with _log() as log:
        ours: dict[tuple[int, str], float] = {}
        for row in log.operations.to_pylist():
            at = (row["graph"], row["op"])
            ours[at] = ours.get(at, 0.0) + row["wall_ms"]
        return max(abs(ours[r["graph"], r["op"]] - r["ms"]) for r in log.totals.to_pylist() if r["op"] != "NONE")


def wide(bench: Any) -> float:
    """Seven products a layer: four of 4096 x 4096, then up, gate and down of 4096 x 11008; q4_0 is 18 bytes a block."""
    with _log() as log:
        rows = [r for r in log.operations.to_pylist() if r["graph"] == 1 and r["op"] == "MUL_MAT" and r["d2"] == 1]
        ms = np.array([r["wall_ms"] for r in rows][: 7 * 32]).reshape(32, 7)
        rate = 4 * 4096 * 4096 * 18 / 32 / ms[:, :4].sum(1).mean()
        return float(abs(3 * 4096 * 11008 * 18 / 32 / rate / ms[:, 4:].sum(1).mean() - 1))


def measured(bench: Any) -> dict[str, dict[str, float]]:
    """Form of the weights -> bytes, read, write, write after 32 and after 256 words."""
    if not hasattr(bench, "_melt"):
        bench._melt = _measured(bench)
    return dict(bench._melt)


def _measured(bench: Any) -> dict[str, dict[str, float]]:
    if bench.quick:  # four described models on a described device, so that the same path is run
        from ethogram.audit.melt import devices, paced

        sizes = {"q4_1": 98e6, "q4_0": 78e6, "q8_0": 145e6, "f16": 271e6}
        models = {n: devices.Model(n, 135e6, s, 30, 3, 64) for n, s in sizes.items()}
        found = {n: _audit(paced.described(devices.DEVICES["laptop"], m, 512), texts=0) for n, m in models.items()}
        return {n: _row(report, sizes[n]) for n, report in found.items()}
    with forms() as paths:
        return {n: _row(_audit(_local(str(p)), repeats=3, texts=0), p.stat().st_size) for n, p in paths.items()}


def _row(report: Any, size: float) -> dict[str, float]:
    names = {"read": "read_tps", "write": "write_tps", "short": "write_tps 32 words", "long": "write_tps 256 words"}
    return {"bytes": size, **{name: report.metrics[metric][0] for name, metric in names.items()}}


def _audit(lm: Any, **options: Any) -> Any:
    from ethogram.audit.melt import Melt
    from ethogram.lm.auditing import audit
    from ethogram.lm.blocking import run

    try:
        return run(audit(Melt(**{"clock": "cpu", **options}), lm))
    finally:
        run(lm.close())


@contextlib.contextmanager
def forms() -> Iterator[dict[str, Path]]:
    """The default weights as they are, and written again in other forms."""
    from ethogram.lm import weights
    from ethogram.lm.export import to_gguf

    face = _face()
    with tempfile.TemporaryDirectory() as folder:
        made = {k: to_gguf(*face, Path(folder) / f"{k}.gguf", kind=k, split="smollm") for k in KINDS}
        yield {"q4_1": weights.find(), **made}


def _local(path: str) -> Any:
    from ethogram.errors import LMError, MissingExtra
    from ethogram.lm import LM, Broker

    try:
        return LM.connect(f"local:{path}" if path else "local", broker=Broker.bare(), threads=1, context=1024)
    except (LMError, MissingExtra) as error:
        raise NotMeasurable(f"there is no local model: {error}") from None


def _face() -> tuple[Any, Any]:
    from ethogram.errors import LMError, MissingExtra
    from ethogram.lm.torchface import TorchFace

    try:
        return TorchFace().model_and_tokenizer
    except (LMError, MissingExtra) as error:
        raise NotMeasurable(f"the weights cannot be opened in torch: {error}") from None


def predicted(bench: Any) -> tuple[float, float]:
    """Relative misses of the seconds of a token at q8_0: by bytes, and by the mean of the others."""
    from ethogram.audit.melt.devices import fit_writing

    found = measured(bench)
    others = [n for n in found if n != "q8_0"]
    size, seconds = (np.array([f(found[n]) for n in others]) for f in (lambda r: r["bytes"], lambda r: 1 / r["write"]))
    rate, beside = fit_writing(size, seconds)
    true = 1 / found["q8_0"]["write"]
    return abs((found["q8_0"]["bytes"] / rate + beside) / true - 1), abs(float(seconds.mean()) / true - 1)


def spread(bench: Any) -> float:
    rates = [r["bytes"] * r["write"] for r in measured(bench).values()]
    return max(rates) / min(rates)


def over_triad(bench: Any) -> float:
    """Against a = b + s c on arrays far larger than any cache, in processor seconds of one thread."""
    n = 2_000_000 if bench.quick else 20_000_000
    a, b, c, best = np.zeros(n), np.ones(n), np.ones(n), np.inf
    for _ in range(5):
        began = time.process_time()
        np.multiply(c, 3.0, out=a)
        np.add(a, b, out=a)
        best = min(best, time.process_time() - began)
    found = measured(bench)["f16"]
    return found["bytes"] * found["write"] / (5 * 8 * n / best)  # two reads and three of a: five passes


def ratios(bench: Any, kind: str) -> float:
    rows = measured(bench).values()
    if kind == "read":
        return min(r["read"] / r["write"] for r in rows)
    return float(np.mean([r["long"] / r["short"] for r in rows]))


def threads(bench: Any) -> float:
    """On the clock; threads that wait for a busy core say nothing."""
    from ethogram.evaluate import machine
    from ethogram.lm import LM, Broker

    load = machine.load()
    if bench.quick or load is None or load > 0.3:
        raise NotMeasurable(f"needs an idle machine of two cores or more (load {load}), and no quick run")
    speeds = []
    for count in (1, 2):
        lm = LM.connect("local", broker=Broker.bare(), threads=count, context=1024)
        report = _audit(lm, clock="wall", texts=0)
        speeds.append((report.metrics["read_tps"][0], report.metrics["write_tps"][0]))
    return (speeds[1][0] / speeds[0][0]) / (speeds[1][1] / speeds[0][1])


def step(bench: Any, more: int, fewer: int) -> Estimate:
    """Difference of bits per byte, paired over texts."""
    from ethogram.evaluate.bootstrap import mean_difference

    if not hasattr(bench, "_melt_bits"):
        bench._melt_bits = _bits(bench)
    a, b = bench._melt_bits[fewer], bench._melt_bits[more]
    found = mean_difference(a, b)
    return Estimate(found.value, found.low, found.high, units=len(a), unit="texts")


def _bits(bench: Any) -> dict[int, np.ndarray]:
    """The default weights in torch, rounded group by group; texts of the package and of Python's own manual pages."""
    from ethogram.audit.melt.texts import TEXTS

    if bench.quick:
        raise NotMeasurable("needs the default weights in torch; not in a quick run")
    model, words = _face()
    return quantised_bits(model, words, [*TEXTS, *docstrings(16)])


def docstrings(count: int) -> list[str]:
    """First paragraphs of modules of the standard library: English that is on every machine."""
    import ast
    import sysconfig

    found = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        told = ast.get_docstring(ast.parse(path.read_text("utf-8", "replace"))) or ""
        text = " ".join(told.split())[:400]
        if len(text) > 200:
            found.append(text)
    return [found[i] for i in np.linspace(0, len(found) - 1, count).astype(int)]


def quantised_bits(model: Any, words: Any, texts: list[str]) -> dict[int, np.ndarray]:
    """Bits -> bits per byte of each text, every matrix of the model rounded; the model is as before afterwards."""
    import torch

    from ethogram.numeric.quantise import round_to_nearest

    kept = {n: t.clone() for n, t in model.state_dict().items()}
    found = {}
    try:
        for bits in (8, 4, 3, 2):
            rounded = {
                n: torch.from_numpy(round_to_nearest(t.numpy(), bits)) if t.ndim == 2 else t for n, t in kept.items()
            }
            model.load_state_dict(rounded)
            found[bits] = np.array([_per_byte(model, words, text) for text in texts])
    finally:
        model.load_state_dict(kept)
    return found


def _per_byte(model: Any, words: Any, text: str) -> float:
    import torch

    ids = torch.tensor([words(text, add_special_tokens=False)["input_ids"]])
    first = len(words.decode(ids[0, :1]).encode())
    with torch.inference_mode():
        told = torch.log_softmax(model(ids).logits[0, :-1].float(), -1)
    return float(-told.gather(1, ids[0, 1:, None]).sum() / np.log(2) / (len(text.encode()) - first))


def published(bench: Any) -> Estimate:
    """Accuracies published with the paper: llama.cpp, unquantised minus q3_k, by model and task."""
    import csv

    from ethogram.data.files import found as find
    from ethogram.errors import MissingData
    from ethogram.evaluate.bootstrap import mean

    try:
        (path,) = find("melt", "melt/results.csv")
    except MissingData as error:
        raise NotMeasurable(str(error)) from None
    rows = {}
    with path.open(newline="") as f:
        for r in csv.DictReader(f):
            if r["framework"] == "llamacpp" and r["accuracy"] not in ("None", ""):
                rows[r["model"], r["dataset"], r["quantization"]] = float(r["accuracy"])
    falls = [v - rows[m, d, "q3_k"] for (m, d, q), v in rows.items() if q == "None" and (m, d, "q3_k") in rows]
    found = mean(falls)
    return Estimate(found.value, found.low, found.high, units=len(falls), unit="models and tasks")


def heating(bench: Any) -> float:
    """Without throttling: T = T_amb + P R (1 - exp(-t / (R C)))."""
    from dataclasses import replace

    from ethogram.audit.melt.devices import DEVICES, MODELS, sustained

    d = replace(DEVICES["phone"], throttle_from=900.0, throttle_to=1_000.0)
    table = sustained(d, MODELS["tinyllama-1.1b-q4_0"], 600)
    t = np.array(table.column("time").to_pylist())
    true = d.ambient + (d.idle_w + d.dynamic_w) * d.resistance * (1 - np.exp(-t / (d.resistance * d.capacity)))
    return float(np.abs(np.array(table.column("celsius").to_pylist()) - true).max())


def slowed(ambient: float) -> float:
    """Speed after ten minutes over that at once."""
    from dataclasses import replace

    from ethogram.audit.melt.devices import DEVICES, MODELS, sustained

    table = sustained(replace(DEVICES["phone"], ambient=ambient), MODELS["zephyr-3b-q4_0"], 600)
    speeds = np.array(table.column("tps").to_pylist())
    return float(speeds[-1] / DEVICES["phone"].write_tps(MODELS["zephyr-3b-q4_0"]))


def fitting(model: str) -> int:
    from ethogram.audit.melt.devices import DEVICES, MODELS, forecast

    return sum(forecast(DEVICES[d], MODELS[model]).fits for d in ("phone", "phone-high"))


def charge(bench: Any) -> float:
    from ethogram.audit.melt.devices import DEVICES, MODELS, sustained

    table = sustained(DEVICES["phone-high"], MODELS["llama-2-7b-q4_0"], 24 * 3600, step=10.0)
    speeds = np.array(table.column("tps").to_pylist())
    return float((speeds > 0).sum() * 10 / 3600)
