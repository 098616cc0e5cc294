"""The command `cradlewatch agent`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from agents.attest import AttestError, What
from agents.attest import attest as attest_now
from agents.bounds import Bounds
from agents.database import DatabaseError
from agents.enroll import EnrolError
from agents.enroll import enroll as enroll_now
from agents.init import InitError, write_site
from agents.interview import DEFAULT_REGULATION, DEFAULT_TIMEZONE, Given, ask, ask_password, cameras_of, take
from agents.recorders.settings import OptionsError
from agents.secret import SecretError
from agents.site import Site, SiteError, load_site
from agents.state import State, StateError
from monitor.model.clock import SystemClock
from monitor.model.regulation import parse_duration
from monitor.model.span import isoformat
from monitor.regulations.problem import PackError

EXIT_USAGE = 2

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Measures at the institution: cameras, recorders, recordings.",
)

Config = Annotated[Path, typer.Option("--config", help="The institution's site.yaml.")]


def warn(sentence: str) -> None:
    """Say on standard error what a person should look after."""
    typer.echo(f"warning: {sentence}", err=True)


def fail(error: Exception | str) -> NoReturn:
    """Say what is wrong on standard error, and exit as for wrong usage or configuration."""
    if isinstance(error, BrokenPipeError):  # nobody reads on, as `| head` does: typer ends it without a word
        raise error
    said = str(error)
    if isinstance(error, OSError) and error.strerror:  # without the error's number, which is for programs
        said = f"{error.filename or 'what is printed or kept'}: {error.strerror}"
    typer.echo(said, err=True)
    raise typer.Exit(EXIT_USAGE)


def site_of(config: Path) -> Site:
    """Load site.yaml or exit; tell its warnings on standard error."""
    try:
        site = load_site(config)
    except SiteError as error:
        fail(error)
    for warning in site.warnings():
        typer.echo(f"{config}: warning: {warning}", err=True)
    return site


def state_of(site: Site, *, enduring: bool = False) -> State:
    """Open the site's state directory or exit; an `enduring` one goes on where the disk refuses it."""
    try:
        return State(site.state_dir, site.institution.id, enduring=enduring)
    except StateError as error:
        fail(error)


@app.command()
def init(
    output: Annotated[Path, typer.Option("--output", help="The file to write.")] = Path("site.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: what is not given takes its default.")] = False,
    institution: Annotated[str | None, typer.Option(help="The institution's id.")] = None,
    name: Annotated[str | None, typer.Option(help="Its name.")] = None,
    timezone: Annotated[str | None, typer.Option(help=f"IANA name; default {DEFAULT_TIMEZONE}.")] = None,
    regulation: Annotated[str | None, typer.Option(help=f"The pack; default {DEFAULT_REGULATION}.")] = None,
    network: Annotated[list[str] | None, typer.Option(help="May be given again; default the recorder's.")] = None,
    driver: Annotated[str | None, typer.Option(help="The recorder's driver; default hikvision.")] = None,
    recorder_url: Annotated[str | None, typer.Option(help="Such as http://192.0.2.10.")] = None,
    recorder_username: Annotated[str | None, typer.Option(help="An account that may look and search.")] = None,
    recorder_password_file: Annotated[str | None, typer.Option(help="Where its password lies.")] = None,
    recordings: Annotated[str | None, typer.Option(help="Instead: the path template of a folder.")] = None,
    camera: Annotated[
        list[str] | None, typer.Option(help="ROOM or ROOM=NAME, in the order of the channels; may be given again.")
    ] = None,
    stream: Annotated[
        list[str] | None, typer.Option(help="A camera's rtsp:// address, in the order of --camera; may be given again.")
    ] = None,
) -> None:
    """Ask for what is not given, and write a site.yaml."""
    asks = not yes and sys.stdin.isatty()
    try:
        if output.exists() and not force:
            raise InitError(f"{output} is there already: give another --output, or --force to write over it")
        given = Given(
            institution=institution,
            name=name,
            timezone=timezone,
            regulation=regulation,
            networks=tuple(network or ()),
            driver=driver,
            url=recorder_url,
            username=recorder_username,
            password_file=recorder_password_file,
            recordings=recordings,
            cameras=cameras_of(camera or (), stream or ()),
        )
        answers = ask(given) if asks else take(given)
        write_site(answers, output, force=force)
        if asks:
            ask_password(answers, output)
    except (InitError, SiteError, PackError) as error:
        fail(error)
    typer.echo(f"{output} is written; look it through, then run: cradlewatch agent check --config {output}")


