"""Draws docs/images/dashboard.png: two notifiers on PostgreSQL with traffic in the sandbox, read by a real Prometheus.

`PYTHONPATH=tests python tests/deploy/draw_dashboard.py`. It needs `prometheus` and Chromium. While it runs,
Feishu answers 429 for a time, the connections break, and the leader is killed and started again.
"""

import argparse
import contextlib
import itertools
import json
import random
import runpy
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from notifier.sandbox.testing import FeishuBox
from support.cards import press_button
from support.ports import free_port
from support.replica_set import ReplicaSet, replica_set
from support.waiting import wait_until

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "docs" / "images" / "dashboard.png"
REFERRERS = {
    "ou_sandbox_lin": ("7000000000000000001", "CNY"),
    "ou_sandbox_chen": ("7000000000000000002", "USD"),
    "ou_sandbox_tanaka": ("7000000000000000003", "JPY"),
}
MORE = """\
health:
  listen: 127.0.0.1:{port}
withdrawals:
  offer_to: [referrer, hr]
routes:
  - name: to both
    to: [referrer, hr]
payouts:
  url: URL/payroll/payouts
  secret: sandbox-payout-secret
  listen: 127.0.0.2:{port}
  alarm_group: hr
  alarm_after_days: 0.004
digests:
  - name: daily
    to: [hr]
    at: "09:07"
    period: day
  - name: monthly
    to: [hr]
    at: "09:12"
    period: month
"""
PROMETHEUS = """\
global: {{scrape_interval: 2s, evaluation_interval: 5s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: notifier
    static_configs:
{targets}
"""


@contextmanager
def running_prometheus(ports: list[int], folder: Path) -> Iterator[str]:
    """A Prometheus that reads these ports. Returns its address."""
    targets = "".join(
        f'      - {{targets: ["127.0.0.1:{port}"], labels: {{instance: "{name}"}}}}\n'
        for name, port in zip("ab", ports, strict=True)
    )
    config = folder / "prometheus.yaml"
    config.write_text(
        PROMETHEUS.format(rules=ROOT / "deploy" / "prometheus" / "rules.yaml", targets=targets),
        encoding="utf-8",
    )
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _is_ready(url), "Prometheus is ready", seconds=60)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _is_ready(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=5):
        return True
    return False


def make_traffic(box: FeishuBox, replicas: ReplicaSet, *, minutes: float) -> None:
    """Changes, presses, reports, and some trouble. It stops after this time."""
    chance = random.Random(7)
    began = time.monotonic()
    trouble: dict[float, Callable[[], object]] = {
        0.15: lambda: replicas.replicas[0].command("digest", "send", "daily", "--for", "yesterday"),
        0.3: lambda: box.start_fault("429", times=25),
        0.45: box.disconnect_all,
        0.6: lambda: _restart_leader(replicas),
        0.7: lambda: box.push_payload("{}"),
    }
    reported: set[str] = set()
    for number in itertools.count():
        part = (time.monotonic() - began) / (60 * minutes)
        if part >= 1:
            return
        for at in [at for at in trouble if at <= part]:
            trouble.pop(at)()
        load = 0.3 + 0.7 * abs(0.5 - part) * 2 if number % 40 < 34 else 3.0
        account, currency = chance.choice(list(REFERRERS.values()))
        box.change_balance(account, points=chance.choice((0, 10)), cash={currency: "+50.00"})
        if number % 9 == 8:
            person = chance.choice(list(REFERRERS))
            with contextlib.suppress(Exception):  # the card may just have changed
                press_button(box, person, person)
        if number % 15 == 14:
            _report_payouts(box, reported, chance)
        time.sleep(chance.expovariate(1.5 * load))  # random, as people are


def _restart_leader(replicas: ReplicaSet) -> None:
    leader = replicas.wait_for_leader()
    leader.kill()
    leader.start()


def _report_payouts(box: FeishuBox, reported: set[str], chance: random.Random) -> None:
    """Most payouts are paid, some fail, and some are never reported."""
    for payout in box.payouts():
        order_id: Any = payout["order_id"]
        if order_id in reported:
            continue
        reported.add(order_id)
        fate = chance.random()
        with contextlib.suppress(Exception):
            if fate < 0.8:
                box.report_payout(order_id, "paid", f"WIRE-{len(reported)}")
            elif fate < 0.85:
                box.report_payout(order_id, "failed", "", "account closed")


def main(minutes: float, rows: int | None) -> None:
    """Runs everything and draws the picture."""
    draw = runpy.run_path(str(ROOT / "deploy" / "grafana" / "picture.py"))["draw"]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        box = stack.enter_context(FeishuBox())
        more = MORE.replace("URL", box.url)
        replicas = stack.enter_context(replica_set(box, folder, more=more, clocks_ahead=(0.0, 0.0)))
        replicas.start()
        box.set_payout_report_url(f"http://127.0.0.2:{replicas.ports[0]}/payouts/report")
        url = stack.enter_context(running_prometheus(replicas.ports, folder))
        make_traffic(box, replicas, minutes=minutes)
        draw(url, OUTPUT, minutes=minutes, job="notifier", rows=rows)
        with urllib.request.urlopen(f"{url}/api/v1/alerts", timeout=10) as answer:
            for alert in json.load(answer)["data"]["alerts"]:
                print(alert["state"], alert["labels"], alert["annotations"]["description"])  # noqa: T201
    print(f"{OUTPUT}: {OUTPUT.stat().st_size // 1000} kB")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--rows", type=int, default=4, help="how many rows of panels are drawn")
    chosen = parser.parse_args()
    main(chosen.minutes, chosen.rows)
