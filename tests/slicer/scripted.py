"""The scripted module's logic in a real scene, with medgen in a real process. Runs in .slicer-venv, as scenarios.py does."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import phantom
import slicer
from host import Host, affine_of, array_of, at, files_under
from picture import Pictures


def _logic(modules: Path, scratch: Path) -> tuple[Any, Any, Any]:
    """Return a host, the logic over its scene, and MedGenLib's requests, as the application would have them."""
    sys.path.insert(0, str(modules))
    os.environ.update(TMPDIR=str(scratch / "temporary"), PYTHONHOME="/nonexistent", PYTHONPATH="/nonexistent")
    (scratch / "temporary").mkdir(parents=True)
    from MedGenLib import request
    from MedGenLib.logic import MedGenLogic
    from MedGenLib.process import Medgen

    host = Host(scratch / "slicer")
    return host, MedGenLogic(host.scene, Medgen()), request


def _wait(logic: Any, limit: float = 600) -> list[tuple[int, int]]:
    seen, end = [], time.monotonic() + limit
    while logic.step() and time.monotonic() < end:
        if logic.progress() not in seen[-1:]:
            seen.append(logic.progress())
        time.sleep(0.01)
    return [*seen, logic.progress()]


def batch(modules: Path, scratch: Path) -> dict[str, Any]:
    """Volumes of every storage, one of which is broken, and a transform over one, in one run of a bundle that changes nothing."""
    host, logic, request = _logic(modules, scratch)
    bundles = {bundle.name: [bundle.version, bundle.task, bundle.mask] for bundle in logic.bundles()}
    names = {}
    for storage in phantom.STORAGES:
        array, affine = phantom.scan(storage)
        names[host.volume(array, affine, f"Jane Doe {storage}").GetID()] = storage
    broken = array.astype(np.float32)
    broken[1, 2, 3] = np.nan
    host.volume(broken, affine, "broken")
    host.volume((array > 300).astype(np.uint8), affine, "labels", "LabelMapVolume")
    transform = host.add("LinearTransform", "moved")
    first = logic.volumes()[0]
    first.SetAndObserveTransformNodeID(transform.GetID())
    first.GetDisplayNode().SetAutoWindowLevel(0)
    first.GetDisplayNode().SetWindowLevel(700, 400)
    count = host.scene.GetNumberOfNodes()
    logic.run(logic.volumes(), request.Request("nothing", {"strength": 1, "profile": "gaussian", "project": False}))
    files = files_under(scratch / "temporary")
    try:
        logic.run(logic.volumes(), request.Request("nothing"))
        twice = ""
    except ValueError as error:
        twice = str(error)
    progress = _wait(logic)
    equal = {}
    for result in logic.results:
        storage = names.get(result.source.GetID())
        if storage:
            array, affine = phantom.scan(storage)
            points = phantom.points(affine)
            equal[storage] = bool((at(result.volume, points) == at(result.source, points)).all())
    one = next(result for result in logic.results if result.source is first)
    told = {
        "bundles": bundles, "equal": equal, "progress": progress, "twice": twice, "files": [Path(path).name for path in files],
        "error": logic.error, "errors": [result.error for result in logic.results if result.error],
        "name": one.volume.GetName(), "transform": one.volume.GetTransformNodeID() == transform.GetID(),
        "window": [one.volume.GetDisplayNode().GetWindow(), one.volume.GetDisplayNode().GetLevel()],
        "bundle": one.volume.GetAttribute("medgen.bundle"), "derived": one.volume.GetAttribute("medgen.derived"),
        "parameters": json.loads(one.volume.GetAttribute("medgen.parameters")),
        "source": one.volume.GetNodeReferenceID("medgen.source") == first.GetID(),
        "again": len(logic.volumes()), "count": len(phantom.STORAGES) + 1,
        "more": host.scene.GetNumberOfNodes() - count - 2 * len(equal), "left": files_under(scratch / "temporary"),
    }  # fmt: skip
    host.close()
    return told


