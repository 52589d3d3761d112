"""Checks that need no network: configuration, and every template with every sample."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from notifier.config import Config
from notifier.config_file import WELL_KNOWN, Loaded
from notifier.domain.account import Referrer
from notifier.domain.card import BalanceChangeCard, WithdrawalPanel
from notifier.domain.event import AccountKey
from notifier.domain.ledger import BalanceChange
from notifier.domain.money import POINTS, Asset, Kind
from notifier.domain.notice import Notice, NoticeReason
from notifier.domain.withdrawal import Role, Withdrawal, WithdrawalState
from notifier.errors import ConfigError, TemplateBroken
from notifier.feishu.card_rules import card_problems
from notifier.flow.templates import TEMPLATES, CardTemplates
from notifier.flow.withdrawal_wording import panel
from notifier.flow.wording import balance_change_card


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at. step: what to do about it, when it is not good."""

    good: bool
    what: str
    step: str = ""

    def line(self) -> str:
        return (
            f"{'ok      ' if self.good else 'PROBLEM '} {self.what}{f' -> {self.step}' if self.step else ''}"
        )


_CNY, _USD, _JPY = (Asset(Kind.CASH, code) for code in ("CNY", "USD", "JPY"))
_ACCOUNT = AccountKey(tenant_key="sample", app_id="sample", account_id="7000000000000000001")
_SAMPLE_PERSON = Referrer(open_id="ou_sample", name_zh="示例同事", name_en="Sample Colleague")
_AT = 1_700_000_000_000


def _change(asset: Asset, before: str, after: str) -> BalanceChange:
    return BalanceChange(asset=asset, before=Decimal(before), after=Decimal(after))


def _notice(*changes: BalanceChange, reason: NoticeReason = NoticeReason.CHANGE, minutes: int = 0) -> Notice:
    return Notice(
        key="sample", account=_ACCOUNT, reason=reason, occurred_at=_AT + minutes * 60_000, changes=changes
    )


_TOLD: dict[str, tuple[Notice, ...]] = {
    "increase": (_notice(_change(_CNY, "700", "1200"), _change(POINTS, "20", "120")),),
    "decrease": (_notice(_change(_CNY, "1200", "900.50")),),
    "mixed": (_notice(_change(_CNY, "0", "500"), _change(POINTS, "120", "0")),),
    "opening": (
        _notice(_change(_CNY, "0", "350.50"), _change(POINTS, "0", "120"), reason=NoticeReason.OPENING),
    ),
    "folded": (
        _notice(_change(_CNY, "0", "500")),
        _notice(_change(_CNY, "500", "800"), minutes=5),
        _notice(_change(_USD, "0", "80"), _change(_JPY, "0", "12000"), minutes=9),
    ),
    "group": (_notice(_change(_CNY, "700", "1200")),),
    "rerouted": (_notice(_change(_CNY, "700", "1200")),),
    "nobody": (_notice(_change(_CNY, "700", "1200")),),
    "withdraw": (_notice(_change(_CNY, "700", "1200"), _change(POINTS, "20", "120")),),
    "withdrawn": (_notice(_change(_CNY, "700", "1200"), _change(POINTS, "20", "120")),),
    "hostile": (_notice(_change(Asset(Kind.CASH, "[x](http:"), "1", "2")),),
}
SAMPLES = tuple(_TOLD)

_HELD = {_CNY: Decimal(1200), POINTS: Decimal(120)}
_WITHDRAWN = Withdrawal(
    id=1,
    order_id="sample-order",
    account_ref=1,
    account=_ACCOUNT,
    kinds=tuple(Kind),
    state=WithdrawalState.WITHDRAWN,
    epoch=0,
    requested_by=_SAMPLE_PERSON.open_id,
    role=Role.REFERRER,
    requested_at=_AT + 60_000,
    attempts=1,
    taken=_HELD,
    withdrawn_at=_AT + 62_000,
)

_HOSTILE_NAME = "<at id=all></at>[x](http://x.invalid) {{ 7*7 }} \"'\n\\ \u202eabc **b** 🎉" + "长" * 100_000


