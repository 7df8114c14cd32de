"""Derived series of files that hold many slices: each image is in the right place, and names the frame that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medgen.scans import Scan, ScanError, find, read
from medgen.scans.deidentify import Deidentifier
from tests.scans import corpus_dicom_frames as corpus
from tests.scans.corpus import Truth
from tests.scans.derived import assert_comes_back, write
from tests.scans.dicom_lint import dciodvfy, lint
from tests.scans.phantoms import SECRETS, enhanced, save_series, series
from tests.scans.test_corpus import fits

#: Inputs of the corpus; by what is added to the values of a volume, the frame of each of its slices, none of a mosaic.
SHUFFLED = tuple(corpus.SHUFFLED.index(z) + 1 for z in range(5))
ONE = {0.0: SHUFFLED}
EVEN_AND_ODD = {0.0: (2, 4, 6, 8, 10), 500.0: (1, 3, 5, 7, 9)}
FRAMES: dict[str, dict[float, tuple[int, ...]]] = {
    **dict.fromkeys(("CT, frames in any order", "CT, shared groups", "CT, rescale of each frame", "CT, double oblique", "CT, RLE"), ONE),
    **dict.fromkeys(("MR", "MR without rescale", "legacy converted CT", "legacy converted MR"), ONE),
    "attributes at the root are not the frames'": {0.0: (1, 2, 3, 4, 5)},
    **dict.fromkeys((*corpus.DIFFER, "magnitude and phase"), EVEN_AND_ODD),
    "several files": {0.0: (1, 2, 3, 4, 5), 500.0: (1, 2, 3, 4, 5)},
    "concatenation": {0.0: (1, 2, 3, 1, 2)},
    **{name: {0.0: ()} for name in ("Siemens mosaic", "Siemens mosaic, slices falling", "UIH grid")},
    "Siemens mosaics": {0.0: (), 500.0: ()},
}  # fmt: skip


def scans_of(name: str, folder: Path) -> list[tuple[Truth, Scan]]:
    entry = corpus.ENTRIES[name]
    entry.make(folder)
    scans = [read(case) for case in find(folder).cases]
    return [(truth, next(scan for scan in scans if fits(scan, truth))) for truth in entry.volumes]


@pytest.mark.parametrize("name", FRAMES)
def test_a_series_comes_back_and_names_its_frames(name: str, tmp_path: Path) -> None:
    for number, (truth, scan) in enumerate(scans_of(name, tmp_path / "in")):
        out = tmp_path / str(number)
        slices = write(out, scan.image[0].numpy(), scan)
        assert fits(assert_comes_back(out, scan.image[0].numpy(), scan), truth)
        assert lint(out, scan) == []
        assert dciodvfy(*sorted(out.iterdir())) == []
        sources = [ds.SourceImageSequence[0] for ds in slices]
        frames = FRAMES[name][truth.added[0]]
        assert tuple(item.get("ReferencedFrameNumber") for item in sources) == (frames or (None,) * 5)
        assert {item.SpatialLocationsPreserved for item in sources} == {"YES" if frames else "NO"}
        assert all(len(ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1 for ds in slices)


def test_multi_frame_pet_is_refused_by_name(tmp_path: Path) -> None:
    ((_, scan),) = scans_of("PET", tmp_path / "in")
    with pytest.raises(ScanError, match="its modality is PT, not CT or MR; write NIfTI instead"):
        write(tmp_path / "out", scan.image[0].numpy(), scan)


def test_the_volumes_of_a_4d_image_keep_their_own_headers(tmp_path: Path) -> None:
    corpus.ENTRIES["b-values"].make(tmp_path / "in")
    scan = read(tmp_path / "in", four_d=True)
    assert [ds.DiffusionBValue for ds in scan.slices] == [0.0] * 5 + [1000.0] * 5
    for number, volume in enumerate(scan.volumes()):
        slices = write(tmp_path / str(number), volume.image[0].numpy(), volume)
        assert_comes_back(tmp_path / str(number), volume.image[0].numpy(), volume)
        assert [ds.DiffusionBValue for ds in slices] == [1000.0 * number] * 5


def test_a_finer_grid_names_the_frames_of_the_volume_once(tmp_path: Path) -> None:
    (_, scan), _ = scans_of("echoes", tmp_path / "in")
    finer = np.repeat(scan.image[0].numpy(), 2, axis=2)
    affine = scan.image.affine.clone()
    affine[:3, 2] /= 2
    target = Scan(scan.image.__class__(finer[None], affine=affine), *(getattr(scan, name) for name in
                  ("units", "modality", "dtype", "source", "sha256", "slices")))  # fmt: skip
    slices = write(tmp_path / "out", finer, target)
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())) == []
    for ds in slices:
        (item,) = ds.SourceImageSequence
        assert list(item.ReferencedFrameNumber) == [2, 4, 6, 8, 10]
        assert len(ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1


def of_groups(folder: Path, change: Callable[[Dataset], object], modality: str = "MR", **groups: dict) -> Scan:
    """Read a multi-frame phantom with these functional groups in each frame."""
    ds = enhanced(series(modality=modality), **{name: lambda k, told=told: told for name, told in groups.items()})
    change(ds)
    save_series([ds], folder)
    return read(folder)


def test_enhanced_attributes_are_told_as_classic_ones(tmp_path: Path) -> None:
    def at_the_root(ds: Dataset) -> None:
        ds.EchoPulseSequence, ds.EchoPlanarPulseSequence, ds.PulseSequenceName, ds.ResonantNucleus = "BOTH", "YES", "se_gr", "1H"
        ds.OversamplingPhase, ds.VelocityEncodingDirection, ds.AcquisitionNumber = "2D", [0.0, 0.0, 0.0], 7
        (shared,) = ds.SharedFunctionalGroupsSequence
        timing = Dataset()
        timing.RepetitionTime, timing.FlipAngle = 500, 52
        shared.MRTimingAndRelatedParametersSequence = [timing]

    scan = of_groups(
        tmp_path / "in", at_the_root, MREcho={"EffectiveEchoTime": 30.5}, MRModifier={"InversionRecovery": "YES", "InversionTimes": 900.0},
        MRFOVGeometry={"InPlanePhaseEncodingDirection": "COLUMN"}, FrameVOILUT={"WindowCenter": 40, "WindowWidth": 400},
        FrameAnatomy={"FrameLaterality": "L"}, MRImageFrameType={"FrameType": ["ORIGINAL", "PRIMARY", "T2 MAP"]},
        FrameContent={"FrameAcquisitionDateTime": "20200102101112.5"},
    )  # fmt: skip
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    expected = {"RepetitionTime": 500, "FlipAngle": 52, "EchoTime": 30.5, "InversionTime": 900, "SequenceName": "se_gr",
                "ImagedNucleus": "1H", "InPlanePhaseEncodingDirection": "COL", "WindowCenter": 40, "WindowWidth": 400,
                "ImageLaterality": "L", "AcquisitionDateTime": "20200102101112.5", "SequenceVariant": "OSP"}  # fmt: skip
    assert {keyword: first.get(keyword) for keyword in expected} == expected
    assert list(first.ScanningSequence) == ["SE", "GR", "IR", "EP"]
    assert list(first.ImageType) == ["DERIVED", "SECONDARY", "T2 MAP"]
    assert "VelocityEncodingDirection" not in first and "EffectiveEchoTime" not in first
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())) == []


def test_exposure_and_dose_of_a_ct_are_told_as_classic_ones(tmp_path: Path) -> None:
    exposure = {"ExposureTimeInms": 500.4, "XRayTubeCurrentInmA": 120.0, "ExposureInmAs": 60.2, "CTDIvol": 3.5}
    scan = of_groups(
        tmp_path / "in", lambda ds: None, "CT", CTExposure=exposure, CTXRayDetails={"KVP": 120, "FilterType": "FLAT"},
        CTReconstruction={"ConvolutionKernel": "B30f", "ReconstructionDiameter": 350}, CTAcquisitionDetails={"RotationDirection": "CW"},
        CTTableDynamics={"SpiralPitchFactor": 0.9},
    )  # fmt: skip
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    expected = {"ExposureTime": 500, "XRayTubeCurrent": 120, "Exposure": 60, "CTDIvol": 3.5, "KVP": 120, "ConvolutionKernel": "B30f",
                "ReconstructionDiameter": 350, "RotationDirection": "CW", "SpiralPitchFactor": 0.9}  # fmt: skip
    assert {keyword: first.get(keyword) for keyword in expected} == expected
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())) == []


def test_legacy_converted_attributes_come_back(tmp_path: Path) -> None:
    scan = of_groups(
        tmp_path / "in", lambda ds: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.4.4"),
        UnassignedPerFrameConvertedAttributes={"EchoTime": 12, "ScanningSequence": "SE", "SliceLocation": 5, "PatientID": "another",
                                               "StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", "BurnedInAnnotation": "NO"},
    )  # fmt: skip
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert (first.EchoTime, first.ScanningSequence, first.SliceLocation, first.BurnedInAnnotation) == (12, "SE", 5, "NO")
    assert lint(tmp_path / "out", scan) == []
    assert first.PatientID == "ID-4711" and first.StudyInstanceUID != "1.2.3" and first.FrameOfReferenceUID != "1.2.4"


@pytest.mark.filterwarnings("ignore")
def test_what_is_broken_or_not_the_frames_own_is_left_out(tmp_path: Path) -> None:
    def two_tubes(ds: Dataset) -> None:
        for item in ds.PerFrameFunctionalGroupsSequence:
            tubes = [Dataset(), Dataset()]
            tubes[0].KVP, tubes[1].KVP = 80, 140
            item.CTXRayDetailsSequence = tubes
        ds.SliceLocation = 17

    scan = of_groups(tmp_path / "in", two_tubes, "CT", CTExposure={"ExposureInmAs": float("nan")}, FrameVOILUT={"WindowWidth": None})
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert first.KVP is None and "Exposure" not in first and "SliceLocation" not in first
    assert dciodvfy(*sorted((tmp_path / "out").iterdir())) == []


def test_two_stages_of_processing_are_told(tmp_path: Path) -> None:
    def processed(ds: Dataset) -> None:
        item = Dataset()
        item.Manufacturer = "First Works"
        item.PurposeOfReferenceCodeSequence = Sequence([Dataset()])
        code = item.PurposeOfReferenceCodeSequence[0]
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "109101", "DCM", "Acquisition Equipment"
        ds.ContributingEquipmentSequence, ds.Manufacturer = Sequence([item]), "Second Works"

    scan = of_groups(tmp_path / "in", processed)
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan)
    assert [item.Manufacturer for item in first.ContributingEquipmentSequence] == ["First Works", "Second Works", "medgen"]


@pytest.mark.filterwarnings("ignore")
def test_flags_stay_and_synthetic_images_say_so(tmp_path: Path) -> None:
    def flag(ds: Dataset) -> None:
        ds.BurnedInAnnotation, ds.LossyImageCompression, ds.LossyImageCompressionRatio = "NO", "01", 10

    scan = of_groups(tmp_path / "in", flag, MREcho={"EffectiveEchoTime": 30.0})
    (first, *_) = write(tmp_path / "out", scan.image[0].numpy(), scan, synthetic=True)
    assert lint(tmp_path / "out", scan, synthetic=True) == []
    assert first.LossyImageCompression == "01" and first.SyntheticData == "YES" and not first.get("EchoTime")


@pytest.mark.parametrize("name", ["CT, shared groups", "echoes", "Siemens mosaic"])
def test_without_the_patient_nothing_of_it_is_left(name: str, tmp_path: Path) -> None:
    pytest.importorskip("dicomanonymizer", reason="pip install medgen[dicom]")
    _, scan = scans_of(name, tmp_path / "in")[0]
    clean = Deidentifier().scan(scan)
    write(tmp_path / "out", scan.image[0].numpy(), clean)
    assert_comes_back(tmp_path / "out", scan.image[0].numpy(), clean)
    assert lint(tmp_path / "out", clean) == []
    files = sorted((tmp_path / "out").iterdir())
    assert dciodvfy(*files) == []
    uids = {ds.get(keyword) for ds in scan.slices for keyword in ("SOPInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")}
    for file in files:
        stored = file.read_bytes()
        assert not [word for word in (*SECRETS, *uids) if word.encode() in stored]
    first = pydicom.dcmread(files[0]).SourceImageSequence[0]
    assert first.get("ReferencedFrameNumber") == scan.slices[0].get("ReferencedFrameNumber")
    assert first.SpatialLocationsPreserved == ("NO" if name == "Siemens mosaic" else "YES")
