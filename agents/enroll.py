"""Exchanges a one-time code for the token by which the collector knows this agent."""

from __future__ import annotations

import json
import re

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.collector import Collector, CollectorError, NotAccepted, Refused, collector_url
from agents.state import Enrolment, State

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class EnrolError(Exception):
    """The agent could not be enrolled; the text is one sentence, without the code."""


class _Granted(BaseModel):
    """The collector's answer; a newer one may say more."""

    model_config = ConfigDict(extra="ignore")

    institution: str
    agent: str
    token: str


async def enroll(state: State, institution: str, url: str, code: str, agent: str | None = None) -> Enrolment:
    """Enrol the agent of `institution` and keep what was granted; `agent` is the name to ask for (default: its own).

    Raises EnrolError; an earlier enrolment then stays as it was.
    """
    if agent is not None and not _IDENTIFIER.fullmatch(agent):
        raise EnrolError(f"--agent {agent!r} is no id: use letters, digits, dot, underscore and hyphen, at most 64")
    try:
        collector = Collector(collector_url(url))
    except ValueError as error:
        raise EnrolError(str(error)) from None
    body = json.dumps({"code": code.strip(), "agent": agent or state.agent}).encode()
    try:
        answer = await collector.post("/api/v1/enrolments", body)
        granted = _Granted.model_validate_json(answer.body)
        enrolment = Enrolment(
            institution=granted.institution, agent=granted.agent, collector=collector.url, token=granted.token
        )
    except (Refused, NotAccepted) as error:
        reason = str(error).partition(": ")[2] if isinstance(error, Refused) else "the code is not accepted"
        raise EnrolError(f"{reason}: a code works once and for some days; ask for a new one") from None
    except CollectorError as error:
        said = str(error)
        raise EnrolError(said if said.endswith("?") else f"{said}; try again") from None
    except ValidationError:
        raise EnrolError(f"the answer of {collector.url} can't be read: is this the collector's address?") from None
    finally:
        await collector.close()
    if enrolment.institution != institution:
        raise EnrolError(
            f"the code is for institution {enrolment.institution}, and site.yaml is of {institution}:"
            " ask for a code for this one"
        )
    state.save_enrolment(enrolment)
    return enrolment
