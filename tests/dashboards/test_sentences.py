"""Reasons in words: every state of the contract has a sentence in both languages, and no figure is made up."""

from __future__ import annotations

import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dashboards.web.cases import details
from dashboards.web.checks import Check
from dashboards.web.figures import Words, figures, percent
from dashboards.web.i18n import Language
from dashboards.web.sentences import SENTENCES, reason
from dashboards.web.standing import outlook
from dashboards.web.times import Times
from dashboards.web.words import REQUIREMENTS, STATES
from monitor.model.observation import StreamCause, Subject
from monitor.model.span import HOUR
from monitor.store.findings import FindingRow
from support.seeded import NOON

CONTRACT = """
uptime | up / down, unreachable, site_power / unknown, recorder_full
zone_coverage | ok / no_camera, camera_down, view_faulty, no_zone / camera_present_only, unknown
view | ok / black dark bright frozen blurred covered moved noisy striped colour_cast signal_lost corrupt looped / no_baseline, unknown
forbidden_zone | clear / inside / unknown
undeclared_channel | none / found / unknown
retention | ok, maturing / short, gap / unknown
recording_completeness | complete / incomplete, motion_only / unknown
recorder_clock | ok / off / unknown
storage_health | ok / degraded, failed, missing, read_only / unknown
picture_quality | ok / below / unknown
measurability | ok / unmeasured / -
alarm_system | ok / fault, untested / not_offered, unknown
agent_silence | reporting / silent / -
"""
"""Every requirement with its states, as the contract lists them."""

PAIRS = [
    (line.partition("|")[0].strip(), state)
    for line in CONTRACT.strip().splitlines()
    for state in re.findall(r"[a-z_]+", line.partition("|")[2])
]

FULL: dict[str, Any] = {
    "held_days": 35, "required_days": 90, "compliant_from": "2027-01-17", "missing_days": ["2026-10-24", "2026-10-25"],
    "up_ratio": 0.98765, "minimum_ratio": 0.99, "recorded_ratio": 0.5, "day": "2026-11-22", "cause": "unauthorized",
    "rooms": ["play"], "zones": ["wc"], "channels": [{"id": "9", "name": "store"}], "capacity_bytes": 8_000_000_000_000,
    "offset_seconds": 3600.0, "tolerance_seconds": 60, "max_undetermined_seconds": 259_200,
    "tested_at": "2026-11-01T00:00:00Z", "valid_until": "2026-12-01T00:00:00Z", "last_report_at": "2026-11-23T03:00:00Z",
    "outages": [{"start_at": "2026-11-23T03:00:00Z", "end_at": None, "cause": "stalled"}],
}  # fmt: skip


def words(language: Language) -> Words:
    return Words(Times(ZoneInfo("Asia/Shanghai"), language))


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize(("requirement", "state"), PAIRS)
def test_every_state_of_the_contract_has_a_sentence(language: Language, requirement: str, state: str) -> None:
    said = words(language)
    for measured, began, ended in ((FULL, NOON, None), (FULL, NOON, NOON + 60_000), ({}, None, None)):
        text = reason(requirement, state, measured, said, began=began, ended=ended, fallback="FALLBACK")
        assert text
        assert "%" not in text.replace("98.76%", "").replace("99%", "").replace("50%", "")
        assert "FALLBACK" not in text
        assert "None" not in text
        assert bool(re.search(r"[一-鿿]", text)) is (language is Language.ZH)
    assert said.state(state) != state.replace("_", " ") or language is Language.EN
    assert requirement in REQUIREMENTS


def test_there_are_no_sentences_for_what_the_contract_does_not_know() -> None:
    assert set(SENTENCES) == set(PAIRS)
    assert {state for _, state in PAIRS} == set(STATES)


@pytest.mark.parametrize("cause", list(StreamCause))
def test_every_cause_has_words(cause: StreamCause) -> None:
    assert re.search(r"[一-鿿]", words(Language.ZH).cause(cause.value))


def test_a_state_that_is_new_here_says_the_verdicts_own_words() -> None:
    said = words(Language.ZH)
    assert reason("retention", "moonlit", {}, said, fallback="Own words.") == "Own words."
    assert said.state("moon_lit") == "moon lit"


