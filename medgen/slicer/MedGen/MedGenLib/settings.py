"""A form for the settings of a bundle, made from what its metadata say. The one part of MedGenLib that needs qt."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import ctk
import qt


class SettingsForm:
    """One widget a setting: a slider between bounds, a list of choices, a check box, or a line of text."""

    def __init__(self, group: qt.QGroupBox) -> None:
        self.layout = qt.QFormLayout(group)
        self._values: dict[str, Callable[[], Any]] = {}

    def show(self, settings: Mapping[str, Mapping[str, Any]]) -> None:
        """Show these settings with their defaults, in place of those before."""
        while self.layout.rowCount():
            self.layout.removeRow(0)
        self._values = {}
        for name, about in settings.items():
            widget, self._values[name] = _widget(about)
            widget.toolTip = about["help"]
            self.layout.addRow(name.replace("_", " ").capitalize() + ":", widget)

    def values(self) -> dict[str, Any]:
        """Return what is chosen by name; a line that is empty is left out, and so is as by default."""
        chosen = {name: value() for name, value in self._values.items()}
        return {name: value for name, value in chosen.items() if value is not None}


def _widget(about: Mapping[str, Any]) -> tuple[qt.QWidget, Callable[[], Any]]:
    default, choices = about["default"], about.get("choices")
    if choices and all(isinstance(choice, bool) for choice in choices):
        box = qt.QCheckBox()
        box.checked = bool(default)
        return box, lambda: bool(box.checked)
    if choices:
        combo = qt.QComboBox()
        combo.addItems([str(choice) for choice in choices])
        combo.setCurrentIndex(choices.index(default))
        return combo, lambda: choices[combo.currentIndex]
    if isinstance(default, (int, float)) and "low" in about and "high" in about:
        whole = all(isinstance(number, int) for number in (default, about["low"], about["high"]))
        slider = ctk.ctkSliderWidget()
        slider.decimals = 0 if whole else 2
        slider.minimum, slider.maximum = about["low"], about["high"]
        slider.singleStep = 1 if whole else 0.05
        slider.value = default
        return slider, lambda: int(slider.value) if whole else float(slider.value)
    line = qt.QLineEdit()
    line.text = "" if default is None else str(default)
    return line, lambda: _read(line.text)


def _read(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else None
    except ValueError:
        return text.strip()
