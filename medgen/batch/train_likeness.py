"""What scans a training saw, as a bundle keeps it to tell a scan that is unlike them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medgen.evaluation.likeness import fit
from medgen.evaluation.likeness_forms import LEAST, ROWS, fair, features_of, scale_of, seen
from medgen.scans import ScanError, read

FEWEST = 3  #: scans: of fewer, nothing tells what is usual


def likeness_of(files: Sequence[Path], is_ct: bool, permissive: bool = False) -> dict[str, Any] | None:
    """Return what `medgen.evaluation.likeness.fit` keeps of scans, clean and damaged as inputs may be; None of too few.

    Of many scans, those are taken that lie evenly in the list.
    """
    taken = [files[int(i)] for i in np.unique(np.linspace(0, len(files) - 1, min(len(files), ROWS // LEAST)).round())]
    tables = []
    for number, path in enumerate(taken):
        try:
            scan = read(path, permissive=permissive)
        except ScanError:  # not there any more: no reason to lose a training
            continue
        rng = np.random.RandomState(number)
        image = seen(np.asarray(scan.image[0], dtype=np.float32))
        found = features_of(fair(image, scan.spacing, is_ct, rng), is_ct, rng, ROWS // len(taken))
        tables.append(np.stack(list(found.values())))
    return None if len(tables) < FEWEST else fit(tables, scale_of(is_ct))
