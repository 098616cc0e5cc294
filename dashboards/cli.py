"""The command `cradlewatch collector`: the process, and what an operator does by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from dashboards import logs
from dashboards.command import QUIET, Config, UsageError, open_context, sentences
from dashboards.register_cli import institution_app, jurisdiction_app
from monitor.collector.context import Context
from monitor.collector.cores import usable_cores
from monitor.collector.enrolment import VALID, create_code, revoke
from monitor.collector.evaluate import verdicts_as_of
from monitor.collector.evidence import export_evidence
from monitor.collector.mend_chain import mend_chain
from monitor.collector.own_keys import rotate_signing_key, unreadable_keys
from monitor.collector.restored import sentence
from monitor.collector.verify import Verified
from monitor.collector.verify_all import Found, verify_all
from monitor.model.clock import Clock
from monitor.model.counted import counted
from monitor.model.regulation import format_duration, parse_duration
from monitor.model.span import Millis, isoformat, parse_instant, to_millis
from monitor.model.verdict import Outcome, Verdict
from monitor.store import accounts, agents, keys, registry
from monitor.store.backup import back_up
from monitor.store.engine import reading, writing
from monitor.store.schema import is_current
from monitor.store.schema import migrate as migrate_database

app = typer.Typer(**QUIET, help="The centre: API, dashboard, evaluation, notices; and its administration.")
user_app = typer.Typer(**QUIET, help="Who may sign in.")
agent_app = typer.Typer(**QUIET, help="The agents: their chains of reports, and their keys.")
key_app = typer.Typer(**QUIET, help="The collector's own key, which signs what agents are told.")
enrolment_app = typer.Typer(**QUIET, help="One-time codes for agents.")
for name, sub in (
    ("user", user_app),
    ("institution", institution_app),
    ("jurisdiction", jurisdiction_app),
    ("enrolment", enrolment_app),
    ("agent", agent_app),
    ("key", key_app),
):
    app.add_typer(sub, name=name)

PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", help="Read the password from this file instead of asking for it.")
]
UserName = Annotated[str, typer.Argument(metavar="NAME", help="The name to sign in with.")]


_SAID_EVERY: Final = 10.0
"""Seconds between two sentences on how far a check is."""

_WORTH_A_PROCESS: Final = 5000
"""For so many reports another process is begun, which takes as long as a thousand of them."""

LAST_INSTANT: Final = to_millis(datetime(9000, 1, 1, tzinfo=UTC))
"""Calendars end in 9999."""


@app.command()
def serve(
    config: Config = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Where to listen; fd:3 is a socket that was handed down, as by systemd."
        ),
    ] = None,
    migrate: Annotated[bool, typer.Option("--migrate", help="Bring a PostgreSQL schema up to date first.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more.")] = False,
) -> None:
    """Run the collector: API, dashboard, evaluation and notices."""
    from dashboards.serve import serve as run  # the web server: the other commands start without it

    logs.configure(verbose=verbose)
    with sentences():
        context = open_context(config, prepared=False)
        context.settings.notice_urls()  # a file or variable that isn't there is told now, not when a notice is due
        context.settings.certificate_authority()  # and a file without a certificate not when a code is made
        run(context, listen or context.settings.listen, may_migrate=migrate, tell=typer.echo, verbose=verbose)


@app.command()
def migrate(config: Config = None) -> None:
    """Bring the database's schema up to date. Nothing happens when it is."""
    with sentences():
        context = open_context(config, prepared=False)
        with context.engine.connect() as connection:
            current = is_current(connection)
        if not current:
            migrate_database(context.engine)
        typer.echo("The database was up to date." if current else "The database is up to date now.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not be there yet.")],
    config: Config = None,
) -> None:
    """Copy a SQLite database while the collector runs. For PostgreSQL take pg_dump.

    The copy holds the collector's keys and who may sign in: keep it like a password, and on another disk.
    """
    with sentences():
        back_up(open_context(config, prepared=False, existing=True).engine, file)
        typer.echo(f"{file}: a copy of the database as it is now")


@user_app.command("add")
def user_add(name: UserName, password_file: PasswordFile = None, config: Config = None) -> None:
    """Add somebody who may sign in."""
    with sentences():
        context, password = open_context(config), _password(password_file)
        with writing(context.engine) as session:
            accounts.create_user(session, name, password, context.now())
        typer.echo(f"{name} can sign in now.")


@user_app.command("password")
def user_password(name: UserName, password_file: PasswordFile = None, config: Config = None) -> None:
    """Change somebody's password; their sessions end."""
    with sentences():
        context, password = open_context(config), _password(password_file)
        with writing(context.engine) as session:
            accounts.set_password(session, name, password)
        typer.echo(f"The password of {name} is changed.")


