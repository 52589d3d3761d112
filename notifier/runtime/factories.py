"""Converts the configuration to the values that the components need."""

from collections.abc import Callable, Collection, MutableMapping

from notifier.cards.balance_text import own_line
from notifier.cards.digest_fit import make_digest_fit
from notifier.cards.render import OwnLines, Renderer
from notifier.cards.rules import card_problems
from notifier.cards.templates import CardTemplates
from notifier.clock import HOUR_MS, Clock, Millis
from notifier.config.operators import list_operator_emails
from notifier.config.settings import Config
from notifier.domain.preferences.choices import read_minute
from notifier.domain.preferences.holding import HoldRules
from notifier.domain.rate_limit import RateLimit, SendingLimits
from notifier.domain.route import AddressBook, Condition, Route
from notifier.domain.withdrawal import WithdrawOffer
from notifier.feishu.api import AppAccess, FeishuApi
from notifier.feishu.currency import currency_code
from notifier.feishu.people import find_people
from notifier.feishu.webhook.request import WebhookAccess
from notifier.feishu.wire import encode_balance_reading
from notifier.flow.digests.send_digest import DigestDeps
from notifier.flow.events.reconcile import ReconcileDeps
from notifier.flow.notices import NoticeWriter
from notifier.flow.ports import ReferralAccounts
from notifier.flow.upkeep.operators import OperatorResolver, UnresolvedOperator
from notifier.flow.upkeep.prune import PruneDeps
from notifier.payroll.client import PayrollAccess
from notifier.store.engine.database import Database

CLAIM_AHEAD_MS = 60
"""Deliveries are claimed this much before their calls start. Feishu counts the calls of each second, so they are paced
one by one; a claim for each would cost more than the call.
"""


def make_app_access(config: Config) -> AppAccess:
    """Returns the address and the credentials of the app at Feishu, from `feishu`."""
    return AppAccess(
        base_url=config.feishu.base_url,
        app_id=config.feishu.app_id,
        app_secret=config.feishu.app_secret.get_secret_value(),
        timeout_seconds=config.feishu.timeout_seconds,
    )


def make_webhook_access(config: Config) -> WebhookAccess:
    """Returns what the webhook endpoint needs to verify a request, from `webhook`."""
    webhook = config.webhook
    return WebhookAccess(
        app_id=config.feishu.app_id,
        path=webhook.path,
        encrypt_key=webhook.encrypt_key.get_secret_value(),
        verification_token=webhook.verification_token.get_secret_value(),
        replay_window_seconds=webhook.replay_window_seconds,
    )


def make_address_book(config: Config) -> AddressBook:
    """Returns the chat of each group, and the name of the fallback group."""
    return AddressBook(
        groups={name: group.chat_id for name, group in config.groups.items()}, fallback=config.fallback_group
    )


def make_hold_rules(config: Config) -> HoldRules:
    """Returns what applies to every person whose notices wait, from `preferences` and `cards.time_zone`."""
    return HoldRules(digest_at=read_minute(config.preferences.digest_at), zone=config.cards.time_zone)


def make_routes(config: Config) -> tuple[Route, ...]:
    """Returns the notification rules, in the order in which they are evaluated."""
    return tuple(
        Route(
            name=route.name,
            when=Condition(
                directions=frozenset(route.when.direction),
                kinds=frozenset(route.when.kind),
                currencies=frozenset(currency_code(currency) for currency in route.when.currency),
                accounts=frozenset(route.when.account),
                least_amount=route.when.least_amount,
            ),
            targets=route.to,
            keep_going=route.keep_going,
        )
        for route in config.routes
    )


def make_reconcile_deps(
    config: Config,
    accounts: ReferralAccounts,
    clock: Clock,
    *,
    connected_since: Callable[[], Millis | None],
    wake: Callable[[], None],
    on_not_receiving: Callable[[], None],
) -> ReconcileDeps:
    """Returns the dependencies of the reconciler.

    connected_since: since when every event that arrived was stored, None while none can arrive.
    wake: called when a missed change was found. on_not_receiving: called when it proves that the connection is broken.
    """
    settings = config.reconciliation
    return ReconcileDeps(
        referral_accounts=accounts,
        app_id=config.feishu.app_id,
        limit=RateLimit(per_second=config.referrers.lookups_per_second),
        own_limit=RateLimit(per_second=settings.reads_per_second),
        every_ms=None if settings.every_hours is None else round(settings.every_hours * HOUR_MS),
        on_connect=settings.on_connect,
        grace_ms=round(settings.grace_seconds * 1000),
        encode_reading=encode_balance_reading,
        connected_since=connected_since,
        clock=clock,
        wake=wake,
        on_not_receiving=on_not_receiving,
    )


