"""What a command-line module of Slicer takes and gives: one list makes its XML and reads its command line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from click import Command


@dataclass(frozen=True)
class Parameter:
    """One parameter of a module.

    Attributes:
        name: an identifier; the flag is --name, unless there is an `index`.
        kind: "volume", "label" (a label map), "table", "choice", "boolean", "integer", "double", "text" (words, as they are), or
            "string", whose empty text means that nothing was chosen. Results that are no files are strings.
        index: its place on the command line, for a file that there must be.
        output: whether the module gives it. A result that is no file has no flag; it goes to Slicer's return file.
        setting: of a setting of a bundle, the bundle and the setting's name.
    """

    name: str
    kind: str
    help: str
    default: str = ""
    index: int | None = None
    output: bool = False
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    setting: tuple[str, str] | None = None
    label: str = ""

    @property
    def is_file(self) -> bool:
        """Whether Slicer hands it over as a file."""
        return self.kind in ("volume", "label", "table")

    @property
    def is_returned(self) -> bool:
        """Whether it is written to the return file, and so is nothing on the command line."""
        return self.output and not self.is_file

    @property
    def title(self) -> str:
        """What people read."""
        return self.label or self.name.replace("_", " ").capitalize()


@dataclass(frozen=True)
class Group:
    """Parameters under one heading."""

    label: str
    parameters: tuple[Parameter, ...]
    advanced: bool = False


def options(command: Command, *names: str) -> tuple[Parameter, ...]:
    """Return options of one of medgen's commands as parameters: a switch as a boolean, else as text, empty by default."""
    found = {parameter.name: parameter for parameter in command.params}
    return tuple(
        Parameter(
            name,
            "boolean" if getattr(found[name], "is_flag", False) else "string",
            str(getattr(found[name], "help", "")),
            "false" if getattr(found[name], "is_flag", False) else str(found[name].default or ""),
        )
        for name in names
    )


def settings(bundle: str, known: Mapping[str, Any], prefix: str) -> tuple[Parameter, ...]:
    """Return the settings that a bundle's metadata name as parameters.

    A number with whole bounds and a whole default is an integer; a setting without a default and bounds is a string.
    """
    made = []
    for name, about in known.items():
        default, low, high, choices = (about.get(key) for key in ("default", "low", "high", "choices"))
        if choices and all(isinstance(choice, bool) for choice in choices):
            kind = "boolean"
        elif choices:
            kind = "choice"
        elif default is None or isinstance(default, str):
            kind = "string"
        else:
            kind = "integer" if all(isinstance(number, int) for number in (default, low, high)) else "double"
        made.append(
            Parameter(
                f"{prefix}{name}", kind, about["help"], _text(default), choices=tuple(map(_text, choices or ())) if kind == "choice" else (),
                low=low, high=high, setting=(bundle, name), label=name.replace("_", " ").capitalize(),
            )
        )  # fmt: skip
    return tuple(made)


def _text(value: Any) -> str:
    """Return a value as text: strings as they are, nothing for None, else JSON."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def value_of(parameter: Parameter, text: str | bool) -> Any:
    """Return what a text of the command line means; None for an empty one."""
    if isinstance(text, bool) or parameter.is_file or parameter.kind == "text" or not text:
        return text if text != "" else None
    try:
        return json.loads(text)
    except ValueError:
        return text


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"the module was called wrongly ({message}); run medgen slicer install again")


def parse(groups: Sequence[Group], arguments: Sequence[str]) -> dict[str, Any]:
    """Return the values of a module's command line by name, and "returnparameterfile", where Slicer reads results.

    Raises ValueError for a command line that is not of these parameters.
    """
    parser = _Parser(allow_abbrev=False, add_help=False)
    parser.add_argument("--returnparameterfile")
    taken = [one for group in groups for one in group.parameters if not one.is_returned]
    for one in sorted(taken, key=lambda one: one.index or 0):
        if one.index is not None:
            parser.add_argument(one.name)
        elif one.kind == "boolean":
            parser.add_argument(f"--{one.name}", action="store_true")
        else:
            parser.add_argument(f"--{one.name}", default=one.default, choices=one.choices or None)
    given = vars(parser.parse_args(list(arguments)))
    return {**given, **{one.name: value_of(one, given[one.name]) for one in taken}}
