"""Boards and batches: what a digest's card offers, and how far its withdrawals are."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import pytest
import sqlalchemy as sa

from notifier.domain.digest import Digest, Holder
from notifier.domain.digest_panel import Action, DigestPanel, PanelButton, SkipReason
from notifier.domain.event import AccountKey
from notifier.domain.money import Amounts, Kind
from notifier.domain.period import Span, finished
from notifier.domain.route import Recipient
from notifier.domain.withdrawal import Role, Withdrawal, WithdrawalState
from notifier.store import accounts, card_updates, withdrawals
from notifier.store.cards import batches, digest_panels
from notifier.store.cards.buttons import Offer
from notifier.store.digests import digest_runs
from notifier.store.digests.digest_runs import DigestRunKey, DigestRunState
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries
from notifier.store.schema.tables import withdrawals as orders
from notifier.store.withdrawals import WithdrawalOrder, WithdrawalResult
from support.builders import CNY
from support.buttons import find_button
from support.delivery_rows import mark_sent
from support.digests import ADDRESS_BOOK, BEFORE, PLAN, store_balance
from support.withdrawal_rows import posted_card

T = TypeVar("T")
NOW = round(BEFORE.timestamp() * 1000)
HR = Recipient(id_type="chat_id", id="oc_hr")


def run(database: Database, work: Callable[[sa.Connection], T]) -> T:
    return database.write(work).result()


def account_of(database: Database, account_ref: int) -> AccountKey:
    return run(database, lambda c: accounts.get_account_key(c, account_ref))


@pytest.fixture
def card(database: Database) -> tuple[int, Digest]:
    """A digest's card that hangs in the group, with buttons for three accounts."""
    refs = [store_balance(database, number, _long_ago(), CNY=str(100 * number)) for number in (1, 2, 3)]
    digest = Digest(
        name="hr-daily",
        period=finished(Span.DAY, BEFORE.date(), PLAN.zone),
        due_at=None,
        created_at=NOW,
        holders=tuple(
            Holder(account_ref=ref, account_id=str(ref), referrer=None, amounts={CNY: Decimal(100)})
            for ref in refs
        ),
        offers_withdrawal=True,
    )
    return hung(database, digest), digest


def _long_ago() -> datetime:
    return datetime.fromtimestamp(0, BEFORE.tzinfo)


def hung(database: Database, digest: Digest, correction_number: int = 0) -> int:
    right = DigestRunKey(
        digest="hr-daily",
        period=digest.period,
        recipient="hr",
        created_at=NOW,
        correction_number=correction_number,
    )

    def make(connection: sa.Connection) -> int:
        run_id = digest_runs.claim_run(connection, right, state=DigestRunState.NOTIFIED, content=digest)
        assert run_id is not None
        digest_runs.create_delivery(connection, right, run_id, target="hr", recipient=HR)
        delivery_id = connection.execute(sa.select(sa.func.max(deliveries.c.id))).scalar_one()
        mark_sent(connection, delivery_id, at=NOW)
        digest_panels.create_buttons(connection, delivery_id, digest.holders, kinds=tuple(Kind), now=NOW)
        return int(delivery_id)

    return run(database, make)


def shown(database: Database, card: tuple[int, Digest]) -> DigestPanel:
    return run(database, lambda c: digest_panels.get_panel(c, card[0], card[1], now=NOW))


def find_panel_button(connection: sa.Connection, ref: str) -> PanelButton | None:
    return digest_panels.load_panel_buttons(connection, [ref], address_book=ADDRESS_BOOK).get(ref)


def offer_of(delivery_id: int, account_ref: int, amounts: Amounts) -> Offer:
    return Offer(delivery_id=delivery_id, account_ref=account_ref, withdrawal_count=0, amounts=amounts)


def order(database: Database, ref: str, number: int = 1) -> Withdrawal:
    def make(connection: sa.Connection) -> Withdrawal:
        button = find_button(connection, ref, address_book=ADDRESS_BOOK, now=NOW)
        assert button is not None
        (begun,) = withdrawals.create_orders(
            connection,
            [
                WithdrawalOrder(
                    order_id=f"rn-{ref}-{number}",
                    button=button,
                    kinds=tuple(Kind),
                    role=Role.OPERATOR,
                    requested_by="ou_hr",
                    click_key=f"click {ref} {number}",
                    now=NOW,
                )
            ],
        )
        assert begun is not None
        return begun

    return run(database, make)


