"""What tiling needs to know of a network, found by trying it out: its stride, its reach, its memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from medgen.inference.memory import is_out_of_memory

LOG = logging.getLogger("medgen.inference")
USABLE = 1e-2  #: a larger error with the largest halo means that a network cannot be tiled
STRIDES = (1, 2, 4, 8, 16, 32)
REACH = 64  #: largest halo that is tried, in voxels
MARGIN = 50  #: between the tolerance and the error of the slab that is tried: a volume has more places for the worst error
ROUNDING = 1.5  #: between largest errors that are both of rounding
CORE = 32  #: planes that are compared
SIDES = (16, 32)  #: of the slabs that a network is tried on, across the axis that is tried: the first that it takes
SHIFTED = 2e-4  #: largest difference of a shifted output, relative to its range, that counts as the same

Function = Callable[[Tensor], Any]
Sides = tuple[int, int, int]  #: one number for each of X, Y and Z


class Traits:
    """What is known of a network, each found when first asked for.

    Args:
        function: the network in float32.
        fast: the network as it will run, for its memory.
        channels: of its input.
        tolerance: see `find_halo`.
    """

    def __init__(self, function: Function, fast: Function, channels: int, device: torch.device, tolerance: float) -> None:
        self.function, self.fast, self.channels, self.device = function, fast, channels, device
        self.tolerance = tolerance

    @cached_property
    def stride(self) -> Sides | None:
        """Return what sides and tiles are aligned to, or None where the network cannot be tiled."""
        with _exact():
            stride = find_stride(self.function, self.channels, self.device)
            if stride is not None and reaches_too_far(self.function, self.channels, self.device):
                stride = None
        if stride is None:
            LOG.warning("the network sees all of its window: it runs in overlapping windows with blending, not in tiles")
            return None
        return stride

    @cached_property
    def halo(self) -> Sides:
        """Return the halo of a tile, in voxels."""
        stride = self.stride or (1, 1, 1)
        with _exact():
            halo, error = find_halo(self.function, self.channels, self.device, stride, self.tolerance)
        LOG.info("tiles with a halo of %s voxels, at most %.1e of the range from one pass", halo, error)
        return halo

    @cached_property
    def bytes_a_voxel(self) -> float:
        """Return the memory of a forward pass for each voxel of a channel, window and result included."""
        return peak_bytes(self.fast, self.channels, self.device) + 8 * self.channels


def _exact() -> AbstractContextManager[None]:
    """Keep a GPU from rounding float32 to TF32, and from trying out kernels: that would drown what is looked for."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False)


def find_stride(function: Function, channels: int, device: torch.device) -> Sides | None:
    """Return the least shift along each axis that the function commutes with, or None where there is none up to 32.

    The middle of a long slab is compared, which its ends do not reach in float32. A network whose correction is faint
    seems to commute with any shift; so it must also take sides that are no multiple of a larger stride.
    """
    found = []
    length = 2 * REACH + CORE + max(STRIDES)
    for axis in (2, 3, 4):
        image = _slab(function, channels, axis, length + max(STRIDES), device)
        reference = _outputs(function(image.narrow(axis, 0, length)))
        for stride in STRIDES:
            if not _takes(function, image.narrow(axis, 0, length + stride)):
                continue
            shifted = _outputs(function(image.narrow(axis, stride, length)))
            if _difference(shifted, reference, axis, REACH, REACH + stride, CORE) < SHIFTED:
                found.append(stride)
                break
        else:
            return None
    return found[0], found[1], found[2]