def masks(modules: Path, scratch: Path) -> dict[str, Any]:
    """A segmentation of two segments on another grid, one of them hidden, as the mask; then none, an empty one, and cancel."""
    host, logic, request = _logic(modules, scratch)
    factory = slicer.vtkSegmentationConverterFactory.GetInstance()  # which the application fills at its start
    for rule in ("vtkBinaryLabelmapToClosedSurfaceConversionRule", "vtkClosedSurfaceToBinaryLabelmapConversionRule"):
        factory.RegisterConverterRule(getattr(slicer, rule)())
    array, affine = phantom.scan("LPS")
    source = host.volume(array, affine, "scan")
    labels = np.zeros(phantom.SHAPE, np.uint8)
    labels[5:15, 4:20, 6:20], labels[20:30, 4:20, 6:20] = 1, 2
    drawn = host.volume(labels, affine, "drawn", "LabelMapVolume")
    segmentation = host.add("Segmentation", "segments")
    slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(drawn, segmentation)
    segmentation.CreateDefaultDisplayNodes()
    hidden = segmentation.GetSegmentation().GetNthSegmentID(1)
    segmentation.GetDisplayNode().SetSegmentVisibility(hidden, False)
    gone = host.volume(array, affine, "gone")
    count = host.scene.GetNumberOfNodes() - 1  # without the volume that goes
    logic.run([source, gone], request.Request("cut_out"), segmentation)
    host.scene.RemoveNode(gone)
    _wait(logic)
    told: dict[str, Any] = {"error": logic.error, "errors": [result.error for result in logic.results]}
    if not any((logic.error, told["errors"][0])):
        told["equal"] = bool(np.array_equal(at(logic.results[0].volume, phantom.points(affine)), (array * (labels == 1)).ravel()))
    told["more"] = host.scene.GetNumberOfNodes() - count
    segmentation.GetDisplayNode().SetAllSegmentsVisibility(False)
    for name, call in (("hidden", lambda: logic.run([source], request.Request("cut_out"), segmentation)),
                       ("none", lambda: logic.run([], request.Request("nothing")))):  # fmt: skip
        try:
            call()
        except ValueError as error:
            told[name] = str(error)
    logic.run([source], request.Request("no_such_bundle"))
    _wait(logic)
    told["unknown"] = logic.error
    logic.run([source], request.Request("nothing"))
    process = logic._process._process
    logic.cancel()
    told["total"] = logic.progress()
    told |= {"code": process.returncode, "going": logic.step(), "left": files_under(scratch / "temporary")}
    host.close()
    return told


def ordered(modules: Path, scratch: Path) -> dict[str, Any]:
    """Make two volumes of a sentence; then what cannot be built, what contradicts itself, nothing at all, and cancel."""
    host, logic, request = _logic(modules, scratch)
    pictures = Pictures(host)
    text = (scratch / "text").read_text(encoding="utf-8")
    told: dict[str, Any] = {"bundles": [bundle.name for bundle in logic.bundles() if bundle.text]}
    logic.make(request.Request("to_order", text=text, count=2, seed=3))
    told["progress"] = _wait(logic)
    told |= {"error": logic.error, "understood": logic.understood.lines(), "names": [result.volume.GetName() for result in logic.results]}
    for number, result in enumerate(logic.results):
        np.savez(scratch / f"made{number}.npz", array=array_of(result.volume), affine=affine_of(result.volume))
    first, second = logic.results
    told["attributes"] = {name: json.loads(first.volume.GetAttribute(f"medgen.{name}")) for name in ("synthetic", "parameters", "report")}
    told["known"] = first.name
    told["show"], told["views"] = logic.show(second), pictures.shown()
    told["pictures"] = [str(path) for path in pictures.take(scratch, "made")]
    host.scene.RemoveNode(second.volume)
    told["gone"], told["inputs"] = logic.show(second), len(logic.volumes())
    for name, wrong in (("large", "T1, 90 mm lesion in the left hippocampus"), ("contradiction", "- 12 mm lesion, 15 mm, in the left frontal lobe")):
        logic.make(request.Request("to_order", text=wrong))
        _wait(logic)
        told[name] = [logic.error, *(result.error for result in logic.results)]
    try:
        logic.make(request.Request("to_order", text="  "))
    except ValueError as error:
        told["empty"] = str(error)
    count = host.scene.GetNumberOfNodes()
    logic.make(request.Request("to_order", text=text, count=9))
    while logic.step() and not files_under(scratch / "temporary"):
        time.sleep(0.01)
    process = logic._process._process
    logic.cancel()
    told |= {"code": process.returncode, "going": logic.step(), "left": files_under(scratch / "temporary")}
    told["more"] = host.scene.GetNumberOfNodes() - count
    host.close()
    return told


