"""A DICOM series is read right or refused with its reason; most of what can be odd or wrong is in the corpus."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels import get_encoder
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from medgen.scans import ScanError, dicom_series, find, read
from medgen.scans.dicom_series import read_series
from tests.scans import corpus_dicom_broken
from tests.scans.dicom_changes import AFFINE, ORIGIN, PIXEL, SHAPE, STEP, short_pixels
from tests.scans.hostile import costs_of_refusing
from tests.scans.phantoms import (
    ORIENTATIONS,
    RAS,
    added,
    assert_phantom,
    dicom_affine,
    field,
    save_series,
    series,
    set_pixels,
    turned,
)

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"


def test_positions_rounded_to_a_hundredth_are_no_error(tmp_path: Path) -> None:
    slices = series(ORIENTATIONS["double oblique"])
    for ds in slices:
        ds.ImagePositionPatient = [f"{float(v):.2f}" for v in ds.ImagePositionPatient]
        ds.ImageOrientationPatient = [f"{float(v):.4f}" for v in ds.ImageOrientationPatient]
    scan = read_series(save_series(slices, tmp_path))
    expected = dicom_affine(ORIENTATIONS["double oblique"], PIXEL, STEP, ORIGIN)
    np.testing.assert_allclose(scan.image.affine.numpy(), expected, atol=0.01)
    axes = scan.image.affine.numpy()[:3, :3] / scan.spacing
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)


def test_each_slice_is_rescaled_by_its_own_slope(tmp_path: Path) -> None:
    slices = series(modality="PT", slope=lambda z: 0.01 * (z + 1), intercept=lambda z: -5.0 * z)
    for ds in slices:
        ds.Units = "BQML"
    scan = read_series(save_series(slices, tmp_path))
    assert_phantom(scan, AFFINE, SHAPE, tolerance=0.03)
    assert (scan.modality, scan.units, scan.dtype) == ("PT", "BQML", np.float32)


def test_mr_without_rescale_is_as_stored(tmp_path: Path) -> None:
    scan = read_series(save_series(series(modality="MR", slope=lambda z: 0), tmp_path))
    assert_phantom(scan, AFFINE, SHAPE, tolerance=1e-4)
    assert (scan.modality, scan.units, scan.dtype) == ("MR", "arbitrary", np.int16)


@pytest.mark.parametrize("value, dtype", [(32767, np.int16), (40000, np.float32)])
def test_whole_values_that_fit_are_to_be_written_as_int16(value: int, dtype: type, tmp_path: Path) -> None:
    slices = series(modality="MR", signed=False, slope=lambda z: 0)
    set_pixels(slices[0], np.full((6, 4), value))
    assert read_series(save_series(slices, tmp_path)).dtype == dtype


@pytest.mark.parametrize("behind", [0, 3000, 1 << 23], ids=["each file waits", "two at a time", "none waits"])
def test_the_hash_is_of_all_files_in_order(behind: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_series, "BEHIND", behind)
    files = save_series(series(shape=(4, 6, 20)), tmp_path)
    scan = read_series(files)
    assert scan.sha256 == hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def test_a_real_series_is_read_as_gdcm_reads_it() -> None:
    folder = SAMPLES / "mr_brain_dicom"
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    scan = read(folder)
    np.testing.assert_allclose(scan.image[0].numpy(), sitk.GetArrayFromImage(image).transpose(2, 1, 0), atol=1e-3)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    np.testing.assert_allclose(scan.image.affine.numpy(), RAS @ affine, atol=1e-3)


millimetres = st.floats(0.4, 4)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    pixel=st.tuples(millimetres, millimetres),
    step=millimetres,
    origin=st.tuples(*[st.floats(-40, 40)] * 3),
    shape=st.tuples(st.integers(2, 5), st.integers(2, 5), st.integers(2, 5)),
    data=st.data(),
)
def test_any_series_says_its_place(
    angles: tuple[float, ...],
    pixel: tuple[float, float],
    step: float,
    origin: tuple[float, float, float],
    shape: tuple[int, int, int],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    orientation = turned(*angles)[:, :2].T.ravel().tolist()
    slices = series(orientation, shape=shape, pixel=pixel, step=step, origin=origin)
    files = save_series(data.draw(st.permutations(slices)), tmp_path_factory.mktemp("any"))
    assert_phantom(read_series(files), dicom_affine(orientation, pixel, step, origin), shape, tolerance=0.03)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_no_place_to_cut_a_file_short_goes_unseen(syntax: str, tmp_path: Path) -> None:
    files = save_series(series(), tmp_path, syntax)
    whole = files[-1].read_bytes()  # the last slice: without it the rest is an even series
    for cut in [*range(0, len(whole) - 4, 23), len(whole) - 5]:  # the last 4 bytes of RLE are no pixels
        files[-1].write_bytes(whole[:cut])
        with warnings.catch_warnings(), pytest.raises(ScanError):
            warnings.simplefilter("ignore")
            read_series(files)
        with warnings.catch_warnings(), pytest.raises(ScanError):
            warnings.simplefilter("ignore")
            read(tmp_path)


def test_the_error_names_the_broken_file(tmp_path: Path) -> None:
    files = save_series(short_pixels(series()), tmp_path, names=["e", "d", "b", "a", "c"])
    with pytest.raises(ScanError, match="cut short") as caught:
        read_series(sorted(files))
    assert caught.value.path == str(tmp_path / "b")


@pytest.mark.parametrize("content", [b"", b"no DICOM at all " * 20])
def test_what_is_no_dicom_is_refused(content: bytes, tmp_path: Path) -> None:
    files = save_series(series(), tmp_path)
    files[1].write_bytes(content)
    with pytest.raises(ScanError, match="z001.dcm: is not a readable DICOM file"):
        read_series(files)


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    files = save_series(series(), tmp_path)
    files[1].unlink()
    with pytest.raises(ScanError, match="z001.dcm: cannot be read"):
        read_series(files)
    files[1].mkdir()  # as root a file without permission can be read, a folder cannot
    with pytest.raises(ScanError, match="z001.dcm: cannot be read"):
        read_series(files)


def test_a_volume_of_time_keeps_all_slices_in_order(tmp_path: Path) -> None:
    slices = series()
    later = added(slices, 500, TemporalPositionIdentifier=2)
    save_series([*later[::-1], *added(slices, 0, TemporalPositionIdentifier=1)], tmp_path)
    (case,), _, _ = find(tmp_path, four_d=True)
    scan = read(case, four_d=True)
    assert scan.image.shape == (2, *SHAPE)
    assert [int(ds.TemporalPositionIdentifier) for ds in scan.slices] == [1] * 5 + [2] * 5
    assert [float(ds.ImagePositionPatient[2]) for ds in scan.slices] == [10, 13, 16, 19, 22] * 2
    first, second = scan.volumes()
    assert_phantom(first, AFFINE, SHAPE)
    assert len(second.slices) == 5 and float((second.image - first.image).min()) == pytest.approx(500, abs=0.1)
    with pytest.raises(ScanError, match="holds 2 volumes"):
        read(case)


def test_slices_are_whole_headers_without_pixels(tmp_path: Path) -> None:
    save_series(series(), tmp_path)
    scan = read(tmp_path)
    assert all(ds.PatientID and ds.file_meta.TransferSyntaxUID and "PixelData" not in ds for ds in scan.slices)
    assert [float(ds.ImagePositionPatient[2]) for ds in scan.slices] == [10, 13, 16, 19, 22]


def test_a_file_that_changes_after_it_was_found_is_parsed_again(tmp_path: Path) -> None:
    files = save_series(series(), tmp_path)
    (case,), _, _ = find(tmp_path)
    save_series([ds for ds in added(series(), 500)], tmp_path)
    os.utime(files[0], ns=(1, 1))
    scan = read(pickle.loads(pickle.dumps(case)))
    np.testing.assert_allclose(scan.image[0].numpy() - 500, field(AFFINE, SHAPE), atol=0.05)
    assert np.array_equal(read(case).image, scan.image)
    files[2].unlink()
    with pytest.raises(ScanError, match="z002.dcm: cannot be read"):
        read(case)


WITHOUT = """
import sys
for name in ("pylibjpeg", "libjpeg", "openjpeg", "jpeg_ls", "gdcm", "PIL"):
    sys.modules[name] = None  # so that importing it fails
