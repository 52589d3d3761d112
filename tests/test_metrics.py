"""Metrics: their names, labels and documentation, and the few values that labels may have."""

import math
import re
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client import Gauge
from prometheus_client.metrics import MetricWrapperBase

from notifier import errors, metrics
from notifier.cards.withdrawal_text import PressReply
from notifier.domain.withdrawal import DenialReason, PressOutcome
from notifier.errors import CallError, TemporaryFailure
from notifier.store import rate_limits

ROOT = Path(__file__).parents[1]
PAGES = ("docs/operations.md", "docs/operations.zh-CN.md")


def collect() -> dict[str, tuple[str, tuple[str, ...], str]]:
    """Type, labels and meaning of our metrics, by name."""
    found = {}
    for family in metrics.REGISTRY.collect():
        if family.name.startswith("notifier_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            found[name] = (family.type, get_labels(family.name), family.documentation.removesuffix("."))
    return found


def get_labels(family: str) -> tuple[str, ...]:
    collector = metrics.REGISTRY._names_to_collectors[family]
    assert isinstance(collector, MetricWrapperBase)
    return tuple(collector._labelnames)


def read_page(page: str) -> dict[str, tuple[str, str, str]]:
    """Type, text about the labels, and meaning, by the name of the metric."""
    text = (ROOT / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(notifier_\w+)` \| (\w+) \| (.*) \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) == len({name for name, *_ in rows}), "each once"
    return {name: (kind, labels, meaning) for name, kind, labels, meaning in rows}


@pytest.mark.parametrize("page", PAGES)
def test_the_operations_guide_lists_every_metric_with_its_type_and_labels(page: str) -> None:
    documented, known = read_page(page), collect()

    assert len(known) > 50
    assert (set(), set()) == (known.keys() - documented.keys(), documented.keys() - known.keys())
    for name, (kind, labels, meaning) in known.items():
        shown_kind, shown_labels, shown_meaning = documented[name]
        assert kind == shown_kind, name
        assert shown_labels.startswith(", ".join(f"`{label}`" for label in labels)), name
        assert bool(labels) == bool(shown_labels), name
        assert page != PAGES[0] or meaning == shown_meaning, name
        assert shown_meaning, name


def test_names_follow_the_conventions() -> None:
    """Base units at the end, and nothing twice."""
    for name, (kind, labels, meaning) in collect().items():
        assert re.fullmatch(r"notifier_[a-z_]+", name), name
        assert (kind == "counter") == name.endswith("_total"), name
        assert not name.endswith(("_ms", "_millis", "_milliseconds", "_count", "_sum", "_minutes")), name
        assert "le" not in labels
        assert meaning[0].isupper() or meaning[0].isdigit(), name
        assert ("timestamp" in name) <= name.endswith("_timestamp_seconds"), name


def test_every_limiter_of_the_store_has_a_label() -> None:
    limiters = {
        value for name, value in vars(rate_limits).items() if name.isupper() and isinstance(value, str)
    }

    assert limiters == set(metrics._LIMITER_LABELS)
    assert len(limiters) == len({metrics.to_limit(each) for each in limiters})
    assert metrics.to_limit("anything else") == "other"


def test_every_failed_call_has_a_label_of_few() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CallError)]
    results = {kind.__name__: metrics.to_result(kind("why")) for kind in kinds if kind is not CallError}

    assert len(results) >= 10
    assert set(results.values()) - {"message_gone"} == set(metrics.FAILURES) - {"app_limited"}
    assert metrics.to_result(TemporaryFailure("why", affects_whole_app=True)) == "app_limited"
    assert metrics.to_result(CallError("why")) == "refused"


def test_a_currency_that_feishu_invents_makes_no_new_label() -> None:
    labels = {code: metrics.to_currency(code) for code in ("CNY", "", "DOGECOIN", "cny", "¥¥¥", "156")}

    assert labels == {
        "CNY": "CNY",
        "": "points",
        "DOGECOIN": "other",
        "cny": "other",
        "¥¥¥": "other",
        "156": "other",
    }
    metrics.set_amounts(metrics.STUCK_AMOUNT, {"DOGECOIN": Decimal(2), "PEPECOIN": Decimal("0.5")})
    assert metrics.REGISTRY.get_sample_value("notifier_stuck_amount", {"currency": "other"}) == 2.5
    metrics.set_amounts(metrics.STUCK_AMOUNT, {})
    assert metrics.REGISTRY.get_sample_value("notifier_stuck_amount", {"currency": "other"}) is None


def test_what_is_not_known_is_not_a_number() -> None:
    metrics.REPLICAS.set(3)
    metrics.set_states(metrics.DELIVERIES, {"ready": 2})
    metrics.forget_database()

    assert math.isnan(metrics.REGISTRY.get_sample_value("notifier_replicas") or 0)
    assert metrics.REGISTRY.get_sample_value("notifier_deliveries", {"state": "ready"}) is None
    assert all(isinstance(each, Gauge) for each in metrics._OF_DATABASE)


def test_calls_of_the_last_minute_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr(metrics, "monotonic", lambda: now[0])
    metrics.declare_limit(rate_limits.WITHDRAWALS, per_second=0.5)
    metrics.count_calls(rate_limits.WITHDRAWALS, 3)
    now[0] += 30
    metrics.count_calls(rate_limits.WITHDRAWALS, 2)

    assert read_quota() == (5, 25)
    now[0] += 31
    assert read_quota() == (2, 28)
    now[0] += 60
    assert read_quota() == (0, 30)


def read_quota() -> tuple[float | None, float | None]:
    metrics.show_limits()
    labels = {"limit": "withdrawals_per_minute"}
    used, remaining = (
        metrics.REGISTRY.get_sample_value(f"notifier_quota_{what}", labels) for what in ("used", "remaining")
    )
    return used, remaining


def test_every_press_has_a_label_from_the_start() -> None:
    labels = {
        sample.labels["result"]
        for family in metrics.CLICKS.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }

    assert {*PressOutcome, *PressReply, *DenialReason} <= labels
