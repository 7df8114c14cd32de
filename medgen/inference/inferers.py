"""MONAI inferers for fully convolutional networks: the whole volume in one pass, or in tiles with a halo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import torch
from monai.inferers import Inferer
from monai.utils import convert_to_dst_type
from torch import Tensor

#: Axes of (B, C, X, Y, Z) to mirror, by the number of copies that are averaged; opposite corners first.
FLIPS: dict[int, list[tuple[int, ...]]] = {
    1: [()],
    2: [(), (2, 3, 4)],
    4: [(), (2, 3), (2, 4), (3, 4)],
    8: [(), (2,), (3,), (4,), (2, 3), (2, 4), (3, 4), (2, 3, 4)],
}


def bf16_is_fast(device: torch.device) -> bool:
    """Say whether `device` multiplies bfloat16 in hardware: a CUDA GPU since Ampere, a CPU with AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


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
    """Restore a volume (B, C, X, Y, Z) of any size: one pass up to `max_voxels`, else tiles that overlap by a halo.

    The border of each tile, which has seen too little of its surroundings, is thrown away; nothing is blended. Tiles
    begin at multiples of the network's stride, so with a halo of the receptive field the result is the one-pass result;
    with less the difference is small (`tests/inference` measures it). Sides are padded to the stride by reflection.

    Args:
        multiple: total stride of the network.
        max_voxels: largest volume for one pass.
        tile: side of a tile without its halo, in voxels; a multiple of `multiple`.
        halo: in voxels; a multiple of `multiple`.
        flips: average over so many mirrored copies of the image (1, 2, 4 or 8): no better network, but a better mean.
        bf16: see `AutocastInferer`.
    """

    def __init__(
        self,
        multiple: int = 8,
        max_voxels: int = 40_000_000,
        tile: int = 192,
        halo: int = 32,
        flips: int = 1,
        bf16: bool | None = None,
    ) -> None:
        super().__init__(bf16)
        if tile % multiple or halo % multiple or tile <= 0 or halo < 0:
            raise ValueError(f"tile {tile} and halo {halo} must be multiples of the network's stride, {multiple}")
        if flips not in FLIPS:
            raise ValueError(f"flips must be one of {', '.join(map(str, FLIPS))}, not {flips}")
        self.multiple, self.max_voxels, self.tile, self.halo, self.flips = multiple, max_voxels, tile, halo, flips

    @torch.inference_mode()
    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        image = inputs.as_tensor() if hasattr(inputs, "as_tensor") else inputs
        shape = image.shape[2:]
        padded = self._pad(image)
        if padded[0, 0].numel() <= self.max_voxels:
            out = self._averaged(padded, network, *args, **kwargs)
        else:
            out = torch.empty_like(padded, dtype=torch.float32)
            for core, window, inner in self._tiles(padded.shape[2:]):
                out[core] = self._averaged(padded[window], network, *args, **kwargs)[inner]
        out = out[..., : shape[0], : shape[1], : shape[2]]
        return convert_to_dst_type(out, inputs, dtype=torch.float32)[0]  # with the input's metadata, for SaveImaged

    def _averaged(self, image: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        copies = FLIPS[self.flips]
        out = torch.zeros_like(image, dtype=torch.float32)
        for axes in copies:
            out += super().__call__(image.flip(axes), network, *args, **kwargs).flip(axes)
        return out / len(copies)

    def _pad(self, image: Tensor) -> Tensor:
        for axis in (2, 3, 4):
            length = image.shape[axis]
            index = torch.arange(length + -length % self.multiple, device=image.device) % max(2 * length - 2, 1)
            if len(index) > length:  # there and back again, as often as it takes; copies of the last plane would look free of noise
                image = image.index_select(axis, torch.minimum(index, 2 * length - 2 - index))
        return image

    def _tiles(self, shape: Sequence[int]) -> Iterator[tuple[Any, Any, Any]]:
        """Yield the index of each tile, of the window that computes it, and of the tile in that window."""
        for start in product(*(range(0, n, self.tile) for n in shape)):
            core = [slice(s, min(s + self.tile, n)) for s, n in zip(start, shape)]
            window = [slice(max(c.start - self.halo, 0), min(c.stop + self.halo, n)) for c, n in zip(core, shape)]
            inner = [slice(c.start - w.start, c.stop - w.start) for c, w in zip(core, window)]
            yield (..., *core), (..., *window), (..., *inner)
