"""Run medgen on volumes of a scene or on a sentence, and put the results into it. Scene and start of medgen are given."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer

from .display import alone, compare, show_uncertainty
from .process import Process
from .request import Answer, Bundle, Request, Understood, read_answer, read_bundles, read_understood
from .volumes import LABEL_MAP, SCAN, is_kind, mark, place_like, read_sidecar, read_volume, write_mask, write_volume


@dataclass(frozen=True)
class Result:
    """What became of one volume, or was made of a sentence: its result and the map of its uncertainty, or an error in one line."""

    name: str  #: of the volume that was worked on, or what there is of the sentence
    source: slicer.vtkMRMLVolumeNode | None = None
    volume: slicer.vtkMRMLScalarVolumeNode | None = None
    uncertainty: slicer.vtkMRMLScalarVolumeNode | None = None
    error: str = ""
    warnings: tuple[str, ...] = ()


class MedGenLogic:
    """One run at a time: `run` or `make` starts it, `step` is called again and again until it says that it is over.

    Files pass through a folder of its own, which is gone when the run is over. Their names are numbers: names of volumes
    may be a patient's.
    """

    def __init__(self, scene: slicer.vtkMRMLScene, start: Callable[[Sequence[str]], Process]) -> None:
        self.scene, self.start = scene, start
        self.results: list[Result] = []
        self.error = ""  #: of the whole run, in one line
        self.understood = Understood()  #: how the sentence was read
        self._process: Process | None = None
        self._waiting: dict[str, slicer.vtkMRMLVolumeNode] = {}
        self._folder = Path()
        self._request, self._total = Request(""), 0

    def bundles(self) -> list[Bundle]:
        """Ask medgen for its bundles. Raises OSError or ValueError, one line, where it does not answer."""
        process = self.start(["bundles", "--json"])
        if process.wait():
            raise ValueError(process.error() or "medgen did not answer; run medgen slicer install again")
        return read_bundles("\n".join(process.lines()))

    def volumes(self, labels: bool = False) -> list[slicer.vtkMRMLVolumeNode]:
        """Return all loaded scans, or all label maps, that a bundle can take: no results of medgen."""
        nodes = self.scene.GetNodesByClass(LABEL_MAP if labels else SCAN)
        loaded = [nodes.GetItemAsObject(number) for number in range(nodes.GetNumberOfItems())]
        plain = [node for node in loaded if is_kind(node, labels) and node.GetImageData()]
        return [node for node in plain if not node.GetAttribute("medgen.derived")]

    def run(
        self, volumes: Sequence[slicer.vtkMRMLVolumeNode], request: Request, mask: slicer.vtkMRMLNode | None = None
    ) -> None:
        """Start a bundle over volumes. Raises OSError or ValueError, one line, where that cannot be."""
        if not volumes:
            raise ValueError(f"no {'label map' if request.labels else 'volume'} is chosen; load one")
        wanted = "label map" if request.labels else "scan"
        for volume in volumes:
            if not is_kind(volume, request.labels):
                raise ValueError(f"{volume.GetName()} is no {wanted}, and {request.bundle} takes {wanted}s; choose one")
        self._begin(request, len(volumes))
        try:
            masks = self._folder / "masks" if mask is not None else None
            for folder in (self._folder / "scans", *([masks] if masks else [])):
                folder.mkdir()
            for number, volume in enumerate(volumes, 1):
                name = f"volume{number:03}.nii"
                write_volume(volume, self._folder / "scans" / name)
                if mask is not None and masks is not None:
                    write_mask(mask, volume, masks / name)
                self._waiting[Path(name).stem] = volume
            self._process = self.start(request.arguments(self._folder / "scans", self._folder / "out", masks))
        except (OSError, ValueError):
            self._clean()
            raise

    def make(self, request: Request) -> None:
        """Start a bundle on a sentence. Raises OSError or ValueError, one line, where that cannot be."""
        if not request.text.strip():
            raise ValueError("say what to make, such as: Axial T1, 12 mm lesion in the left frontal lobe")
        self._begin(request, request.count)
        try:
            self._process = self.start(request.arguments(None, self._folder / "out"))
        except (OSError, ValueError):
            self._clean()
            raise

    def step(self) -> bool:
        """Take what medgen has finished into the scene; return whether it still runs."""
        process = self._process
        if process is None:
            return False
        code = process.code()  # before its lines: what it wrote is then there
        for line in process.lines():
            answer = read_answer(line)
            if answer is None:
                self.understood = read_understood(line) or self.understood
            elif self._request.text:
                self.results.append(self._take_made(len(self.results), answer))
            elif answer.case in self._waiting:
                self.results.append(self._take(self._waiting.pop(answer.case), answer))
        if code is None:
            return True
        if len(self.results) < self._total:
            self.error = process.error() or f"medgen ended with code {code} and without a word"
        self._clean()
        return False

    def progress(self) -> tuple[int, int]:
        """Return how many volumes are done, of how many."""
        return len(self.results), self._total

    def cancel(self) -> None:
        """End the run: results that are in the scene stay, nothing else does."""
        if self._process is not None:
            self._process.kill()
            self._clean()

    def show(self, result: Result) -> bool:
        """Show a result, beside its input if it has one; return False where there is none, or one of them has left the scene."""
        nodes = [node for node in (result.source, result.volume, result.uncertainty) if node is not None]
        if result.volume is None or not all(self.scene.IsNodePresent(node) for node in nodes):
            return False
        if result.source is None:
            alone(result.volume)
        else:
            compare(result.source, result.volume, result.uncertainty)
        return True

    def _begin(self, request: Request, total: int) -> None:
        if self._process is not None:
            raise ValueError("a run is going on; wait for it, or cancel it")
        self.results, self.error, self.understood, self._request, self._total = [], "", Understood(), request, total
        self._folder = Path(tempfile.mkdtemp(prefix="medgen-"))

    def _take(self, source: slicer.vtkMRMLVolumeNode, answer: Answer) -> Result:
        if answer.error:
            head, _, rest = answer.error.partition(": ")
            said = rest if rest and answer.case in head else answer.error  # without the file, which the user does not know
            return Result(source.GetName(), source, error=f"{source.GetName()}: {said}")
        if not self.scene.IsNodePresent(source):
            return Result(source.GetName(), source, error=f"{source.GetName()} was removed while it was worked on")
        return self._load(answer, source.GetName(), f"{source.GetName()} {self._request.bundle}", source)

    def _take_made(self, number: int, answer: Answer) -> Result:
        seed = f"seed {self._request.seed + number}"
        if answer.error:
            return Result(f"SYNTHETIC {seed}", error=f"SYNTHETIC {seed}: {answer.error}")
        return self._load(answer, f"SYNTHETIC {seed}", f"{seed} {self._request.bundle}")

    def _load(self, answer: Answer, known: str, name: str, source: slicer.vtkMRMLVolumeNode | None = None) -> Result:
        told = read_sidecar(answer.files)
        name = f"SYNTHETIC {name}" if told.get("synthetic") or source is None else name
        try:
            volume = read_volume(answer.files[0], name, self.scene)
            maps = [path for path in answer.files if path.name.endswith("_uncertainty.nii.gz")]
            uncertainty = read_volume(maps[0], f"{name} uncertainty", self.scene) if maps else None
        except OSError as error:
            return Result(known, source, error=str(error))
        for node in (volume, uncertainty):
            if node is not None:
                mark(node, source, told)
            if node is not None and source is not None:
                place_like(node, source)
        if uncertainty is not None:
            show_uncertainty(uncertainty, float(np.percentile(slicer.util.arrayFromVolume(uncertainty), 99.5)))
        return Result(known, source, volume, uncertainty, warnings=answer.warnings)

    def _clean(self) -> None:
        self._process, self._waiting = None, {}
        shutil.rmtree(self._folder, ignore_errors=True)
