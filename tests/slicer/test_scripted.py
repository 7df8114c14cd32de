"""The scripted module: its logic in a real scene, its files, and what its panel names."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from medgen.anatomy.classes import NAMES
from medgen.synthesis.transforms import AcquireScand, OrderScand
from tests.slicer import phantom
from tests.slicer.calling import ROOT, ask
from tests.slicer.painting import check_painted

MODULE = ROOT / "medgen/slicer/MedGen"


def test_a_batch_of_all_volumes_in_one_run(modules: Path, tmp_path: Path) -> None:
    told = ask("scripted.py", "batch", modules, tmp_path)
    assert told["bundles"]["nothing"] == ["1.2.3", "Give back the volume", ""] and told["bundles"]["cut_out"][2]
    assert told["equal"] == dict.fromkeys(phantom.STORAGES, True)
    assert told["error"] == "" and len(told["errors"]) == 1 and told["errors"][0].startswith("broken: ")
    assert told["progress"][0] == [0, 7] and told["progress"][-1] == [7, 7]
    assert "going on" in told["twice"]
    assert told["files"] == [f"volume{number:03}.nii" for number in range(1, 8)]  # no name of the scene among them
    assert told["name"] == "Jane Doe RAS nothing" and told["transform"] and told["window"] == [700, 400]
    assert told["bundle"] == "nothing" and told["derived"] == "true" and told["source"]
    assert told["parameters"]["profile"] == "gaussian" and told["parameters"]["project"] is False
    assert told["again"] == told["count"]  # results are no input of the next batch
    assert told["more"] == 0 and told["left"] == []


def test_segmentations_as_masks_errors_and_cancel(modules: Path, tmp_path: Path) -> None:
    told = ask("scripted.py", "masks", modules, tmp_path)
    assert told["error"] == "" and told["errors"] == ["", "gone was removed while it was worked on"] and told["equal"]
    assert told["more"] == 2  # the result and how it is shown; nothing of the export
    assert "no visible segment" in told["hidden"] and "load one" in told["none"]
    assert "no bundle is named 'no_such_bundle'" in told["unknown"]
    assert told["total"] == [0, 1]
    assert told["code"] == -9 and told["going"] is False and told["left"] == []


def test_result_and_uncertainty_are_shown_saved_and_opened_again(modules: Path, tmp_path: Path) -> None:
    told = ask("scripted.py", "compared", modules, tmp_path)
    views = {"Red": ["scan", ""], "Yellow": ["scan mr_denoise_vae", "scan mr_denoise_vae uncertainty"]}
    assert told["error"] == "" and told["show"] and told["views"] == views
    assert told["rms"][1] < 0.75 * told["rms"][0]  # in world space: a mirrored result would be off by far more
    assert 0 < told["spread"] < phantom.NOISE
    assert told["saved"] and told["gone"] is False and told["opened"]
    assert told["equal"] == dict.fromkeys(["scan", "scan mr_denoise_vae", "scan mr_denoise_vae uncertainty"], True)
    assert told["views_again"] == views and told["attribute"] == "mr_denoise_vae"
    before, result, *opened = (np.asarray(Image.open(path).convert("RGB")).astype(int) for path in told["pictures"])
    assert before.shape == result.shape == (320, 320, 3)
    assert (np.ptp(before, axis=2) == 0).all() and before.max() > 200  # the input in grey
    coloured = np.ptp(result, axis=2) > 20
    assert coloured[40:280, 40:280].mean() > 0.05, "the uncertainty lies over the result"
    assert coloured[:, -70:].any(), "the legend is at the right"
    assert np.abs(opened[0] - before).mean() < 1 and np.abs(opened[1] - result).mean() < 3
    assert told["left"] == []


def test_a_sentence_becomes_volumes_that_say_what_they_are(modules: Path, tmp_path: Path) -> None:
    text = "Sagittal T2, 20 mm lesion in the right parietal lobe, no motion, quite odd"
    (tmp_path / "text").write_text(text, encoding="utf-8")
    told = ask("scripted.py", "ordered", modules, tmp_path)
    assert set(told["bundles"]) == {"brain_mri_synthesis_text", "to_order"} and told["error"] == ""
    assert told["names"] == ["SYNTHETIC seed 3 to_order", "SYNTHETIC seed 4 to_order"] and told["known"] == "SYNTHETIC seed 3"
    assert told["progress"][0] == [0, 2] and told["progress"][-1] == [2, 2]
    assert "20 mm = diameter: 20 mm" in told["understood"][0] and told["understood"][1:] == ["ignored: quite, odd"]
    assert told["attributes"]["synthetic"] is True and told["attributes"]["parameters"]["seed"] == 3
    for number in range(2):
        truth = AcquireScand("image")(OrderScand("image")({"image": text, "seed": 3 + number}))
        made = np.load(tmp_path / f"made{number}.npz")
        np.testing.assert_allclose(made["affine"], truth["image"].affine.numpy(), atol=1e-4)
        assert np.abs(made["array"] - truth["image"][0].numpy()).max() <= 0.5  # whole numbers
    (lesion,) = [edit for edit in told["attributes"]["report"]["edits"] if edit.get("edit") == "lesion"]
    assert lesion["centre_mm"][0] > 0 and lesion["side"] == "right"  # RAS+
    made = np.load(tmp_path / "made0.npz")
    inside = tuple(np.rint(np.linalg.inv(made["affine"]) @ [*lesion["centre_mm"], 1])[:3].astype(int))
    assert made["array"][inside] == NAMES.index("white matter lesion")
    assert told["show"] and told["views"] == {view: ["SYNTHETIC seed 4 to_order", ""] for view in ("Red", "Yellow")}
    pictures = [np.asarray(Image.open(path).convert("L")) for path in told["pictures"]]
    assert all(picture[100:220, 100:220].std() > 10 for picture in pictures)
    assert told["gone"] is False and told["inputs"] == 0  # no input of the next run
    assert told["large"][0] == "" and "the largest that does has" in told["large"][1] and told["large"][1].startswith("SYNTHETIC seed 0: ")
    assert "two sizes" in told["contradiction"][0] and len(told["contradiction"]) == 1
    assert "say what to make" in told["empty"]
    assert told["code"] == -9 and told["going"] is False and told["left"] == [] and told["more"] == 0


def test_label_maps_are_painted_in_their_place_and_results_are_named_synthetic(modules: Path, tmp_path: Path) -> None:
    told = ask("scripted.py", "painted", modules, tmp_path)
    (name,) = told["labels"]
    assert told["first"] == "cut_out"  # the first that gives back a scan: what is translated or painted is offered later
    assert told["offered"] == [["scan"], ["map", "odd"]]
    assert told["error"] == "" and told["progress"][-1] == [2, 2]
    assert told["errors"][0] == "" and told["errors"][1].startswith("odd: the label map fits no scheme")
    assert told["source"] and told["name"] == f"SYNTHETIC map {name}" and told["synthetic"] == "true"
    check_painted(tmp_path / "painted.npy", "oblique", name)
    assert told["show"] and told["views"] == {"Red": ["map", ""], "Yellow": [told["name"], ""]}
    coloured, grey = (np.asarray(Image.open(path).convert("RGB")).astype(int) for path in told["pictures"])
    assert coloured[100:220, 100:220].std() > 10
    assert (np.ptp(grey, axis=2) == 0).all() and grey.max() > 200
    assert told["again"] == [1, 2]  # results are no input of the next run
    assert told["wrong"] == [f"scan is no label map, and {name} takes label maps; choose one", "map is no scan, and nothing takes scans; choose one",
                             "no label map is chosen; load one"]  # fmt: skip
    assert told["translated"] == ["", "SYNTHETIC scan brighter"] and told["left"] == []


def test_the_panel_has_what_the_module_names() -> None:
    tree = ElementTree.parse(MODULE / "Resources/UI/MedGen.ui")
    names = {widget.get("name") for widget in tree.iter("widget")}
    used = set(re.findall(r"self\.ui\.(\w+)", (MODULE / "MedGen.py").read_text()))
    assert used and used <= names
    interactive = ("Selector", "CheckBox", "Button", "Edit", "Path", "SpinBox")
    assert {name for name in names if name.endswith(interactive)} <= used | {"advancedButton"}, "a widget without a use"


def test_the_extension_lists_every_file() -> None:
    listed = set(re.findall(r"^  ([\w/]+\.\w+)$", (MODULE / "CMakeLists.txt").read_text(), re.MULTILINE))
    files = {path.relative_to(MODULE).as_posix() for path in MODULE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert listed == files - {"CMakeLists.txt"}
    top = (ROOT / "CMakeLists.txt").read_text()
    (module,) = re.findall(r"add_subdirectory\((.+)\)", top)
    assert (ROOT / module / "CMakeLists.txt").is_file()
    icon = Image.open(ROOT / re.findall(r"main/(.+\.png)", top)[0])
    assert icon.size == (128, 128)


def test_only_the_panel_needs_qt_and_nothing_needs_medgen() -> None:
    for path in MODULE.rglob("*.py"):
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, (ast.Import, ast.ImportFrom))]
        names = {(alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0] for node in nodes for alias in node.names}
        assert "medgen" not in names and "torch" not in names, path
        if path.name not in ("MedGen.py", "settings.py"):
            assert not names & {"qt", "ctk"}, path


def test_both_sides_clear_the_same_of_slicers_environment() -> None:
    from medgen.slicer.install import CLEARED

    assert f"CLEARED = {CLEARED!r}".replace("'", '"') in (MODULE / "MedGenLib/process.py").read_text()
