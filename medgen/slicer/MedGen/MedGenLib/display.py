"""A result beside its input, its uncertainty over it, with a legend; or a result that has no input."""

from __future__ import annotations

import numpy as np
import slicer

COLOURS = "MedGen uncertainty"
SIDE_BY_SIDE = slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView
VIEWS = ("Red", "Yellow")  #: what that layout shows, from left to right
#: Red, green and blue from nothing to the most uncertain (magma, Smith and van der Walt 2015).
STOPS = ((0.0, 0.0, 0.02), (0.32, 0.07, 0.48), (0.72, 0.21, 0.47), (0.99, 0.53, 0.38), (0.99, 0.99, 0.75))


def colours(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLColorTableNode:
    """Return the colour table of uncertainties; the scene has one."""
    node = scene.GetFirstNodeByName(COLOURS)
    if node is not None and node.IsA("vtkMRMLColorTableNode"):
        return node
    node = scene.AddNewNodeByClass("vtkMRMLColorTableNode", COLOURS)
    node.SetTypeToUser()
    node.SetNumberOfColors(256)
    for index in range(256):
        step = index / 255 * (len(STOPS) - 1)
        low = min(int(step), len(STOPS) - 2)
        mixed = [a + (b - a) * (step - low) for a, b in zip(STOPS[low], STOPS[low + 1])]
        node.SetColor(index, f"{index / 255:.0%}", *mixed, 1.0)
    return node


def show_uncertainty(node: slicer.vtkMRMLScalarVolumeNode, most: float) -> None:
    """Colour an uncertainty map from 0 to `most`, leave out what is below a tenth of that, and give it a legend."""
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(0)
    display.SetWindowLevelMinMax(0.0, most)
    display.SetThreshold(0.1 * most, float(np.finfo(np.float32).max))
    display.SetApplyThreshold(1)
    display.SetAndObserveColorNodeID(colours(node.GetScene()).GetID())
    legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(node)
    if legend is not None:
        legend.SetTitleText("standard deviation")
        legend.GetTitleTextProperty().SetFontSize(12)
        legend.SetNumberOfLabels(5)
        legend.SetLabelFormat("%.3g")


def compare(source: slicer.vtkMRMLNode, result: slicer.vtkMRMLNode, uncertainty: slicer.vtkMRMLNode | None) -> None:
    """Show two volumes side by side in linked slices, and the uncertainty over the result."""
    scene = source.GetScene()
    layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layout is not None:
        layout.SetViewArrangement(SIDE_BY_SIDE)
    for view, volume, over in zip(VIEWS, (source, result), (None, uncertainty)):
        slice_node = _of(scene, "vtkMRMLSliceNode", view)
        composite = _of(scene, "vtkMRMLSliceCompositeNode", view)
        if slice_node is None or composite is None:  # without the application's layout
            continue
        slice_node.SetOrientation("Axial")
        composite.SetLinkedControl(1)
        composite.SetBackgroundVolumeID(volume.GetID())
        composite.SetForegroundVolumeID(over.GetID() if over else None)
        composite.SetForegroundOpacity(0.5 if over else 0.0)
        composite.SetLabelVolumeID(None)
    if uncertainty is not None:  # a legend looks at what its views show only when it changes itself
        slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(uncertainty).Modified()


def alone(volume: slicer.vtkMRMLNode) -> None:
    """Show a volume in every slice view, and nothing over it."""
    nodes = volume.GetScene().GetNodesByClass("vtkMRMLSliceCompositeNode")
    for composite in map(nodes.GetItemAsObject, range(nodes.GetNumberOfItems())):
        composite.SetBackgroundVolumeID(volume.GetID())
        composite.SetForegroundVolumeID(None)
        composite.SetLabelVolumeID(None)


def _of(scene: slicer.vtkMRMLScene, kind: str, view: str) -> slicer.vtkMRMLNode | None:
    nodes = (scene.GetNthNodeByClass(number, kind) for number in range(scene.GetNumberOfNodesByClass(kind)))
    return next((node for node in nodes if node.GetLayoutName() == view), None)
