"""How dependent vectors are, and weights of examples under which they are less so.

    f_q(x) = sqrt(2) cos(w_q x + phi_q),   w_q ~ N(0, 1), phi_q ~ U(0, 2 pi)         of each (standardised) coordinate
    Sigma_ab = 1 / (n - 1) sum over i of (w_i f(a_i) - mean)' (w_i f(b_i) - mean)
    dependence = sum over pairs a < b of |Sigma_ab|_F^2

is the Hilbert-Schmidt independence criterion with random Fourier features: 0 in the limit if and only if coordinates
are independent in pairs, and linear in n where the kernel's form is quadratic. Weights minimise it with the vectors as
they are; w = n softmax(theta) keeps their mean at 1.

References: A. Gretton et al.: Measuring Statistical Dependence with Hilbert-Schmidt Norms. ALT 2005. A. Rahimi, B.
Recht: Random Features for Large-Scale Kernel Machines. NIPS 2007. X. Zhang et al.: Deep Stable Learning for
Out-Of-Distribution Generalization. CVPR 2021 (weights of examples).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

MOST = 2.0
"""Largest |theta|: no example counts more than about e^2 times the others."""


def fourier(vectors: Tensor, features: int, generator: torch.Generator, dims: int | None = None) -> Tensor:
    """Random features [n, K, dims * features] of vectors [n, K, d], standardised over the n.

    Parameters
    ----------
    features : functions of each coordinate. dims : coordinates that are drawn for all K; all of them unless given.
    """
    if dims is not None and dims < vectors.shape[2]:
        vectors = vectors[:, :, torch.randperm(vectors.shape[2], generator=generator)[:dims]]
    vectors = (vectors - vectors.mean(0)) / vectors.std(0, correction=0).clamp_min(1e-6)
    shape = (*vectors.shape[1:], features)
    slope = torch.randn(shape, generator=generator)
    phase = torch.rand(shape, generator=generator) * (2 * math.pi)
    return (math.sqrt(2) * torch.cos(vectors.unsqueeze(3) * slope + phase)).flatten(2)


def dependence(features: Tensor, weight: Tensor | None = None) -> Tensor:
    """The sum over pairs of the K groups of features [n, K, m], under weights [n] (ones unless given)."""
    n, k, _ = features.shape
    if n < 2:
        return features.sum() * 0.0
    if weight is not None:
        features = features * weight.view(-1, 1, 1)
    centred = (features - features.mean(0)).flatten(1)
    square = ((centred.T @ centred) / (n - 1)).square().view(k, features.shape[2], k, features.shape[2]).sum((1, 3))
    return square.triu(1).sum()


def learn_weights(
    features: Tensor, *, steps: int = 20, lr: float = 0.1, penalty: float = 0.1, start: Tensor | None = None
) -> Tensor:
    """Weights [n] of mean 1 that lower the dependence of features [n, K, m]; nothing else learns from them.

    The loss is dependence(w) / dependence(1) + penalty (mean of w^2 - 1): both have no unit. By Adam on theta; of all
    steps the weights with the least loss are taken, so that dependence never rises.
    """
    features, n = features.detach(), len(features)
    with torch.enable_grad():
        theta = torch.zeros(n) if start is None else start.log()
        theta = theta.clone().requires_grad_(True)
        whole = dependence(features).clamp_min(1e-12)
        optimiser = torch.optim.Adam([theta], lr)
        best = math.inf, torch.ones(n)
        for step in range(steps + 1):
            weight = n * theta.softmax(0)
            loss = dependence(features, weight) / whole + penalty * (weight.square().mean() - 1)
            if (now := float(loss.detach())) < best[0]:
                best = now, weight.detach()
            if step < steps:
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                with torch.no_grad():
                    theta.clamp_(-MOST, MOST)
    return best[1]


def effective(weight: Tensor) -> float:
    """Effective sample size, (sum of w)^2 / sum of w^2."""
    return float(weight.sum() ** 2 / weight.square().sum().clamp_min(1e-12))
