"""`simulate`: on a painted phantom, where intensities, volumes and sides are known."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from medgen.anatomy.classes import classes_of
from medgen.anatomy.flow import jacobian, warp_by_field
from medgen.anatomy.lesions import longest
from medgen.anatomy.sides import millilitres, side_mask, world
from medgen.anatomy.surgery import ball
from medgen.batch.operation import Operation
from medgen.batch.simulate import simulate
from medgen.bundles import BundleError, available, read_metadata
from medgen.scans import ScanError
from tests.anatomy.test_surgery import NOISE
from tests.anatomy.test_surgery import scan as painted


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A scan, its label map and a mask of 24 mm in the right frontal lobe, at 4 mm."""
    image, labels, affine = painted(4.0, "LPS")
    mask = ball(affine, image.shape, (33, 20, 45), 24)
    for name, array in (("head", np.rint(image).astype(np.int16)), ("labels", labels), ("mask", mask.astype(np.uint8))):
        nib.save(nib.Nifti1Image(array, affine), tmp_path / f"{name}.nii.gz")
    return tmp_path / "head.nii.gz", tmp_path / "labels.nii.gz", tmp_path / "mask.nii.gz"


def load(folder: Path, what: str) -> tuple[np.ndarray, nib.Nifti1Image]:
    image = nib.load(folder / f"head_synthetic_{what}.nii.gz")
    return np.asarray(image.dataobj), image


