"""Lesions painted into a label map: of a kind, on a side, in a place, of a longest diameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import binary_opening, distance_transform_edt, gaussian_filter, label
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from medgen.anatomy.classes import LESIONS, classes_of
from medgen.anatomy.flow import Edited, spacing_of
from medgen.anatomy.places import place_mask
from medgen.anatomy.sides import PAIRS, millilitres, rightward, side_mask

OEDEMA = 904


@dataclass(frozen=True)
class Shape:
    """What lesions of a kind look like: their number, the classes they lie in, axes against the longest, and roughness."""

    number: int
    classes: tuple[int, ...]
    axes: tuple[float, float]  #: the two shorter axes of the ellipsoid, as parts of the longest
    rough: float  #: standard deviation of the outline, as a part of the radius
    oedema: bool = False


KINDS = {
    "ms-like": Shape(901, (2,), (0.7, 0.55), 0.08),
    "stroke-like": Shape(902, (1, 2, 4, 5, 6, 7, 8), (0.8, 0.65), 0.16),
    "tumour-like": Shape(903, (1, 2, 4, 5, 6, 7, 8), (0.9, 0.8), 0.12, oedema=True),
}
KINDS["unspecified"] = KINDS["ms-like"]
#: Places without white matter of the cerebrum: a lesion there lies in what there is.
_ELSEWHERE = ("cerebellum", "brainstem", "thalamus", "basal ganglia", "hippocampus", "insula")
OEDEMA_MM = 20.0  #: that oedema reaches by default at most
FULL = 0.5  #: least part of a lesion's shape that must be free for it, when it is as large as it can be
TRIES = 24  #: centres that are tried
ASIDE = 5  #: times a lesion is drawn until its centre is on its side of the midplane


def place_lesion(
    labels: np.ndarray, affine: np.ndarray, scheme: str, diameter_mm: float, *, kind: str = "unspecified", side: str | None = None,
    place: str | None = None, oedema_mm: float | None = None, seed: int = 0, centre_mm: Sequence[float] | None = None,
    grows_to: float | None = None,
) -> Edited:  # fmt: skip
    """Paint one lesion whose longest diameter is `diameter_mm`, wholly in a place and on a side.

    The lesion is an ellipsoid of random direction (small ones are rounder) with a rough outline, cut by the tissues that its kind lies in; its diameter
    is the longest distance between its voxels' centres and a voxel more, and is met within a voxel. Oedema goes into the
    white matter of that side around it, also beyond the place. Lesions that are there already are kept.

    Args:
        labels: (X, Y, Z) whole numbers of `scheme`.
        affine: of the grid, mm.
        diameter_mm: 0.5 to 120.
        kind: "ms-like" (901), "stroke-like" (902), "tumour-like" (903) or "unspecified", which is painted as MS-like.
        side: "left", "right", or None or "bilateral" for either.
        place: see `places.PLACES`; None for anywhere in the cerebrum.
        oedema_mm: how far oedema (904) reaches around it; by default half of a tumour's diameter, 20 mm at most; else none.
        seed: of centre, direction and outline.
        centre_mm: world place that the lesion is put at, or as near to it as is free; by default it is drawn.
        grows_to: diameter that this lesion has at last: with the same seed and centre, one of another diameter is a stage of it.

    Raises ValueError where it does not fit, with the largest that does.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no kind '{kind}' of lesion; choose from: {', '.join(KINDS)}")
    if not 0.5 <= diameter_mm <= 120:
        raise ValueError(f"a lesion of {diameter_mm:g} mm is outside of 0.5 to 120 mm")
    shape, spacing = KINDS[kind], spacing_of(affine)
    rounder = _rounder(shape, (grows_to or diameter_mm) / float(spacing.mean()))
    classes = classes_of(labels, scheme)
    own_side = side_mask(labels, affine, scheme, side)
    free = own_side & (place_mask(labels, affine, scheme, place) if place else np.isin(classes, (1, 2, 4, 5)))
    free &= np.isin(classes, (1, 2, 4, 5, 6, 7, 8) if place in _ELSEWHERE else shape.classes)
    where, a_kind = " ".join(filter(None, (side, place))) or "brain", f"a{'n' if kind[0] == 'u' else ''} {kind}"
    if not free.any():
        raise ValueError(f"the map has no tissue in the {where} for {a_kind} lesion")
    at = None
    if centre_mm is not None:
        places = np.argwhere(free)
        at = places[np.linalg.norm(places @ affine[:3, :3].T + affine[:3, 3] - np.asarray(centre_mm), axis=1).argmin()]
    what, last = f"{a_kind} lesion in the {where}", grows_to or diameter_mm

    def fitted(*key: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
        try:
            rng = np.random.default_rng(key)
            return *_fit(free, spacing, diameter_mm, rounder, rng, what, at, last), rng
        except ValueError:
            if rounder == shape:
                raise
            rng = np.random.default_rng(key)  # as flat as its kind is, it may fit
            return *_fit(free, spacing, diameter_mm, shape, rng, what, at, last), rng

    mask, centre, rng = fitted(seed)
    if side in ("left", "right") and at is None:  # a hemisphere crosses the midplane in places: its centre does not, if that can be
        away = rightward(labels, affine, scheme) * (1 if side == "right" else -1)
        for other in range(1, ASIDE):
            if away[mask].mean() >= spacing.mean():
                break
            mask, centre, rng = max((mask, centre, rng), fitted(seed, other), key=lambda one: float(away[one[0]].mean()))
    new = labels.astype(np.promote_types(labels.dtype, np.int16))  # 8 bits do not hold a lesion's number
    new[mask] = shape.number
    reach = (min(diameter_mm / 2, OEDEMA_MM) if shape.oedema else 0.0) if oedema_mm is None else oedema_mm
    rim = np.zeros_like(mask)
    if reach:
        same = own_side if side in ("left", "right") or scheme not in PAIRS else _half(mask, labels, affine, scheme)
        noise = _texture(mask.shape, spacing, 6.0, rng).clip(-2, 2)  # beyond, far places would be islands of it
        far = distance_transform_edt(~mask, spacing) * (1 + 0.25 * noise)
        rim = (far <= reach) & (classes == 2) & same & ~mask & ~np.isin(labels, list(LESIONS))
        new[rim] = OEDEMA
    report = {
        "edit": "lesion", "kind": kind, "side": side, "place": place, "requested_mm": diameter_mm,
        "obtained_mm": round(longest(mask, affine), 3), "obtained_ml": round(millilitres(mask, affine), 4),
        "oedema_ml": round(millilitres(rim, affine), 4), "centre_mm": [round(float(v), 2) for v in _centre(mask, affine)], "seed": seed,
        "grown_from_mm": [round(float(v), 2) for v in affine[:3, :3] @ centre + affine[:3, 3]],
    }  # fmt: skip
    return Edited(new, None, report)


def _rounder(shape: Shape, voxels: float) -> Shape:
    """Return the shape of a lesion so many voxels long: below 6 it is rounder, as few voxels in a row are seen in no image."""
    small = min(max((6 - voxels) / 3, 0.0), 1.0)
    return replace(shape, axes=(shape.axes[0] + small * (1 - shape.axes[0]), shape.axes[1] + small * (1 - shape.axes[1])))


def longest(mask: np.ndarray, affine: np.ndarray) -> float:
    """Return the longest diameter of a mask in mm: between the centres of its voxels, and a mean voxel more; 0 for none."""
    index = np.argwhere(mask)
    if not len(index):
        return 0.0
    points = index @ affine[:3, :3].T
    try:
        points = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):  # few, or all in a plane
        points = points[:: max(len(points) // 2000, 1)]
    return float((pdist(points).max() if len(points) > 1 else 0.0) + spacing_of(affine).mean())


def _fit(
    free: np.ndarray, spacing: np.ndarray, diameter: float, shape: Shape, rng: np.random.Generator, what: str, at: np.ndarray | None,
    grows_to: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return the lesion's mask in what is free, and its centre: `at`, else the one that leaves its shape the fullest."""
    depth = distance_transform_edt(np.pad(free, 1), spacing)[1:-1, 1:-1, 1:-1]
    wanted = min(diameter / 2 * shape.axes[1] * 0.8, float(depth.max()) * 0.8)
    centres = rng.permutation(np.argwhere(depth >= wanted))[:TRIES] if at is None else at[None]
    most = longest(free, np.diag([*spacing, 1.0]))
    tried = []
    for centre in centres:
        own = np.random.default_rng(rng.integers(2**32)) if at is None else rng
        axes, _ = np.linalg.qr(own.standard_normal((3, 3)))
        local = _Blob(free, centre, spacing, grows_to if diameter <= most else most, axes, shape, own)
        mask, full = local.of(diameter) if diameter <= most else (None, 0.0)
        tried.append((full, mask is not None, local, mask, centre))
        if mask is not None and full > 0.9:
            break
    best = max(tried, key=lambda t: (t[1], t[0]))
    if best[3] is None or best[0] < FULL:
        largest = max(t[2].largest() for t in tried)
        raise ValueError(f"{what} of {diameter:g} mm does not fit here; the largest that does has {largest:.3g} mm")
    mask = np.zeros(free.shape, bool)
    mask[best[2].box] = best[3]
    return mask, best[4]


class _Blob:
    """A lesion's shape around a centre: its size grows until the diameter is met."""

    def __init__(self, free: np.ndarray, centre: np.ndarray, spacing: np.ndarray, diameter: float, axes: np.ndarray,
                 shape: Shape, rng: np.random.Generator) -> None:  # fmt: skip
        reach = np.ceil(0.9 * diameter / spacing).astype(int) + 2
        low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, free.shape)
        self.box = tuple(slice(int(a), int(b)) for a, b in zip(low, high))
        self.free, self.spacing, self.at = free[self.box], spacing, tuple(centre - low)
        index = np.stack(np.meshgrid(*(np.arange(n) for n in self.free.shape), indexing="ij"), -1)
        from_centre = ((index - centre + low) * spacing) @ axes / np.array([1.0, *shape.axes])
        noise = _texture(self.free.shape, spacing, max(diameter / 6, float(spacing.max())), rng)
        self.far = np.linalg.norm(from_centre, axis=-1) * np.exp(shape.rough * noise)  # mm along the longest axis
        self.affine = np.diag([*spacing, 1.0])

    def grown(self, radius: float) -> tuple[np.ndarray, float]:
        """Return the part of a shape of this radius that is free and hangs together with its centre, and which part that is."""
        whole = self.far <= radius
        whole[self.at] = True
        numbers, _ = label(whole & self.free)
        mask = numbers == numbers[self.at]
        blunt, _ = label(binary_opening(mask))  # a tip of one voxel would count for the diameter, and no image shows it
        if blunt[self.at]:
            mask = blunt == blunt[self.at]
        return mask, float(np.count_nonzero(mask) / np.count_nonzero(whole))

    def of(self, diameter: float) -> tuple[np.ndarray | None, float]:
        """Return the mask with this longest diameter within a voxel, or None, and which part of its shape it is."""
        low, high = 0.0, 0.9 * diameter
        best: tuple[float, np.ndarray | None, float] = (float(self.spacing.max()), None, 0.0)
        for _ in range(16):
            middle = (low + high) / 2
            mask, full = self.grown(middle)
            measured = longest(mask, self.affine)
            best = min(best, (abs(measured - diameter), mask, full), key=lambda t: t[0])
            low, high = (middle, high) if measured < diameter else (low, middle)
        return best[1], best[2]

    def largest(self) -> float:
        """Return the longest diameter in mm that its place leaves it."""
        sizes = [self.grown(radius) for radius in np.linspace(0, self.far.max(), 40)[1:]]
        return max([longest(mask, self.affine) for mask, full in sizes if full >= FULL], default=float(self.spacing.mean()))


def _texture(shape: tuple[int, ...], spacing: np.ndarray, mm: float, rng: np.random.Generator) -> np.ndarray:
    """Return smooth noise of mean 0 and standard deviation 1 with a length of `mm`."""
    noise = gaussian_filter(rng.standard_normal(shape), mm / spacing)
    return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-9))


def _half(mask: np.ndarray, labels: np.ndarray, affine: np.ndarray, scheme: str) -> np.ndarray:
    """Return the half of the head that most of a mask is in."""
    distance = rightward(labels, affine, scheme)
    return np.asarray(distance > 0 if np.median(distance[mask]) > 0 else distance < 0)


def _centre(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return np.asarray(np.argwhere(mask).mean(0) @ affine[:3, :3].T + affine[:3, 3])
