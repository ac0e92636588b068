"""A language model small enough to be trained in seconds: a decoder of the Llama kind over bytes or learned pieces.

For tests, planted models and measurements of training itself; what it writes is no evidence of anything else. The
tokenizer knows the chat markers of the default model, so that a conversation is written alike for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ethogram.errors import OptionError
from ethogram.lm.torchface import TorchFace

MARKERS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer(texts: Sequence[str] = (), size: int = 512) -> Any:
    """A byte-level tokenizer of transformers; with `texts`, pieces are learned from them up to `size` tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if texts:
        made = Tokenizer(models.BPE())
    else:
        made = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate([*MARKERS, *alphabet])}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=bool(texts))
    made.decoder = decoders.ByteLevel()
    if texts:
        trainer = trainers.BpeTrainer(
            vocab_size=size, initial_alphabet=alphabet, special_tokens=list(MARKERS), show_progress=False
        )
        made.train_from_iterator(texts, trainer)
    kind: Any = PreTrainedTokenizerFast
    found = kind(
        tokenizer_object=made, eos_token=MARKERS[2], pad_token=MARKERS[0], additional_special_tokens=list(MARKERS)
    )
    found.chat_template = TEMPLATE
    return found


def decoder(
    vocabulary: int, *, layers: int = 2, width: int = 64, heads: int = 4, context: int = 512, seed: int = 0
) -> Any:
    """A randomly initialised decoder; the global random state stays as it was.

    Raises
    ------
    OptionError
        `width` is no multiple of `heads`, or a size is below 1.
    """
    import torch
    import transformers

    if min(layers, width, heads, context) < 1 or width % heads:
        raise OptionError(f"decoder: width {width}, heads {heads}, layers {layers}: give a multiple of the heads.")
    shape = transformers.LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
        num_attention_heads=heads, max_position_embeddings=context, tie_word_embeddings=True,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made: Any = transformers.LlamaForCausalLM(shape)
    return made.eval()


def saved(model: Any, words: Any, folder: str | Path) -> TorchFace:
    """Write model and tokenizer as a folder of safetensors, and open it as a torch face."""
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return TorchFace(str(folder))
