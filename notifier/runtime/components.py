"""Builds the components of the data flow from what they share."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Self, TypedDict

from notifier import metrics
from notifier.cards.render import Renderer
from notifier.clock import HOUR_MS, Clock, JumpGuard, MeasuredClock, Millis, SystemClock
from notifier.config.operators import get_open_ids
from notifier.config.settings import Config
from notifier.domain.answers.question import Command
from notifier.domain.delivery import RetryPolicy
from notifier.domain.rate_limit import RateLimit
from notifier.domain.route import AddressBook
from notifier.feishu.api import FeishuApi
from notifier.feishu.messages import FeishuMessageSender
from notifier.feishu.question_wire import read_question
from notifier.feishu.referral_accounts import FeishuReferralAccounts
from notifier.feishu.wire import encode_balance_reading, read_balance_report
from notifier.feishu.withdrawal_wire import read_click
from notifier.flow.answers.answer_questions import AnswerDeps, QuestionAnswerer
from notifier.flow.deliveries.deliver import DeliverDeps, Deliverer
from notifier.flow.deliveries.release_held import HeldReleaser, ReleaseDeps
from notifier.flow.deliveries.resolve_recipients import RecipientResolver, ResolveDeps
from notifier.flow.deliveries.update_cards import CardUpdater, UpdateDeps
from notifier.flow.digests.send_due import DigestSender
from notifier.flow.events.apply_events import ApplyDeps
from notifier.flow.events.reconcile import Reconciler
from notifier.flow.events.store_questions import AskDeps
from notifier.flow.notices import NoticeWriter
from notifier.flow.ports import PayoutGateway
from notifier.flow.upkeep.prune import Pruner
from notifier.flow.withdrawals.batch import BatchDeps, Batcher
from notifier.flow.withdrawals.click import ClickDeps, ClickHandler
from notifier.flow.withdrawals.submit_payouts import PayoutSubmitter, SubmitDeps
from notifier.flow.withdrawals.withdraw import WithdrawDeps, Withdrawer
from notifier.runtime.event_applier import EventApplier
from notifier.runtime.factories import (
    late_after_ms,
    make_address_book,
    make_digest_deps,
    make_hold_rules,
    make_notice_writer,
    make_prune_deps,
    make_reconcile_deps,
    make_renderer,
    make_routes,
    make_sending_limits,
    make_withdraw_offer,
)
from notifier.runtime.lifecycle import Drainable
from notifier.runtime.wakeups import Wakeups
from notifier.runtime.worker_pool import WorkerName, WorkerPool
from notifier.store import rate_limits
from notifier.store.engine.database import Database

SENDERS = (WorkerName.UPDATE_CARDS, WorkerName.RESOLVE_RECIPIENTS, WorkerName.DELIVER)
"""The workers that continue when cards change or new notices exist."""
MAX_CARD_UPDATES_PER_SECOND = 15
CARD_UPDATE_BURST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the components share."""

    config: Config
    """The configuration."""
    clock: Clock
    """The source of the current time."""
    database: Database
    """The open database."""
    api: FeishuApi
    """The client of Feishu's API; open."""
    workers: WorkerPool
    """The workers of every process, or of the leader."""
    worker_id: str
    """Identifies this process in the database: 32 hexadecimal digits."""
    started_at: Millis
    """When this process started."""
    sender: FeishuMessageSender
    """Sends messages to Feishu."""
    referral_accounts: FeishuReferralAccounts
    """Reads and withdraws from referral accounts."""
    renderer: Renderer
    """Renders cards."""
    address_book: AddressBook
    """The recipients of the configuration."""
    notices: NoticeWriter
    """Writes notices."""
    operators: dict[str, Collection[str]]
    """For each group of the configuration, the open_ids that may withdraw there. OperatorResolver adds to it."""
    is_clock_doubtful: Callable[[], bool]
    """Whether the clock has jumped ahead and may be wrong."""

    @classmethod
    def create(
        cls,
        config: Config,
        clock: Clock,
        database: Database,
        api: FeishuApi,
        worker_id: str,
        started_at: Millis,
        *,
        last_seen: Millis | None = None,
    ) -> Self:
        """Builds what the configuration describes. Call it inside a running event loop.

        last_seen: last time of an earlier process whose clock was plausible, Unix milliseconds; None: unknown.
        """
        return cls(
            config=config,
            clock=clock,
            database=database,
            api=api,
            workers=WorkerPool(name for name in WorkerName if not name.is_leaders),
            is_clock_doubtful=_make_doubt(clock, last_seen),
            worker_id=worker_id,
            started_at=started_at,
            **make_senders(api),
            renderer=make_renderer(config, clock),
            address_book=make_address_book(config),
            notices=make_notice_writer(config),
            operators={name: get_open_ids(group) for name, group in config.groups.items()},
        )


class Senders(TypedDict):
    """What calls Feishu."""

    sender: FeishuMessageSender
    referral_accounts: FeishuReferralAccounts


def make_senders(api: FeishuApi) -> Senders:
    """Returns what calls Feishu with this client."""
    return {"sender": FeishuMessageSender(api), "referral_accounts": FeishuReferralAccounts(api)}


