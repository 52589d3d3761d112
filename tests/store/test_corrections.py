"""Corrections in a real store: one per card, in the chat of that card, and marked as one whatever happens to it."""

import threading

import sqlalchemy as sa

from notifier.domain.account import Ownership, Referrer
from notifier.domain.delivery import UUID_WINDOW_MS, DeliveryState
from notifier.domain.route import Recipient
from notifier.store import accounts, audit
from notifier.store.deliveries import addressing, attempt_results, corrections, delivery_admin
from notifier.store.deliveries.corrections import CorrectionDelivery
from notifier.store.engine.database import Database
from notifier.store.schema.tables import attempts
from support.delivery_rows import (
    LIN,
    NOW,
    account_ref,
    claim,
    create_notice,
    dead_outcome,
    finish_failed,
    finish_sent,
    freeze_content,
    read_delivery,
)

FALLBACK = Recipient(id_type="chat_id", id="oc_fallback", reroute_reason="unreachable: has resigned")


def sent_card(database: Database, key: str = "n-1") -> int:
    one = create_notice(database, key)
    (claimed,) = claim(database).deliveries
    freeze_content(database, claimed)
    finish_sent(database, claimed)
    return one


def correct(database: Database, delivery_id: int, *, now: int = NOW) -> CorrectionDelivery:
    with database.read() as connection:
        card = corrections.load_card(connection, delivery_id)
    assert card is not None
    return database.write(
        lambda c: corrections.create_correction(c, card.delivery, requested_by="root", now=now)
    ).result()


def test_a_card_is_corrected_once(database: Database) -> None:
    one = sent_card(database)
    first, second = correct(database, one), correct(database, one)
    row = read_delivery(database, first.id)

    assert (True, False, first.id) == (first.is_new, second.is_new, second.id)
    assert (one, "ready", LIN.id, "referrer") == (row.corrects, row.state, row.receive_id, row.target)
    assert row.delivery_key != read_delivery(database, one).delivery_key
    (claimed,) = claim(database, now=NOW + 1000).deliveries
    assert (first.id, one, ["n-1"]) == (
        claimed.delivery.id,
        claimed.delivery.corrects,
        [notice.key for notice in claimed.notices],
    )
    with database.read() as connection:
        (entry,) = audit.list_entries(connection, limit=10)
    assert (NOW, "manual", "command line", first.id) == (
        entry.at,
        entry.action,
        entry.actor,
        entry.delivery_id,
    )
    assert f"delivery {first.id} corrects the card of delivery {one}, requested by root" == entry.outcome


def test_two_commands_at_the_same_moment_make_one_correction(database: Database) -> None:
    one = sent_card(database)
    other = Database.open(database.engine.url.render_as_string(hide_password=False))
    made: list[CorrectionDelivery] = []
    threads = [
        threading.Thread(target=lambda each=each: made.append(correct(each, one)))
        for each in (database, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    other.close()

    assert [False, True] == sorted(each.is_new for each in made)
    assert 1 == len({each.id for each in made})


def test_a_correction_can_be_corrected_again(database: Database) -> None:
    first = correct(database, sent_card(database))
    (claimed,) = claim(database, now=NOW + 1000).deliveries
    finish_sent(database, claimed)
    second = correct(database, first.id)

    assert second.is_new
    assert first.id == read_delivery(database, second.id).corrects


def test_a_new_notice_does_not_join_a_correction(database: Database) -> None:
    correction = correct(database, sent_card(database))
    later = create_notice(database, "n-2")

    assert later != correction.id
    assert read_delivery(database, later).corrects is None


def test_a_crash_between_the_claim_and_the_answer_repeats_the_same_call(database: Database) -> None:
    correction = correct(database, sent_card(database))
    (claimed,) = claim(database, now=NOW + 1000).deliveries
    freeze_content(database, claimed)
    database.write(lambda c: attempt_results.reclaim(c, now=NOW + 2000, window_ms=UUID_WINDOW_MS)).result()
    claim(database, now=NOW + 3000)

    with database.read() as connection:
        uuids = connection.execute(
            sa.select(attempts.c.uuid).where(attempts.c.delivery_id == correction.id)
        ).scalars()
        assert [claimed.delivery.uuid] * 2 == list(uuids)


def test_a_retried_correction_keeps_its_recipient_and_stays_the_only_one(database: Database) -> None:
    one = sent_card(database)
    correction = correct(database, one)
    (claimed,) = claim(database, now=NOW + 1000).deliveries
    finish_failed(database, claimed, dead_outcome())
    assert database.write(lambda c: delivery_admin.retry(c, correction.id, now=NOW)).result()
    row = read_delivery(database, correction.id)

    assert ("ready", LIN.id, one) == (row.state, row.receive_id, row.corrects)
    assert (False, correction.id) == (correct(database, one).is_new, correct(database, one).id)


def test_a_rerouted_correction_is_still_one_and_joins_no_other_reroute(database: Database) -> None:
    one = sent_card(database)
    correction = correct(database, one)
    (claimed,) = claim(database, now=NOW + 1000).deliveries
    reroute = database.write(
        lambda c: addressing.create_reroute(c, claimed.delivery, FALLBACK, now=NOW)
    ).result()

    assert one == read_delivery(database, reroute).corrects
    assert correction.id == read_delivery(database, reroute).rerouted_from
    finish_sent(database, claimed)
    create_notice(database, "n-2")
    (later,) = (each for each in claim(database, now=NOW + 2000).deliveries if each.delivery.id != reroute)
    other = database.write(lambda c: addressing.create_reroute(c, later.delivery, FALLBACK, now=NOW)).result()
    assert other != reroute


def test_a_stored_card_has_all_that_a_rendering_needs(database: Database) -> None:
    one = sent_card(database)
    ownership = Ownership(referrer=Referrer(open_id="ou_lin", name_zh="林小满"), looked_up_at=NOW)
    ref = account_ref(database)
    database.write(lambda c: accounts.save_ownership(c, ref, ownership)).result()
    with database.read() as connection:
        card = corrections.load_card(connection, one)
        assert corrections.load_card(connection, one + 99) is None
        assert [one] == corrections.list_notice_deliveries(connection, "n-1")
        assert corrections.list_notice_deliveries(connection, "n-9") is None

    assert card is not None
    assert card.content is not None
    assert (ownership, DeliveryState.SENT, None) == (
        card.source.ownership,
        card.delivery.state,
        card.delivery.content,
    )
