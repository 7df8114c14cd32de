"""Scans of any format as NIfTI, one file a volume, each with a JSON file that says what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgen.batch.sidecar import describe, versions, write_json
from medgen.scans import Case, Scan, ScanError, read, write_nifti
from medgen.scans.dicom_parsing import silent

#: Numbers of the acquisition that the sidecar tells, by their DICOM keywords; no text, which may name the patient.
ACQUISITION = (
    "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle", "MagneticFieldStrength", "EchoTrainLength",
    "DiffusionBValue", "SliceThickness", "SpacingBetweenSlices", "KVP", "XRayTubeCurrent", "ExposureTime",
)  # fmt: skip


@dataclass(frozen=True)
class Converted:
    """What became of one case: the files written, what was noted on the way, or an error in one line."""

    case: Case
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str | None = None


def convert(
    cases: Sequence[Case], output: Path, *, permissive: bool = False, four_d: bool = False, overwrite: bool = False
) -> Iterator[Converted]:
    """Yield the result of each case in order: NAME.nii.gz, or NAME_v000.nii.gz and so on where it holds several volumes.

    `four_d` writes several volumes as one 4D file instead. The JSON file of each comes last, so that what has one is
    whole; it is left alone unless `overwrite`. Reading and compressing of two cases overlap.
    """

    def one(case: Case) -> Converted:
        try:
            return _convert(case, output, permissive, four_d, overwrite)
        except ScanError as error:
            return Converted(case, error=str(error))
        except MemoryError:
            return Converted(case, error=f"{case.name}: not enough memory for this scan; close other programs")

    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(one, cases)


def _convert(case: Case, output: Path, permissive: bool, four_d: bool, overwrite: bool) -> Converted:
    done = sorted([*output.glob(f"{case.name}.json"), *output.glob(f"{case.name}_v[0-9][0-9][0-9].json")])
    if done and not overwrite:
        return Converted(case)
    scan = read(case, permissive=permissive, four_d=True)
    volumes = [scan] if four_d else scan.volumes()
    files: list[Path] = []
    for number, volume in enumerate(volumes):
        path = output / f"{case.name}{f'_v{number:03}' if len(volumes) > 1 else ''}.nii.gz"
        array = volume.image.numpy()
        write_nifti(path, array if len(array) > 1 else array[0], volume, description="converted by medgen")
        files.append(path)
    for path, volume in zip(files, volumes):
        write_json(path.with_name(path.name.replace(".nii.gz", ".json")), _sidecar(case, volume))
    return Converted(case, tuple(files), scan.warnings)


def _sidecar(case: Case, scan: Scan) -> dict[str, Any]:
    acquisition: dict[str, float] = {}
    with silent():
        for keyword in ACQUISITION:
            value = scan.slices[0].get(keyword) if scan.slices else None
            if isinstance(value, (int, float)):
                acquisition[keyword] = float(value)
    about = {"derived": False, "format": case.kind, **describe(scan), "acquisition": acquisition}
    return {**about, "input_sha256": scan.sha256, "libraries": versions()}
