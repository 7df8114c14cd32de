"""The module MedGen of 3D Slicer: what the user sees. All work is done by MedGenLib, which needs no qt."""

from __future__ import annotations

import qt
import slicer
from MedGenLib.logic import MedGenLogic, Result
from MedGenLib.process import Medgen
from MedGenLib.request import Bundle, Request, first_choice
from MedGenLib.settings import SettingsForm
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

POLL = 200  #: ms between two looks at the process
PROGRAM = "MedGen/program"  #: in Slicer's settings: the program medgen that the user chose


class MedGen(ScriptedLoadableModule):
    """What Slicer's module list shows."""

    def __init__(self, parent) -> None:  # type: ignore[no-untyped-def]
        super().__init__(parent)
        parent.title = "MedGen"
        parent.categories = ["MedGen"]  # beside the command-line modules
        parent.contributors = ["the medgen team"]
        parent.helpText = (
            "Denoises, enhances and repairs CT and MR volumes with the bundles of medgen, and shows result and input side "
            "by side; makes synthetic scans of a label map or a sentence. Research only; not a medical device. medgen runs in its own Python: pip install medgen there, then "
            "medgen slicer install."
        )


class MedGenWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent=None) -> None:  # type: ignore[no-untyped-def]
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self) -> None:
        super().setup()
        widget = slicer.util.loadUI(self.resourcePath("UI/MedGen.ui"))
        widget.setMRMLScene(slicer.mrmlScene)
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        self.form = SettingsForm(self.ui.settingsGroup)
        self.bundles: list[Bundle] = []
        self.results: list[Result] = []
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL)
        self.timer.connect("timeout()", self.onTimer)
        self.ui.programPath.currentPath = qt.QSettings().value(PROGRAM, "") or ""
        self.ui.programPath.connect("currentPathChanged(QString)", self.onProgram)
        self.ui.bundleSelector.connect("currentIndexChanged(int)", self.onBundle)
        self.ui.runButton.connect("clicked()", self.onRun)
        self.ui.cancelButton.connect("clicked()", self.onCancel)
        self.ui.resultSelector.connect("currentIndexChanged(int)", self.onResult)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onCancel)
        self.onProgram()

    def cleanup(self) -> None:
        self.onCancel()
        self.removeObservers()

    def onProgram(self, path: str | None = None) -> None:
        """Ask medgen, wherever it is, for its bundles."""
        self.onCancel()  # of the medgen before
        if path is not None:
            qt.QSettings().setValue(PROGRAM, path)
        self.logic = MedGenLogic(slicer.mrmlScene, Medgen(self.ui.programPath.currentPath))
        try:
            self.bundles = self.logic.bundles()
            self.say("")
        except (OSError, ValueError) as error:
            self.bundles = []
            self.say(f"medgen was not found ({error}): run medgen slicer install, or choose the program under Advanced")
        self.ui.bundleSelector.clear()
        self.ui.bundleSelector.addItems([bundle.name for bundle in self.bundles])
        self.ui.bundleSelector.currentIndex = first_choice(self.bundles)
        self.ui.runButton.enabled = bool(self.bundles)

    def onBundle(self, index: int) -> None:
        """Show what the chosen bundle is for, and its parameters."""
        bundle = self.bundles[index] if 0 <= index < len(self.bundles) else None
        self.ui.taskLabel.text = bundle.task if bundle else ""
        self.form.show(bundle.settings if bundle else {})
        self.ui.settingsGroup.visible = bool(bundle and bundle.settings)
        self.ui.uncertaintyCheckBox.enabled = bool(bundle and bundle.uncertainty)
        text, labels = bool(bundle and bundle.text), bool(bundle and bundle.labels)
        for widget in (self.ui.maskLabel, self.ui.maskSelector):
            widget.visible = bool(bundle and bundle.mask)
        for name in ("allVolumesCheckBox", "uncertaintyCheckBox", "permissiveCheckBox"):
            getattr(self.ui, name).visible = not text
        for name in ("textLabel", "textEdit", "countLabel", "countSpinBox", "seedLabel", "seedSpinBox"):
            getattr(self.ui, name).visible = text
        for label, selector, shown in (("inputLabel", "inputSelector", not labels), ("labelsLabel", "labelsSelector", labels)):
            getattr(self.ui, label).visible = getattr(self.ui, selector).visible = shown and not text
        self.ui.allVolumesCheckBox.text = "All loaded label maps" if labels else "All loaded volumes"
        self.ui.maskSelector.toolTip = bundle.mask if bundle else ""

    def onRun(self) -> None:
        bundle = self.bundles[self.ui.bundleSelector.currentIndex]
        request = Request(
            bundle.name, self.form.values(), bundle.uncertainty and self.ui.uncertaintyCheckBox.checked,
            self.ui.deviceEdit.text.strip(), self.ui.permissiveCheckBox.checked,
            self.ui.textEdit.plainText.strip() if bundle.text else "", self.ui.countSpinBox.value, self.ui.seedSpinBox.value,
            bundle.labels,
        )  # fmt: skip
        one = (self.ui.labelsSelector if bundle.labels else self.ui.inputSelector).currentNode()
        volumes = self.logic.volumes(bundle.labels) if self.ui.allVolumesCheckBox.checked else [one] if one else []
        try:
            if bundle.text:
                self.logic.make(request)
            else:
                self.logic.run(volumes, request, self.ui.maskSelector.currentNode() if bundle.mask else None)
        except (OSError, ValueError) as error:
            self.say(str(error))
            return
        self.results = []
        self.ui.resultSelector.clear()
        self.running(True)

    def onTimer(self) -> None:
        """Show what is done; runs in the event loop, so Slicer stays usable."""
        going = self.logic.step()
        done, total = self.logic.progress()
        self.ui.progressBar.maximum = total if done else 0  # busy until the first is done
        self.ui.progressBar.value = done
        for result in self.logic.results[len(self.results) :]:
            self.results.append(result)
            self.ui.resultSelector.addItem(result.name)
        lines = [f"{done} of {total} done", self.logic.error, *self.logic.understood.lines()]
        for result in self.results:
            lines += [result.error, *(f"{result.name}: {warning}" for warning in result.warnings)]
        self.say("\n".join(filter(None, lines)))
        if not going:
            self.running(False)
            self.ui.resultSelector.currentIndex = len(self.results) - 1

    def onCancel(self, *_: object) -> None:
        if self.timer.active:
            self.logic.cancel()
            self.running(False)
            self.say("cancelled")

    def onResult(self, index: int) -> None:
        """Show a result, beside its input if it has one."""
        if 0 <= index < len(self.results) and self.logic.show(self.results[index]):
            slicer.util.resetSliceViews()

    def running(self, going: bool) -> None:
        """Set the buttons for a run that goes on, or for none."""
        self.timer.start() if going else self.timer.stop()
        self.ui.runButton.enabled = not going
        self.ui.cancelButton.enabled = going
        self.ui.progressBar.visible = going

    def say(self, text: str) -> None:
        self.ui.statusLabel.text = text
        self.ui.statusLabel.visible = bool(text)
