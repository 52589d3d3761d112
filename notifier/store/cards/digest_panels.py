"""Digest panels: the withdraw part of a digest card, with its buttons, accounts and results."""

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import OPEN_STATES, DeliveryState
from notifier.domain.digest import Digest, Holder
from notifier.domain.digest_panel import Action, DigestPanel, Option, PanelButton, Result, SkipReason
from notifier.domain.ledger import content_of, read_content
from notifier.domain.money import Amounts, Kind
from notifier.domain.payout import PayoutState
from notifier.domain.route import AddressBook
from notifier.domain.withdrawal import WithdrawalState, withdrawable
from notifier.store.cards import batches, superseding
from notifier.store.cards.buttons import Offer, ensure_buttons
from notifier.store.engine.sql import insert_or_ignore
from notifier.store.schema.tables import accounts, buttons, deliveries, panel_buttons, payouts, withdrawals

_SqlRow = sa.Row[*tuple[Any, ...]]
_RETRYABLE = (WithdrawalState.REFUSED, WithdrawalState.AMOUNT_CHANGED, WithdrawalState.ENDED)
"""Orders that withdrew nothing although there was a balance. The retry button requests them again."""


@dataclass(frozen=True, slots=True)
class _PanelAccount:
    """An account in the panel: its newest button, all its withdrawals, and why a batch of this card skipped it.

    amounts: what the button offers. is_superseded: whether a newer card in the chat offers the account.
    """

    button_ref: str
    """Opaque id of its newest button."""
    withdrawal_count: int
    """Of that button."""
    amounts: Amounts
    """What that button offers."""
    delivery_id: int
    """Delivery of the digest card."""
    holder: Holder
    """The account as the digest lists it."""
    withdrawals: tuple[_SqlRow, ...]
    """All its withdrawals, oldest first."""
    skip: batches.SkippedAccount | None
    """Why a batch of this card skipped it; None: none did."""
    is_superseded: bool
    """Whether a newer card in the chat offers the account."""

    @property
    def newest_withdrawal(self) -> _SqlRow | None:
        """The newest order from this card with the withdrawal count of its button. Other cards do not count."""
        on_this_card = [
            row
            for row in self.withdrawals
            if (row.delivery_id, row.withdrawal_count) == (self.delivery_id, self.withdrawal_count)
        ]
        return on_this_card[-1] if on_this_card else None

    @property
    def skip_reason(self) -> SkipReason | None:
        """Why the account was skipped. None also if a later press ordered its withdrawal."""
        newest_withdrawal = self.newest_withdrawal
        if self.skip is None or (
            newest_withdrawal is not None and newest_withdrawal.requested_at >= self.skip.requested_at
        ):
            return None
        return self.skip.reason

    @property
    def can_withdraw(self) -> bool:
        """Whether a new withdrawal is possible."""
        withdrawn_count = sum(row.state == WithdrawalState.WITHDRAWN for row in self.withdrawals)
        has_unfinished = any(row.state == WithdrawalState.REQUESTED for row in self.withdrawals)
        newest_withdrawal = self.newest_withdrawal
        is_empty = newest_withdrawal is not None and newest_withdrawal.state == WithdrawalState.NOTHING
        is_empty = is_empty or self.skip_reason is SkipReason.EMPTY
        is_offered = withdrawn_count == self.withdrawal_count and not has_unfinished and not is_empty
        return is_offered and not self.is_superseded

    @property
    def can_retry(self) -> bool:
        """Whether the retry button, instead of the select, offers the account."""
        if self.skip_reason is not None:
            return self.skip_reason.may_pass and self.can_withdraw
        return (
            self.newest_withdrawal is not None
            and self.newest_withdrawal.state in _RETRYABLE
            and self.can_withdraw
        )


