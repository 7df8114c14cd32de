"""What MONAI's engines call at each step: the batch as the network wants it, and the handlers that MONAI lacks."""

from __future__ import annotations

from typing import Any

import torch
from ignite.engine import Engine
from monai.engines import PrepareBatch
from monai.engines.utils import IterationEvents
from torch import Tensor, nn


class PrepareBatchTarget(PrepareBatch):
    """Hand the network the target too (``network(image, target=label)``), for models with a posterior."""

    def __call__(
        self, batchdata: Any, device: str | torch.device | None = None, non_blocking: bool = False, **kwargs: Any
    ) -> tuple[Tensor, Tensor, tuple, dict[str, Tensor]]:
        image = batchdata["image"].to(device=device, non_blocking=non_blocking, **kwargs)
        label = batchdata["label"].to(device=device, non_blocking=non_blocking, **kwargs)
        return image, label, (), {"target": label}


class ClipGradient:
    """Clip the gradient's norm before each step of the optimizer (with ``amp``, of the gradient without its scale)."""

    def __init__(self, network: nn.Module, norm: float = 1.0) -> None:
        self.network, self.norm = network, norm

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        if getattr(engine, "scaler", None) is not None:
            engine.scaler.unscale_(engine.optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.norm)


def train_only(network: nn.Module, part: str) -> nn.Module:
    """Freeze all of `network` but its child module `part`, and return it."""
    network.requires_grad_(False).get_submodule(part).requires_grad_(True)
    return network