def test_a_resection_with_shift_writes_all_that_it_says(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    head, labels, mask = files
    out = tmp_path / "out"
    report = simulate(head, out, Operation(shift=4.0, steps=2), remove=mask, labels=labels)
    before, after, map_ = (load(out, what)[0] for what in ("before", "after", "labels"))
    original, affine = np.asarray(nib.load(head).dataobj), nib.load(head).affine
    taken, numbers = np.asarray(nib.load(mask).dataobj) > 0, np.asarray(nib.load(labels).dataobj)
    assert np.array_equal(before, original) and after.dtype == original.dtype
    series, image = load(out, "steps")
    assert series.shape == (*original.shape, 4) and np.array_equal(series[..., 0], original) and np.array_equal(series[..., -1], after)
    resected = series[..., 1]
    inside = ball(affine, original.shape, (33, 20, 45), 14)
    assert resected[inside].mean() == pytest.approx(80, abs=6) and resected[inside].std() == pytest.approx(NOISE, rel=0.5)
    assert report["removed"]["requested_ml"] == pytest.approx(millilitres(taken, affine), abs=1e-3)
    assert report["shift"]["obtained_mm"] == pytest.approx(4, abs=0.05)
    field, image = load(out, "field")
    assert field.shape == (*original.shape, 1, 3) and image.header.get_intent("code")[0] == 1007
    field = field[:, :, :, 0]
    assert jacobian(field, affine).min() > 0
    outside = np.isin(numbers, (0, 515))
    assert np.abs(field[outside]).max() == 0 and np.array_equal(after[outside & (np.abs(resected - original) == 0)], original[outside & (np.abs(resected - original) == 0)])
    np.testing.assert_allclose(warp_by_field(resected.astype(np.float32), field, affine), after, atol=1)
    assert report["shift"]["cavity_after_ml"] == pytest.approx(millilitres(map_ == 905, affine), abs=1e-3)
    assert 0 < report["shift"]["cavity_after_ml"] < report["shift"]["cavity_before_ml"]
    assert json.loads((out / "head_synthetic.json").read_text())["synthetic"] is True
    assert all("SYNTHETIC" in str(nib.load(path).header["descrip"]) for path in out.glob("*.nii.gz"))
    assert len(list(out.iterdir())) == 6 and all("synthetic" in path.name for path in out.iterdir())


def test_a_sentence_says_what_is_removed_or_inserted(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    head, labels, _ = files
    numbers, affine = np.asarray(nib.load(labels).dataobj), nib.load(labels).affine
    simulate(head, tmp_path / "in", Operation("T2, 24 mm stroke in the left frontal lobe", insert="lesion"), labels=labels)
    map_ = load(tmp_path / "in", "labels")[0]
    assert longest(map_ == 902, affine) == pytest.approx(24, abs=4) and side_mask(numbers, affine, "freesurfer", "left")[map_ == 902].all()
    after, before = load(tmp_path / "in", "after")[0], load(tmp_path / "in", "before")[0]
    changed = after != before
    assert after[map_ == 902].mean() < before[map_ == 902].mean() - 40 and (changed & (map_ != 902)).sum() < 4 * (map_ == 902).sum()  # the soft edge
    # what is in the map is what the sentence means
    nib.save(nib.Nifti1Image(map_, affine), tmp_path / "with.nii.gz")
    simulate(head, tmp_path / "out", Operation("stroke in the left frontal lobe"), labels=tmp_path / "with.nii.gz")
    assert np.array_equal(load(tmp_path / "out", "labels")[0] == 905, map_ == 902)
    told = json.loads((tmp_path / "in" / "head_synthetic.json").read_text())
    assert told["warnings"] == ["of the text, this was not used: contrast"] and "stroke" not in json.dumps(told["operation"])


@pytest.mark.parametrize("text", ["T2, 16 mm bilateral frontal stroke lesions", "双侧额叶16毫米梗死"])
def test_bilateral_lesions_are_inserted_and_removed_on_both_sides(text: str, files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    head, labels, _ = files
    made = simulate(head, tmp_path / "in", Operation(text, insert="lesion"), labels=labels)
    map_, image = load(tmp_path / "in", "labels")
    left = world(image.affine, map_.shape)[..., 0] < 3  # the phantom's midplane
    darker = load(tmp_path / "in", "before")[0].astype(int) - load(tmp_path / "in", "after")[0]
    for side, told in zip((left, ~left), made["inserted"], strict=True):
        lesion = (map_ == 902) & side
        assert longest(lesion, image.affine) == pytest.approx(16, abs=4) and darker[lesion].mean() > 25
        assert millilitres(lesion, image.affine) == pytest.approx(told["obtained_ml"], abs=1e-3)
    nib.save(nib.Nifti1Image(map_, image.affine), tmp_path / "with.nii.gz")
    for with_, kept in ((tmp_path / "with.nii.gz", map_ == 902), (labels, None)):  # its lesions, or regions of that size
        report = simulate(head, tmp_path / "out", Operation(text), labels=with_)
        cavity = load(tmp_path / "out", "labels")[0] == 905
        assert all(longest(cavity & side, image.affine) == pytest.approx(16, abs=4) for side in (left, ~left))
        assert kept is None or np.array_equal(cavity, kept)
        assert report["removed"]["requested_ml"] == pytest.approx(millilitres(cavity, image.affine), abs=1e-3)


def test_a_size_chooses_among_the_lesions_of_the_map(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    head, labels, _ = files
    image = nib.load(labels)
    map_ = np.asarray(image.dataobj).astype(np.int16)
    small, large = (ball(image.affine, map_.shape, at, mm) for at, mm in (((-17, 35, 50), 8), ((-29, 35, 22), 20)))
    map_[small | large] = 902
    nib.save(nib.Nifti1Image(map_, image.affine), tmp_path / "with.nii.gz")
    simulate(head, tmp_path / "out", Operation("8 mm lesion in the left frontal lobe"), labels=tmp_path / "with.nii.gz")
    after = load(tmp_path / "out", "labels")[0]
    assert np.array_equal(after == 905, small) and np.array_equal(after == 902, large)
    with pytest.raises(ValueError, match="left frontal lesion.* of 40 mm; the label map has there: .* mm left, .* mm left; none of them fit"):
        simulate(head, tmp_path / "no", Operation("40 mm lesion in the left frontal lobe"), labels=tmp_path / "with.nii.gz")


@pytest.mark.parametrize("remedy", ["none", "with oedema", "healthy"])
def test_the_oedema_of_a_removed_tumour_goes_with_it_or_is_told(remedy: str, files: tuple[Path, Path, Path], tmp_path: Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    head, labels, _ = files
    simulate(head, tmp_path / "in", Operation("20 mm tumour in the left frontal lobe", insert="lesion"), labels=labels)
    map_, image = load(tmp_path / "in", "labels")
    ml = millilitres(map_ == 904, image.affine)
    assert ml > 3
    nib.save(nib.Nifti1Image(map_, image.affine), tmp_path / "with.nii.gz")
    repair = SimpleNamespace(root=Path("it"), metadata={})
    monkeypatch.setattr("medgen.batch.operation._repairer", lambda scan, operation: repair)
    monkeypatch.setattr("medgen.batch.operation.apply", lambda bundle, scan, hole: SimpleNamespace(warnings=(), images={"": np.full(map_.shape, 300.0)}))
    text = f"20 mm tumour in the left frontal lobe{' with oedema' if remedy == 'with oedema' else ''}"
    fill = "healthy" if remedy == "healthy" else "fluid"
    report = simulate(tmp_path / "in" / "head_synthetic_after.nii.gz", tmp_path / "out", Operation(text, fill=fill), labels=tmp_path / "with.nii.gz")
    after = np.asarray(nib.load(tmp_path / "out" / "head_synthetic_after_synthetic_labels.nii.gz").dataobj)
    removed, both = report["removed"], (map_ == 903) | (map_ == 904)
    if remedy == "none":
        assert np.array_equal(after == 904, map_ == 904) and np.array_equal(after == 905, map_ == 903)
        assert (removed["oedema_ml"], removed["oedema_left_ml"]) == (0, pytest.approx(ml, abs=1e-3))
        assert [f"{removed['oedema_left_ml']:g} ml of oedema" in warning for warning in report["warnings"]] == [True]
        return
    assert not np.isin(after, (903, 904)).any() and report["warnings"] == []
    assert (removed["oedema_ml"], removed["oedema_left_ml"]) == (pytest.approx(ml, abs=1e-3), 0)
    assert np.array_equal(after == 905, both & (fill == "fluid"))
    sound = np.asarray(nib.load(labels).dataobj)
    assert np.array_equal(after[~both], sound[~both]) and (fill == "fluid" or (after == sound)[both].mean() > 0.8)


def test_an_open_size_is_not_inserted(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    head, labels, _ = files
    with pytest.raises(ValueError, match="a size of at least 16 mm is open at one end"):
        simulate(head, tmp_path / "no", Operation("stroke over 16 mm in the left frontal lobe", insert="lesion"), labels=labels)
    report = simulate(head, tmp_path / "in", Operation("stroke of 16 to 24 mm in the left frontal lobe", insert="lesion"), labels=labels)
    assert 16 <= report["inserted"][0]["requested_mm"] <= 24
    assert report["inserted"][0]["obtained_mm"] == pytest.approx(report["inserted"][0]["requested_mm"], abs=4)


def test_without_a_label_map_a_network_tells_the_side(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    head, labels, _ = files
    report = simulate(head, tmp_path, Operation("16 mm stroke in the right frontal lobe", insert="lesion", device="cpu"))
    map_, image = load(tmp_path, "labels")
    where = world(image.affine, map_.shape)[map_ == 902]
    assert report["labelled_by"] == "brain-any" and [warning.startswith("the label map is by brain-any") for warning in report["warnings"]] == [True]
    assert (where[:, 0] > 3).all() and where[:, 1].mean() > 0  # the phantom's midplane, and its front half
    assert longest(map_ == 902, image.affine) == pytest.approx(16, abs=4)
    classes = classes_of(np.asarray(nib.load(labels).dataobj)).astype(np.int16)
    nib.save(nib.Nifti1Image(classes, image.affine), tmp_path / "classes.nii.gz")
    with pytest.raises(ValueError, match="needs --labels with sides"):
        simulate(head, tmp_path, Operation("16 mm stroke", insert="lesion"), labels=tmp_path / "classes.nii.gz")


def test_an_electrode_and_a_void_have_no_signal(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    head, _, _ = files
    simulate(head, tmp_path / "e", Operation(insert="electrode", at=(13, 0, 10), entry=(45, 10, 80), size=9))
    simulate(head, tmp_path / "v", Operation(insert="void", at=(-20, 10, 45), size=20))
    after, image = load(tmp_path / "v", "after")
    core = ball(image.affine, after.shape, (-20, 10, 45), 8)
    assert after[core].max() < 20 and load(tmp_path / "v", "before")[0][core].min() > 250
    assert (load(tmp_path / "e", "after")[0].astype(int) < load(tmp_path / "e", "before")[0] - 100).sum() * 64 > 2000


def test_a_hole_is_filled_by_a_bundle_that_repairs(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    head, labels, mask = files
    report = simulate(head, tmp_path, Operation(fill="healthy", device="cpu"), remove=mask, labels=labels)
    assert read_metadata(available()[report["removed"]["bundle"]])["purpose"] == "repair"
    after, before, taken = load(tmp_path, "after")[0], load(tmp_path, "before")[0], np.asarray(nib.load(mask).dataobj) > 0
    assert np.array_equal(after[~taken], before[~taken]) and not np.array_equal(after[taken], before[taken])
    assert not (load(tmp_path, "labels")[0] == 905).any()


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (Operation(), "nothing is to be done"),
        (Operation("stroke in the left frontal lobe"), "without a label map it is not known where the scan's lesions are; give --labels"),
        (Operation(shift=3.0), "a shift needs a cavity"),
        (Operation(insert="lesion"), "Give --at R,A,S in mm, or --text and --labels"),
        (Operation(insert="electrode", at=(0, 0, 0)), "needs --entry"),
        (Operation(insert="pacemaker"), "choose from: lesion, electrode, void"),
        (Operation(insert="lesion", at=(0, 0, 40), kind="wart"), "no kind 'wart' of lesion"),
        (Operation(insert="void", at=(900, 0, 0)), "outside of the scan"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(operation: Operation, message: str, files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(files[0], tmp_path / "out", operation)
    assert not (tmp_path / "out").exists()


def test_what_does_not_fit_is_refused(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    head, labels, mask = files
    nib.save(nib.Nifti1Image(np.ones((5, 5, 5), np.uint8), np.eye(4)), tmp_path / "other.nii.gz")
    with pytest.raises(ScanError, match="is not the reference's"):
        simulate(head, tmp_path / "out", Operation(), remove=tmp_path / "other.nii.gz")
    with pytest.raises(ScanError):
        simulate(head, tmp_path / "out", Operation(), remove=tmp_path / "missing.nii.gz")
    with pytest.raises(BundleError, match="no bundle is named 'nothing'"):
        simulate(head, tmp_path / "out", Operation(fill="healthy", bundle="nothing"), remove=mask)
    with pytest.raises(ValueError, match="choose from: fluid, healthy"):
        simulate(head, tmp_path / "out", Operation(fill="glue"), remove=mask)
    with pytest.raises(ValueError, match="names no lesion"):
        simulate(head, tmp_path / "out", Operation("a T1 of a woman"), labels=labels)
