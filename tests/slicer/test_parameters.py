"""Parameters, tasks, XML and launchers, without Slicer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer

from medgen.cli import app
from medgen.slicer.description import FIRST_LINE, describe
from medgen.slicer.install import CLEARED, command, install
from medgen.slicer.parameters import Group, Parameter, options, parse, settings
from medgen.slicer.tasks import BY_BUNDLE, EVALUATE, groups_of, mask_of, takes_labels, tasks
from tests.slicer.bundles import SETTINGS, brighter, cut_out, to_order

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
GROUPS = [
    Group("files", (Parameter("input", "volume", "in", index=0), Parameter("output", "volume", "out", index=1, output=True),
                    Parameter("mask", "label", "where"), Parameter("noise", "string", "found", output=True))),
    Group("settings", settings("a_bundle", SETTINGS, "own_")),
]  # fmt: skip


def test_options_are_those_of_the_command_line() -> None:
    device, permissive = options(COMMANDS["run"], "device", "permissive")
    assert (device.kind, device.default) == ("string", "") and "cuda" in device.help
    assert (permissive.kind, permissive.default) == ("boolean", "false")
    with pytest.raises(KeyError):
        options(COMMANDS["run"], "no_such_option")


def test_a_command_line_is_read_by_kind() -> None:
    line = ["--own_strength", "0.25", "--own_draws", "4", "--own_profile", "gaussian", "--own_thickness", "2.5", "--mask", "m.nii",
            "--returnparameterfile", "r", "in.nii", "out.nii"]  # fmt: skip
    assert parse(GROUPS, line) == {
        "returnparameterfile": "r", "input": "in.nii", "output": "out.nii", "mask": "m.nii", "own_strength": 0.25,
        "own_draws": 4, "own_profile": "gaussian", "own_project": False, "own_thickness": 2.5,
    }  # fmt: skip
    fewer = parse(GROUPS, ["--own_project", "in.nii", "out.nii"])
    assert fewer["own_project"] is True and fewer["mask"] is None and fewer["own_thickness"] is None
    assert fewer["own_strength"] == 0.5


@pytest.mark.parametrize("line", [["in.nii"], ["in.nii", "out.nii", "--unknown", "1"], ["in", "out", "--own_profile", "sinc"]])
def test_another_command_line_is_refused(line: list[str]) -> None:
    with pytest.raises(ValueError, match="install again"):
        parse(GROUPS, line)


def test_the_xml_says_what_the_parameters_say() -> None:
    text = describe("A & B", "x < y.", GROUPS)
    assert text.splitlines()[0] == FIRST_LINE
    tree = ElementTree.fromstring(text.encode())
    assert tree.findtext("title") == "A & B" and "x < y." in str(tree.findtext("description"))
    found = {element.findtext("name"): element for group in tree.findall("parameters") for element in group if element.find("name") is not None}
    assert list(found) == [one.name for group in GROUPS for one in group.parameters]
    assert found["input"].findtext("index") == "0" and found["output"].findtext("channel") == "output"
    assert found["mask"].get("type") == "label" and found["mask"].findtext("longflag") == "--mask"
    assert found["noise"].find("longflag") is None and found["noise"].findtext("channel") == "output"
    assert found["own_strength"].findtext("constraints/maximum") == "1"
    assert [element.text for element in found["own_profile"].findall("element")] == ["box", "gaussian"]
    assert found["own_draws"].tag == "integer" and found["own_project"].tag == "boolean"


def test_a_task_needs_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medgen.bundles.folders", lambda: [tmp_path])
    assert tasks() == [EVALUATE]
    cut_out(tmp_path)
    assert [task.name for task in tasks()] == ["repair", "evaluate"]
    (files, *_) = groups_of(tasks()[0], COMMANDS)
    assert [one.name for one in files.parameters] == ["bundle", "input", "output", "mask"]
    assert files.parameters[2].label == "Output volume"
    to_order(tmp_path)
    brighter(tmp_path)
    assert [task.name for task in tasks()] == ["repair", "translate", "synthesise from text", "evaluate"]
    (files, *_) = groups_of(tasks()[2], COMMANDS)
    assert [(one.name, one.index) for one in files.parameters] == [("bundle", None), ("text", None), ("seed", None), ("output", 0)]
    assert files.parameters[3].label == "SYNTHETIC volume"
    assert "reference=" not in describe("a", "b", [files])  # there is no input whose grid it could have
    line = ["--bundle", "to_order", "--text", "12", "--seed", "3", "out.nii"]
    assert parse([files], line) == {"returnparameterfile": None, "bundle": "to_order", "text": "12", "seed": 3, "output": "out.nii"}
    assert mask_of({"purpose": "repair"}) and not mask_of({"purpose": "denoise"}) and not mask_of({})
    assert takes_labels({"purpose": "synthesise"}) and not takes_labels({"purpose": "synthesise", "text": True}) and not takes_labels({})


def test_no_name_of_a_module_is_taken_twice() -> None:
    names = [task.file.lower() for task in (*BY_BUNDLE, EVALUATE)]
    assert len(set(names)) == len(names) and "medgen" not in names


def test_launchers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDGEN_BUNDLES", "/own 100%/bundles")
    for launcher in install(tmp_path / "unix", COMMANDS, windows=False):
        assert os.access(launcher, os.X_OK) and "." not in launcher.name and launcher.with_suffix(".xml").is_file()
        text = launcher.read_text()
        assert text.startswith("#!/bin/sh\n") and f"unset {' '.join(CLEARED)}\n" in text
        assert "export MEDGEN_BUNDLES='/own 100%/bundles'" in text and text.rstrip().endswith('"$@"')
        assert subprocess.run(["sh", "-n", launcher], check=False).returncode == 0
    for launcher in install(tmp_path / "windows", COMMANDS, windows=True):
        text = launcher.read_bytes().decode()
        assert launcher.suffix == ".bat" and text.count("\n") == text.count("\r\n") and text.startswith("@echo off")
        assert all(f"set {name}=\r\n" in text for name in CLEARED)
        assert 'set "MEDGEN_BUNDLES=/own 100%%/bundles"' in text and text.rstrip().endswith("%*")
    monkeypatch.setattr("medgen.bundles.folders", lambda: [tmp_path])
    assert [path.name for path in install(tmp_path / "unix", COMMANDS, windows=False)] == ["MedGenEvaluate"]
    assert {path.name for path in (tmp_path / "unix").glob("MedGen*")} == {"MedGenEvaluate", "MedGenEvaluate.xml", "MedGen.py", "MedGenLib"}
    assert {path.name for path in (tmp_path / "unix").glob("*.py")} == {"MedGen.py"}  # Slicer takes each for a module


def test_medgen_is_not_taken_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "medgen").mkdir()
    (tmp_path / "medgen/__init__.py").write_text("raise SystemExit('the wrong one')")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([*command(), "bundles"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "bundle" in done.stdout, done.stderr


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run([sys.executable, "-m", "medgen.cli", "slicer", "install", str(tmp_path / "file")], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1 and "choose another folder" in done.stderr


def test_a_module_that_there_is_not_is_one_line() -> None:
    done = subprocess.run([sys.executable, "-m", "medgen.cli", "slicer", "module", "dream"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr == "medgen: there is no module 'dream'; run medgen slicer install again\n"
