"""Parts: what the configuration says, as the values that the program is built from."""

from collections.abc import Callable

from notifier.cards.digest_fit import fitting
from notifier.cards.render import Renderer
from notifier.cards.templates import CardTemplates
from notifier.clock import Clock, Millis
from notifier.config.settings import Config
from notifier.domain.delivery import HOUR_MS
from notifier.domain.rate_limit import Pace, SendingPace
from notifier.domain.route import AddressBook, Condition, Route
from notifier.domain.withdrawal import Offer
from notifier.feishu.api import AppAccess
from notifier.feishu.card_rules import card_problems
from notifier.feishu.currency import currency_code
from notifier.feishu.webhook.request import WebhookAccess
from notifier.feishu.wire import write_reading
from notifier.flow.digests.digest import DigestParts
from notifier.flow.events.reconcile import RefreshParts
from notifier.flow.notices import Telling
from notifier.flow.ports import Treasury
from notifier.flow.upkeep.prune import PruneParts
from notifier.payroll.client import PayrollAccess


def access(config: Config) -> AppAccess:
    return AppAccess(
        base_url=config.feishu.base_url,
        app_id=config.feishu.app_id,
        app_secret=config.feishu.app_secret.get_secret_value(),
        timeout_seconds=config.feishu.timeout_seconds,
    )


def webhook_access(config: Config) -> WebhookAccess:
    webhook = config.webhook
    return WebhookAccess(
        app_id=config.feishu.app_id,
        path=webhook.path,
        encrypt_key=webhook.encrypt_key.get_secret_value(),
        verification_token=webhook.verification_token.get_secret_value(),
        replay_window_seconds=webhook.replay_window_seconds,
    )


def address_book(config: Config) -> AddressBook:
    return AddressBook(
        groups={name: group.chat_id for name, group in config.groups.items()}, fallback=config.fallback_group
    )


def routes(config: Config) -> tuple[Route, ...]:
    return tuple(
        Route(
            name=route.name,
            when=Condition(
                directions=frozenset(route.when.direction),
                kinds=frozenset(route.when.kind),
                currencies=frozenset(currency_code(each) for each in route.when.currency),
                accounts=frozenset(route.when.account),
                least_amount=route.when.least_amount,
            ),
            targets=route.to,
            keep_going=route.keep_going,
        )
        for route in config.routes
    )


def refresh_parts(
    config: Config,
    treasury: Treasury,
    clock: Clock,
    *,
    connected_since: Callable[[], Millis | None],
    wake: Callable[[], None],
    deaf: Callable[[], None],
) -> RefreshParts:
    wanted = config.refresh
    return RefreshParts(
        outside=treasury,
        app_id=config.feishu.app_id,
        pace=Pace(per_second=config.referrers.lookups_per_second),
        own_pace=Pace(per_second=wanted.reads_per_second),
        every_ms=None if wanted.every_hours is None else round(wanted.every_hours * HOUR_MS),
        on_connect=wanted.on_connect,
        grace_ms=round(wanted.grace_seconds * 1000),
        write=write_reading,
        connected_since=connected_since,
        clock=clock,
        wake=wake,
        deaf=deaf,
    )


def renderer(config: Config, clock: Clock) -> Renderer:
    return Renderer(
        CardTemplates(config.cards.template_dir),
        check=card_problems,
        zone=config.cards.time_zone,
        clock=clock,
        offer=offer(config),
        per_minute=config.withdrawals.per_minute,
    )


def offer(config: Config) -> Offer:
    wanted = config.withdrawals
    return Offer(
        targets=frozenset(wanted.offer_to), kinds=tuple(wanted.kinds), least_amount=wanted.least_amount
    )


def digest_parts(config: Config, drawing: Renderer, clock: Clock, wake: Callable[[], None]) -> DigestParts:
    days = config.payouts.alarm_after_days
    return DigestParts(
        plans=config.digest_plans(),
        telling=telling(config),
        fit=fitting(drawing),
        kinds=tuple(config.withdrawals.kinds),
        late_after_ms=None if days is None else round(days * 24 * HOUR_MS),
        clock=clock,
        wake=wake,
    )


def telling(config: Config) -> Telling:
    return Telling(
        book=address_book(config),
        max_age_ms=round(config.referrers.max_age_hours * HOUR_MS),
        alarm_group=config.payouts.alarm_group or config.fallback_group,
    )


def payroll_access(config: Config) -> PayrollAccess:
    return PayrollAccess(
        url=config.payouts.url,
        secret=config.payouts.secret.get_secret_value(),
        timeout_seconds=config.payouts.timeout_seconds,
    )


def sending_pace(config: Config) -> SendingPace:
    sending = config.sending
    return SendingPace(
        app=Pace(per_second=sending.per_second, burst=3),
        chat=Pace(per_second=sending.per_chat_per_second),
        per_minute=sending.per_minute,
    )


def prune_parts(config: Config, clock: Clock, *, busy: Callable[[], bool]) -> PruneParts:
    kept = config.retention
    return PruneParts(
        events_days=kept.events_days, deliveries_days=kept.deliveries_days, clock=clock, busy=busy
    )
