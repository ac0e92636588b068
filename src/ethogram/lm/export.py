"""A model in transformers as a GGUF file, so that what was tuned is served again by the embedded server.

    tuned = dpo(face, pairs, Training(rank=8))
    LM.connect(f"local:{tuned.gguf('mine.gguf')}")

Decoders of the Llama kind with a byte-level BPE tokenizer. llama.cpp turns pairs of neighbouring numbers where
transformers turns halves, so that the rows of queries and keys are put in its order. A GGUF file says more of a
tokenizer than transformers keeps of it (how text is cut into words), so that what came from such a file gets its
tokenizer back from there.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ethogram import folders
from ethogram.errors import CapabilityError, MissingExtra, OptionError, WeightsError, unknown

Kind = Literal["f32", "f16", "q8_0", "q5_1", "q4_1", "q4_0"]
"""How weights are stored: 4, 2, 1.06, 0.75, 0.63 or 0.56 bytes each."""


def fits(model: Any, tokenizer: Any) -> None:
    """Whether they can be written; asked before hours of training, too.

    Raises
    ------
    CapabilityError
        The model is no decoder of the Llama kind, or the tokenizer no byte-level BPE.
    """
    shape = model.config
    if shape.model_type != "llama":
        raise CapabilityError(f"a model of kind '{shape.model_type}' cannot be written; only the Llama kind can.")
    if (kind := _rope(shape).get("rope_type", "default")) != "default":
        raise CapabilityError(f"rotary embeddings of kind '{kind}' cannot be written; only 'default' can.")
    told = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    if told["type"] != "BPE" or not told["merges"]:
        held = "no merges" if told["type"] == "BPE" else f"the kind '{told['type']}'"
        raise CapabilityError(f"a tokenizer of {held} cannot be written; only byte-level BPE with merges can.")


def to_gguf(
    model: Any, tokenizer: Any, path: str | Path, *, kind: Kind = "f16", like: Path | None = None, split: str = "gpt-2"
) -> Path:
    """Write a model (LoRA merged) and its tokenizer as one GGUF file.

    Parameters
    ----------
    path : the file; its name ends in .gguf, it appears whole or not at all.
    kind : of the matrices; vectors stay 32 bits, and rows of no multiple of 32 stay 16 bits.
    like : a GGUF file of the same vocabulary, whose tokenizer is copied.
    split : without it, how llama.cpp calls the way in which the tokenizer cuts text into words.

    Raises
    ------
    CapabilityError
        The model is no decoder of the Llama kind, or the tokenizer no byte-level BPE. OptionError, MissingExtra.
    """
    place = folders.target(path, ".gguf")
    if kind not in get_args(Kind):
        raise OptionError(unknown("kind of weights", kind, get_args(Kind)))
    try:
        import gguf
    except ImportError:
        raise MissingExtra("writing GGUF needs the extra: pip install 'ethogram[lm-torch]'") from None
    fits(model, tokenizer)
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        out = gguf.GGUFWriter(str(fresh), "llama")
        out.add_name(place.stem)
        _described(out, gguf, model.config, kind)
        if like is None:
            _tokens(out, gguf, tokenizer, model.config.vocab_size, split)
        else:
            _copied(out, gguf, like, model.config.vocab_size)
        _weights(out, gguf, model, kind)
        out.write_header_to_file()
        out.write_kv_data_to_file()
        out.write_tensors_to_file()
        out.close()
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)
    return place


def _described(out: Any, gguf: Any, shape: Any, kind: Kind) -> None:
    heads = shape.num_attention_heads
    width = getattr(shape, "head_dim", None) or shape.hidden_size // heads
    out.add_context_length(shape.max_position_embeddings)
    out.add_embedding_length(shape.hidden_size)
    out.add_block_count(shape.num_hidden_layers)
    out.add_feed_forward_length(shape.intermediate_size)
    out.add_head_count(heads)
    out.add_head_count_kv(shape.num_key_value_heads or heads)
    out.add_layer_norm_rms_eps(shape.rms_norm_eps)
    out.add_key_length(width)
    out.add_value_length(width)
    out.add_rope_dimension_count(width)
    out.add_rope_freq_base(float(_rope(shape)["rope_theta"] or 10_000))
    out.add_vocab_size(shape.vocab_size)
    out.add_file_type(gguf.LlamaFileType["ALL_F32" if kind == "f32" else f"MOSTLY_{kind.upper()}"])


def _weights(out: Any, gguf: Any, model: Any, kind: Kind) -> None:
    shape = model.config
    heads, less = shape.num_attention_heads, shape.num_key_value_heads or shape.num_attention_heads
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, shape.num_hidden_layers)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and shape.tie_word_embeddings:
            continue
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if known is None:
            raise CapabilityError(f"tensor '{name}' has no place in a GGUF file of the Llama kind.")
        values = weight.detach().float().cpu().numpy()
        if ".q_proj." in name or ".k_proj." in name:
            values = _turned(values, heads if ".q_proj." in name else less)
        _add(out, gguf, known, values, kind)


def _add(out: Any, gguf: Any, name: str, values: np.ndarray, kind: Kind) -> None:
    if kind == "f32" or values.ndim < 2:
        out.add_tensor(name, values)
    elif kind == "f16" or values.shape[-1] % 32:
        out.add_tensor(name, values.astype(np.float16))
    else:
        packed = gguf.GGMLQuantizationType[kind.upper()]
        out.add_tensor(name, gguf.quants.quantize(values, packed), raw_dtype=packed)


def _turned(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head from halves (x1 x2 ... y1 y2 ...) to neighbours (x1 y1 x2 y2 ...)."""
    shape = values.shape
    return np.ascontiguousarray(
        values.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)
    )


def _rope(shape: Any) -> dict[str, Any]:
    return {"rope_theta": getattr(shape, "rope_theta", None), **(getattr(shape, "rope_parameters", None) or {})}


def _copied(out: Any, gguf: Any, like: Path, size: int) -> None:
    """All that a file says of its tokenizer."""
    fields = {name: field for name, field in gguf.GGUFReader(str(like)).fields.items() if name.startswith("tokenizer.")}
    tokens = fields.get("tokenizer.ggml.tokens")
    if tokens is None or len(tokens.data) != size:
        held = 0 if tokens is None else len(tokens.data)
        raise WeightsError(f"{like} has {held:,} tokens, the model {size:,}: it is not the model's tokenizer.")
    for name, field in fields.items():
        out.add_key_value(name, field.contents(), *field.types[:2])


def _tokens(out: Any, gguf: Any, tokenizer: Any, size: int, split: str) -> None:
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    special = {t["id"]: t["content"] for t in told["added_tokens"] if t["special"]}
    by_id = {i: t for t, i in tokenizer.get_vocab().items()}
    kinds = gguf.TokenType
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre(split)
    out.add_token_list([by_id.get(i, f"[unused {i}]") for i in range(size)])
    out.add_token_types(
        [kinds.CONTROL if i in special else kinds.NORMAL if i in by_id else kinds.UNUSED for i in range(size)]
    )
    merges = [m if isinstance(m, str) else " ".join(m) for m in told["model"]["merges"]]
    out.add_token_merges(merges)
    for add, token in (
        (out.add_bos_token_id, tokenizer.bos_token_id), (out.add_eos_token_id, tokenizer.eos_token_id),
        (out.add_pad_token_id, tokenizer.pad_token_id),
    ):  # fmt: skip
        if token is not None:
            add(token)
    out.add_add_bos_token(False)
    if tokenizer.chat_template:
        out.add_chat_template(tokenizer.chat_template)