def _make_doubt(clock: Clock, last_seen: Millis | None) -> Callable[[], bool]:
    """A clock that somebody sets on purpose, as the sandbox does, is never doubted."""
    if not isinstance(clock, SystemClock | MeasuredClock):
        return lambda: False
    return JumpGuard(clock, last_seen=last_seen).is_doubtful


def assign_calling_workers(shared: Shared, gateway: PayoutGateway | None) -> tuple[Drainable, ...]:
    """Assigns the work of every worker that calls Feishu or the payroll system.

    gateway: the payroll system; None where payouts are only exported.
    Returns the components whose running calls must end before the program does.
    """
    workers = shared.workers
    _declare_limits(shared.config)
    deliverer = build_deliverer(shared)
    resolver = build_recipient_resolver(shared)
    withdrawer = build_withdrawer(shared)
    card_updater = build_card_updater(shared)
    payout_submitter = build_payout_submitter(shared, gateway)
    answerer = build_question_answerer(shared)
    workers.assign(WorkerName.DELIVER, deliverer.run_once)
    workers.assign(WorkerName.RELEASE_HELD, build_held_releaser(shared).run_once)
    workers.assign(WorkerName.RESOLVE_RECIPIENTS, resolver.run_once)
    workers.assign(WorkerName.WITHDRAW, withdrawer.run_once)
    workers.assign(WorkerName.UPDATE_CARDS, card_updater.run_once)
    workers.assign(WorkerName.SUBMIT_PAYOUTS, payout_submitter.run_once)
    workers.assign(WorkerName.ANSWER_QUESTIONS, answerer.run_once)
    return deliverer, resolver, withdrawer, card_updater, payout_submitter, answerer


def _declare_limits(config: Config) -> None:
    """Shows the limits that the workers below keep, in the metrics of this process."""
    per_second = {
        rate_limits.UPDATES: _card_updates_per_second(config),
        rate_limits.LOOKUPS: config.referrers.lookups_per_second,
        rate_limits.RECONCILIATIONS: config.reconciliation.reads_per_second,
        rate_limits.WITHDRAWALS: config.withdrawals.per_minute / 60,
    }
    for limiter, allowed in per_second.items():
        metrics.declare_limit(limiter, per_second=allowed)


def build_deliverer(shared: Shared) -> Deliverer:
    """Builds the component that sends cards and files."""
    config = shared.config
    deps = DeliverDeps(
        sender=shared.sender,
        renderer=shared.renderer,
        address_book=shared.address_book,
        withdraw_offer=make_withdraw_offer(config),
        sending_limits=make_sending_limits(config),
        retry_policy=RetryPolicy(give_up_after_ms=round(config.sending.give_up_after_hours * HOUR_MS)),
        clock=shared.clock,
        worker_id=shared.worker_id,
        hold_rules=make_hold_rules(config),
    )
    return Deliverer(shared.database, deps, wake=shared.workers.waker(WorkerName.DELIVER))


def build_held_releaser(shared: Shared) -> HeldReleaser:
    """Builds the component that releases deliveries which their recipients wanted later."""
    deps = ReleaseDeps(
        clock=shared.clock,
        wake=shared.workers.waker(WorkerName.DELIVER),
        rules=make_hold_rules(shared.config),
    )
    return HeldReleaser(shared.database, deps)


def build_recipient_resolver(shared: Shared) -> RecipientResolver:
    """Builds the component that looks up the referrer of a new account."""
    deps = ResolveDeps(
        referral_accounts=shared.referral_accounts,
        address_book=shared.address_book,
        limit=RateLimit(per_second=shared.config.referrers.lookups_per_second),
        clock=shared.clock,
        wake=shared.workers.waker(WorkerName.DELIVER),
    )
    return RecipientResolver(shared.database, deps, wake=shared.workers.waker(WorkerName.RESOLVE_RECIPIENTS))


def build_event_applier(shared: Shared, is_burst: Callable[[], bool]) -> EventApplier:
    """Builds the component that applies stored events to the ledger. is_burst: see `EventApplier`."""
    deps = ApplyDeps(
        read=read_balance_report,
        routes=make_routes(shared.config),
        notices=shared.notices,
        clock=shared.clock,
        ask=_make_ask_deps(shared.config),
    )
    wake = shared.workers.waker(
        WorkerName.RESOLVE_RECIPIENTS, WorkerName.DELIVER, WorkerName.ANSWER_QUESTIONS
    )
    return EventApplier(shared.database, deps, is_burst=is_burst, wake=wake)


def _make_ask_deps(config: Config) -> AskDeps | None:
    if not config.answers.enabled:
        return None
    return AskDeps(read=read_question, commands=frozenset(Command))


def build_question_answerer(shared: Shared) -> QuestionAnswerer:
    """Builds the component that answers questions to the bot."""
    config = shared.config
    deps = AnswerDeps(
        referral_accounts=shared.referral_accounts,
        limit=RateLimit(per_second=config.referrers.lookups_per_second),
        withdraw_offer=make_withdraw_offer(config),
        address_book=shared.address_book,
        max_age_ms=round(config.referrers.max_age_hours * HOUR_MS),
        encode_reading=encode_balance_reading,
        clock=shared.clock,
        wake=shared.workers.waker(WorkerName.APPLY_EVENTS, WorkerName.DELIVER),
    )
    return QuestionAnswerer(shared.database, deps, wake=shared.workers.waker(WorkerName.ANSWER_QUESTIONS))


