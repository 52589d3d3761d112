"""The whole configuration, and the checks that concern several sections. config/sections.py has the settings.

config/loader.py reads it from YAML and the environment. config.example.yaml and docs/configuration.md explain each
setting to users.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
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
    ReplicaConfig,
    RetentionConfig,
    RouteConfig,
    SendingConfig,
    StoreConfig,
    TracingConfig,
    Transport,
    WebhookConfig,
    WithdrawalConfig,
)
from notifier.domain.digest import DigestPlan
from notifier.domain.period import working_days
from notifier.domain.route import REFERRER

MAX_LISTED = 12
"""Known names that a hint lists."""


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
    replica: ReplicaConfig = ReplicaConfig()
    """This process among several on one database."""
    health: HealthConfig = HealthConfig()
    """The health endpoint."""
    retention: RetentionConfig = RetentionConfig()
    """How long data is kept."""
    log: LogConfig = LogConfig()
    """The log."""
    tracing: TracingConfig = TracingConfig()
    """Traces."""

    @model_validator(mode="after")
    def _check_references(self) -> Self:
        """All findings at once, one per line: correcting one must not reveal the next."""
        findings = list(self.reference_findings())
        if findings:
            raise ValueError("\n".join(findings))
        return self

    def reference_findings(self) -> Iterator[str]:
        """Yield what is wrong across sections. A required value may be None: partial.py builds such configurations."""
        yield from self._webhook_findings()
        yield from self._group_findings()
        yield from self._route_findings()
        yield from self._target_findings()
        yield from self._digest_findings()

    def _webhook_findings(self) -> Iterator[str]:
        if self.feishu.transport is not Transport.WEBHOOK:
            return
        if not self.webhook.listen:
            yield "webhook.listen: feishu.transport is webhook; set host:port to listen on"
        if not any(
            each.get_secret_value() for each in (self.webhook.encrypt_key, self.webhook.verification_token)
        ):
            yield (
                "webhook.encrypt_key: set webhook.encrypt_key or webhook.verification_token, because otherwise "
                "anyone can post events; use NOTIFIER_WEBHOOK__ENCRYPT_KEY in the environment"
            )

    def _group_findings(self) -> Iterator[str]:
        for name in self.groups:
            if name == REFERRER or not GROUP_NAME.fullmatch(name):
                yield (
                    f"groups.{name}: a group name must consist of lower-case letters, digits, - and _, start with a "
                    f"letter, and must not be `{REFERRER}`"
                )
        names_by_chat: dict[str, str] = {}
        for name, group in self.groups.items():
            chat_id = getattr(group, "chat_id", None)
            first = names_by_chat.setdefault(chat_id, name) if chat_id else name
            if first != name:
                yield (
                    f"groups.{name}.chat_id: {group.chat_id} is the chat of groups.{first} too; use one group name "
                    "per chat, because a card belongs to one group and its operators"
                )
        if self.fallback_group is not None and self.fallback_group not in self.groups:
            yield f"fallback_group: {self._unknown_group(self.fallback_group)}"

    def _route_findings(self) -> Iterator[str]:
        if not self.routes:
            yield "routes: the list is empty, so no notice would be sent; add a route, or remove the key"
        for number, route in enumerate(self.routes):
            yield from self._unknown_targets(f"routes[{number}].to", route.to or ())
        yield from _repeated("routes", [route.name for route in self.routes])

    def _target_findings(self) -> Iterator[str]:
        yield from self._unknown_targets("withdrawals.offer_to", self.withdrawals.offer_to)
        alarm_group = self.payouts.alarm_group
        if alarm_group is not None and alarm_group not in self.groups:
            yield f"payouts.alarm_group: {self._unknown_group(alarm_group)}"

    def _digest_findings(self) -> Iterator[str]:
        yield from _repeated("digests", [digest.name for digest in self.digests])
        for number, digest in enumerate(self.digests):
            yield from self._unknown_targets(f"digests[{number}].to", digest.to or ())

    def _unknown_targets(self, key: str, targets: Sequence[str]) -> Iterator[str]:
        for target in targets:
            if target != REFERRER and target not in self.groups:
                yield f"{key}: {self._unknown_group(target)}"

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
        known = [*self.groups, REFERRER]
        hint = suggest_name(name, known)
        listed = "" if "there are" in hint else f"; {list_known(known)}"
        return f"there is no group called {name!r} under `groups`{hint}{listed}"


def _repeated(key: str, names: Sequence[str | None]) -> Iterator[str]:
    for name in dict.fromkeys(names):
        if name is not None and names.count(name) > 1:
            yield f"{key}: the name {name!r} is used twice; use unique names"


def suggest_name(word: str, known: Sequence[str]) -> str:
    """A hint for an unknown word: the most similar known name, or a list of the known names."""
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f" (did you mean {close[0]}?)"
    return f" ({list_known(known)})" if known else ""


def list_known(known: Sequence[str]) -> str:
    """The known names, as far as they fit in a sentence."""
    more = ", ..." if len(known) > MAX_LISTED else ""
    return f"there are: {', '.join(known[:MAX_LISTED])}{more}"
