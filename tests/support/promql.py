"""Reads names out of PromQL expressions. promtool checks the syntax."""

import re
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

TARGET_LABELS = frozenset({"job", "instance"})
"""Labels that Prometheus adds to every series."""
STANDARD = {
    "up": frozenset[str](),
    "ALERTS": frozenset({"alertname", "alertstate", "severity"}),
}
"""Metrics that Prometheus makes, with their labels."""
_SUFFIXES: dict[str, dict[str, tuple[str, ...]]] = {
    "counter": {"_total": ()},
    "gauge": {"": ()},
    "histogram": {"_bucket": ("le",), "_count": (), "_sum": ()},
}
"""Names of the series of a metric after its own name, with their additional labels."""

_WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"} | {
    "and",
    "or",
    "unless",
}
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^{}]*)\}")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
_DURATION = re.compile(r"\[[^\]]*\]|\boffset\s+\S+")
_NAME = re.compile(r"(?<![\w.])[a-zA-Z_:][\w:]*(?!\s*\()\b")


@dataclass(frozen=True)
class Names:
    """What an expression uses."""

    selectors: list[tuple[str, dict[str, str]]]
    """Each metric with the values of its conditions."""
    grouping: set[str]
    """Labels in by (...), on (...) and the like."""

    @property
    def metrics(self) -> set[str]:
        """The metrics."""
        return {name for name, _ in self.selectors}


def read_names(expression: str) -> Names:
    """The metrics and labels of an expression."""
    selectors = [
        (name, dict(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', conditions)))
        for name, conditions in _SELECTOR.findall(expression)
    ]
    rest = _STRING.sub("", _SELECTOR.sub(" ", expression))
    grouping = {label.strip() for labels in _GROUPING.findall(rest) for label in labels.split(",")} - {""}
    rest = _DURATION.sub("", _GROUPING.sub(" ", rest))
    bare = [name for name in _NAME.findall(rest) if name not in _WORDS]
    return Names([*selectors, *((name, {}) for name in bare)], grouping)


def list_series(registry: CollectorRegistry) -> dict[str, frozenset[str]]:
    """Every series of the registry with its labels, also those that have no value yet."""
    series: dict[str, frozenset[str]] = dict(STANDARD)
    for collector in registry._collector_to_names:
        labels = frozenset(getattr(collector, "_labelnames", ()))
        metrics: list[Metric] = list(collector.collect())
        for metric in metrics:
            for suffix, more in _SUFFIXES[metric.type].items():
                series[metric.name + suffix] = labels | frozenset(more)
    return series
