"""Reads the metrics of a notifier as Prometheus does."""

import math
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client.parser import text_string_to_metric_families

from support.waiting import wait_until

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(port: int) -> Samples:
    """All samples by their name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), answer.headers
        text = answer.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Scraper:
    """Reads one sample at a time. `port` may change after a restart."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, name: str, **labels: str) -> float:
        """The value of `notifier_NAME`; not a number if there is none."""
        return scrape(self.port).get((f"notifier_{name}", frozenset(labels.items())), math.nan)

    def total(self, name: str) -> float:
        """The sum over all labels of `notifier_NAME`."""
        return sum(value for (known, _), value in scrape(self.port).items() if known == f"notifier_{name}")

    def wait_for(self, name: str, value: float, **labels: str) -> None:
        """Waits until the sample has this value."""
        wait_until(lambda: self.get(name, **labels) == value, f"{name} {labels} is {value}", seconds=20)

    @contextmanager
    def rises(self, name: str, by: float = 1, **labels: str) -> Iterator[None]:
        """The block makes the sample rise by exactly so much, from 0 if it does not exist yet."""
        before = self.get(name, **labels)
        before = 0.0 if math.isnan(before) else before
        yield
        self.wait_for(name, before + by, **labels)