def create_buttons(
    connection: Connection,
    delivery_id: int,
    holders: Iterable[Holder],
    *,
    kinds: Collection[Kind],
    now: Millis,
) -> None:
    """Create a button for each account that can be withdrawn now. Idempotent per card.

    It offers the listed amounts of these kinds. An account is left out while it has an unfinished withdrawal, or one
    that no balance report includes yet.
    """
    rows = [
        {
            "ref": secrets.token_hex(8),
            "delivery_id": delivery_id,
            "account_ref": holder.account_ref,
            "withdrawal_count": withdrawal_count,
            "amounts": content_of(withdrawable(holder.amounts, kinds)),
            "offered_at": now,
        }
        for holder, withdrawal_count in _list_offered(connection, holders)
    ]
    insert_or_ignore(connection, buttons, rows)


def _list_offered(connection: Connection, holders: Iterable[Holder]) -> list[tuple[Holder, int]]:
    """The accounts that a new card can offer, each with its number of completed withdrawals."""
    holders = list(holders)
    withdrawals_by_account = _load_withdrawals(connection, [each.account_ref for each in holders])
    found = []
    for each in holders:
        account_withdrawals = withdrawals_by_account.get(each.account_ref, ())
        if not any(_blocks_button(row) for row in account_withdrawals):
            count = sum(row.state == WithdrawalState.WITHDRAWN for row in account_withdrawals)
            found.append((each, count))
    return found


def plan_panel(
    connection: Connection, holders: Iterable[Holder], *, kinds: Collection[Kind], placeholder: str
) -> DigestPanel:
    """The panel of a new card with these accounts. Only reads. placeholder: stands in for the ids of all buttons."""
    options = tuple(
        Option(
            button_ref=f"{placeholder}-{number}",
            account_ref=holder.account_ref,
            account_id=holder.account_id,
            referrer=holder.referrer,
            amounts=withdrawable(holder.amounts, kinds),
        )
        for number, (holder, _) in enumerate(_list_offered(connection, holders), start=1)
    )
    return DigestPanel(
        one=placeholder if options else "", all=placeholder if len(options) > 1 else "", options=options
    )


def renew_buttons(connection: Connection, offers: Sequence[Offer], *, now: Millis) -> None:
    """Offer the balance of today for accounts of these cards. Buttons for several accounts that list them go stale.

    offers: at most one for each account of a card.
    """
    if not offers:
        return
    newest = connection.execute(
        _NEWEST_OFFER, {"ids": sorted({each.delivery_id for each in offers})}
    ).scalar()
    ensure_buttons(connection, offers, now=max(now, (newest or 0) + 1))


_NEWEST_OFFER = sa.select(sa.func.max(buttons.c.offered_at)).where(
    buttons.c.delivery_id.in_(sa.bindparam("ids", expanding=True))
)


def renew_listed_button(
    connection: Connection, delivery_id: int, account_ref: int, *, amounts: Amounts, now: Millis
) -> None:
    """The same for the card whose button was pressed, if it lists several accounts; with its withdrawal count."""
    row = connection.execute(
        sa.select(deliveries.c.account_ref, sa.func.max(buttons.c.withdrawal_count).label("withdrawal_count"))
        .join(buttons, buttons.c.delivery_id == deliveries.c.id)
        .where(deliveries.c.id == delivery_id, buttons.c.account_ref == account_ref)
        .group_by(deliveries.c.id)
    ).first()
    if row is not None and row.account_ref is None:
        offer = Offer(
            delivery_id=delivery_id,
            account_ref=account_ref,
            withdrawal_count=row.withdrawal_count,
            amounts=amounts,
        )
        renew_buttons(connection, [offer], now=now)


def get_revision(connection: Connection, delivery_id: int) -> str:
    """Identifies the list that the card shows. It changes with every batch and with every renewed button."""
    batch_count = batches.count_batches(connection, delivery_id)
    newest_offer_at = connection.execute(_NEWEST_OFFER, {"ids": [delivery_id]}).scalar() or 0
    return f"{batch_count}.{newest_offer_at}"


def _blocks_button(row: _SqlRow) -> bool:
    is_not_in_ledger = row.state == WithdrawalState.WITHDRAWN and not row.is_in_ledger
    return bool(is_not_in_ledger or row.state == WithdrawalState.REQUESTED)


