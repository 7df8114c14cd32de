"""Parsing leaves warnings and the garbage collector as they were, and costs no search for garbage."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from medgen.scans import find
from medgen.scans.dicom_parsing import parsing
from tests.scans.phantoms import save_series, series


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    yield
    gc.enable()


def test_the_collector_rests_and_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="broken"), parsing():
        assert not gc.isenabled()
        with parsing():
            pass
        assert not gc.isenabled()
        raise ValueError("broken")
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    with parsing():
        pass
    assert not gc.isenabled()


def test_warnings_are_silent_inside_alone() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with parsing():
            warnings.warn("Secretname", stacklevel=1)
        warnings.warn("heard", stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["heard"]


def test_finding_many_slices_collects_no_garbage(tmp_path: Path) -> None:
    save_series(series(shape=(2, 2, 60)), tmp_path)
    seen: list[int] = []

    def watch(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"]:
            seen.append(info["generation"])

    threshold = gc.get_threshold()
    gc.set_threshold(50, 1, 1)  # with which 60 headers would be enough for many collections
    gc.callbacks.append(watch)
    try:
        (case,) = find(tmp_path).cases
    finally:
        gc.callbacks.remove(watch)
        gc.set_threshold(*threshold)
    assert len(case.headers) == 60 and len(seen) < 10, seen
