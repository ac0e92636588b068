"""What is claimed of `instruction_shift`, and how it is measured."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, NotMeasurable, claim

DRAW = 200
"""Of the lessons that are asked; those that teach are drawn otherwise."""
PRETRAINING, TUNING = 1600, 1800
"""Updates of the weights on plain text, and on instructions."""
PROMPTS = 200
# every fifth word of the language is a verb: 1.96 standard deviations above the background are more than 1
HOW = {
    "probes": "lessons", "draw": DRAW, "longest": 6, "top": 40, "background": 0.5, "concepts": 32, "shown": 20,
}  # fmt: skip


@claim("instruction_shift", "Attributions are exact where that can be told, and planted shifts are found")
def exactness(bench: Any) -> Laws:
    return Laws(
        Law("gradient times input off the exact contributions of a linear model", linear, "<=", 1e-4),
        Law("integrated gradients off completeness, 256 points, share of the difference", complete, "<=", 0.05),
        Law("largest miss of a planted shift", lambda b: missed(b, "shifted"), "<=", 1e-6),
        Law("largest shift found where nothing changed", lambda b: missed(b, "unchanged"), "<=", 1e-9),
    )


@claim("instruction_shift", "Tuning makes answers hang on the instruction; followed instructions count more")
def scores(bench: Any) -> Laws:
    return Laws(
        Law("score tuned − base, as published", lambda b: gap(b, "tuned", "score: tuned − base"), ">", 0.0),
        Law("score followed − not, as published", lambda b: gap(b, "tuned", "score: followed − not"), ">", 0.0),
        Law(
            "fall from start to middle, base − tuned, as published",
            lambda b: gap(b, "tuned", "fall to the middle: base − tuned"), ">", 0.0,
        ),
        Law("score tuned − base, from the mean embedding", lambda b: gap(b, "mean", "score: tuned − base"), ">", 0.0),
        Law(
            "score followed − not, from the mean embedding",
            lambda b: gap(b, "mean", "score: followed − not"), ">", 0.0,
        ),
        Law(
            "score tuned − base where the verbs of the lessons were shuffled, from the mean embedding",
            lambda b: gap(b, "shuffled", "score: tuned − base"), "<=", 0.0,
        ),
    )  # fmt: skip


@claim("instruction_shift", "Heads of the lower and middle layers link the verbs of instructions more than other verbs")
def verbs(bench: Any) -> Laws:
    return Laws(
        Law("wins, verbs − others, lower third", lambda b: gap(b, "tuned", "wins lower: verbs − controls"), ">", 0.0),
        Law("wins, verbs − others, middle third", lambda b: gap(b, "tuned", "wins middle: verbs − controls"), ">", 0.0),
        Law(
            "wins of verbs, lower and middle − upper",
            lambda b: gap(b, "tuned", "wins of verbs: lower and middle − upper"), ">", 0.0,
        ),
    )  # fmt: skip


@claim("instruction_shift", "Feed-forward concepts move towards the tasks more than across linguistic levels")
def concepts(bench: Any) -> Laws:
    return Laws(
        Law("share of task concepts, tuned − base", lambda b: gap(b, "tuned", "task share: tuned − base"), ">", 0.0),
        Law("moved, tasks − levels", lambda b: gap(b, "tuned", "moved: tasks − levels"), ">", 0.0),
        Law("share of task concepts, tuned − read on in plain text", beside_plain, ">", 0.0),
    )


@claim("instruction_shift", "In SmolLM2-135M-Instruct the score tells followed instructions from others")
def detector(bench: Any) -> Laws:
    return Laws(Law("AUC of the score for 'followed', English prompts", detected, ">", 0.5))


def linear(bench: Any) -> float:
    """The planted model is linear in its embeddings but for the softmax: d log p / d logit is known in closed form."""
    import torch

    from ethogram.audit.instruction_shift import InstructionShift
    from ethogram.audit.instruction_shift.pair import answered, asked
    from ethogram.lm.attribution import attribution

    built, worst = InstructionShift(probes="lessons", prompts=4), 0.0
    face = next(iter(built.planted())).lm.tuned
    model, _ = face.model_and_tokenizer
    for item in built.items():
        if item.inputs["kind"] != "prompt":
            continue
        prompt = asked(face, item.inputs["probe"])
        ids, _ = answered(face, item.inputs["probe"], prompt, 3)
        found = attribution(face, prompt.ids, ids)
        with torch.no_grad():
            chance = model(torch.tensor([prompt.ids + ids])).logits[0].softmax(-1).numpy()
            heard = model.get_input_embeddings().weight[prompt.ids, 0].numpy()
        for j, token in enumerate(ids):
            seen = len(prompt.ids) + j
            exact = 5.0 * (1 - chance[seen - 1, token]) * heard / seen
            worst = max(worst, float(np.abs(found[:, j] - exact).max() / exact.max()))
    return worst


def complete(bench: Any) -> float:
    from ethogram.lm import invented, tiny
    from ethogram.lm.attribution import attribution, embedded_log_probability
    from ethogram.lm.torchface import TorchFace

    words, worst = tiny.of_words(invented.vocabulary()), 0.0
    face = TorchFace.of(tiny.decoder(len(words), layers=3, width=32, spread=0.125, seed=1), words)
    for lesson in invented.lessons(1 if bench.quick else 4, DRAW):
        prompt, answer = face.ids(lesson.prompt), face.ids(lesson.answer)
        found = attribution(face, prompt, answer, baseline="mean", steps=16 if bench.quick else 256).sum(0)
        ends = np.array([sum(s) for s in face.score(prompt, [answer])])
        gone = ends - embedded_log_probability(face, prompt, answer, baseline="mean").sum()
        worst = max(worst, float(np.abs(found.sum() - gone).max() / np.abs(gone).max()))
    return worst


def missed(bench: Any, name: str) -> float:
    from ethogram.audit.instruction_shift import InstructionShift
    from ethogram.lm.auditing import audit
    from ethogram.lm.blocking import run

    worst = 0.0
    for probes in ("lessons",) if bench.quick else ("lessons", "everyday"):
        built = InstructionShift(probes=probes, prompts=3 if bench.quick else 60)
        one = next(p for p in built.planted() if p.name == name)
        found = run(audit(built, one.lm))
        told = [abs(found.metrics[n][0] - truth) for n, truth in one.truth.items()]
        worst = max([worst, *told, *([abs(v[0]) for v in found.contrasts.values()] if name == "unchanged" else [])])
    return worst


def gap(bench: Any, arm: str, name: str) -> Estimate:
    """A contrast of the audit of one arm."""
    report = _audited(bench)[arm if not bench.quick else "planted"]
    if name not in report.contrasts:
        raise NotMeasurable(f"no head or answer differs enough to say: {name}")
    value, low, high = report.contrasts[name]
    assert report.rows is not None
    return Estimate(value, low, high, units=report.rows.num_rows, unit="prompts, words and thirds")


def beside_plain(bench: Any) -> Estimate:
    """What tuning added to the share of task concepts less what as much plain text added, paired by third."""
    from ethogram.evaluate.bootstrap import mean_difference

    both = _audited(bench)
    if bench.quick:
        raise NotMeasurable("the quick run reads one pair only")
    told = [[r["task share tuned"] for r in both[arm].rows.to_pylist() if r["group"] == "concepts"]
            for arm in ("tuned", "plain")]  # fmt: skip
    found = mean_difference(*told)
    return Estimate(found.value, found.low, found.high, units=len(told[0]), unit="thirds of the layers")


def _audited(bench: Any) -> dict[str, Any]:
    """Arm -> report. "tuned": as published; "mean": the same pair, integrated from the mean embedding; "shuffled": a
    copy that was taught lessons with verbs of others, read like "mean"; "plain": a copy that read on."""
    if not hasattr(bench, "_shift"):
        from ethogram.audit.instruction_shift import InstructionShift
        from ethogram.lm.auditing import audit
        from ethogram.lm.blocking import run

        made = {}
        if bench.quick:
            built = InstructionShift(**{**HOW, "prompts": 3})
            made["planted"] = run(audit(built, next(iter(built.planted())).lm))
        else:
            mean = {"origin": "mean", "steps": 4, "look": "prompts"}
            with tempfile.TemporaryDirectory() as folder:
                pairs = _taught(Path(folder))
                for arm, pair, how in (
                    ("tuned", "tuned", {}), ("mean", "tuned", mean), ("shuffled", "shuffled", mean),
                    ("plain", "plain", {"look": "weights"}),
                ):  # fmt: skip
                    made[arm] = run(audit(InstructionShift(**{**HOW, "prompts": PROMPTS, **how}), pairs[pair]))
        bench._shift = made
    return dict(bench._shift)


def _taught(folder: Path) -> dict[str, Any]:
    """A decoder taught plain text, beside what became of it by lessons, by lessons whose verbs say nothing, and by more
    plain text."""
    from ethogram.audit.instruction_shift import Pair
    from ethogram.lm import invented, tiny
    from ethogram.lm.torchface import TorchFace

    words = tiny.of_words(invented.vocabulary())
    end = words.eos_token_id

    def ids(text: str) -> list[int]:
        return list(words(text, add_special_tokens=False)["input_ids"])

    blank = tiny.decoder(len(words), layers=3, width=64, context=96, spread=0.125, theta=100.0, seed=21)
    text = [ids(p) for p in invented.plain(12_000, 31)]  # without ends: the base goes on writing after a prompt
    base = tiny.taught(blank, text, steps=PRETRAINING, batch=32, lr=1e-2, seed=21)
    told = invented.lessons(8_000, 32)
    verbs = [told[i].verb for i in np.random.default_rng(33).permutation(len(told))]
    found = {"base": base, "plain": tiny.taught(base, text, steps=PRETRAINING // 2, batch=32, lr=1e-2, seed=22)}
    for name, said in (("tuned", [x.verb for x in told]), ("shuffled", verbs)):
        rows, labels = [], []
        for lesson, verb in zip(told, said, strict=True):
            prompt = lesson.prompt.replace(f"{lesson.verb} !", f"{verb} !")
            message = [{"role": "user", "content": prompt}]
            asked = ids(words.apply_chat_template(message, tokenize=False, add_generation_prompt=True))
            answer = [*ids(lesson.answer), end]
            rows.append(asked + answer)
            labels.append([-100] * len(asked) + answer)
        found[name] = tiny.taught(base, rows, labels, steps=TUNING, batch=32, lr=1e-2, seed=23)
    # the base has never seen a conversation: it reads the prompt as plain text
    bare = tiny.of_words(invented.vocabulary())
    bare.chat_template = None
    before = TorchFace.of(base, bare, "base")
    plain = TorchFace.of(found.pop("plain"), bare, "plain")
    after = {n: TorchFace.of(m, words, n) for n, m in found.items() if n != "base"}
    return {n: Pair(face, before) for n, face in {**after, "plain": plain}.items()}


def detected(bench: Any) -> Estimate:
    from ethogram.audit.instruction_shift import InstructionShift
    from ethogram.errors import LMError, MissingExtra
    from ethogram.lm.auditing import audit
    from ethogram.lm.blocking import run

    if bench.quick:
        raise NotMeasurable("the model of 135 million parameters is asked in the full measurement only")
    try:
        built = InstructionShift(prompts=54, longest=6, look="prompts")
        report = run(audit(built, built.subject("local"), lanes=1))
    except (LMError, MissingExtra) as error:
        raise NotMeasurable(f"there is no local model: {error}") from None
    if "detector auc" not in report.metrics:
        raise NotMeasurable("; ".join(report.notes))
    value, low, high = report.metrics["detector auc"]
    return Estimate(value, low, high, units=54, unit="prompts")
