"""Scans to order, made by the shipped bundle that takes sentences."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medgen.batch.ordered import check, ordered
from medgen.batch.results import Options
from medgen.bundles import Bundle, BundleError, available, open_bundle, read_metadata
from medgen.text.items import TextError

TEXT = "Sagittal T2, 20 mm lesion in the right parietal lobe, no motion"
(NAME,) = (name for name, root in available().items() if read_metadata(root).get("text"))


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(NAME, "cpu")


@pytest.fixture(scope="module")
def made(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (result,) = ordered(bundle, TEXT, 1, Options(folder, seed=4))
    assert result.error is None and len(result.files) == 2
    return folder


def test_the_file_says_that_it_is_synthetic_and_what_was_made(made: Path) -> None:
    (path,) = made.glob("*.nii.gz")
    image = nib.load(path)
    assert b"SYNTHETIC" in bytes(image.header["descrip"].item()) and "synthesis" in path.name
    assert image.header.get_zooms() == pytest.approx((3, 2, 2), abs=1e-3)
    sidecar = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
    assert sidecar["synthetic"] is True and sidecar["modality"] == "MR" and sidecar["parameters"]["seed"] == 4
    assert sidecar["report"]["spec"]["contrast"] == "T2"
    assert sidecar["report"]["nearest_training_scan"]["image"]["distance"] > sidecar["report"]["nearest_training_scan"]["image"]["limit"]


def test_the_lesion_is_where_it_was_ordered_and_bright(made: Path) -> None:
    (path,) = made.glob("*.nii.gz")
    (edit,) = [one for one in json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())["report"]["edits"] if one.get("edit") == "lesion"]
    assert edit["obtained_mm"] == pytest.approx(20, abs=2) and edit["centre_mm"][0] > 0  # RAS+: right
    image = nib.load(path)
    x, y, z = np.rint(np.linalg.inv(image.affine) @ [*edit["centre_mm"], 1])[:3].astype(int)
    data = np.asarray(image.dataobj, float)
    assert data[x, y - 1 : y + 2, z - 1 : z + 2].mean() > 600  # white matter is 500


def test_a_seed_gives_the_same_scan_again_and_what_is_there_is_kept(bundle: Bundle, made: Path, tmp_path: Path) -> None:
    (again,) = ordered(bundle, TEXT, 1, Options(tmp_path, seed=4))
    (path,) = made.glob("*.nii.gz")
    assert np.array_equal(nib.load(again.files[0]).dataobj, nib.load(path).dataobj)
    (kept,) = ordered(bundle, TEXT, 1, Options(made, seed=4))
    assert kept.files == () and kept.error is None


def test_what_cannot_be_built_is_an_error_of_that_scan_alone(bundle: Bundle, tmp_path: Path) -> None:
    results = list(ordered(bundle, "T1, 90 mm lesion in the left hippocampus", 2, Options(tmp_path)))
    assert [result.files for result in results] == [(), ()]
    assert all("hippocampus" in str(result.error) and "\n" not in str(result.error) for result in results)


def test_a_contradiction_makes_nothing_and_other_bundles_take_no_text(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(TextError):
        list(ordered(bundle, "T1 and T2 of the same brain, 12 mm to the left", 1, Options(tmp_path)))
    assert not list(tmp_path.iterdir())
    with pytest.raises(BundleError, match="takes|text"):
        check(open_bundle(next(name for name in available() if name != NAME), "cpu"))
