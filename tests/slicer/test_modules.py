"""The command-line modules, run by Slicer's own logic."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medgen.slicer.tasks import BY_BUNDLE, EVALUATE
from medgen.synthesis.transforms import AcquireScand, OrderScand
from tests.slicer import phantom
from tests.slicer.calling import ask
from tests.slicer.painting import check_painted


def test_slicer_takes_every_xml(modules: Path, tmp_path: Path) -> None:
    told = ask("scenarios.py", "xml", modules, tmp_path)
    assert told["refused"] == 2
    titles = {task.file: task.title for task in (*BY_BUNDLE, EVALUATE)}
    assert set(told["defaults"]) == {titles[path.stem] for path in modules.glob("*.xml")} == set(titles.values())
    assert told["defaults"]["MedGen Synthesise from text"]["text"] == ["string", ""]
    assert told["defaults"]["MedGen Synthesise from text"]["seed"] == ["integer", "0"]
    assert told["defaults"]["MedGen Translate"]["brighter_contrast"] == ["string-enumeration", "T2"]
    denoise = told["defaults"]["MedGen Denoise"]
    assert denoise["nothing_strength"] == ["double", "0.5"] and denoise["nothing_draws"] == ["integer", "3"]
    assert denoise["nothing_profile"] == ["string-enumeration", "box"] and denoise["nothing_project"] == ["boolean", "true"]
    assert denoise["nothing_thickness"] == ["string", ""] and denoise["uncertainty"][0] == "image"
    assert "mask" in told["defaults"]["MedGen Repair"] and "mask" not in denoise


def test_volumes_of_other_orientations_come_back_in_their_place(modules: Path, tmp_path: Path) -> None:
    told = ask("scenarios.py", "orientations", modules, tmp_path / "zwei Wörter")
    for storage, row in told["rows"].items():
        assert row["status"] == "Completed" and row["error"] == "", (storage, row)
        assert row["equal"] and row["dtype"] == "int16", storage
    assert list(told["rows"]) == ["LAS", "oblique"] and told["left"] == []


def test_a_label_map_is_the_mask_and_progress_is_told(modules: Path, tmp_path: Path) -> None:
    told = ask("scenarios.py", "mask", modules, tmp_path)
    assert told["status"] == "Completed" and told["error"] == "" and told["equal"]
    assert {2, 10, 20} & set(told["progress"])
    assert set(told["seen"]) <= {".nii", ".params"}  # no other file ever was, so a kill cannot leave one
    assert told["left"] == []


def test_an_uncertainty_and_a_finer_grid_come_back(modules: Path, tmp_path: Path) -> None:
    told = ask("scenarios.py", "outputs", modules, tmp_path)
    denoised, enhanced = told["rows"]["MedGen Denoise"], told["rows"]["MedGen Enhance"]
    for row in (denoised, enhanced):
        assert row["status"] == "Completed" and row["error"] == "", row
        assert all(row[name]["moved"] < 1e-3 for name in ("output", "uncertainty") if name in row)
    assert denoised["output"]["shape"] == denoised["uncertainty"]["shape"] == list(phantom.SHAPE)
    assert denoised["output"]["dtype"] == "int16" and denoised["uncertainty"]["dtype"] == "float32"
    assert denoised["uncertainty"]["low"] >= 0 and denoised["uncertainty"]["mean"] > 0
    np.testing.assert_allclose(enhanced["output"]["spacing"], [1.0, 1.2, 1.0], atol=0.01)
    assert enhanced["output"]["shape"] == [*phantom.SHAPE[:2], 39]
    truth = phantom.clean(phantom.points(phantom.affine("LPS"))).mean()  # noise makes the input's air, and so its mean, brighter
    assert enhanced["output"]["mean"] == pytest.approx(truth, rel=0.08) and enhanced["input"]["mean"] > 1.2 * truth
    assert told["left"] == []


def test_a_translation_and_a_sentence_give_volumes(modules: Path, tmp_path: Path) -> None:
    text, large = "Coronal FLAIR, 14 mm infarct in the left frontal lobe, quite odd", "T1, 90 mm lesion in the left hippocampus"
    (tmp_path / "texts").write_text(json.dumps([text, large]), encoding="utf-8")
    told = ask("scenarios.py", "synthetic", modules, tmp_path)
    assert told["translated"]["status"] == "Completed" and told["translated"]["error"] == "" and told["equal"]
    row = told["rows"].pop(text)
    assert row["status"] == "Completed" and row["error"] == "" and "frontal lobe = place: frontal" in row["understood"]
    assert row["ignored"] == "quite; odd"
    truth, made = AcquireScand("image")(OrderScand("image")({"image": text, "seed": 7})), np.load(tmp_path / "made.npz")
    np.testing.assert_allclose(made["affine"], truth["image"].affine.numpy(), atol=1e-4)
    assert np.abs(made["array"] - truth["image"][0].numpy()).max() <= 0.5  # whole numbers
    refused = told["rows"][large]
    assert "the largest that does has" in refused["error"] and len(refused["error"].strip().splitlines()) == 1, refused
    assert refused["status"] == "Completed with errors" and not refused["result"]
    assert told["left"] == []


def test_a_label_map_is_painted(modules: Path, tmp_path: Path) -> None:
    told = ask("scenarios.py", "painted", modules, tmp_path)
    assert told["status"] == "Completed" and told["error"] == "" and told["left"] == []
    check_painted(tmp_path / "painted.npy", "PIR", "brain_mri_synthesis_spade")


def test_a_failure_is_one_line(modules: Path, tmp_path: Path) -> None:
    told = ask("scenarios.py", "failures", modules, tmp_path)
    for name, words in (("value", "memory must be a number, not much"), ("volume", "medgen: the input volume: holds 1 NaN")):
        row = told["rows"][name]
        assert row["status"] == "Completed with errors" and not row["result"]
        assert words in row["error"] and len(row["error"].strip().splitlines()) == 1, row
    assert told["left"] == []


def test_cancel_leaves_nothing(modules: Path, tmp_path: Path) -> None:
    told = ask("scenarios.py", "cancel", modules, tmp_path)
    assert told["reached"] == 20 and told["program"] and not told["alive"]
    assert told["status"] == "Cancelled" and not told["result"]
    assert told["left"] == []


def test_evaluation_fills_a_table_and_tells_the_main_measures(modules: Path, tmp_path: Path) -> None:
    told = ask("scenarios.py", "evaluate", modules, tmp_path)
    assert told["status"] == "Completed" and told["error"] == ""
    assert told["head"] == ["measure", "image", "mask", "label 1", "label 2", "meaning"]
    assert [float(value) for value in told["rows"]["mae"][2:4]] == [30, 10]
    assert float(told["shown"]["mae"]) == pytest.approx(told["mae"], rel=1e-3)
    assert float(told["rows"]["psnr"][3]) == pytest.approx(40, abs=0.01)  # 20 log10(1000 / 10)
    assert told["shown"]["noise"] == "" and "mean absolute error" in told["rows"]["mae"][-1]
    assert told["left"] == []