def find_halo(
    function: Function, channels: int, device: torch.device, stride: Sequence[int], tolerance: float
) -> tuple[Sides, float]:
    """Return the least halo with which a tile equals the same part of one pass, and the error that is left.

    The error is the largest difference over the output's range, the worst of the three axes; it must be `MARGIN` times
    below the tolerance (the error falls tenfold and more with each 8 voxels of halo). Halos up to 64 voxels are tried.
    Where none is good enough, rounding may be what is left, as where a GPU computes tiles of another shape in another
    order: then the least that keeps the tolerance and is as good as the last is returned, else the last, with its error.
    """
    halos, worst = [], 0.0
    for axis, step in zip((2, 3, 4), stride):
        image = _slab(function, channels, axis, 4 * REACH + CORE, device)
        reference = _outputs(function(image))
        errors: dict[int, float] = {}
        for halo in range(0, REACH + 1, max(step, 4)):
            tile = _outputs(function(image.narrow(axis, 2 * REACH - halo, CORE + 2 * halo)))
            errors[halo] = error = _difference(tile, reference, axis, halo, 2 * REACH, CORE)
            if error <= tolerance / MARGIN:
                break
        else:
            halo = next(h for h, e in errors.items() if h == halo or e <= min(ROUNDING * error, tolerance))
        halos.append(halo)
        worst = max(worst, errors[halo])
    return (halos[0], halos[1], halos[2]), worst


def reaches_too_far(function: Function, channels: int, device: torch.device) -> bool:
    """Say whether the function sees more than `REACH` voxels, or the whole window: then it cannot be tiled."""
    image = _slab(function, channels, 2, 4 * REACH + CORE, device)
    tile = _outputs(function(image.narrow(2, REACH, CORE + 2 * REACH)))
    return _difference(tile, _outputs(function(image)), 2, REACH, 2 * REACH, CORE) > USABLE


@torch.inference_mode()
def peak_bytes(function: Function, channels: int, device: torch.device, side: int = 64) -> float:
    """Return the bytes that a forward pass holds at its peak beside its input, for each voxel of a channel.

    Counted in PyTorch's allocations; workspace inside of its kernels is not seen.
    """
    image = torch.rand(1, channels, side, side, side, device=device)
    with _Peak() as peak:
        function(image)
    return peak.most / side**3


def _slab(function: Function, channels: int, axis: int, length: int, device: torch.device) -> Tensor:
    """Return an image long in one axis: blocks of random grey with noise, the same each time."""
    for side in SIDES:
        shape = [side] * 3
        shape[axis - 2] = length
        generator = torch.Generator().manual_seed(0)
        blocks = torch.rand(1, channels, *(-(-n // 6) for n in shape), generator=generator)
        image = F.interpolate(blocks, scale_factor=6, mode="nearest")[..., : shape[0], : shape[1], : shape[2]]
        image = (image + 0.1 * torch.randn(image.shape, generator=generator)).clamp_min(0).to(device)
        if _takes(function, image.narrow(axis, 0, SIDES[-1])):
            return image
    raise ValueError(f"the network takes no image of {SIDES[-1]} voxels a side")


def _takes(function: Function, image: Tensor) -> bool:
    try:
        function(image)
    except (RuntimeError, ValueError, AssertionError) as error:  # levels of unequal size do not fit together
        if is_out_of_memory(error):
            raise
        return False
    return True


def _outputs(output: Any) -> list[Tensor]:
    return [leaf.detach() for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]


def _difference(mine: Iterable[Tensor], truth: Iterable[Tensor], axis: int, a: int, b: int, length: int) -> float:
    """Return the largest difference of `length` planes from `a` on and from `b` on, over the truth's range."""
    worst = 0.0
    for one, other in zip(mine, truth, strict=True):
        one, other = one.narrow(axis, a, length).float(), other.narrow(axis, b, length).float()
        scale = float(other.max() - other.min())
        worst = max(worst, float((one - other).abs().max()) / scale if scale > 0 else 0.0)
    return worst


class _Peak(TorchDispatchMode):
    """Follow how many bytes of new storage are alive, and the most that were."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {t.untyped_storage()._cdata for t in _outputs((args, kwargs))}
        output = func(*args, **(kwargs or {}))
        self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
        for tensor in _outputs(output):
            storage = tensor.untyped_storage()
            if storage._cdata not in given or storage._cdata in self._alive:
                self._alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self.most = max(self.most, sum(size for _, size in self._alive.values()))
        return output
