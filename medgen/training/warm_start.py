"""Start a network from the weights of a narrower one, or of another network's parts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


@torch.no_grad()
def widen(network: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """Load `state`, of the same network or of a narrower one, and return `network`.

    Old channels keep their weights and get nothing from the new ones, which keep their random start and see both; so the
    network begins as the old one did (but for norms over channels), and has room to learn (after Net2Net: Chen et al.,
    ICLR 2016). Raises `ValueError` where names differ or a tensor is larger than the network's.
    """
    own = network.state_dict()
    if set(own) != set(state):
        raise ValueError(f"the weights have other names than the network: {', '.join(sorted(set(own) ^ set(state))[:4])}")
    transposed = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, nn.ConvTranspose3d)}
    for name, old in state.items():
        new = own[name]
        if old.ndim != new.ndim or any(a > b for a, b in zip(old.shape, new.shape)):
            raise ValueError(f"{name} of shape {tuple(old.shape)} does not fit into {tuple(new.shape)}")
        if old.ndim > 1 and name in transposed:  # (in, out, ...)
            new[old.shape[0] :, : old.shape[1]] = 0
        elif old.ndim > 1:  # (out, in, ...)
            new[: old.shape[0], old.shape[1] :] = 0
        new[tuple(slice(0, n) for n in old.shape)] = old
    network.load_state_dict(own)
    return network


def load_parts(network: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """Load those tensors of `state` whose name and shape the network has too, and return `network`.

    For a network that shares a part with a trained one, such as a denoiser's trunk. Raises `ValueError` where nothing
    fits.
    """
    own = network.state_dict()
    fits = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    if not fits:
        raise ValueError("no tensor of the weights fits the network; give weights of a network that shares a part with it")
    network.load_state_dict({**own, **fits})
    return network