def sample(name: str, config: Config) -> BalanceChangeCard:
    """Raises ConfigError for a name that is not among SAMPLES."""
    if name not in _TOLD:
        raise ConfigError(f"--sample: there is no sample {name!r}. There are: {', '.join(SAMPLES)}.")
    person: Referrer | None = _SAMPLE_PERSON
    if name == "hostile":
        person = replace(_SAMPLE_PERSON, name_zh=_HOSTILE_NAME, name_en=_HOSTILE_NAME)
    if name == "nobody":
        person = None
    card = balance_change_card(
        _TOLD[name],
        audience="group" if name in {"group", "rerouted", "nobody", "withdrawn", "hostile"} else "referrer",
        referrer=person,
        zone=config.cards.time_zone,
        reroute={"rerouted": "unreachable: this person has resigned", "nobody": "account_unknown"}.get(name),
    )
    return replace(card, withdrawal=_withdrawal_panel(name, config))


def _withdrawal_panel(name: str, config: Config) -> WithdrawalPanel | None:
    """The button on one sample, what it leads to on another."""
    if name not in {"withdraw", "withdrawn"}:
        return None
    return panel(
        ref="sample" if name == "withdraw" else "",
        holdings=_HELD if name == "withdraw" else {},
        kinds=tuple(Kind),
        withdrawal=None if name == "withdraw" else _WITHDRAWN,
        zone=config.cards.time_zone,
    )


def template_names(config: Config) -> list[str]:
    return CardTemplates(config.cards.template_dir).names()


def preview(config: Config, template: str, sample_name: str) -> dict[str, Any]:
    """Raises TemplateBroken, ConfigError."""
    return CardTemplates(config.cards.template_dir).render(template, {"card": sample(sample_name, config)})


def offline(loaded: Loaded) -> list[Finding]:
    """Configuration (which has been read when we come here), credentials and every template with every sample."""
    config = loaded.config
    file = str(loaded.file) if loaded.file else "no file; defaults and the environment"
    findings = [Finding(good=True, what=f"configuration: {file}"), *_origins(loaded), *_credentials(config)]
    findings += [_store(config), *_templates(config)]
    return findings


def _origins(loaded: Loaded) -> Iterable[Finding]:
    for path, variable in loaded.origins.items():
        yield Finding(good=True, what=f"{path} comes from {variable}")
    for variable, winner in loaded.overruled.items():
        yield Finding(good=True, what=f"{variable} is set too, but {winner} wins")


def _credentials(config: Config) -> Iterable[Finding]:
    for key, value in (
        ("app_id", config.feishu.app_id),
        ("app_secret", config.feishu.app_secret.get_secret_value()),
    ):
        name = WELL_KNOWN["feishu", key][0]
        yield Finding(
            good=bool(value),
            what=f"feishu.{key} is {'set' if value else 'missing'}",
            step="" if value else f"set {name} in the environment (developer console, page Credentials)",
        )


def _store(config: Config) -> Finding:
    """Whether the database can be made or written where it is meant to be, without making it."""
    path = Path(config.store.url.removeprefix("sqlite:///")).absolute()
    there = next(place for place in (path, *path.parents) if place.exists())
    if (there.is_file() and there != path) or not os.access(there, os.W_OK):
        return Finding(
            good=False, what=f"store.url: {path} cannot be written", step="name a folder you may write to"
        )
    return Finding(good=True, what=f"database: {path}{'' if there == path else ' (will be made)'}")


def _templates(config: Config) -> list[Finding]:
    templates = CardTemplates(config.cards.template_dir)
    return [_template(templates, name, config) for name in TEMPLATES.values()] + [
        _template(templates, name, config) for name in templates.names() if name not in TEMPLATES.values()
    ]


def _template(templates: CardTemplates, name: str, config: Config) -> Finding:
    for sample_name in SAMPLES:
        try:
            card = templates.render(name, {"card": sample(sample_name, config)})
        except TemplateBroken as error:
            return Finding(
                good=False,
                what=f"template {error}",
                step=f"see it with: notifier preview {name} --sample {sample_name}",
            )
        problems = card_problems(card)
        if problems:
            return Finding(
                good=False,
                what=f"template {name} (sample {sample_name}): {problems[0].path}: {problems[0].message}",
                step=f"see it with: notifier preview {name} --sample {sample_name}",
            )
    return Finding(good=True, what=f"template {name} ({templates.source_of(name)}), {len(SAMPLES)} samples")
