"""Operators named by e-mail address: nobody acts before Feishu has answered, and only the person whom it names."""

import asyncio
import logging
from collections.abc import Collection, Mapping

import pytest

from notifier.errors import CallError, ConfigError, Refused, TemporaryFailure
from notifier.flow.upkeep import operators as module
from notifier.flow.upkeep.operators import OperatorResolver, UnresolvedOperator
from notifier.store import audit
from notifier.store.engine.database import Database
from support.clock import FakeClock
from support.waiting import wait_until_async

WANTED = [
    UnresolvedOperator(key="groups.hr.operators[0]", group="hr", email="a@sandbox.example"),
    UnresolvedOperator(key="groups.hr.operators[2]", group="hr", email="b@sandbox.example"),
]


class Directory:
    """Answers in turn: a mapping, or an error."""

    def __init__(self, *answers: Mapping[str, str] | CallError) -> None:
        self._answers = list(answers)

    async def __call__(self, _emails: Collection[str]) -> Mapping[str, str]:
        answer = self._answers.pop(0)
        if isinstance(answer, CallError):
            raise answer
        return answer


BOTH = {"a@sandbox.example": "ou_a", "b@sandbox.example": "ou_b"}


def start(
    database: Database, clock: FakeClock, *answers: Mapping[str, str] | CallError
) -> dict[str, Collection[str]]:
    operators: dict[str, Collection[str]] = {"hr": ("ou_c",), "other": ()}

    async def run() -> None:
        resolver = OperatorResolver(database, clock, Directory(*answers), WANTED, operators)
        await resolver.start()
        await resolver.close()

    asyncio.run(run())
    return operators


def test_addresses_become_operators_of_their_group_only(database: Database, clock: FakeClock) -> None:
    operators = start(database, clock, BOTH)

    assert {"hr": ("ou_c", "ou_a", "ou_b"), "other": ()} == operators


@pytest.mark.parametrize(
    "answer, problem",
    [
        ({"a@sandbox.example": "ou_a"}, r"groups\.hr\.operators\[2\]: Feishu finds nobody"),
        (
            Refused("x b@sandbox.example", code=99991672),
            r"groups\.hr\.operators\[0\]: .*contact:user\.id:readonly",
        ),
        (Refused("x b@sandbox.example", code=40001), r"code 40001.*Write the open_id"),
    ],
)
def test_an_unknown_address_and_a_missing_scope_end_the_start(
    database: Database, clock: FakeClock, answer: Mapping[str, str] | CallError, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as failed:
        start(database, clock, answer)

    assert "sandbox.example" not in str(failed.value)


def test_without_an_answer_nobody_acts_until_there_is_one(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    operators: dict[str, Collection[str]] = {"hr": ()}
    down = TemporaryFailure("no connection for a@sandbox.example", affects_whole_app=True)

    async def run() -> None:
        directory = Directory(down, down, {"b@sandbox.example": "ou_b"})
        resolver = OperatorResolver(database, clock, directory, WANTED, operators)
        with caplog.at_level(logging.INFO):
            await resolver.start()
            assert {"hr": ()} == operators
            await wait_until_async(lambda: operators["hr"] == ("ou_b",), "one is resolved")
            await wait_until_async(lambda: "operators.unknown" in caplog.messages, "the other is named")
        await resolver.close()

    asyncio.run(run())

    assert 2 == caplog.messages.count("operators.unresolved")
    assert "sandbox.example" not in str([vars(record) for record in caplog.records])


def test_an_address_that_stands_for_another_person_is_noted(
    database: Database, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    start(database, clock, BOTH)
    start(database, clock, BOTH)
    with caplog.at_level(logging.INFO):
        start(database, clock, {**BOTH, "b@sandbox.example": "ou_new"})

    [changed] = [record for record in caplog.records if record.message == "operators.changed"]
    assert ("ou_a,ou_b", "ou_a,ou_new") == (vars(changed)["before"], vars(changed)["operators"])
    with database.read() as connection:
        entries = audit.list_entries(connection, limit=9)
    assert ["ou_a,ou_new", "ou_a,ou_b"] == [each.outcome.rpartition(" ")[2] for each in entries]
    assert not any("@" in each.outcome for each in entries)
