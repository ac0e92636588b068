"""What a model would do on a described device: memory, speed, heat and battery, from first principles.

    write     tps(c) = 1 / ( (W + c kv) / (eta BW) + t0 )      bound by memory: all is read for each token
    read      tps    = eta' F / (2 P)                          bound by arithmetic: two operations a weight
    cache     kv     = 2 layers kv_heads head_dim bytes        bytes a token
    memory    M(c)   = W + c kv + overhead
    heat      P = P_idle + P_dyn u      dT/dt = (P - (T - T_amb) / R) / C      u: 1 at T1, falls to `floor` at T2

W: bytes of the weights; P: parameters; c: tokens of context. eta and eta' are what real runs reach of the figures in a
data sheet. All of it is a simulation and is reported as such.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, UnknownName, WeightsError, nearest, unknown

READING_SPEED = 5.0
"""Tokens a second that people read."""


@dataclass(frozen=True)
class Model:
    """A model as a device sees it. `bytes`: of its weights; `cache_bytes`: of one number of its key-value cache."""

    name: str
    parameters: float
    bytes: float
    layers: int = 32
    kv_heads: int = 32
    head_dim: int = 128
    cache_bytes: float = 2.0
    context: int = 4096

    @property
    def kv(self) -> float:
        """Bytes of the cache for one token."""
        return 2 * self.layers * self.kv_heads * self.head_dim * self.cache_bytes

    def memory(self, context: int | None = None, overhead: float = 0.1e9) -> float:
        """Bytes that it needs with so many tokens of context."""
        return self.bytes + (context or self.context) * self.kv + overhead

    @classmethod
    def of_gguf(cls, path: str | Path) -> Model:
        """From the head of a GGUF file.

        Raises
        ------
        WeightsError
            It is not GGUF, or does not say its layers.
        """
        from ethogram.lm import gguf

        head = gguf.check(Path(path))
        kind = head.facts.get("general.architecture")

        def fact(name: str) -> Any:
            return head.facts.get(f"{kind}.{name}")

        layers, heads, width = fact("block_count"), fact("attention.head_count"), fact("embedding_length")
        if not (layers and heads and width):
            raise WeightsError(f"{path} does not say its layers, heads and width; describe the model as JSON.")
        dim = int(fact("attention.key_length") or width // heads)
        kv = int(fact("attention.head_count_kv") or heads)
        return cls(head.name or Path(path).stem, head.parameters, head.size, int(layers), kv, dim)


@dataclass(frozen=True)
class Device:
    """A device: gigabytes and GB/s are 1e9 bytes.

    Attributes
    ----------
    share : of the memory that one program may take. bandwidth_gbs : of the memory, by its data sheet.
    gflops : of arithmetic, by its data sheet. eta, eta_read : reached share of the two. overhead : seconds a token.
    idle_w, dynamic_w : power at rest, and more under full load. battery_wh : 0 for a device at the mains.
    resistance : K/W to the air, capacity : J/K, throttle_from, throttle_to, ambient : degrees C.
    floor : share of the speed that is left at `throttle_to`.
    """

    name: str
    memory_gb: float
    bandwidth_gbs: float
    gflops: float
    eta: float = 0.6
    eta_read: float = 0.5
    overhead: float = 0.0
    share: float = 0.75
    idle_w: float = 1.0
    dynamic_w: float = 5.0
    battery_wh: float = 0.0
    resistance: float = 8.0
    capacity: float = 60.0
    ambient: float = 25.0
    throttle_from: float = 60.0
    throttle_to: float = 90.0
    floor: float = 0.4

    def write_tps(self, model: Model, context: int = 0) -> float:
        """Tokens written per second with so many in the context."""
        return 1 / ((model.bytes + context * model.kv) / (self.eta * self.bandwidth_gbs * 1e9) + self.overhead)

    def read_tps(self, model: Model) -> float:
        """Tokens of a prompt read per second."""
        return self.eta_read * self.gflops * 1e9 / (2 * model.parameters)

    def fits(self, model: Model, context: int | None = None) -> bool:
        """Whether the memory suffices."""
        return model.memory(context) <= self.share * self.memory_gb * 1e9


# memory, peak bandwidth, cores x GHz x operations a cycle: from data sheets; heat and power are of the class; the share
# of the bandwidth that a phone reaches is that of a published log (Llama 2 7B q4_0: 18 GB/s)
DEVICES = {
    "pi5": Device("Raspberry Pi 5 (8 GB)", 8, 17.1, 154, idle_w=3, dynamic_w=7, resistance=6, throttle_from=80),
    "phone": Device(
        "phone of 2022 (6 GB)", 6, 51.2, 200, eta=0.3, share=0.6, battery_wh=12, dynamic_w=6, throttle_from=40,
        throttle_to=60, resistance=10, capacity=80,
    ),
    "phone-high": Device(
        "phone of 2023 (8 GB)", 8, 67.2, 260, eta=0.3, share=0.6, battery_wh=15, dynamic_w=8, throttle_from=40,
        throttle_to=60, resistance=9, capacity=90,
    ),
    "orin-nano": Device(
        "Jetson Orin Nano (8 GB)", 8, 68, 1280, idle_w=5, dynamic_w=10, resistance=3, throttle_from=85,
        throttle_to=100,
    ),
    "orin-agx": Device(
        "Jetson AGX Orin (64 GB)", 64, 204.8, 5300, idle_w=9, dynamic_w=40, resistance=1.2, capacity=400,
        throttle_from=85, throttle_to=100,
    ),
    "laptop": Device(
        "laptop of 2023 (16 GB)", 16, 76.8, 700, battery_wh=56, idle_w=5, dynamic_w=20, resistance=2.5, capacity=200,
        throttle_from=85, throttle_to=100,
    ),
}  # fmt: skip
MODELS = {
    "tinyllama-1.1b-q4_0": Model("TinyLlama 1.1B q4_0", 1.1e9, 0.64e9, 22, 4, 64),
    "zephyr-3b-q4_0": Model("Zephyr 3B q4_0", 2.8e9, 1.61e9, 32, 32, 80),
    "llama-2-7b-q4_0": Model("Llama 2 7B q4_0", 6.74e9, 3.83e9, 32, 32, 128),
    "llama-2-7b-f16": Model("Llama 2 7B f16", 6.74e9, 13.5e9, 32, 32, 128),
    "mistral-7b-q4_0": Model("Mistral 7B q4_0", 7.24e9, 4.11e9, 32, 8, 128),
    "llama-2-13b-q4_k": Model("Llama 2 13B q4_k", 13.0e9, 7.87e9, 40, 40, 128),
}


class Forecast(NamedTuple):
    """What is to be expected of a model on a device (simulated); `why` says what stands in the way, or nothing."""

    fits: bool
    memory_gb: float
    read_tps: float
    first_s: float
    write_tps: float
    reply_s: float
    joules: float
    replies_a_charge: float | None
    why: str


def forecast(
    device: Device, model: Model, *, prompt: int = 256, reply: int = 128, first_limit: float = 10.0,
    write_limit: float = READING_SPEED,
) -> Forecast:  # fmt: skip
    """One reply of `reply` tokens to a prompt of `prompt` tokens.

    Raises
    ------
    OptionError
        Prompt or reply below 1 token.
    """
    if prompt < 1 or reply < 1:
        raise OptionError(f"forecast: prompt = {prompt}, reply = {reply}; give 1 or more tokens.")
    read = device.read_tps(model)
    first = prompt / read
    seconds = sum(1 / device.write_tps(model, prompt + i) for i in range(reply))
    write = reply / seconds
    joules = (device.idle_w + device.dynamic_w) * (first + seconds)
    need = model.memory(prompt + reply)
    fits = device.fits(model, prompt + reply)
    why = []
    if not fits:
        why.append(f"needs {need / 1e9:.1f} GB of {device.share * device.memory_gb:.1f} that one program may take")
    if first > first_limit:
        why.append(f"first token after {first:.1f} s")
    if write < write_limit:
        why.append(f"writes {write:.1f} tokens/s, people read {write_limit:g}")
    charge = device.battery_wh * 3600 / joules if device.battery_wh else None
    return Forecast(fits, need / 1e9, read, first, write, first + seconds, joules, charge, "; ".join(why))


def sustained(device: Device, model: Model, seconds: float = 1800, *, step: float = 1.0) -> pa.Table:
    """Writing without pause, simulated: `time`, `celsius`, `tps`, `tokens` so far, `battery` (share left, or null).

    Raises
    ------
    OptionError
        A step that is no part of the time.
    """
    if not 0 < step <= seconds:
        raise OptionError(f"sustained: step = {step}, seconds = {seconds}; the step is a part of the time.")
    full, n = device.write_tps(model), int(seconds / step)
    heat, rate = np.empty(n), np.empty(n)
    battery, temperature, left = np.empty(n), device.ambient, device.battery_wh * 3600
    for i in range(n):
        over = (temperature - device.throttle_from) / (device.throttle_to - device.throttle_from)
        use = 1 - (1 - device.floor) * min(1.0, max(0.0, over))
        power = device.idle_w + device.dynamic_w * use
        heat[i], rate[i] = temperature, full * use
        # exact for a power that is constant over the step
        rest = device.ambient + power * device.resistance
        temperature = rest + (temperature - rest) * np.exp(-step / (device.resistance * device.capacity))
        left -= power * step
        battery[i] = left
    if device.battery_wh:
        dead = battery <= 0
        rate[dead] = 0.0
        battery = np.maximum(battery, 0) / (device.battery_wh * 3600)
    table = {"time": np.arange(n) * step, "celsius": heat, "tps": rate, "tokens": np.cumsum(rate) * step}
    return pa.table({**table, "battery": pa.array(battery, mask=np.full(n, not device.battery_wh))})


def calibrated(device: Device, model: Model, *, write_tps: float, read_tps: float, context: int = 0) -> Device:
    """The device with the shares eta that measured speeds of one model say."""
    eta = write_tps * (model.bytes + context * model.kv) / (device.bandwidth_gbs * 1e9)
    return replace(device, eta=eta, eta_read=read_tps * 2 * model.parameters / (device.gflops * 1e9), overhead=0.0)


def fit_writing(bytes_read: np.ndarray, seconds: np.ndarray) -> tuple[float, float]:
    """(effective bytes per second, seconds a token beside) of measured seconds per token, by least squares on relative
    errors, the second not below 0.

    >>> fit_writing(np.array([1e9, 2e9]), np.array([0.11, 0.21]))
    (10000000000.0, 0.01)
    """
    x, y = np.asarray(bytes_read, np.float64), np.asarray(seconds, np.float64)
    design = np.stack([x / y, 1 / y], 1)
    slope, beside = np.linalg.lstsq(design, np.ones(len(y)), rcond=None)[0]
    if beside < 0 or len(np.unique(x)) < 2:
        beside = 0.0
        slope = float((x / y).sum() / ((x / y) ** 2).sum())
    return float(round(1 / slope, 6)), float(round(beside, 12))


class Place(NamedTuple):
    """Where a reply can be had: measured or forecast speeds (tokens/s), seconds of the way there and back, price."""

    read_tps: float
    write_tps: float
    way_s: float = 0.0
    price: float = 0.0


def offload(
    here: Place, there: Place, *, prompt: int, reply: int, price_of_second: float = 0.0
) -> tuple[str, float, float]:
    """Where a reply is better asked for: ("here" or "there", cost of here, cost of there).

    Cost: seconds, times `price_of_second` plus the price where that is above 0.
    """

    def cost(p: Place) -> float:
        seconds = p.way_s + prompt / p.read_tps + reply / p.write_tps
        return seconds if price_of_second <= 0 else seconds * price_of_second + p.price

    a, b = cost(here), cost(there)
    return ("here" if a <= b else "there"), a, b


def device(given: str) -> Device:
    """A device by name, or from a JSON file with its fields."""
    return _described(given, "device", DEVICES, Device)


def model(given: str) -> Model:
    """A model by name, from a GGUF file or the name of weights, or from a JSON file with its fields."""
    if given.endswith(".gguf"):
        return Model.of_gguf(given)
    if given not in MODELS and not given.endswith(".json"):
        from ethogram.lm import weights

        if given in weights.KNOWN:
            return Model.of_gguf(weights.find(given))
    return _described(given, "model", MODELS, Model)


def _described(given: str, what: str, ready: Mapping[str, Any], kind: Any) -> Any:
    if given in ready:
        return ready[given]
    if not given.endswith(".json"):
        raise UnknownName(unknown(what, given, ready) + " Or a .json file that describes one.")
    try:
        told = json.loads(Path(given).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"{given} cannot be read as JSON ({error}).") from None
    known = [f.name for f in fields(kind)]
    if not isinstance(told, dict):
        raise OptionError(f"{given} must hold an object with {', '.join(known)}.")
    for name, value in told.items():
        if name not in known:
            raise OptionError(f"{given}: a {what} has no '{name}'.{nearest(name, known)} Known: {', '.join(known)}.")
        if name != "name" and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise OptionError(f"{given}: {name} = {value!r} is no number of 0 or more.")
    try:
        return kind(**told)
    except TypeError as error:
        lacking = str(error).split(":")[-1].strip()
        raise OptionError(f"{given}: a {what} needs {lacking}.") from None