@pytest.mark.parametrize(
    ("language", "text"), [(Language.EN, "part of another finding"), (Language.ZH, "属于另一项问题")]
)
def test_a_finding_without_time_of_its_own_says_so(language: Language, text: str) -> None:
    said = reason("uptime", "down", {}, words(language), began=NOON, ended=NOON)
    assert text in said
    assert text not in reason("uptime", "down", {}, words(language), began=NOON, ended=NOON + 1)


def test_figures_are_in_the_sentence() -> None:
    text = reason("retention", "short", FULL, words(Language.EN))
    assert text == "Only 35 of 90 days of recordings are held; in order on 2027-01-17 at the earliest."
    foretold = {"held_days": 96, "required_days": 90, "breaks_on": "2026-12-03", "breaks_because": "bit_rate_up"}
    assert reason("retention", "ok", foretold, words(Language.ZH)) == (
        "已存录像 96 天，要求 90 天；预计自 2026-12-03 起不足：每日录像写入量增大。"
    )
    steady = {**foretold, "breaks_on": None, "breaks_because": None}
    assert reason("retention", "ok", steady, words(Language.ZH)) == "已存录像 96 天，要求 90 天。"
    text = reason("retention", "gap", FULL, words(Language.ZH))
    assert text == "以下日期缺少录像：2026-10-24 – 2026-10-25；最早 2027-01-17 达标。"
    assert reason("recorder_clock", "off", {"offset_seconds": -90, "tolerance_seconds": 60}, words(Language.EN)) == (
        "The recorder's clock is slow by 1 min 30 s; up to 1 min is allowed."
    )


CAUSES = [
    {
        "cause": "storage_reset",
        "at": "2026-10-19T16:00:00Z",
        "first_day": "2026-08-25",
        "last_day": "2026-10-18",
        "days": 55,
    },
    {"cause": "expiry_set", "expiry_days": 60},
]


def test_why_is_in_the_sentence_in_both_languages() -> None:
    measured = {**FULL, "causes": CAUSES}
    assert reason("retention", "short", measured, words(Language.EN)) == (
        "Only 35 of 90 days of recordings are held; in order on 2027-01-17 at the earliest. Cause: the storage was reset "
        "(55 days of recordings, seen on 2026-10-20); the recorder is set to delete too early (after 60 days)."
    )
    assert reason("retention", "short", measured, words(Language.ZH)) == (
        "录像仅存 35 天，要求 90 天；最早 2027-01-17 达标。原因：存储被重置（格式化）（55 天录像，于 2026-10-20 发现）；"
        "录像机设置的保存天数太短（60 天后删除）。"
    )
    held = {"held_days": 95, "required_days": 90, "causes": [], "warnings": CAUSES[1:]}
    assert reason("retention", "ok", held, words(Language.ZH)) == (
        "已存录像 95 天，要求 90 天。须留意：录像机设置的保存天数太短（60 天后删除）。"
    )
    over = {"held_days": 300, "required_days": 90, "causes": [], "over_retention_days": 180}
    assert reason("retention", "ok", over, words(Language.EN)) == (
        "300 days of recordings are held, 90 are required, and more than 180 are not declared: kept for too long."
    )


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (
            {"cause": "quota", "others_days": 100},
            "the channel's share of the disks is too small (others are kept for 100 days)",
        ),
        ({"cause": "expiry_set", "expiry_days": 1}, "the recorder is set to delete too early (after 1 day)"),
        (
            {"cause": "storage_reset", "days": 1, "at": "2026-10-19T16:00:00Z"},
            "the storage was reset (1 day of recordings, seen on 2026-10-20)",
        ),
        ({"cause": "disk_lost", "disks": ["hdd1", "hdd2"]}, "a disk is gone (hdd1, hdd2)"),
        (
            {"cause": "sub_stream_recorded", "recorded_bit_rate": 512_000, "bit_rate": 4_000_000},
            "a sub-stream seems to be recorded (512 kb/s of 4000 kb/s)",
        ),
        ({"cause": "moonlight"}, "moonlight"),
        ({"cause": "storage_reset", "days": None, "at": "then"}, "the storage was reset"),
    ],
)
def test_a_cause_with_what_is_known_of_it(cause: dict[str, Any], text: str) -> None:
    assert figures({"causes": [cause]}, words(Language.EN))[0].values == [text]


