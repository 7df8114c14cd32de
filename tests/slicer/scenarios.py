"""What is done in Slicer, each scenario in a process of its own: a crash in C++ is then one failed test.

Run in .slicer-venv: python scenarios.py NAME FOLDER_OF_MODULES SCRATCH. The last line of its output is a JSON object.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import phantom
from host import Host, affine_of, array_of, at, files_under, register


def _hostile() -> None:
    """Set what Slicer's launcher sets, to places that would break any other Python."""
    os.environ.update(PYTHONHOME="/nonexistent", PYTHONPATH="/nonexistent", PYTHONNOUSERSITE="1", LD_LIBRARY_PATH="/nonexistent")


def _modules(modules: Path, scratch: Path) -> Host:
    for xml in sorted(modules.glob("*.xml")):
        register(xml.read_text(encoding="utf-8"), xml.with_suffix(""))
    (scratch / "temporary").mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = str(scratch / "temporary")  # so that whatever a module leaves is seen
    return Host(scratch / "slicer")


def _left(scratch: Path) -> list[str]:
    return files_under(scratch / "slicer", scratch / "temporary")


def _told(node: Any) -> dict[str, Any]:
    return {"status": node.GetStatusString(), "error": node.GetErrorText(), "output": node.GetOutputText()}


def xml(modules: Path, scratch: Path) -> dict[str, Any]:
    """Register every module; what Slicer knows of each then."""
    host = _modules(modules, scratch)
    kind = type(host.add("CommandLineModule", "any"))
    names = [kind.GetRegisteredModuleNameByIndex(number) for number in range(kind.GetNumberOfRegisteredModules())]
    defaults = {}
    for name in names:
        node = host.prepare(name, {}, {})
        groups = range(node.GetNumberOfParameterGroups())
        defaults[name] = {
            node.GetParameterName(group, number): [node.GetParameterTag(group, number), node.GetParameterDefault(group, number)]
            for group in groups
            for number in range(node.GetNumberOfParametersInGroup(group))
        }
    refused = 0
    for broken in ("<executable><parameters><nonsense/></parameters></executable>", "<executable>"):
        try:
            register(broken, modules)
        except ValueError:
            refused += 1
    host.close()
    return {"defaults": defaults, "refused": refused}


def orientations(modules: Path, scratch: Path) -> dict[str, Any]:
    """Give volumes in several storages to a bundle that changes nothing; say whether they came back, in world space."""
    host = _modules(modules, scratch)
    _hostile()
    rows = {}
    for storage in ("LAS", "oblique"):  # the others: scripted.py
        array, affine = phantom.scan(storage)
        source, result = host.volume(array, affine, storage), host.add("ScalarVolume", "result")
        node = host.run("MedGen Denoise", {"input": source, "output": result}, bundle="nothing")
        points = phantom.points(affine)
        rows[storage] = {**_told(node), "equal": bool(result.GetImageData()) and bool((at(result, points) == array.ravel()).all()),
                         "dtype": str(array_of(result).dtype) if result.GetImageData() else ""}  # fmt: skip
    host.close()
    return {"rows": rows, "left": _left(scratch)}


def mask(modules: Path, scratch: Path) -> dict[str, Any]:
    """Run a bundle that cuts out where a label map is, as the Apply button does, and watch progress and files."""
    host = _modules(modules, scratch)
    array, affine = phantom.scan("LPS")
    inside = phantom.clean(phantom.points(affine)).reshape(phantom.SHAPE) > 700
    result, seen = host.add("ScalarVolume", "result"), set()
    files = {"input": host.volume(array, affine), "mask": host.volume(inside.astype(np.uint8), affine, "mask", "LabelMapVolume"),
             "output": result}  # fmt: skip
    node = host.start("MedGen Repair", files, bundle="cut_out")

    def over(node: Any) -> bool:
        seen.update(Path(path).suffix for path in _left(scratch))
        return not node.IsBusy()

    progress = host.follow(node, over)
    equal = bool((at(result, phantom.points(affine)) == (array * inside).ravel()).all())
    host.close()
    return {**_told(node), "equal": equal, "progress": progress, "seen": sorted(seen), "left": _left(scratch)}


def outputs(modules: Path, scratch: Path) -> dict[str, Any]:
    """Run a bundle that maps its uncertainty, and one that makes the grid finer."""
    host = _modules(modules, scratch)
    source = host.volume(*phantom.scan("LPS"))
    rows: dict[str, Any] = {}
    for title, bundle in (("MedGen Denoise", "tiny_vae"), ("MedGen Enhance", "mr_enhance_gan")):
        files = {"input": source, "output": host.add("ScalarVolume", "result")}
        if bundle == "tiny_vae":
            files["uncertainty"] = host.add("ScalarVolume", "uncertainty")
        rows[title] = _told(host.run(title, files, bundle=bundle))
        for name, node in files.items():
            if node.GetImageData():
                array = array_of(node)
                rows[title][name] = {"shape": array.shape, "dtype": str(array.dtype), "low": float(array.min()), "mean": float(array.mean()),
                                     "spacing": np.linalg.norm(affine_of(node)[:3, :3], axis=0).tolist(),
                                     "moved": float(np.abs(_middle(node) - _middle(source)).max())}  # fmt: skip
    host.close()
    return {"rows": rows, "left": _left(scratch)}


def _middle(node: Any) -> np.ndarray:
    """Return where the middle of a volume lies in RAS."""
    return (affine_of(node) @ [*((np.array(array_of(node).shape) - 1) / 2), 1])[:3]


