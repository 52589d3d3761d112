"""kill -9 in every gap between two durable steps, while events come and people press: nothing lost, nothing twice.

NOTIFIER_TESTS_SWEEP_KILLS says how many kills; `make torture` does 1,000, over more than 10,000 events.
"""

import os
import random
import time
from pathlib import Path

import pytest

from notifier.sandbox.testing import FeishuBox
from notifier.store import inbox
from support import crash_sweep, figures
from support import payout_checks as money
from support.forked_notifier import forked_notifier
from support.ports import free_port
from support.waiting import wait_until

KILLS = int(os.environ.get("NOTIFIER_TESTS_SWEEP_KILLS", "12"))
SEED = int(os.environ.get("NOTIFIER_TESTS_SWEEP_SEED", "20260115"))


@pytest.mark.parametrize(
    "store_url, kills",
    [("sqlite", KILLS), ("postgresql", KILLS // 2)],
    indirect=["store_url"],
    ids=["sqlite", "postgresql"],
)
@pytest.mark.timeout(120 + 5 * KILLS)
def test_a_kill_in_any_gap_loses_nothing_and_repeats_nothing(
    tmp_path: Path, store_url: str, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()
    with FeishuBox(crash_sweep.settings(kills)) as box:
        port = free_port()
        box.set_payout_report_url(f"http://127.0.0.1:{port}/payouts/report")
        more = crash_sweep.ROUTES + money.SETTINGS.format(url=box.url, port=port)
        with (
            forked_notifier(box, tmp_path, more=more, timeout_seconds=2, store_url=store_url) as notifier,
            notifier.open_database() as database,
        ):
            swept = crash_sweep.CrashSweep(notifier, database, random.Random(SEED))
            swept.run(kills)
        counted, zeros = swept.counted(), swept.zeros()
    seconds = time.monotonic() - started
    figures.write_figures(
        f"kill crash_sweep, {store_url.partition(':')[0]}", counted=counted, zeros=zeros, seconds=seconds
    )
    with capsys.disabled():
        print(f"\n{counted} {zeros} in {seconds:.0f} s")  # noqa: T201 - figures are for whoever runs it

    assert dict.fromkeys(zeros, 0) == zeros, swept.list_problems()
    if len(crash_sweep.GAPS) * 4 <= kills:
        assert set() == set(crash_sweep.GAPS) - set(+swept.hit), "every gap was hit"


@pytest.mark.parametrize("when, stored", [("before", 0), ("after", 1)])
def test_a_crash_falls_on_the_side_of_the_commit_that_was_chosen(
    feishu_box: FeishuBox, tmp_path: Path, when: str, stored: int
) -> None:
    with forked_notifier(feishu_box, tmp_path) as notifier, notifier.open_database() as database:
        notifier.start(crash={"step": "event stored", "when": when, "nth": 1})
        (event_id,) = feishu_box.change_balance("7000000000000000001", points=5)
        wait_until(lambda: notifier.ended, "it has killed itself")

        with database.read() as connection:
            assert stored == sum(inbox.count_by_state(connection).values())
    assert ("event stored", when) == notifier.gap
    assert "waiting" == feishu_box.event(event_id)["state"], "nobody told Feishu that we have it"
