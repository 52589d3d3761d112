"""The report of `notifier accounts sync`, as text and as JSON."""

import json

from notifier.domain.card import Bilingual
from notifier.domain.money import describe_amounts
from notifier.operations.accounts.sync import SyncDifference, SyncReport
from notifier.operations.formatting import format_amounts
from notifier.operations.language import say


def as_text(report: SyncReport) -> str:
    """Return the report for an operator."""
    lines = [f"{each.account_id}  {_describe(each)}" for each in report.differences]
    count = len(report.differences)
    summary = Bilingual(
        zh=f"{report.total} 个账户：{count} 个余额与本地不同，{report.failed} 个无法读取。",
        en=f"{report.total} accounts: {count} balances differed, {report.failed} accounts could not be read.",
    )
    lines.append(say(summary))
    if report.differences:
        lines.append(say(_STORED if report.is_service_running else _STORED_FOR_LATER))
    if not report.is_finished:
        lines.append(say(_UNFINISHED))
    return "\n".join(lines)


def as_json(report: SyncReport) -> str:
    """Return the report as JSON."""
    document = {
        "accounts": report.total,
        "failed": report.failed,
        "finished": report.is_finished,
        "service_running": report.is_service_running,
        "differences": [
            {
                "account_id": each.account_id,
                "before": describe_amounts(each.before),
                "after": describe_amounts(each.after) if each.after is not None else None,
            }
            for each in report.differences
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


_STORED = Bilingual(
    zh="这些余额已按补记的变动处理，内推人会收到通知。",
    en="These balances were stored as recovered changes, and the referrers are notified.",
)
_STORED_FOR_LATER = Bilingual(
    zh="这些余额已存为补记的变动，下次运行 notifier run 时通知。",
    en="These balances are stored as recovered changes. The next `notifier run` notifies the referrers.",
)
_UNFINISHED = Bilingual(
    zh="对账还没有结束：服务会继续，也可以重新运行本命令。",
    en="The run has not ended. The service continues it; you can also run this command again.",
)


def _describe(each: SyncDifference) -> str:
    after = format_amounts(each.after) if each.after is not None else "?"
    return f"{format_amounts(each.before)} -> {after}"
