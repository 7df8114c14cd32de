"""MONAI inferers for fully convolutional networks: the whole volume in one pass, or in tiles with a halo."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from math import prod
from typing import Any

import torch
from monai.inferers import Inferer, SlidingWindowInferer
from monai.utils import convert_to_dst_type
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from medgen.inference.memory import allowance, is_out_of_memory
from medgen.inference.stitch import Stitcher
from medgen.inference.traits import Traits
from medgen.inference.windows import Plan, plan

LOG = logging.getLogger("medgen.inference")
#: Axes of (B, C, X, Y, Z) to mirror, by the number of copies that are averaged; opposite corners first.
FLIPS: dict[int, list[tuple[int, ...]]] = {
    1: [()],
    2: [(), (2, 3, 4)],
    4: [(), (2, 3), (2, 4), (3, 4)],
    8: [(), (2,), (3,), (4,), (2, 3), (2, 4), (3, 4), (2, 3, 4)],
}


def bf16_is_fast(device: torch.device) -> bool:
    """Say whether bfloat16 pays on `device`: on a CUDA GPU since Ampere, on a CPU that has it where it proves quicker.

    A CPU with AMX convolves 4 times as quickly in bfloat16 as in float32, an AMD Zen 4 1.7 times, an Intel Xeon whose AMX a
    virtual machine hides 0.6 times; no flag tells the last two apart.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported() and _speedup_of_bf16() > 1.1


@cache
@torch.inference_mode()
def _speedup_of_bf16() -> float:
    """Time a convolution in float32 and in bfloat16 on one core, in turns (0.2 s), and return the ratio of the best times.

    By the time that the thread is at work, so that other processes do not matter.
    """
    seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    image, weight = torch.ones(1, 64, 24, 24, 24), torch.ones(64, 64, 3, 3, 3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(4):
            for dtype, found in seconds.items():
                x, w = (t.to(dtype, memory_format=torch.channels_last_3d) for t in (image, weight))
                started = time.thread_time()
                torch.nn.functional.conv3d(x, w, padding=1)
                found.append(time.thread_time() - started)
    finally:
        torch.set_num_threads(threads)
    return min(seconds[torch.float32]) / min(seconds[torch.bfloat16])


class AutocastInferer(Inferer):
    """One forward pass, in bfloat16 where the device is fast at it (or as `bf16` says), channels last."""

    def __init__(self, bf16: bool | None = None) -> None:
        super().__init__()
        self.bf16 = bf16

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        enabled = bf16_is_fast(inputs.device) if self.bf16 is None else self.bf16
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=enabled):
            return network(inputs.contiguous(memory_format=torch.channels_last_3d), *args, **kwargs)


