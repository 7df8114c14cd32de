"""Left and right of a brain whose classes have no sides: its plane of symmetry, and sided FreeSurfer numbers by it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import affine_transform, distance_transform_edt, gaussian_filter, map_coordinates
from scipy.optimize import minimize

from medgen.anatomy.flow import spacing_of
from medgen.anatomy.frame import frame, to_frame
from medgen.anatomy.sides import PAIRS, world

TISSUE = (1, 2, 4, 5, 6, 7, 8)  #: classes of sound brain
LESIONS = (13, 14, 15, 16)
GRID = 3.0  #: mm of the grid that symmetry is judged on
SMOOTH = 5.0  #: mm of the smoothing, so that the halves' small differences do not matter
TILTS = np.deg2rad(np.arange(-24, 25, 6))  #: about the axes to the front and upwards, that are tried first
#: Groups of classes that are compared with their mirror images.
_MIRRORED = ((*TISSUE, 3, *LESIONS), (3, 4), (6, 7), (2, *LESIONS))
#: FreeSurfer's numbers on the left of each class; one that stands for several structures is told apart by the frame's landmarks.
_LEFT = {1: 3, 2: 2, 3: 4, 4: 10, 5: 17, 6: 8, 7: 7, 8: 16, 9: 24}
#: Structures of a class, (left, right) numbers, and the rows of the frame's landmarks where their centres are.
_PARTS = {
    3: (((4, 43), (16, 17)), ((14, 14), (18, 18))),
    4: (((10, 49), (0, 1)), ((11, 50), (2, 3)), ((12, 51), (4, 5)), ((13, 52), (6, 7))),
    5: (((17, 53), (8, 9)), ((18, 54), (10, 11))),
}
THIRD = 4.0  #: mm from the midplane that the third ventricle reaches


def symmetry_plane(classes: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the plane that the brain is best mirrored by: unit normal towards the patient's right, offset in mm.

    A point x is as many mm to the right as normal.x - offset. Heads that are turned by up to about 25 degrees are found;
    which side is the right one is told by the affine alone.

    Args:
        classes: (X, Y, Z) of `medgen.anatomy.classes`.
        affine: of the grid, RAS+ mm.

    Raises ValueError where there is less than 50 ml of brain.
    """
    brain = np.argwhere(np.isin(classes, _MIRRORED[0]))
    if len(brain) * abs(np.linalg.det(affine[:3, :3])) < 50e3:
        raise ValueError("there is too little brain to find its midplane: less than 50 ml")
    points = brain[:: max(len(brain) // 20000, 1)] @ affine[:3, :3].T + affine[:3, 3]
    low, high = points.min(0) - 4 * GRID, points.max(0) + 4 * GRID
    grid = np.diag([GRID, GRID, GRID, 1.0])
    grid[:3, 3] = low
    coarse = affine_transform(classes, np.linalg.inv(affine) @ grid, output_shape=tuple(np.ceil((high - low) / GRID).astype(int)), order=0)
    images = [gaussian_filter(np.isin(coarse, group).astype(np.float32), SMOOTH / GRID) for group in _MIRRORED]
    where = np.argwhere(images[0] > 0.05)[::5].astype(np.float64)
    values = [image[tuple(where.astype(int).T)] for image in images]
    weights = [1 / max(float((v**2).sum()), 1e-6) for v in values]
    centre = (np.argwhere(images[0] > 0.5)).mean(0)

    def cost(at: np.ndarray) -> float:
        normal = _normal(at[0], at[1])
        mirrored = where - 2 * ((where - centre) @ normal - at[2])[:, None] * normal
        return sum(
            w * float(((v - map_coordinates(image, mirrored.T, order=1)) ** 2).sum())
            for image, v, w in zip(images, values, weights)
        )

    start = min(((yaw, roll, 0.0) for yaw in TILTS for roll in TILTS), key=lambda at: cost(np.array(at)))
    simplex = np.array([start, *(np.add(start, step) for step in np.diag([0.05, 0.05, 1.0]))])
    best = minimize(cost, start, method="Nelder-Mead", options={"initial_simplex": simplex, "xatol": 2e-3, "fatol": 1e-6, "maxfev": 200}).x
    normal = _normal(best[0], best[1])
    return normal, float((centre * GRID + low) @ normal + best[2] * GRID)


def with_sides(classes: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return sided FreeSurfer numbers (int16, same shape) of a class map; under lesions, of the sound tissue next to them.

    Deep grey matter is divided into thalamus, caudate, putamen and pallidum, class 5 into hippocampus and amygdala, and the
    ventricles into lateral, third and fourth by which centre of the frame is the nearest. Head tissues are 0.
    Errors are those of `symmetry_plane`.
    """
    normal, offset = symmetry_plane(classes, affine)
    right = world(affine, classes.shape) @ normal.astype(np.float32) - np.float32(offset)
    sound = without_lesions(classes, classes, affine)
    other = dict(PAIRS["freesurfer"])
    labels = np.zeros(classes.shape, np.int16)
    for number, left in _LEFT.items():
        labels[sound == number] = left
        labels[(sound == number) & (right > 0)] = other.get(left, left)
    labels[(sound == 3) & _low(sound, affine)] = 15
    try:
        to = to_frame(labels, affine, "freesurfer")
    except ValueError:
        return labels  # too little is there to tell structures apart
    centres = frame()["landmarks"]
    for number, parts in _PARTS.items():
        for side, here in enumerate(((right <= 0), (right > 0))):
            index = np.argwhere((sound == number) & here & (labels != 15))
            places = (index @ affine[:3, :3].T + affine[:3, 3]) @ to[:3, :3].T + to[:3, 3]
            far = np.stack([np.linalg.norm(places - centres[rows[side]], axis=1) for _, rows in parts], 1)
            if number == 3:
                far[np.abs(right[tuple(index.T)]) > THIRD, 1] = np.inf
            labels[tuple(index.T)] = np.array([numbers[side] for numbers, _ in parts], np.int16)[far.argmin(1)]
    return labels


def _normal(yaw: float, roll: float) -> np.ndarray:
    return np.array([np.cos(yaw) * np.cos(roll), np.sin(yaw) * np.cos(roll), np.sin(roll)])


def without_lesions(labels: np.ndarray, classes: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return a label map with the labels of the nearest sound tissue where its classes are lesions or oedema."""
    lesions = np.isin(classes, LESIONS)
    if not lesions.any():
        return labels
    nearest = distance_transform_edt(~np.isin(classes, TISSUE), spacing_of(affine), return_distances=False, return_indices=True)
    return np.where(lesions, labels[tuple(nearest)], labels)


def _low(classes: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return what is nearer to the cerebellum and brainstem than to the cerebrum."""
    low = distance_transform_edt(~np.isin(classes, (6, 7, 8)), spacing_of(affine))
    return np.asarray(low < distance_transform_edt(~np.isin(classes, (1, 2, 4, 5)), spacing_of(affine)))
