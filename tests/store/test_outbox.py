"""The outbox: who may send which delivery now, and what becomes of each try."""

from functools import partial

import pytest
import sqlalchemy as sa

from notifier.domain.account import Ownership, Referrer
from notifier.domain.delivery import UUID_WINDOW_MS, CardVariant, Content, DeliveryOutcome, DeliveryState
from notifier.domain.event import AccountKey
from notifier.domain.rate_limit import RateLimit, SendingLimits
from notifier.domain.route import Recipient
from notifier.store import accounts, rate_limits
from notifier.store.deliveries import addressing, attempt_results, claims
from notifier.store.engine.database import Database
from notifier.store.schema.tables import attempts, delivery_notices
from support.delivery_rows import (
    CARD,
    CHEN,
    FAST,
    LIN,
    NOW,
    WORKER_ID,
    account_ref,
    assign_recipient,
    claim,
    claimed_ids,
    create_delivery,
    create_notice,
    dead_outcome,
    finish_failed,
    finish_sent,
    freeze_content,
    read_delivery,
    read_states,
    retry_outcome,
)

FALLBACK = Recipient(id_type="chat_id", id="oc_fallback", reroute_reason="unreachable: has resigned")
COMPACT = Content(variant=CardVariant.COMPACT, msg_type="interactive", body='{"schema":"2.0","body":{}}')


def try_rows(database: Database, delivery_id: int) -> list[tuple[str, int | None, str | None]]:
    """(uuid, ended_at, outcome) of each try."""
    with database.read() as connection:
        rows = connection.execute(
            sa.select(attempts).where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.id)
        )
        return [(each.uuid, each.ended_at, each.outcome) for each in rows]


def notices_of(database: Database, delivery_id: int) -> list[int]:
    with database.read() as connection:
        return list(
            connection.execute(
                sa.select(delivery_notices.c.notice_id)
                .where(delivery_notices.c.delivery_id == delivery_id)
                .order_by(delivery_notices.c.notice_id)
            ).scalars()
        )


# claiming


def test_a_claim_takes_the_oldest_delivery_of_each_recipient(database: Database) -> None:
    first = create_delivery(database, LIN, "lin 1")
    create_delivery(database, LIN, "lin 2")
    other = create_delivery(database, CHEN, "chen 1")

    assert [first, other] == claimed_ids(database)


def test_a_claimed_delivery_is_being_sent_by_its_owner_and_counts_a_try(database: Database) -> None:
    one = create_delivery(database, LIN, "n-1")
    (claimed,) = claim(database).deliveries

    assert (DeliveryState.SENDING, 1) == (claimed.delivery.state, claimed.delivery.attempts)
    assert ("sending", WORKER_ID, 1) == (
        read_delivery(database, one).state,
        read_delivery(database, one).worker_id,
        read_delivery(database, one).attempts,
    )
    assert [(claimed.delivery.uuid, None, None)] == try_rows(database, one)


def test_a_claim_brings_all_that_a_card_needs(database: Database) -> None:
    create_notice(database, "n-1")
    create_notice(database, "n-2")
    referrer = Referrer(open_id="ou_lin", name_zh="林小满")
    ownership = Ownership(referrer=referrer, looked_up_at=NOW)
    ref = account_ref(database)
    database.write(lambda c: accounts.save_ownership(c, ref, ownership)).result()
    (claimed,) = claim(database).deliveries

    assert ownership == claimed.ownership
    assert ["n-1", "n-2"] == [notice.key for notice in claimed.notices]


def test_nobody_is_sent_two_messages_at_once(database: Database) -> None:
    create_delivery(database, LIN, "lin 1")
    create_delivery(database, LIN, "lin 2")
    claim(database)

    assert [] == claimed_ids(database, now=NOW + 60_000)


