"""Shared by the commands: options, configuration, database, and error output."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from notifier.errors import ConfigError

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


def make_clock(file: Path | None, config_path: Path | None) -> "Clock":
    """Return the clock of a command.

    file: the offset of a sandbox. None: the system clock, or the sandbox's clock if `notifier sandbox` made the
    configuration, whose folder then holds the offset.
    """
    from notifier.clock import FileOffsetClock, SystemClock  # noqa: PLC0415 - with the others

    if file is None and config_path is not None:
        beside = config_path.parent / SANDBOX_CLOCK_FILE
        file = beside if beside.is_file() else None
    return SystemClock() if file is None else FileOffsetClock(file)


def print_error(text: str) -> None:
    """Print an error to stderr, with the name of the program."""
    click.echo(f"notifier: {text}", err=True)


def exit_unknown(noun: str, identifier: object) -> NoReturn:
    """Ends a command that was given an id which does not exist. noun: delivery, withdrawal or payout."""
    plural = {"delivery": "deliveries"}.get(noun, f"{noun}s")
    print_error(f"there is no {noun} {identifier}; `notifier {plural} list` shows them.")
    sys.exit(1)


def load_config(path: Path | None, *, credentials: bool = False) -> "LoadedConfig":
    """Load the configuration. credentials: whether app id and secret must be set. Raises ConfigError."""
    from notifier.config import loader  # noqa: PLC0415 - heavy imports happen where they are needed

    loaded = loader.load_config(path)
    if credentials:
        loader.require_credentials(loaded)
    return loaded


@contextmanager
def naming_config_source(loaded: "LoadedConfig") -> "Iterator[None]":
    """Add the source of the setting to a ConfigError that occurs after loading."""
    try:
        yield
    except ConfigError as error:
        place = loaded.origins.get(str(error).partition(":")[0]) or loaded.file or "the defaults"
        raise ConfigError(f"{place}: {error}") from error


@contextmanager
def reporting_storage_errors(loaded: "LoadedConfig") -> "Iterator[None]":
    """Convert database errors with a known next step to a NotifierError with one sentence."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - with the others

    from notifier.store.engine import outage  # noqa: PLC0415 - with the others

    try:
        yield
    except DBAPIError as error:
        if outage.get_next_step(error) is None:
            raise
        raise outage.to_store_error(error, loaded.config.store.url.removeprefix("sqlite:///")) from error


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