@user_app.command("list")
def user_list(config: Config = None) -> None:
    """List who may sign in."""
    with sentences():
        context = open_context(config)
        with reading(context.engine) as session:
            for name in accounts.user_names(session):
                typer.echo(name)


@user_app.command("token")
def user_token(
    name: UserName,
    label: Annotated[str, typer.Option(help="What the token is for.")] = "",
    valid: Annotated[
        str | None, typer.Option(help="How long it can be used, such as 90d; without it for ever.")
    ] = None,
    config: Config = None,
) -> None:
    """Print an API token with which a script reads in somebody's name. It is shown this once."""
    with sentences():
        lifetime = None if valid is None else _duration("--valid", valid)
        context = open_context(config)
        with writing(context.engine) as session:
            token = accounts.create_api_token(session, name, label, context.now(), lifetime)
        typer.echo(token)


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


def _password(file: Path | None) -> str:
    """Read a password from a file (a trailing newline is no part of it), or ask for it twice."""
    if file is None and not _somebody_is_there():
        raise UsageError("there is nobody to ask for the password: give --password-file")
    if file is None:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise UsageError(f"{file}: the password can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file}: the password can't be read: the file is not UTF-8") from None


def _duration(option: str, text: str) -> Millis:
    try:
        lifetime = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    if not lifetime:
        raise UsageError(f"{option}: {text} is no time at all; write it like 7d")
    return lifetime


@enrolment_app.command("create")
def enrolment_create(
    institution: Annotated[str, typer.Option(help="The institution's id.")],
    agent: Annotated[str | None, typer.Option(help="The agent's id; without it the agent names itself.")] = None,
    valid: Annotated[str, typer.Option(help="How long the code can be used.")] = format_duration(VALID),
    config: Config = None,
) -> None:
    """Print a one-time code with which an agent registers its key, and what its collector's certificate comes from.

    The code is shown this once. With `ca_file` in collector.yaml a second line is that certificate's fingerprint.
    """
    with sentences():
        lifetime = _duration("--valid", valid)
        context = open_context(config)
        authority = context.settings.certificate_authority()
        typer.echo(create_code(context, institution, agent, lifetime))
        if authority is not None:
            typer.echo(authority.fingerprint)


