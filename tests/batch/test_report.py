from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import sys
from base64 import b64decode
from html import unescape
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.random import RandomState
from PIL import Image

from medgen.batch import report_page
from medgen.batch.ledger import Ledger
from medgen.batch.report import ReportError, check
from medgen.batch.report_cases import cases_of, tables_in
from medgen.batch.report_failures import failed_of
from medgen.batch.report_images import Layers, layers, picture, small
from medgen.batch.report_measures import against_error
from medgen.scans import ScanError
from tests.batch.report_folder import AFFINE, BUNDLE, NAMES, SHAPE, WRONG, fill, save, sidecar, truth
from tests.batch.tiny import bundle as tiny_bundle
from tests.test_cli import call

NIIVUE = Path(report_page.PAGE) / "niivue"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a report of all that there is: `page/report.html` and what is beside it."""
    folder = fill(tmp_path_factory.mktemp("report"))
    code, out, err = call("report", folder / "out", "--before", folder / "scans", "--reference", folder / "clean", "-o",
                          folder / "page/report.html", "--viewer", 2)  # fmt: skip
    assert code == 0 and "report.html" in out, out + err
    return folder


def content(folder: Path, name: str = "page/report.json") -> Any:
    return json.loads((folder / name).read_text())


def test_the_numbers_are_those_of_the_images(folder: Path) -> None:
    report = content(folder)
    change = report["changes"]["image"]["mae"]
    assert [change[which]["mean"] for which in ("before", "after", "change")] == pytest.approx([30, 10, -20], rel=1e-4)
    assert change["change"]["n"] == 4 and change["change"]["low"] == pytest.approx(-20, rel=1e-4)
    psnr = [row["psnr"] for row in report["quality"]["rows"] if row["region"] == "image"]
    spans = [np.ptp(truth(number)) for number in range(4)]
    assert psnr == pytest.approx([20 * np.log10(span / WRONG["result"]) for span in spans], rel=1e-5)
    assert [one["case"] for one in report["cases"]] == [f"{name}_{BUNDLE}" for name in NAMES]
    assert report["uncertainty"]["covered"]["mean"] == 1.0 and report["uncertainty"]["covered"]["n"] == 4
    assert report["bundles"][BUNDLE]["version"] == "9.8.7" and report["failures"] == []


def test_csv_json_markdown_and_page_say_the_same(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((folder / "page/report.csv").read_text())))
    assert [float(row["mae"]) for row in rows] == pytest.approx([10] * 4, rel=1e-4)
    assert [float(row["mae_before"]) for row in rows] == pytest.approx([30] * 4, rel=1e-4)
    assert [bool(row["warnings"]) for row in rows] == [False, False, True, False]
    report = content(folder)
    means = report["changes"]["image"]["psnr"]
    told = f"{means['before']['mean']:.2f} → {means['after']['mean']:.2f}"
    for name in ("report.md", "report.html"):
        text = unescape((folder / "page" / name).read_text())
        assert told in text and "Research use only" in text and "unlike the bundle's training: score 9.0" in text
        assert "@misc{cardoso2022monai," in text and "sonderby2016ladder" in text
        for measure in report["quality"]["summary"]["image"]:
            assert report["quality"]["definitions"][measure] in text


def test_the_page_may_load_nothing_and_says_what_is_in_the_viewer(folder: Path) -> None:
    page = (folder / "page/report.html").read_text()
    assert "default-src 'none'" in page and len(re.findall(r'id="nifti-', page)) == 2 * 6
    assert "the first 2 by name are in the viewer" in page.lower()
    own = page.replace((NIIVUE / "niivue.umd.js").read_text(), "")
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", own) and "BSD 2-Clause" in own and "Yann Collet" in own
    assert page.count("<img ") == 4 * 6 and len(page) < 5e6


def test_volumes_in_the_page_hold_the_voxels_and_nothing_else(folder: Path) -> None:
    page = (folder / "page/report.html").read_text()
    inlaid = re.search(r'id="nifti-0-1">([^<]*)<', page)
    assert inlaid is not None
    image = nib.Nifti1Image.from_bytes(gzip.decompress(b64decode(inlaid[1])))
    there = nib.load(folder / f"out/{NAMES[0]}_{BUNDLE}.nii.gz")
    step = float(image.dataobj.slope)
    assert image.get_data_dtype() == np.uint8 and np.allclose(image.affine, there.affine)
    assert np.abs(image.get_fdata() - there.get_fdata()).max() <= step < 5
    assert image.header["descrip"].tobytes().strip(b"\0") == b""


def test_big_volumes_are_made_smaller_in_place() -> None:
    grid = np.indices((60, 50, 20)).astype(np.float32)
    ramp = np.tensordot(AFFINE[2, :3].astype(np.float32), grid, 1) + 40  # the height in mm
    found = Layers({"result": ramp}, {"result": (0.0, 120.0)}, AFFINE, "arbitrary", ())
    image = nib.Nifti1Image.from_bytes(gzip.decompress(b64decode(small(found, "result", 8000))))
    assert 4000 < np.prod(image.shape) <= 8000
    place = np.stack(np.meshgrid(*map(np.arange, image.shape), indexing="ij"), -1) @ image.affine[:3, :3].T + image.affine[:3, 3]
    middle = tuple(slice(2, -2) for _ in range(3))
    assert np.abs(image.get_fdata() - (place[..., 2] - AFFINE[2, 3] + 40))[middle].max() < 0.5


def test_hu_stay_exact_and_their_pictures_show_soft_tissue() -> None:
    hu = np.rint(RandomState(0).uniform(-1000, 2000, SHAPE)).astype(np.float32)
    found = Layers({"result": hu}, {"result": (-160.0, 240.0)}, AFFINE, "HU", ())
    image = nib.Nifti1Image.from_bytes(gzip.decompress(b64decode(small(found, "result", 10**6))))
    assert np.array_equal(image.get_fdata(), hu) and image.get_data_dtype() == np.int16
    drawn = np.asarray(Image.open(io.BytesIO(picture(found, "result"))))
    assert drawn.min() == 0 and drawn.max() == 255


def test_what_lies_on_another_grid_is_brought_to_that_of_the_result(tmp_path: Path) -> None:
    coarse = AFFINE @ np.diag([1, 1, 2, 1])
    x, y, z = np.indices((22, 24, 10)).astype(float)
    save(tmp_path / "in/a.nii.gz", 3 * x + 2 * y + 8 * z + 100, coarse)
    x, y, z = np.indices(SHAPE).astype(float)
    save(tmp_path / "out/a_fine.nii.gz", 3 * x + 2 * y + 4 * z + 107)
    (case,) = cases_of(tmp_path / "out", tmp_path / "in")
    found = layers(case)
    assert found.interpolated == ("input",) and list(found.images) == ["input", "result", "difference"]
    assert np.allclose(found.images["difference"][..., :-1], 7, atol=1e-3)  # the last slice is beyond the input's last
    low, high = found.windows["difference"]
    assert low == -high and high >= 7


def test_uncertainty_that_is_right_is_on_the_line() -> None:
    random = RandomState(0)
    deviation = random.uniform(1, 9, (40, 40, 40))
    found = against_error(deviation, deviation * random.standard_normal(deviation.shape), np.ones(deviation.shape, bool))
    assert found["covered"] == pytest.approx(0.9, abs=0.01) and len(found["error"]) == 10
    assert found["error"] == pytest.approx(found["uncertainty"], rel=0.05)
    deviation[:30] = 0  # where a repair kept the input, which covers nothing
    error = deviation * random.standard_normal(deviation.shape)
    assert against_error(deviation, error, np.ones(deviation.shape, bool))["covered"] == pytest.approx(0.9, abs=0.01)


def test_a_picture_shows_where_the_input_was_changed() -> None:
    image = np.zeros((10, 12, 14), np.float32)
    changed = image.copy()
    changed[2:5, 7, 9:12] = 1
    windows = {"input": (0.0, 1.0), "difference": (0.0, 1.0)}
    found = Layers({"input": image, "difference": changed}, windows, np.diag([1.0, 1, 1, 1]), "", ())
    assert found.place == [3, 7, 10]
    assert Layers({"input": image, "difference": image + 1}, windows, np.eye(4), "", ()).place is None
    assert Layers({"input": image}, windows, np.eye(4), "", ()).place is None


def test_a_report_reads_what_the_commands_that_measure_wrote(folder: Path, tmp_path: Path) -> None:
    out, scans, clean = (folder / name for name in ("out", "scans", "clean"))
    assert call("evaluate", out, "--reference", clean, "--before", scans, "-o", tmp_path, "--report")[0] == 0
    results = content(tmp_path, "results.json")
    report = content(tmp_path, "report.json")
    assert report["quality"]["rows"] == results["rows"] and len(results["before"]) == 4
    assert report["changes"]["image"]["mae"]["before"]["mean"] == pytest.approx(30, rel=1e-4)
    assert report["notes"] == ["the first 3 by name are in the viewer; all numbers are of all cases"]
    assert call("compare", out, scans, "--reference", clean, "-o", tmp_path)[0] == 0
    assert call("safety", out, "--before", scans, "-o", tmp_path)[0] == 0
    for name in NAMES:
        save(tmp_path / f"labels/{name}.nii.gz", np.digitize(truth(int(name[-1])), [300.0, 520.0]))
    assert call("agreement", tmp_path / "labels", tmp_path / "labels", "-o", tmp_path)[0] == 0
    assert call("report", out, tmp_path, "--before", scans, "-o", tmp_path / "all.html")[0] == 0
    both = content(tmp_path, "all.json")
    assert list(both["tables"]) == ["comparison", "safety", "agreement"] and both["quality"]["rows"] == results["rows"]
    assert len(both["cases"]) == 4  # and no map of changes among them
    assert len(both["notes"]) == 1
    page = (tmp_path / "all.html").read_text()
    assert all(word in page for word in ("Methods compared", "Safety: look at first", "Bland-Altman", "rank-biserial"))


def test_distributions_and_their_copies_are_in_the_report_and_a_csv_of_tables(tmp_path: Path) -> None:
    row = {"n": 9, "n_real": 9, "low": 1.0, "high": 3.0, "real": 0.5}
    rows = [{**row, "view": view, "measure": measure, "value": 2.0} for view in ("axial", "volume") for measure in ("frechet", "recall")]
    written = {"definitions": {"frechet": "a distance"}, "score": "FD-medgen-v1[abc]", "warnings": ["9 are few"], "rows": rows,
               "copies": [{"case": "made-7", "training": "sub-3", "share": 0.75}]}  # fmt: skip
    (tmp_path / "distributions.json").write_text(json.dumps(written))
    assert call("report", tmp_path, "-o", tmp_path / "all.html")[0] == 0
    for text in ((tmp_path / "all.html").read_text(), (tmp_path / "all.md").read_text()):
        assert all(word in text for word in ("FD-medgen-v1[abc]", "2 [1, 3]", "9 are few", "made-7", "sub-3", "75%"))
    found = list(csv.DictReader(io.StringIO((tmp_path / "all.csv").read_text())))
    assert [one["measure"] for one in found] == ["frechet", "recall"] * 2 and {one["table"] for one in found} == {"distributions"}


def test_many_labels_are_one_table(folder: Path, tmp_path: Path) -> None:
    for name in NAMES:
        x = np.indices(SHAPE)[0]
        save(tmp_path / f"labels/{name}.nii.gz", np.where(truth(int(name[-1])) > 100, x // 2 + 1, 0))
    out = call("evaluate", folder / "out", "--reference", folder / "clean", "--labels", tmp_path / "labels", "-o", tmp_path / "few", "--report")
    assert out[0] == 0
    labels = [region for region in content(tmp_path, "few/results.json")["summary"] if region.startswith("label ")]
    page = unescape((tmp_path / "few/report.md").read_text())
    assert len(labels) > 6 and f"## Quality: {len(labels)} labels" in page and page.count("## Quality: ") == 2


def test_inputs_without_numbers_are_told(folder: Path, tmp_path: Path) -> None:
    results = {"definitions": {}, "protocol": {}, "interval": "", "summary": {}, "failures": [], "rows": []}
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert call("report", folder / "out", tmp_path, "--before", folder / "scans", "-o", tmp_path / "x.html", "--pictures", 1, "--viewer", 0)[0] == 0
    first, last = content(tmp_path, "x.json")["notes"][0], content(tmp_path, "x.json")["notes"][-1]
    assert first == "4 cases; the first 1 by name are pictured" and last.startswith("there are no numbers of the inputs")
    page = (tmp_path / "x.html").read_text()
    assert page.count("<img ") == 4 and "nifti-" not in page.split("<script>")[0] and "BSD 2-Clause" not in page


def test_a_run_and_its_report(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path)
    save(tmp_path / "private/Jane_Doe.nii.gz", truth(0))
    (tmp_path / "private/broken.nii.gz").write_bytes(b"no image")
    words = ["run", bundle, tmp_path / "private", "--report", "--device", "cpu"]
    code, out, _ = call(*words, "-o", tmp_path / "out", "--uncertainty")
    assert code == 1 and "report.html" in out
    report = content(tmp_path, "out/report.json")
    (failure,) = report["failures"]
    assert failure.startswith("broken.nii.gz: ") and "has no result" not in failure and "private" not in failure
    assert failure.split(": ", 1)[1] in " ".join(out.split()) and report["cases"][0]["case"] == f"Jane_Doe_{BUNDLE}"
    assert report["changes"]["foreground"]["noise"]["before"]["n"] == 1
    code, out, _ = call(*words, "-o", tmp_path / "none", "--deidentify", "--json")
    assert [json.loads(line)["case"] for line in out.splitlines()]  # nothing but lines for machines
    report = content(tmp_path, "none/report.json")
    (hidden,) = report["failures"]
    assert len(report["cases"]) == 1 and re.fullmatch(rf"case-\w{{10}}_{BUNDLE}: .+", hidden) and hidden.endswith(failure.split(": ", 1)[1])
    for file in (tmp_path / "none").glob("report.*"):
        assert not re.search("jane|doe_|broken", file.read_text().replace((NIIVUE / "niivue.umd.js").read_text(), ""), re.IGNORECASE)


def test_a_folder_tells_of_each_failed_case_why(tmp_path: Path) -> None:
    reasons = {f"a_{BUNDLE}": "/home/jane doe/in/a.nii.gz: holds 3 NaN; set them", f"b_{BUNDLE}": "b: not enough memory",
               f"series-1_{BUNDLE}": "/data/IM 1: is cut short; send it again"}  # fmt: skip
    with Ledger(tmp_path) as ledger:
        ledger.plan((name, BUNDLE) for name in (*reasons, f"c_{BUNDLE}"))
        for name, reason in reasons.items():
            row = ledger.claim(ledger.rows(name)[0], "")
            assert row is not None and ledger.fail(row, bundle_sha256="", parameters={}, tried={}, reason=reason)
    code, _, err = call("report", tmp_path)  # which holds no result at all
    assert code == 0, err
    told = ["a.nii.gz: holds 3 NaN; set them", "b: not enough memory", f"series-1_{BUNDLE}: IM 1: is cut short; send it again"]
    assert content(tmp_path, "report.json")["failures"] == told
    assert "jane" not in "".join((tmp_path / f"report.{kind}").read_text() for kind in ("json", "md", "csv"))
    assert all(line in (tmp_path / "report.md").read_text() and line in (tmp_path / "report.html").read_text() for line in told)
    save(tmp_path / f"a_{BUNDLE}.nii.gz", truth(0))  # and one with a result, done by now
    (tmp_path / f"a_{BUNDLE}.json").write_text(json.dumps(sidecar(f"a_{BUNDLE}")))
    assert call("report", tmp_path)[0] == 0
    assert len(content(tmp_path, "report.json")["cases"]) == 1 and len(content(tmp_path, "report.json")["failures"]) == 3
    (tmp_path / "ledger.sqlite").write_bytes(b"no ledger" * 100)
    code, _, err = call("report", tmp_path)
    assert code == 2 and "is no ledger" in err and len(err.strip().splitlines()) == 1


def test_files_that_are_no_case_are_told_by_their_reason(tmp_path: Path) -> None:
    unread = [ScanError(Path("/home/jane/x.dcm"), "is cut short", "send it again")]
    assert failed_of({"b_x": "b"}, tmp_path, unread, deidentify=False) == ["b: has no result", "x.dcm: is cut short; send it again"]
    assert failed_of({"b_x": "b"}, tmp_path, unread, deidentify=True) == ["1 case(s) have no result", "a file: is cut short; send it again"]


def test_failures_name_files_but_no_folders(tmp_path: Path) -> None:
    said = {
        "/home/jane doe/x/scan.nii.gz: is broken; see /home/jane/log": "scan.nii.gz: is broken; see log",
        "C:\\data\\y.nii: no mask or label": "y.nii: no mask or label",
        "vae: out/z.nii: lies 1.20 mm off; resample and/or crop": "vae: z.nii: lies 1.20 mm off; resample and/or crop",
    }
    (tmp_path / "safety.json").write_text(json.dumps({"rows": [], "definitions": {}, "failures": list(said)}))
    assert call("report", tmp_path)[0] == 0
    assert content(tmp_path, "report.json")["failures"] == list(said.values())
    assert "jane" not in (tmp_path / "report.json").read_text() + (tmp_path / "report.md").read_text()


def test_a_scan_of_one_value_is_no_trouble(tmp_path: Path) -> None:
    for name in ("in/a", "out/a_x", "out/a_x_uncertainty", "clean/a"):
        save(tmp_path / f"{name}.nii.gz", np.zeros(SHAPE))
    assert call("report", tmp_path / "out", "--before", tmp_path / "in")[0] == 0
    assert call("report", tmp_path / "out", "--before", tmp_path / "in", "--reference", tmp_path / "clean")[0] == 0
    (failure,) = content(tmp_path, "out/report.json")["failures"]
    assert failure == "a.nii.gz: is constant, so it has no data range; state one with --data-range"


def test_text_is_text(folder: Path) -> None:
    report = content(folder) | {"title": "</script><script>x", "failures": ["<img src=x onerror=alert(1)>"]}
    page = report_page.html(report, {}, [], [])
    assert "</script><script>x" not in page and "<img src=x" not in page and "&lt;img src=x" in page


def test_niivue_is_what_its_readme_says() -> None:
    told = (NIIVUE / "README.md").read_text()
    assert hashlib.sha256((NIIVUE / "niivue.umd.js").read_bytes()).hexdigest() in told
    assert "BSD 2-Clause License" in (NIIVUE / "LICENSE").read_text()


def test_without_matplotlib_it_is_said_before_the_work(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ReportError, match=r"pip install medgen\[report\]"):
        check(tmp_path / "report.html")
    for words in (["run", BUNDLE, folder / "scans", "-o", tmp_path / "out", "--report"], ["report", folder / "out"]):
        code, _, err = call(*words)
        assert code == 2 and "pip install medgen[report]" in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "absent"], "absent: there is no such"),
        (["report", "empty"], "holds no scans and no results"),
        (["report", "bad"], "bad/results.json: cannot be read"),
        (["report", "other"], "other/results.json: is no table of medgen's"),
        (["report", "empty", "-o", "page.txt"], "name it so, such as page.html"),
        (["evaluate", "empty", "--report"], "wants --output"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str) -> None:
    for name, text in (("bad", "{"), ("other", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(text)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    code, _, err = call(*words)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1


def test_only_results_of_a_run_count_where_there_are_any(folder: Path, tmp_path: Path) -> None:
    assert [one.name for one in cases_of(folder / "clean")] == list(NAMES)
    assert all(list(one.scans) == ["result", "uncertainty"] for one in cases_of(folder / "out"))
    with pytest.raises(ScanError, match="cannot be read"):
        (tmp_path / "speed.json").write_text("[1")
        tables_in([tmp_path])