def test_what_devices_say_is_in_words() -> None:
    said = words(Language.EN)
    early = {"id": "yard", "commissioned": "2026-11-22", "worked_at": "2026-11-02T16:00:00Z"}
    assert reason("undeclared_channel", "found", {"channels": [], "commissioned_later": [early]}, said) == (
        "yard worked on 2026-11-03 and is declared as commissioned on 2026-11-22: "
        "another camera is declared than the one that was there."
    )
    tested = {"tested_at": "2026-11-02T16:00:00Z", "test_result": "ok", "armed_inputs": ["1"], "disarmed_inputs": ["2"]}
    assert reason("alarm_system", "fault", tested, said) == "Alarm inputs were armed and no longer are: 2."
    assert reason("alarm_system", "fault", {**tested, "test_result": "fault"}, said) == (
        "The alarm test of 2026-11-03 00:00 found a fault."
    )
    assert reason("alarm_system", "ok", {"tested_at": None, "armed_inputs": ["1"]}, said) == (
        "Alarm inputs are armed: 1; no test has been attested."
    )
    shown = {
        item.label: list(item.values)
        for item in figures(
            {"time_server": None, "faults_told": [], "recording_mode": "motion", "tested_at": None}, said
        )
    }
    assert shown == {
        "Set by a time server": ["unknown"],
        "Faults that the recorder tells of": ["none"],
        "Set to record": ["on events only"],
    }


@pytest.mark.parametrize("ended", [None, NOON + 60_000])
def test_a_recorder_that_lost_its_camera_may_go_on_sending_frames(ended: int | None) -> None:
    began = "2026-11-23T04:00:00Z"
    lost = {"outages": [{"start_at": began, "end_at": None, "cause": "channel_offline"}]}
    for language, denied, said in (
        (Language.EN, "No video", "frames that"),
        (Language.ZH, "没有视频", "占位画面"),
    ):
        text = reason("uptime", "down", lost, words(language), began=NOON, ended=ended)
        assert (denied in text, said in text, "2026-11-23 12:00" in text) == (False, True, True)


def test_a_camera_that_is_up_again_but_was_down_too_long_says_so() -> None:
    ended = [{"start_at": "2026-11-23T04:00:00Z", "end_at": "2026-11-23T04:30:00Z", "cause": "stalled"}]
    measured = {**FULL, "outages": ended, "cause": None}
    text = reason("uptime", "down", measured, words(Language.EN), began=NOON)
    assert text == "Up for only 98.76% of the time that counts; 99% are required."


def test_a_sentence_names_the_cause_of_its_own_outage() -> None:
    outages = [
        {"start_at": "2026-11-23T04:00:00Z", "end_at": "2026-11-23T05:00:00Z", "cause": "refused"},
        {"start_at": "2026-11-23T06:00:00Z", "end_at": None, "cause": "stalled"},
    ]
    said = words(Language.EN)
    first = reason("uptime", "down", {"outages": outages}, said, began=NOON, ended=NOON + HOUR)
    assert first == "No video from 2026-11-23 12:00 to 2026-11-23 13:00 (connection refused)."
    second = reason("uptime", "down", {"outages": outages}, said, began=NOON + 2 * HOUR)
    assert second == "No video since 2026-11-23 14:00 (frames stopped coming)."
    unlisted = reason("uptime", "down", {"outages": outages[:1]}, said, began=NOON + 3 * HOUR)
    assert unlisted == "No video since 2026-11-23 15:00."


def test_bad_figures_are_left_out_and_never_zero() -> None:
    wrong = {
        "held_days": None,
        "required_days": True,
        "compliant_from": 7,
        "missing_days": "x",
        "outages": [None],
        "rooms": [3],
    }
    text = reason("retention", "short", wrong, words(Language.EN))
    assert text == "Fewer days of recordings are held than required."
    shown = {
        item.label: item.values
        for item in figures({"held_days": None, "up_ratio": None, "disks": 3}, words(Language.EN))
    }
    assert shown["Days held"] == ("unknown",)
    assert shown["Share of the known time that it ran"] == ("unknown",)
    assert shown["Disks"] == ("unknown",)


def test_a_ratio_is_never_rounded_up() -> None:
    assert percent(0.99999) == "99.99%"
    assert percent(1.0) == "100%"
    assert percent(0.98) == "98%"
    assert percent(None) is None