def synthetic(modules: Path, scratch: Path) -> dict[str, Any]:
    """Translate a volume, and make one of a sentence; then of one of which none can be made."""
    host = _modules(modules, scratch)
    _hostile()
    array, affine = phantom.scan("PIR")
    source, result = host.volume(array, affine), host.add("ScalarVolume", "result")
    translated = _told(host.run("MedGen Translate", {"input": source, "output": result}, bundle="brighter", brighter_contrast="FLAIR"))
    equal = bool((at(result, phantom.points(affine)) == 2 * array.ravel()).all())
    rows: dict[str, Any] = {}
    texts = json.loads((scratch / "texts").read_text(encoding="utf-8"))
    for text in texts:
        made = host.add("ScalarVolume", "made")
        node = host.run("MedGen Synthesise from text", {"output": made}, bundle="to_order", text=text, seed=7)
        shown = {name: node.GetParameterAsString(name) for name in ("understood", "ignored", "warnings")}
        rows[text] = {**_told(node), **shown, "result": bool(made.GetImageData())}
        if made.GetImageData():
            np.savez(scratch / "made.npz", array=array_of(made), affine=affine_of(made))
    host.close()
    return {"translated": translated, "equal": equal, "rows": rows, "left": _left(scratch)}


def painted(modules: Path, scratch: Path) -> dict[str, Any]:
    """Paint a label map."""
    host = _modules(modules, scratch)
    _hostile()
    array, affine = phantom.labels("PIR")
    result = host.add("ScalarVolume", "result")
    files = {"input": host.volume(array, affine, "map", "LabelMapVolume"), "output": result}
    node = host.run("MedGen Synthesise", files, bundle="brain_mri_synthesis_spade", brain_mri_synthesis_spade_contrast="T1", device="cpu")
    told = {**_told(node), "left": _left(scratch)}
    if result.GetImageData():
        np.save(scratch / "painted.npy", at(result, phantom.points(affine)).reshape(array_of(result).shape))
    host.close()
    return told


def failures(modules: Path, scratch: Path) -> dict[str, Any]:
    """Run what must fail: a wrong value, a volume with NaN."""
    host = _modules(modules, scratch)
    array, affine = phantom.scan("RAS")
    broken = array.astype(np.float32)
    broken[3, 4, 5] = np.nan
    rows = {}
    for name, data, values in (("value", array, {"memory": "much"}), ("volume", broken, {})):
        result = host.add("ScalarVolume", "result")
        node = host.run("MedGen Denoise", {"input": host.volume(data, affine), "output": result}, bundle="nothing", **values)
        rows[name] = {**_told(node), "result": bool(result.GetImageData())}
    host.close()
    return {"rows": rows, "left": _left(scratch)}


def cancel(modules: Path, scratch: Path) -> dict[str, Any]:
    """Cancel a run in the middle of the network's work."""
    host = _modules(modules, scratch)
    array, affine = phantom.scan("RAS")
    large = np.pad(array, [(0, 96 - n) for n in array.shape], mode="symmetric")
    result = host.add("ScalarVolume", "result")
    node = host.start("MedGen Denoise", {"input": host.volume(large, affine), "output": result}, bundle="mr_denoise_vae")
    host.follow(node, lambda node: node.GetProgress() >= 20)
    program = next(iter(_children()), 0)
    reached = node.GetProgress()
    node.Cancel()
    host.follow(node, lambda node: not node.IsBusy())
    alive = Path(f"/proc/{program}").exists()
    host.close()
    return {**_told(node), "reached": reached, "program": program, "alive": alive, "result": bool(result.GetImageData()),
            "left": _left(scratch)}  # fmt: skip


def _children() -> list[int]:
    """Return the processes that this one started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = stat.read_text().partition(" (")
            if int(rest.rpartition(") ")[2].split()[1]) == os.getpid():
                found.append(int(number))
        except OSError:
            pass
    return found


def evaluate(modules: Path, scratch: Path) -> dict[str, Any]:
    """Measure a volume whose error is known, in a mask and by labels."""
    host = _modules(modules, scratch)
    affine = phantom.affine("LAS")
    truth = phantom.clean(phantom.points(affine)).reshape(phantom.SHAPE).astype(np.float32)
    reference = host.volume(truth, affine, "reference")
    labels = (truth > 700).astype(np.int16) + 2 * (truth == 300).astype(np.int16)
    source = host.volume(truth + 10 + 20 * (labels == 1), affine, "candidate")
    mask = host.volume((truth > 0).astype(np.uint8), affine, "mask", "LabelMapVolume")
    marks = host.volume(labels, affine, "labels", "LabelMapVolume")
    table = host.add("Table", "table")
    files = {"input": source, "reference": reference, "mask": mask, "labels": marks, "table": table}
    node = host.run("MedGen Evaluate", files, data_range="1000")
    rows = {}
    for number in range(table.GetNumberOfRows()):
        cells = [table.GetCellText(number, column) for column in range(table.GetNumberOfColumns())]
        rows[cells[0]] = cells[1:]
    head = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
    shown = {name: node.GetParameterAsString(name) for name in ("psnr", "ssim", "mae", "bias", "noise")}
    host.close()
    inside = (truth > 0).sum()
    expected = (10 * inside + 20 * ((labels == 1) & (truth > 0)).sum()) / inside
    return {**_told(node), "head": head, "rows": rows, "shown": shown, "mae": float(expected), "left": _left(scratch)}


if __name__ == "__main__":
    name, modules, scratch = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    print(json.dumps(globals()[name](modules, scratch)), flush=True)
