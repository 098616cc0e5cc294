"""The alert rules: Prometheus' own tool accepts them, they fire when they should, and speak of metrics that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from support.parts import require

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "config" / "alerts"


def promtool(*arguments: str) -> str:
    require("promtool")
    done = subprocess.run(["promtool", *arguments], cwd=ALERTS, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_well_formed() -> None:
    assert "SUCCESS" in promtool("check", "rules", "--lint=all", "--lint-fatal", "cradlewatch.rules.yml")


def test_the_rules_fire_when_they_should_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", "cradlewatch.test.yml")


def test_every_rule_is_tested_both_ways() -> None:
    rules = yaml.safe_load((ALERTS / "cradlewatch.rules.yml").read_text(encoding="utf-8"))
    names = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    tests = yaml.safe_load((ALERTS / "cradlewatch.test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert fired == names


def test_the_rules_speak_of_metrics_that_are_served() -> None:
    served = "".join(
        (ROOT / path).read_text(encoding="utf-8") for path in ("monitor/api/metrics.py", "agents/metrics.py")
    )
    rules = yaml.safe_load((ALERTS / "cradlewatch.rules.yml").read_text(encoding="utf-8"))
    asked = {
        name.removesuffix("_total")
        for group in rules["groups"]
        for rule in group["rules"]
        for name in re.findall(r"cradlewatch_[a-z_]+", rule["expr"])
    }
    assert len(asked) > 5
    assert {name for name in asked if f'"{name}"' not in served} == set()