def end(database: Database, one: Withdrawal, state: WithdrawalState) -> None:
    withdrawn = {CNY: Decimal(100)} if state is WithdrawalState.WITHDRAWN else None
    run(
        database,
        lambda c: withdrawals.finish(
            c, one, WithdrawalResult(state=state, now=NOW, withdrawn=withdrawn, at=NOW)
        ),
    )


def test_a_fresh_card_offers_every_account(database: Database, card: tuple[int, Digest]) -> None:
    board = shown(database, card)

    assert 3 == len(board.options) == len({option.button_ref for option in board.options})
    assert board.one
    assert board.all
    assert ("", (), None) == (board.retry, board.results, board.progress)
    assert board == shown(database, card)


def test_hanging_it_again_makes_no_second_button(database: Database, card: tuple[int, Digest]) -> None:
    before = shown(database, card)
    run(
        database,
        lambda c: digest_panels.create_buttons(c, card[0], card[1].holders, kinds=tuple(Kind), now=NOW + 1),
    )

    assert before == shown(database, card)


def test_an_account_under_way_is_no_option_but_a_result(database: Database, card: tuple[int, Digest]) -> None:
    first = shown(database, card).options[0]
    order(database, first.button_ref)
    board = shown(database, card)

    assert first.button_ref not in {option.button_ref for option in board.options}
    assert [WithdrawalState.REQUESTED] == [result.state for result in board.results]


@pytest.mark.parametrize(
    "state, offered, retry",
    [
        (WithdrawalState.WITHDRAWN, 2, False),
        (WithdrawalState.NOTHING, 2, False),
        (WithdrawalState.REFUSED, 2, True),
    ],
)
def test_what_became_of_an_account(
    database: Database,
    card: tuple[int, Digest],
    state: WithdrawalState,
    offered: int,
    retry: bool,  # noqa: FBT001
) -> None:
    end(database, order(database, shown(database, card).options[0].button_ref), state)
    board = shown(database, card)

    assert (offered, [state], retry) == (
        len(board.options),
        [result.state for result in board.results],
        bool(board.retry),
    )


def test_what_failed_is_retried_and_nothing_else(database: Database, card: tuple[int, Digest]) -> None:
    refs = [option.button_ref for option in shown(database, card).options]
    for ref, state in zip(refs, (WithdrawalState.REFUSED, WithdrawalState.WITHDRAWN), strict=False):
        end(database, order(database, ref), state)

    def candidates(action: Action) -> list[str]:
        return list(
            run(database, lambda c: digest_panels.list_candidates(c, card[0], card[1], action)).values()
        )

    assert [refs[0]] == candidates(Action.RETRY)
    assert [refs[2]] == candidates(Action.ALL)


def test_a_second_failure_after_a_retry_can_be_retried_again(
    database: Database, card: tuple[int, Digest]
) -> None:
    ref = shown(database, card).options[0].button_ref
    for number in (1, 2):
        end(database, order(database, ref, number), WithdrawalState.REFUSED)

    assert 1 == len(run(database, lambda c: digest_panels.list_candidates(c, card[0], card[1], Action.RETRY)))


def test_a_new_card_shows_nothing_of_what_failed_on_another_and_offers_the_account_again(
    database: Database, card: tuple[int, Digest]
) -> None:
    option = shown(database, card).options[0]
    end(database, order(database, option.button_ref), WithdrawalState.REFUSED)
    second = (hung(database, card[1], correction_number=1), card[1])
    board = shown(database, second)

    assert ((), "") == (board.results, board.retry)
    assert [each.account_ref for each in card[1].holders] == [each.account_ref for each in board.options]
    withdrawn = run(database, lambda c: digest_panels.list_candidates(c, second[0], card[1], Action.ALL))
    assert option.account_ref in withdrawn
    first = shown(database, card)
    assert (3, "", ()) == (first.superseded, first.retry, first.options), "the newer card offers them all"


