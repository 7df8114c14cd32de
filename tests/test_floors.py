"""The floors of the house: which room may import from which; read from the sources, lazy imports included."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "medgen"
BUNDLES = sorted(p.name for p in (ROOT / "bundles").iterdir() if p.is_dir() and not p.name.startswith(("_", ".")))

#: what a room may import besides itself, `medgen` (its version) and `medgen.scans.scan`
MAY_IMPORT: dict[str, set[str]] = {
    "memory": set(),
    "weights": set(),
    "scans": {"memory"},
    "transforms": {"anatomy"},
    "networks": set(),
    "inference": {"memory"},
    "evaluation": {"weights"},
    "text": set(),
    "anatomy": {"weights"},
    "synthesis": {"anatomy", "text", "transforms", "evaluation", "weights"},
    "training": {"networks", "transforms"},
    "bundles": {"weights"},
    "batch": {"scans", "bundles", "inference", "evaluation", "anatomy", "text", "synthesis", "weights"},
    "slicer": {"batch", "bundles", "scans", "evaluation"},
    "cli": {"batch", "bundles", "scans", "evaluation", "slicer", "text", "anatomy", "synthesis"},
}


def module_name(path: Path, package: Path) -> tuple[str, ...]:
    """Return ("medgen", "scans", "scan") for medgen/scans/scan.py; a package's __init__ keeps its last part."""
    return (package.name, *path.relative_to(package).with_suffix("").parts)


def imports(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of everything that a module imports; relative imports made absolute."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = module_name(path, package)[: -node.level] if node.level else ()
            base = ".".join((*parent, node.module) if node.module else parent)
            for alias in node.names:  # `from medgen.scans import scan` may name a module
                yield node.lineno, f"{base}.{alias.name}"


def room_of(parts: tuple[str, ...]) -> str:
    return parts[1] if len(parts) > 1 else ""


def violations(package: Path) -> list[str]:
    """Return a line for each import that goes up or sideways."""
    found = []
    rooms = {p.stem for p in package.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()} - {"__init__"}
    for path in sorted(package.rglob("*.py")):
        own = room_of(module_name(path, package))
        for line, name in imports(path, package):
            where = f"{path.relative_to(package.parent)}:{line}"
            parts = tuple(name.split("."))
            if parts[0] in ("qt", "ctk", "vtk", "slicer") and "slicer/MedGen" not in path.as_posix():
                found.append(f"{where} imports {parts[0]}, which only medgen/slicer/MedGen may")
            target = room_of(parts)
            if parts[0] != package.name or target not in rooms or target == own:
                continue
            if parts[1:3] == ("scans", "scan"):
                continue
            if own == "__init__" or target not in MAY_IMPORT.get(own, set()):
                found.append(f"{where} imports {name}: medgen.{own} may import from {sorted(MAY_IMPORT.get(own, ()))}")
    return found


def test_no_room_imports_from_a_room_that_it_may_not() -> None:
    assert violations(PACKAGE) == []


def test_every_room_has_its_floor() -> None:
    rooms = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or p.is_dir()} - {"__init__", "__pycache__"}
    assert rooms <= set(MAY_IMPORT), "a new room needs its floor in MAY_IMPORT and in medgen/__init__.py"


@pytest.mark.parametrize(
    ("room", "line", "bad"),
    [
        ("transforms", "from medgen.networks.dct_frame import DCTFrame", True),
        ("transforms", "from medgen import networks", True),
        ("transforms", "from ..networks import dct_frame", True),
        ("transforms", "def f():\n    import medgen.evaluation", True),
        ("transforms", "from medgen.scans.find import find", True),
        ("transforms", "from medgen.scans.scan import Scan", False),
        ("transforms", "from medgen.scans import scan", False),
        ("transforms", "from medgen.transforms.degrade import smooth_field", False),
        ("transforms", "from .degrade import smooth_field", False),
        ("networks", "import slicer", True),
        ("slicer", "import vtk", True),
        ("slicer", "from medgen.cli import app", True),
        ("cli", "from medgen.slicer.tasks import tasks", False),
        ("training", "from medgen.networks.ladder_vae import LadderTerms", False),
        ("training", "from medgen.inference.inferers import HaloInferer", True),
        ("batch", "from medgen import __version__", False),
        ("batch", "from medgen.scans import find", False),
        ("batch", "from medgen.inference.memory import free_memory", False),
        ("batch", "from medgen.cli import app", True),
        ("batch", "from medgen.networks.ladder_vae import LadderVAE", True),
    ],
)
def test_the_floors_are_seen(tmp_path: Path, room: str, line: str, bad: bool) -> None:
    package = tmp_path / "medgen"
    for name in MAY_IMPORT:
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").touch()
    (package / room / "new.py").write_text(line + "\n")
    assert bool(violations(package)) is bad


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("medgen", "torch monai numpy scipy pydicom nibabel SimpleITK skimage typer rich ignite"),
        ("medgen.cli", "torch monai scipy pydicom nibabel SimpleITK skimage ignite pydantic"),
        ("medgen.text.parse", "torch monai numpy scipy typer rich"),
    ],
)
def test_importing_is_light(module: str, heavy: str) -> None:
    code = f"import sys, {module}; print(*(set(sys.modules) & set({heavy!r}.split())))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.split() == []


@pytest.mark.parametrize("bundle", BUNDLES)
def test_no_bundle_is_named_in_the_code(bundle: str) -> None:
    named = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if bundle in line
    ]
    assert named == []


def test_there_is_a_bundle_to_look_for() -> None:
    assert BUNDLES


def test_no_file_is_called_utils_or_helpers() -> None:
    names = ("util", "utils", "utilities", "helper", "helpers", "common", "misc")
    paths = [p for top in (PACKAGE, ROOT / "tests") for p in top.rglob("*") if p.stem.strip("_") in names]
    assert paths == []
