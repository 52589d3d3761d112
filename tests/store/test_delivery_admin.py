"""The desk: what waits for a person, and the few things that person may do."""

from collections.abc import Callable

import pytest

from notifier.domain.delivery import CardVariant, DeliveryOutcome, DeliveryState
from notifier.domain.route import Recipient
from notifier.store.deliveries import addressing, delivery_admin
from notifier.store.engine.database import Database
from notifier.store.processes import workers
from notifier.store.processes.workers import NewWorker, WorkerRow
from support.builders import ACCOUNT_ID
from support.delivery_rows import (
    CHEN,
    LIN,
    NOW,
    assign_recipient,
    claim,
    create_delivery,
    create_notice,
    dead_outcome,
    finish_failed,
    finish_sent,
    freeze_content,
    read_delivery,
    read_states,
)

LATER = NOW + 60_000
UNKNOWN = DeliveryOutcome(
    state=DeliveryState.UNKNOWN, reason="no answer", variant=CardVariant.FULL, unknown_since=NOW
)
FALLBACK = Recipient(id_type="chat_id", id="oc_fallback", reroute_reason="unreachable: has resigned")


def stuck(database: Database, key: str = "n-1", outcome: DeliveryOutcome | None = None) -> int:
    """A delivery that was tried, and now waits for a person."""
    one = create_delivery(database, LIN, key)
    (claimed,) = claim(database).deliveries
    freeze_content(database, claimed)
    finish_failed(database, claimed, outcome or dead_outcome())
    return one


def retry(database: Database, delivery_id: int) -> bool:
    return database.write(lambda c: delivery_admin.retry(c, delivery_id, now=LATER)).result()


def drop(database: Database, delivery_id: int) -> bool:
    return database.write(lambda c: delivery_admin.drop(c, delivery_id, now=LATER)).result()


@pytest.mark.parametrize("outcome", [dead_outcome(), UNKNOWN])
def test_a_retry_starts_anew_with_a_key_that_feishu_has_not_seen(
    database: Database, outcome: DeliveryOutcome
) -> None:
    one = stuck(database, outcome=outcome)
    old_key = read_delivery(database, one).delivery_key
    retried = retry(database, one)
    kept = read_delivery(database, one)

    assert retried
    assert f"{old_key}.1" == kept.delivery_key
    assert ("waiting", "full", None, 0, None, LATER) == (
        kept.state,
        kept.variant,
        kept.body,
        kept.attempts,
        kept.unknown_since,
        kept.created_at,
    )


def test_a_retry_asks_again_who_the_recipient_is(database: Database) -> None:
    one = stuck(database)
    retry(database, one)

    assert ("", "") == (read_delivery(database, one).receive_id, read_delivery(database, one).receive_id_type)


def test_a_second_retry_counts_on(database: Database) -> None:
    one = stuck(database)
    old_key = read_delivery(database, one).delivery_key
    retry(database, one)
    ref = read_delivery(database, one).account_ref
    assign_recipient(database, ref, {"referrer": None}, now=LATER)
    retry(database, one)

    assert f"{old_key}.2" == read_delivery(database, one).delivery_key


def test_a_retried_key_still_fits_into_feishus_uuid(database: Database) -> None:
    one = stuck(database)
    for _ in range(3):
        retry(database, one)
        ref = read_delivery(database, one).account_ref
        assign_recipient(database, ref, {"referrer": None}, now=LATER)

    assert 50 >= len(f"{read_delivery(database, one).delivery_key}-f")


def test_a_retried_reroute_keeps_its_recipient_and_reason(database: Database) -> None:
    create_notice(database, "n-1")
    (first,) = claim(database).deliveries
    instead = database.write(
        lambda c: addressing.create_reroute(c, first.delivery, FALLBACK, now=NOW)
    ).result()
    (second,) = claim(database, now=NOW + 1_000).deliveries
    finish_failed(database, second, dead_outcome())
    retry(database, instead)
    kept = read_delivery(database, instead)

    assert ("ready", "oc_fallback", FALLBACK.reroute_reason) == (
        kept.state,
        kept.receive_id,
        kept.reroute_reason,
    )


def test_dropping_ends_a_stuck_delivery(database: Database) -> None:
    one = stuck(database)

    assert drop(database, one)
    assert ["dropped"] == read_states(database, [one])


