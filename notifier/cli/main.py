"""Command line: the main commands, and the exit code and message of an error.

Exit codes: 0 success; 1 a check failed or an id is unknown; 2 the configuration or the command is invalid.
Heavy imports happen inside the commands, so that --help and the offline commands start fast.
"""

import asyncio
import json
import logging
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from notifier import __version__
from notifier.cli import (
    accounts,
    audit,
    deliveries,
    digest,
    directory,
    doctor,
    events,
    payouts,
    templates,
    withdrawals,
)
from notifier.cli.cards import lint, preview, replay
from notifier.cli.colours import BAD, GOOD, WARNING, paint
from notifier.cli.context import (
    CLOCK_OPTION,
    CONFIG_OPTION,
    JSON_OPTION,
    TEMPLATES_OPTION,
    find_sandbox_clock,
    load_config,
    make_clock,
    naming_config_source,
    open_database,
    print_error,
    reporting_storage_errors,
)
from notifier.cli.setup import completion, init, sandbox, trigger, try_reward
from notifier.cli.texts.translate import HELP_OPTION_NAMES, translate_click, translate_help
from notifier.errors import CallError, ConfigError, NotifierError
from notifier.operations.language import localized, say, say_error
from notifier.operations.stored_texts import describe_error

if TYPE_CHECKING:
    from notifier.config.settings import Config
    from notifier.operations.status.report import Status
    from notifier.web.health_check import HealthAnswer


translate_click()


class _CommandGroup(click.Group):
    """Prints known errors as one sentence to stderr. Texts are in the language of the locale."""

    def main(self, *args: Any, **extra: Any) -> Any:  # noqa: ANN401 - click's own signature
        translate_help(self)
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        try:
            return super().invoke(ctx)
        except CallError as error:
            print_error(localized(f"Feishu: {error}", f"飞书：{describe_error(error)}"))
            ctx.exit(2)
        except NotifierError as error:
            print_error(say_error(error))
            ctx.exit(2)


@click.group(
    cls=_CommandGroup, context_settings={"help_option_names": HELP_OPTION_NAMES, "max_content_width": 110}
)
@click.version_option(__version__, prog_name="notifier")
def cli() -> None:
    """Notify referrers in Feishu when their referral rewards change."""
    # Commands print their results; only `run` and `sandbox` print logs, by handlers that they add.
    logging.getLogger().addHandler(logging.NullHandler())


@cli.command()
@CONFIG_OPTION
@CLOCK_OPTION
def run(config_path: Path | None, clock_file: Path | None) -> None:
    """Receive events and send cards until SIGTERM or Ctrl-C."""
    loaded = load_config(config_path, credentials=True)
    _set_up_logs(loaded.config)
    from notifier.runtime import app  # noqa: PLC0415 - see above

    with naming_config_source(loaded), reporting_storage_errors(loaded), _tracing(loaded.config):
        asyncio.run(app.run(loaded.config, clock=find_sandbox_clock(clock_file, config_path)))


@cli.command()
@CONFIG_OPTION
@CLOCK_OPTION
@TEMPLATES_OPTION
@JSON_OPTION
def check(
    config_path: Path | None, clock_file: Path | None, template_dir: Path | None, *, as_json: bool
) -> None:
    """Check configuration and templates offline; with --templates, only templates. `doctor` also examines Feishu."""
    from notifier.operations import checks  # noqa: PLC0415 - see above

    loaded = load_config(config_path, template_dir=template_dir)
    if template_dir is None:
        results = checks.check_offline(loaded, make_clock(clock_file, config_path))
    else:
        results = checks.check_templates(
            loaded.config, options=f" --templates {shlex.quote(str(template_dir))}"
        )
    problems = sum(result.is_problem for result in results)
    if as_json:
        document = {"ok": not problems, "results": [result.as_json() for result in results]}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        sys.exit(1 if problems else 0)
    for result in results:
        click.echo(result.as_line())
    unknown = sum(not result.is_checkable for result in results)
    click.echo(f"\n{_describe_findings(problems, unknown)}")
    sys.exit(1 if problems else 0)


