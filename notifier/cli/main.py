"""Command line: the main commands, and the exit code and message of an error.

Exit codes: 0 success; 1 a check failed or an id is unknown; 2 the configuration or the command is invalid.
Heavy imports happen inside the commands, so that --help and the offline commands start fast.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from notifier import __version__
from notifier.cli import audit, deliveries, digest, payouts, withdrawals
from notifier.cli.context import (
    CLOCK_OPTION,
    CONFIG_OPTION,
    JSON_OPTION,
    load_config,
    make_clock,
    naming_config_source,
    open_database,
    print_error,
    reporting_storage_errors,
)
from notifier.errors import CallError, ConfigError, NotifierError

if TYPE_CHECKING:
    from notifier.config.loader import LoadedConfig
    from notifier.config.settings import Config


class _CommandGroup(click.Group):
    """Prints known errors as one sentence to stderr."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            print_error(str(error))
            ctx.exit(2)
        except CallError as error:
            print_error(f"Feishu: {error}")
            ctx.exit(2)
        except NotifierError as error:
            print_error(str(error))
            ctx.exit(2)


@click.group(
    cls=_CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="notifier")
def cli() -> None:
    """Notify referrers in Feishu when their referral rewards change."""


@cli.command()
@CONFIG_OPTION
@CLOCK_OPTION
def run(config_path: Path | None, clock_file: Path | None) -> None:
    """Receive events and send cards until SIGTERM or Ctrl-C."""
    loaded = load_config(config_path, credentials=True)
    _set_up_logs(loaded.config)
    from notifier.runtime import app  # noqa: PLC0415 - see above

    with naming_config_source(loaded), reporting_storage_errors(loaded):
        asyncio.run(app.run(loaded.config, clock=make_clock(clock_file, config_path)))


@cli.command()
@CONFIG_OPTION
@CLOCK_OPTION
@click.option(
    "--online", is_flag=True, help="Also call Feishu: check the token, the scopes and the groups of the bot."
)
def check(config_path: Path | None, clock_file: Path | None, *, online: bool) -> None:
    """Check the configuration and the templates, without network access."""
    from notifier.operations import checks  # noqa: PLC0415 - see above

    loaded, clock = load_config(config_path), make_clock(clock_file, config_path)
    results = checks.check_offline(loaded, clock)
    if online:
        _require_credentials(loaded)
        from notifier.operations import online_checks  # noqa: PLC0415 - see above

        results += asyncio.run(online_checks.check_online(loaded.config, clock))
    for result in results:
        click.echo(result.as_line())
    problems = sum(result.is_problem for result in results)
    unknown = sum(not result.is_checkable for result in results)
    found = f"{problems} problem{'s' if problems != 1 else ''} found." if problems else "No problem found."
    if unknown:
        found += f" {unknown} not checkable: see UNKNOWN above."
    click.echo(f"\n{found if problems or unknown else 'All good.'}")
    sys.exit(1 if problems else 0)


@cli.command()
@CONFIG_OPTION
@click.argument("template", required=False)
@click.option(
    "--sample",
    "sample_name",
    help="Name of the sample data; see --list. Default: the first that fits.",
)
@click.option("--list", "list_only", is_flag=True, help="List the templates and samples.")
def preview(
    config_path: Path | None, template: str | None, sample_name: str | None, *, list_only: bool
) -> None:
    """Render a card template with sample data and print its JSON."""
    from notifier.operations import checks, sample_cards  # noqa: PLC0415 - see above

    config = load_config(config_path).config
    if list_only:
        for name in checks.list_templates(config):
            click.echo(f"{name}: {', '.join(sample_cards.list_samples(name))}")
        return
    card = checks.render_sample(config, template or "balance_change.json.j2", sample_name)
    click.echo(json.dumps(card, ensure_ascii=False, indent=2))


@cli.command()
@CONFIG_OPTION
def migrate(config_path: Path | None) -> None:
    """Create the database or migrate it to the latest schema. `run` does this automatically."""
    from notifier.store.schema import upgrade  # noqa: PLC0415 - see above

    with open_database(load_config(config_path), must_exist=False):
        click.echo(f"The database is at schema {upgrade.LATEST_REVISION}.")


@cli.command()
@CONFIG_OPTION
@CLOCK_OPTION
@click.option(
    "--check",
    "check_only",
    is_flag=True,
    help="One line for monitoring; exit code 1 if something needs attention.",
)
@JSON_OPTION
def status(config_path: Path | None, clock_file: Path | None, *, as_json: bool, check_only: bool) -> None:
    """Show the process, the connection, the queues, failures with their reasons, and the time to drain."""
    from notifier.operations.status import read_status  # noqa: PLC0415 - see above

    loaded = load_config(config_path)
    with open_database(loaded) as database:
        report = read_status(
            database,
            make_clock(clock_file, config_path),
            per_minute=min(loaded.config.sending.per_minute, 60 * loaded.config.sending.per_second),
        )
    if check_only:
        click.echo(report.summary())
        sys.exit(1 if report.attention() else 0)
    click.echo(json.dumps(report.as_json(), ensure_ascii=False, indent=2) if as_json else report.as_text())


@cli.command()
@click.option(
    "--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0 for any free port."
)
@click.option("--only-feishu", is_flag=True, help="Run only the sandbox, for your own bot.")
@click.option(
    "--webhook",
    is_flag=True,
    help="Send events and clicks by webhook, not over the long connection.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the notifier's database and Feishu's side here. Default: a temporary folder.",
)
def sandbox(port: int, data: Path | None, *, only_feishu: bool, webhook: bool) -> None:
    """Run the Feishu sandbox with its web page, and a notifier connected to it."""
    from notifier.operations import sandbox_run  # noqa: PLC0415 - see above

    if webhook and only_feishu:
        raise click.UsageError("--webhook configures the notifier of the sandbox; leave out --only-feishu.")
    asyncio.run(
        sandbox_run.run_sandbox(
            port=port, only_feishu=only_feishu, webhook=webhook, data=data, echo=click.echo
        )
    )


def _require_credentials(loaded: "LoadedConfig") -> None:
    from notifier.config import loader  # noqa: PLC0415 - see above

    loader.require_credentials(loaded)


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


for _group in (deliveries.deliveries, digest.digest, withdrawals.withdrawals, payouts.payouts, audit.audit):
    cli.add_command(_group)
