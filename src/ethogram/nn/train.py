"""One training loop: epochs of batches, early stopping on a validation value, exact resume after a kill.

Every epoch seeds torch's generators from (seed, epoch), so that a run that was killed and resumed takes the same
steps as one that was not, and the caller's generators are left as they were.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.errors import OptionError, StateError
from ethogram.nn import distributed
from ethogram.verbs import Enough as Enough

B = TypeVar("B")
Watch = Callable[[Mapping[str, Any]], None]
FORMAT = 1


@dataclass
class Trained:
    """How a training went. `curve` has one row per epoch: epoch, loss, valid (None without validation)."""

    epoch: int = 0
    best_epoch: int = 0
    best: float | None = None
    stopped: Literal["epochs", "patience", "asked", "running"] = "running"
    curve: list[dict[str, float | None]] = field(default_factory=list)


def train(
    model: nn.Module,
    batches: Callable[[np.random.Generator], Iterable[B]],
    loss: Callable[[B], Tensor],
    *,
    optimisers: Sequence[Any],
    epochs: int,
    seed: int = 0,
    valid: Callable[[], float] | None = None,
    patience: int = 3,
    precision: Literal["fp32", "bf16"] = "fp32",
    clip: float | None = None,
    checkpoint: str | Path | None = None,
    identity: str = "",
    watch: Watch | None = None,
    weigh: Callable[[B], float] | None = None,
) -> Trained:
    """Train `model` in place; with `valid`, leave the weights of its best epoch.

    Parameters
    ----------
    batches : from a generator seeded by (seed, epoch) to one epoch's batches.
    loss : the mean loss of a batch, a scalar tensor.
    optimisers : torch optimisers, or anything with step, zero_grad, state_dict and load_state_dict.
    valid : value of the current weights, higher is better; called in eval mode without gradients.
    patience : epochs without a better value before it stops.
    precision : bf16 runs matrix products in bfloat16 (autocast), weights stay float32.
    clip : largest norm of the gradients of all parameters that have dense ones.
    checkpoint : folder that holds the last epoch; an existing one of the same `identity` is resumed.
    weigh : rows that a batch's mean loss is over; with it several processes can train (`ethogram.nn.distributed`),
        each on its own batches, and `valid` is the value of all of them.
    watch : told {"epoch" (from 1), "epochs", "step", "loss", "valid"}, behind one with step None; may raise `Enough`.

    Raises
    ------
    KeyboardInterrupt
        Raised again after the best weights so far were put back, so the model is usable.
    StateError
        The loss is not finite, or the checkpoint is damaged.
    """
    if epochs < 1 or precision not in ("fp32", "bf16"):
        raise OptionError(f"train: epochs = {epochs}, precision = '{precision}'; give 1 or more, fp32 or bf16.")
    ranks = distributed.group()
    if ranks is not None and weigh is None:
        raise OptionError("this system does not learn in several processes; leave --devices at 1.")
    folder, identity = (Path(checkpoint), identity) if checkpoint is not None else _kept()
    done, best = _resume(folder, model, optimisers, identity)
    kind = next((p.device.type for p in model.parameters()), "cpu")
    try:
        while done.epoch < epochs and done.stopped == "running":
            with _seeded(seed, done.epoch):
                step = _epoch if ranks is None else functools.partial(_epoch_of_ranks, ranks, weigh)
                mean = step(model, batches, loss, optimisers, seed, done.epoch, precision, kind, clip, watch, epochs)
            value = _value(model, valid)
            done.epoch += 1
            done.curve.append({"epoch": done.epoch, "loss": mean, "valid": value})
            if value is None or done.best is None or value > done.best:
                done.best, done.best_epoch, best = value, done.epoch, _copy(model) if valid is not None else {}
            elif done.epoch - done.best_epoch >= patience:
                done.stopped = "patience"
            if watch is not None:
                try:
                    watch({"epoch": done.epoch, "epochs": epochs, "step": None, "loss": mean, "valid": value})
                except Enough:
                    done.stopped = "asked"
            if folder is not None and (ranks is None or ranks.rank == 0):
                _store(folder, model, optimisers, best, done, identity)
    finally:  # also when interrupted: the caller gets the best weights, not those of a torn epoch
        if best:
            model.load_state_dict(best)
        model.eval()
    if ranks is not None:
        ranks.wait()  # until what was stored last can be read by all
    if done.stopped == "running":
        done.stopped = "epochs"
    return done


def _epoch(
    model: nn.Module, batches: Any, loss: Any, optimisers: Sequence[Any], seed: int, epoch: int, precision: str,
    kind: str, clip: float | None, watch: Watch | None, epochs: int,
) -> float:  # fmt: skip
    model.train()
    total, steps = 0.0, 0
    for batch in batches(np.random.default_rng([seed, epoch])):
        for optimiser in optimisers:
            optimiser.zero_grad()
        with torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16"):
            value = loss(batch)
        value.backward()
        if clip is not None:
            dense = [p for p in model.parameters() if p.grad is not None and not p.grad.is_sparse]
            torch.nn.utils.clip_grad_norm_(dense, clip)
        for optimiser in optimisers:
            optimiser.step()
        now = float(value.detach())
        if not np.isfinite(now):
            raise StateError(
                f"training diverged: the loss is {now} in epoch {epoch + 1}, step {steps + 1}. Lower the learning rate."
            )
        total, steps = total + now, steps + 1
        if watch is not None:
            watch({"epoch": epoch + 1, "epochs": epochs, "step": steps, "loss": now, "valid": None})
    if not steps:
        raise OptionError("train: an epoch has no batches; the training log holds nothing to learn from.")
    return total / steps


def _epoch_of_ranks(
    ranks: distributed.Group, weigh: Any, model: nn.Module, batches: Any, loss: Any, optimisers: Sequence[Any],
    seed: int, epoch: int, precision: str, kind: str, clip: float | None, watch: Watch | None, epochs: int,
) -> float:  # fmt: skip
    """`_epoch` in several processes: as many steps as the rank with most batches has; mean loss over all rows."""
    model.train()
    over, under, steps = 0.0, 0.0, 0
    # ranks draw, and drop out, apart from each other
    torch.manual_seed(int(np.random.SeedSequence([seed, epoch, ranks.rank]).generate_state(1)[0]))
    own = iter(batches(np.random.default_rng([seed, epoch, ranks.rank])))
    while True:
        batch = next(own, None)
        weight = 0.0 if batch is None else float(weigh(batch))
        (total,) = ranks.total([weight])
        if not total:
            break
        for optimiser in optimisers:
            optimiser.zero_grad()
        if batch is not None:
            with torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16"):
                value = loss(batch)
            value.backward()
            now = float(value.detach())
            if not np.isfinite(now):
                raise StateError(
                    f"training diverged: the loss is {now} in epoch {epoch + 1}, step {steps + 1}. "
                    "Lower the learning rate."
                )
            over, under = over + now * weight, under + weight
        ranks.reduce(model.parameters(), weight, total)
        if clip is not None:
            dense = [p for p in model.parameters() if p.grad is not None and not p.grad.is_sparse]
            torch.nn.utils.clip_grad_norm_(dense, clip)
        for optimiser in optimisers:
            optimiser.step()
        steps += 1
        if watch is not None and batch is not None:
            watch({"epoch": epoch + 1, "epochs": epochs, "step": steps, "loss": now, "valid": None})
    if not steps:
        raise OptionError("train: an epoch has no batches; the training log holds nothing to learn from.")
    over, under = ranks.total([over, under])
    return over / under


_folder: contextvars.ContextVar[tuple[Path, str, list[int]] | None] = contextvars.ContextVar("folder", default=None)


@contextlib.contextmanager
def checkpoints(folder: str | Path, identity: str) -> Iterator[None]:
    """Trainings of the block that name no checkpoint of their own keep theirs in this folder, by their number."""
    held = _folder.set((Path(folder), identity, [0]))
    try:
        yield
    finally:
        _folder.reset(held)


def _kept() -> tuple[Path | None, str]:
    found = _folder.get()
    if found is None:
        return None, ""
    folder, identity, count = found
    count[0] += 1
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"training-{count[0]}", identity


@torch.no_grad()
def _value(model: nn.Module, valid: Callable[[], float] | None) -> float | None:
    if valid is None:
        return None
    model.eval()
    value = float(valid())
    return value if np.isfinite(value) else None


@contextlib.contextmanager
def _seeded(seed: int, epoch: int) -> Iterator[None]:
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
        yield


@contextlib.contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Run with so many torch threads, then as before; None changes nothing."""
    before = torch.get_num_threads()
    if n is not None:
        torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