def painted(modules: Path, scratch: Path) -> dict[str, Any]:
    """Paint all label maps of a scene that has a scan too, one in numbers of no scheme; then volumes of the wrong kind, and translate."""
    host, logic, request = _logic(modules, scratch)
    pictures = Pictures(host)
    known = logic.bundles()
    told: dict[str, Any] = {"labels": [bundle.name for bundle in known if bundle.labels], "first": known[request.first_choice(known)].name}
    array, affine = phantom.labels("oblique")
    labels = host.volume(array, affine, "map", "LabelMapVolume")
    host.volume(array * 111, affine, "odd", "LabelMapVolume")
    scan = host.volume(*phantom.scan("LPS"), "scan")
    told["offered"] = [[node.GetName() for node in logic.volumes(kind)] for kind in (False, True)]
    asked = request.Request(told["labels"][0], {"contrast": "T1"}, device="cpu", labels=True)
    logic.run(logic.volumes(True), asked)
    told["progress"] = _wait(logic)
    told |= {"error": logic.error, "errors": [result.error for result in logic.results]}
    result = logic.results[0]
    np.save(scratch / "painted.npy", at(result.volume, phantom.points(affine)).reshape(array_of(result.volume).shape))
    told |= {"source": result.source is labels, "name": result.volume.GetName(), "synthetic": result.volume.GetAttribute("medgen.synthetic")}
    told["show"], told["views"] = logic.show(result), pictures.shown()
    told["pictures"] = [str(path) for path in pictures.take(scratch, "painted")]
    told["again"] = [len(logic.volumes()), len(logic.volumes(True))]
    told["wrong"] = []
    for nodes, wrong in (([labels, scan], asked), ([labels], request.Request("nothing")), ([], asked)):
        try:
            logic.run(nodes, wrong)
        except ValueError as error:
            told["wrong"].append(str(error))
    logic.run([scan], request.Request("brighter", {"contrast": "FLAIR"}))
    _wait(logic)
    told["translated"] = [logic.error, *(result.volume.GetName() for result in logic.results)]
    told["left"] = files_under(scratch / "temporary")
    host.close()
    return told


def compared(modules: Path, scratch: Path) -> dict[str, Any]:
    """Denoise with the uncertainty, show it, take a picture, save the scene, open it again, and take the picture again."""
    host, logic, request = _logic(modules, scratch)
    pictures = Pictures(host)
    array, affine = phantom.scan("oblique")
    source = host.volume(array, affine, "scan")
    logic.run([source], request.Request("mr_denoise_vae", uncertainty=True, device="cpu"))
    _wait(logic)
    (result,) = logic.results
    points = phantom.points(affine)
    inside = phantom.clean(points) > 0
    rms = [float(np.sqrt(np.mean((at(node, points) - phantom.clean(points))[inside] ** 2))) for node in (source, result.volume)]
    told: dict[str, Any] = {"error": logic.error or result.error, "show": logic.show(result), "views": pictures.shown()}
    told["pictures"] = [str(path) for path in pictures.take(scratch, "live")]
    told["rms"] = rms
    told["spread"] = float(array_of(result.uncertainty).mean())
    bundle = scratch / "scene.mrb"
    told["saved"] = bool(host.scene.WriteToMRB(str(bundle)))
    before = {node.GetName(): at(node, points) for node in (source, result.volume, result.uncertainty)}
    host.scene.Clear(0)
    told["gone"] = logic.show(result)
    told["opened"] = bool(host.scene.ReadFromMRB(str(bundle), True))
    again = {name: host.scene.GetFirstNodeByName(name) for name in before}
    told["equal"] = {name: node is not None and bool(np.array_equal(at(node, points), before[name])) for name, node in again.items()}
    told["views_again"] = pictures.shown()
    told["pictures"] += [str(path) for path in pictures.take(scratch, "opened")]
    told["attribute"] = again["scan mr_denoise_vae"].GetAttribute("medgen.bundle")
    told["left"] = files_under(scratch / "temporary")
    host.close()
    return told


if __name__ == "__main__":
    name, modules, scratch = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    print(json.dumps(globals()[name](modules, scratch)), flush=True)
