"""kill -9 between a question and its answer: every question is answered, and none twice.

NOTIFIER_TESTS_ANSWER_KILLS sets the number of kills at a random moment; four more fall on either side of a COMMIT.
"""

import itertools
import os
import random
import threading
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store.schema.tables import leadership
from support.crash_plan import QUESTION_POINTS
from support.forked_notifier import CrashPoint, ForkedNotifier, forked_notifier
from support.waiting import wait_until

KILLS = int(os.environ.get("NOTIFIER_TESTS_ANSWER_KILLS", "4"))
SEED = int(os.environ.get("NOTIFIER_TESTS_ANSWER_SEED", "20261127"))
ASKING = 6
"""People who ask in one round, each once."""
LONGEST_SECONDS = 0.4
"""After the questions a random kill comes within this time: they are answered in about a tenth of a second."""
HR = "oc_sandbox_hr"
MEMBERS = ("ou_sandbox_lin", "ou_sandbox_zhou", "ou_sandbox_chen")
SETTINGS = """\
withdrawals:
  offer_to: [referrer]
log:
  level: warning
"""


@pytest.mark.parametrize(
    "store_url, kills",
    [("sqlite", KILLS), ("postgresql", KILLS // 4)],
    indirect=["store_url"],
    ids=["sqlite", "postgresql"],
)
@pytest.mark.timeout(180 + 10 * KILLS)
def test_a_kill_between_question_and_answer_loses_nothing_and_answers_once(
    tmp_path: Path, store_url: str, kills: int
) -> None:
    gaps: list[CrashPoint | None] = [
        {"step": step, "when": when, "nth": 1}
        for step, when in itertools.product(QUESTION_POINTS, ("before", "after"))
    ]
    rounds = [*gaps, *[None] * kills]
    rng = random.Random(SEED)
    settings = SandboxSettings(
        extra_accounts=ASKING * len(rounds), redelivery_seconds=(0.5,) * 10 + (2.0,) * 10_000
    )
    with (
        FeishuBox(settings) as box,
        forked_notifier(box, tmp_path, more=SETTINGS, timeout_seconds=2, store_url=store_url) as notifier,
    ):
        asked: list[str] = []
        for number, crash in enumerate(rounds):
            people = [f"ou_sandbox_extra_{number * ASKING + each + 1:04}" for each in range(ASKING)]
            _ask_and_kill(notifier, people, crash, rng)
            asked += people
        notifier.start()
        notifier.wait_until_settled(seconds=120)

        answers = {each: _count_from_bot(box, each) for each in asked}
        assert dict.fromkeys(asked, 1) == answers
        in_group = Counter(each["sender"]["sender_type"] for each in box.messages(HR))
        assert in_group["user"] == in_group["app"] > 0, "one note for each question in the group"


def _ask_and_kill(
    notifier: ForkedNotifier, people: list[str], crash: CrashPoint | None, rng: random.Random
) -> None:
    notifier.start(crash=crash)
    notifier.wait_until_connected()
    for open_id in people:
        notifier.box.write(open_id, rng.choice(["余额", "withdraw", "记录", "帮助"]))
    notifier.box.write(rng.choice(MEMBERS), "balance", chat_id=HR)
    if crash is None:
        threading.Event().wait(rng.random() * LONGEST_SECONDS)
    else:
        wait_until(lambda: notifier.ended, "it has killed itself")
        assert (crash["step"], crash["when"]) == notifier.gap
    notifier.kill()
    _end_lease(notifier)


def _end_lease(notifier: ForkedNotifier) -> None:
    """The process that led is dead, so the next one need not wait until its lease ends."""
    ended = sa.update(leadership).values(expires_at=0)
    with notifier.open_database() as database:
        database.write(lambda c: c.execute(ended).close()).result()


def _count_from_bot(box: FeishuBox, open_id: str) -> int:
    return sum(each["sender"]["sender_type"] == "app" for each in box.messages(open_id))