def _load_withdrawals(connection: Connection, refs: Collection[int]) -> Mapping[int, tuple[_SqlRow, ...]]:
    """All withdrawals by accounts.id, oldest first, each with the state of its payout."""
    rows = connection.execute(
        sa.select(
            withdrawals.c.account_ref,
            withdrawals.c.order_id,
            withdrawals.c.state,
            withdrawals.c.withdrawal_count,
            withdrawals.c.agreed,
            withdrawals.c.expected,
            withdrawals.c.withdrawn,
            withdrawals.c.is_in_ledger,
            withdrawals.c.delivery_id,
            withdrawals.c.requested_at,
            withdrawals.c.code,
            withdrawals.c.reason,
            payouts.c.state.label("payout"),
        )
        .outerjoin(payouts, payouts.c.order_id == withdrawals.c.order_id)
        .where(withdrawals.c.account_ref.in_(refs))
        .order_by(withdrawals.c.id)
    ).all()
    found: dict[int, list[_SqlRow]] = defaultdict(list)
    for row in rows:
        found[row.account_ref].append(row)
    return {ref: tuple(account_withdrawals) for ref, account_withdrawals in found.items()}


def _load_panel_accounts(connection: Connection, delivery_id: int, digest: Digest) -> list[_PanelAccount]:
    """The accounts with a button, in the order of the digest table."""
    buttons_by_account = {
        row.account_ref: row
        for row in connection.execute(
            sa.select(buttons)
            .where(buttons.c.delivery_id == delivery_id)
            .order_by(buttons.c.withdrawal_count, buttons.c.offered_at)
        ).all()
    }
    withdrawals_by_account = _load_withdrawals(connection, list(buttons_by_account))
    skips = batches.list_skipped(connection, delivery_id)
    shown_later = superseding.list_accounts_shown_later(connection, delivery_id)
    return [
        _PanelAccount(
            buttons_by_account[ref].ref,
            buttons_by_account[ref].withdrawal_count,
            read_content(buttons_by_account[ref].amounts),
            delivery_id,
            holder,
            withdrawals_by_account.get(ref, ()),
            skips.get(ref),
            ref in shown_later,
        )
        for holder in digest.holders
        if (ref := holder.account_ref) in buttons_by_account
    ]


def get_panel(connection: Connection, delivery_id: int, digest: Digest, *, now: Millis) -> DigestPanel:
    """The newest state of the panel. It is empty if the card has no withdraw button."""
    panel_accounts = _load_panel_accounts(connection, delivery_id, digest)
    if not panel_accounts:
        return DigestPanel()
    progress = batches.get_progress(connection, delivery_id)
    is_idle = progress is None or not progress.running
    options = tuple(
        Option(
            button_ref=account.button_ref,
            account_ref=account.holder.account_ref,
            account_id=account.holder.account_id,
            referrer=account.holder.referrer,
            amounts=account.amounts,
        )
        for account in panel_accounts
        if account.can_withdraw and not account.can_retry
    )
    can_retry = any(account.can_retry for account in panel_accounts)

    def offer(action: Action, *, wanted: bool) -> str:
        return ensure_panel_button(connection, delivery_id, action, now=now) if wanted else ""

    return DigestPanel(
        one=offer(Action.ONE, wanted=bool(options) and is_idle),
        all=offer(Action.ALL, wanted=len(options) > 1 and is_idle),
        retry=offer(Action.RETRY, wanted=can_retry and is_idle),
        options=options if is_idle else (),
        results=tuple(result for account in panel_accounts if (result := _to_result(account)) is not None),
        progress=progress,
        superseded=sum(account.is_superseded for account in panel_accounts),
    )


