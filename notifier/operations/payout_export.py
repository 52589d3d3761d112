"""Payout export: a file for a payroll system without an API. A payout is exported once, or again on request.

The rows are written page by page. Payouts are marked as exported only after the last byte is written, in short
transactions, so that a running notifier is never held up and a failed export leaves nothing marked.
"""

import contextlib
import functools
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.card import Bilingual
from notifier.domain.payout import PayoutState
from notifier.errors import ConfigError, NotifierError
from notifier.flow.digests.csv_text import BYTE_ORDER_MARK, harmless, line
from notifier.operations.formatting import format_iso
from notifier.operations.language import localized, say
from notifier.store import audit, payouts
from notifier.store.audit import AuditAction
from notifier.store.engine.database import Database
from notifier.store.payouts import ExportablePayout, ExportFilter
from notifier.store.processes import workers

COLUMNS = (
    "order_id",
    "account_id",
    "tenant_key",
    "referrer_open_id",
    "kind",
    "currency",
    "amount",
    "withdrawn_at",
    "exported_at",
)
COLUMNS_AGAIN = (*COLUMNS, "state")
"""A repeated export lists payouts in every state, so a reader must see which of them were paid."""
PAGE = 100
"""Payouts in one transaction."""
STANDARD_OUTPUT = Path("-")
_STANDARD_NAMES = {"stdout": 1, "stderr": 2}
_DESCRIPTOR_FOLDERS = (Path("/dev/fd"), Path("/proc/self/fd"))
LOCK_WAIT_SECONDS = 30
"""How long an export waits for another one to end."""

ExportRow = dict[str, Any]

_LEFT_OUT = {
    PayoutState.UNCONFIRMED: Bilingual(
        zh="需先确认（notifier payouts confirm）", en="to be confirmed first (notifier payouts confirm)"
    ),
    PayoutState.PENDING: Bilingual(
        zh="由运行中的服务提交，或没有明确结果",
        en="submitted by the running notifier, or without a clear answer",
    ),
    PayoutState.SUBMITTING: Bilingual(zh="正在提交", en="being submitted now"),
    PayoutState.UNKNOWN: Bilingual(
        zh="可能已付款：请向薪酬团队确认，再使用 --include-unknown",
        en="may have been paid: ask the payroll team, then use --include-unknown",
    ),
}


@dataclass(frozen=True, slots=True)
class ExportWindow:
    """Selects payouts withdrawn in [since, until)."""

    since: Millis
    until: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutExport:
    """Result of an export."""

    count: int
    """Number of payouts in the file."""
    marked: int
    """Number of payouts that are marked as exported."""
    changed: tuple[str, ...]
    """Order ids in the file that something else took meanwhile: they must not be paid from this file."""
    left_out: dict[PayoutState, int]
    """Unpaid payouts that the export did not take."""
    again: bool
    """Whether it lists everything again and marks nothing."""

    def summary(self) -> str:
        """The result in words, for the operator."""
        plural = "" if self.count == 1 else "s"
        done = localized(
            f"{self.count} payout{plural} {'listed again' if self.again else 'exported'}.",
            f"{'再次列出' if self.again else '已导出'} {self.count} 笔付款。",
        )
        warning = localized(" For checking only: DO NOT PAY from this file.", "仅供核对，请勿按此文件付款。")
        lines = [f"{done}{warning if self.again else ''}"]
        lines += [
            localized(
                f"{count} left out: {_LEFT_OUT[state].en}.", f"未包含 {count} 笔：{say(_LEFT_OUT[state])}。"
            )
            for state, count in self.left_out.items()
        ]
        if self.changed:
            ids = ", ".join(self.changed)
            lines.append(
                localized(
                    f"DO NOT PAY from this file, because they changed meanwhile: {ids}.",
                    f"以下付款在导出期间已变化，请勿按此文件付款：{ids}。",
                )
            )
        return "\n".join(lines)


def parse_window(since: str | None, until: str | None, clock: Clock, *, zone: tzinfo) -> ExportWindow:
    """Parse the window. A date means midnight in the zone. Raises ConfigError for an invalid time or order."""
    found = ExportWindow(
        since=0 if since is None else _parse_time("--since", since, zone),
        until=to_millis(clock.now()) + 1 if until is None else _parse_time("--until", until, zone),
    )
    if found.since >= found.until:
        raise ConfigError(localized("--since must be before --until.", "--since 必须早于 --until。"))
    return found


