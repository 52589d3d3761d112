"""What the files of the command line share: the configuration, the database, and one sentence for an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifier.errors import ConfigError

if TYPE_CHECKING:
    from notifier.clock import Clock
    from notifier.config.loader import Loaded
    from notifier.store.engine.database import Database

CONFIG_OPTION = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The configuration file. Default: config.yaml here, if there is one; the environment fills in and wins.",
)


CLOCK_OPTION = click.option(
    "--clock-file",
    type=click.Path(path_type=Path),
    hidden=True,
    help="For the sandbox: how many seconds to be ahead of this machine's clock.",
)


def clock_of(file: Path | None) -> "Clock":
    from notifier.clock import FollowingClock, SystemClock  # noqa: PLC0415 - with the others

    return SystemClock() if file is None else FollowingClock(file)


def say_error(text: str) -> None:
    click.echo(f"notifier: {text}", err=True)


def load(path: Path | None, *, credentials: bool = False) -> "Loaded":
    from notifier.config import loader  # noqa: PLC0415 - heavy imports happen where they are needed

    loaded = loader.load(path)
    if credentials:
        loader.need_credentials(loaded)
    return loaded


@contextmanager
def naming_the_file(loaded: "Loaded") -> "Iterator[None]":
    """A setting that turns out wrong only when it is used is complained about like the others."""
    try:
        yield
    except ConfigError as error:
        place = loaded.origins.get(str(error).partition(":")[0]) or loaded.file or "the defaults"
        raise ConfigError(f"{place}: {error}") from error


@contextmanager
def saying_what_ails_it(loaded: "Loaded") -> "Iterator[None]":
    """A database that cannot be read or written is a sentence, not a traceback."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - with the others

    from notifier.store.engine import outage  # noqa: PLC0415 - with the others

    try:
        yield
    except DBAPIError as error:
        if outage.next_step(error) is None:
            raise
        raise outage.failing(error, loaded.config.store.url.removeprefix("sqlite:///")) from error


@contextmanager
def open_database(loaded: "Loaded", *, must_exist: bool = True) -> "Iterator[Database]":
    from notifier.store.engine.database import Database  # noqa: PLC0415 - heavy imports happen where they are needed

    with naming_the_file(loaded):
        database = Database.open(loaded.config.store.url, must_exist=must_exist)
    try:
        with saying_what_ails_it(loaded):
            yield database
    finally:
        database.close()
