"""Choice of the backend: by store.url, or by an open engine."""

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from notifier.errors import ConfigError
from notifier.store.engine.backend import Backend
from notifier.store.engine.postgresql.backend import PostgresqlBackend
from notifier.store.engine.sqlite.backend import SqliteBackend

BACKENDS: dict[str, Backend] = {"sqlite": SqliteBackend(), "postgresql": PostgresqlBackend()}
"""By SQLAlchemy's name of the database system."""


def find_backend(url: str) -> Backend:
    """The backend of store.url. Raises ConfigError if the text is not an address, or names another system."""
    try:
        name = make_url(url).get_backend_name()
    except (sa.exc.ArgumentError, ValueError) as error:  # ValueError: the port is not a number
        raise ConfigError(
            "store.url: this is not a database address. Use sqlite:///path/to/notifier.db (relative to the current "
            "folder), sqlite:////absolute/path/notifier.db, or postgresql+psycopg://user@host/database.",
            zh="store.url：不是数据库地址。请用 sqlite:///path/to/notifier.db（相对当前目录）、"
            "sqlite:////absolute/path/notifier.db 或 postgresql+psycopg://user@host/database。",
        ) from error
    if name not in BACKENDS:
        raise ConfigError(
            f"store.url: {name} is not supported. Use sqlite:///… or postgresql+psycopg://user@host/database.",
            zh=f"store.url：不支持 {name}。请用 sqlite:///… 或 postgresql+psycopg://user@host/database。",
        )
    return BACKENDS[name]


def get_backend(bind: sa.Engine | sa.Connection) -> Backend:
    """The backend of an open engine or connection."""
    return BACKENDS[bind.dialect.name]
