"""The alerts and the dashboard in `deploy/`, and what their tests share."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from notifier.metrics import REGISTRY
from support.promql import TARGET_LABELS, list_series, read_names
from support.requirements import skip_or_fail

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
RULE_TESTS = sorted((ROOT / "deploy" / "prometheus" / "tests").glob("*.yaml"))
GRAFANA = ROOT / "deploy" / "grafana"
RUNBOOKS = (ROOT / "docs" / "operations.md", ROOT / "docs" / "operations.zh-CN.md")
RUNBOOK_URL = "https://example.com/referral-notifier/docs/operations.md"
SERIES = list_series(REGISTRY)


def _read_values() -> dict[tuple[str, str], set[str]]:
    """The values of each label that the runbook's table of metrics lists."""
    text = RUNBOOKS[0].read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(notifier_\w+)` \| \w+ \| `(\w+)`: (`.*?) \|", text, re.MULTILINE)
    return {(metric, label): set(re.findall(r"`(\w+)`", values)) for metric, label, values in rows}


VALUES = _read_values() | {("ALERTS", "alertstate"): {"firing", "pending"}}
"""Values of labels that expressions may ask for. A wrong one finds nothing, and nobody notices."""


def load_alerts() -> list[dict[str, Any]]:
    """All alerts, in their order."""
    groups = YAML(typ="safe").load(RULES)["groups"]
    return [rule for group in groups for rule in group["rules"]]


def load_panels() -> list[dict[str, Any]]:
    """All panels of the dashboard, with the rows."""
    return json.loads((GRAFANA / "dashboard.json").read_text(encoding="utf-8"))["panels"]


def run_promtool(*arguments: str | Path) -> str:
    """Runs promtool, and fails the test with its output if it finds a mistake."""
    if shutil.which("promtool") is None:
        skip_or_fail("promtool", "promtool is not installed (Debian: apt-get install prometheus)")
    ran = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=90)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def sections_of(page: Path) -> dict[str, str]:
    """The text below each heading, up to the next one, by the anchor that GitHub makes."""
    parts = re.split(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-"): text
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def find_unknown_names(expression: str) -> set[str]:
    """Metrics, labels and values of labels in an expression that do not exist."""
    names = read_names(expression)
    unknown = names.metrics - set(SERIES)
    if unknown or not names.metrics:
        return unknown or {"no metric at all"}
    unknown |= names.grouping - TARGET_LABELS.union(*(SERIES[metric] for metric in names.metrics))
    for metric, conditions in names.selectors:
        unknown |= set(conditions) - SERIES[metric] - TARGET_LABELS
        for label, value in conditions.items():
            if label not in TARGET_LABELS:
                unknown |= set(value.split("|")) - VALUES.get((metric, label), set())
    return unknown