def build_card_updater(shared: Shared) -> CardUpdater:
    """Builds the component that changes cards which were already sent."""
    deps = UpdateDeps(
        withdraw_offer=make_withdraw_offer(shared.config),
        sender=shared.sender,
        notices=shared.notices,
        renderer=shared.renderer,
        limit=RateLimit(per_second=_card_updates_per_second(shared.config), burst=CARD_UPDATE_BURST),
        clock=shared.clock,
        hold_rules=make_hold_rules(shared.config),
    )
    return CardUpdater(shared.database, deps, wake=shared.workers.waker(WorkerName.UPDATE_CARDS))


def _card_updates_per_second(config: Config) -> float:
    return min(config.sending.per_second, MAX_CARD_UPDATES_PER_SECOND)


def build_payout_submitter(shared: Shared, gateway: PayoutGateway | None) -> PayoutSubmitter:
    """Builds the component that submits payouts. gateway: None where payouts are only exported."""
    deps = SubmitDeps(
        gateway=gateway,
        notices=shared.notices,
        give_up_after_ms=round(shared.config.payouts.give_up_after_hours * HOUR_MS),
        late_after_ms=late_after_ms(shared.config),
        clock=shared.clock,
        wake=shared.workers.waker(*SENDERS),
    )
    return PayoutSubmitter(shared.database, deps, wake=shared.workers.waker(WorkerName.SUBMIT_PAYOUTS))


def build_withdrawer(shared: Shared) -> Withdrawer:
    """Builds the component that withdraws amounts at Feishu."""
    deps = WithdrawDeps(
        referral_accounts=shared.referral_accounts,
        notices=shared.notices,
        limit=RateLimit(per_second=shared.config.withdrawals.per_minute / 60),
        clock=shared.clock,
        worker_id=shared.worker_id,
        encode_reading=encode_balance_reading,
        wake=shared.workers.waker(*SENDERS, WorkerName.SUBMIT_PAYOUTS, WorkerName.APPLY_EVENTS),
    )
    return Withdrawer(shared.database, deps, wake=shared.workers.waker(WorkerName.WITHDRAW))


def build_batcher(shared: Shared) -> Batcher:
    """Builds the component that turns "withdraw all" into one order for each account."""
    deps = BatchDeps(
        app_id=shared.config.feishu.app_id,
        withdraw_offer=make_withdraw_offer(shared.config),
        address_book=shared.address_book,
        operators=shared.operators,
        clock=shared.clock,
        wake=shared.workers.waker(WorkerName.WITHDRAW, WorkerName.UPDATE_CARDS),
    )
    return Batcher(shared.database, deps)


def build_click_handler(shared: Shared, wakeups: Wakeups) -> ClickHandler:
    """Builds the component that decides what a click on a card does."""
    continued_by = (WorkerName.BATCH, WorkerName.WITHDRAW, WorkerName.RELEASE_HELD, WorkerName.DELIVER)
    deps = ClickDeps(
        read=read_click,
        withdraw_offer=make_withdraw_offer(shared.config),
        address_book=shared.address_book,
        operators=shared.operators,
        renderer=shared.renderer,
        clock=shared.clock,
        wake=wakeups.waker(*continued_by),
        announce=wakeups.announce_to(*continued_by),
        hold_rules=make_hold_rules(shared.config),
    )
    return ClickHandler(shared.database, deps)


def build_reconciler(
    shared: Shared,
    *,
    connected_since: Callable[[], Millis | None],
    on_not_receiving: Callable[[], None],
) -> Reconciler:
    """Builds the component that compares the ledger with the balances at Feishu.

    connected_since: since when every event that arrived was stored, None while none can arrive.
    on_not_receiving: called when a missed event proves that the connection delivers nothing.
    """
    deps = make_reconcile_deps(
        shared.config,
        shared.referral_accounts,
        shared.clock,
        connected_since=connected_since,
        wake=shared.workers.waker(WorkerName.APPLY_EVENTS),
        on_not_receiving=on_not_receiving,
    )
    return Reconciler(shared.database, deps, wake=shared.workers.waker(WorkerName.RECONCILE))


def build_digest_sender(shared: Shared) -> DigestSender:
    """Builds the component that sends the digests which are due."""
    wake = shared.workers.waker(*SENDERS)
    deps = make_digest_deps(
        shared.config, shared.renderer, shared.clock, wake, is_clock_doubtful=shared.is_clock_doubtful
    )
    return DigestSender(shared.database, deps)


def build_pruner(shared: Shared, is_burst: Callable[[], bool]) -> Pruner:
    """Builds the component that deletes old rows, except while many events arrive."""
    deps = make_prune_deps(
        shared.config, shared.clock, busy=is_burst, is_clock_doubtful=shared.is_clock_doubtful
    )
    return Pruner(shared.database, deps)
