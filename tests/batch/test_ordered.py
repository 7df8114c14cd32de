"""Scans to order, made by the shipped bundle that takes sentences."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medgen.batch.made_of import age_and_sex, labels_of, map_of
from medgen.batch.ordered import check, ordered, read_spec
from medgen.batch.results import Options
from medgen.bundles import Bundle, BundleError, available, open_bundle, read_metadata
from medgen.scans import Case, find
from medgen.text.items import TextError
from medgen.text.parse import parse
from medgen.text.spec import ScanSpec
from tests.test_cli import call
from tests.text.test_llm import Endpoint, endpoint

__all__ = ["endpoint"]  # a fixture

TEXT = "Sagittal T2 of a 70-year-old woman, enlarged ventricles, 20 mm infarct in the right parietal lobe, no motion"
(NAME,) = (name for name, root in available().items() if read_metadata(root).get("text"))


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(NAME, "cpu")


@pytest.fixture(scope="module")
def made(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (result,) = ordered(bundle, TEXT, 1, Options(folder, seed=4))
    assert result.error is None and len(result.files) == 3
    return folder


def test_the_file_says_that_it_is_synthetic_and_what_was_made(made: Path) -> None:
    (path,) = made.glob("*.nii.gz")
    image = nib.load(path)
    assert b"SYNTHETIC" in bytes(image.header["descrip"].item()) and "synthesis" in path.name
    assert image.header.get_zooms() == pytest.approx((3, 2, 2), abs=1e-3)
    sidecar = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
    assert sidecar["synthetic"] is True and sidecar["modality"] == "MR" and sidecar["parameters"]["seed"] == 4
    assert sidecar["report"]["spec"]["contrast"] == "T2"
    assert sidecar["report"]["nearest_training_scan"]["image"]["distance"] > sidecar["report"]["nearest_training_scan"]["image"]["limit"]


def test_the_label_map_lies_beside_the_scan_and_is_no_scan_of_its_own(made: Path) -> None:
    (case,) = find(made).cases
    place = labels_of(case)
    assert place is not None and place.parent.parent == made and not list(place.parent.glob(".*"))
    labels, image = nib.load(place), nib.load(case.files[0])
    assert b"SYNTHETIC labels" in bytes(labels.header["descrip"].item())
    assert labels.shape == image.shape and np.array_equal(labels.affine, image.affine) and labels.get_data_dtype() == np.uint8
    assert {1, 2, 3, 14} < set(np.unique(labels.dataobj).tolist())
    sidecar = json.loads(case.files[0].with_name(f"{case.name}.json").read_text())
    assert made / sidecar["report"]["label_map"]["file"] == place and age_and_sex(case) == (70, "female")


def test_from_text_to_scan_to_text(made: Path) -> None:
    code, out, err = call("describe", made, "--json")
    assert code == 0, out + err
    (row,) = json.loads(out)["scans"]
    assert "painted from" in row["labelled_by"] and row["label_map"].startswith(".labels/")
    ordered, told = parse(TEXT).spec, parse(row["text"]).spec
    assert told.contrast == ordered.contrast == "T2" and told.plane == ordered.plane == "sagittal"
    assert told.ventricles == ordered.ventricles and row["ventricles"]["usual_of"] == "age and sex"
    (lesion,) = told.lesions or []
    assert (lesion.kind, lesion.side, lesion.place) == ("stroke-like", "right", "parietal")
    assert lesion.diameter_mm is not None and lesion.diameter_mm.low == pytest.approx(20, abs=2.5)
    assert "painted from: .labels/" in call("describe", made)[1]


def test_a_series_knows_its_sidecar_and_others_have_none(made: Path, tmp_path: Path) -> None:
    (sidecar,) = made.glob("*.json")
    about = json.loads(sidecar.read_text())
    about["outputs"]["image"] = "order_x"  # a folder of DICOM files
    series = Case("order_x", (tmp_path / "order_x" / "0001.dcm",), "dicom")
    (tmp_path / "order_x.json").write_text(json.dumps(about))
    assert labels_of(series) is None and age_and_sex(series) == (70, "female")  # the map is gone
    map_of(tmp_path / "order_x.json").parent.mkdir()
    map_of(tmp_path / "order_x.json").touch()
    assert labels_of(series) == map_of(tmp_path / "order_x.json")
    for wrong in (about | {"synthetic": False}, about | {"outputs": {"image": "y"}}, about | {"report": []}, [], {}):
        (tmp_path / "order_x.json").write_text(json.dumps(wrong))
        assert labels_of(series) is None and age_and_sex(series) is None
    assert labels_of(Case("a", (tmp_path / "a.nii.gz",), "nifti")) is None


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_specification_is_read_as_parse_prints_it(tmp_path: Path, wrapped: bool) -> None:
    told = json.loads(call("parse", TEXT, "--json")[1])
    (tmp_path / "spec.json").write_text(json.dumps(told if wrapped else told["spec"]))
    assert read_spec(tmp_path / "spec.json") == parse(TEXT).spec


@pytest.mark.parametrize(("content", "why"), [
    ("{", "no JSON"), ("[]", "no valid ScanSpec"), ('{"spec": {"side": "left"}}', "side: Extra inputs"),
    ('{"lesions": [{"side": "up"}]}', "lesions.0.side"), ('{"age_years": {"low": 70, "high": 60}}', "runs backwards"), (None, "No such file"),
])  # fmt: skip
def test_what_is_no_specification_is_one_clear_error(tmp_path: Path, content: str | None, why: str) -> None:
    if content is not None:
        (tmp_path / "spec.json").write_text(content)
    code, out, err = call("run", NAME, "--spec", tmp_path / "spec.json", "-o", tmp_path / "out", "--device", "cpu")
    assert code == 2 and out == "" and err.count("\n") == 1 and why in err and "medgen parse --json" in err
    assert not (tmp_path / "out").exists()


def test_a_text_and_a_specification_are_not_both_taken(tmp_path: Path) -> None:
    both = call("run", NAME, "--spec", tmp_path / "spec.json", "--text", TEXT, "-o", tmp_path / "out", "--device", "cpu")
    assert both[0] == 2 and "give one of them" in both[2]


def test_the_lesion_is_where_it_was_ordered_and_bright(made: Path) -> None:
    (path,) = made.glob("*.nii.gz")
    (edit,) = [one for one in json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())["report"]["edits"] if one.get("edit") == "lesion"]
    assert edit["obtained_mm"] == pytest.approx(20, abs=2) and edit["centre_mm"][0] > 0  # RAS+: right
    image = nib.load(path)
    x, y, z = np.rint(np.linalg.inv(image.affine) @ [*edit["centre_mm"], 1])[:3].astype(int)
    data = np.asarray(image.dataobj, float)
    assert data[x, y - 1 : y + 2, z - 1 : z + 2].mean() > 600  # white matter is 500


def test_a_seed_gives_the_same_scan_again_and_what_is_there_is_kept(bundle: Bundle, made: Path, tmp_path: Path) -> None:
    (again,) = ordered(bundle, TEXT, 1, Options(tmp_path, seed=4))
    (path,) = made.glob("*.nii.gz")
    assert np.array_equal(nib.load(again.files[0]).dataobj, nib.load(path).dataobj)
    (kept,) = ordered(bundle, TEXT, 1, Options(made, seed=4))
    assert kept.files == () and kept.error is None


def test_what_a_model_read_is_shown_made_and_described(endpoint: Endpoint, tmp_path: Path) -> None:
    text = "FLAIR, voxels of 3 mm, 65-year-old man, markedly enlarged ventricles, 18 mm lesion in the left frontal lobe"
    answer = parse(text).spec.model_dump()
    answer["lesions"][0]["kind"] = "tumour-like"
    endpoint.completes(answer)
    code, out, err = call("parse", text, "--llm", endpoint.url, "--model", "m", "--json")
    assert code == 0, err
    (tmp_path / "spec.json").write_text(out)
    code, out, err = call("run", NAME, "--spec", tmp_path / "spec.json", "-o", tmp_path / "out", "--device", "cpu")
    assert code == 0 and '"kind": "tumour-like", "side": "left"' in out, out + err
    (sidecar,) = (tmp_path / "out").glob("*.json")
    assert ScanSpec.model_validate(json.loads(sidecar.read_text())["report"]["spec"]) == ScanSpec.model_validate(answer)
    (row,) = json.loads(call("describe", tmp_path / "out", "--json")[1])["scans"]
    told = ScanSpec.model_validate(row["spec"])
    assert told.contrast == "FLAIR" and told.voxel_mm == [3, 3, 3] and told.ventricles is not None and told.ventricles.factor == 3
    (lesion,) = told.lesions or []
    assert (lesion.kind, lesion.side, lesion.place) == ("tumour-like", "left", "frontal")
    assert lesion.diameter_mm is not None and lesion.diameter_mm.low == pytest.approx(18, abs=3)


def test_what_cannot_be_built_is_an_error_of_that_scan_alone(bundle: Bundle, tmp_path: Path) -> None:
    results = list(ordered(bundle, "T1, 90 mm lesion in the left hippocampus", 2, Options(tmp_path)))
    assert [result.files for result in results] == [(), ()]
    assert all("hippocampus" in str(result.error) and "\n" not in str(result.error) for result in results)


def test_a_contradiction_makes_nothing_and_other_bundles_take_no_text(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(TextError):
        list(ordered(bundle, "T1 and T2 of the same brain, 12 mm to the left", 1, Options(tmp_path)))
    assert not list(tmp_path.iterdir())
    with pytest.raises(BundleError, match="takes|text"):
        check(open_bundle(next(name for name in available() if name != NAME), "cpu"))