def test_the_next_in_line_goes_once_the_one_before_is_sent(database: Database) -> None:
    create_delivery(database, LIN, "lin 1")
    second = create_delivery(database, LIN, "lin 2")
    (first,) = claim(database).deliveries
    finish_sent(database, first)

    assert [second] == claimed_ids(database, now=NOW + 1_000)


def test_a_try_that_is_put_off_keeps_its_place_in_the_line(database: Database) -> None:
    first = create_delivery(database, LIN, "lin 1")
    create_delivery(database, LIN, "lin 2")
    (claimed,) = claim(database).deliveries
    finish_failed(database, claimed, retry_outcome(NOW + 5_000))

    assert [] == claimed_ids(database, now=NOW + 4_999)
    assert [first] == claimed_ids(database, now=NOW + 5_000)


def test_a_recipient_in_back_off_holds_up_nobody_else(database: Database) -> None:
    create_delivery(database, LIN, "lin 1")
    (claimed,) = claim(database).deliveries
    finish_failed(database, claimed, retry_outcome(NOW + 600_000))
    other = create_delivery(database, CHEN, "chen 1")

    assert [other] == claimed_ids(database, now=NOW + 1_000)


def test_a_dead_delivery_lets_the_next_in_line_go(database: Database) -> None:
    create_delivery(database, LIN, "lin 1")
    second = create_delivery(database, LIN, "lin 2")
    (claimed,) = claim(database).deliveries
    finish_failed(database, claimed, dead_outcome())

    assert [second] == claimed_ids(database, now=NOW + 1_000)


def test_what_waits_for_its_address_is_not_claimed(database: Database) -> None:
    create_notice(database, "n-1", recipient=None)

    assert [] == claimed_ids(database)


def test_no_more_are_claimed_than_there_are_slots(database: Database) -> None:
    for number in range(5):
        create_delivery(database, Recipient(id_type="open_id", id=f"ou_{number}"), f"n-{number}")

    assert 2 == len(claimed_ids(database, slots=2))


def crowd(database: Database, size: int) -> None:
    """So many deliveries, each to a person of its own."""
    for number in range(size):
        create_delivery(database, Recipient(id_type="open_id", id=f"ou_{number}"), f"n-{number}")


def test_the_app_sends_a_burst_and_then_at_its_pace(database: Database) -> None:
    crowd(database, 6)
    sending_limits = SendingLimits(app=RateLimit(per_second=10, burst=3), chat=FAST.chat, per_minute=1000)
    at_once, soon, next_tenth = (
        len(claimed_ids(database, now=NOW + wait, sending_limits=sending_limits)) for wait in (0, 50, 100)
    )

    assert (3, 0, 1) == (at_once, soon, next_tenth)


def test_a_claim_says_when_the_app_may_send_again(database: Database) -> None:
    crowd(database, 3)
    sending_limits = SendingLimits(app=RateLimit(per_second=10, burst=2), chat=FAST.chat, per_minute=1000)
    claim(database, sending_limits=sending_limits)

    assert NOW + 100 == claim(database, sending_limits=sending_limits).next_claim_at


def test_a_minute_takes_no_more_calls_than_it_may(database: Database) -> None:
    crowd(database, 5)
    sending_limits = SendingLimits(app=FAST.app, chat=FAST.chat, per_minute=3)
    first = claim(database, sending_limits=sending_limits).deliveries
    for each in first:
        finish_sent(database, each)
    margin = claims.WINDOW_MARGIN_MS
    last_moment, next_minute = (
        len(claimed_ids(database, now=NOW + wait, sending_limits=sending_limits))
        for wait in (59_999 + margin, 60_000 + margin)
    )

    assert (3, 0, 2) == (len(first), last_moment, next_minute)


