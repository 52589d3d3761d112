"""The whole configuration, and the checks that concern several sections. config/sections.py has the settings.

config/loader.py reads it from YAML and the environment. config.example.yaml and docs/configuration.md explain each
setting to users.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from notifier.clock import HOUR_MS
from notifier.config.digests import GROUP_NAME, CalendarConfig, DigestConfig
from notifier.config.fields import Section, SettingFault
from notifier.config.monitoring import HealthConfig, LogConfig, TracingConfig
from notifier.config.preferences import PreferenceConfig
from notifier.config.sections import (
    AnswerConfig,
    CardConfig,
    FeishuConfig,
    GroupConfig,
    PayoutConfig,
    ReconciliationConfig,
    ReferrerConfig,
    ReplicaConfig,
    RetentionConfig,
    RouteConfig,
    SendingConfig,
    StoreConfig,
    Transport,
    WebhookConfig,
    WithdrawalConfig,
)
from notifier.domain.card import Bilingual
from notifier.domain.digest import DigestPlan
from notifier.domain.period import working_days
from notifier.domain.route import REFERRER

MAX_LISTED = 12
"""Known names that a hint lists."""


@dataclass(frozen=True, slots=True)
class ReferenceFinding:
    """What is wrong across sections: the key path, and a text without a full stop that completes "KEY: …"."""

    key: str
    text: Bilingual


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
    preferences: PreferenceConfig = PreferenceConfig()
    """What people choose on the settings card."""
    withdrawals: WithdrawalConfig = WithdrawalConfig()
    """The withdraw button."""
    answers: AnswerConfig = AnswerConfig()
    """Answers to messages to the bot."""
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
            raise SettingFault(
                "\n".join(f"{each.key}: {each.text.en}" for each in findings),
                "\n".join(f"{each.key}：{each.text.zh}" for each in findings),
            )
        return self

    def reference_findings(self) -> Iterator[ReferenceFinding]:
        """Yield what is wrong across sections. A required value may be None: partial.py builds such configurations."""
        yield from self._webhook_findings()
        yield from self._group_findings()
        yield from self._route_findings()
        yield from self._target_findings()
        yield from self._digest_findings()

    def _webhook_findings(self) -> Iterator[ReferenceFinding]:
        if self.feishu.transport is not Transport.WEBHOOK:
            return
        if not self.webhook.listen:
            yield ReferenceFinding(
                "webhook.listen",
                Bilingual(
                    zh="feishu.transport 为 webhook，请设置监听的 主机:端口",
                    en="feishu.transport is webhook; set host:port to listen on",
                ),
            )
        if not any(
            each.get_secret_value() for each in (self.webhook.encrypt_key, self.webhook.verification_token)
        ):
            yield ReferenceFinding(
                "webhook.encrypt_key",
                Bilingual(
                    zh="请设置 webhook.encrypt_key 或 webhook.verification_token，否则任何人都能提交事件；可用环境变量 "
                    "NOTIFIER_WEBHOOK__ENCRYPT_KEY",
                    en="set webhook.encrypt_key or webhook.verification_token, because otherwise anyone can post "
                    "events; use NOTIFIER_WEBHOOK__ENCRYPT_KEY in the environment",
                ),
            )

    def _group_findings(self) -> Iterator[ReferenceFinding]:
        for name in self.groups:
            if name == REFERRER or not GROUP_NAME.fullmatch(name):
                yield ReferenceFinding(
                    f"groups.{name}",
                    Bilingual(
                        zh=f"群名称只能包含小写字母、数字、- 和 _，以字母开头，且不能是 `{REFERRER}`",
                        en="a group name must consist of lower-case letters, digits, - and _, start with a letter, and "
                        f"must not be `{REFERRER}`",
                    ),
                )
        names_by_chat: dict[str, str] = {}
        for name, group in self.groups.items():
            chat_id = getattr(group, "chat_id", None)
            first = names_by_chat.setdefault(chat_id, name) if chat_id else name
            if first != name:
                yield ReferenceFinding(
                    f"groups.{name}.chat_id",
                    Bilingual(
                        zh=f"{group.chat_id} 也是 groups.{first} 的群；一个群只能有一个名称，"
                        "因为卡片属于一个群及其授权人员",
                        en=f"{group.chat_id} is the chat of groups.{first} too; use one group name per chat, because a "
                        "card belongs to one group and its operators",
                    ),
                )
        if self.fallback_group is not None and self.fallback_group not in self.groups:
            yield ReferenceFinding("fallback_group", self._unknown_group(self.fallback_group))

    def _route_findings(self) -> Iterator[ReferenceFinding]:
        if not self.routes:
            yield ReferenceFinding(
                "routes",
                Bilingual(
                    zh="列表为空，不会发送任何通知；请添加一条规则，或删除该项",
                    en="the list is empty, so no notice would be sent; add a route, or remove the key",
                ),
            )
        for number, route in enumerate(self.routes):
            yield from self._unknown_targets(f"routes[{number}].to", route.to or ())
        yield from _repeated("routes", [route.name for route in self.routes])

    def _target_findings(self) -> Iterator[ReferenceFinding]:
        yield from self._unknown_targets("withdrawals.offer_to", self.withdrawals.offer_to)
        alarm_group = self.payouts.alarm_group
        if alarm_group is not None and alarm_group not in self.groups:
            yield ReferenceFinding("payouts.alarm_group", self._unknown_group(alarm_group))

    def _digest_findings(self) -> Iterator[ReferenceFinding]:
        yield from _repeated("digests", [digest.name for digest in self.digests])
        for number, digest in enumerate(self.digests):
            yield from self._unknown_targets(f"digests[{number}].to", digest.to or ())

    def _unknown_targets(self, key: str, targets: Sequence[str]) -> Iterator[ReferenceFinding]:
        for target in targets:
            if target != REFERRER and target not in self.groups:
                yield ReferenceFinding(key, self._unknown_group(target))

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

    def _unknown_group(self, name: str) -> Bilingual:
        known = [*self.groups, REFERRER]
        hint, listed = suggest_name(name, known), list_known(known)
        is_listed = listed.en in hint.en
        return Bilingual(
            zh=f"`groups` 中没有名为 {name!r} 的群{hint.zh}{'' if is_listed else f'；{listed.zh}'}",
            en=f"there is no group called {name!r} under `groups`{hint.en}{'' if is_listed else f'; {listed.en}'}",
        )


def _repeated(key: str, names: Sequence[str | None]) -> Iterator[ReferenceFinding]:
    for name in dict.fromkeys(names):
        if name is not None and names.count(name) > 1:
            yield ReferenceFinding(
                key,
                Bilingual(
                    zh=f"名称 {name!r} 重复，请使用不同的名称",
                    en=f"the name {name!r} is used twice; use unique names",
                ),
            )


def suggest_name(word: str, known: Sequence[str]) -> Bilingual:
    """A hint for an unknown word: the most similar known name, or a list of the known names."""
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return Bilingual(zh=f"（是否要写 {close[0]}？）", en=f" (did you mean {close[0]}?)")
    if not known:
        return Bilingual(zh="", en="")
    listed = list_known(known)
    return Bilingual(zh=f"（{listed.zh}）", en=f" ({listed.en})")


def list_known(known: Sequence[str]) -> Bilingual:
    """The known names, as far as they fit in a sentence."""
    more = ", ..." if len(known) > MAX_LISTED else ""
    names = f"{', '.join(known[:MAX_LISTED])}{more}"
    return Bilingual(zh=f"现有：{names}", en=f"there are: {names}")
