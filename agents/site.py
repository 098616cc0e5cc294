"""site.yaml as the agent uses it: read, checked, and turned into values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from agents.bounds import Bounds, Overrides
from agents.secret import Credentials, Secret
from agents.site_checks import LOCAL_DRIVERS, CheckOptions, channel_of, check_driver, check_site, undeclarable
from agents.site_file import CameraForm, Endpoint, Login, Network, QuietHours, RecorderForm, Rhythm, SiteForm
from monitor.model.inventory import (
    Camera,
    Closure,
    Institution,
    Inventory,
    Nap,
    OpeningHours,
    Recorder,
    Zone,
)
from monitor.regulations.document import Document, read_document
from monitor.regulations.messages import problems_of, quoted
from monitor.regulations.problem import PackError, Problem

_SECRET_KEYS = ("password", "password_file", "password_env", "password_credential", "url", "stream", "main_stream")


class SiteError(Exception):
    """site.yaml can't be used; `problems` has everything that is wrong with it, one sentence each, by line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keep the problems in the order of their lines."""
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True)
class RecorderConfig:
    """A recorder as written in site.yaml; `options` are the keys of its driver's own."""

    id: str
    name: str
    driver: str
    url: str | None
    credentials: Credentials | None
    tls_fingerprint: str | None
    """SHA-256 of the certificate, lower-case hex; None: pinned on first use."""
    old_tls: bool
    """It, and what it serves, may speak TLS 1.0 and 1.1."""
    ports: tuple[int, ...]
    """Where it may send the agent to on its own host, beside those in addresses and the services' own."""
    max_streams: int | None
    """The session budget; None: learnt."""
    quiet_hours: tuple[QuietHours, ...]
    options: Mapping[str, Any]

    @property
    def serves_streams(self) -> bool:
        """Tell whether the recorder is a device that may be asked for a camera's stream."""
        return self.driver not in LOCAL_DRIVERS


@dataclass(frozen=True)
class CameraConfig:
    """A camera as written in site.yaml; `credentials` are its own ones only (see Site.credentials_of)."""

    id: str
    name: str
    zones: tuple[str, ...]
    recorder: str | None
    channel: str | None
    stream: str | None
    main_stream: str | None
    tls_fingerprint: str | None
    """SHA-256 of the certificate of its own streams (rtsps), lower-case hex; None: the recorder's, or pinned on first use."""
    credentials: Credentials | None
    identity: str | None
    commissioned: date | None
    bounds: Bounds = field(default_factory=Bounds)
    """The thresholds of its picture checks."""
    thresholds: Overrides = field(default_factory=Overrides)
    """What of them is this camera's own."""


@dataclass(frozen=True)
class Site:
    """All that site.yaml says."""

    path: Path
    institution: Institution
    regulation: str
    networks: tuple[Network, ...]
    gateway: Endpoint | None
    """What answers when the line inside the site is whole; None: the machine's default route."""
    state_dir: Path
    hours: OpeningHours | None
    closures: tuple[Closure, ...]
    naps: tuple[Nap, ...]
    recorders: tuple[RecorderConfig, ...]
    zones: tuple[Zone, ...]
    cameras: tuple[CameraConfig, ...]
    keep_images: bool
    thresholds: Overrides
    """What the site changes for all its cameras."""
    rhythm: Rhythm
    """How often the agent looks, asks and reports."""

    @property
    def base_dir(self) -> Path:
        """What relative paths are relative to: the folder of the file."""
        return self.path.parent

    @property
    def timezone(self) -> ZoneInfo:
        """The institution's time zone."""
        return self.institution.zone_info

    def recorder(self, recorder_id: str | None) -> RecorderConfig | None:
        """Return the recorder called `recorder_id`, if there is one."""
        return next((item for item in self.recorders if item.id == recorder_id), None)

    def camera(self, camera_id: str) -> CameraConfig | None:
        """Return the camera called `camera_id`, if there is one."""
        return next((item for item in self.cameras if item.id == camera_id), None)

    def cameras_of(self, recorder_id: str) -> tuple[CameraConfig, ...]:
        """Return the cameras that the recorder records."""
        return tuple(item for item in self.cameras if item.recorder == recorder_id)

    def credentials_of(self, camera: CameraConfig) -> Credentials | None:
        """Return a camera's RTSP credentials: its own, else its recorder's."""
        recorder = self.recorder(camera.recorder)
        return camera.credentials or (recorder.credentials if recorder else None)

    def has_stream(self, camera: CameraConfig) -> bool:
        """Tell whether there is a stream to watch, written down or to be asked of the recorder."""
        recorder = self.recorder(camera.recorder)
        return camera.stream is not None or (recorder is not None and recorder.serves_streams)

    def inventory(self) -> Inventory:
        """Return what the institution declares, as it travels: without addresses and secrets."""
        return Inventory(
            institution=self.institution,
            zones=self.zones,
            cameras=tuple(
                Camera(
                    id=item.id,
                    name=item.name,
                    zones=item.zones,
                    recorder=item.recorder,
                    channel=item.channel,
                    has_stream=self.has_stream(item),
                    commissioned=item.commissioned,
                )
                for item in self.cameras
            ),
            recorders=tuple(Recorder(id=item.id, name=item.name, driver=item.driver) for item in self.recorders),
            hours=self.hours,
            closures=self.closures,
            naps=self.naps,
            thresholds=(
                *self.thresholds.changes(None),
                *(change for item in self.cameras for change in item.thresholds.changes(item.id)),
            ),
        )

    def warnings(self) -> tuple[str, ...]:
        """Return what is unwise though it works, as it is now: password files that others may read, old TLS."""
        credentials = [*(item.credentials for item in self.recorders), *(item.credentials for item in self.cameras)]
        found = (item.password.warning() for item in credentials if item is not None)
        old = [
            f"recorder {item.id}: old_tls allows TLS 1.0 and 1.1, which can be broken by who is on the line: update its"
            " firmware, and take old_tls out"
            for item in self.recorders
            if item.old_tls
        ]
        return (*(text for text in found if text is not None), *old)


