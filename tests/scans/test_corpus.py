"""Every input of the corpus is read right or refused with its reason; nothing is ever read wrong."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from medgen.scans import Scan, ScanError, find, read
from tests.scans.corpus import Entry, Truth, entries
from tests.scans.phantoms import SECRETS, field

ENTRIES = entries()


def outcome(folder: Path, entry: Entry, permissive: bool) -> tuple[list[Scan], list[ScanError]]:
    """Read everything under a folder."""
    cases, errors, _ = find(folder, four_d=entry.four_d)
    scans: list[Scan] = []
    for case in cases:
        try:
            scans.append(read(case, permissive=permissive, four_d=entry.four_d))
        except ScanError as error:
            errors.append(error)
    return scans, errors


def fits(scan: Scan, truth: Truth) -> bool:
    """Say whether a scan has the affine (to 0.001 mm at every corner), the shape and the values of a truth."""
    own = scan.image.affine.numpy()
    if tuple(scan.image.shape) != (len(truth.added), *truth.shape) or not np.allclose(own, truth.affine, atol=1e-3):
        return False
    values = field(own, truth.shape)
    return all(
        np.allclose(volume.numpy(), values + added, atol=truth.tolerance, rtol=1e-6)
        for volume, added in zip(scan.image, truth.added)
    )


def assert_all_right(scans: Sequence[Scan], truths: Sequence[Truth], every: bool = True) -> None:
    """Check that each scan is one of the truths, none of them twice, and (if `every`) that none is lacking."""
    left = list(truths)
    for scan in scans:
        match = next((truth for truth in left if fits(scan, truth)), None)
        assert match is not None, f"read wrong: {tuple(scan.image.shape)}\n{scan.image.affine}"
        left = [truth for truth in left if truth is not match]
    assert not (every and left), f"{len(left)} of {len(truths)} volumes did not come out"


def assert_safe(error: ScanError) -> None:
    """Check that a message is one line that names file, reason and remedy, and nothing of the patient."""
    message = str(error)
    assert error.reason and error.remedy and message == f"{error.path}: {error.reason}; {error.remedy}"
    assert "\n" not in message and not [secret for secret in SECRETS if secret.lower() in message.lower()]


def test_the_corpus_is_large_enough() -> None:
    assert len(ENTRIES) >= 150
    assert all(bool(entry.volumes) != bool(entry.refused) or (entry.volumes and entry.refused) for entry in ENTRIES.values())


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of what is planted here
@pytest.mark.parametrize("name", ENTRIES)
def test_right_or_refused(name: str, tmp_path: Path) -> None:
    entry = ENTRIES[name]
    entry.make(tmp_path / "in")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scans, errors = outcome(tmp_path / "in", entry, permissive=False)
    for error in errors:
        assert_safe(error)
    if entry.refused:
        assert any(re.search(entry.refused, error.reason) for error in errors), [str(error) for error in errors]
    else:
        assert not errors, [str(error) for error in errors]
    assert_all_right(scans, entry.volumes)
    if entry.warns:
        assert any(re.search(entry.warns, warning) for scan in scans for warning in scan.warnings)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.refused])
def test_permissive_reads_right_with_a_warning_or_refuses_all_the_same(name: str, tmp_path: Path) -> None:
    entry = ENTRIES[name]
    entry.make(tmp_path / "in")
    scans, errors = outcome(tmp_path / "in", entry, permissive=True)
    for error in errors:
        assert_safe(error)
    assert_all_right(scans, (*entry.volumes, *entry.permissive))
    assert bool(errors) != bool(entry.permissive), [str(error) for error in errors]
    assert not entry.permissive or any(scan.warnings for scan in scans)