def test_measured_figures_in_words() -> None:
    measured = {
        "gaps": [{"start_at": "2026-10-23T16:00:00Z", "end_at": "2026-10-23T18:00:00Z", "ages_out_on": "2027-01-23"}],
        "capacity_bytes": 8_000_000_000_000,
        "offset_seconds": -3600.0,
        "compliant_from": None,
        "scores": {"luma": 3},
    }
    shown = {item.label: list(item.values) for item in figures(measured, words(Language.EN))}
    assert shown["Holes in the recordings"] == [
        "2026-10-24 00:00:00 – 2026-10-24 02:00:00 (2 h) · leaves the window on 2027-01-23"
    ]
    assert shown["Capacity of the disks present"] == ["8.0 TB"]
    assert shown["Clock differs by"] == ["−1 h"]
    assert "In order at the earliest on" not in shown
    assert shown["scores"] == ['{"luma": 3}']


def test_long_lists_are_cut_and_say_so() -> None:
    item = {"start_at": "2026-10-23T16:00:00Z", "end_at": None, "cause": "refused"}
    (figure,) = figures({"outages": [item] * 50}, words(Language.EN))
    assert len(figure.values) == 31
    assert figure.values[-1] == "… and 20 more"


def test_the_measures_of_a_picture_are_told_and_the_many_others_are_one_figure() -> None:
    others = {f"measure_{number}": number / 2 for number in range(9)}
    measured = {"in_place": 0.3846, "shift_y": 0.0833, "same_ratio": None, "measure_10": None, **others}
    shown = {item.label: item.values for item in figures(measured, words(Language.EN))}
    assert shown["Of the approved view, in its place"] == ("38.46%",)
    assert shown["Moved up or down, of the height"] == ("+8.3%",)
    assert len(shown) == 3
    assert "measure_3 1.5 · measure_4 2" in shown["Further measures"][0]


@pytest.mark.parametrize(
    ("ended", "until"), [(None, "now"), (NOON + 60_000, "2026-11-23 12:01:00 (1 min)"), (NOON - 1, "now")]
)
def test_an_outage_that_lasted_when_it_was_measured_ends_with_its_finding(ended: int | None, until: str) -> None:
    measured = {"outages": [{"start_at": "2026-11-23T04:00:00Z", "end_at": None, "cause": "stalled"}]}
    row = FindingRow(
        id="f", institution="wj-0001", requirement="uptime", subject=Subject(kind="camera", id="gate"), state="down",
        stage="lead", began=NOON, opened=NOON, ended=ended, reason="", citation={}, citation_zh={}, measured=measured,
        evidence=[], regulation="r", regulation_version=1,
    )  # fmt: skip
    (shown,), _ = details(row, words(Language.EN))
    assert list(shown.values) == [f"2026-11-23 12:00:00 – {until} · frames stopped coming"]


def test_a_picture_that_is_dark_when_it_may_be_says_so() -> None:
    text = reason("view", "ok", {"usable_night_picture": False}, words(Language.EN))
    assert text.startswith("No usable night picture")
    assert reason("view", "ok", {}, words(Language.EN)) == "The picture is usable."


def test_what_is_recorded_stands_beside_what_is_asked_for() -> None:
    measured = {"width": 704, "height": 576, "frame_rate": 12.5, "minimum_width": 1280, "minimum_height": 720}
    text = reason("picture_quality", "below", measured, words(Language.EN))
    assert text == "Recorded is only 704 × 576, 12.5 frames a second; 1280 × 720 are required."
    assert reason("picture_quality", "below", {}, words(Language.ZH)).startswith("分辨率")


def test_an_institution_in_order_says_what_the_forecast_sees() -> None:
    def kept(outcome: str, breaks_on: str | None) -> Check:
        return Check("retention", "camera", "gate", outcome, "ok", "", "", "", None, None, {"breaks_on": breaks_on})

    words = Words(Times(ZoneInfo("Asia/Shanghai"), Language.EN))
    checks = [kept("met", "2026-12-04"), kept("met", "2026-12-02"), kept("met", None)]
    assert outlook(checks, words) == "By the forecast too few days of recordings from 2026-12-02 on, of 2 cameras."
    assert outlook([kept("breached", "2026-12-02"), kept("met", "no day")], words) == ""
