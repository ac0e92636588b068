"""Teaching a language model: from examples of what to say, and from pairs of better and worse.

*Examples* (SFT): cross-entropy of the tokens that chosen roles say; everything else of a conversation is read, not
learned. Learning the user's turns instead of the assistant's makes a simulated user of it. *Pairs* (DPO): with the
policy pi, the model as it was pi_0, and a prompt x,

    loss = -log sigmoid( beta ( log pi(y+|x) / pi_0(y+|x)  -  log pi(y-|x) / pi_0(y-|x) ) )

*LoRA* learns low-rank changes of the linear layers only (`rank` above 0); they are merged when the model is opened.
What was learned is measured on what was held out: `preferences`, log-probability of the better answer less that of the
worse, and `surprise`, nats for each token of what the chosen roles say.

transformers, PEFT and TRL do the training. Rafailov et al.: Direct Preference Optimization (NeurIPS 2023); Hu et al.:
LoRA (ICLR 2022).
"""

from __future__ import annotations

import contextlib
import copy
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ethogram.errors import CapabilityError, MissingExtra, OptionError
from ethogram.lm.broker import Broker
from ethogram.lm.export import Kind, to_gguf
from ethogram.lm.lessons import Pair
from ethogram.lm.messages import Message, Said, conversation
from ethogram.lm.model import LM
from ethogram.lm.torchface import TorchFace

Watch = Callable[[Mapping[str, Any]], None]
"""Told {"step", "steps", "loss"} after each update."""
IGNORED = -100
"""Label of a token that is read but not learned."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How long and how fast."""

    steps: int = 100
    "Updates of the weights."
    batch: int = 8
    "Examples or pairs of an update."
    lr: float = 1e-3
    "Learning rate at the start; it falls linearly to 0."
    rank: int = 0
    "Rank of LoRA's changes; 0 trains all weights."
    length: int = 512
    "Most tokens of an example; longer ones are cut at the end."
    seed: int = 0
    "Order of the examples, dropout, and the start of LoRA's changes."

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.length) < 1 or self.rank < 0 or not self.lr > 0:
            raise OptionError(f"Training: {self} has a number that is too small.")


