"""Power cuts under the whole program: every event that Feishu saw acknowledged is there, the rest comes again."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store.engine.database import Database
from notifier.store.schema.tables import inbox
from support.preload import build_library
from support.running import RunningNotifier

LIN = "ou_sandbox_lin"
LIN_ACCOUNT = "7000000000000000001"
CUTS = 3
EVENTS = 60
ENDED_BY_A_CUT = 86


@pytest.fixture
def box() -> Iterator[FeishuBox]:
    """Feishu sends again soon what was not acknowledged."""
    with FeishuBox(SandboxSettings(redelivery_seconds=(2.0,) * 200)) as opened:
        yield opened


def stored(database: Database) -> set[str]:
    with database.read() as connection:
        keys = set(connection.execute(sa.select(inbox.c.event_key)).scalars())
    return {key for key in keys if not key.startswith("read:")}  # without balances that reconciliation read


def acknowledged(box: FeishuBox) -> set[str]:
    return {event["event_id"] for event in box.events() if 200 in box.push_codes(event["event_id"])}


def wait_for_more(box: FeishuBox, *, than: int) -> None:
    box.wait_for(lambda: len(acknowledged(box)) > than, "some are acknowledged", timeout=60)


@pytest.mark.timeout(300)
def test_what_was_acknowledged_survives_power_cuts_and_the_rest_comes_again(
    box: FeishuBox, tmp_path: Path
) -> None:
    library, data = build_library("power_cut", tmp_path), tmp_path / "data"
    data.mkdir()
    notifier, sent, promised = RunningNotifier(box, data), set[str](), 0
    for cut in range(CUTS):
        trigger = tmp_path / f"cut-{cut}"
        notifier.environment = {
            "LD_PRELOAD": str(library),
            "POWER_CUT_UNDER": f"{data}/notifier.db",
            "POWER_CUT_FILE": str(trigger),
        }
        notifier.start()
        before = len(acknowledged(box))
        sent |= set(box.change_balances([(LIN_ACCOUNT, 1, {})] * (EVENTS // 2)))
        wait_for_more(box, than=before)
        half_written = trigger.with_suffix(".new")
        half_written.write_text(str(cut))
        half_written.rename(trigger)
        sent |= set(box.change_balances([(LIN_ACCOUNT, 1, {})] * (EVENTS // 2)))

        assert ENDED_BY_A_CUT == notifier.wait_end(), notifier.log
        seen = acknowledged(box)
        with notifier.open_database() as database:
            assert set() == seen - stored(database)
        promised = len(seen)
    notifier.environment = {}
    notifier.start()
    notifier.wait_until_settled()

    assert CUTS == len(re.findall(r"power cut: \d+ of \d+ unsynced lost", notifier.log))
    assert 0 < promised
    with notifier.open_database() as database:
        assert sent == stored(database)
    notifier.kill()