def test_a_newer_card_about_one_account_takes_it_out_of_the_list(
    database: Database, card: tuple[int, Digest]
) -> None:
    before = shown(database, card)
    newer = posted_card(
        database, "newer", target="hr", account=account_of(database, before.options[0].account_ref)
    )

    after = shown(database, card)

    assert newer > card[0]
    assert before.options[1:] == after.options
    assert 1 == after.superseded


def test_an_account_whose_balance_changed_is_offered_again_with_the_new_amounts(
    database: Database, card: tuple[int, Digest]
) -> None:
    before = shown(database, card)
    first = before.options[0]
    run(
        database,
        lambda c: digest_panels.renew_buttons(
            c, [offer_of(card[0], first.account_ref, {CNY: Decimal(850)})], now=NOW
        ),
    )
    after = shown(database, card)

    assert {CNY: Decimal(850)} == after.options[0].amounts
    assert before.options[1:] == after.options[1:]
    assert {before.one, before.all}.isdisjoint({after.one, after.all}), (
        "they stand for the list that was shown"
    )


def test_a_balance_that_changes_back_is_a_new_list_too(database: Database, card: tuple[int, Digest]) -> None:
    """Whoever still sees the list in between agreed to that one."""
    first = shown(database, card).options[0]
    seen = {shown(database, card).all}
    for amount in (850, 100, 850):
        run(
            database,
            lambda c, amount=amount: digest_panels.renew_buttons(  # type: ignore[misc]
                c, [offer_of(card[0], first.account_ref, {CNY: Decimal(amount)})], now=NOW
            ),
        )
        panel = shown(database, card)
        assert {CNY: Decimal(amount)} == panel.options[0].amounts
        assert panel.all not in seen
        seen.add(panel.all)


@pytest.mark.parametrize(
    "why, again",
    [
        (SkipReason.BUSY, True),
        (SkipReason.REFERRER_UNKNOWN, True),
        (SkipReason.DEACTIVATED, True),
        (SkipReason.EMPTY, False),
    ],
)
def test_what_a_batch_left_out_is_a_result_with_its_reason(
    database: Database,
    card: tuple[int, Digest],
    why: SkipReason,
    again: bool,  # noqa: FBT001
) -> None:
    begin(database, card)
    first, *others = run(database, lambda c: batches.list_pending_items(c, limit=10))
    run(database, lambda c: batches.skip_items(c, [(first, why)], now=NOW))
    for item in others:
        one = order(database, item.button_ref)
        run(database, lambda c, i=item, o=one: batches.mark_ordered(c, [(i, o.order_id)]))  # type: ignore[misc]
        end(database, one, WithdrawalState.WITHDRAWN)
    run(database, lambda c: batches.finish_batches(c, now=NOW))
    board = shown(database, card)

    assert (why, None, again) == (board.results[0].skipped, board.results[0].state, board.results[0].again)
    assert (int(again), again, ()) == (board.failed, bool(board.retry), board.options)
    assert board.progress is not None
    assert 2 == board.progress.withdrawn


def test_a_refusal_is_a_result_with_its_code_and_reason(database: Database, card: tuple[int, Digest]) -> None:
    one = order(database, shown(database, card).options[0].button_ref)
    ending = WithdrawalResult(state=WithdrawalState.REFUSED, now=NOW, reason="disabled", code=1002555)
    run(database, lambda c: withdrawals.finish(c, one, ending))
    (result,) = shown(database, card).results

    assert (1002555, "disabled", True) == (result.code, result.reason, result.again)


def test_a_balance_that_was_withdrawn_and_is_still_in_the_ledger_is_not_offered_again(
    database: Database, card: tuple[int, Digest]
) -> None:
    """Its balance event has not come yet: the next digest would list money that is gone."""
    end(database, order(database, shown(database, card).options[0].button_ref), WithdrawalState.WITHDRAWN)
    second = (hung(database, card[1], correction_number=1), card[1])

    assert 2 == len(shown(database, second).options)
    run(database, lambda c: c.execute(sa.update(orders).values(is_in_ledger=1)).rowcount)
    third = (hung(database, card[1], correction_number=2), card[1])
    assert 3 == len(shown(database, third).options)