def _parse_time(name: str, text: str, zone: tzinfo) -> Millis:
    try:
        if len(text) == len("2026-11-01"):
            return to_millis(datetime.combine(date.fromisoformat(text), time(), tzinfo=zone))
        at = datetime.fromisoformat(text)
        return to_millis(at if at.tzinfo else at.replace(tzinfo=zone))
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            localized(
                f"{name}: {text!r} is not a time. Write 2026-11-01, or 2026-11-01T08:00 with or without +08:00.",
                f"{name}：{text!r} 不是时间。请写 2026-11-01 或 2026-11-01T08:00，可带 +08:00。",
            )
        ) from error


def make_filter(
    database: Database, window: ExportWindow, *, has_payout_url: bool, include_unknown: bool, again: bool
) -> ExportFilter:
    """Return which payouts to take.

    Whether payouts are submitted is decided by the notifier that started last, not by the settings of this shell
    alone: one of the two is enough. has_payout_url: whether payouts.url is set here.
    """
    with database.read() as connection:
        last = workers.get_last_worker(connection)
    return ExportFilter(
        since=window.since,
        until=window.until,
        submits_payouts=has_payout_url or (last is not None and last.submits_payouts),
        include_unknown=include_unknown,
        again=again,
    )


class ExportFailedError(Exception):
    """The export ended early. The text says why, and which payouts are marked as exported."""


def export_payouts(
    database: Database,
    wanted: ExportFilter,
    clock: Clock,
    *,
    output: Path,
    output_format: str,
    progress: Callable[[int], None] = lambda _: None,
) -> PayoutExport:
    """Write the payouts, then mark them as exported.

    output: a file, a pipe or a device; STANDARD_OUTPUT for standard output. output_format: csv or json.
    progress: called with the number of payouts that are written so far. Raises
    ConfigError if another export is running, and ExportFailedError.
    """
    with database.hold_export_lock(LOCK_WAIT_SECONDS):
        written: list[ExportablePayout] = []
        columns = COLUMNS_AGAIN if wanted.again else COLUMNS
        texts = functools.partial(_csv_lines, columns) if output_format == "csv" else _json_lines
        try:
            with _open_output(output) as file:
                for text in texts(
                    _collect(_pages(database, wanted), written, again=wanted.again, progress=progress)
                ):
                    file.write(text.encode())
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ExportFailedError(
                localized(
                    f"not all was written: {reason}. Nothing is marked as exported.",
                    f"没有全部写入（{reason}）。没有任何付款被标记为已导出。",
                )
            ) from error
        marked = set() if wanted.again else _mark(database, wanted, written, clock)
        with database.read() as connection:
            left_out = {} if wanted.again else payouts.count_left_out(connection, wanted)
    changed = () if wanted.again else tuple(each.order_id for each in written if each.id not in marked)
    return PayoutExport(
        count=len(written), marked=len(marked), changed=changed, left_out=left_out, again=wanted.again
    )


def _pages(database: Database, wanted: ExportFilter) -> Iterator[ExportablePayout]:
    after_id = 0
    while True:
        with database.read() as connection:
            page = payouts.list_exportable(connection, wanted, after_id=after_id, limit=PAGE)
        if not page:
            return
        yield from page
        after_id = page[-1].id


def _collect(
    found: Iterable[ExportablePayout],
    written: list[ExportablePayout],
    *,
    again: bool,
    progress: Callable[[int], None],
) -> Iterator[ExportRow]:
    for each in found:
        written.append(each)
        if len(written) % PAGE == 0:
            progress(len(written))
        row = json.loads(each.body) | {"exported_at": format_iso(each.exported_at)}
        yield row | {"state": each.state.value} if again else row


