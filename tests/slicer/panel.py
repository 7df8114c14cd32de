"""The panel itself, its widgets Qt's own, over a real scene, with medgen in a real process. Runs in .slicer-venv."""

from __future__ import annotations

import json
import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ["QT_QPA_PLATFORM"] = "offscreen"
import phantom
import pythonqt
import slicer
from host import Host, at, files_under

WIDGETS = ("inputSelector", "labelsSelector", "allVolumesCheckBox", "maskSelector", "uncertaintyCheckBox", "settingsGroup", "textEdit", "countSpinBox",
           "seedSpinBox", "permissiveCheckBox")  # fmt: skip


class ScriptedLoadableModule:
    def __init__(self, parent: Any) -> None:
        self.parent = parent


class ScriptedLoadableModuleWidget:
    """What Slicer's own gives the panel."""

    folder: Path

    def __init__(self, parent: Any) -> None:
        self.parent, self.layout = parent, parent.layout()

    def setup(self) -> None:
        pass

    def resourcePath(self, name: str) -> str:
        return str(self.folder / "Resources" / name)


class Panel:
    """The panel in an application, and what a user does with it."""

    def __init__(self, modules: Path, scratch: Path) -> None:
        sys.path.insert(0, str(modules))
        os.environ.update(TMPDIR=str(scratch / "temporary"), XDG_CONFIG_HOME=str(scratch / "config"))
        (scratch / "temporary").mkdir(parents=True)
        self.application = pythonqt.install()
        self.host = Host(scratch / "slicer")
        slicer.mrmlScene = self.host.scene
        slicer.util.resetSliceViews = lambda: None  # which needs the application's layout
        ScriptedLoadableModuleWidget.folder = modules
        beside = types.ModuleType("slicer.ScriptedLoadableModule")
        beside.ScriptedLoadableModule, beside.ScriptedLoadableModuleWidget = ScriptedLoadableModule, ScriptedLoadableModuleWidget
        sys.modules["slicer.ScriptedLoadableModule"] = beside
        import MedGen
        import qt

        self.about = types.SimpleNamespace()
        MedGen.MedGen(self.about)
        self.parent = qt.QWidget()
        qt.QVBoxLayout(self.parent)
        self.panel = MedGen.MedGenWidget(self.parent)
        self.panel.setup()
        self.ui = self.panel.ui
        self.parent.resize(420, 560)
        self.parent.show()

    def choose(self, bundle: str) -> None:
        self.ui.bundleSelector.setCurrentIndex(self.ui.bundleSelector.findText(bundle))
        self.application.processEvents()

    def state(self) -> dict[str, Any]:
        """What is shown and can be used, and the chosen settings."""
        shown = [name for name in WIDGETS if not getattr(self.ui, name).isHidden() and getattr(self.ui, name).enabled]
        return {"shown": shown, "values": self.panel.form.values(), "task": self.ui.taskLabel.text}

    def follow(self, until: Callable[[], bool], limit: float = 600) -> None:
        end = time.monotonic() + limit
        while not until() and time.monotonic() < end:
            self.application.processEvents()
            time.sleep(0.01)

    def run(self) -> str:
        """Press Run, wait to the end, and return what the panel says."""
        self.ui.runButton.click()
        self.follow(lambda: not self.panel.timer.active)
        return str(self.ui.statusLabel.text)

    def picture(self, path: Path) -> str:
        self.application.processEvents()
        self.parent.grab().save(str(path))
        return str(path)


def used(modules: Path, scratch: Path) -> dict[str, Any]:
    """Every bundle chosen; a run, a text, nothing chosen, cancel, and a program that is none."""
    made = Panel(modules, scratch)
    ui, host = made.ui, made.host
    told: dict[str, Any] = {"title": made.about.title, "enabled": ui.runButton.enabled, "states": {}, "first": ui.bundleSelector.currentText}
    for bundle in made.panel.bundles:
        made.choose(bundle.name)
        told["states"][bundle.name] = made.state()
    made.choose("nothing")
    told["nothing"] = made.run()
    array, affine = phantom.scan("LPS")
    source = host.volume(array, affine, "scan")
    told["ran"] = made.run()
    (result,) = made.panel.results
    told["equal"] = bool(np.array_equal(at(result.volume, phantom.points(affine)), at(source, phantom.points(affine))))
    told["selector"] = [ui.resultSelector.itemText(0), ui.resultSelector.currentIndex]
    told["pictures"] = [made.picture(scratch / "volume.png")]
    made.choose("to_order")
    ui.textEdit.setPlainText("Coronal T2, 14 mm lesion in the left frontal lobe, quite odd")
    ui.seedSpinBox.value = 5
    told["made"] = made.run()
    told["made_name"] = made.panel.results[0].volume.GetName()
    told["pictures"].append(made.picture(scratch / "text.png"))
    ui.textEdit.setPlainText("")
    told["empty"] = made.run()
    made.choose("brain_mri_synthesis_spade")
    told["labels"] = [ui.allVolumesCheckBox.text, made.run()]  # the scan is none
    ui.labelsSelector.setCurrentNode(host.volume(*phantom.labels("LPS"), "map", "LabelMapVolume"))
    ui.runButton.click()
    told["labels"] += [made.panel.timer.active, [node.GetName() for node in made.panel.logic._waiting.values()]]
    ui.cancelButton.click()
    made.choose("nothing")
    ui.runButton.click()
    told["busy"] = [ui.runButton.enabled, ui.cancelButton.enabled, ui.progressBar.isHidden()]
    ui.cancelButton.click()
    told["idle"] = [ui.runButton.enabled, ui.cancelButton.enabled, ui.progressBar.isHidden()]
    told["cancelled"] = ui.statusLabel.text
    ui.programPath.currentPath = "/nonexistent/medgen"
    told["lost"] = [ui.statusLabel.text, ui.bundleSelector.count, ui.runButton.enabled]
    made.panel.cleanup()
    told["left"] = files_under(scratch / "temporary")
    host.close()
    return told


if __name__ == "__main__":
    name, modules, scratch = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    print(json.dumps(globals()[name](modules, scratch)), flush=True)
