"""The panel: its widgets in Qt, with stand-ins for those of CTK and MRML."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from tests.slicer.bundles import SETTINGS
from tests.slicer.calling import ROOT, ask

ALWAYS = ["inputSelector", "allVolumesCheckBox", "permissiveCheckBox"]
TEXT = ["textEdit", "countSpinBox", "seedSpinBox"]


def test_a_user_runs_a_bundle_makes_a_scan_of_a_text_and_cancels(modules: Path, tmp_path: Path) -> None:
    told = ask("panel.py", "used", modules, tmp_path)
    states = {name: set(state["shown"]) for name, state in told["states"].items()}
    assert told["title"] == "MedGen" and told["enabled"]
    assert states["nothing"] == {*ALWAYS, "settingsGroup"} and states["cut_out"] == {*ALWAYS, "maskSelector"}
    assert states["to_order"] == set(TEXT) and states["mr_denoise_vae"] >= {*ALWAYS, "uncertaintyCheckBox"}
    assert states["brain_mri_synthesis_spade"] == {"labelsSelector", *ALWAYS[1:], "settingsGroup"} and told["first"] == "cut_out"
    assert told["labels"] == ["All loaded label maps", "no label map is chosen; load one", True, ["map"]]
    defaults = {name: about["default"] for name, about in SETTINGS.items() if about["default"] is not None}
    assert told["states"]["nothing"]["values"] == defaults and told["states"]["nothing"]["task"] == "Give back the volume"
    assert told["nothing"] == "no volume is chosen; load one"
    assert told["ran"] == "1 of 1 done" and told["equal"] and told["selector"] == ["scan", 0]
    assert told["made"].splitlines()[0] == "1 of 1 done" and "frontal lobe = place: frontal" in told["made"]
    assert "ignored: quite, odd" in told["made"] and told["made_name"] == "SYNTHETIC seed 5 to_order"
    assert told["empty"].startswith("say what to make")
    assert told["busy"] == [False, True, False] and told["idle"] == [True, False, True]
    assert told["cancelled"] == "cancelled" and told["left"] == []
    assert told["lost"][0].startswith("medgen was not found") and told["lost"][1:] == [0, False]
    for path in told["pictures"]:
        assert np.asarray(Image.open(path).convert("L")).std() > 10


def test_what_shows_nodes_is_told_of_the_scene() -> None:
    tree = ElementTree.parse(ROOT / "medgen/slicer/MedGen/Resources/UI/MedGen.ui")
    selectors = {widget.get("name") for widget in tree.iter("widget") if widget.get("class") == "qMRMLNodeComboBox"}
    told = {one.findtext("receiver") for one in tree.iter("connection") if one.findtext("slot") == "setMRMLScene(vtkMRMLScene*)"}
    assert selectors and told == selectors
