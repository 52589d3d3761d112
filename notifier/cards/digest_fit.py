"""Digest fit: how many rows a digest card can hold in each state that its withdrawals can reach later."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from notifier.cards.digest_text import longest_refusal_code
from notifier.cards.render import serialise
from notifier.cards.rules import SAFE_BYTES
from notifier.domain.delivery import CardVariant
from notifier.domain.digest import Digest, Holder
from notifier.domain.digest_card import DigestCard
from notifier.domain.digest_panel import DigestPanel, Option, Progress, Result, SkipReason
from notifier.domain.withdrawal import WithdrawalState
from notifier.errors import TemplateBroken

STEPS = (50, 40, 30, 20, 15, 10, 7, 5, 3, 1)
_LONG_REF, _ORDER = "f" * 32, "rn-" + "f" * 32


class PanelRenderer(Protocol):
    """The methods of the renderer that this module uses."""

    def digest(self, digest: Digest, panel: DigestPanel | None = None) -> DigestCard:
        """Return what a digest card shows."""

    def card(self, variant: CardVariant, card: DigestCard) -> object:
        """Render a card in one variant. Raises TemplateBroken if it breaks a rule."""


def make_digest_fit(renderer: PanelRenderer) -> Callable[[Digest], Digest]:
    """Return a function that removes rows from a digest until Feishu accepts every later state of its card."""

    def fit(digest: Digest) -> Digest:
        for changed, holders in _sizes(len(digest.changed), len(digest.holders)):
            shorter = _cut(digest, changed, holders)
            if all(_passes(renderer, shorter, panel) for panel in _possible_panels(shorter)):
                return shorter
        return _cut(digest, 1, 1)

    return fit


def _sizes(changed: int, holders: int) -> Iterator[tuple[int, int]]:
    """Accounts with a withdraw button keep their rows longer than accounts that are only shown."""
    for most in sorted({holders, *(step for step in STEPS if step < holders)}, reverse=True):
        for shown in sorted({min(changed, max(most, 1)), min(changed, 10), min(changed, 5)}, reverse=True):
            yield shown, most


def _cut(digest: Digest, changed: int, holders: int) -> Digest:
    return replace(
        digest,
        changed=digest.changed[:changed],
        holders=digest.holders[:holders],
        more_changed=digest.more_changed + len(digest.changed[changed:]),
        more_holders=digest.more_holders + len(digest.holders[holders:]),
    )


def _passes(renderer: PanelRenderer, digest: Digest, panel: DigestPanel) -> bool:
    """The digest is tried with the line about its file, because the file is made later.

    It leaves room below Feishu's limit, because an update that Feishu refuses would leave an outdated card.
    """
    try:
        card = renderer.card(CardVariant.FULL, renderer.digest(replace(digest, file_rows=1_000_000), panel))
    except TemplateBroken:
        return False
    return len(serialise(card).encode()) <= SAFE_BYTES


def _possible_panels(digest: Digest) -> Sequence[DigestPanel]:
    """The largest states: no withdrawal yet; half of them requested; all of them failed, with reasons."""
    if not digest.offers_withdrawal or not digest.holders:
        return [DigestPanel()]
    total = len(digest.holders)
    options = tuple(_option(each, number) for number, each in enumerate(digest.holders))
    progress = Progress(
        total=total,
        done=total,
        failed=total,
        skipped=dict.fromkeys(SkipReason, total),
        running=True,
        by="ou_" + "f" * 32,
    )
    return [
        DigestPanel(one=_LONG_REF, all=_LONG_REF, options=options),
        DigestPanel(
            one=_LONG_REF,
            all=_LONG_REF,
            retry=_LONG_REF,
            options=options[: total // 2],
            results=tuple(_result(each) for each in digest.holders[total // 2 :]),
            progress=progress,
        ),
        DigestPanel(
            retry=_LONG_REF,
            results=tuple(_result(each) for each in digest.holders),
            progress=replace(progress, running=False),
        ),
    ]


def _option(holder: Holder, number: int) -> Option:
    return Option(
        button_ref=f"{number:016x}",
        account_ref=holder.account_ref,
        account_id=holder.account_id,
        referrer=holder.referrer,
        amounts=holder.amounts,
    )


def _result(holder: Holder) -> Result:
    return Result(
        account_id=holder.account_id,
        referrer=holder.referrer,
        state=WithdrawalState.REFUSED,
        order_id=_ORDER,
        amounts=holder.amounts,
        code=longest_refusal_code(),
        again=True,
    )