@cli.command()
@click.option("--from", "source", required=True, help="The database to copy: an address as in store.url.")
@click.option("--to", "target", required=True, help="An empty database: an address as in store.url.")
def copy(source: str, target: str) -> None:
    """Copy everything to another database, such as from SQLite to PostgreSQL. Stop the notifier first."""
    from notifier.store import copy_store  # noqa: PLC0415 - see above

    def show(table: str, done: int, total: int) -> None:
        if done == total or sys.stderr.isatty():
            progress = localized(f"{done:>12,} of {total:,} rows", f"{done:>12,} / {total:,} 行")
            click.echo(f"\r{table:20}{progress}", nl=done == total, err=True)

    copied = copy_store.copy_store(source, target, progress=show)
    rows = sum(each.rows for each in copied)
    click.echo(
        localized(
            f"Copied and compared {rows:,} rows of {len(copied)} tables. Set store.url to the new database.",
            f"已复制并核对 {len(copied)} 张表，共 {rows:,} 行。请把 store.url 改为新数据库。",
        )
    )


@cli.command()
@CONFIG_OPTION
def migrate(config_path: Path | None) -> None:
    """Create the database or migrate it to the latest schema. `run` does this automatically."""
    from notifier.store.schema import upgrade  # noqa: PLC0415 - see above

    with open_database(load_config(config_path), must_exist=False):
        click.echo(
            localized(
                f"The database is at schema {upgrade.LATEST_REVISION}.",
                f"数据库结构版本：{upgrade.LATEST_REVISION}。",
            )
        )


@cli.command()
@CONFIG_OPTION
@CLOCK_OPTION
@click.option(
    "--check",
    "check_only",
    is_flag=True,
    help="One line for monitoring; exit code 1 if something needs attention.",
)
@click.option("--watch", "is_watched", is_flag=True, help="Show it every two seconds; q quits.")
@JSON_OPTION
def status(
    config_path: Path | None, clock_file: Path | None, *, as_json: bool, check_only: bool, is_watched: bool
) -> None:
    """Show the process, the connection, the queues, failures with their reasons, and the time to drain."""
    from notifier.operations.status.json_form import status_as_json  # noqa: PLC0415 - see above
    from notifier.operations.status.report import read_status  # noqa: PLC0415 - see above
    from notifier.operations.status.text_form import format_status, summarize_status  # noqa: PLC0415 - see above

    if as_json + check_only + is_watched > 1:
        raise click.UsageError(
            localized("Choose one of --json, --check and --watch.", "--json、--check 和 --watch 只能选一个。")
        )
    loaded = load_config(config_path)
    with _reporting_in_one_line(enabled=check_only), open_database(loaded) as database:
        clock = make_clock(clock_file, config_path, database)
        if is_watched:
            from notifier.cli.watch import watch  # noqa: PLC0415 - see above

            watch(
                lambda: _read_or_explain(lambda: format_status(read_status(database, clock, loaded.config)))
            )
            return
        report = read_status(database, clock, loaded.config)
    if check_only:
        summary = summarize_status(report)
        is_ok = summary.startswith("OK")
        click.echo(paint(summary, GOOD if is_ok else WARNING))
        sys.exit(0 if is_ok else 1)
    if as_json:
        click.echo(json.dumps(status_as_json(report), ensure_ascii=False, indent=2))
    else:
        click.echo(_paint_status(report))


@cli.command()
@CONFIG_OPTION
@click.option(
    "--ready", is_flag=True, help="Ask /readyz: also connection, storage and queues. Default: /livez."
)
def health(config_path: Path | None, *, ready: bool) -> None:
    """Ask the running notifier at health.listen; exit code 1 if it does not answer 200."""
    from notifier.config.fields import listen_address  # noqa: PLC0415 - see above
    from notifier.web.health_check import ask_health  # noqa: PLC0415 - see above

    loaded = load_config(config_path)
    listen = loaded.config.health.listen
    with naming_config_source(loaded):
        if not listen:
            raise ConfigError(
                localized(
                    "health.listen: is empty, so there is no answer. Set it, such as 127.0.0.1:8080.",
                    "health.listen：没有设置，所以没有应答。请设置，例如 127.0.0.1:8080。",
                )
            )
    path = "/readyz" if ready else "/livez"
    answer = ask_health(*listen_address(listen), path)
    click.echo(f"{listen}{path}{localized(': ', '：')}{_describe_answer(answer)}")
    sys.exit(0 if answer.is_ok else 1)


