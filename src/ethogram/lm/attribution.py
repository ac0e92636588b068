"""How much does each token of a prompt push each token of the answer? Gradients with respect to the embeddings.

With e_i the embedding of input token i, b the baseline, and p_j the probability of answer token j given all before it,

    I_ij = < d log p_j / d e_i , e_i - b >                          gradient times input (b = 0)
    I_ij = < mean_a d log p_j(b + a (e - b)) / d e_i , e_i - b >    integrated gradients, a at the middles of `steps`

The first is exact for a model that is linear in its embeddings; the second sums to log p_j(e) - log p_j(b) over the
input tokens (completeness), as `steps` grows. The gradient of p_j itself is p_j times that of log p_j: every column has
the same shape, but a certain token's (p_j near 1) no longer underflows.

A warning that the equation hides: a model that normalises what it reads (RMSNorm) does not notice the length of an
embedding until something is added to it. In the first layer < d/de_i, e_i > is therefore 0 for every token but the
last; what is measured with b = 0 is how a token competes with what the layers add to it. ``baseline="mean"`` measures
from the mean embedding instead.

Shrikumar et al. (2016) for gradient times input; Sundararajan et al.: Axiomatic Attribution (ICML 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ethogram.errors import ContextExceeded, OptionError
from ethogram.lm.torchface import TorchFace

Baseline = Literal["zero", "mean"]


def attribution(
    face: TorchFace, prompt: Sequence[int], answer: Sequence[int], *, baseline: Baseline = "zero", steps: int = 0,
    lanes: int = 8,
) -> np.ndarray:  # fmt: skip
    """I, float64[len(prompt), len(answer)], nats; zero from a prompt token on answers is exact, not rounded.

    Parameters
    ----------
    prompt, answer : token ids; one or more each.
    steps : 0 for gradient times input at the point itself, else the points of integrated gradients.
    lanes : answer tokens whose gradients are taken in one pass backwards.

    Raises
    ------
    OptionError
        No token, or a number below its least. ContextExceeded: they do not fit.
    """
    if not len(prompt) or not len(answer) or steps < 0 or lanes < 1:
        raise OptionError(f"attribution: {len(prompt)} prompt tokens, {len(answer)} answer tokens, steps = {steps}.")
    import torch

    model, _ = face.model_and_tokenizer
    if (longest := len(prompt) + len(answer)) > model.config.max_position_embeddings:
        raise ContextExceeded(f"{longest} tokens do not fit a context of {model.config.max_position_embeddings}.")
    table = model.get_input_embeddings().weight.detach()
    ids = torch.tensor([*prompt, *answer])
    whole = model.get_input_embeddings()(ids).detach()
    start = torch.zeros_like(whole) if baseline == "zero" else table.mean(0).expand_as(whole)
    # the answer is given: only the prompt moves along the path
    start = torch.cat([start[: len(prompt)], whole[len(prompt) :]])
    points = [1.0] if not steps else [(k + 0.5) / steps for k in range(steps)]
    total = torch.zeros(len(answer), len(prompt), whole.shape[1])
    for share in points:
        total += _gradients(model, start + share * (whole - start), ids, len(prompt), lanes) / len(points)
    step = (whole - start)[: len(prompt)]
    return np.asarray((total.double() * step.double()).sum(-1).T.numpy())


def _gradients(model: Any, embedded: Any, ids: Any, start: int, lanes: int) -> Any:
    """d log p_j / d e_i, [answer, prompt, width]; the model's own weights are left without gradients."""
    import torch

    asked = [(p, p.requires_grad) for p in model.parameters()]
    for p, _ in asked:
        p.requires_grad_(False)
    try:
        with torch.enable_grad():
            e = embedded.clone().requires_grad_()
            logits = model(inputs_embeds=e[None], use_cache=False).logits[0, start - 1 : -1].float()
            told = torch.log_softmax(logits, -1).gather(1, ids[start:, None])[:, 0]
            found = []
            for at in range(0, len(told), lanes):
                part = told[at : at + lanes]
                (g,) = torch.autograd.grad(
                    part, e, torch.eye(len(part)), retain_graph=at + lanes < len(told), is_grads_batched=True
                )
                found.append(g[:, :start].detach())
            return torch.cat(found)
    finally:
        for p, wanted in asked:
            p.requires_grad_(wanted)


def embedded_log_probability(
    face: TorchFace, prompt: Sequence[int], answer: Sequence[int], *, baseline: Baseline = "zero"
) -> np.ndarray:
    """log p_j with the prompt's embeddings at the baseline, where the path of `attribution` starts; float64[answer]."""
    import torch

    model, _ = face.model_and_tokenizer
    table = model.get_input_embeddings()
    with torch.inference_mode():
        whole = table(torch.tensor([*prompt, *answer]))
        level = torch.zeros_like(whole) if baseline == "zero" else table.weight.mean(0).expand_as(whole)
        whole = torch.cat([level[: len(prompt)], whole[len(prompt) :]])
        logits = model(inputs_embeds=whole[None], use_cache=False).logits[0, len(prompt) - 1 : -1].double()
        return np.asarray(torch.log_softmax(logits, -1)[torch.arange(len(answer)), torch.tensor(list(answer))].numpy())
