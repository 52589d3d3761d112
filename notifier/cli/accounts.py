"""The accounts commands. Heavy imports happen inside them."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifier.cli.context import (
    CLOCK_OPTION,
    CONFIG_OPTION,
    JSON_OPTION,
    exit_unknown,
    list_options,
    load_config,
    make_clock,
    open_database,
    print_error,
)
from notifier.domain.card import Bilingual

if TYPE_CHECKING:
    from notifier.config.loader import LoadedConfig
    from notifier.operations.accounts.people_file import FileRow
    from notifier.operations.accounts.registration import RegistrationReport
    from notifier.store.engine.database import Database

SHOWN_FAILURES = 20


@click.group()
def accounts() -> None:
    """Register referrers at Feishu, list their accounts, switch them on and off."""


@accounts.command("import")
@CONFIG_OPTION
@CLOCK_OPTION
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Show what would be done; register nobody.")
@click.option(
    "--result",
    type=click.Path(path_type=Path),
    help="Write the outcome of each row to this CSV file. Default: beside FILE.",
)
@JSON_OPTION
def import_people(
    config_path: Path | None,
    clock_file: Path | None,
    file: Path,
    result: Path | None,
    *,
    is_dry_run: bool,
    as_json: bool,
) -> None:
    """Register the people in a CSV file with the columns email and/or mobile. Repeat it after an interruption."""
    from notifier.operations.accounts import people_file, results  # noqa: PLC0415 - see above

    rows = people_file.read_people_file(file)
    result = result or file.with_name(f"{file.stem}.result.csv")
    if not is_dry_run:
        results.require_result_place(result, source=file)
    report = _register(config_path, clock_file, rows, is_dry_run=is_dry_run)
    if not is_dry_run:
        results.write_results(result, report.results)
    _print_report(report, as_json=as_json, result=None if is_dry_run else result)


@accounts.command("register")
@CONFIG_OPTION
@CLOCK_OPTION
@click.option("--email", default="", help="E-mail address of the person in Feishu.")
@click.option(
    "--mobile", default="", help="Mobile number of the person in Feishu; +code for other countries."
)
@JSON_OPTION
def register_person(
    config_path: Path | None, clock_file: Path | None, email: str, mobile: str, *, as_json: bool
) -> None:
    """Register one person."""
    from notifier.operations.accounts import contacts, people_file  # noqa: PLC0415 - see above
    from notifier.operations.language import say  # noqa: PLC0415 - see above

    try:
        contact = contacts.Contact(email=contacts.read_email(email), mobile=contacts.read_mobile(mobile))
    except contacts.BadContactError as error:
        raise click.UsageError(say(error.text)) from error
    if not contact.identities():
        raise click.UsageError(
            say(
                Bilingual(
                    zh="请用 --email 或 --mobile 指定一个人。", en="Name a person with --email or --mobile."
                )
            )
        )
    row = people_file.PersonRow(row=1, contact=contact)
    _print_report(_register(config_path, clock_file, [row], is_dry_run=False), as_json=as_json, result=None)


def _register(
    config_path: Path | None, clock_file: Path | None, rows: "Sequence[FileRow]", *, is_dry_run: bool
) -> "RegistrationReport":
    from notifier.cli.progress import ProgressLine  # noqa: PLC0415 - see above
    from notifier.operations.accounts.runs import register_people  # noqa: PLC0415 - see above

    loaded = load_config(config_path, credentials=True)
    progress = ProgressLine()
    with _open_for_registration(loaded, is_dry_run=is_dry_run) as database:
        try:
            return asyncio.run(
                register_people(
                    database,
                    make_clock(clock_file, config_path, database),
                    loaded.config,
                    rows,
                    is_dry_run=is_dry_run,
                    on_progress=progress,
                )
            )
        finally:
            progress.close()


@contextmanager
def _open_for_registration(loaded: "LoadedConfig", *, is_dry_run: bool) -> "Iterator[Database]":
    """Open the database, which a registration creates. A dry run without one knows nobody, and creates nothing."""
    from notifier.store import probe  # noqa: PLC0415 - see above
    from notifier.store.engine.database import Database  # noqa: PLC0415 - see above

    file = probe.find_file(loaded.config.store.url)
    if is_dry_run and file is not None and not file.exists():
        with tempfile.TemporaryDirectory() as folder:
            database = Database.open(f"sqlite:///{folder}/dry_run.db")
            try:
                yield database
            finally:
                database.close()
        return
    with open_database(loaded, must_exist=is_dry_run) as database:
        yield database


def _print_report(report: "RegistrationReport", *, as_json: bool, result: Path | None) -> None:
    """Exit code 1 if something is left to do."""
    from notifier.operations.accounts.results import FAILED, OUTCOME_TEXTS, RowOutcome, format_summary  # noqa: PLC0415
    from notifier.operations.accounts.texts import AGAIN  # noqa: PLC0415 - see above
    from notifier.operations.language import say  # noqa: PLC0415 - see above

    failed = [each for each in report.results if each.outcome in FAILED]
    if as_json:
        document = {
            "rows": [each.as_json() for each in report.results],
            "stopped": say(report.stopped) if report.stopped else None,
            "note": say(report.note) if report.note else None,
            "result_file": str(result) if result else None,
        }
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        # A row that nobody tried needs no correction, so it is only counted.
        failed = [each for each in failed if each.outcome is not RowOutcome.NOT_TRIED]
        for each in failed[:SHOWN_FAILURES]:
            remedy = f": {say(each.remedy)}" if each.remedy else ""
            row = say(Bilingual(zh=f"第 {each.row} 行", en=f"row {each.row}"))
            click.echo(f"{row}  {say(OUTCOME_TEXTS[each.outcome])}{remedy}")
        if len(failed) > SHOWN_FAILURES:
            more = len(failed) - SHOWN_FAILURES
            click.echo(say(Bilingual(zh=f"……另有 {more} 行", en=f"... and {more} more rows")))
        click.echo(format_summary(report.results))
        if len(report.results) == 1 and report.results[0].account_id:
            click.echo(report.results[0].account_id)
        if result is not None:
            click.echo(say(Bilingual(zh=f"每行的结果：{result}", en=f"Outcome of each row: {result}")))
        if report.note is not None:
            click.echo(say(report.note), err=True)
    if report.stopped is not None:
        print_error(f"{say(report.stopped)}. {say(AGAIN)}.")
    is_done = not failed and report.stopped is None
    sys.exit(0 if is_done else 1)


@accounts.command("list")
@list_options(["active", "deactivated", "unknown"])
def list_accounts(
    config_path: Path | None, clock_file: Path | None, states: tuple[str, ...], limit: int, *, as_json: bool
) -> None:
    """List the known accounts of this app, newest change first."""
    from notifier.operations.accounts import queries  # noqa: PLC0415 - see above

    loaded = load_config(config_path)
    with open_database(loaded) as database:
        clock = make_clock(clock_file, config_path, database)
        click.echo(
            queries.list_accounts(
                database, clock, loaded.config.feishu.app_id, states=states, limit=limit, as_json=as_json
            )
        )


@accounts.command("show")
@CONFIG_OPTION
@click.argument("account_id")
@JSON_OPTION
def show_account(config_path: Path | None, account_id: str, *, as_json: bool) -> None:
    """Show one account with its audit trail."""
    from notifier.operations.accounts import queries  # noqa: PLC0415 - see above

    loaded = load_config(config_path)
    with open_database(loaded) as database:
        shown = queries.show_account(database, loaded.config.feishu.app_id, account_id, as_json=as_json)
    if shown is None:
        exit_unknown("account", account_id)
    click.echo(shown)


@accounts.command("enable")
@CONFIG_OPTION
@CLOCK_OPTION
@JSON_OPTION
@click.argument("account_ids", nargs=-1, required=True)
def enable_accounts(
    config_path: Path | None, clock_file: Path | None, account_ids: tuple[str, ...], *, as_json: bool
) -> None:
    """Turn events and withdrawals of deactivated accounts on again."""
    _switch(config_path, clock_file, account_ids, is_enabled=True, as_json=as_json)


@accounts.command("disable")
@CONFIG_OPTION
@CLOCK_OPTION
@JSON_OPTION
@click.argument("account_ids", nargs=-1, required=True)
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
def disable_accounts(
    config_path: Path | None,
    clock_file: Path | None,
    account_ids: tuple[str, ...],
    *,
    is_confirmed: bool,
    as_json: bool,
) -> None:
    """Turn events and withdrawals of accounts off."""
    from notifier.operations.language import say  # noqa: PLC0415 - see above

    if not is_confirmed:
        count = len(set(account_ids))
        question = Bilingual(
            zh=f"停用 {count} 个账户后，飞书不再发送余额变动事件，也不能提现。继续？",
            en=f"Deactivate {count} accounts? Feishu then sends no events about them and refuses withdrawals.",
        )
        if not sys.stdin.isatty():
            raise click.UsageError(
                say(
                    Bilingual(
                        zh="没有终端可供确认：请加上 --yes。", en="There is no terminal to ask: add --yes."
                    )
                )
            )
        click.confirm(say(question), abort=True)
    _switch(config_path, clock_file, account_ids, is_enabled=False, as_json=as_json)


def _switch(
    config_path: Path | None,
    clock_file: Path | None,
    account_ids: Sequence[str],
    *,
    is_enabled: bool,
    as_json: bool,
) -> None:
    from notifier.operations.accounts import switching  # noqa: PLC0415 - see above
    from notifier.operations.language import say  # noqa: PLC0415 - see above

    loaded = load_config(config_path, credentials=True)
    wanted = list(dict.fromkeys(account_ids))
    with open_database(loaded) as database:
        known = switching.find_accounts(database, loaded.config.feishu.app_id, wanted)
        unknown = next((each for each in wanted if each not in known), None)
        if unknown is not None:
            exit_unknown("account", unknown)
        clock = make_clock(clock_file, config_path, database)
        results = asyncio.run(
            switching.switch_accounts(
                database, clock, loaded.config, [known[each] for each in wanted], is_enabled=is_enabled
            )
        )
    done = Bilingual(zh="已启用", en="enabled") if is_enabled else Bilingual(zh="已停用", en="deactivated")
    if as_json:
        rows = [
            {"account_id": each.account_id, "problem": say(each.problem) if each.problem else None}
            for each in results
        ]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    for each in () if as_json else results:
        if each.problem is None:
            click.echo(f"{each.account_id}  {say(done)}")
        else:
            print_error(f"{each.account_id}: {say(each.problem)}")
    sys.exit(1 if any(each.problem for each in results) else 0)


@accounts.command("sync")
@CONFIG_OPTION
@CLOCK_OPTION
@JSON_OPTION
def sync_accounts(config_path: Path | None, clock_file: Path | None, *, as_json: bool) -> None:
    """Read all known accounts again, and list the balances that differed from the stored ones."""
    from notifier.cli.progress import ProgressLine  # noqa: PLC0415 - see above
    from notifier.operations.accounts import sync, sync_text  # noqa: PLC0415 - see above

    loaded = load_config(config_path, credentials=True)
    progress = ProgressLine()
    with open_database(loaded) as database:
        clock = make_clock(clock_file, config_path, database)
        try:
            report = asyncio.run(sync.sync_accounts(database, clock, loaded.config, on_progress=progress))
        finally:
            progress.close()
    click.echo(sync_text.as_json(report) if as_json else sync_text.as_text(report))
    sys.exit(0 if report.is_finished and not report.failed else 1)
