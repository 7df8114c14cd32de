"""Qt as the application's Python sees it (PythonQt), over PySide6: modules `qt` and `ctk`. Runs in .slicer-venv.

Properties are attributes, signals are connected by their signature, and a name that Qt's meta-objects do not have is an error.
Widgets of CTK and of MRML, which no wheel has, are stand-ins with what is used of them, by the headers of CTK and Slicer.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets
from PySide6.QtCore import Property, QMetaObject, QObject, Signal, Slot


class Wrapped:
    """A QObject with PythonQt's way to name things."""

    def __init__(self, of: QObject) -> None:
        object.__setattr__(self, "of", of)

    def __getattr__(self, name: str) -> Any:
        of: QObject = object.__getattribute__(self, "of")
        if name == "name":
            return of.objectName()
        if of.metaObject().indexOfProperty(name) >= 0:
            return of.property(name)
        found = getattr(of, name)
        return (lambda *values: wrapped(found(*map(bare, values)))) if callable(found) else wrapped(found)

    def __setattr__(self, name: str, value: Any) -> None:
        if self.of.metaObject().indexOfProperty(name) < 0:
            raise AttributeError(f"{self.of.metaObject().className()} has no property {name}")
        if not self.of.setProperty(name, value):
            raise TypeError(f"{self.of.metaObject().className()}.{name} cannot be {value!r}")

    def connect(self, signal: str, to: Callable[..., Any]) -> None:
        name, _, types_of = signal.rstrip(")").partition("(")
        if self.of.metaObject().indexOfSignal(QMetaObject.normalizedSignature(signal).data().decode()) < 0:
            raise AttributeError(f"{self.of.metaObject().className()} has no signal {signal}")
        count = len(types_of.split(",")) if types_of else 0
        getattr(self.of, name).connect(lambda *values: to(*values[:count]))


def wrapped(value: Any) -> Any:
    if isinstance(value, QObject):
        return Wrapped(value)
    return [wrapped(one) for one in value] if isinstance(value, list) else value


def bare(value: Any) -> Any:
    return value.of if isinstance(value, Wrapped) else value


class Module(types.ModuleType):
    """A module whose classes make wrapped objects."""

    def __init__(self, name: str, *places: Any) -> None:
        super().__init__(name)
        self.places = places

    def __getattr__(self, name: str) -> Any:
        for place in self.places if name[0] != "_" else ():
            if hasattr(place, name):
                return Made(getattr(place, name))
        raise AttributeError(f"{self.__name__} has no {name}")


class Made:
    """A class of Qt; what it makes is wrapped."""

    def __init__(self, of: Any) -> None:
        self.of = of

    def __call__(self, *values: Any) -> Any:
        if self.of is QtUiTools.QUiLoader:
            return Wrapped(loader())
        return wrapped(self.of(*map(bare, values)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of, name)


class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = Signal("vtkMRMLScene*")

    def setMRMLScene(self, scene: Any) -> None:
        for selector in self.findChildren(qMRMLNodeComboBox):  # what the connections of the .ui file do
            selector.setMRMLScene(scene)


def _held(name: str, kind: str) -> Any:
    return Property(kind, lambda self: self.held[name], lambda self, value: self.held.__setitem__(name, value))


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Holds a node that was chosen, or the first of its types where there must be one."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.scene: Any = None
        self.chosen: Any = None
        self.held: dict[str, Any] = {"nodeTypes": [], "noneEnabled": False, "addEnabled": True, "removeEnabled": True, "showChildNodeTypes": True}

    nodeTypes = _held("nodeTypes", "QStringList")
    noneEnabled, addEnabled, removeEnabled = _held("noneEnabled", "bool"), _held("addEnabled", "bool"), _held("removeEnabled", "bool")
    showChildNodeTypes = _held("showChildNodeTypes", "bool")

    @Slot("vtkMRMLScene*")
    def setMRMLScene(self, scene: Any) -> None:
        self.scene = scene

    def setCurrentNode(self, node: Any) -> None:
        self.chosen = node

    def currentNode(self) -> Any:
        if self.chosen is not None or self.noneEnabled:
            return self.chosen
        return next((node for kind in self.nodeTypes if (node := self.scene.GetFirstNodeByClass(kind))), None)


class ctkCollapsibleButton(QtWidgets.QGroupBox):
    text = Property(str, QtWidgets.QGroupBox.title, QtWidgets.QGroupBox.setTitle)
    collapsed = Property(bool, lambda self: False, lambda self, value: None)


class ctkPathLineEdit(QtWidgets.QLineEdit):
    currentPathChanged = Signal(str)

    def setCurrentPath(self, path: str) -> None:
        if path != self.text():
            self.setText(path)
            self.currentPathChanged.emit(path)

    currentPath = Property(str, QtWidgets.QLineEdit.text, setCurrentPath)


class ctkSliderWidget(QtWidgets.QDoubleSpinBox):
    pass


CUSTOM = (qMRMLWidget, qMRMLNodeComboBox, ctkCollapsibleButton, ctkPathLineEdit, ctkSliderWidget)


def loader() -> QtUiTools.QUiLoader:
    made = QtUiTools.QUiLoader()
    for kind in CUSTOM:
        made.registerCustomWidget(kind)
    return made


def install() -> QtWidgets.QApplication:
    """Put the modules in their place, and return the application, which draws to no screen."""
    sys.modules["qt"] = Module("qt", QtCore, QtWidgets, QtUiTools)
    sys.modules["ctk"] = Module("ctk", sys.modules[__name__])
    return QtWidgets.QApplication([])
