"""The commands that find ids of people and groups. Heavy imports happen inside them."""

import asyncio
import sys
from pathlib import Path

import click

from notifier.cli.context import CLOCK_OPTION, CONFIG_OPTION, JSON_OPTION, load_config, make_clock


@click.group()
def people() -> None:
    """Find people at Feishu."""


@people.command("find")
@CONFIG_OPTION
@CLOCK_OPTION
@click.option("--email", "emails", multiple=True, help="E-mail address. Repeat for more.")
@click.option("--mobile", "mobiles", multiple=True, help="Mobile number; +code for other countries.")
@JSON_OPTION
def find_people(
    config_path: Path | None,
    clock_file: Path | None,
    emails: tuple[str, ...],
    mobiles: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Print the open_ids of people in this app, as the configuration needs them."""
    from notifier.domain.card import Bilingual  # noqa: PLC0415 - see above
    from notifier.operations.accounts import contacts  # noqa: PLC0415 - see above
    from notifier.operations.directory import people as directory  # noqa: PLC0415 - see above
    from notifier.operations.language import say  # noqa: PLC0415 - see above

    try:
        addresses = [each for each in map(contacts.read_email, emails) if each is not None]
        numbers = [each for each in map(contacts.read_mobile, mobiles) if each is not None]
    except contacts.BadContactError as error:
        raise click.UsageError(say(error.text)) from error
    if not addresses and not numbers:
        text = Bilingual(
            zh="请用 --email 或 --mobile 指定要找的人。", en="Name a person with --email or --mobile."
        )
        raise click.UsageError(say(text))
    config = load_config(config_path, credentials=True).config
    clock = make_clock(clock_file, config_path)
    results = asyncio.run(directory.find_operators(config, clock, emails=addresses, mobiles=numbers))
    click.echo(directory.format_people(results, as_json=as_json))
    sys.exit(1 if any(each.problem is not None for each in results) else 0)


@click.command("groups")
@CONFIG_OPTION
@CLOCK_OPTION
@JSON_OPTION
def groups(config_path: Path | None, clock_file: Path | None, *, as_json: bool) -> None:
    """List the groups that the bot is in, with their chat_id."""
    from notifier.operations.directory import groups as directory  # noqa: PLC0415 - see above

    config = load_config(config_path, credentials=True).config
    clock = make_clock(clock_file, config_path)
    click.echo(asyncio.run(directory.list_groups(config, clock, as_json=as_json)))
