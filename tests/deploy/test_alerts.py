"""Alerts: their expressions, their tests, and the runbook that they link to."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from support.deployed import (
    RULE_TESTS,
    RULES,
    RUNBOOK_URL,
    RUNBOOKS,
    SERIES,
    find_unknown_names,
    load_alerts,
    run_promtool,
    sections_of,
)
from support.promql import TARGET_LABELS, read_names

ALERTS = load_alerts()
LIST_FIRING = 'count by (alertname, job) (ALERTS{alertstate="firing"})'


def name_of(rule: dict[str, Any]) -> str:
    return rule["alert"]


def test_the_rules_are_valid() -> None:
    assert f"SUCCESS: {len(ALERTS)} rules found" in run_promtool("check", "rules", RULES)


def test_the_example_configuration_is_valid_with_each_of_its_jobs(tmp_path: Path) -> None:
    """Those that are commented out, too, except for Kubernetes: Debian's Prometheus knows no pods."""
    example = (RULES.parent / "prometheus.yaml").read_text(encoding="utf-8")
    every_job = re.sub(r"^  # (- job_name|  )", r"  \1", example, flags=re.MULTILINE)
    every_job, pods = every_job.split("  # Pods in Kubernetes")
    every_job = every_job.replace("job_name: notifier\n    static", "job_name: other-notifier\n    static")
    shutil.copy(RULES, tmp_path / RULES.name)
    for number, text in enumerate((example, every_job)):
        path = tmp_path / f"prometheus-{number}.yaml"
        path.write_text(text, encoding="utf-8")
        assert "SUCCESS" in run_promtool("check", "config", path)
    assert 2 == every_job.count("\n  - job_name: ")
    (job,) = YAML(typ="safe").load(pods.split("\n", 1)[1])
    assert ("notifier-metrics", [{"role": "pod"}]) == (job["job_name"], job["kubernetes_sd_configs"])


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should(path: Path) -> None:
    assert "SUCCESS" in run_promtool("test", "rules", path)


def test_every_alert_has_a_test_in_which_it_fires_and_a_moment_in_which_it_does_not() -> None:
    fired: set[str] = set()
    for path in RULE_TESTS:
        for case in YAML(typ="safe").load(path)["tests"]:
            checks = [
                {
                    name
                    for sample in check["exp_samples"]
                    for name in re.findall(r'alertname="(\w+)"', sample["labels"])
                }
                for check in case.get("promql_expr_test", [])
                if check["expr"] == LIST_FIRING
            ]
            fired |= {name for names in checks for name in names if any(name not in each for each in checks)}

    assert set(map(name_of, ALERTS)) == fired


def test_alert_names_are_unique() -> None:
    assert len(ALERTS) == len(set(map(name_of, ALERTS)))


@pytest.mark.parametrize("rule", ALERTS, ids=name_of)
def test_an_alert_has_a_severity_and_a_row_in_the_runbook(rule: dict[str, Any]) -> None:
    notes = rule["annotations"]
    page, _, anchor = notes["runbook_url"].partition("#")

    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert {"summary", "description", "runbook_url"} == set(notes)
    assert "$labels.job" in notes["description"]
    assert page == RUNBOOK_URL
    assert f"| `{rule['alert']}` |" in sections_of(RUNBOOKS[0])[anchor]


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.name)
def test_the_runbook_has_a_row_for_each_alert_and_no_other(page: Path) -> None:
    named = re.findall(r"^\| `(Notifier\w+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert list(map(name_of, ALERTS)) == named


@pytest.mark.parametrize("rule", ALERTS, ids=name_of)
def test_an_alert_uses_metrics_labels_and_values_that_exist(rule: dict[str, Any]) -> None:
    assert set() == find_unknown_names(rule["expr"])


@pytest.mark.parametrize("rule", ALERTS, ids=name_of)
def test_the_texts_of_an_alert_use_labels_that_it_has(rule: dict[str, Any]) -> None:
    """An aggregation keeps only the labels that it groups by."""
    used = {label for text in rule["annotations"].values() for label in re.findall(r"\$labels\.(\w+)", text)}
    names = read_names(rule["expr"])
    is_aggregated = re.match(r"(sum|max|min|histogram_quantile|time)\b", rule["expr"])
    all_labels = TARGET_LABELS.union(*(SERIES[metric] for metric in names.metrics))

    assert used <= (names.grouping if is_aggregated else all_labels)


@pytest.mark.parametrize("rule", ALERTS, ids=name_of)
def test_an_alert_keeps_the_jobs_apart(rule: dict[str, Any]) -> None:
    """One that sums over all jobs would mix deployments."""
    aggregations = re.findall(r"\b(?:sum|max|min|count)\b(?!_)(.{0,9})", rule["expr"])

    assert [] == [text for text in aggregations if not text.startswith(" by (job")]
