"""Voxels of a file into one float32 array, slab by slab, with every value that float32 does not hold told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor

from medgen.memory import free_memory
from medgen.scans.scan import Reading, Scan, ScanError
from medgen.scans.stored import Stream, read_exactly, read_some

SLAB = 16  #: slices converted at a time: 16 float32 of one row are a cache line, so turning the axes costs little


@dataclass(frozen=True)
class Layout:
    """How the voxels lie in a file: X fastest, then Y, Z and the volumes; if `interleaved`, the volumes fastest of all."""

    shape: tuple[int, int, int]
    dtype: np.dtype
    volumes: int = 1
    interleaved: bool = False
    slope: float = 1.0
    inter: float = 0.0

    @property
    def count(self) -> int:
        """Number of voxels."""
        return self.volumes * self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.count * self.dtype.itemsize

    @property
    def scaled(self) -> bool:
        """Whether the values are not those stored."""
        return (self.slope, self.inter) != (1.0, 0.0)


def read_voxels(path: Path, stream: Stream, layout: Layout, reading: Reading) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the voxels (volumes, X, Y, Z) as float32, and check that nothing follows them.

    Beside them, if `reading.repair`, the same in a type that holds them, None where float32 does. Whole numbers that float32
    rounds are noted. Raises `ScanError` for too few bytes or too many, for values that are not
    finite (which a permissive `reading` takes as 0), and for more voxels than the memory holds.
    """
    free = free_memory()
    if free is not None and layout.count * 4 > free:
        raise _too_large(path, layout)
    try:
        voxels = np.empty((layout.volumes, *layout.shape), np.float32)
    except (MemoryError, ValueError):
        raise _too_large(path, layout) from None
    exact: np.ndarray | None = None
    lost = np.zeros(2, int)  # NaN or infinite, rounded
    x, y, depth = layout.shape
    turns = 1 if layout.interleaved else layout.volumes
    for volume in range(turns):
        for z in range(0, depth, SLAB):
            shape = (x, y, min(SLAB, depth - z))
            shape_stored = (layout.volumes, *shape) if layout.interleaved else (1, *shape)
            stored = read_exactly(path, stream, int(np.prod(shape_stored)) * layout.dtype.itemsize)
            slab = np.frombuffer(stored, layout.dtype).reshape(shape_stored, order="F")
            values, wide, *some = _float32(path, slab, layout)
            at = (slice(volume, volume + 1) if turns > 1 else slice(None), ..., slice(z, z + SLAB))
            if reading.repair and exact is None and (some[1] or (values != wide).any()):
                with np.errstate(invalid="ignore"):  # of what is not read yet
                    exact = voxels.astype(wide.dtype.newbyteorder("="))  # so far they are the same
            voxels[at] = values
            if exact is not None:
                exact[at] = wide
            lost += some
    if read_some(path, stream, 1):  # for gzip, this checks the checksum too
        raise ScanError(path, "holds more bytes than its header states", "export it again")
    if lost[0]:
        reason = f"holds {lost[0]} NaN or infinite values"
        reading.doubt(path, reason, "replace them by numbers first", "they are taken as 0")
    if lost[1]:
        rounded = f"{lost[1]} {layout.dtype.newbyteorder('=')} values are rounded to the 24 bits of float32"
        reading.note(rounded if exact is None else f"{rounded}, but where they are kept as they are")
    return voxels, exact


def scan_of(
    path: Path, voxels: tuple[np.ndarray, np.ndarray | None], affine: np.ndarray, layout: Layout, digest: str, reading: Reading,
    codes: tuple[int, int] = (1, 1),
) -> Scan:  # fmt: skip
    """Return the scan, of what `read_voxels` read, of a format that knows neither modality nor units of its values."""
    image, exact = voxels
    dtype = np.dtype(np.float32) if layout.scaled else layout.dtype.newbyteorder("=")
    return Scan(
        image=MetaTensor(torch.from_numpy(image), affine=torch.from_numpy(affine)),
        units="arbitrary",
        modality="",
        dtype=dtype if exact is None else exact.dtype,
        source=path,
        sha256=digest,
        warnings=tuple(reading.warnings),
        codes=codes,
        exact=exact,
    )


def _too_large(path: Path, layout: Layout) -> ScanError:
    needed = f"{layout.count * 4 / 1e9:.1f} GB"
    return ScanError(path, f"needs {needed} of memory, more than is free", "close other programs, or crop the scan")


def _float32(path: Path, slab: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return a slab in float32, and as wide as it is, its number of values that are not finite (made 0), and of those rounded."""
    wide = slab * np.float64(layout.slope) + np.float64(layout.inter) if layout.scaled else slab
    values = wide.astype(np.float32, copy=False)
    if wide.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            if np.isfinite(wide)[~finite].any():
                raise ScanError(path, "holds values too large for float32", "scale them down first")
            return np.where(finite, values, np.float32(0)), np.where(finite, wide, 0), int(np.count_nonzero(~finite)), 0
    exact = slab.dtype.itemsize < 4 or slab.dtype.newbyteorder("=") == np.float32
    if exact or (layout.scaled and slab.dtype.kind == "f"):
        return values, wide, 0, 0
    if layout.scaled:  # rounding counts where it is half a stored step or more
        return values, wide, 0, int(np.count_nonzero(np.abs(values - wide) * 2 >= abs(layout.slope)))
    if slab.dtype.kind == "f":
        return values, wide, 0, int(np.count_nonzero(values != slab))
    magnitude = np.where(slab < 0, -slab, slab).astype(np.uint64)
    odd = magnitude >> np.uint64(24) != 0
    large = magnitude[odd]
    return values, wide, 0, int(np.count_nonzero(large // (large & -large) >> np.uint64(24)))