def test_a_call_counts_for_a_minute_after_its_end(database: Database) -> None:
    """Feishu counts it when it arrives, which may be any moment before its end."""
    crowd(database, 2)
    sending_limits = SendingLimits(app=FAST.app, chat=FAST.chat, per_minute=1)
    (slow,) = claim(database, sending_limits=sending_limits).deliveries
    finish_sent(database, slow, now=NOW + 9_000)
    early, late = (
        len(claimed_ids(database, now=NOW + wait, sending_limits=sending_limits)) for wait in (68_000, 70_000)
    )

    assert (0, 1) == (early, late)


def test_a_claim_says_when_the_minute_has_room_again(database: Database) -> None:
    crowd(database, 3)
    sending_limits = SendingLimits(app=FAST.app, chat=FAST.chat, per_minute=2)
    for each in claim(database, sending_limits=sending_limits).deliveries:
        finish_sent(database, each)
    opens_at = NOW + 60_000 + claims.WINDOW_MARGIN_MS

    assert opens_at == claim(database, now=NOW + 10, sending_limits=sending_limits).next_claim_at


def test_failed_calls_count_into_the_minute_too(database: Database) -> None:
    create_delivery(database, LIN, "lin 1")
    sending_limits = SendingLimits(app=FAST.app, chat=FAST.chat, per_minute=1)
    (claimed,) = claim(database, sending_limits=sending_limits).deliveries
    finish_failed(database, claimed, retry_outcome(NOW + 1_000))

    assert [] == claimed_ids(database, now=NOW + 2_000, sending_limits=sending_limits)


def test_one_chat_gets_no_more_than_its_pace(database: Database) -> None:
    create_delivery(database, LIN, "lin 1")
    second = create_delivery(database, LIN, "lin 2")
    sending_limits = SendingLimits(app=FAST.app, chat=RateLimit(per_second=4), per_minute=1000)
    (first,) = claim(database, sending_limits=sending_limits).deliveries
    finish_sent(database, first)

    assert [] == claimed_ids(database, now=NOW + 249, sending_limits=sending_limits)
    assert [second] == claimed_ids(database, now=NOW + 250, sending_limits=sending_limits)


def test_a_claim_says_when_a_chat_may_hear_more(database: Database) -> None:
    create_delivery(database, LIN, "lin 1")
    create_delivery(database, LIN, "lin 2")
    sending_limits = SendingLimits(app=FAST.app, chat=RateLimit(per_second=4), per_minute=1000)
    (first,) = claim(database, sending_limits=sending_limits).deliveries
    finish_sent(database, first)

    assert NOW + 250 == claim(database, now=NOW + 10, sending_limits=sending_limits).next_claim_at


def test_a_claim_says_when_a_put_off_delivery_is_due_even_if_more_stand_behind_it(database: Database) -> None:
    """Were it the time of those behind, the sender would ask again and again without a pause."""
    create_delivery(database, LIN, "lin 1")
    create_delivery(database, LIN, "lin 2")
    (claimed,) = claim(database).deliveries
    finish_failed(database, claimed, retry_outcome(NOW + 600_000))

    assert NOW + 600_000 == claim(database, now=NOW + 1_000).next_claim_at


def test_a_claim_with_nothing_to_wait_for_says_so(database: Database) -> None:
    assert claim(database).next_claim_at is None


