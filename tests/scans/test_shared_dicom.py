"""The real DICOM series of ../shared/data, where they are: what must come out of each folder."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medgen.scans import ScanError, find, read
from tests.scans.phantoms import RAS

SHARED = Path(os.environ.get("MEDGEN_SHARED", Path(__file__).parents[2].parent / "shared/data"))
CASES = SHARED / "loader_cases/dicom"
#: By folder: how many volumes come out, their shape, and the reason of what is refused.
EXPECTED: dict[str, tuple[int, tuple[int, ...], str]] = {
    "loader_cases/dicom/ct_ge_torchio_axial": (1, (88, 128, 17), ""),
    "loader_cases/dicom/mr_philips_dualecho": (4, (96, 96, 30), ""),
    "loader_cases/dicom/mr_philips_enhanced_b0": (2, (64, 64, 32), ""),
    "loader_cases/dicom/mr_siemens_enhanced_XA10": (4, (64, 64, 6), ""),
    "loader_cases/dicom/mr_siemens_mosaic_epi": (2, (72, 72, 5), ""),
    "loader_cases/dicom/mr_siemens_t1_HFDL_decubitus": (1, (256, 256, 35), ""),
    "loader_cases/dicom/mr_uih_dti_grid": (17, (64, 64, 20), ""),
    "loader_cases/dicom/prostatex0000_calcbval_MISSING_SLICE": (0, (), "1 slice"),
    "dev/dicom/ct_siemens_acrinflt013_chest": (1, (512, 512, 49), ""),
    "train/dicom/ct_ge_vtk_headsq_axial": (1, (64, 64, 93), ""),
    "train/dicom/ct_lungfcp0001_chest": (1, (512, 512, 98), ""),
    "train/dicom/ct_siemens_kits00072_abdomen": (1, (512, 512, 18), ""),
    "train/dicom/prostatex0000_adc": (1, (84, 128, 19), ""),
    "train/dicom/prostatex0000_t2_tra": (1, (384, 384, 19), ""),
}
#: 4D where it is asked for.
FOUR_D = {
    "mr_philips_dualecho": [(2, 96, 96, 30)] * 2,
    "mr_siemens_enhanced_XA10": [(4, 64, 64, 6)],
    "mr_siemens_mosaic_epi": [(2, 72, 72, 5)],
    "mr_uih_dti_grid": [(17, 64, 64, 20)],
}
#: Of one CT slice in many transfer syntaxes, those that lose nothing.
LOSSLESS = ("1.2", "1.2.1", "1.2.2", "1.2.1.99", "1.2.5", "1.2.4.57", "1.2.4.70", "1.2.4.80", "1.2.4.90")


@pytest.mark.parametrize("name", EXPECTED)
def test_every_folder_gives_what_is_in_it(name: str) -> None:
    if not (SHARED / name).is_dir():
        pytest.skip("the shared scans are not here")
    count, shape, reason = EXPECTED[name]
    cases, errors, _ = find(SHARED / name)
    scans = []
    for case in cases:
        try:
            scans.append(read(case))
        except ScanError as error:
            errors.append(error)
    assert [tuple(scan.image.shape) for scan in scans] == [(1, *shape)] * count
    assert bool(errors) == bool(reason) and all(reason in error.reason for error in errors)


@pytest.mark.parametrize("name", FOUR_D)
def test_four_dimensions_as_asked(name: str) -> None:
    if not (CASES / name).is_dir():
        pytest.skip("the shared scans are not here")
    cases, _, _ = find(CASES / name, four_d=True)
    assert [tuple(read(case, four_d=True).image.shape) for case in cases] == FOUR_D[name]


@pytest.mark.parametrize("name", [name for name, (count, _, _) in EXPECTED.items() if count == 1])
def test_single_volumes_are_as_gdcm_reads_them(name: str) -> None:
    if not (SHARED / name).is_dir():
        pytest.skip("the shared scans are not here")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(SHARED / name)))
    image = reader.Execute()
    scan = read(SHARED / name)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    np.testing.assert_allclose(scan.image.affine.numpy(), RAS @ affine, atol=0.02)
    np.testing.assert_allclose(scan.image[0].numpy(), sitk.GetArrayFromImage(image).transpose(2, 1, 0), atol=1e-3)


def test_every_transfer_syntax_gives_the_same_slice(tmp_path: Path) -> None:
    import pydicom

    from medgen.scans.dicom_header import open_instance
    from medgen.scans.dicom_pixels import pixels
    from medgen.scans.scan import Reading

    folder = CASES / "transfer_syntax_ct_cornerstone"
    if not folder.is_dir():
        pytest.skip("the shared scans are not here")
    truth = pydicom.dcmread(folder / "CTImage.dcm").pixel_array
    seen = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted(folder.glob("CTImage.dcm_*")):
            instance = open_instance(path)
            try:
                (array,) = pixels(instance, path.read_bytes(), [0], Reading())
            except ScanError as error:
                assert "codecs" in error.remedy or "not supported" in error.reason, str(error)
                continue
            short = instance.syntax.removeprefix("1.2.840.10008.")
            if short in LOSSLESS:
                np.testing.assert_array_equal(array, truth)
            seen.append(short)
    assert {"1.2", "1.2.1", "1.2.2", "1.2.1.99", "1.2.5"} <= set(seen)
