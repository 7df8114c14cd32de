"""Left and right in a label map: told by its paired labels, never by the order of the voxels."""

from __future__ import annotations

import numpy as np

from medgen.anatomy.classes import LESIONS, classes_of

#: Pairs (left, right) of each scheme that has sides.
PAIRS: dict[str, tuple[tuple[int, int], ...]] = {
    "freesurfer": (
        (2, 41), (3, 42), (4, 43), (5, 44), (7, 46), (8, 47), (10, 49), (11, 50), (12, 51), (13, 52), (17, 53), (18, 54),
        (25, 57), (26, 58), (28, 60), (30, 62), (31, 63), *((1000 + n, 2000 + n) for n in range(36)),
    ),
    "dlmuse": (
        (30, 23), (32, 31), (37, 36), (39, 38), (41, 40), (48, 47), (50, 49), (52, 51), (56, 55), (58, 57), (60, 59), (62, 61),
        (75, 76), *((n + 1, n) for n in (*range(81, 95, 2), *range(100, 208, 2))),
    ),
}  # fmt: skip
#: Lateral ventricles with their inferior horns, (left, right).
LATERAL = {"freesurfer": ((4, 5), (43, 44)), "dlmuse": ((52, 50), (51, 49))}
WITHIN_SKULL = (1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17)  #: classes of what lies within the skull


def check_sides(scheme: str) -> None:
    """Raise ValueError for a scheme whose labels have no sides."""
    if scheme not in PAIRS:
        raise ValueError(f"labels of the scheme '{scheme}' have no sides; use a map in one of: {', '.join(PAIRS)}")


def within_skull(labels: np.ndarray, scheme: str) -> np.ndarray:
    """Return where a label map has brain, fluid within the skull, or a lesion."""
    return np.isin(classes_of(labels, scheme), WITHIN_SKULL)


def world(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the world coordinates (X, Y, Z, 3) of all voxels, in mm, float32."""
    index = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij"), -1)
    return index @ affine[:3, :3].T.astype(np.float32) + affine[:3, 3].astype(np.float32)


def midplane(labels: np.ndarray, affine: np.ndarray, scheme: str) -> tuple[np.ndarray, float]:
    """Return the plane between the halves of the brain: unit normal towards the patient's right, offset in mm.

    A point x is as many mm to the right as normal.x - offset. The plane is the one that the centres of the paired labels are
    best mirrored by. Raises ValueError where a scheme has no sides, or a map fewer than three pairs.
    """
    check_sides(scheme)
    numbers, place = np.unique(labels, return_inverse=True)
    counts = np.bincount(place.ravel(), minlength=len(numbers))
    sums = np.stack([np.bincount(place.ravel(), np.broadcast_to(i, labels.shape).ravel(), len(numbers))
                     for i in np.ogrid[tuple(slice(n) for n in labels.shape)]], 1)  # fmt: skip
    centres = dict(zip(numbers.tolist(), sums / counts[:, None] @ affine[:3, :3].T + affine[:3, 3]))
    sizes = dict(zip(numbers.tolist(), counts))
    pairs = [(centres[a], centres[b], min(sizes[a], sizes[b])) for a, b in PAIRS[scheme] if a in centres and b in centres]
    if len(pairs) < 3:
        raise ValueError(f"the label map has {len(pairs)} pairs of left and right labels; its midplane needs 3")
    left, right, weights = (np.array(part, float) for part in zip(*pairs))
    across = np.einsum("n,ni,nj->ij", weights, right - left, right - left)
    normal = np.linalg.eigh(across)[1][:, -1]
    normal *= np.sign(weights @ ((right - left) @ normal))
    return normal, float(np.average((left + right) @ normal / 2, weights=weights))


def rightward(labels: np.ndarray, affine: np.ndarray, scheme: str) -> np.ndarray:
    """Return by how many mm each voxel lies to the patient's right of the midplane (float32, same shape)."""
    normal, offset = midplane(labels, affine, scheme)
    return world(affine, labels.shape) @ normal.astype(np.float32) - np.float32(offset)


def side_mask(labels: np.ndarray, affine: np.ndarray, scheme: str, side: str | None) -> np.ndarray:
    """Return where the asked side is: by paired labels, and by the midplane for what is on no side; all for None or bilateral."""
    if side in (None, "bilateral"):
        return np.ones(labels.shape, bool)
    if side not in ("left", "right"):
        raise ValueError(f"there is no side '{side}'; choose from: left, right, bilateral")
    check_sides(scheme)
    own, other = (0, 1) if side == "left" else (1, 0)
    distance = rightward(labels, affine, scheme)
    found = distance < 0 if side == "left" else distance > 0
    table = {pair[own]: True for pair in PAIRS[scheme]} | {pair[other]: False for pair in PAIRS[scheme]}
    for number in np.unique(labels).tolist():
        if number in table and number not in LESIONS:
            found[labels == number] = table[number]
    return found


def millilitres(mask: np.ndarray, affine: np.ndarray) -> float:
    """Return the volume of a mask in ml."""
    return float(np.count_nonzero(mask) * abs(np.linalg.det(affine[:3, :3])) / 1000)