def _to_result(account: _PanelAccount) -> Result | None:
    """The result of the account on this card; None if the card has no order or skip for it."""
    order = account.newest_withdrawal
    if account.skip_reason is not None:
        return Result(
            account_id=account.holder.account_id,
            referrer=account.holder.referrer,
            state=None,
            order_id="",
            amounts=account.amounts,
            skipped=account.skip_reason,
            again=account.can_retry,
        )
    if order is None:
        return None
    return Result(
        account_id=account.holder.account_id,
        referrer=account.holder.referrer,
        state=WithdrawalState(order.state),
        order_id=order.order_id,
        amounts=_amounts(order, account.amounts),
        payout=PayoutState(order.payout) if order.payout else None,
        code=order.code,
        reason=order.reason or "",
        again=account.can_retry,
    )


def _amounts(order: _SqlRow, offered: Amounts) -> Amounts:
    """The withdrawn amounts; before the end the agreed ones; after a failure what the retry button offers."""
    match order.state:
        case WithdrawalState.NOTHING:
            return {}
        case state if state in _RETRYABLE:
            return offered
        case _:
            return read_content(order.withdrawn or order.agreed)


def list_candidates(
    connection: Connection, delivery_id: int, digest: Digest, action: Action
) -> dict[int, str]:
    """Button ref by accounts.id: the accounts that this action would withdraw."""
    return {
        account.holder.account_ref: account.button_ref
        for account in _load_panel_accounts(connection, delivery_id, digest)
        if (account.can_retry if action is Action.RETRY else account.can_withdraw and not account.can_retry)
    }


def ensure_panel_button(connection: Connection, delivery_id: int, action: Action, *, now: Millis) -> str:
    """The ref of the panel button for the current revision. Every rendering gets the same one."""
    revision = get_revision(connection, delivery_id)
    insert_or_ignore(
        connection,
        panel_buttons,
        [
            {
                "ref": secrets.token_hex(16),
                "delivery_id": delivery_id,
                "action": action,
                "revision": revision,
                "created_at": now,
            }
        ],
    )
    return connection.execute(
        sa.select(panel_buttons.c.ref).where(
            panel_buttons.c.delivery_id == delivery_id,
            panel_buttons.c.action == action,
            panel_buttons.c.revision == revision,
        )
    ).scalar_one()


_LOAD_PANEL_BUTTONS = (
    sa.select(
        panel_buttons,
        deliveries.c.message_id,
        deliveries.c.state,
        deliveries.c.updated_at,
        deliveries.c.receive_id_type,
        deliveries.c.receive_id,
    )
    .join(deliveries, deliveries.c.id == panel_buttons.c.delivery_id)
    .where(panel_buttons.c.ref.in_(sa.bindparam("refs", expanding=True)))
)
_LOAD_APPS = (
    sa.select(buttons.c.delivery_id, accounts.c.tenant_key, accounts.c.app_id)
    .join(accounts, accounts.c.id == buttons.c.account_ref)
    .where(buttons.c.delivery_id.in_(sa.bindparam("ids", expanding=True)))
    .distinct()
)


def load_panel_buttons(
    connection: Connection, refs: Collection[str], *, address_book: AddressBook
) -> dict[str, PanelButton]:
    """The panel buttons that exist of these, by ref."""
    rows = connection.execute(_LOAD_PANEL_BUTTONS, {"refs": sorted(refs)}).all() if refs else []
    if not rows:
        return {}
    found = connection.execute(_LOAD_APPS, {"ids": sorted({row.delivery_id for row in rows})})
    apps = {each.delivery_id: each for each in found}
    return {row.ref: _to_panel_button(row, apps.get(row.delivery_id), address_book) for row in rows}


def _to_panel_button(row: _SqlRow, app: _SqlRow | None, address_book: AddressBook) -> PanelButton:
    return PanelButton(
        action=Action(row.action),
        delivery_id=row.delivery_id,
        revision=row.revision,
        tenant_key=app.tenant_key if app else "",
        app_id=app.app_id if app else "",
        group=address_book.group_at(row.receive_id) if row.receive_id_type == "chat_id" else None,
        posted_at=row.updated_at if row.state == DeliveryState.SENT else row.created_at,
        message_id=row.message_id,
        is_unconfirmed=row.message_id is None and row.state in OPEN_STATES,
    )
