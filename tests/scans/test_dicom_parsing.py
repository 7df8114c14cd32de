"""Parsing leaves warnings and the garbage collector as they were, and costs no search for garbage."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.misc import warn_and_log

from medgen.scans import find
from medgen.scans.dicom_parsing import IGNORED, parsing, silent
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


def test_a_thread_stays_silent_whichever_leaves_first() -> None:
    first, second, done = threading.Event(), threading.Event(), threading.Event()

    def read() -> None:
        with silent():
            first.set()
            second.wait(10)
        done.set()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        other = threading.Thread(target=read)
        other.start()
        first.wait(10)
        warnings.warn("heard, here", stacklevel=1)  # the silence is the other thread's
        with silent():
            second.set()
            assert done.wait(10)
            warnings.warn("Secretname", stacklevel=1)
        warnings.warn("heard", stacklevel=1)
        other.join()
    assert [str(warning.message) for warning in caught] == ["heard, here", "heard"]


def test_filters_stay_few_whoever_adds_to_them() -> None:
    with warnings.catch_warnings():
        for _ in range(3):
            warnings.simplefilter("always")
            with silent():
                few = len(warnings.filters)
                assert warnings.filters[0] is IGNORED
        assert len(warnings.filters) == few


def test_what_pydicom_logs_reaches_no_log_of_the_user(caplog: pytest.LogCaptureFixture) -> None:
    with silent():
        warn_and_log("Secretname")
    with pytest.warns(UserWarning, match="heard"):
        warn_and_log("heard")
    assert [record.getMessage() for record in caplog.records] == ["heard"]


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
