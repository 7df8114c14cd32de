"""Slicer's own C++ without the application: its scene and its logic of command-line modules. Runs in .slicer-venv.

The wheel slicer-core wraps all that for Python but `ModuleDescription`, which is reached through ctypes (the wheel is built
with libstdc++'s old strings, `Ss`, which are one pointer).
"""

from __future__ import annotations

import ctypes
import glob
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import slicer_core
import vtk

_ROOT = Path(slicer_core.__file__).parent
_STD = ctypes.CDLL("libstdc++.so.6")
_PARSER = ctypes.CDLL(glob.glob(f"{_ROOT}/third_party.libs/libModuleDescriptionParser.so")[0])
_CLI = ctypes.CDLL(f"{_ROOT}/libMRMLCLI.so")
_kept: list[Any] = []  #: what C++ points to must not be collected


def _string(text: str) -> Any:
    made, allocator = ctypes.create_string_buffer(16), ctypes.create_string_buffer(16)
    _STD._ZNSsC1EPKcRKSaIcE(made, ctypes.c_char_p(text.encode()), allocator)
    _kept.extend((made, allocator))
    return made


def register(xml: str, launcher: Path) -> None:
    """Make Slicer know a command-line module, as its module factory does. Raises ValueError for XML that it rejects."""
    description = ctypes.create_string_buffer(1 << 14)
    _kept.append(description)
    _PARSER._ZN17ModuleDescriptionC1Ev(description)
    parse = _PARSER._ZN23ModuleDescriptionParser5ParseERKSsR17ModuleDescription
    parse.restype = ctypes.c_int
    if parse(ctypes.create_string_buffer(64), _string(xml), description):
        raise ValueError("Slicer's ModuleDescriptionParser rejected the XML")
    _PARSER._ZN17ModuleDescription7SetTypeERKSs(description, _string("CommandLineModule"))
    _PARSER._ZN17ModuleDescription9SetTargetERKSs(description, _string(str(launcher)))
    _CLI._ZN28vtkMRMLCommandLineModuleNode25RegisterModuleDescriptionE17ModuleDescription(description)


class Host:
    """A scene with the logics that the application would give it; files pass through `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.scene = slicer.vtkMRMLScene()
        self.app = slicer.vtkSlicerApplicationLogic()
        self.app.SetMRMLScene(self.scene)
        self.app.SetTemporaryPath(str(folder))
        # what qSlicerCoreApplication::initDataIO does: without a cache manager, reading results back crashes
        remote, data = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
        remote.SetMRMLApplicationLogic(self.app)
        cache = folder.parent / "cache"
        cache.mkdir(exist_ok=True)
        remote.GetCacheManager().SetRemoteCacheDirectory(str(cache))
        data.SetMRMLApplicationLogic(self.app)
        self.app.SetMRMLSceneDataIO(self.scene, remote, data)
        self.logics = [remote, data]
        for name, kind in (("Colors", slicer.vtkSlicerColorLogic), ("Volumes", slicer.vtkSlicerVolumesLogic),
                           ("Tables", slicer.vtkSlicerTablesLogic), ("Segmentations", slicer.vtkSlicerSegmentationsModuleLogic),
                           ("", slicer.vtkSlicerCLIModuleLogic)):  # fmt: skip
            logic = kind()
            logic.SetMRMLApplicationLogic(self.app)
            logic.SetMRMLScene(self.scene)
            if name:
                self.app.SetModuleLogic(name, logic)
            self.logics.append(logic)
        self.scene.RegisterNodeClass(slicer.vtkMRMLCommandLineModuleNode())
        self.modules = self.logics[-1]
        self.modules.SetAllowInMemoryTransfer(0)
        # Slicer's processing thread gives the whole process, and all modules, the lowest priority; here it keeps its own.
        os.environ["SLICER_BACKGROUND_THREAD_PRIORITY"] = str(os.nice(0))
        self.app.CreateProcessingThread()  # without which nothing is read back

    def add(self, kind: str, name: str) -> Any:
        return self.scene.AddNewNodeByClass(f"vtkMRML{kind}Node", name)

    def volume(self, array: np.ndarray, affine: np.ndarray, name: str = "input", kind: str = "ScalarVolume") -> Any:
        """Add a volume of an array (X, Y, Z) whose affine leads to RAS."""
        node = self.add(kind, name)
        slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(array.transpose(2, 1, 0)))
        matrix = vtk.vtkMatrix4x4()
        matrix.DeepCopy(affine.ravel().tolist())
        node.SetIJKToRASMatrix(matrix)
        node.CreateDefaultDisplayNodes()
        return node

    def prepare(self, title: str, files: dict[str, Any], values: dict[str, Any]) -> Any:
        node = self.add("CommandLineModule", title)
        node.SetModuleDescription(title)
        for name, file in files.items():
            node.SetParameterAsNode(name, file)
        for name, value in values.items():
            node.SetParameterAsString(name, str(value))
        return node

    def run(self, title: str, files: dict[str, Any], **values: Any) -> Any:
        """Run a module to its end and return its node."""
        node = self.prepare(title, files, values)
        self.modules.ApplyAndWait(node, False)
        return node

    def start(self, title: str, files: dict[str, Any], **values: Any) -> Any:
        """Start a module on Slicer's processing thread, as its Apply button does."""
        node = self.prepare(title, files, values)
        self.modules.Apply(node, False)
        return node

    def follow(self, node: Any, until: Callable[[Any], bool], limit: float = 600) -> list[int]:
        """Do what the application's event loop does until something is so; return the percentages that were seen."""
        seen: list[int] = []
        end = time.monotonic() + limit
        while not until(node) and time.monotonic() < end:
            self.app.ProcessModified()
            while self.app.GetReadDataQueueSize():
                self.app.ProcessReadData()
            if node.GetProgress() not in seen[-1:]:
                seen.append(node.GetProgress())
            time.sleep(0.01)
        return seen

    def close(self) -> None:
        self.app.TerminateProcessingThread()


def array_of(node: Any) -> np.ndarray:
    """Return a volume's voxels (X, Y, Z)."""
    return np.array(slicer.util.arrayFromVolume(node)).transpose(2, 1, 0)


def affine_of(node: Any) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def at(node: Any, points: np.ndarray) -> np.ndarray:
    """Return a volume's values at voxel centres in world space, (N, 3) in RAS; they must be its own voxel centres."""
    index = (np.linalg.inv(affine_of(node)) @ np.c_[points, np.ones(len(points))].T)[:3].T
    if np.abs(index - np.rint(index)).max() > 1e-3:
        raise ValueError("the points are no voxel centres of this volume")
    return array_of(node)[tuple(np.rint(index).astype(int).T)]


def files_under(*folders: Path) -> list[str]:
    """Return all files in folders, to see that none is left."""
    return sorted(os.path.join(top, name) for folder in folders for top, _, names in os.walk(folder) for name in names)
