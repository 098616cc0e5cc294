"""The visible registry of drivers: one line for each make."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agents.recorders.base import Recorder
from agents.recorders.numbered import plain
from agents.recorders.settings import DriverOptions, RecorderSettings

DriverFactory = Callable[[RecorderSettings], Recorder]


@dataclass(frozen=True)
class LazyDriver:
    """A driver that is imported when it is first used: a site loads only the libraries of its own makes."""

    module: str
    driver: str
    options: str
    numbered: bool = False
    """Its channels are numbers, from 1."""

    def __call__(self, settings: RecorderSettings) -> Recorder:
        """Build the driver; no I/O. Raises OptionsError."""
        factory: DriverFactory = getattr(importlib.import_module(self.module), self.driver)
        return factory(settings)

    def check(self, recorder_id: str, options: Mapping[str, Any]) -> None:
        """Check a driver's own keys in site.yaml. Raises OptionsError."""
        model: type[DriverOptions] = getattr(importlib.import_module(self.module), self.options)
        model.read(recorder_id, self.module.rpartition(".")[2], options)

    def channel(self, written: str) -> str:
        """Return a channel of site.yaml as the driver lists it: `01` is 1 where channels are numbers."""
        return plain(written) if self.numbered else written


DRIVERS: dict[str, LazyDriver] = {
    "attested": LazyDriver("agents.recorders.attested", "Attested", "AttestedOptions"),
    "dahua": LazyDriver("agents.recorders.dahua", "Dahua", "DahuaOptions", numbered=True),
    "files": LazyDriver("agents.recorders.files", "Files", "FilesOptions"),
    "hikvision": LazyDriver("agents.recorders.hikvision", "Hikvision", "HikvisionOptions", numbered=True),
    "onvif": LazyDriver("agents.recorders.onvif", "Onvif", "OnvifOptions"),
    "uniview": LazyDriver("agents.recorders.uniview", "Uniview", "UniviewOptions", numbered=True),
}
"""The visible registry: a driver is its file, its fixtures and its line here."""
