"""A small BIDS dataset of phantoms, and the bids-validator (bids-validator-deno from PyPI)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

from tests.batch.tiny import ball, save

IMAGES = (
    "sub-01/ses-a/anat/sub-01_ses-a_T1w",
    "sub-01/ses-a/anat/sub-01_ses-a_acq-fast_run-1_FLAIR",
    "sub-01/ses-b/anat/sub-01_ses-b_T1w",
    "sub-02/anat/sub-02_T2w",
)


def make(root: Path) -> Path:
    """Write a valid raw dataset with `IMAGES`, a bold series, a phase image and a derivative with a mask; return its root."""
    write(root / "dataset_description.json", {"Name": "Balls", "BIDSVersion": "1.8.0", "DatasetType": "raw", "License": "CC0"})
    (root / "README").write_text("Balls in Rician noise, two subjects, two sessions. Made by a test, of no use to anybody else.\n")
    for number, name in enumerate(IMAGES):
        image(root / f"{name}.nii.gz", ball(number))
        write(root / f"{name}.json", {"MagneticFieldStrength": 3, "Manufacturer": "a maker"})
    anat = root / "sub-02/anat"
    image(anat / "sub-02_part-phase_T2w.nii.gz", ball(7))
    write(anat / "sub-02_part-phase_T2w.json", {"Units": "rad"})
    (root / "sub-02/func").mkdir()
    series = nib.Nifti1Image(np.stack([ball(8)] * 3, -1), np.diag([1, 1.2, 2, 1.0]))
    series.header.set_xyzt_units("mm", "sec")
    series.header["pixdim"][4] = 2
    nib.save(series, root / "sub-02/func/sub-02_task-rest_bold.nii.gz")
    write(root / "sub-02/func/sub-02_task-rest_bold.json", {"RepetitionTime": 2, "TaskName": "rest"})
    write(root / "derivatives/brains/dataset_description.json",
          {"Name": "Brains", "BIDSVersion": "1.8.0", "DatasetType": "derivative", "GeneratedBy": [{"Name": "hand"}]})  # fmt: skip
    image(root / "derivatives/brains/sub-02/anat/sub-02_desc-brain_mask.nii.gz", (ball(3) > 300).astype(np.uint8))
    image(root / "derivatives/brains/sub-02/anat/sub-02_desc-preproc_T2w.nii.gz", ball(3))
    write(root / "derivatives/brains/sub-02/anat/sub-02_desc-preproc_T2w.json", {"SkullStripped": True})
    return root


def image(path: Path, array: np.ndarray) -> None:
    save(path, array)
    header = nib.load(path)
    header.header.set_xyzt_units("mm", "sec")
    nib.save(nib.Nifti1Image(array, header.affine, header.header), path)


def write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def errors(root: Path) -> list[str]:
    """Return what the bids-validator calls errors: code, key and file of each."""
    program = Path(sys.executable).with_name("bids-validator-deno")
    done = subprocess.run([program, "--format", "json", root], check=False, capture_output=True, text=True, timeout=120)
    told = json.loads(done.stdout)
    assert told["summary"]["totalFiles"] > 1  # it looked
    found = [i for i in told["issues"]["issues"] if i["severity"] == "error"]
    return sorted(f"{i['code']} {i.get('subCode', '')} {i.get('location', '')}" for i in found)