@pytest.mark.parametrize("decide", [retry, drop])
def test_only_what_is_stuck_can_be_decided_about(
    database: Database, decide: Callable[[Database, int], bool]
) -> None:
    done, on_its_way = create_delivery(database, LIN, "a"), create_delivery(database, CHEN, "b")
    finish_sent(database, claim(database).deliveries[0])
    ready = create_delivery(database, LIN, "c")
    assert ["sent", "sending", "ready"] == read_states(database, [done, on_its_way, ready])

    assert [False] * 4 == [decide(database, one) for one in (done, on_its_way, ready, 999)]


def test_a_dropped_delivery_stays_dropped(database: Database) -> None:
    one = stuck(database)
    drop(database, one)

    assert not retry(database, one)


def test_only_the_dead_are_retried_all_at_once(database: Database) -> None:
    gone = stuck(database, "a")
    unknown = create_delivery(database, CHEN, "b")
    (claimed,) = claim(database, now=NOW + 5_000).deliveries
    finish_failed(database, claimed, UNKNOWN)
    with database.read() as connection:
        assert [gone] == delivery_admin.list_dead_ids(connection)
    assert ["dead", "unknown"] == read_states(database, [gone, unknown])


def test_reasons_are_counted_the_commonest_first(database: Database) -> None:
    for number, outcome in enumerate(
        [dead_outcome("no scope", code=99991672), dead_outcome("resigned"), dead_outcome("resigned")]
    ):
        one = create_delivery(database, Recipient(id_type="open_id", id=f"ou_{number}"), f"n-{number}")
        (claimed,) = claim(database, now=NOW + number * 1_000).deliveries
        assert one == claimed.delivery.id
        finish_failed(database, claimed, outcome)
    with database.read() as connection:
        found = delivery_admin.count_failure_reasons(connection, limit=10)

    assert [("dead", None, "resigned", 2), ("dead", 99991672, "no scope", 1)] == found


def test_deliveries_are_counted_by_state(database: Database) -> None:
    stuck(database, "a")
    create_delivery(database, CHEN, "b")
    with database.read() as connection:
        assert {"dead": 1, "ready": 1} == delivery_admin.count_by_state(connection)


def test_the_oldest_open_delivery_counts_and_the_dead_do_not(database: Database) -> None:
    stuck(database, "a")
    create_delivery(database, CHEN, "b", now=NOW + 7_000)
    with database.read() as connection:
        assert NOW + 7_000 == delivery_admin.get_oldest_open_at(connection)


def test_deliveries_are_listed_newest_first_and_by_state(database: Database) -> None:
    gone, ready = stuck(database, "a"), create_delivery(database, CHEN, "b")
    with database.read() as connection:
        everything = delivery_admin.list_deliveries(connection, states=(), limit=10)
        only_dead = delivery_admin.list_deliveries(connection, states=("dead",), limit=10)
        newest = delivery_admin.list_deliveries(connection, states=(), limit=1)

    assert [ready, gone] == [each.id for each in everything]
    assert [gone] == [each.id for each in only_dead]
    assert [ready] == [each.id for each in newest]


def test_a_delivery_is_shown_with_every_try(database: Database) -> None:
    one = create_notice(database, "n-1")
    (claimed,) = claim(database).deliveries
    freeze_content(database, claimed)
    finish_failed(database, claimed, dead_outcome("no scope", code=99991672), now=NOW + 40)
    with database.read() as connection:
        file = delivery_admin.show_delivery(connection, one)

    assert file is not None
    assert (ACCOUNT_ID, 1, '{"schema":"2.0"}') == (file.row.account_id, file.notices, file.body)
    assert [("dead", "no scope", 99991672, NOW + 40)] == [
        (each.outcome, each.reason, each.code, each.ended_at) for each in file.attempts
    ]


def test_a_delivery_that_is_not_there_shows_nothing(database: Database) -> None:
    with database.read() as connection:
        assert delivery_admin.show_delivery(connection, 1) is None


def test_the_last_started_process_is_the_one_that_is_shown(database: Database) -> None:
    database.write(lambda c: workers.register_worker(c, NewWorker(worker_id="old"), now=NOW)).result()
    database.write(lambda c: workers.register_worker(c, NewWorker(worker_id="new"), now=NOW + 1)).result()
    heartbeat = WorkerRow(
        worker_id="new",
        started_at=NOW + 1,
        heartbeat_at=NOW + 5_000,
        stopped_at=None,
        connection_state="connected",
        connection_since=NOW + 2,
        connection_detail=None,
        last_event_at=NOW + 3,
    )
    database.write(lambda c: workers.write_heartbeat(c, heartbeat)).result()
    with database.read() as connection:
        assert heartbeat == workers.get_last_worker(connection)
