"""The XML by which Slicer knows a command-line module (its "execution model")."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from medgen import __version__
from medgen.slicer.parameters import Group, Parameter

#: Slicer's module factory wants exactly this first line.
FIRST_LINE = '<?xml version="1.0" encoding="utf-8"?>'
#: Element and attributes of what is handed over as files. NIfTI uncompressed: it lives for seconds, and gzip takes longer.
FILES = {
    "volume": 'image type="scalar" fileExtensions=".nii"',
    "label": 'image type="label" fileExtensions=".nii"',
    "table": 'table fileExtensions=".csv"',
}
ELEMENTS = {"choice": "string-enumeration", "text": "string"}


def describe(title: str, about: str, groups: Sequence[Group]) -> str:
    """Return the XML of a module."""
    head = {
        "category": "MedGen", "title": title, "description": about + " Research only; not a medical device.",
        "version": __version__, "documentation-url": "", "license": "Apache-2.0", "contributor": "the medgen team",
        "acknowledgements": "",
    }  # fmt: skip
    takes_volume = any(one.name == "input" for group in groups for one in group.parameters)
    lines = [FIRST_LINE, "<executable>", *(f"  {_element(name, text)}" for name, text in head.items())]
    for group in groups:
        lines.append('  <parameters advanced="true">' if group.advanced else "  <parameters>")
        lines += [f"    {_element('label', group.label)}", f"    {_element('description', group.label)}"]
        for parameter in group.parameters:
            lines += [f"    {line}" for line in _parameter(parameter, takes_volume)]
        lines.append("  </parameters>")
    return "\n".join([*lines, "</executable>", ""])


def _parameter(parameter: Parameter, takes_volume: bool) -> list[str]:
    head = FILES.get(parameter.kind) or ELEMENTS.get(parameter.kind, parameter.kind)
    name = head.split()[0]
    if parameter.kind == "volume" and parameter.output and takes_volume:
        head += ' reference="input"'
    parts = {"name": parameter.name, "label": parameter.title, "description": parameter.help}
    if parameter.index is not None:
        parts["index"] = str(parameter.index)
    elif not parameter.is_returned:
        parts["longflag"] = f"--{parameter.name}"
    if parameter.is_file or parameter.output:
        parts["channel"] = "output" if parameter.output else "input"
    if not parameter.is_file:
        parts["default"] = parameter.default
    lines = [f"<{head}>", *(f"  {_element(key, text)}" for key, text in parts.items())]
    lines += [f"  {_element('element', choice)}" for choice in parameter.choices]
    if parameter.low is not None and parameter.high is not None:
        lines.append(f"  <constraints><minimum>{parameter.low:g}</minimum><maximum>{parameter.high:g}</maximum></constraints>")
    return [*lines, f"</{name}>"]


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"