class Tuned(NamedTuple):
    """A trained model with its tokenizer, and the loss along the way (one value per update).

    `source` is the GGUF file that it was made from, None where it came from another place.
    """

    model: Any
    tokenizer: Any
    losses: list[float]
    source: Path | None = None

    def face(self) -> TorchFace:
        """The model in memory, as one to ask."""
        return TorchFace("tuned", source=self.source, held=(self.model, self.tokenizer))

    def save(self, folder: str | Path) -> TorchFace:
        """Write the whole model (LoRA merged) as safetensors, and open it: ``LM.connect("torch:FOLDER")``."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        return TorchFace(str(folder), source=self.source)

    def gguf(self, path: str | Path, *, kind: Kind = "f16") -> Path:
        """Write the whole model (LoRA merged) as GGUF for the embedded server: ``LM.connect("local:PATH.gguf")``."""
        return to_gguf(self.model, self.tokenizer, path, kind=kind, like=self.source)


def masked(
    face: TorchFace, talk: Sequence[Message], learn: Sequence[str] = ("assistant",)
) -> tuple[list[int], list[int]]:
    """Token ids of a conversation, and their labels: the id where a role in `learn` says it, else `IGNORED`.

    What a role says is its text and the marker that ends its turn; the marker that opens it is never learned.

    Raises
    ------
    CapabilityError
        The chat template writes a conversation's beginning otherwise once it goes on.
    """
    _, tokenizer = face.model_and_tokenizer

    def written(part: Sequence[Message]) -> str:
        told = [{"role": m.role, "content": m.text} for m in part]
        return str(tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=False)) if told else ""

    ids: list[int] = []
    labels: list[int] = []
    before = ""
    for place, message in enumerate(talk, 1):
        after = written(talk[:place])
        at = after.find(message.text, len(before))
        if not after.startswith(before) or at < 0:
            raise CapabilityError("this chat template rewrites what was said before; its turns cannot be told apart.")
        end = after[at + len(message.text) :]
        kept, rest = end.rstrip(), end[len(end.rstrip()) :]
        for text, said, control in (
            (after[len(before) : at], False, True), (message.text, True, False), (kept, True, True), (rest, False, True)
        ):  # fmt: skip
            made = face.ids(text, control=control) if text else []
            ids += made
            labels += made if said and message.role in learn else [IGNORED] * len(made)
        before = after
    return ids, labels


def sft(
    face: TorchFace, talks: Sequence[Said], training: Training = Training(), *, learn: Sequence[str] = ("assistant",),
    watch: Watch | None = None,
) -> Tuned:  # fmt: skip
    """Learn to say what `learn` says in these conversations.

    Raises
    ------
    OptionError
        No conversation, or in none does a role in `learn` speak. MissingExtra: transformers, PEFT or TRL is missing.
    """
    rows = [masked(face, conversation(t), learn) for t in talks]
    rows = [(i[: training.length], l[: training.length]) for i, l in rows]  # noqa: E741
    if not any(v != IGNORED for _, labels in rows for v in labels):
        raise OptionError(f"in none of {len(rows)} conversations does {' or '.join(learn)} say anything.")
    trl, datasets, lora = _libraries(training)
    data = datasets.Dataset.from_dict({"input_ids": [i for i, _ in rows], "labels": [v for _, v in rows]})
    model, tokenizer = face.model_and_tokenizer
    with _own_randomness(), tempfile.TemporaryDirectory() as folder:
        config = trl.SFTConfig(**_settings(folder, training), max_length=None, packing=False)
        trainer = trl.SFTTrainer(
            model=copy.deepcopy(model), args=config, train_dataset=data, processing_class=tokenizer, peft_config=lora
        )
        return _trained(trainer, face, watch)


def dpo(
    face: TorchFace, pairs: Sequence[Pair], training: Training = Training(), *, beta: float = 0.1,
    watch: Watch | None = None,
) -> Tuned:  # fmt: skip
    """Learn to prefer the better of each pair; the model as it is now is the reference.

    Raises
    ------
    OptionError
        No pairs, equal answers in one, or beta not above 0. MissingExtra.
    """
    if not pairs or not beta > 0:
        raise OptionError(f"dpo: {len(pairs)} pairs, beta = {beta}; give one or more, and a beta above 0.")
    if same := [i for i, p in enumerate(pairs) if p.better == p.worse]:
        raise OptionError(f"dpo: the answers of pair {same[0]} are equal.")
    trl, datasets, lora = _libraries(training)
    model, tokenizer = face.model_and_tokenizer
    rows = {"prompt": [], "chosen": [], "rejected": []}  # type: dict[str, list[Any]]
    for pair in pairs:
        rows["prompt"].append([{"role": m.role, "content": m.text} for m in conversation(pair.prompt)])
        rows["chosen"].append([{"role": "assistant", "content": pair.better}])
        rows["rejected"].append([{"role": "assistant", "content": pair.worse}])
    with _own_randomness(), tempfile.TemporaryDirectory() as folder:
        config = trl.DPOConfig(**_settings(folder, training), max_length=training.length, beta=beta)
        trainer = trl.DPOTrainer(
            model=copy.deepcopy(model), ref_model=None if lora else copy.deepcopy(model), args=config,
            train_dataset=datasets.Dataset.from_dict(rows), processing_class=tokenizer, peft_config=lora,
        )  # fmt: skip
        return _trained(trainer, face, watch)


def preferences(model: LM | TorchFace, pairs: Sequence[Pair]) -> np.ndarray:
    """Log-probability of the better answer less that of the worse, nats, float64[n]; turn ends included.

    Of any model that tells log-probabilities of given text: the torch face, or what was tuned as it is served.
    """
    lm = model if isinstance(model, LM) else LM(model, Broker.bare())
    told = [lm.sync.logprob(conversation(p.prompt), [p.better, p.worse], end=True).logprob for p in pairs]
    return np.array([better - worse for better, worse in told])


def surprise(face: TorchFace, talks: Sequence[Said], learn: Sequence[str] = ("assistant",)) -> np.ndarray:
    """Nats for each token that `learn` says, the mean of each conversation, float64[n]; NaN where it says nothing."""
    found = []
    for talk in talks:
        ids, labels = masked(face, conversation(talk), learn)
        learned = np.array(labels[1:]) != IGNORED
        scores = np.array(face.score(ids[:1], [ids[1:]])[0])
        found.append(-float(scores[learned].mean()) if learned.any() else np.nan)
    return np.array(found)


def _trained(trainer: Any, face: TorchFace, watch: Watch | None) -> Tuned:
    if watch is not None:
        trainer.add_callback(_telling(watch))
    trainer.train()
    model = trainer.model
    model = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
    losses = [float(row["loss"]) for row in trainer.state.log_history if "loss" in row]
    return Tuned(model.eval(), face.model_and_tokenizer[1], losses, face.source)


def _telling(watch: Watch) -> Any:
    import transformers

    class Telling(transformers.TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in (logs or {}):
                watch({"step": state.global_step, "steps": state.max_steps, "loss": float(logs["loss"])})

    return Telling()


def _settings(folder: str, training: Training) -> dict[str, Any]:
    return {
        "output_dir": folder, "max_steps": training.steps, "per_device_train_batch_size": training.batch,
        "learning_rate": training.lr, "seed": training.seed, "data_seed": training.seed, "logging_steps": 1,
        "use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no", "disable_tqdm": True,
        "gradient_checkpointing": False, "lr_scheduler_type": "linear", "dataloader_pin_memory": False,
        "logging_strategy": "steps",
    }  # fmt: skip


def _libraries(training: Training) -> tuple[Any, Any, Any]:
    """TRL, datasets, and LoRA's configuration (None for all weights)."""
    try:
        import datasets
        import peft
        import transformers
        import trl
    except ImportError:
        raise MissingExtra("tuning needs the extra: pip install 'ethogram[tune]'") from None
    datasets.disable_progress_bars()
    quiet: Any = transformers.logging
    quiet.set_verbosity_error()
    lora = None
    if training.rank:
        lora = peft.LoraConfig(
            r=training.rank, lora_alpha=2 * training.rank, target_modules="all-linear", task_type="CAUSAL_LM"
        )
    return trl, datasets, lora


@contextlib.contextmanager
def _own_randomness() -> Iterator[None]:
    """Trainers seed the generators of the whole process, print and warn; afterwards those are as they were."""
    import torch

    plain, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002
    quiet = contextlib.redirect_stdout(None)
    with torch.random.fork_rng(devices=[]), quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of names that the libraries use among themselves
        try:
            yield
        finally:
            random.setstate(plain)
            np.random.set_state(numbers)  # noqa: NPY002
