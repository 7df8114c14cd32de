"""Slicer's slice views without a display: its layout, its slices, its colour legends. Runs in .slicer-venv."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
import vtk

VIEWS = ("Red", "Yellow")
SIDE = 320


class View:
    """One slice view, as the application's layout manager makes it."""

    def __init__(self, host: Any, node: Any) -> None:
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(host.app)
        self.logic.SetMRMLScene(host.scene)
        self.logic.SetSliceNode(node)
        self.logic.UpdateSliceCompositeNode()
        self.renderer, self.window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetSize(SIDE, SIDE)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.image = vtk.vtkImageActor()
        self.renderer.AddActor(self.image)

    def shown(self) -> list[str]:
        """Return the names of what lies behind and in front."""
        composite = self.logic.GetSliceCompositeNode()
        nodes = (composite.GetScene().GetNodeByID(name or "") for name in (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID()))
        return [node.GetName() if node else "" for node in nodes]

    def take(self, path: Path) -> None:
        """Write a picture."""
        self.logic.ResizeSliceNode(SIDE, SIDE)
        self.logic.FitSliceToBackground(SIDE, SIDE)
        self.logic.UpdatePipeline()
        self.image.GetMapper().SetInputConnection(self.logic.GetImageDataConnection())
        camera = self.renderer.GetActiveCamera()
        camera.ParallelProjectionOn()
        self.renderer.ResetCamera()
        camera.SetParallelScale(SIDE / 2)
        self.legends.RequestRender()
        self.window.Render()
        grab, writer = vtk.vtkWindowToImageFilter(), vtk.vtkPNGWriter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        writer.SetInputConnection(grab.GetOutputPort())
        writer.SetFileName(str(path))
        writer.Write()

    legends: Any  #: set by `Pictures`, when all logics are known


class Pictures:
    """The two views of the side-by-side layout."""

    def __init__(self, host: Any) -> None:
        layout = slicer.vtkMRMLLayoutLogic()
        layout.SetMRMLScene(host.scene)
        layout.GetLayoutNode().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
        host.add("Interaction", "interaction")  # which legends wait for
        nodes = host.scene.GetNodesByClass("vtkMRMLSliceNode")
        every = {node.GetLayoutName(): node for node in map(nodes.GetItemAsObject, range(nodes.GetNumberOfItems()))}
        self.layout, self.views = layout, {name: View(host, every[name]) for name in VIEWS}
        known = vtk.vtkCollection()
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(host.app)
        factory.RegisterDisplayableManager("vtkMRMLColorLegendDisplayableManager")
        for view in self.views.values():
            known.AddItem(view.logic)
        host.app.SetSliceLogics(known)
        for view in self.views.values():  # before any legend: they are drawn as they are added
            view.legends = factory.InstantiateDisplayableManagers(view.renderer)
            view.legends.SetMRMLDisplayableNode(view.logic.GetSliceNode())

    def shown(self) -> dict[str, list[str]]:
        """Return the names of what each view shows, behind and in front."""
        return {name: view.shown() for name, view in self.views.items()}

    def take(self, folder: Path, name: str) -> list[Path]:
        """Write a picture of each view."""
        paths = {view: folder / f"{name}_{view}.png" for view in self.views}
        for view, path in paths.items():
            self.views[view].take(path)
        return list(paths.values())
