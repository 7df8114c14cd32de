"""Volumes between the scene and files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import slicer
import vtk

SCAN, LABEL_MAP = "vtkMRMLScalarVolumeNode", "vtkMRMLLabelMapVolumeNode"


def is_kind(node: slicer.vtkMRMLNode, labels: bool) -> bool:
    """Return whether a node is a label map, or a scan: vectors and tensors are neither."""
    return bool(node.GetClassName() == (LABEL_MAP if labels else SCAN))


def write_volume(node: slicer.vtkMRMLVolumeNode, path: Path) -> None:
    """Write a volume (or label map) to a NIfTI file. Raises OSError where that fails."""
    storage = node.CreateDefaultStorageNode()
    storage.SetFileName(str(path))
    storage.SetUseCompression(0)  # the file lives for seconds
    if not node.GetImageData() or not storage.WriteData(node):
        raise OSError(f"{node.GetName()} could not be written; load it again, or free space on the disk")


def write_mask(node: slicer.vtkMRMLNode, like: slicer.vtkMRMLVolumeNode, path: Path) -> None:
    """Write a label map, or the visible segments of a segmentation on the grid of a volume.

    Raises OSError where that fails, and ValueError where the segmentation has no visible segment.
    """
    if not node.IsA("vtkMRMLSegmentationNode"):
        write_volume(node, path)
        return
    display = node.GetDisplayNode()
    visible = vtk.vtkStringArray()
    if display is not None:
        display.GetVisibleSegmentIDs(visible)
    if not visible.GetNumberOfValues():
        raise ValueError(f"{node.GetName()} has no visible segment; show one, or choose another mask")
    scene = like.GetScene()
    before = _nodes(scene)
    labels = scene.AddNewNodeByClass(LABEL_MAP)
    try:
        if not slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsToLabelmapNode(node, visible, labels, like):
            raise OSError(f"{node.GetName()} could not be written; save it as a label map, and choose that")
        write_volume(labels, path)
    finally:
        for made in _nodes(scene) - before:  # the labels, and how the export would show them
            scene.RemoveNode(scene.GetNodeByID(made))


def _nodes(scene: slicer.vtkMRMLScene) -> set[str]:
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}


def read_volume(path: Path, name: str, scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a volume of a file to a scene. Raises OSError where the file cannot be read."""
    node = scene.AddNewNodeByClass(SCAN, name)
    storage = node.CreateDefaultStorageNode()  # of no scene: the file goes, and the volume is saved with the scene
    storage.SetFileName(str(path))
    if not storage.ReadData(node):
        scene.RemoveNode(node)
        raise OSError(f"{path}: the result could not be read; run it again")
    node.SetName(name)  # which reading took from the file
    node.CreateDefaultDisplayNodes()
    return node


def place_like(node: slicer.vtkMRMLScalarVolumeNode, source: slicer.vtkMRMLVolumeNode) -> None:
    """Give a result the transform, the window and the colours of its source."""
    node.SetAndObserveTransformNodeID(source.GetTransformNodeID())
    shown, display = source.GetDisplayNode(), node.GetDisplayNode()
    if shown is not None and shown.IsA("vtkMRMLScalarVolumeDisplayNode"):
        display.SetAutoWindowLevel(0)
        display.SetWindowLevel(shown.GetWindow(), shown.GetLevel())
        display.SetAndObserveColorNodeID(shown.GetColorNodeID())


def read_sidecar(files: Iterable[Path]) -> dict[str, Any]:
    """Return what medgen tells of a result, from the JSON among its files."""
    sidecar = next(path for path in files if path.suffix == ".json")
    return dict(json.loads(sidecar.read_text(encoding="utf-8")))


def mark(node: slicer.vtkMRMLNode, source: slicer.vtkMRMLNode | None, told: Mapping[str, Any]) -> None:
    """Say on a result what it was made from, by what its sidecar tells: attributes medgen.*, which are saved with the scene."""
    if source is not None:
        node.AddNodeReferenceID("medgen.source", source.GetID())
    for name in ("derived", "synthetic", "bundle", "bundle_version", "weights_sha256", "parameters", "report"):
        value = told.get(name)
        node.SetAttribute(f"medgen.{name}", value if isinstance(value, str) else json.dumps(value))
