"""From a scan whose findings are known to words, and back."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from typer.testing import CliRunner

from medgen.anatomy.classes import classes_of
from medgen.anatomy.generator import usual_ventricles
from medgen.anatomy.lesions import place_lesion
from medgen.batch.describe import in_header
from medgen.cli import app
from medgen.evaluation import segmenter
from medgen.scans import Scan
from medgen.synthesis.describe import describe
from medgen.text.parse import parse
from tests.anatomy.phantom import head
from tests.synthesis.phantom import painted


def scanned() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image, labels and affine of a FLAIR scan with a lesion on each side."""
    labels, affine = head()
    for side, diameter, kind in (("left", 15, "ms-like"), ("right", 24, "tumour-like")):
        labels = place_lesion(labels, affine, "freesurfer", diameter, kind=kind, side=side, place="frontal", seed=1, oedema_mm=0).labels
    return painted(labels, "freesurfer", "FLAIR"), labels, affine


@pytest.mark.parametrize("sides", ["of the labels", "of the symmetry"])
def test_what_was_put_in_is_said_and_read_back(sides: str) -> None:
    image, labels, affine = scanned()
    given = labels if sides == "of the labels" else classes_of(labels, "freesurfer")
    found = describe(image, affine, given)
    assert (found.spec.contrast, found.spec.plane, found.spec.voxel_mm) == ("FLAIR", None, [3, 3, 3])
    assert [(one.kind, one.side, one.places["frontal"] > 0.5) for one in found.lesions] == [
        ("tumour-like", "right", True), ("ms-like", "left", True),
    ]  # fmt: skip
    assert [one.diameter_mm for one in found.lesions] == [pytest.approx(24, abs=3.1), pytest.approx(15, abs=3.1)]
    assert found.lesions[0].oedema is False
    for language in ("en", "zh"):
        assert parse(found.text(language)).spec == found.spec
    json.dumps(found.told())


def test_a_mirrored_head_has_its_lesions_on_the_other_side() -> None:
    image, labels, affine = scanned()
    classes = classes_of(labels, "freesurfer")
    found = describe(image[::-1], affine, classes[::-1])  # the same affine: the patient himself is mirrored
    assert [one.side for one in found.lesions] == ["left", "right"]
    flip = affine @ np.diag([-1.0, 1, 1, 1])
    flip[:3, 3] += affine[:3, 0] * (image.shape[0] - 1)
    found = describe(image[::-1], flip, classes[::-1])  # stored the other way round: the patient is the same
    assert [one.side for one in found.lesions] == ["right", "left"]


def test_a_segmentation_says_nothing_of_lesions_and_denies_none() -> None:
    image, labels, affine = scanned()
    found = describe(image, affine, classes_of(labels, "freesurfer"), segmented=True)
    assert found.lesions == [] and found.spec.lesions is None and "lesion" not in found.text("en")
    sound, affine = head()
    assert describe(painted(sound, "freesurfer", "T1"), affine, sound, segmented=True).spec.lesions is None
    assert describe(painted(sound, "freesurfer", "T1"), affine, sound).spec.lesions == []


def test_ventricles_are_compared_with_those_of_an_age_and_sex_where_they_are_known() -> None:
    labels, affine = head()
    image = painted(labels, "freesurfer", "T1")
    plain, old, child = (describe(image, affine, labels, age_and_sex=one) for one in (None, (80.0, "male"), (8.0, "male")))
    assert old.of_age and old.usual_ml == usual_ventricles(80, "male")
    assert old.told()["ventricles"]["factor"] == pytest.approx(old.ventricles.ml / old.usual_ml, abs=1e-3)
    assert old.spec.ventricles is not None and plain.spec.ventricles is not None and old.spec.ventricles.factor < plain.spec.ventricles.factor
    assert plain == child and plain.told()["ventricles"]["factor"] == round(plain.ventricles.factor, 3)


def test_wrong_maps_are_refused() -> None:
    labels, affine = head()
    with pytest.raises(ValueError, match="two equal 3D grids"):
        describe(labels[1:], affine, labels)
    with pytest.raises(ValueError, match="no brain"):
        describe(labels, affine, np.where(labels == 515, labels, 0))