from pathlib import Path
import numpy as np
from medgen.scans import ScanError, read
for folder in map(Path, sys.argv[1:]):
    try:
        np.save(folder.with_suffix(".npy"), read(folder).image[0].numpy())
    except ScanError as error:
        folder.with_suffix(".txt").write_text(str(error))
"""


def test_without_a_codec_the_result_is_the_same_or_the_error_names_it(tmp_path: Path) -> None:
    packages = {"rle": (RLELossless, ""), "ls": (JPEGLSLossless, "libjpeg"), "2000": (JPEG2000Lossless, "openjpeg")}
    packages = {name: (syntax, package) for name, (syntax, package) in packages.items() if get_encoder(syntax).is_available}
    assert {"rle", "ls"} <= set(packages)
    for name, (syntax, _) in packages.items():
        save_series(series(shape=(40, 48, 3)), tmp_path / name, syntax)
        np.testing.assert_allclose(read(tmp_path / name).image[0], field(AFFINE, (40, 48, 3)), atol=0.05)
    command = [sys.executable, "-c", WITHOUT, *(str(tmp_path / name) for name in packages)]
    subprocess.run(command, capture_output=True, text=True, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "rle.npy"), read(tmp_path / "rle").image[0])
    for name in set(packages) - {"rle"}:
        assert f"no decoder is installed; pip install medgen[codecs] (pylibjpeg-{packages[name][1]})" in (tmp_path / f"{name}.txt").read_text()


BOMBS = ("65535 rows", "a million frames", "a million frames without groups", "RLE bomb", "deflated bomb")


def test_bombs_take_neither_memory_nor_time(tmp_path: Path) -> None:
    for name in BOMBS:
        corpus_dicom_broken.ENTRIES[name].make(tmp_path / name)
    costs = dict(zip(BOMBS, costs_of_refusing(tmp_path / name for name in BOMBS), strict=True))
    assert all(megabytes < 500 and seconds < 5 for megabytes, seconds in costs.values()), costs