def _paint_status(report: "Status") -> str:
    """The first line is green if nothing needs attention, and red if no process runs. Attention lines are yellow."""
    from notifier.operations.status import text_form  # noqa: PLC0415 - see above

    attention = say(text_form.ATTENTION)
    lines = text_form.format_status(report).splitlines()
    if not text_form.list_attention(report):
        lines[0] = paint(lines[0], GOOD)
    elif report.process != "running":
        lines[0] = paint(lines[0], BAD)
    return "\n".join(paint(line, WARNING) if line.startswith(attention) else line for line in lines)


@contextmanager
def _reporting_in_one_line(*, enabled: bool) -> Iterator[None]:
    """For monitoring: a database that cannot be read needs attention like anything else."""
    try:
        yield
    except NotifierError as error:
        if not enabled:
            raise
        click.echo(f"ATTENTION: {error}")
        sys.exit(1)


def _read_or_explain(read: Callable[[], str]) -> str:
    """The text, or the problem of the database, which may be over a moment later."""
    from notifier.store.engine.outage import get_next_step  # noqa: PLC0415 - see above

    try:
        return read()
    except Exception as error:
        if (step := get_next_step(error)) is None:
            raise
        return localized(f"The database cannot be read: {step.en}", f"无法读取数据库：{step.zh}")


def _describe_findings(problems: int, unknown: int) -> str:
    if not problems and not unknown:
        return paint(localized("All good.", "全部正常。"), GOOD)
    found = localized(
        f"{problems} problem{'s' if problems != 1 else ''} found." if problems else "No problem found.",
        f"发现 {problems} 个问题。" if problems else "没有发现问题。",
    )
    if unknown:
        found += localized(
            f" {unknown} not checkable: see UNKNOWN above.",
            f"{unknown} 项无法检查：见上面标为“无法检查”的行。",
        )
    return paint(found, BAD if problems else WARNING)


def _describe_answer(answer: "HealthAnswer") -> str:
    """The status and the answer verbatim, or why there was none."""
    if answer.status is None:
        return localized(f"no answer: {answer.text}", f"没有应答（“{answer.text}”）")
    return f"{answer.status} {answer.text}"


def _set_up_logs(config: "Config") -> None:
    from notifier import logs  # noqa: PLC0415 - see above

    logs.set_up_logging(
        level=config.log.level,
        log_format=config.log.format,
        secrets=[
            config.feishu.app_secret.get_secret_value(),
            config.payouts.secret.get_secret_value(),
            config.webhook.encrypt_key.get_secret_value(),
            config.webhook.verification_token.get_secret_value(),
        ],
    )


def _tracing(config: "Config") -> AbstractContextManager[None]:
    """Exports traces during the block if `tracing.endpoint` is set. OpenTelemetry is imported only then."""
    if not config.tracing.endpoint:
        return nullcontext()
    from notifier.config.fingerprint import get_replica_name  # noqa: PLC0415 - see above

    try:
        from notifier.runtime.telemetry import tracing  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        raise ConfigError(
            "tracing.endpoint: is set, but OpenTelemetry is not installed. Run pip install 'referral-notifier[otel]'.",
            zh="tracing.endpoint：已设置，但没有安装 OpenTelemetry。请运行 pip install 'referral-notifier[otel]'。",
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"tracing.endpoint: OpenTelemetry rejects the environment: {error}.",
            zh=f"tracing.endpoint：OpenTelemetry 不接受当前的环境变量（“{error}”）。",
        ) from error
    return tracing.exporting(config.tracing.endpoint, instance=get_replica_name(config))


cli.add_command(doctor.doctor)
cli.add_command(sandbox.sandbox)
cli.add_command(lint.lint)
cli.add_command(preview.preview)
for _group in (
    accounts.accounts,
    deliveries.deliveries,
    events.events,
    digest.digest,
    replay.replay,
    withdrawals.withdrawals,
    payouts.payouts,
    audit.audit,
    directory.people,
    directory.groups,
    templates.templates,
    init.init,
    completion.completion,
    try_reward.try_group,
    trigger.trigger,
):
    cli.add_command(_group)