# -- checkpoints: safetensors and JSON, written beside and renamed -----------------------------------------------


def _flatten(prefix: str, value: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON with tensors replaced by their names."""
    if isinstance(value, Tensor):
        tensors[prefix] = value.detach().cpu().contiguous()
        return {"tensor": prefix}
    if isinstance(value, Mapping):
        return {"map": [[k, _flatten(f"{prefix}.{k}", v, tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return [_flatten(f"{prefix}.{i}", v, tensors) for i, v in enumerate(value)]
    return value


def _unflatten(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {k: _unflatten(v, tensors) for k, v in value["map"]}
    return [_unflatten(v, tensors) for v in value] if isinstance(value, list) else value


def _store(
    folder: Path, model: nn.Module, optimisers: Sequence[Any], best: Mapping[str, Tensor], done: Trained, identity: str
) -> None:
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    members = {"model": _copy(model), "best": dict(best), "optimisers": [o.state_dict() for o in optimisers]}
    shape = {name: _flatten(name, member, tensors) for name, member in members.items()}
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    # `best` may share memory with nothing else, but optimiser states may alias: safetensors wants each on its own
    save_file({k: v.clone() for k, v in tensors.items()}, str(fresh / "tensors.safetensors"))
    facts = {"format": FORMAT, "identity": identity, "done": asdict(done), "members": shape}
    (fresh / "train.json").write_text(json.dumps(facts))
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(fresh, folder)
    shutil.rmtree(old, ignore_errors=True)


def _resume(
    folder: Path | None, model: nn.Module, optimisers: Sequence[Any], identity: str
) -> tuple[Trained, dict[str, Tensor]]:
    if folder is not None and not folder.exists() and (old := folder.with_name(folder.name + ".old")).exists():
        os.replace(old, folder)  # killed between the two renames
    if folder is None or not (folder / "train.json").exists():
        return Trained(), {}
    from safetensors.torch import load_file

    try:
        facts = json.loads((folder / "train.json").read_text())
        tensors = load_file(str(folder / "tensors.safetensors"))
    except (OSError, ValueError, RuntimeError) as error:
        raise StateError(f"checkpoint {folder} is damaged ({error}); delete it to start anew.") from error
    except Exception as error:  # safetensors has an error class of its own
        raise StateError(f"checkpoint {folder} is damaged ({error}); delete it to start anew.") from error
    if facts["identity"] != identity or facts["format"] != FORMAT:
        return Trained(), {}
    members = {name: _unflatten(shape, tensors) for name, shape in facts["members"].items()}
    model.load_state_dict(members["model"])
    for optimiser, state in zip(optimisers, members["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    return Trained(**facts["done"]), members["best"]