@agent_app.command("list")
def agent_list(
    institution: Annotated[str, typer.Option(help="The institution's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: Config = None,
) -> None:
    """List an institution's agents, and how the chain of each one's reports stands."""
    with sentences():
        context = open_context(config, existing=True)
        with reading(context.engine) as session:
            registry.known_institution(session, institution)
            found = agents.agents_of(session, institution)
    if as_json:
        typer.echo(json.dumps([item.to_json() for item in found], ensure_ascii=False, indent=2))
        return
    for item in found:
        typer.echo(f"{item.id}\t{item.state}\t{counted(item.reports, 'report')}, {item.missing} missing")


@agent_app.command("keys")
def agent_keys(
    institution: Annotated[str, typer.Option(help="The institution's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: Config = None,
) -> None:
    """List the keys that an institution's agents registered: by their ids whoever has an evidence bundle knows whose they are."""
    with sentences():
        context = open_context(config, existing=True)
        with reading(context.engine) as session:
            registry.known_institution(session, institution)
            names = [item.id for item in agents.agents_of(session, institution)]
            found = [(name, key) for name in names for key in keys.agent_keys(session, institution, name).values()]
    if as_json:
        body = [{"agent": name, **key.to_json()} for name, key in found]
        typer.echo(json.dumps(body, ensure_ascii=False, indent=2))
        return
    for name, key in found:
        said = [
            f"{what.removesuffix('_at')} {at}" for what, at in key.to_json().items() if what != "id" and at is not None
        ]
        typer.echo(f"{name}\t{key.public.id}\t{', '.join(said)}")


@agent_app.command("revoke")
def agent_revoke(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="The agent's id.")],
    institution: Annotated[str, typer.Option(help="The institution's id.")],
    config: Config = None,
) -> None:
    """Accept nothing more that an agent's keys sign. What came before stays; a new code lets it register a new key."""
    with sentences():
        count = revoke(open_context(config, existing=True), institution, agent)
        typer.echo(f"{agent} of {institution}: {counted(count, 'key')} revoked.")


@agent_app.command("mend")
def agent_mend(
    agent: Annotated[
        str | None,
        typer.Argument(metavar="AGENT", help="The agent's id; without it all whose chain can't be read."),
    ] = None,
    institution: Annotated[str | None, typer.Option(help="The institution's id; without it all of them.")] = None,
    config: Config = None,
) -> None:
    """Make what is kept of an agent's chain of reports again from the stored reports, where it can't be read.

    Look with `verify` first who else was edited: what isn't there any more is missing afterwards.
    """
    with sentences():
        if agent is not None and institution is None:
            raise UsageError("give --institution with the agent: ids of agents are those of an institution")
        context = open_context(config, existing=True)
        with reading(context.engine) as session:
            if institution is not None:
                registry.known_institution(session, institution)
            found = agents.all_agents(session) if institution is None else agents.agents_of(session, institution)
        wanted = [(item.institution, item.id) for item in found if item.chain_lost]
        if agent is not None and institution is not None:
            wanted = [(institution, agent)]
        for where, name in wanted:
            _mend(context, where, name)
        if not wanted:
            typer.echo("nothing to mend: the chain of each agent can be read")


def _mend(context: Context, institution: str, agent: str) -> None:
    done = mend_chain(context, institution, agent)
    left = f"; {done.left_out} left out, see `cradlewatch collector verify`" if done.left_out else ""
    back = [f"report {number} of boot {boot}" for boot, number in done.out_of_order]
    left += f"; dated back, or beside one that is: {', '.join(back)}" if back else ""
    said = f"made again from {counted(done.reports, 'report')}, {done.agent.missing} missing, {done.agent.state}{left}"
    typer.echo(f"{institution}\t{agent}\t{said}")


@key_app.command("rotate")
def key_rotate(config: Config = None) -> None:
    """Replace the key that signs what agents are told. The old one signs the new one: agents follow by themselves."""
    with sentences():
        context = open_context(config, existing=True)
        old, new = rotate_signing_key(context.engine, context.now())
        typer.echo(f"key {old.id} was replaced by {new.id}; agents follow at their next contact.")


@app.command()
def evaluate(
    institution: Annotated[str | None, typer.Option(help="Only this one; without it all of them.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="RFC3339", help="The instant; without it now.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: Config = None,
) -> None:
    """Judge again from the ledger, as of any instant. Prints the verdicts and writes nothing."""
    with sentences():
        context = open_context(config, existing=True)
        instant = context.now() if as_of is None else _instant(as_of)
        with reading(context.engine) as session:
            ids = [institution] if institution is not None else registry.institution_ids(session)
            packs = registry.regulations_in_use(session)
            found = {item: verdicts_as_of(session, item, instant, context.packs) for item in ids}
    if not as_json:
        for item, verdicts in found.items():
            _print(item, verdicts)
        return
    bodies = [_check(item, packs[item], instant, verdicts) for item, verdicts in found.items()]
    whole = {"schema": "cradlewatch.evaluation/1", "as_of": isoformat(instant), "institutions": bodies}
    typer.echo(json.dumps(bodies[0] if institution is not None else whole, ensure_ascii=False, indent=2))


@app.command()
def verify(
    institution: Annotated[str | None, typer.Option(help="Only this one; without it all of them.")] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            help="Check so many institutions at a time; without it as many as there are processors and work for.",
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Check every stored report's signature, its link to the one before, the ledger and the newest verdicts by the reports, findings and register by their journal.

    Changes nothing. Each of the processes (--jobs) makes ledgers again in a temporary file of its own. How far it is stands on standard error, every ten seconds.

    Exit status: 0 all is as it was received, 1 something was edited, dropped, added or exchanged (each is named), 2 wrong usage.
    """
    with sentences():
        context = open_context(config, existing=True)
        with reading(context.engine) as session:
            if institution is not None:
                registry.known_institution(session, institution)
            known = {*registry.institution_ids(session), *agents.institutions_of_agents(session)}
            ids = [institution] if institution is not None else sorted(known)
            keys = unreadable_keys(session)
            worth = 1 + agents.count_reports(session) // _WORTH_A_PROCESS
        if keys:
            typer.echo(f"the collector's own keys: {counted(len(keys), 'problem')}")
        for wrong in keys:
            typer.echo(f"  {wrong}")
        checked = whole = 0
        far = _every(_SAID_EVERY, context.clock)
        # Each is told when it is done: of many, nothing is kept, and who waits sees how far it is.
        with closing(verify_all(context, ids, jobs or min(usable_cores(), worth), far)) as found:
            for item in found:
                _print_verified(item.verified)
                _print_restored(item)
                checked += bool(item.verified.agents or item.verified.ledger.rows)
                whole += not item.verified.problems
        if not checked:
            raise UsageError("nothing was checked: no agent has been enrolled")
    if whole < len(ids) or keys:
        raise typer.Exit(1)


def _print_restored(found: Found) -> None:
    """Say which missing reports a restored database lost: nobody has edited anything, and nobody left them out."""
    for agent, gap in found.lost:
        text = f"note: {counted(gap.count, 'report')} missing: {sentence(gap)}"
        typer.echo(f"{found.verified.institution}\t{agent}\t{text}")


def _every(seconds: float, clock: Clock) -> Callable[[str], None]:
    """Return what says a sentence on standard error, unless it said one a moment ago."""
    said_at = clock.monotonic()

    def say(text: str) -> None:
        nonlocal said_at
        if clock.monotonic() - said_at >= seconds:
            said_at = clock.monotonic()
            typer.echo(text, err=True)

    return say


def _print_verified(found: Verified) -> None:
    for item in found.agents:
        whole = "whole" if not item.problems else counted(len(item.problems), "problem")
        unsigned = f", {item.unsigned} of them from before there were signatures" if item.unsigned else ""
        typer.echo(f"{item.institution}\t{item.agent}\t{counted(item.reports, 'report')}{unsigned}: {whole}")
        for text in item.problems:
            typer.echo(f"  {text}")
    ledger = found.ledger
    if not found.agents and not ledger.rows and not found.findings.findings:
        return
    said = (
        "as the reports say"
        if not ledger.differing
        else f"{ledger.differing} {'is' if ledger.differing == 1 else 'are'} not as the reports say"
    )
    typer.echo(f"{found.institution}\tledger\t{counted(ledger.rows, 'row')}: {said}")
    for text in ledger.problems:
        typer.echo(f"  {text}")
    if ledger.differing > len(ledger.problems):
        typer.echo(f"  and {ledger.differing - len(ledger.problems)} more")
    verdicts = found.verdicts
    if verdicts.problems:
        said = counted(len(verdicts.problems), "problem")
    elif verdicts.unjudged is not None:
        said = "as they were written"
    else:
        said = "as the reports come to" if verdicts.evaluations else "never evaluated"
    if verdicts.unjudged is not None:
        said += f"; not judged again: {verdicts.unjudged}"
    typer.echo(f"{found.institution}\tverdicts\t{verdicts.verdicts}: {said}")
    for text in verdicts.problems:
        typer.echo(f"  {text}")
    findings = found.findings
    said = counted(len(findings.problems), "problem") if findings.problems else "as their readings say"
    typer.echo(f"{found.institution}\tfindings\t{findings.findings}: {said}")
    for text in findings.problems:
        typer.echo(f"  {text}")
    journal = found.journal
    said = counted(len(journal.problems), "problem") if journal.problems else "as the journal says"
    typer.echo(f"{found.institution}\tregister\t{counted(journal.rows, 'row')}: {said}")
    for text in journal.problems:
        typer.echo(f"  {text}")


@app.command()
def export(
    evidence: Annotated[str, typer.Option("--evidence", metavar="FINDING", help="The finding's id.")],
    output: Annotated[Path | None, typer.Option(help="The file to write; default evidence-FINDING.zip.")] = None,
    config: Config = None,
) -> None:
    """Write what a finding stands on as one file, which `cradlewatch verify` checks on any machine, offline."""
    with sentences():
        path = output or Path(f"evidence-{evidence}.zip")
        count = export_evidence(open_context(config, existing=True), evidence, path)
        typer.echo(f"{path}: the evidence of finding {evidence}, {counted(count, 'report')}")


def _instant(text: str) -> Millis:
    try:
        instant = parse_instant(text)
    except (ValueError, OverflowError):
        instant = -1
    if not 0 <= instant < LAST_INSTANT:
        raise UsageError(f"--as-of: {text!r} is no instant that can be judged; write it like 2026-11-23T04:00:00Z")
    return instant


def _check(institution: str, pack: str, instant: Millis, verdicts: tuple[Verdict, ...]) -> dict[str, Any]:
    counts = {outcome.value: sum(item.outcome is outcome for item in verdicts) for outcome in Outcome}
    return {
        "schema": "cradlewatch.check/1",
        "institution": institution,
        "as_of": isoformat(instant),
        "regulation": pack,
        "summary": counts,
        "verdicts": [item.to_json() for item in verdicts],
    }


def _print(institution: str, verdicts: tuple[Verdict, ...]) -> None:
    typer.echo(institution)
    for item in verdicts:
        typer.echo(
            f"  {item.outcome.value:12} {item.requirement.kind:22} {item.subject!s:20} {item.state}: {item.reason}"
        )
