"""What is audited: a tuned model, and the model that it was before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np

from ethogram.audit.instruction_shift.probes import Probe
from ethogram.errors import CapabilityError, OptionError
from ethogram.lm.torchface import TorchFace


class Asked(NamedTuple):
    """A prompt in tokens: all ids, where the person's own words lie in them, and which of those are the instruction."""

    ids: list[int]
    own: slice
    instruction: np.ndarray


class Pair:
    """A tuned model and, if known, its base; `identity` names both. What is read from the weights is read once, and
    whoever works on the models holds `alone`."""

    def __init__(self, tuned: TorchFace, base: TorchFace | None = None):
        if base is not None and not _alike(base, tuned):
            raise OptionError(
                f"{tuned.identity} is no tuned form of {base.identity}: their sizes or their vocabularies differ."
            )
        self.tuned, self.base = tuned, base
        self._kept: dict[Hashable, Any] = {}
        self.alone = threading.RLock()

    @property
    def identity(self) -> str:
        return self.tuned.identity if self.base is None else f"{self.tuned.identity} after {self.base.identity}"

    @classmethod
    def of(cls, subject: Any, base: str) -> Pair:
        """From a pair, a torch face, or an LM that stands on one.

        Raises
        ------
        CapabilityError
            The subject is not open to gradients: an endpoint, the embedded server, a script.
        """
        if isinstance(subject, cls):
            return subject
        face = getattr(subject, "wire", subject)
        if not isinstance(face, TorchFace):
            raise CapabilityError(
                f"{getattr(subject, 'identity', subject)} shows no gradients; connect to torch or torch:FOLDER."
            )
        return cls(face, opened(base) if base else None)

    def once(self, key: Hashable, work: Callable[[], Any]) -> Any:
        """What `work` gives, made when first asked for."""
        with self.alone:
            if key not in self._kept:
                self._kept[key] = work()
            return self._kept[key]

    @property
    def faces(self) -> dict[str, TorchFace]:
        return {"tuned": self.tuned} if self.base is None else {"base": self.base, "tuned": self.tuned}


def opened(where: str) -> TorchFace:
    """The torch face of "torch", "torch:PATH", "local", "local:PATH", a known name, a GGUF file, or a folder.

    Raises
    ------
    OptionError
        An endpoint or a script, which show no gradients. WeightsError, UnknownName.
    """
    kind, _, rest = where.partition(":")
    if kind in ("http", "https", "scripted"):
        raise OptionError(f"'{where}' shows no gradients; give torch, torch:FOLDER, or a file of weights.")
    return TorchFace(rest if kind in ("torch", "local") else where)


def asked(face: TorchFace, probe: Probe) -> Asked:
    """A prompt as the model's template writes it.

    Raises
    ------
    CapabilityError
        The template changes what the person says.
    """
    _, tokenizer = face.model_and_tokenizer
    text = face.prompt([{"role": "user", "content": probe.prompt}])
    at = text.find(probe.prompt)
    if at < 0:
        raise CapabilityError("this chat template rewrites what is said; the instruction cannot be found in it.")
    # a tokenizer that opens every text with a marker would do so here
    opening = [i for i in tokenizer("")["input_ids"] if i == tokenizer.bos_token_id and not text[:at]]
    before = opening + (face.ids(text[:at], control=True) if at else [])
    said = tokenizer(probe.prompt, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
    rest = text[at + len(probe.prompt) :]
    after = face.ids(rest, control=True) if rest else []
    start, stop = probe.span
    marked = np.array([a < stop and b > start for a, b in said["offset_mapping"]])
    own = slice(len(before), len(before) + len(said["input_ids"]))
    return Asked([*before, *said["input_ids"], *after], own, marked)


def answered(face: TorchFace, probe: Probe, prompt: Asked, longest: int) -> tuple[list[int], str]:
    """The given answer, or what the model writes greedily: the first `longest` token ids, and the text."""
    if probe.answer is not None:
        return face.ids(probe.answer)[:longest], probe.answer
    _, tokenizer = face.model_and_tokenizer
    ids, _, _ = face.write(prompt.ids, max_tokens=longest)
    return ids, str(tokenizer.decode(ids, skip_special_tokens=True)).strip()


def _alike(one: TorchFace, other: TorchFace) -> bool:
    (a, first), (b, second) = one.model_and_tokenizer, other.model_and_tokenizer
    sizes = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    same = all(getattr(a.config, n, None) == getattr(b.config, n, None) for n in sizes)
    return bool(same and first.get_vocab() == second.get_vocab())
