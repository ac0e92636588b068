"""A model in transformers as a GGUF file, so that what was tuned is served again by the embedded server.

    tuned = dpo(face, pairs, Training(rank=8))
    LM.connect(f"local:{to_gguf(tuned.model, tuned.tokenizer, 'mine.gguf')}")

Decoders of the Llama kind with a byte-level BPE tokenizer. llama.cpp turns pairs of neighbouring numbers where
transformers turns halves, so that the rows of queries and keys are put in its order.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ethogram.errors import CapabilityError, MissingExtra

F32, F16 = 0, 1
"""File types of GGUF."""
SPLITS = {"smollm2": "smollm"}
"""How llama.cpp calls the way in which a tokenizer cuts text into words, by the weights' name; else GPT-2's."""


def to_gguf(
    model: Any, tokenizer: Any, path: str | Path, *, kind: Literal["f16", "f32"] = "f16", split: str = "gpt-2"
) -> Path:
    """Write a model (LoRA merged) and its tokenizer as one GGUF file.

    Parameters
    ----------
    kind : f16 halves the file; vectors stay 32 bits. split : how llama.cpp cuts text into words, "smollm" for the
        default weights.

    Raises
    ------
    CapabilityError
        The model is no decoder of the Llama kind, or the tokenizer no byte-level BPE. MissingExtra.
    """
    try:
        import gguf
    except ImportError:
        raise MissingExtra("writing GGUF needs the extra: pip install 'ethogram[lm-torch]'") from None
    shape = model.config
    if shape.model_type != "llama":
        raise CapabilityError(f"a model of kind '{shape.model_type}' cannot be written; only the Llama kind can.")
    target = Path(path)
    fresh = target.with_name(f".{target.name}.new")
    out = gguf.GGUFWriter(str(fresh), "llama")
    heads, less = shape.num_attention_heads, shape.num_key_value_heads or shape.num_attention_heads
    out.add_name(target.stem)
    out.add_context_length(shape.max_position_embeddings)
    out.add_embedding_length(shape.hidden_size)
    out.add_block_count(shape.num_hidden_layers)
    out.add_feed_forward_length(shape.intermediate_size)
    out.add_head_count(heads)
    out.add_head_count_kv(less)
    out.add_layer_norm_rms_eps(shape.rms_norm_eps)
    out.add_rope_dimension_count(shape.hidden_size // heads)
    out.add_rope_freq_base(_rope(shape))
    out.add_vocab_size(shape.vocab_size)
    out.add_file_type(F16 if kind == "f16" else F32)
    _tokens(out, gguf, tokenizer, shape.vocab_size, split)
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
        out.add_tensor(known, values.astype(np.float16) if kind == "f16" and values.ndim > 1 else values)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    fresh.replace(target)
    return target


def _turned(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head from halves (x1 x2 ... y1 y2 ...) to neighbours (x1 y1 x2 y2 ...)."""
    shape = values.shape
    return np.ascontiguousarray(
        values.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)
    )


def _rope(shape: Any) -> float:
    told = getattr(shape, "rope_parameters", None) or {}
    return float(told.get("rope_theta") or getattr(shape, "rope_theta", None) or 10_000.0)


def _tokens(out: Any, gguf: Any, tokenizer: Any, size: int, split: str) -> None:
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    if told["model"]["type"] != "BPE":
        raise CapabilityError(f"a tokenizer of kind '{told['model']['type']}' cannot be written; only BPE can.")
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