@app.command()
def attest(
    what: Annotated[What, typer.Argument(metavar="WHAT", help="alarm_test, coverage_walk, storage, ups or signage.")],
    config: Config,
    subject: Annotated[str, typer.Option(help="KIND/ID, such as zone/gate or institution/wj-0001.")],
    by: Annotated[str, typer.Option(help="Who saw it.")],
    valid: Annotated[str, typer.Option(help="How long it holds, such as 31d.")] = "31d",
    fault: Annotated[bool, typer.Option("--fault", help="It was found not to work.")] = False,
) -> None:
    """Say what no program can see: a test, a walk, a stock-taking; with a name and for a limited time."""
    site = site_of(config)
    state = state_of(site)
    try:
        said = attest_now(site, state, SystemClock(), what, subject, by=by, valid=parse_duration(valid), fault=fault)
    except ValueError as error:
        fail(f"--valid: {error}")
    except (AttestError, DatabaseError, StateError) as error:
        fail(error)
    finally:
        state.close()
    typer.echo(f"{what} of {said.subject} is kept; it holds until {isoformat(said.expires)}")


@app.command()
def baseline(
    config: Config,
    camera: Annotated[str | None, typer.Option(help="Look at this camera alone.")] = None,
    approve: Annotated[bool, typer.Option("--approve", help="Approve the views that are taken.")] = False,
    by: Annotated[str | None, typer.Option(help="Who vouches for them; with --approve.")] = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="Without the second look a minute later, where nobody stands before a camera."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")] = False,
) -> None:
    """Take each camera's view, and show how far it is the approved one. Once enrolled, --approve proposes it.

    It looks twice, a minute apart: what has left by then, as whoever stood there, is no part of the view.

    Exit status: 0 a view of every camera, 1 not of every one, 2 wrong usage or configuration.
    """
    from agents.baseline import BaselineError
    from agents.baseline_cli import print_baseline
    from agents.taking import Taking

    if approve != (by is not None):
        fail("give --approve and --by NAME together: somebody vouches for a view that is approved")
    site = site_of(config)
    state = state_of(site)
    try:
        taking = Taking().once if once else Taking()
        status = print_baseline(site, state, taking, camera=camera, by=by, as_json_only=as_json)
    except (BaselineError, SecretError, OptionsError, StateError, DatabaseError, OSError) as error:
        fail(error)
    finally:
        state.close()
    raise typer.Exit(status)


@app.command()
def enroll(
    config: Config,
    collector: Annotated[str, typer.Option(help="Its address, such as https://collector.example.")],
    code: Annotated[str, typer.Option(help="The one-time code.")],
    agent: Annotated[str | None, typer.Option(help="A name for this agent; default the machine's.")] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", help="The certificate (PEM) that the collector's comes from: it is pinned.")
    ] = None,
    ca_fingerprint: Annotated[
        str | None, typer.Option("--ca-fingerprint", help="Instead: its SHA-256, as it was given with the code.")
    ] = None,
    client_certificate: Annotated[
        Path | None,
        typer.Option(help="A certificate (PEM) to show, where the collector asks for one; with --client-key."),
    ] = None,
    client_key: Annotated[Path | None, typer.Option(help="Its key (PEM, without a password); it stays there.")] = None,
) -> None:
    """Make this agent's key and register it by a one-time code. From then on `agent run` reports to the collector."""
    if ca is not None and ca_fingerprint is not None:
        fail("give --ca or --ca-fingerprint, not both")
    if (client_certificate is None) != (client_key is None):
        fail("give --client-certificate and --client-key, or neither")
    client = (client_certificate, client_key) if client_certificate is not None and client_key is not None else None
    site = site_of(config)
    state = state_of(site)
    try:
        trust = ca if ca is not None else ca_fingerprint
        enrolment = asyncio.run(
            enroll_now(state, site.institution.id, collector, code, agent, trust=trust, client=client, tell=warn)
        )
    except (EnrolError, DatabaseError, StateError, OSError) as error:
        fail(error)
    finally:
        state.close()
    typer.echo(f"enrolled as {enrolment.agent} of {enrolment.institution} at {enrolment.collector}")


@app.command(name="rotate-key")
def rotate_key(config: Config) -> None:
    """Make a new key for this agent; the old one vouches for it, and what it signed stays good."""
    from agents.rotate import rotate

    site = site_of(config)
    state = state_of(site)
    try:
        enrolment = asyncio.run(rotate(state))
    except (EnrolError, DatabaseError, StateError, OSError) as error:
        fail(error)
    finally:
        state.close()
    typer.echo(f"{enrolment.agent} of {enrolment.institution} signs with a new key now")