class HaloInferer(AutocastInferer):
    """Restore a volume (B, C, X, Y, Z) of any size: in one pass where memory allows, else in tiles that overlap by a halo.

    What it needs to know of the network it finds by trying it out, once: the stride that sides and tiles are aligned to,
    the memory of a voxel and, before the first volume that needs tiles, the halo. The border of each tile, which has seen
    too little of its surroundings, is thrown away; nothing is blended. Sides are padded to the stride by reflection. Tiles
    that hold one value only (air) are computed once. A network that is not equivariant to shifts, or that sees all of its
    window (attention, instance norm), runs in overlapping windows with blending instead (`SlidingWindowInferer`), and the
    log says so.

    The volume may lie on the CPU and the network on a GPU: then tiles are copied there and back while it computes. Where
    memory runs out all the same, the tiles are halved.

    Args:
        memory: GiB that input, output and network may use together; by default what `medgen.inference.memory` allows.
        flips: average over so many mirrored copies of the image (1, 2, 4 or 8): no better network, but a better mean.
        tolerance: largest error of a tile, relative to the output's range, that is as good as one pass. Halos of up to 64
            voxels are tried; where none is good enough, the log tells the error that is left.
        roi_size: window of a network that cannot be tiled.
        bf16: see `AutocastInferer`.
    """

    def __init__(
        self,
        memory: float | None = None,
        flips: int = 1,
        tolerance: float = 1e-4,
        roi_size: Sequence[int] = (96, 96, 96),
        bf16: bool | None = None,
    ) -> None:
        super().__init__(bf16)
        if flips not in FLIPS:
            raise ValueError(f"flips must be one of {', '.join(map(str, FLIPS))}, not {flips}")
        self.memory, self.flips, self.tolerance, self.roi_size = memory, flips, tolerance, tuple(roi_size)
        self._known: tuple[Any, Traits, int] | None = None  #: a network, what is known of it, its channels

    @torch.inference_mode()
    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        image = inputs.as_tensor() if hasattr(inputs, "as_tensor") else inputs
        traits = self._traits(network, image, args, kwargs)
        function = partial(self._averaged, partial(network, *args, **kwargs))
        if traits.stride is None:
            windows = SlidingWindowInferer(
                self.roi_size, overlap=0.5, mode="gaussian", sw_device=traits.device, device=image.device
            )
            return _like(windows(image, function), inputs)
        padded = _pad(image, traits.stride)
        tiles = self._plan(traits, padded.shape)
        while True:
            try:
                return _like(Stitcher(padded, traits.device).run(function, tiles), inputs)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            if traits.device.type == "cuda":
                torch.cuda.empty_cache()
            LOG.warning("out of memory with tiles of %d voxels; going on with half of that", tiles.largest)
            tiles = plan(padded.shape[2:], traits.stride, traits.halo, tiles.largest / 2)

    def cost(self, shape: Sequence[int], network: nn.Module, channels: int = 1) -> tuple[float, float]:
        """Return how many voxels a volume (X, Y, Z) makes the network compute, and the bytes that this takes at its peak."""
        traits = self._traits(network, torch.empty(1, channels, 0), (), {})
        stride = traits.stride or (1, 1, 1)
        padded = (1, channels, *(n + -n % step for n, step in zip(shape, stride)))
        if traits.stride is None:  # windows that overlap by half
            return 8.0 * self.flips * prod(padded[2:]), 3 * _held(padded) + prod(self.roi_size) * traits.bytes_a_voxel
        tiles = self._plan(traits, padded)
        return self.flips * tiles.work * prod(padded[2:]), _held(padded) + tiles.largest * traits.bytes_a_voxel

    def _traits(self, network: Callable[..., Any], image: Tensor, args: Any, kwargs: Any) -> Traits:
        """Return what is known of the network; of a method or a partial of one, of the network that it belongs to."""
        function = network.func if isinstance(network, partial) else network
        owner = getattr(function, "__self__", function)
        owner = owner if isinstance(owner, nn.Module) else network
        channels = image.shape[1]  # a network may take another path for more of them, with another field of view
        if self._known is None or self._known[0] is not owner or self._known[2] != channels:
            parameter = next(owner.parameters(), None) if isinstance(owner, nn.Module) else None
            device = image.device if parameter is None else parameter.device
            if self.bf16 is None:
                bf16_is_fast(device)  # measured now: it takes memory that is not the network's
            plain, fast = partial(owner, *args, **kwargs), partial(self._fast, partial(owner, *args, **kwargs))
            self._known = (owner, Traits(plain, fast, channels, device, self.tolerance), channels)
        return self._known[1]

    def _plan(self, traits: Traits, shape: Sequence[int]) -> Plan:
        """Return one pass where memory allows, else tiles."""
        stride = traits.stride or (1, 1, 1)
        whole = plan(shape[2:], stride, (0, 0, 0), prod(shape[2:]))
        voxels = allowance(traits.device, _held(shape), self.memory) / traits.bytes_a_voxel
        return whole if whole.largest <= voxels else plan(shape[2:], stride, traits.halo, voxels)

    def _fast(self, function: Callable[[Tensor], Any], image: Tensor) -> Any:
        return super().__call__(image, function)

    def _averaged(self, function: Callable[[Tensor], Any], image: Tensor) -> Any:
        total: Any = None
        for axes in FLIPS[self.flips]:
            out = tree_map(partial(_float_flipped, axes=axes), self._fast(function, image.flip(axes)))
            total = out if total is None else tree_map(Tensor.add_, total, out)
        return tree_map(lambda t: t / self.flips, total) if self.flips > 1 else total


def _float_flipped(image: Tensor, axes: tuple[int, ...]) -> Tensor:
    return image.float().flip(axes) if axes else image.float()


def _held(shape: Sequence[int]) -> int:
    """Return the bytes of input and output."""
    return 8 * prod(shape)


def _like(output: Any, inputs: Tensor) -> Any:
    """Cut the padding off, and add the input's metadata, for SaveImaged."""
    x, y, z = inputs.shape[2:]
    return tree_map(lambda t: convert_to_dst_type(t[..., :x, :y, :z], inputs, dtype=torch.float32)[0], output)


def _pad(image: Tensor, stride: Sequence[int]) -> Tensor:
    """Pad to multiples of the stride by reflection, there and back again as often as it takes.

    Copies of the last plane would look free of noise.
    """
    for axis, step in zip((2, 3, 4), stride):
        length = image.shape[axis]
        index = torch.arange(length + -length % step, device=image.device) % max(2 * length - 2, 1)
        if len(index) > length:
            image = image.index_select(axis, torch.minimum(index, 2 * length - 2 - index).clamp_min(0))
    return image
