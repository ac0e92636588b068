"""A network's weights as a system's state."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn


def arrays(network: nn.Module) -> dict[str, np.ndarray]:
    """Weights and buffers for a system's State."""
    return {f"model.{k}": v.detach().cpu().numpy() for k, v in network.state_dict().items()}


def restore(network: nn.Module, held: Mapping[str, np.ndarray]) -> None:
    """The inverse of `arrays`."""
    network.load_state_dict(
        {k.removeprefix("model."): torch.from_numpy(np.array(v)) for k, v in held.items() if k.startswith("model.")}
    )