def begin(database: Database, card: tuple[int, Digest], click: str = "click") -> int | None:
    items = run(database, lambda c: digest_panels.list_candidates(c, card[0], card[1], Action.ALL))
    return run(
        database,
        lambda c: batches.create_batch(
            c, delivery_id=card[0], click_key=click, requested_by="ou_hr", items=items, now=NOW
        ),
    )


def test_one_batch_runs_on_a_card(database: Database, card: tuple[int, Digest]) -> None:
    assert begin(database, card) is not None
    assert begin(database, card, "another click") is None
    assert 3 == len(run(database, lambda c: batches.list_pending_items(c, limit=10)))


def test_a_replayed_click_makes_no_second_batch(database: Database, card: tuple[int, Digest]) -> None:
    begin(database, card)
    run(database, lambda c: c.exec_driver_sql("UPDATE batches SET ended_at = 1").rowcount)

    assert begin(database, card) is None


def test_while_a_batch_runs_nothing_else_can_be_pressed(database: Database, card: tuple[int, Digest]) -> None:
    begin(database, card)
    board = shown(database, card)

    assert ("", "", "", ()) == (board.one, board.all, board.retry, board.options)
    assert board.progress is not None
    assert (3, 0, True) == (board.progress.total, board.progress.done, board.progress.running)


def test_a_batch_ends_when_the_last_of_it_has_an_end(database: Database, card: tuple[int, Digest]) -> None:
    begin(database, card)
    first, second, third = run(database, lambda c: batches.list_pending_items(c, limit=10))
    one, two = order(database, first.button_ref), order(database, second.button_ref)
    run(database, lambda c: batches.mark_ordered(c, [(first, one.order_id)]))
    run(database, lambda c: batches.mark_ordered(c, [(second, two.order_id)]))
    run(database, lambda c: batches.skip_items(c, [(third, SkipReason.DENIED)], now=NOW))
    end(database, one, WithdrawalState.REFUSED)
    still = run(database, lambda c: batches.finish_batches(c, now=NOW))
    end(database, two, WithdrawalState.WITHDRAWN)
    over = run(database, lambda c: batches.finish_batches(c, now=NOW))
    progress = shown(database, card).progress

    assert ([], 1) == (still, len(over))
    assert progress is not None
    assert (3, 3, 1, {SkipReason.DENIED: 1}, False) == (
        progress.total,
        progress.done,
        progress.failed,
        progress.skipped,
        progress.running,
    )
    assert [] == run(database, lambda c: batches.finish_batches(c, now=NOW))


def test_after_a_batch_the_buttons_are_new_ones(database: Database, card: tuple[int, Digest]) -> None:
    before = shown(database, card)
    begin(database, card)
    for item in run(database, lambda c: batches.list_pending_items(c, limit=10)):
        run(database, lambda c, i=item: batches.skip_items(c, [(i, SkipReason.BUSY)], now=NOW))  # type: ignore[misc]
    run(database, lambda c: batches.finish_batches(c, now=NOW))
    after = shown(database, card)

    assert after.retry
    assert after.retry not in {"", before.all}
    lever = run(
        database,
        lambda c: find_panel_button(c, before.all),
    )
    assert lever is not None
    assert (f"0.{NOW}", "hr", "tk", "cli_x", f"om_{card[0]}") == (
        lever.revision,
        lever.group,
        lever.tenant_key,
        lever.app_id,
        lever.message_id,
    )


@pytest.mark.usefixtures("card")
def test_a_ref_that_we_never_drew_is_no_lever(database: Database) -> None:
    assert (
        run(
            database,
            lambda c: find_panel_button(c, "f" * 32),
        )
        is None
    )


def test_a_card_for_which_news_keeps_coming_is_changed_all_the_same(
    database: Database, card: tuple[int, Digest]
) -> None:
    """News every 0.3 s for two seconds: it would never be due if each put it off by 0.7 s."""
    for number in range(8):
        run(database, lambda c, n=number: card_updates.request_card_updates(c, [card[0]], now=NOW + 300 * n))  # type: ignore[misc]
    due = run(database, lambda c: card_updates.list_due(c, now=NOW + 700, limit=9, in_flight_ids=()))

    assert [card[0]] == [each.delivery_id for each in due]
    assert [8] == [each.requested_version for each in due]
