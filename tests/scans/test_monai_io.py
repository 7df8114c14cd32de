"""MONAI's LoadImaged with ScanReader reads what `read` reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from monai.bundle import ConfigParser
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, EnsureChannelFirstd, LoadImage, LoadImaged

from medgen.scans import ScanError, read
from medgen.scans.monai_io import ScanReader
from tests.scans.phantoms import ORIENTATIONS, field, itk_image, nifti_affine, nifti_image, save_series, series, turned

AFFINE = nifti_affine(turned(25, -17, 40), flips=(1, -1, 1))


@pytest.fixture(params=["dicom", "a.nii.gz", "a.nrrd", "a.mha"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    if path.name == "dicom":
        save_series(series(ORIENTATIONS["double oblique"])[::-1], path)
    elif path.suffix == ".gz":
        nib.save(nifti_image(AFFINE), path)
    else:
        sitk.WriteImage(itk_image(AFFINE), str(path))
    return path


@pytest.mark.parametrize("reader", [ScanReader, ScanReader(), "medgen.scans.monai_io.ScanReader"], ids=["class", "object", "name"])
def test_array_and_affine_are_those_of_read(reader: ScanReader | type[ScanReader] | str, path: Path) -> None:
    load = LoadImaged("image", reader=reader, ensure_channel_first=True, image_only=True)
    image = load({"image": str(path)})["image"]
    scan = read(path)
    assert image.shape == scan.image.shape
    np.testing.assert_array_equal(image.numpy(), scan.image.numpy())
    np.testing.assert_array_equal(image.affine.numpy(), scan.image.affine.numpy())
    np.testing.assert_array_equal(image.meta["original_affine"], scan.image.affine.numpy())
    np.testing.assert_allclose(image[0].numpy(), field(image.affine.numpy(), image.shape[1:]), atol=0.03)
    assert image.meta["filename_or_obj"] == str(path)


def test_two_images_of_one_item_keep_their_own_values(tmp_path: Path) -> None:
    nib.save(nifti_image(AFFINE), tmp_path / "a.nii")
    nib.save(nifti_image(nifti_affine()), tmp_path / "b.nii")
    item = LoadImaged(["a", "b"], reader=ScanReader)({"a": tmp_path / "a.nii", "b": tmp_path / "b.nii"})
    for key in "ab":
        np.testing.assert_allclose(item[key].numpy(), field(item[key].affine.numpy(), (4, 5, 6)), atol=1e-3)
    assert not np.allclose(item["a"].affine, item["b"].affine)


NAMED = "medgen.scans.monai_io.ScanReader"


def cut(path: Path, keep: int) -> Path:
    path.write_bytes(path.read_bytes()[:keep])
    return path


def bad_nifti(folder: Path) -> Path:
    nib.save(nifti_image(AFFINE), folder / "a.nii")
    return cut(folder / "a.nii", -1)  # which ITK fills up by zeros


def bad_itk(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        sitk.WriteImage(itk_image(AFFINE), str(folder / name))
        return cut(folder / name, -1)

    return make


def bad_dicom(folder: Path) -> Path:
    save_series([ds for z, ds in enumerate(series()) if z != 2], folder / "dicom")
    return folder / "dicom"


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "dicom": (bad_dicom, "missing"),
    "nifti": (bad_nifti, "truncated"),
    "nrrd": (bad_itk("a.nrrd"), "truncated"),
    "mha": (bad_itk("a.mha"), "truncated"),
    "absent": (lambda folder: folder / "absent.nii", "no such file"),
    "text": (lambda folder: folder / __file__, "not a scan"),
}


@pytest.mark.parametrize("reader", [ScanReader, ScanReader(), NAMED, ["PydicomReader", "NibabelReader", NAMED]], ids=["class", "object", "name", "last"])
@pytest.mark.parametrize("make, reason", BAD.values(), ids=BAD)
def test_an_unsound_scan_is_not_left_to_other_readers(
    make: Callable[[Path], Path], reason: str, reader: object, tmp_path: Path
) -> None:
    path = make(tmp_path)
    with pytest.raises(ScanError, match=reason):
        LoadImage(reader=reader)(path)
    with pytest.raises(RuntimeError) as caught:  # as any transform's
        Compose([LoadImaged("image", reader=reader)])({"image": path})
    assert isinstance(caught.value.__cause__, ScanError)
    with pytest.raises(ScanError, match=reason):
        LoadImage()(path, reader=ScanReader())


def test_a_config_names_the_reader_and_what_it_may_do(tmp_path: Path) -> None:
    image = nifti_image(AFFINE, sform=0, qform=0)
    nib.save(image, tmp_path / "a.nii")
    config = {"_target_": "LoadImaged", "keys": "image", "reader": NAMED}
    with pytest.raises(ScanError, match="no orientation"):
        ConfigParser({"load": config}).get_parsed_content("load")({"image": tmp_path / "a.nii"})
    load = ConfigParser({"load": {**config, "permissive": True}}).get_parsed_content("load")
    with warnings_logged() as messages:
        loaded = load({"image": tmp_path / "a.nii"})["image"]
    assert "no orientation" in loaded.meta["scan_warnings"] and "no orientation" in messages[0]
    np.testing.assert_allclose(loaded.affine, np.diag([1.0, 2, 3, 1]), atol=1e-5)


@contextmanager
def warnings_logged() -> Iterator[list[str]]:
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("medgen.scans").addHandler(handler)
    try:
        yield messages
    finally:
        logging.getLogger("medgen.scans").removeHandler(handler)


@pytest.mark.parametrize("volumes", [1, 3])
def test_volumes_become_channels(volumes: int, tmp_path: Path) -> None:
    array = np.stack([field(AFFINE, (4, 5, 6)) + 10 * t for t in range(volumes)], axis=-1).astype(np.float32)
    nib.save(nib.Nifti1Image(array, AFFINE), tmp_path / "a.nii.gz")
    steps = [LoadImaged("image", reader=ScanReader, four_d=True), EnsureChannelFirstd("image")]
    image = Compose(steps)({"image": tmp_path / "a.nii.gz"})["image"]
    np.testing.assert_array_equal(image.numpy(), np.moveaxis(array, -1, 0))
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)
    if volumes > 1:
        with pytest.raises(ScanError, match="medgen convert"):
            LoadImaged("image", reader=ScanReader)({"image": tmp_path / "a.nii.gz"})


def test_items_with_and_without_warnings_make_a_batch(tmp_path: Path) -> None:
    for name, intent in (("a.nii", 0), ("b.nii", 1002)):
        image = nifti_image(AFFINE)
        image.header["intent_code"] = intent
        nib.save(image, tmp_path / name)
    data = Dataset([{"image": tmp_path / name} for name in ("a.nii", "b.nii")], LoadImaged("image", reader=ScanReader))
    (batch,) = DataLoader(data, batch_size=2, num_workers=0)
    assert batch["image"].shape == (2, 4, 5, 6) and batch["image"].meta["scan_warnings"][0] == ""


def test_several_paths_are_not_one_scan(tmp_path: Path) -> None:
    for name in ("a.nii", "b.nii"):
        nib.save(nifti_image(AFFINE), tmp_path / name)
    with pytest.raises(ScanError, match="one of 2 paths"):
        LoadImaged("image", reader=ScanReader)({"image": [tmp_path / "a.nii", tmp_path / "b.nii"]})