def saved(folder: Path) -> tuple[str, str]:
    image, labels, affine = scanned()
    nib.save(nib.Nifti1Image(image, affine), folder / "scan.nii.gz")
    nib.save(nib.Nifti1Image(labels, affine), folder / "labels.nii.gz")
    return str(folder / "scan.nii.gz"), str(folder / "labels.nii.gz")


def test_the_command_says_what_parse_reads(tmp_path: Path) -> None:
    scan, labels = saved(tmp_path)
    told = CliRunner().invoke(app, ["describe", scan, "--labels", labels, "--json"])
    assert told.exit_code == 0, told.output
    (row,) = json.loads(told.stdout)["scans"]
    assert parse(row["text"]).spec.model_dump(exclude_none=True) == row["spec"] and row["labelled_by"] == "label map"
    chinese = CliRunner().invoke(app, ["describe", scan, "--labels", labels, "--language", "zh", "--outlines"])
    assert chinese.exit_code == 0 and "肿瘤" in chinese.stdout


def test_age_and_sex_of_dicom_headers() -> None:
    def told(**header: str) -> object:
        slices = ({name: header[name] for name in header},)
        return in_header(Scan(MetaTensor(torch.zeros(1, 2, 2, 2)), "", "MR", np.dtype(np.int16), Path("x"), "", slices))  # type: ignore[arg-type]

    assert told(PatientAge="070Y", PatientSex="F") == (70, "female")
    assert told(PatientAge="018M", PatientSex="F") is told(PatientAge="070Y", PatientSex="O") is told() is None


@pytest.mark.parametrize("axes", ["LPS", "PSR", "AIL"])
def test_a_label_map_may_be_stored_in_another_order(tmp_path: Path, axes: str) -> None:
    scan, labels = saved(tmp_path)
    there = nib.load(labels)
    turn = nib.orientations.ornt_transform(nib.io_orientation(there.affine), nib.orientations.axcodes2ornt(axes))
    nib.save(there.as_reoriented(turn), tmp_path / "turned.nii.gz")
    assert nib.load(tmp_path / "turned.nii.gz").shape != there.shape or axes == "LPS"
    rows = [json.loads(CliRunner().invoke(app, ["describe", scan, "--labels", path, "--json"]).stdout)["scans"]
            for path in (labels, str(tmp_path / "turned.nii.gz"))]  # fmt: skip
    assert rows[0] == rows[1] and "text" in rows[0][0]


def test_the_command_refuses(tmp_path: Path) -> None:
    scan, labels = saved(tmp_path)
    other = nib.load(labels)
    nib.save(nib.Nifti1Image(np.asarray(other.dataobj), np.diag([2, 3, 3, 1.0])), tmp_path / "moved.nii.gz")
    moved = CliRunner().invoke(app, ["describe", scan, "--labels", str(tmp_path / "moved.nii.gz")])
    assert moved.exit_code == 1 and "another grid" in moved.stdout
    assert CliRunner().invoke(app, ["describe", scan, scan.replace("scan", "labels"), "--labels", labels]).exit_code == 2
    assert CliRunner().invoke(app, ["describe", scan, "--outlines"]).exit_code == 2
    assert CliRunner().invoke(app, ["describe", scan, "--language", "fr"]).exit_code == 2


@pytest.mark.skipif("brain-any" not in segmenter.names(), reason="the segmenter's weights are not in this checkout")
def test_the_command_labels_a_scan_by_itself(tmp_path: Path) -> None:
    scan, _ = saved(tmp_path)
    told = CliRunner().invoke(app, ["describe", scan, "--json"])
    (row,) = json.loads(told.stdout)["scans"]
    if told.exit_code == 0:
        assert row["labelled_by"] == "brain-any" and parse(row["text"]).spec.voxel_mm == [3, 3, 3]
    else:  # ellipsoids may be no brain to it: it must say so
        assert "brain" in row["problem"]
