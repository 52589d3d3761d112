"""Shared by the commands: options, configuration, database, and error output."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click

from notifier.domain.card import Bilingual
from notifier.errors import ConfigError
from notifier.operations.language import localized

if TYPE_CHECKING:
    from notifier.clock import Clock
    from notifier.config.loader import LoadedConfig
    from notifier.store.engine.database import Database

CONFIG_OPTION = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Configuration file. Default: ./config.yaml if it exists. Environment variables take precedence.",
)


CLOCK_OPTION = click.option(
    "--clock-file",
    type=click.Path(path_type=Path),
    hidden=True,
    help="For the sandbox: file with an offset to the system clock, in seconds.",
)


TEMPLATES_OPTION = click.option(
    "--templates",
    "template_dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Folder of own card templates, in place of cards.template_dir.",
)


JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def list_options(states: Sequence[str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the options of a `list` command: --state, --limit, --json, and those for configuration and clock."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        state = click.option(
            "--state",
            "states",
            multiple=True,
            type=click.Choice(states),
            help="Show only this state. Repeat for more.",
        )
        limit = click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
        return CONFIG_OPTION(CLOCK_OPTION(state(limit(JSON_OPTION(command)))))

    return decorate


SANDBOX_CLOCK_FILE = "sandbox-clock"
"""The offset of the sandbox's clock, beside the configuration that `notifier sandbox` makes."""


def find_sandbox_clock(file: Path | None, config_path: Path | None) -> "Clock | None":
    """Return the clock of the sandbox that the command works with; None if there is none.

    file: the offset of a sandbox. None: the one beside the configuration, if `notifier sandbox` made it.
    """
    from notifier.clock import FileOffsetClock  # noqa: PLC0415 - with the others

    if file is None and config_path is not None:
        beside = config_path.parent / SANDBOX_CLOCK_FILE
        file = beside if beside.is_file() else None
    return None if file is None else FileOffsetClock(file)


def make_clock(file: Path | None, config_path: Path | None, database: "Database | None" = None) -> "Clock":
    """Return the clock of a command: the sandbox's if it works with one, else the clock of the database or machine.

    file: as for find_sandbox_clock. database: the database whose times the command compares.
    """
    from notifier.clock import SystemClock  # noqa: PLC0415 - with the others

    clock = find_sandbox_clock(file, config_path)
    if clock is not None:
        return clock
    return database.make_clock() if database is not None else SystemClock()


def print_error(text: str) -> None:
    """Print an error to stderr, with the name of the program."""
    click.echo(f"notifier: {text}", err=True)


Noun = Literal["account", "delivery", "event", "payout", "withdrawal"]
_NOUNS: "dict[Noun, tuple[str, str]]" = {
    "account": ("accounts", "账户"),
    "delivery": ("deliveries", "投递"),
    "event": ("events", "事件"),
    "payout": ("payouts", "付款"),
    "withdrawal": ("withdrawals", "提现"),
}
"""By noun: the group of commands, and the Chinese word."""


def exit_unknown(noun: Noun, identifier: object) -> NoReturn:
    """Ends a command that was given an id which does not exist."""
    group, noun_zh = _NOUNS[noun]
    print_error(
        localized(
            f"there is no {noun} {identifier}; `notifier {group} list` shows them.",
            f"没有{noun_zh} {identifier}；列表见 `notifier {group} list`。",
        )
    )
    sys.exit(1)


def exit_with_changed(
    en: str, zh: str, done: Sequence[int], others: Sequence[int], explain: Bilingual
) -> None:
    """Print which rows an action changed. en, zh: the action. Exits with 1 if there are others; explain: why not."""
    ids = ", ".join(map(str, done))
    click.echo(
        localized(
            f"{len(done)} {en}{': ' + ids if ids else ''}.", f"{len(done)} {zh}{'：' + ids if ids else ''}。"
        )
    )
    if others:
        shown = ", ".join(map(str, others))
        print_error(localized(f"{shown}: {explain.en}", f"{shown}：{explain.zh}"))
        sys.exit(1)


def load_config(
    path: Path | None, *, credentials: bool = False, template_dir: Path | None = None
) -> "LoadedConfig":
    """Load the configuration. Raises ConfigError.

    credentials: whether app id and secret must be set. template_dir: a folder in place of `cards.template_dir`.
    """
    from notifier.config import loader  # noqa: PLC0415 - heavy imports happen where they are needed

    loaded = loader.load_config(path)
    if credentials:
        loader.require_credentials(loaded)
    configured = loaded.config.cards.template_dir
    if template_dir is None and configured is None:
        return loaded
    from notifier.operations.templates import template_folder  # noqa: PLC0415 - with the others

    if template_dir is not None:
        template_folder.require_own_folder(template_dir, template_folder.OPTION)
        return template_folder.use_templates(loaded, template_dir)
    if configured is not None:
        with naming_config_source(loaded):
            template_folder.require_own_folder(configured, template_folder.SETTING)
    return loaded


@contextmanager
def naming_config_source(loaded: "LoadedConfig") -> "Iterator[None]":
    """Add the source of the setting to a ConfigError that occurs after loading."""
    try:
        yield
    except ConfigError as error:
        key = str(error).replace("：", ":").partition(":")[0]
        place = loaded.origins.get(key) or loaded.file
        raise ConfigError(
            f"{place or 'the defaults'}: {error}", zh=f"{place or '默认值'}：{error.zh}"
        ) from error


@contextmanager
def reporting_storage_errors(loaded: "LoadedConfig") -> "Iterator[None]":
    """Convert database errors with a known next step to a NotifierError with one sentence."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - with the others

    from notifier.store.engine import backends, outage  # noqa: PLC0415 - with the others

    try:
        yield
    except DBAPIError as error:
        if outage.get_next_step(error) is None:
            raise
        url = loaded.config.store.url
        raise outage.to_store_error(error, backends.find_backend(url).parse_url(url)) from error


@contextmanager
def open_database(loaded: "LoadedConfig", *, must_exist: bool = True) -> "Iterator[Database]":
    """Open the database of the configuration, and close it at the end. must_exist: do not create one."""
    from notifier.store.engine.database import Database  # noqa: PLC0415 - heavy imports happen where they are needed

    with naming_config_source(loaded):
        database = Database.open(loaded.config.store.url, must_exist=must_exist)
    try:
        with reporting_storage_errors(loaded):
            yield database
    finally:
        database.close()