def load_site(path: Path | str, *, check_options: CheckOptions = check_driver) -> Site:
    """Read and check site.yaml; passwords are not read. Raises SiteError with every problem.

    `check_options` checks the keys of a recorder's driver; the default asks the registry of drivers.
    """
    path = Path(path)
    document = _read(path)
    problems = [*document.problems, *_plain_passwords(document)]
    form: SiteForm | None = None
    try:
        # By way of JSON, because pydantic's strict mode then takes lists and dates as they are written, nothing else.
        form = SiteForm.model_validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        problems += [_without_secret(item, document) for item in problems_of(error, SiteForm, document)]
    else:
        problems += [document.problem(key, text) for key, text in check_site(form, check_options)]
    if form is None or problems:
        raise SiteError(problems)
    site = _site(path.absolute(), form)
    if problems := [document.problem(key, text) for key, text in undeclarable(site.inventory())]:
        raise SiteError(problems)
    return site


def _read(path: Path) -> Document:
    try:
        document = read_document(path)
    except PackError as error:
        raise SiteError(_reworded(problem) for problem in error.problems) from None
    if not isinstance(document.data, dict):
        raise SiteError([Problem(document.file, 1, "", "is no site.yaml: write one with `cradlewatch agent init`")])
    return document


def _reworded(problem: Problem) -> Problem:
    """The reader of YAML speaks of packs."""
    text = problem.message
    if text.startswith("is empty"):
        text = "is empty: write a site with `cradlewatch agent init`"
    return Problem(problem.file, problem.line, problem.key, text.replace("; a pack is a short text", ""))


def _plain_passwords(document: Document) -> Iterator[Problem]:
    """Find passwords that were written into the file itself, as many programs want it."""
    for section in ("recorders", "cameras"):
        items = document.data.get(section)
        for index, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict) and "password" in item:
                text = "a password may not stand in this file: put it into a file and write password_file"
                yield document.problem((section, index, "password"), text)


def _without_secret(problem: Problem, document: Document) -> Problem:
    """Take what was written out of a sentence about a key that may hold a password by mistake."""
    if not problem.key.endswith(_SECRET_KEYS):
        return problem
    value: Any = document.data
    for part in problem.key.replace("[", ".").replace("]", "").split("."):
        value = value[int(part)] if isinstance(value, list) else value.get(part) if isinstance(value, dict) else None
    text = problem.message.replace(quoted(value), "what stands here")
    return Problem(problem.file, problem.line, problem.key, text)


def _site(path: Path, form: SiteForm) -> Site:
    base, thresholds = path.parent, Overrides.of(form.thresholds)
    return Site(
        path=path,
        institution=form.institution,
        regulation=form.regulation,
        networks=form.networks,
        gateway=form.gateway,
        # Named after the file, so that two sites in one folder don't share a state.
        state_dir=base / (form.state_dir or f"{path.stem}.state"),
        hours=form.hours,
        closures=form.closures,
        naps=form.naps,
        recorders=tuple(_recorder(base, item) for item in form.recorders),
        zones=form.zones,
        cameras=tuple(_camera(base, item, channel_of(item, form.recorders), thresholds) for item in form.cameras),
        keep_images=form.keep_images,
        thresholds=thresholds,
        rhythm=form.rhythm,
    )


def _recorder(base: Path, form: RecorderForm) -> RecorderConfig:
    return RecorderConfig(
        id=form.id,
        name=form.name,
        driver=form.driver,
        url=form.url,
        credentials=_credentials(base, f"recorder {form.id}", form),
        tls_fingerprint=form.tls_fingerprint,
        old_tls=form.old_tls,
        ports=form.ports,
        max_streams=form.max_streams,
        quiet_hours=form.quiet_hours,
        options=dict(form.model_extra or {}),
    )


def _camera(base: Path, form: CameraForm, channel: str | None, for_all: Overrides) -> CameraConfig:
    own = Overrides.of(form.thresholds)
    return CameraConfig(
        id=form.id,
        name=form.name,
        zones=form.zones,
        recorder=form.recorder,
        channel=channel,
        stream=form.stream,
        main_stream=form.main_stream,
        tls_fingerprint=form.tls_fingerprint,
        credentials=_credentials(base, f"camera {form.id}", form),
        identity=form.identity,
        commissioned=form.commissioned,
        bounds=Bounds.resolve(for_all, own),
        thresholds=own,
    )


def _credentials(base: Path, owner: str, form: Login) -> Credentials | None:
    if form.username is None:
        return None
    file = base / form.password_file if form.password_file is not None else None
    return Credentials(form.username, Secret(owner, file, form.password_env, form.password_credential))
