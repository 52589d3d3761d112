"""The whole configuration, and the checks that concern several sections. config/sections.py has the settings.

config/loader.py reads it from YAML and the environment. config.example.yaml and docs/configuration.md explain each
setting to users.
"""

import difflib
from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from notifier.clock import HOUR_MS
from notifier.config.digests import GROUP_NAME, CalendarConfig, DigestConfig
from notifier.config.fields import Section
from notifier.config.sections import (
    CardConfig,
    FeishuConfig,
    GroupConfig,
    HealthConfig,
    LogConfig,
    PayoutConfig,
    ReconciliationConfig,
    ReferrerConfig,
    RetentionConfig,
    RouteConfig,
    SendingConfig,
    StoreConfig,
    Transport,
    WebhookConfig,
    WithdrawalConfig,
)
from notifier.domain.digest import DigestPlan
from notifier.domain.period import working_days
from notifier.domain.route import REFERRER


class Config(Section):
    """All settings. config.example.yaml explains each."""

    feishu: FeishuConfig = FeishuConfig()
    """The app and how events arrive."""
    webhook: WebhookConfig = WebhookConfig()
    """The webhook, if events arrive by it."""
    store: StoreConfig = StoreConfig()
    """Where data is stored."""
    cards: CardConfig = CardConfig()
    """How cards look."""
    groups: Mapping[str, GroupConfig] = Field(default_factory=dict)
    """The groups by name."""
    fallback_group: str | None = None
    """Name of the group for what cannot be delivered; None: none."""
    routes: tuple[RouteConfig, ...] = (RouteConfig(name="to the referrer", to=(REFERRER,)),)
    """Who is notified of which change; the first that matches decides."""
    withdrawals: WithdrawalConfig = WithdrawalConfig()
    """The withdraw button."""
    payouts: PayoutConfig = PayoutConfig()
    """The company's payroll system."""
    digests: tuple[DigestConfig, ...] = ()
    """The scheduled digests."""
    calendar: CalendarConfig = CalendarConfig()
    """Working days and holidays."""
    referrers: ReferrerConfig = ReferrerConfig()
    """Look-ups of referrers."""
    reconciliation: ReconciliationConfig = ReconciliationConfig()
    """Reads of balances."""
    sending: SendingConfig = SendingConfig()
    """Rate limits and retries."""
    health: HealthConfig = HealthConfig()
    """The health endpoint."""
    retention: RetentionConfig = RetentionConfig()
    """How long data is kept."""
    log: LogConfig = LogConfig()
    """The log."""

    @model_validator(mode="after")
    def _check_webhook(self) -> Self:
        if self.feishu.transport is not Transport.WEBHOOK:
            return self
        if not self.webhook.listen:
            raise ValueError("webhook.listen: feishu.transport is webhook; set host:port to listen on")
        if not any(
            each.get_secret_value() for each in (self.webhook.encrypt_key, self.webhook.verification_token)
        ):
            raise ValueError(
                "webhook.encrypt_key: set webhook.encrypt_key or webhook.verification_token, because otherwise "
                "anyone can post events; use NOTIFIER_WEBHOOK__ENCRYPT_KEY in the environment"
            )
        return self

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for name in self.groups:
            if name == REFERRER or not GROUP_NAME.fullmatch(name):
                raise ValueError(
                    f"groups.{name}: a group name must consist of lower-case letters, digits, - and _, start with a "
                    f"letter, and must not be `{REFERRER}`"
                )
        names_by_chat: dict[str, str] = {}
        for name, group in self.groups.items():
            first = names_by_chat.setdefault(group.chat_id, name)
            if first != name:
                raise ValueError(
                    f"groups.{name}.chat_id: {group.chat_id} is the chat of groups.{first} too; use one group name "
                    "per chat, because a card belongs to one group and its operators"
                )
        if not self.routes:
            raise ValueError(
                "routes: the list is empty, so no notice would be sent; add a route, or remove the key"
            )
        if self.fallback_group is not None and self.fallback_group not in self.groups:
            raise ValueError(f"fallback_group: {self._unknown_group(self.fallback_group)}")
        for number, route in enumerate(self.routes):
            for target in route.to:
                if target != REFERRER and target not in self.groups:
                    raise ValueError(f"routes[{number}].to: {self._unknown_group(target)}")
        names = [route.name for route in self.routes]
        duplicate = next((name for name in names if names.count(name) > 1), None)
        if duplicate:
            raise ValueError(f"routes: the name {duplicate!r} is used twice; use unique names")
        return self

    @model_validator(mode="after")
    def _check_offers(self) -> Self:
        for target in self.withdrawals.offer_to:
            if target != REFERRER and target not in self.groups:
                raise ValueError(f"withdrawals.offer_to: {self._unknown_group(target)}")
        alarm_group = self.payouts.alarm_group
        if alarm_group is not None and alarm_group not in self.groups:
            raise ValueError(f"payouts.alarm_group: {self._unknown_group(alarm_group)}")
        return self

    @model_validator(mode="after")
    def _check_digests(self) -> Self:
        names = [digest.name for digest in self.digests]
        duplicate = next((name for name in names if names.count(name) > 1), None)
        if duplicate:
            raise ValueError(f"digests: the name {duplicate!r} is used twice; use unique names")
        for number, digest in enumerate(self.digests):
            for target in digest.to:
                if target != REFERRER and target not in self.groups:
                    raise ValueError(f"digests[{number}].to: {self._unknown_group(target)}")
        return self

    def digest_plans(self) -> tuple[DigestPlan, ...]:
        """The configured digests as domain values."""
        working = working_days(self.calendar.closed_on, self.calendar.open_on)
        return tuple(
            DigestPlan(
                name=digest.name,
                groups=tuple(target for target in digest.to if target != REFERRER),
                to_referrers=REFERRER in digest.to,
                cron=digest.expression,
                zone=digest.time_zone or self.cards.time_zone,
                span=digest.period,
                working=working if digest.working_days else None,
                skip_quiet=digest.when_empty == "skip",
                jitter_ms=digest.jitter_seconds * 1000,
                chart_days=digest.chart_days,
                rows=digest.rows,
                file=digest.file,
                withdraw=digest.withdraw,
                catch_up_ms=round(digest.catch_up_hours * HOUR_MS),
            )
            for digest in self.digests
        )

    def _unknown_group(self, name: str) -> str:
        return (
            f"there is no group called {name!r} under `groups`{suggest_name(name, [*self.groups, REFERRER])}"
        )


def suggest_name(word: str, known: list[str]) -> str:
    """A hint for an unknown word: the most similar known name, or a short list of all names."""
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f" (did you mean {close[0]}?)"
    return f" (there are: {', '.join(known)})" if 0 < len(known) <= 12 else ""