def _mark(
    database: Database, wanted: ExportFilter, written: list[ExportablePayout], clock: Clock
) -> set[int]:
    marked: set[int] = set()
    for start in range(0, len(written), PAGE):
        page = written[start : start + PAGE]
        try:
            marked |= database.write(_marker(page, wanted, clock)).result()
        except (NotifierError, SQLAlchemyError) as error:
            last = written[start - 1].order_id if start else ""
            which = f"only the payouts up to {last} are" if start else "none of them is"
            raise ExportFailedError(
                localized(
                    f"{len(written)} payouts were written, but {which} marked as exported: {error}. "
                    "DO NOT PAY the others from this output: the next export has them again.",
                    f"已写入 {len(written)} 笔付款，但{f'只有 {last} 及之前的' if start else '没有一笔'}被标记为已导出"
                    f"（{error}）。其余的请勿按此输出付款：下次导出会再次包含。",
                )
            ) from error
    return marked


def _marker(
    page: list[ExportablePayout], wanted: ExportFilter, clock: Clock
) -> Callable[[Connection], set[int]]:
    def mark(connection: Connection) -> set[int]:
        now = to_millis(clock.now())
        marked = payouts.mark_exported(connection, wanted, [each.id for each in page], now=now)
        audit.add_entries(connection, *(_entry(each, now) for each in page if each.id in marked))
        return marked

    return mark


def _entry(payout: ExportablePayout, now: Millis) -> audit.AuditEntry:
    return audit.AuditEntry(
        at=now,
        action=AuditAction.PAYOUT,
        actor=audit.COMMAND_LINE,
        outcome="exported",
        account_ref=payout.account_ref,
        order_id=payout.order_id,
    )


def _csv_lines(columns: Sequence[str], rows: Iterable[ExportRow]) -> Iterator[str]:
    """CSV, with one line per amount."""
    yield BYTE_ORDER_MARK + line(columns)
    for row in rows:
        for amount in row["amounts"]:
            cells = row | amount
            yield line(_format_cell(cells.get(name)) for name in columns)


def _format_cell(value: object) -> str:
    return harmless("" if value is None else str(value))


def _json_lines(rows: Iterable[ExportRow]) -> Iterator[str]:
    """A JSON array with one payout per line."""
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row, ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def check_writable(output: Path) -> None:
    """Check that the output can be written. Call it before the export. Raises ConfigError."""
    if output == STANDARD_OUTPUT and sys.stdout is None:
        raise ConfigError(
            localized(
                "standard output is closed; name a file with --output.",
                "标准输出已关闭，请用 --output 指定文件。",
            )
        )
    if output == STANDARD_OUTPUT:
        return
    try:
        is_writable = _descriptor(output) is not None or (
            os.access(output, os.W_OK)
            if _is_stream(output)
            else output.absolute().parent.is_dir()
            and os.access(output.absolute().parent, os.W_OK)
            and not output.is_dir()
        )
    except OSError:  # such as a name that is too long
        is_writable = False
    if not is_writable:
        raise ConfigError(
            localized(
                f"--output: {output} cannot be written; name a file in a folder you may write to.",
                f"--output：无法写入 {output}，请指定可写目录中的文件。",
            )
        )


def _is_stream(output: Path) -> bool:
    """Whether the path is a pipe, a device or a socket, which cannot be replaced by a finished file."""
    try:
        mode = output.stat().st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _descriptor(output: Path) -> int | None:
    """The open descriptor that the path names. It is written as it is: its file may have been opened to append."""
    if output.name in _STANDARD_NAMES and output.parent == Path("/dev"):
        return _STANDARD_NAMES[output.name]
    if output.parent in _DESCRIPTOR_FOLDERS and output.name.isdecimal():
        return int(output.name)
    return None


@contextlib.contextmanager
def _open_output(output: Path) -> Iterator[BinaryIO]:
    """A file that appears whole, or standard output, a pipe or a device, which are written straight."""
    if output == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif (descriptor := _descriptor(output)) is not None:
        with os.fdopen(os.dup(descriptor), "wb") as opened:
            yield opened
    elif _is_stream(output):
        with output.open("wb", buffering=0) as stream:
            buffered = os.fdopen(os.dup(stream.fileno()), "wb")
            with buffered:
                yield buffered
    else:
        target = output.resolve()
        with tempfile.NamedTemporaryFile("wb", dir=target.parent, delete=False) as file:
            written = Path(file.name)
            try:
                yield file  # type: ignore[misc]
                file.flush()
                os.fsync(file.fileno())
                written.replace(target)
            except BaseException:
                written.unlink(missing_ok=True)
                raise
