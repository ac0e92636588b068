"""A language model small enough to be trained in seconds: a decoder of the Llama kind over bytes or learned pieces.

For tests, planted models and measurements of training itself; what it writes is no evidence of anything else. The
tokenizer knows the chat markers of the default model, so that a conversation is written alike for both.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.lm.torchface import TorchFace

MARKERS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
UNKNOWN = "<|unknown|>"
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


def of_words(words: Sequence[str]) -> Any:
    """A tokenizer whose tokens are whole words, told apart by white space; what it does not know is one token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    every = dict.fromkeys([*MARKERS, UNKNOWN, "system", "user", "assistant", *words])
    made = Tokenizer(models.WordLevel({w: i for i, w in enumerate(every)}, unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    kind: Any = PreTrainedTokenizerFast
    found = kind(
        tokenizer_object=made, eos_token=MARKERS[2], pad_token=MARKERS[0], unk_token=UNKNOWN,
        additional_special_tokens=list(MARKERS),
    )  # fmt: skip
    found.chat_template = TEMPLATE
    return found


def decoder(
    vocabulary: int, *, layers: int = 2, width: int = 64, heads: int = 4, context: int = 512, spread: float = 0.02,
    theta: float = 10_000.0, seed: int = 0,
) -> Any:  # fmt: skip
    """A randomly initialised decoder; the global random state stays as it was.

    Parameters
    ----------
    spread : standard deviation of the first weights. theta : base of the rotary positions. Narrow decoders of short
        texts learn to look things up far sooner with ``spread = 1 / sqrt(width)`` and a theta of 100.

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
        initializer_range=spread, rope_parameters={"rope_type": "default", "rope_theta": theta},
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made: Any = transformers.LlamaForCausalLM(shape)
    return made.eval()


def taught(
    model: Any, rows: Sequence[Sequence[int]], labels: Sequence[Sequence[int]] | None = None, *, steps: int,
    batch: int = 64, lr: float = 3e-3, seed: int = 0,
) -> Any:  # fmt: skip
    """A copy of the model, taught all its weights by next-token cross-entropy (AdamW; `lr` falls linearly to 0).

    Parameters
    ----------
    rows : token ids of each example. labels : of the same lengths, the id where a token is learned and `tune.IGNORED`
        where it is only read; None learns all.

    Raises
    ------
    OptionError
        No examples, or labels of other lengths.
    """
    import torch

    told = rows if labels is None else labels
    if not rows or [len(r) for r in rows] != [len(t) for t in told]:
        raise OptionError(f"taught: {len(rows)} examples, {len(told)} rows of labels; give equal lengths, 1 or more.")
    longest = max(map(len, rows))
    x = torch.tensor([[*r, *[0] * (longest - len(r))] for r in rows])
    y = torch.tensor([[*t, *[-100] * (longest - len(t))] for t in told])
    made = copy.deepcopy(model).train()
    optimiser = torch.optim.AdamW(made.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    falling = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: min(1.0, (s + 1) / 20) * (1 - s / steps))
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        at = torch.from_numpy(rng.integers(0, len(rows), batch))
        width = int((x[at] != 0).sum(1).max())
        logits = made(x[at, :width], use_cache=False).logits[:, :-1]
        loss: Any = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y[at, 1:width].flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        optimiser.step()
        falling.step()
    return made.eval()


def saved(model: Any, words: Any, folder: str | Path) -> TorchFace:
    """Write model and tokenizer as a folder of safetensors, and open it as a torch face."""
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return TorchFace(str(folder))
