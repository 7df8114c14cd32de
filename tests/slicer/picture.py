"""Slicer's slice views without a display: its layout, its slices, its colour legends. Runs in .slicer-venv."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
import vtk

VIEWS = ("Red", "Yellow")


class Pictures:
    """The two views of the side-by-side layout, as the application's layout manager makes them."""

    def __init__(self, host: Any) -> None:
        self.scene = host.scene
        self.layout = slicer.vtkMRMLLayoutLogic()
        self.layout.SetMRMLScene(host.scene)
        self.host = host
        self.logics: dict[str, Any] = {}
        for view in VIEWS:
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(host.app)
            logic.SetMRMLScene(host.scene)
            logic.AddSliceNode(view)
            self.logics[view] = logic

    def shown(self) -> dict[str, list[str]]:
        """Return the names of what each view shows, behind and in front."""
        found = {}
        for view, logic in self.logics.items():
            composite = logic.GetSliceCompositeNode()
            nodes = (self.scene.GetNodeByID(name or "") for name in (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID()))
            found[view] = [node.GetName() if node else "" for node in nodes]
        return found

    def take(self, folder: Path, name: str, side: int = 320) -> list[Path]:
        """Write a picture of each view."""
        paths = []
        for view, logic in self.logics.items():
            logic.ResizeSliceNode(side, side)
            logic.GetSliceNode().SetDimensions(side, side, 1)
            logic.FitSliceToBackground(side, side)
            logic.UpdatePipeline()
            renderer, window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
            window.SetOffScreenRendering(1)
            window.SetSize(side, side)
            window.AddRenderer(renderer)
            actor = vtk.vtkImageActor()
            actor.GetMapper().SetInputConnection(logic.GetImageDataConnection())
            renderer.AddActor(actor)
            group = slicer.vtkMRMLDisplayableManagerGroup()
            group.SetRenderer(renderer)
            group.SetMRMLDisplayableNode(logic.GetSliceNode())
            legends = slicer.vtkMRMLColorLegendDisplayableManager()
            legends.SetMRMLApplicationLogic(self.host.app)
            group.AddDisplayableManager(legends)
            legends.SetMRMLScene(self.scene)
            camera = renderer.GetActiveCamera()
            camera.ParallelProjectionOn()
            renderer.ResetCamera()
            camera.SetParallelScale(side / 2)
            window.Render()
            grab, writer = vtk.vtkWindowToImageFilter(), vtk.vtkPNGWriter()
            grab.SetInput(window)
            grab.ReadFrontBufferOff()
            paths.append(folder / f"{name}_{view}.png")
            writer.SetInputConnection(grab.GetOutputPort())
            writer.SetFileName(str(paths[-1]))
            writer.Write()
        return paths
