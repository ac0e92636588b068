"""A small training run that can be killed at a given step: the same one in the test and in its child process."""

import os

import numpy as np
import torch

from ethogram.nn.train import train


def run(folder=None, die_after=None, epochs=6, seed=3, precision="fp32"):
    with torch.random.fork_rng():
        torch.manual_seed(11)
        model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1))
    data = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
    x = torch.from_numpy(data)
    y = x[:, :1] * 2 - x[:, 1:2]

    def batches(rng):
        order = rng.permutation(64)
        return (torch.from_numpy(order[i : i + 16]) for i in range(0, 64, 16))

    def loss(rows):
        return (model(x[rows]) - y[rows]).square().mean()

    def watch(fact):
        if die_after is not None and fact["epoch"] >= die_after[0] and fact["step"] == die_after[1]:
            os._exit(9)

    done = train(
        model,
        batches,
        loss,
        optimisers=[torch.optim.Adam(model.parameters(), 0.02)],
        epochs=epochs,
        seed=seed,
        valid=lambda: -float((model(x) - y).square().mean()),
        checkpoint=folder,
        watch=watch,
        precision=precision,
    )
    return b"".join(v.numpy().tobytes() for v in model.state_dict().values()), done
