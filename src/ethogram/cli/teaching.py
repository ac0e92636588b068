"""``ethogram lm tune LESSONS --out FILE.gguf``: teach a model, measure what it learned, write it to be served."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ethogram.cli.output import Json, Output

Learn = Annotated[tuple[Literal["assistant", "user"], ...], Parameter(negative=())]


def tune_(
    lessons: Path, /, *, out: Path, base: str = "", steps: int = 40, batch: int = 4, rank: int = 8, lr: float = 1e-3,
    length: int = 512, beta: float = 0.1, learn: Learn = ("assistant",),
    hold: float = 0.2, kind: Literal["f32", "f16", "q8_0"] = "f16", seed: int = 0, json: Json = None,
) -> None:  # fmt: skip
    """Teach a model by examples or by pairs, and write it as weights that can be served.

    Parameters
    ----------
    lessons
        JSON lines: {"messages": [...]} or {"prompt", "response"} to be imitated, or {"prompt", "better", "worse"}.
    out
        The file of weights that is written; its name ends in .gguf.
    base
        Weights that are taught: a name, a GGUF file, a folder of transformers; the default weights if not given.
    steps
        Updates of the weights.
    batch
        Lessons of an update.
    rank
        Rank of LoRA's changes; 0 trains all weights.
    lr
        Learning rate at the start.
    length
        Most tokens of a lesson.
    beta
        With pairs: how strongly the model is held to what it was.
    learn
        With conversations: whose turns are learned; user makes a simulated user.
    hold
        Share of the prompts that are held out, to measure by; 0 measures nothing.
    kind
        How weights are stored: 4, 2 or about 1 byte each.
    seed
        What is held out, the order of the lessons, and the start of LoRA's changes.
    """
    from ethogram import folders
    from ethogram.lm import export
    from ethogram.lm import lessons as reading
    from ethogram.lm.lessons import Pair
    from ethogram.lm.torchface import TorchFace
    from ethogram.lm.tune import Training, dpo, sft

    say = Output(json)
    training = Training(steps=steps, batch=batch, lr=lr, rank=rank, length=length, seed=seed)
    target = folders.target(out, ".gguf")
    every: list[Any] = reading.read(lessons)
    seen, held = reading.split(every, hold, seed)
    paired = isinstance(every[0], Pair)
    say.line(f"{len(every)} {'pairs' if paired else 'conversations'}: {len(seen)} to learn from, {len(held)} held out")
    face = TorchFace(base)
    export.fits(*face.model_and_tokenizer)
    before = _measured(face, held, paired, learn)
    with say.progress("tune") as watch:
        if paired:
            tuned = dpo(face, seen, training, beta=beta, watch=watch)
        else:
            tuned = sft(face, seen, training, learn=learn, watch=watch)
    found: dict[str, Any] = {"learned from": len(seen), "held out": len(held), "losses": tuned.losses}
    say.line(f"loss of the lessons: {tuned.losses[0]:.4g} at first, {tuned.losses[-1]:.4g} at last")
    if held:
        found |= _told(say, before, _measured(tuned.face(), held, paired, learn), paired)
    path = tuned.gguf(target, kind=kind)
    if held and paired:
        served = _served(path, held)
        say.line(f"as the embedded server has it: {served.mean():+.3g} nats in the mean")
        found["served"] = served.mean()
    say.line(f"{path}, {path.stat().st_size / 1e6:,.0f} MB")
    say.line(f"serve it:    ethogram lm serve {path}")
    say.line(f"talk to it:  ethogram lm chat local:{path}")
    say.result({**found, "path": str(path), "bytes": path.stat().st_size})


def _measured(face: Any, held: list[Any], paired: bool, learn: tuple[str, ...]) -> Any:
    from ethogram.lm.tune import preferences, surprise

    return preferences(face, held) if paired else surprise(face, held, learn)


def _told(say: Output, before: Any, after: Any, paired: bool) -> dict[str, Any]:
    """What was held out, before and after; the mean change with its interval."""
    import numpy as np

    from ethogram.evaluate.bootstrap import mean_difference

    shift = mean_difference(after, before)
    rows = [("better over worse, nats" if paired else "nats a token", np.nanmean(before), np.nanmean(after))]
    if paired:
        rows.append(("better preferred, share", (before > 0).mean(), (after > 0).mean()))
    say.table(("held out", "before", "after"), rows)
    say.line(f"change {shift.value:+.3g} [{shift.low:.3g}, {shift.high:.3g}]")
    return {"before": before.tolist(), "after": after.tolist(), "change": [shift.value, shift.low, shift.high]}


def _served(path: Path, held: list[Any]) -> Any:
    """The preferences of the file that was written, in the embedded server; nothing is kept."""
    from ethogram.lm import LM, Broker
    from ethogram.lm.tune import preferences

    lm = LM.connect(f"local:{path}", broker=Broker.bare())
    try:
        return preferences(lm, held)
    finally:
        lm.sync.close()