def make_renderer(config: Config, clock: Clock) -> Renderer:
    """Returns the renderer of the configured card templates. It checks each card against Feishu's rules."""
    templates = CardTemplates(config.cards.template_dir)
    _ = templates.texts  # read at start-up, so that faults in the company's texts are logged then
    return Renderer(
        templates,
        has_settings=config.answers.enabled,
        check=card_problems,
        zone=config.cards.time_zone,
        clock=clock,
        withdraw_offer=make_withdraw_offer(config),
        per_minute=config.withdrawals.per_minute,
        own_lines=OwnLines(
            contact=own_line(config.cards.contact.zh, config.cards.contact.en),
            payday=own_line(config.cards.payday.zh, config.cards.payday.en),
            payroll_contact=own_line(config.payouts.contact.zh, config.payouts.contact.en),
        ),
    )


def make_withdraw_offer(config: Config) -> WithdrawOffer:
    """Returns whose cards carry the withdraw button, for which kinds and from which amount, from `withdrawals`."""
    settings = config.withdrawals
    return WithdrawOffer(
        targets=frozenset(settings.offer_to), kinds=tuple(settings.kinds), least_amount=settings.least_amount
    )


def late_after_ms(config: Config) -> Millis | None:
    """Returns how long a payout may stay open before an alarm, in milliseconds; None for no alarm."""
    days = config.payouts.alarm_after_days
    return None if days is None else round(days * 24 * HOUR_MS)


def make_digest_deps(
    config: Config,
    renderer: Renderer,
    clock: Clock,
    wake: Callable[[], None],
    *,
    is_clock_doubtful: Callable[[], bool] = lambda: False,
) -> DigestDeps:
    """Returns the dependencies of the digests. wake: called when a digest was created."""
    return DigestDeps(
        plans=config.digest_plans(),
        notices=make_notice_writer(config),
        fit=make_digest_fit(renderer),
        kinds=tuple(config.withdrawals.kinds),
        late_after_ms=late_after_ms(config),
        clock=clock,
        wake=wake,
        is_clock_doubtful=is_clock_doubtful,
    )


def make_notice_writer(config: Config) -> NoticeWriter:
    """Returns the writer of notices, with the alarm group and the maximum age of a looked-up referrer."""
    return NoticeWriter(
        address_book=make_address_book(config),
        max_age_ms=round(config.referrers.max_age_hours * HOUR_MS),
        alarm_group=config.payouts.alarm_group or config.fallback_group,
    )


def make_payroll_access(config: Config) -> PayrollAccess:
    """Returns the address and the secret of the payroll system, from `payouts`."""
    return PayrollAccess(
        url=config.payouts.url,
        secret=config.payouts.secret.get_secret_value(),
        timeout_seconds=config.payouts.timeout_seconds,
    )


def make_sending_limits(config: Config) -> SendingLimits:
    """Returns the rate limits for sending, for the app and for each chat, from `sending`."""
    sending = config.sending
    return SendingLimits(
        app=RateLimit(per_second=sending.per_second),
        chat=RateLimit(per_second=sending.per_chat_per_second),
        per_minute=sending.per_minute,
        ahead_ms=CLAIM_AHEAD_MS,
    )


def make_prune_deps(
    config: Config,
    clock: Clock,
    *,
    busy: Callable[[], bool],
    is_clock_doubtful: Callable[[], bool] = lambda: False,
) -> PruneDeps:
    """Returns the retention times. busy: whether the pruner must wait, because other work needs the database."""
    retention = config.retention
    return PruneDeps(
        events_days=retention.events_days,
        deliveries_days=retention.deliveries_days,
        clock=clock,
        busy=busy,
        is_clock_doubtful=is_clock_doubtful,
    )


def make_operator_resolver(
    config: Config,
    database: Database,
    clock: Clock,
    api: FeishuApi,
    operators: MutableMapping[str, Collection[str]],
) -> OperatorResolver:
    """Returns what resolves operators that are written as e-mail addresses. operators: it adds to this mapping."""

    async def find_open_ids(emails: Collection[str]) -> dict[str, str]:
        return {email: person.open_id for email, person in (await find_people(api, emails=emails)).items()}

    unresolved = [
        UnresolvedOperator(key=each.key, group=each.group, email=each.email)
        for each in list_operator_emails(config)
    ]
    return OperatorResolver(database, clock, find_open_ids, unresolved, operators)
