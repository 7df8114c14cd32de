"""The classes that brains are painted by, and how the numbers of FreeSurfer, SynthSeg and DLMUSE become them.

The numbers are those of FreeSurferColorLUT.txt (SynthSeg's are among them; from 502 on, the tissues outside of the brain in
SynthSeg's training maps), and of the MUSE atlas (Doshi et al., NeuroImage 2016), which DLMUSE writes. Lesions have no
number that both know, so that these have their own.
"""

from __future__ import annotations

import numpy as np

#: Class of each index.
NAMES = (
    "outside", "cerebral cortex", "cerebral white matter", "ventricles", "deep grey matter", "hippocampus and amygdala",
    "cerebellar cortex", "cerebellar white matter", "brainstem", "cerebrospinal fluid", "bone and air", "soft tissue", "fat",
    "white matter lesion", "infarct", "tumour", "oedema", "venous sinus",
)  # fmt: skip
#: What both schemes call lesions here; a cavity is filled with fluid.
LESIONS = {901: 13, 902: 14, 903: 15, 904: 16, 905: 9}
FREESURFER: dict[int, tuple[int, ...]] = {
    1: (3, 42, *range(1000, 1036), *range(2000, 2036)),
    2: (2, 41, 85, 192, 250, 251, 252, 253, 254, 255),
    3: (4, 5, 14, 15, 31, 43, 44, 63, 72),
    4: (10, 11, 12, 13, 26, 28, 49, 50, 51, 52, 58, 60, 136, 137, 138, 163, 164),
    5: (17, 18, 53, 54),
    6: (8, 47),
    7: (7, 46),
    8: (16, 512),
    9: (24, 257, 506),
    10: (165, 515),
    11: (30, 62, 258, 502, 507, 508, 509, 514, 530),
    12: (511, 516),
    13: (25, 57, 77, 78, 79),
}
MUSE: dict[int, tuple[int, ...]] = {
    1: tuple(range(100, 208)),
    2: (44, 45, *range(81, 96), 69),
    3: (4, 11, 49, 50, 51, 52),
    4: (23, 30, 36, 37, 55, 56, 57, 58, 59, 60, 61, 62, 75, 76),
    5: (31, 32, 47, 48),
    6: (38, 39, 71, 72, 73),
    7: (40, 41),
    8: (35,),
    9: (1, 46),  # 1 is what DLMUSE leaves of the space within the skull
}
#: The classes' own numbers, for maps that are made here.
OWN: dict[int, tuple[int, ...]] = {number: (number,) for number in range(1, len(NAMES))}
SCHEMES = {"freesurfer": FREESURFER, "dlmuse": MUSE, "medgen": OWN}
#: Sides of paired labels that tell whose map it is: the ventricles' numbers.
_TELLING = {"freesurfer": (4, 43), "dlmuse": (51, 52)}


def scheme_of(labels: np.ndarray) -> str:
    """Return the name of the scheme that a label map is in, by the numbers in it.

    Raises ValueError with the choices where none or several fit.
    """
    found = set(np.unique(labels).tolist()) - {0, *LESIONS}
    fitting = [name for name, table in SCHEMES.items() if found <= {n for numbers in table.values() for n in numbers}]
    if len(fitting) > 1:  # a few numbers are in two schemes
        fitting = [name for name in fitting if name in _TELLING and found & set(_TELLING[name])] or fitting
    if len(fitting) != 1:
        odd = {name: sorted(found - {n for numbers in table.values() for n in numbers}) for name, table in SCHEMES.items()}
        told = "; ".join(f"{name} does not know {', '.join(map(str, numbers[:5]))}" for name, numbers in odd.items() if numbers)
        raise ValueError(
            f"the label map fits {'no scheme' if not fitting else ' and '.join(fitting)} ({told or 'too few numbers to tell'}); "
            f"name its scheme: {', '.join(SCHEMES)}"
        )
    return fitting[0]


def classes_of(labels: np.ndarray, scheme: str = "auto") -> np.ndarray:
    """Return the class of each voxel (uint8, same shape) of a label map with whole numbers.

    Raises ValueError for another scheme than there is, and for numbers that the scheme does not know.
    """
    whole = np.rint(labels).astype(np.int64)
    if not np.array_equal(whole, labels) or (whole < 0).any():
        raise ValueError("the image is no label map: its values are no whole numbers from 0 on")
    scheme = scheme_of(whole) if scheme == "auto" else scheme
    if scheme not in SCHEMES:
        raise ValueError(f"there is no scheme '{scheme}' of labels; choose from: auto, {', '.join(SCHEMES)}")
    table = np.full(int(max(whole.max(initial=0), max(LESIONS))) + 1, 255, np.uint8)
    table[0] = 0
    for number, members in SCHEMES[scheme].items():
        table[[m for m in members if m < len(table)]] = number
    for number, own in LESIONS.items():
        table[number] = own
    classes = table[whole]
    unknown = np.unique(whole[classes == 255])
    if len(unknown):
        raise ValueError(f"{scheme} has no label {', '.join(map(str, unknown[:8]))}; the table is in medgen/anatomy/README.md")
    return classes
