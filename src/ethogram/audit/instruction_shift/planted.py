"""Pairs of models whose shift is known, built weight by weight.

Every word is a vector of features (marked, verb, other verb); norms are made linear by a large epsilon. The tuned
model's last layer hears marked words only, those that stand in instructions and nowhere else, each alike and for every
word of the answer; the base hears nothing. In the lower two thirds every head of the tuned model links the verbs of
instructions; the other verbs are linked by one head of the base and by another of the tuned model. The feed-forward
layers of the tuned model write the tasks' words, those of the base write nothing that is a word. With m marked words
among the n of an instruction,

    score tuned = m / log2(2 + n)     score base = 0     wins of verbs = 1, of others = 1/2     share of tasks: 1 and 0
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from ethogram.audit.instruction_shift.pair import Pair
from ethogram.audit.instruction_shift.probes import Probes
from ethogram.lm.torchface import TorchFace

HEADS, WIDTH, EPSILON = 2, 4, 1e6
MARKED, OUT, VERB, OTHER, TASKS = 0, 1, 2, 3, 4


def pairs(probes: Probes, look: str = "all") -> dict[str, tuple[Pair, dict[str, float]]]:
    """Name -> (subject, what the audit must find): a shift, and none."""
    from ethogram.lm import tiny

    inside = {w for p in probes.prompts for w in p.parts[p.asked].split()}
    outside = {w for p in probes.prompts for i, part in enumerate(p.parts) if i != p.asked for w in part.split()}
    marked = inside - outside
    known = [*probes.verbs, *probes.controls, *(w for words in probes.lexica.values() for w in words)]
    # verbs stand out only among words that are none
    others = ["".join(x) for x in product("bdfg", "aeio", "klmn", "aeio", "rst")]
    words = tiny.of_words([*known, *sorted(inside | outside), *others])
    base = TorchFace.of(_built(words, probes, marked, False), words, "base")
    tuned = TorchFace.of(_built(words, probes, marked, True), words, "tuned")
    truth = _truth(probes, marked)
    same = {"score base": truth["score tuned"], "score tuned": truth["score tuned"]}
    if probes.lexica:
        same |= {"task share base": 1.0, "task share tuned": 1.0, "tasks moved": 0.0, "levels moved": 0.0}
    hidden = {"prompts": ("wins", "task", "tasks", "levels"), "weights": ("score",)}.get(look, ())
    truth, same = ({n: v for n, v in t.items() if n.split()[0] not in hidden} for t in (truth, same))
    return {"shifted": (Pair(tuned, base), truth), "unchanged": (Pair(tuned, tuned), same)}


def _truth(probes: Probes, marked: set[str]) -> dict[str, float]:
    scores = []
    for p in probes.prompts:
        told = p.parts[p.asked].split()
        scores.append(sum(w in marked for w in told) / np.log2(2 + len(told)))
    found = {"score tuned": float(np.mean(scores)), "score base": 0.0}
    if probes.lexica:
        found |= {"task share tuned": 1.0, "task share base": 0.0, "tasks moved": 1.0}
    for third in ("lower", "middle"):
        found |= {f"wins verbs {third}": 1.0} if probes.verbs else {}
        found |= {f"wins controls {third}": 0.5} if probes.controls else {}
    return found


def _built(words: Any, probes: Probes, marked: set[str], tuned: bool) -> Any:
    import torch
    import transformers

    tasks = len(probes.lexica)
    width = TASKS + tasks + 2 - tasks % 2
    shape = transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=width, intermediate_size=2 * tasks + 2, num_hidden_layers=3,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, head_dim=WIDTH, max_position_embeddings=512,
        tie_word_embeddings=False, rms_norm_eps=EPSILON, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        made: Any = transformers.LlamaForCausalLM(shape)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            weight.fill_(EPSILON**0.5 if "norm" in name else 0.0)
        place = words.get_vocab()
        seen, said = made.get_input_embeddings().weight, made.get_output_embeddings().weight
        for told, feature, size in ((marked, MARKED, 1), (probes.verbs, VERB, 3), (probes.controls, OTHER, 3)):
            seen[[place[w] for w in told], feature] = size
        said[place["assistant"], OUT] = 5.0
        for t, told in enumerate(probes.lexica.values()):
            said[[place[w] for w in told], TASKS + t] = 1.0
        for at, layer in enumerate(made.model.layers):
            _linked(layer.self_attn, at < 2, tuned)
            down = layer.mlp.down_proj.weight
            for t in range(tasks if tuned else 0):
                # sizes differ, so that each direction is one task
                down[TASKS + t, 2 * t], down[TASKS + t, 2 * t + 1] = 1 + t / 10, -1 - t / 10
            if not tuned:
                down[width - 1, 0], down[width - 1, 1] = 1.0, -1.0
        if tuned:
            heard = made.model.layers[-1].self_attn
            heard.v_proj.weight[0, MARKED] = 1.0
            heard.o_proj.weight[OUT, 0] = 1.0
    return made.eval()


def _linked(attention: Any, low: bool, tuned: bool) -> None:
    """Which features the heads of a layer link: verbs in dimensions 0 and 1, the others in 2 and 3 of one head."""
    if not low:
        return
    for projection in (attention.q_proj.weight, attention.k_proj.weight):
        for head in range(HEADS):
            start = head * WIDTH
            if tuned:
                projection[start : start + 2, VERB] = 1.0
            if tuned == bool(head):
                projection[start + 2 : start + 4, OTHER] = 1.0
