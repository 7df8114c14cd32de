"""Where in the brain: the lobes and places of a label map, for lesions and atrophy."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, map_coordinates

from medgen.anatomy.classes import classes_of
from medgen.anatomy.flow import spacing_of
from medgen.anatomy.frame import frame, to_frame
from medgen.anatomy.sides import LATERAL, check_sides, world

LOBES = ("frontal", "parietal", "temporal", "occipital", "insula")
#: Two lobes: within JOINT mm of both.
JOINED = {
    "frontoparietal": ("frontal", "parietal"), "frontotemporal": ("frontal", "temporal"), "temporoparietal": ("temporal", "parietal"),
    "temporo-occipital": ("temporal", "occipital"), "parieto-occipital": ("parietal", "occipital"),
}  # fmt: skip
JOINT = 25.0
#: By classes, with what is left out.
BY_CLASS = {"cerebellum": (6, 7), "brainstem": (8,), "white matter": (2,)}
BY_LABEL: dict[str, dict[str, tuple[int, ...]]] = {
    "thalamus": {"freesurfer": (10, 49), "dlmuse": (59, 60)},
    "basal ganglia": {"freesurfer": (11, 12, 13, 26, 50, 51, 52, 58), "dlmuse": (23, 30, 36, 37, 55, 56, 57, 58, 75, 76)},
    "hippocampus": {"freesurfer": (17, 53), "dlmuse": (47, 48)},
    "corpus callosum": {"freesurfer": (192, 250, 251, 252, 253, 254, 255), "dlmuse": (95,)},
}
PERIVENTRICULAR, JUXTACORTICAL = 10.0, 4.0  #: mm of white matter from the lateral ventricles, from the cortex
PLACES = (*LOBES, *JOINED, *BY_CLASS, *BY_LABEL, "periventricular", "juxtacortical")

#: Right-sided labels of MUSE by lobe; the left one is the next number.
_MUSE_LOBES = {
    "frontal": (81, 100, 104, 112, 118, 120, 124, 136, 138, 140, 142, 146, 150, 152, 162, 164, 178, 182, 186, 190, 192, 204),
    "parietal": (85, 106, 148, 166, 168, 174, 176, 194, 198),
    "temporal": (87, 116, 122, 132, 154, 170, 180, 184, 200, 202, 206),
    "occipital": (83, 108, 114, 128, 134, 144, 156, 160, 196),
    "insula": (102, 172),
}
#: Parcels of FreeSurfer's Desikan-Killiany atlas, after 1000 (left) and 2000 (right).
_DESIKAN_LOBES = {
    "frontal": (2, 3, 12, 14, 17, 18, 19, 20, 24, 26, 27, 28, 32), "parietal": (8, 10, 22, 23, 25, 29, 31),
    "temporal": (1, 6, 7, 9, 15, 16, 30, 33, 34), "occipital": (5, 11, 13, 21), "insula": (35,),
}  # fmt: skip


def place_mask(labels: np.ndarray, affine: np.ndarray, scheme: str, place: str) -> np.ndarray:
    """Return where a place is (bool, same shape), on both sides.

    DLMUSE and FreeSurfer's parcellated cortex tell the lobes by their labels, and deep white matter goes with the nearest.
    Other maps get them from an atlas made of DLMUSE maps, laid on the head by its deep structures.

    Raises ValueError for another place than those of `PLACES`, or where the map has none of it.
    """
    if place not in PLACES:
        raise ValueError(f"there is no place '{place}'; choose from: {', '.join(PLACES)}")
    if place not in BY_CLASS and place != "juxtacortical":
        check_sides(scheme)  # such a place is told by labels that only schemes with sides have
    classes = classes_of(labels, scheme)
    if place in BY_CLASS:
        found = np.isin(classes, BY_CLASS[place])
    elif place in BY_LABEL:
        found = np.isin(labels, BY_LABEL[place].get(scheme, ()))
    elif place == "periventricular":
        found = (classes == 2) & _within(np.isin(labels, sum(LATERAL[scheme], ())), affine, PERIVENTRICULAR)
    elif place == "juxtacortical":
        found = (classes == 2) & _within(classes == 1, affine, JUXTACORTICAL)
    else:
        lobes = lobe_map(labels, affine, scheme)
        found = lobes == LOBES.index(place) + 1 if place in LOBES else _joined(lobes, affine, place)
    if not found.any():
        raise ValueError(f"the label map ({scheme}) has no {place}")
    return found


def lobe_map(labels: np.ndarray, affine: np.ndarray, scheme: str) -> np.ndarray:
    """Return the number of the lobe in `LOBES`, from 1 on, of cortex and white matter (uint8, same shape); else 0."""
    classes = classes_of(labels, scheme)
    if scheme == "dlmuse":
        table = {lobe: [n + k for n in numbers for k in (0, 1)] for lobe, numbers in _MUSE_LOBES.items()}
    elif scheme == "freesurfer" and (labels >= 1000).any():
        table = {lobe: [n + k for n in numbers for k in (1000, 2000)] for lobe, numbers in _DESIKAN_LOBES.items()}
    else:
        return np.where(np.isin(classes, (1, 2)), _by_atlas(labels, affine, scheme), 0).astype(np.uint8)
    lobes = np.zeros(labels.shape, np.uint8)
    for number, lobe in enumerate(LOBES, 1):
        lobes[np.isin(labels, table[lobe])] = number
    loose = (classes == 2) & (lobes == 0) & ~np.isin(labels, BY_LABEL["corpus callosum"][scheme])
    _, (x, y, z) = distance_transform_edt(lobes == 0, spacing_of(affine), return_indices=True)
    lobes[loose] = lobes[x[loose], y[loose], z[loose]]
    return lobes


def _by_atlas(labels: np.ndarray, affine: np.ndarray, scheme: str) -> np.ndarray:
    through = np.linalg.inv(frame()["affine"]) @ to_frame(labels, affine, scheme)
    index = world(affine, labels.shape) @ through[:3, :3].T.astype(np.float32) + through[:3, 3].astype(np.float32)
    return np.asarray(map_coordinates(frame()["lobes"], np.moveaxis(index, -1, 0), order=0, mode="nearest"))


def _within(mask: np.ndarray, affine: np.ndarray, mm: float) -> np.ndarray:
    return np.asarray(distance_transform_edt(~mask, spacing_of(affine)) <= mm) if mask.any() else mask


def _joined(lobes: np.ndarray, affine: np.ndarray, place: str) -> np.ndarray:
    one, other = (lobes == LOBES.index(lobe) + 1 for lobe in JOINED[place])
    return (one & _within(other, affine, JOINT)) | (other & _within(one, affine, JOINT))