@app.command()
def check(
    config: Config,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")] = False,
    camera: Annotated[str | None, typer.Option(help="Look at this camera alone.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Print what was asked, answered and measured.")] = False,
    retry_credentials: Annotated[
        bool, typer.Option("--retry-credentials", help="Try logins again that were refused before.")
    ] = False,
) -> None:
    """Look at every camera and recorder once, now, and judge what was seen.

    Exit status: 0 all met, 1 something breached, 2 wrong usage or configuration, 3 nothing breached but something
    undetermined.
    """
    from agents.check_cli import UsageError, print_check

    site = site_of(config)
    try:
        status = print_check(
            site, as_json_only=as_json, camera=camera, explain=explain, retry_credentials=retry_credentials
        )
    except (UsageError, SecretError, OptionsError, StateError, DatabaseError, PackError, OSError) as error:
        fail(error)
    raise typer.Exit(status)


@app.command()
def run(
    config: Config,
    metrics: Annotated[str | None, typer.Option(help="HOST:PORT for Prometheus; default none.")] = None,
) -> None:
    """Watch round the clock. Enrolled, it reports to the collector; else it watches and keeps, and sends nothing."""
    from agents.run_cli import run_service

    site = site_of(config)
    state = state_of(site, enduring=True)
    try:
        with state.lock():
            run_service(site, state, metrics)
    except (SecretError, OptionsError, StateError, DatabaseError, PackError, OSError, ValueError) as error:
        fail(error)
    finally:
        state.close()


@app.command()
def diagnose(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A video: H.264, H.265 or MJPEG.")],
    baseline: Annotated[
        Path | None,
        typer.Option(help="The approved view: an image, a video or a fingerprint; default FILE's beginning."),
    ] = None,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.04, max=3600.0)] = 10.0,
    config: Annotated[
        Path | None, typer.Option("--config", help="Judge by the thresholds of this site.yaml, not by the defaults.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option("--camera", metavar="ID", help="And by those of this camera; needs --config.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")] = False,
) -> None:
    """Run the picture checks over a recorded file, as the watcher does over a live stream.

    Exit status: 0 when the file could be read, else 2.
    """
    from agents.diagnose_cli import print_diagnosis
    from agents.limited import MEMORY_BYTES
    from agents.recorded_looks import UnreadableError

    if camera is not None and config is None:
        fail(f"--camera {camera}: give --config FILE, too: the camera's thresholds stand in site.yaml")
    bounds = Bounds() if config is None else _bounds_of(site_of(config), camera)
    try:
        print_diagnosis(file, baseline=baseline, every=every, bounds=bounds, as_json_only=as_json)
    except UnreadableError as error:
        fail(error)
    except MemoryError:
        fail(
            f"{file}: it takes more than {MEMORY_BYTES >> 30} GiB of memory to look through: no camera's recording does"
        )


def _bounds_of(site: Site, camera: str | None) -> Bounds:
    """Return a camera's thresholds, or those that a site sets for all; ends the command where there is no such camera."""
    if camera is None:
        return Bounds.resolve(site.thresholds)
    found = site.camera(camera)
    if found is None:
        known = ", ".join(item.id for item in site.cameras)
        fail(f"--camera {camera}: {site.path} has no such camera; there are {known}")
    return found.bounds


@app.command()
def discover(
    config: Annotated[Path | None, typer.Option("--config", help="site.yaml; default the one here, if any.")] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="Look here too, such as 192.0.2.0/24; may be given again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")] = False,
) -> None:
    """Look for ONVIF devices, and ask the recorders for their channels: text to paste into site.yaml."""
    from agents.discover_cli import print_discovery

    here = Path("site.yaml")
    found = config if config is not None else here if here.exists() else None
    if found is None and not network:
        fail("give --config or --network: nothing outside the site's own networks is ever looked at")
    try:
        print_discovery(site_of(found) if found is not None else None, network or (), as_json_only=as_json)
    except (SecretError, OptionsError, DatabaseError, OSError, ValueError) as error:
        fail(error)


@app.command(name="record-device")
def record_device(
    config: Config,
    recorder: Annotated[str, typer.Option(help="Which one, by its id.")],
    output: Annotated[Path, typer.Option("--output", help="The folder to put the fixture into.")] = Path(),
) -> None:
    """Capture a recorder's replies as a fixture, with every secret, name, address and serial number scrubbed."""
    from agents.discover_cli import record_device as record
    from agents.record_device import RecordError

    try:
        record(site_of(config), recorder, output)
    except (RecordError, SecretError, OptionsError, DatabaseError, OSError) as error:
        fail(error)
