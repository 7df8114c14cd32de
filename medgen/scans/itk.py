"""The two formats of ITK that are read without it: NRRD and MetaImage, told apart by how they begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medgen.scans.metaimage import read_metaimage
from medgen.scans.nrrd import read_nrrd
from medgen.scans.scan import Reading, Scan
from medgen.scans.stored import Stored


@np.errstate(all="ignore")  # what is not finite is refused by its value
def read_itk(path: Path, reading: Reading | None = None) -> Scan:
    """Read a NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd) file; a `ScanError` for anything else."""
    with Stored(path) as stored:
        nrrd = stored.peek(4) == b"NRRD"
    return (read_nrrd if nrrd else read_metaimage)(path, reading or Reading())
