"""What is done keeps its name, what failed and is gone is forgotten, what could not be read is told."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medgen.batch.ledger import Ledger
from medgen.batch.ledger_file import NAME
from medgen.batch.report_failures import failed_in
from medgen.batch.run import Options, run
from medgen.batch.sources import enter_sources, keep_names
from medgen.batch.status import status
from medgen.bundles import Bundle, open_bundle
from medgen.scans import find
from tests.batch.tiny import ball, quick_bundle, save, scans


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(str(quick_bundle(tmp_path_factory.mktemp("bundle"))), "cpu")


def did(bundle: Bundle, options: Options, *given: Path) -> dict[str, bool | str]:
    """Run as the command does, and return for each case its error, or whether it was done now."""
    found = find(given)
    cases = keep_names(bundle, found.cases, options)
    enter_sources(bundle, cases, found.errors, given, options)
    return {r.case.name: r.error or bool(r.files) for r in run(bundle, cases, options)}


def failures(folder: Path) -> list[str]:
    about = status(folder)
    assert about["failed"] == len(about["failures"]) == len(failed_in(folder))
    return [Path(str(one["reason"]).partition(": ")[0]).name for one in about["failures"]]


def broken(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"broken")
    return path


def test_what_failed_is_forgotten_by_the_next_run_when_it_is_gone(bundle: Bundle, tmp_path: Path) -> None:
    one, two, options = scans(tmp_path / "one", 2), scans(tmp_path / "two/deep", 1).parent, Options(tmp_path / "out")
    (two / "deep/p0_T1.nii.gz").rename(two / "deep/q.nii.gz")
    broken(one / "h.nii.gz"), broken(two / "k.nii.gz")
    did(bundle, options, one)
    did(bundle, options, two)
    assert failures(options.output) == ["h.nii.gz", "k.nii.gz"]
    (one / "h.nii.gz").unlink(), (two / "k.nii.gz").unlink(), (one / "p1_T1.nii.gz").unlink()
    did(bundle, options, one)  # of what lies elsewhere this run knows nothing
    assert failures(options.output) == ["k.nii.gz"] and status(options.output)["done"] == 3  # what is done stays so
    with Ledger(options.output):  # as if somebody was at work
        did(bundle, options, one, two)
        assert failures(options.output) == ["k.nii.gz"]
    did(bundle, options, two, one)
    assert failures(options.output) == [] and status(options.output)["done"] == 3


def test_what_was_planned_or_interrupted_and_is_gone_is_forgotten_too(bundle: Bundle, tmp_path: Path) -> None:
    folder, options = scans(tmp_path / "in", 4), Options(tmp_path / "out")
    found = find(folder)
    enter_sources(bundle, found.cases, (), [folder], options)
    results = run(bundle, found.cases, options)
    next(results)
    results.close()
    with sqlite3.connect(options.output / NAME) as sql:
        sql.execute("UPDATE cases SET state='running', worker='dead' WHERE name='p3_T1_blur'")
    sql.close()
    (folder / "p2_T1.nii.gz").unlink(), (folder / "p3_T1.nii.gz").unlink()
    did(bundle, options, folder)
    about = status(options.output)
    assert (about["done"], about["planned"], about["interrupted"]) in [(2, 0, 0), (3, 0, 0)]  # what was in hand may have been done


def test_what_could_not_be_read_is_told_until_it_is_gone(bundle: Bundle, tmp_path: Path) -> None:
    folder, other, options = scans(tmp_path / "in", 1), scans(tmp_path / "other", 1), Options(tmp_path / "out")
    (folder / "far.nii.gz").symlink_to(tmp_path / "gone")
    did(bundle, options, folder, tmp_path / "nonexist.nii.gz")
    assert sorted(failures(options.output)) == ["far.nii.gz", "nonexist.nii.gz"]
    did(bundle, options, other)
    assert sorted(failures(options.output)) == ["far.nii.gz", "nonexist.nii.gz"]
    did(bundle, options, folder)  # without what was no path
    assert failures(options.output) == ["far.nii.gz"]
    (folder / "far.nii.gz").unlink()
    did(bundle, options, folder)
    assert failures(options.output) == []


def test_what_is_done_keeps_its_name_when_names_shift(bundle: Bundle, tmp_path: Path) -> None:
    folder, options = tmp_path / "in", Options(tmp_path / "out")
    save(folder / "a/g.nii.gz", ball(0)), broken(folder / "a/h.nii.gz")
    assert list(did(bundle, options, folder)) == ["g", "h"]
    save(folder / "b/g.nii.gz", ball(1)), save(folder / "b/h.nii.gz", ball(2))
    again = did(bundle, options, folder)
    assert (again["g"], again["b_g"], again["b_h"]) == (False, True, True) and set(again) == {"g", "h", "b_g", "b_h"}
    about = status(options.output)
    assert (about["done"], about["failed"]) == (3, 1)
    save(folder / "a/h.nii.gz", ball(3))  # another content at the same place
    assert did(bundle, options, folder) == {"g": False, "h": True, "b_g": False, "b_h": False}
    (folder / "a/g.nii.gz").unlink()
    assert did(bundle, options, folder) == {"b_g": False, "h": False, "b_h": False}
    results = sorted(path.name for path in options.output.glob("*.nii.gz"))
    assert results == ["b_g_blur.nii.gz", "b_h_blur.nii.gz", "g_blur.nii.gz", "h_blur.nii.gz"]


def test_a_new_scan_takes_no_name_that_another_keeps(bundle: Bundle, tmp_path: Path) -> None:
    folder, options = tmp_path / "in", Options(tmp_path / "out")
    for number, deep in enumerate("xy"):
        save(folder / deep / "a/g.nii.gz", ball(number))
    assert did(bundle, options, folder) == {"a_g": True, "a_g-2": True}
    save(folder / "w/a/g.nii.gz", ball(2))  # the first of them, as they are sorted
    assert did(bundle, options, folder) == {"a_g": False, "a_g-2": False, "a_g-3": True}
    (folder / "x").rename(folder / "z")  # another place is another scan
    assert did(bundle, options, folder) == {"a_g-2": False, "a_g-3": False, "a_g-3-2": True}


def test_with_a_mask_or_without_names_all_is_called_as_it_was_found(bundle: Bundle, tmp_path: Path) -> None:
    folder, options = tmp_path / "in", Options(tmp_path / "out")
    save(folder / "Mueller/g.nii.gz", ball(0)), broken(folder / "Mueller/h.nii.gz")
    did(bundle, options, folder)
    mask = np.ones((28, 26, 24), np.uint8)
    for name in ("Mueller", "b"):
        save(folder / name / "g.nii.gz", ball(0)), save(tmp_path / "masks" / name / "g.nii.gz", mask)
    (folder / "Mueller/h.nii.gz").unlink()
    assert did(bundle, replace(options, mask=tmp_path / "masks"), folder) == {"Mueller_g": True, "b_g": True}
    hidden = replace(options, output=tmp_path / "hidden", deidentify=True)
    (folder / "Mueller/far.nii.gz").symlink_to(tmp_path / "gone")
    assert set(did(bundle, hidden, folder)) == {"Mueller_g", "b_g"}
    assert [one["reason"].partition(";")[0] for one in status(hidden.output)["failures"]] == ["a file: is a link to a file that is not here"]
    (folder / "Mueller/far.nii.gz").unlink()
    did(bundle, hidden, folder)
    with Ledger(hidden.output, only_read=True) as ledger:
        assert ledger.sources() == {} and ledger.unread() == []
    assert b"ueller" not in (hidden.output / NAME).read_bytes()


def test_a_ledger_of_an_earlier_medgen_is_looked_at_and_goes_on(bundle: Bundle, tmp_path: Path) -> None:
    folder, options = scans(tmp_path / "in", 1), Options(tmp_path / "out")
    did(bundle, options, folder)
    with sqlite3.connect(options.output / NAME) as sql:
        sql.executescript("DROP TABLE sources; DROP TABLE unread")
    sql.close()
    assert status(options.output)["done"] == 1 and failures(options.output) == []
    assert did(bundle, options, folder) == {"p0_T1": False}
