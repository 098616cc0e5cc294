"""A regulation for tests: every requirement, with round numbers that belong to no country."""

from __future__ import annotations

from typing import Any

from monitor.model.regulation import Regulation

_CITATION = {
    "title": {"zh": "测试规定", "en": "Test rule"},
    "clause": {"zh": "第一条", "en": "Article 1"},
    "strength": "internal",
    "status": "primary",
}


def _requirement(**numbers: Any) -> dict[str, Any]:
    return {"title": {"zh": "要求", "en": "A requirement"}, "citation": _CITATION, **numbers}


def pack(**overrides: dict[str, Any] | None) -> Regulation:
    """Return the pack; `overrides` change numbers of a requirement by its kind, None takes it away."""
    requirements: dict[str, dict[str, Any]] = {
        "uptime": _requirement(
            window="1d", minimum_ratio=0.9, minimum_known_ratio=0.0, grace="30s",
            longest_outage_in_hours="1m", longest_outage_out_of_hours="10m",
        ),
        "zone_coverage": _requirement(proof=["attested", "planned"]),
        "view": _requirement(),
        "picture_quality": _requirement(minimum_width=1280, minimum_height=720, minimum_frame_rate=15),
        "forbidden_zone": _requirement(),
        "undeclared_channel": _requirement(),
        "retention": _requirement(required_days=90, confirm_after="6h"),
        "recording_completeness": _requirement(minimum_ratio=0.95),
        "recorder_clock": _requirement(tolerance="60s"),
        "storage_health": _requirement(),
        "measurability": _requirement(max_undetermined_hours=72),
        "alarm_system": _requirement(),
        "agent_silence": _requirement(silent_after="30m"),
    }  # fmt: skip
    for kind, numbers in overrides.items():
        if numbers is None:
            del requirements[kind]
        else:
            requirements[kind].update(numbers)
    return Regulation.model_validate(
        {
            "schema": "cradlewatch.regulation/1",
            "id": "test-pack",
            "version": 1,
            "title": {"zh": "测试", "en": "Test"},
            "effective_from": "2021-01-01",
            "rooms": {
                "required": ["entrance", "play", "nap"],
                "forbidden": ["toilet", "changing", "nursing", "staff_rest"],
                "free": ["office", "other", "kitchen", "reception", "outdoor_play", "wash", "dining"],
                "district_decides": ["corridor"],
                "must_exist": ["entrance", "play"],
            },
            "requirements": requirements,
        }
    )
