"""Which words the attention heads of a model link: read from the weights, without running it.

For each head and dimension r, with the gain of the norm folded into the projections,

    q_w = E_w W_q[:, r]     k_w = E_w W_k[:, r]     top_q, top_k : the `top` words by size

a pair (a, b) of top_q x top_k stands if q_a k_b > 0 and the static similarity of a and b exceeds mean + 1.96 sd of the
similarities of a, and of those of b, to all words. A head *knows* the pairs that stand in two or more of its
dimensions; a word's count is the number of known pairs that it is in. Heads that share a key (grouped queries) read
that key. Rotations by position are left out, as in the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ethogram.lm.torchface import TorchFace

MARKS = ("\u0120", "\u2581")
"""What tokens begin with that begin a word: of byte-level and of sentence pieces."""
THIRDS = ("lower", "middle", "upper")


def whole_words(face: TorchFace, most: int, extra: Sequence[str] = ()) -> dict[str, int]:
    """Word -> token id of the `most` most common whole words that are one token (ids rise as words get rarer), and of
    those in `extra` that are one token."""
    _, tokenizer = face.model_and_tokenizer
    table = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    begun = [(t[1:], i) for t, i in table if t.startswith(MARKS)]
    known: dict[str, int] = {}
    for text, i in begun or table:
        if text.isalpha() and text.isascii() and (len(text) > 1 or not begun):
            known.setdefault(text, i)
    kept = dict(list(known.items())[:most])
    return kept | {w: known[w] for w in extra if w in known}


def similar(vectors: np.ndarray, background: float = 1.96) -> np.ndarray:
    """bool[W, W]: the cosine of two words exceeds what both have with words at large; never a word with itself."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    cosine = unit @ unit.T
    least = cosine.mean(axis=1) + background * cosine.std(axis=1)
    close = (cosine > least[:, None]) & (cosine > least[None, :])
    np.fill_diagonal(close, False)
    return close


def counts(face: TorchFace, ids: Sequence[int], close: np.ndarray, top: int = 100) -> np.ndarray:
    """Known pairs that each word is in, int64[layers, heads, words].

    Parameters
    ----------
    ids : token of each word. close : which words are alike, `similar`. top : words kept for each dimension.
    """
    model, _ = face.model_and_tokenizer
    config = model.config
    embedded = _array(model.get_input_embeddings().weight)[list(ids)]
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    shared = config.num_attention_heads // config.num_key_value_heads
    found = np.zeros((config.num_hidden_layers, config.num_attention_heads, len(ids)), np.int64)
    for at, layer in enumerate(model.model.layers):
        read = embedded * _gain(layer.input_layernorm)
        q, k = (read @ _array(p.weight).T for p in (layer.self_attn.q_proj, layer.self_attn.k_proj))
        for head in range(config.num_attention_heads):
            mine, key = head * width, head // shared * width
            found[at, head] = _known(q[:, mine : mine + width], k[:, key : key + width], close, top)
    return found


def _known(q: np.ndarray, k: np.ndarray, close: np.ndarray, top: int) -> np.ndarray:
    n, places = len(q), []
    for r in range(q.shape[1]):
        a, b = (np.argsort(-np.abs(x[:, r]), kind="stable")[:top] for x in (q, k))
        stands = close[np.ix_(a, b)] & (q[a, r][:, None] * k[b, r] > 0)
        i, j = np.nonzero(stands)
        places.append(a[i] * n + b[j])
    pair, dimensions = np.unique(np.concatenate(places), return_counts=True)
    pair = pair[dimensions >= 2]
    return np.bincount(pair // n, minlength=n) + np.bincount(pair % n, minlength=n)


def wins(base: np.ndarray, tuned: np.ndarray) -> np.ndarray:
    """Share of the heads that count a word otherwise in which the tuned model counts more, float64[3, words] by third
    of the layers; NaN where no head of the third changed."""
    found = np.full((3, base.shape[2]), np.nan)
    for third, layers in enumerate(np.array_split(np.arange(len(base)), 3)):
        more = (tuned[layers] > base[layers]).sum((0, 1))
        changed = (tuned[layers] != base[layers]).sum((0, 1))
        np.divide(more, changed, out=found[third], where=changed > 0)
    return found


def _gain(norm: Any) -> np.ndarray:
    weight = _array(norm.weight)
    # Gemma's norms multiply by 1 + weight
    return 1 + weight if "Gemma" in type(norm).__name__ else weight


def _array(weight: Any) -> np.ndarray:
    return np.asarray(weight.detach().float().numpy())