def test_a_gate_that_feishu_shut_lets_nobody_pass_until_it_opens(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    database.write(
        lambda c: rate_limits.block(c, rate_limits.SENDING, until=NOW + 3_000, reason="too often")
    ).result()

    assert ((), NOW + 3_000) == (claim(database).deliveries, claim(database).next_claim_at)
    assert [one] == claimed_ids(database, now=NOW + 3_000)


def test_a_gate_is_never_opened_earlier_than_asked(database: Database) -> None:
    for until in (NOW + 3_000, NOW + 1_000):
        database.write(partial(rate_limits.block, name=rate_limits.SENDING, until=until, reason="x")).result()
    with database.read() as connection:
        assert [(rate_limits.SENDING, NOW + 3_000, "x")] == rate_limits.list_blocked(connection, now=NOW)


# what is said


def test_what_is_frozen_comes_back_with_every_later_claim(database: Database) -> None:
    create_delivery(database, LIN, "lin 1")
    (claimed,) = claim(database).deliveries
    freeze_content(database, claimed)
    finish_failed(database, claimed, retry_outcome(NOW))
    (again,) = claim(database, now=NOW + 1_000).deliveries

    assert CARD == again.delivery.content
    assert claimed.delivery.uuid == again.delivery.uuid
    assert () == again.notices


def test_freezing_a_simpler_rung_keeps_its_own_uuid_on_the_try(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    (claimed,) = claim(database).deliveries
    uuid = f"{claimed.delivery.key}-c"
    freeze_content(database, claimed, COMPACT)

    assert ("compact", COMPACT.body) == (
        read_delivery(database, one).variant,
        read_delivery(database, one).body,
    )
    assert [uuid] == [each[0] for each in try_rows(database, one)]


def test_a_step_down_the_ladder_forgets_what_was_frozen_and_takes_a_new_uuid(database: Database) -> None:
    create_delivery(database, LIN, "lin 1")
    (claimed,) = claim(database).deliveries
    freeze_content(database, claimed)
    finish_failed(database, claimed, retry_outcome(NOW, variant=CardVariant.COMPACT))
    (again,) = claim(database, now=NOW + 1_000).deliveries

    assert (None, CardVariant.COMPACT) == (again.delivery.content, again.delivery.variant)
    assert claimed.delivery.uuid != again.delivery.uuid
    assert 1 == len(again.notices)


# what became of it


def test_a_sent_delivery_keeps_its_message_and_closes_its_try(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    (claimed,) = claim(database).deliveries
    ours = finish_sent(database, claimed, now=NOW + 30)
    kept = read_delivery(database, one)

    assert ours
    assert ("sent", f"om_{one}", "oc_p2p", None) == (
        kept.state,
        kept.message_id,
        kept.chat_id,
        kept.worker_id,
    )
    assert [(claimed.delivery.uuid, NOW + 30, "sent")] == try_rows(database, one)


def test_a_success_told_by_somebody_else_is_not_believed(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    (claimed,) = claim(database).deliveries

    assert not finish_sent(database, claimed, worker_id="another")
    assert ["sending"] == read_states(database, [one])


def test_a_failure_told_by_somebody_else_is_not_believed(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    (claimed,) = claim(database).deliveries

    assert not finish_failed(database, claimed, dead_outcome(), worker_id="another")
    assert ["sending"] == read_states(database, [one])


def test_a_failure_told_after_the_success_is_not_believed(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    (claimed,) = claim(database).deliveries
    finish_sent(database, claimed)

    assert not finish_failed(database, claimed, dead_outcome())
    assert ["sent"] == read_states(database, [one])


def test_a_failed_try_keeps_its_reason_code_and_log_id(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    (claimed,) = claim(database).deliveries
    outcome = DeliveryOutcome(
        state=DeliveryState.DEAD, reason="no scope", variant=CardVariant.FULL, code=99991672, log_id="log-9"
    )
    finish_failed(database, claimed, outcome)
    kept = read_delivery(database, one)

    assert ("dead", "no scope", 99991672, "log-9") == (
        kept.state,
        kept.last_error,
        kept.last_code,
        kept.log_id,
    )


def test_a_reroute_tells_the_same_notices_to_somebody_else(database: Database) -> None:
    create_notice(database, "n-1")
    one = create_notice(database, "n-2")
    (claimed,) = claim(database).deliveries
    new_id = database.write(
        lambda c: addressing.create_reroute(c, claimed.delivery, FALLBACK, now=NOW)
    ).result()
    kept = read_delivery(database, new_id)

    assert notices_of(database, one) == notices_of(database, new_id)
    assert ("ready", "oc_fallback", one, "unreachable: has resigned") == (
        kept.state,
        kept.receive_id,
        kept.rerouted_from,
        kept.reroute_reason,
    )


def test_a_reroute_is_made_once_however_often_it_is_asked_for(database: Database) -> None:
    create_notice(database, "n-1")
    (claimed,) = claim(database).deliveries
    first, second = (
        database.write(lambda c: addressing.create_reroute(c, claimed.delivery, FALLBACK, now=NOW)).result()
        for _ in range(2)
    )

    assert first == second


def test_reroutes_of_one_account_fold_while_they_wait(database: Database) -> None:
    first = create_notice(database, "n-1")
    (one,) = claim(database).deliveries
    freeze_content(database, one)
    finish_failed(
        database,
        one,
        DeliveryOutcome(state=DeliveryState.REROUTED, reason="has resigned", variant=CardVariant.FULL),
    )
    second = create_notice(database, "n-2")
    (two,) = claim(database, now=NOW + 60_000).deliveries
    rerouted = [
        database.write(lambda c, d=each.delivery: addressing.create_reroute(c, d, FALLBACK, now=NOW)).result()  # type: ignore[misc]
        for each in (one, two)
    ]

    assert rerouted[0] == rerouted[1]
    assert notices_of(database, first) + notices_of(database, second) == notices_of(database, rerouted[0])


def test_a_reroute_does_not_join_one_that_was_tried(database: Database) -> None:
    create_notice(database, "n-1")
    (one,) = claim(database).deliveries
    freeze_content(database, one)
    finish_failed(
        database,
        one,
        DeliveryOutcome(state=DeliveryState.REROUTED, reason="has resigned", variant=CardVariant.FULL),
    )
    database.write(lambda c: addressing.create_reroute(c, one.delivery, FALLBACK, now=NOW)).result()
    (tried,) = claim(database, now=NOW + 60_000).deliveries
    freeze_content(database, tried)
    create_notice(database, "n-2")
    (two,) = claim(database, now=NOW + 120_000).deliveries

    assert (
        tried.delivery.id
        != database.write(lambda c: addressing.create_reroute(c, two.delivery, FALLBACK, now=NOW)).result()
    )


# after a crash


def reclaim(database: Database, *, now: int = NOW + 1_000) -> int:
    return database.write(lambda c: attempt_results.reclaim(c, now=now, window_ms=UUID_WINDOW_MS)).result()


def test_what_was_claimed_and_never_sent_goes_back_as_if_nothing_had_been(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    claim(database)

    assert 1 == reclaim(database)
    assert ("ready", None, None) == (
        read_delivery(database, one).state,
        read_delivery(database, one).unknown_since,
        read_delivery(database, one).worker_id,
    )


def test_what_may_have_been_sent_goes_back_with_its_key_and_the_time_of_the_doubt(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    (claimed,) = claim(database).deliveries
    freeze_content(database, claimed)
    reclaim(database)
    (again,) = claim(database, now=NOW + 2_000).deliveries

    assert NOW == read_delivery(database, one).unknown_since
    assert (claimed.delivery.uuid, CARD) == (again.delivery.uuid, again.delivery.content)


def test_past_the_time_feishu_remembers_a_key_a_person_must_decide(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    (claimed,) = claim(database).deliveries
    freeze_content(database, claimed)
    reclaim(database, now=NOW + UUID_WINDOW_MS)

    assert ["unknown"] == read_states(database, [one])


def test_the_doubt_counts_from_the_first_try_of_unknown_outcome(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    (claimed,) = claim(database).deliveries
    freeze_content(database, claimed)
    finish_failed(database, claimed, retry_outcome(NOW, unknown_since=NOW))
    claim(database, now=NOW + UUID_WINDOW_MS - 1)
    reclaim(database, now=NOW + UUID_WINDOW_MS)

    assert ["unknown"] == read_states(database, [one])


def test_what_was_never_sent_goes_back_however_long_ago(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    claim(database)
    reclaim(database, now=NOW + 10 * UUID_WINDOW_MS)

    assert ["ready"] == read_states(database, [one])


def test_the_try_that_a_crash_cut_off_is_closed_as_unknown(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    claim(database)
    reclaim(database)

    assert [(NOW + 1_000, "unknown")] == [each[1:] for each in try_rows(database, one)]


def test_nothing_is_reclaimed_after_a_clean_stop(database: Database) -> None:
    one = create_delivery(database, LIN, "lin 1")
    (claimed,) = claim(database).deliveries
    finish_sent(database, claimed)

    assert 0 == reclaim(database)
    assert ["sent"] == read_states(database, [one])


# addresses


def address(database: Database, **recipients: Recipient | None) -> int:
    return assign_recipient(database, account_ref(database), recipients)


def test_an_address_makes_what_waited_for_it_ready(database: Database) -> None:
    one = create_notice(database, "n-1", recipient=None)

    assert 1 == address(database, referrer=LIN)
    assert [one] == claimed_ids(database)


def test_each_target_gets_its_own_address(database: Database) -> None:
    person = create_notice(database, "n-1", recipient=None)
    group = create_notice(database, "n-2", recipient=None, target="hr")

    assert 2 == address(database, referrer=LIN, hr=FALLBACK)
    assert [LIN.id, FALLBACK.id] == [read_delivery(database, one).receive_id for one in (person, group)]


def test_an_address_is_for_its_own_account_only(database: Database) -> None:
    other = create_notice(
        database,
        "n-2",
        recipient=None,
        account=AccountKey(tenant_key="tk", app_id="cli_x", account_id="another"),
    )
    create_notice(database, "n-1", recipient=None)
    address(database, referrer=LIN)

    assert ["waiting"] == read_states(database, [other])


def test_without_anybody_to_tell_a_delivery_waits_for_a_person_with_the_reason(database: Database) -> None:
    one = create_notice(database, "n-1", recipient=None)
    address(database, referrer=None)

    assert ["dead"] == read_states(database, [one])
    assert "no recipient" in read_delivery(database, one).last_error


def test_an_address_given_late_does_not_touch_what_is_on_its_way(database: Database) -> None:
    one = create_notice(database, "n-1")
    claim(database)

    assert 0 == address(database, referrer=CHEN)
    assert "ou_lin" == read_delivery(database, one).receive_id


# folding


@pytest.mark.parametrize("recipient", [LIN, None])
def test_a_notice_joins_a_delivery_that_still_waits_untouched(
    database: Database, recipient: Recipient | None
) -> None:
    first = create_notice(database, "n-1", recipient=recipient)
    second = create_notice(database, "n-2", recipient=recipient)

    assert first == second
    assert 2 == len(notices_of(database, first))


def test_a_notice_does_not_join_a_delivery_whose_words_are_frozen(database: Database) -> None:
    first = create_notice(database, "n-1")
    (claimed,) = claim(database).deliveries
    freeze_content(database, claimed)
    finish_failed(database, claimed, retry_outcome(NOW + 5_000))

    assert first != create_notice(database, "n-2")
    assert 1 == len(notices_of(database, first))


def test_a_notice_does_not_join_a_delivery_that_is_being_sent(database: Database) -> None:
    first = create_notice(database, "n-1")
    claim(database)

    assert first != create_notice(database, "n-2")


def test_a_notice_does_not_join_a_delivery_to_somebody_else(database: Database) -> None:
    assert create_notice(database, "n-1") != create_notice(database, "n-2", target="hr")


def test_a_notice_does_not_join_a_reroute(database: Database) -> None:
    create_notice(database, "n-1")
    (claimed,) = claim(database).deliveries
    rerouted = database.write(
        lambda c: addressing.create_reroute(c, claimed.delivery, FALLBACK, now=NOW)
    ).result()

    assert rerouted != create_notice(database, "n-2")
