"""The same weights in transformers: exact log-probabilities, logits, gradients.

A GGUF file is dequantised once (`GgufConfig(dequantize=True)`: some 17 s for 135 M parameters) and kept as a folder
of safetensors under its content's name; opening that takes a fraction of a second. The file's quantised weights are
multiplied in other arithmetic by llama.cpp, so the two faces differ a little: about 0.1 nat a token.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from ethogram import folders
from ethogram.errors import CapabilityError, ContextExceeded, MissingExtra, WeightsError
from ethogram.lm import protocol, weights
from ethogram.lm.capabilities import Capabilities
from ethogram.lm.wire import CHAT, EMBED

Masking = Callable[[Any, Any], Any]
"""(token ids int64[1, n], logits float[1, V]) -> logits; as transformers' LogitsProcessor."""
_opening = threading.Lock()


def folder(path: Path) -> Path:
    """Where the dequantised form of a GGUF file is kept."""
    return folders.cache() / "lm" / "torch" / weights.identity(path).replace(":", "-")


def converted(path: Path) -> Path:
    """The folder of the dequantised form, made if it is not there yet; it appears whole or not at all.

    Raises
    ------
    WeightsError
        transformers cannot read the file's architecture.
    """
    where = folder(path)
    if where.is_dir():
        return where
    transformers = _transformers()
    fresh = where.with_name(f".{where.name}.{uuid.uuid4().hex[:8]}")
    try:
        kind = transformers.GgufConfig(dequantize=True)
        given = {"gguf_file": path.name, "local_files_only": True}
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that cannot be switched off
            model = transformers.AutoModelForCausalLM.from_pretrained(
                str(path.parent), quantization_config=kind, **given
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(str(path.parent), **given)
        fresh.mkdir(parents=True)
        model.save_pretrained(fresh)
        tokenizer.save_pretrained(fresh)
        try:
            fresh.rename(where)
        except OSError:
            if not where.is_dir():
                raise
    except (ValueError, KeyError, NotImplementedError) as error:
        raise WeightsError(f"transformers cannot open {path}: {' '.join(str(error).split())[:200]}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return where


def _transformers() -> Any:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import torch  # noqa: F401
        import transformers
    except ImportError:
        raise MissingExtra("the torch face needs the extra: pip install 'ethogram[lm-torch]'") from None
    found: Any = transformers
    found.logging.set_verbosity_error()
    found.logging.disable_progress_bar()
    return found


class TorchFace:
    """A causal language model in torch; also the wire of ``LM.connect("torch")``.

    Parameters
    ----------
    name : "" (the default weights), a known name, a GGUF file, or a folder that transformers can open.
    masking : makes a `Masking` from the fields of a chat request; None holds the decoder to nothing.
    source : of a folder or a held model: the GGUF file that it goes back to.
    held : model and tokenizer that are in memory already; `name` is then only a name.

    Attributes
    ----------
    model_and_tokenizer : transformers' own, opened when first used.
    source : the GGUF file that the weights are of or go back to, None if it is not known.
    """

    lanes = 1

    def __init__(
        self, name: str = "", *, masking: Callable[[TorchFace, dict[str, Any]], Masking | None] | None = None,
        source: Path | None = None, held: tuple[Any, Any] | None = None,
    ):  # fmt: skip
        given = Path(name).expanduser()
        self._folder = given if name and given.is_dir() else None
        self._masking = masking
        self._held = self._opened = held
        self._one_at_a_time = threading.Lock()
        if held is not None:
            self.path, self.source = given, source
            self.identity = f"torch-memory:{uuid.uuid4().hex}"  # its weights may change, no answer is another's
        elif self._folder is None:
            self.path = self.source = weights.find(name)
            self.identity = f"torch-{weights.identity(self.path)}"
        else:
            self.path, self.source = self._folder, source
            files = sorted(self._folder.glob("*.safetensors"))
            if not files:
                raise WeightsError(f"{self._folder} holds no *.safetensors; it is not a saved model.")
            self.identity = "torch-" + "+".join(weights.identity(f).removeprefix("gguf:") for f in files)

    @classmethod
    def of(cls, model: Any, tokenizer: Any, name: str = "memory") -> TorchFace:
        """A face of a model that is in memory and nowhere else."""
        made = cls.__new__(cls)
        made._folder, made.path, made.identity = None, Path(name), f"torch-{name}"
        made._masking, made._one_at_a_time = None, threading.Lock()
        made._opened = model.eval(), tokenizer
        return made

    def _open(self) -> tuple[Any, Any]:
        if self._opened is None:
            with _opening:
                transformers = _transformers()
                where = self._folder or converted(self.path)
                tokenizer = transformers.AutoTokenizer.from_pretrained(str(where), local_files_only=True)
                model = transformers.AutoModelForCausalLM.from_pretrained(str(where), local_files_only=True)
                self._opened = model.eval(), tokenizer
        return self._opened

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._opened is not None

    @property
    def model_and_tokenizer(self) -> tuple[Any, Any]:
        """transformers' model (float32, in evaluation mode) and tokenizer."""
        return self._open()

    def prompt(self, messages: Sequence[dict[str, Any]]) -> str:
        """The conversation as the chat template writes it, open for the assistant's turn."""
        tokenizer = self._open()[1]
        if tokenizer.chat_template is None:
            return "\n\n".join(str(m["content"]) for m in messages) + "\n"
        return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))

    def ids(self, text: str, *, control: bool = False) -> list[int]:
        """Token ids of a text; `control` reads the markers of a template as control tokens."""
        tokenizer = self._open()[1]
        found = tokenizer(text, add_special_tokens=False, split_special_tokens=not control)["input_ids"]
        return [int(i) for i in found]

    def score(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[list[float]]:
        """Log-probability (nats) of each token of each continuation after the prompt; one pass for all.

        Raises
        ------
        ContextExceeded
            Prompt and continuation do not fit.
        """
        import torch

        model, _ = self._open()
        longest = len(prompt) + max(map(len, continuations))
        if longest > model.config.max_position_embeddings:
            raise ContextExceeded(f"{longest} tokens do not fit a context of {model.config.max_position_embeddings}.")
        with torch.inference_mode(), self._one_at_a_time:
            start = torch.tensor([list(prompt)])
            past = model(start[:, :-1], use_cache=True).past_key_values if len(prompt) > 1 else None
            found = []
            for ids in continuations:
                fed = torch.tensor([[prompt[-1], *ids[:-1]]])
                logits = model(fed, past_key_values=past, use_cache=past is not None).logits[0]
                told = torch.log_softmax(logits.float(), -1)[torch.arange(len(ids)), torch.tensor(list(ids))]
                found.append([float(v) for v in told])
                if past is not None:
                    past.crop(-len(ids))
        return found

    def write(
        self, prompt: Sequence[int], *, max_tokens: int, temperature: float = 0.0, top_p: float = 1.0,
        seed: int | None = None, masking: Masking | None = None, top: int = 0, stop: Sequence[str] = (),
    ) -> tuple[list[int], list[tuple[float, list[tuple[int, float]]]], str]:  # fmt: skip
        """Write tokens after a prompt.

        Returns
        -------
        ids, per token its log-probability (before masking) and the `top` alternatives, and why it ended.
        """
        import torch

        model, tokenizer = self._open()
        room = model.config.max_position_embeddings - len(prompt)
        if room <= 0:
            raise ContextExceeded(
                f"{len(prompt)} tokens do not fit a context of {model.config.max_position_embeddings}."
            )
        ends = {tokenizer.eos_token_id, *_listed(model.generation_config.eos_token_id)}
        draw = torch.Generator().manual_seed(seed if seed is not None else int.from_bytes(os.urandom(4), "big"))
        ids: list[int] = []
        told: list[tuple[float, list[tuple[int, float]]]] = []
        with torch.inference_mode(), self._one_at_a_time:
            fed, past = torch.tensor([list(prompt)]), None
            for _ in range(min(max_tokens, room)):
                out = model(fed, past_key_values=past, use_cache=True)
                past, logits = out.past_key_values, out.logits[:, -1].float()
                free = torch.log_softmax(logits[0], -1)
                if masking is not None:
                    logits = masking(torch.tensor([[*prompt, *ids]]), logits)
                token = _draw(logits[0], temperature, top_p, draw)
                if token in ends:
                    return ids, told, "stop"
                best = free.topk(top) if top else None
                alternatives = list(zip(best.indices.tolist(), best.values.tolist(), strict=True)) if best else []
                ids.append(token)
                told.append((float(free[token]), alternatives))
                if stop and any(s in tokenizer.decode(ids) for s in stop):
                    return ids, told, "stop"
                fed = torch.tensor([[token]])
        return ids, told, "length"

    async def model(self) -> str:
        return self.path.stem

    async def capabilities(self) -> Capabilities:
        model, _ = await asyncio.to_thread(self._open)
        return Capabilities(
            "torch", context=model.config.max_position_embeddings, json_schema=self._masking is not None,
            top_logprobs=20, prompt_logprobs="exact", seed=True,
        )  # fmt: skip

    async def send(self, path: str, body: bytes, seconds: float) -> bytes:
        if path == EMBED:
            raise CapabilityError("the torch face embeds nothing; use ethogram.lm.embed.")
        work = self._chat if path == CHAT else self._score
        return await asyncio.to_thread(work, json.loads(body))

    def _score(self, asked: dict[str, Any]) -> bytes:
        text = self.prompt(asked["messages"]) if "messages" in asked else str(asked["prompt"])
        start = self.ids(text, control=True)
        if not start:
            raise CapabilityError("a continuation is scored after a prompt; the prompt is empty.")
        cut = [self.ids(t) for t in asked["continuations"]]
        tokenizer = self._open()[1]
        if asked.get("end") and tokenizer.eos_token_id is not None:
            cut = [[*ids, tokenizer.eos_token_id] for ids in cut]
        scores = [
            [(tokenizer.decode([i]), p) for i, p in zip(ids, told, strict=True)]
            for ids, told in zip(cut, self.score(start, cut), strict=True)
        ]
        usage = {"prompt_tokens": len(start), "completion_tokens": sum(map(len, cut))}
        return protocol.encode({"method": "exact", "scores": scores, "usage": usage})

    def _chat(self, asked: dict[str, Any]) -> bytes:
        began = time.time()
        tokenizer = self._open()[1]
        prompt = self.ids(self.prompt(asked["messages"]), control=True)
        masking = self._masking(self, asked) if self._masking is not None else None
        ids, told, finish = self.write(
            prompt, max_tokens=int(asked["max_tokens"]), temperature=float(asked["temperature"]),
            top_p=float(asked.get("top_p", 1.0)), seed=asked.get("seed"), masking=masking,
            top=int(asked.get("top_logprobs", 0)), stop=asked.get("stop", ()),
        )  # fmt: skip
        text = tokenizer.decode(ids, skip_special_tokens=True)
        for mark in asked.get("stop", ()):
            text = text.split(mark)[0]
        choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
        if asked.get("logprobs"):
            choice["logprobs"] = {
                "content": [
                    {
                        "token": tokenizer.decode([i]), "logprob": p,
                        "top_logprobs": [{"token": tokenizer.decode([a]), "logprob": q} for a, q in alternatives],
                    }
                    for i, (p, alternatives) in zip(ids, told, strict=True)
                ]
            }  # fmt: skip
        usage = {"prompt_tokens": len(prompt), "completion_tokens": len(ids)}
        return protocol.encode({"model": self.path.stem, "choices": [choice], "usage": usage, "created": int(began)})

    async def stream(self, path: str, body: bytes, seconds: float) -> AsyncIterator[bytes]:
        for event in protocol.pieces(await self.send(path, body, seconds)):
            yield event

    async def close(self) -> None:
        self._opened = self._held


def _listed(ids: Any) -> list[int]:
    return list(ids) if isinstance(ids, list | tuple) else [] if ids is None else [ids]


def _draw(logits: Any, temperature: float, top_p: float, draw: Any) -> int:
    import torch

    if temperature <= 0:
        return int(logits.argmax())
    shares, order = torch.softmax(logits / temperature, -1).sort(descending=True)
    shares[(shares.cumsum(0) - shares) >= top_p] = 0
    return int(order[torch.multinomial(shares, 1, generator=draw)])
