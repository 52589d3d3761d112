"""PostgreSQL: what goes wrong with a server is one sentence with a next step, and a lost connection is an outage."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from notifier.cli.main import cli
from notifier.errors import ConfigError
from notifier.store import probe
from notifier.store.engine.backends import find_backend
from notifier.store.engine.database import Database
from notifier.store.engine.outage import get_next_step, is_outage
from notifier.store.schema.tables import rate_limits
from support import postgres

SECRET = "pass-word-of-the-database"
BACKEND = find_backend("postgresql://")


@pytest.fixture
def url() -> Iterator[str]:
    """An empty database that nobody has migrated."""
    created = postgres.create_database(migrated=False)
    yield created
    postgres.drop_database(created)


@pytest.fixture
def store() -> Iterator[Database]:
    created = postgres.create_database()
    opened = Database.open(created)
    yield opened
    opened.close()
    postgres.drop_database(created)


@pytest.fixture
def make_role() -> Iterator[Callable[..., str]]:
    """Creates a role with these options and returns its name."""
    made: list[str] = []

    def make(options: str, name: str = "notifier_role") -> str:
        with postgres.administer(postgres.server_url()) as connection:
            connection.exec_driver_sql(f"DROP ROLE IF EXISTS {name}")
            connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN {options}")
        made.append(name)
        return name

    yield make
    with postgres.administer(postgres.server_url()) as connection:
        for name in made:
            connection.exec_driver_sql(f"DROP ROLE {name}")


def changed(url: str, *, query: dict[str, str] | None = None, **parts: object) -> str:
    """The address with other parts, and more options."""
    parsed = sa.make_url(url).set(**parts)  # type: ignore[arg-type]
    return postgres.to_text(parsed.update_query_dict(query or {}))


def write(name: str) -> Callable[[sa.Connection], None]:
    return lambda c: c.execute(sa.insert(rate_limits).values(name=name, due_at_ms=0, blocked_until=0)).close()


def failure(url: str) -> str:
    """The error of a start, which names no password."""
    with pytest.raises(ConfigError) as caught:
        Database.open(url)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_wrong_password_is_said(url: str, make_role: Callable[..., str]) -> None:
    role = make_role("PASSWORD 'another'", postgres.PASSWORD_ROLE)

    assert "rejects the user or the password" in failure(changed(url, username=role, password=SECRET))
    assert "rejects the user or the password" in failure(changed(url, username=role))


def test_the_password_comes_from_the_environment_or_a_file(
    url: str, make_role: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = make_role(f"SUPERUSER PASSWORD '{SECRET}'", postgres.PASSWORD_ROLE)
    Database.open(changed(url, username=role, password=SECRET)).close()
    with monkeypatch.context() as patch:
        patch.setenv("PGPASSWORD", SECRET)
        Database.open(changed(url, username=role)).close()
    file = tmp_path / "pgpass"
    file.write_text(f"*:*:*:{role}:{SECRET}\n", encoding="utf-8")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    Database.open(changed(url, username=role)).close()
    with postgres.administer(sa.make_url(url)) as connection:
        connection.exec_driver_sql(f"REASSIGN OWNED BY {role} TO CURRENT_USER")


def test_a_user_that_does_not_exist_is_said(url: str) -> None:
    assert "rejects the user or the password" in failure(changed(url, username="nobody_here"))


def test_a_database_that_does_not_exist_is_said(url: str) -> None:
    assert "the database does not exist. Create it" in failure(changed(url, database="no_such_database"))


def test_a_user_who_may_not_create_tables_is_said(url: str, make_role: Callable[..., str]) -> None:
    with postgres.administer(sa.make_url(url)) as connection:
        connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")

    assert "GRANT USAGE, CREATE ON SCHEMA public" in failure(changed(url, username=make_role("")))


def test_a_full_server_is_said(url: str, make_role: Callable[..., str]) -> None:
    role = make_role("CONNECTION LIMIT 0")

    assert "accepts no more connections. Raise max_connections" in failure(changed(url, username=role))


@pytest.mark.parametrize(
    "function, said",
    [
        ("pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT true'", "is a standby, which only reads"),
        (
            "current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT '130012' $$",
            "runs PostgreSQL 13. Use version 14 or newer",
        ),
    ],
    ids=["standby", "old"],
)
def test_a_server_that_cannot_be_used_is_said(url: str, function: str, said: str) -> None:
    """A function in front of the server's own makes it look so."""
    with postgres.administer(sa.make_url(url)) as connection:
        connection.exec_driver_sql("CREATE SCHEMA fake")
        connection.exec_driver_sql(f"CREATE FUNCTION fake.{function}")
    options = {"options": "-csearch_path=fake,pg_catalog,public"}

    assert said in failure(changed(url, query=options))


def test_writes_that_are_switched_off_are_said(url: str) -> None:
    options = {"options": "-cdefault_transaction_read_only=on"}

    assert "the server only reads" in failure(changed(url, query=options))


def test_a_search_path_without_a_schema_is_said(url: str) -> None:
    assert "search_path" in failure(changed(url, query={"options": "-csearch_path=nowhere"}))


def test_an_encoding_without_chinese_is_said() -> None:
    name = "notifier_latin1"
    with postgres.administer(postgres.server_url()) as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    url = postgres.to_text(postgres.server_url().set(database=name))
    try:
        assert "has the encoding LATIN1. Create the database with ENCODING 'UTF8'" in failure(url)
    finally:
        postgres.drop_database(url)


def test_an_unreachable_server_is_said() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        said = failure(f"postgresql+psycopg://a:{SECRET}@127.0.0.1:{port}/x")

    assert f"postgresql://a@127.0.0.1:{port}/x: the server cannot be reached" in said
    assert "the server cannot be reached" in failure(f"postgresql+psycopg://a:{SECRET}@db.invalid/x")


def test_a_server_without_tls_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(8)  # SSLRequest
                connection.sendall(b"N")
                connection.recv(1)

        answering = threading.Thread(target=refuse)
        answering.start()
        port = server.getsockname()[1]

        assert "the encrypted connection fails. Check sslmode" in failure(
            f"postgresql+psycopg://a:{SECRET}@127.0.0.1:{port}/x?sslmode=require"
        )
        answering.join(10)


@pytest.mark.parametrize("command", ["migrate", "status", "run"])
def test_a_command_without_a_database_ends_with_one_sentence(command: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"store:\n  url: postgresql+psycopg://a:{SECRET}@db.invalid/x\n", encoding="utf-8")
    environment = {"FEISHU_APP_ID": "cli_a", "FEISHU_APP_SECRET": "app-secret"}

    result = CliRunner().invoke(cli, [command, "--config", str(file)], env=environment)

    assert 2 == result.exit_code, result.output
    assert "store.url: the database cannot be opened. postgresql://a@db.invalid/x: " in result.output
    assert "Traceback" not in result.output
    assert SECRET not in result.output


def test_a_command_that_only_reads_creates_no_tables(url: str) -> None:
    with pytest.raises(ConfigError, match="no tables of the notifier"):
        Database.open(url, must_exist=True)


def test_processes_that_start_together_migrate_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for opened in pool.map(Database.open, [url] * 4):
            opened.close()


async def test_several_processes_run_on_one_database_and_hear_of_each_other(store: Database) -> None:
    """Also after the server ended the connection that listens."""
    topics: asyncio.Queue[str] = asyncio.Queue()
    assert not store.is_running()
    async with store.listen(topics.put_nowait):
        async with store.listen(lambda _topic: None):
            pass
        assert store.is_running()
        store.write(lambda c: store.notify(c, "one", "two", "one")).result()
        assert ["one", "two"] == [await asyncio.wait_for(topics.get(), 20) for _ in range(2)]

        end = sa.text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE '%pg_advisory_lock_shared%' AND datname = current_database() AND pid <> pg_backend_pid()"
        )
        store.write(lambda c: c.execute(end).close()).result()
        async with asyncio.timeout(20):
            while True:
                store.write(lambda c: store.notify(c, "again")).result()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(topics.get(), 0.2)
                    break
        assert store.is_running()
    assert not store.is_running()


def test_two_exports_wait_for_each_other(store: Database) -> None:
    with (
        store.hold_export_lock(0),
        pytest.raises(ConfigError, match="another export is running"),
        store.hold_export_lock(0),
    ):
        pass
    with store.hold_export_lock(0):
        pass


def end_connections(store: Database) -> None:
    """As a restart of the server does."""
    with postgres.administer(postgres.server_url()) as connection:
        connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": store.engine.url.database},
        )


def test_a_lost_connection_is_an_outage_that_ends_with_the_next_write(
    store: Database, caplog: pytest.LogCaptureFixture
) -> None:
    store.write(write("one")).result(10)
    end_connections(store)
    with pytest.raises(sa.exc.OperationalError) as caught:
        store.write(write("two")).result(10)
    store.write(write("three")).result(10)

    assert is_outage(caught.value)
    assert ["store.failed", "store.recovered"] == [record.message for record in caplog.records]
    assert "then recovers automatically" in vars(caplog.records[0])["do"]
    with store.read() as connection:
        assert {"one", "three"} == set(connection.execute(sa.select(rate_limits.c.name)).scalars())


def test_a_connection_lost_in_the_middle_fails_all_work_of_the_transaction(store: Database) -> None:
    def end(_connection: sa.Connection) -> None:
        end_connections(store)

    began, let_go = threading.Event(), threading.Event()

    def stall(_connection: sa.Connection) -> None:
        began.set()
        assert let_go.wait(10)

    store.write(stall)
    assert began.wait(10)
    waiting = [store.write(work) for work in (write("before"), end, write("lost"), write("after"))]
    let_go.set()

    for each in waiting:
        with pytest.raises(sa.exc.OperationalError):
            each.result(10)
    store.write(write("again")).result(10)
    with store.read() as connection:
        assert ["again"] == list(connection.execute(sa.select(rate_limits.c.name)).scalars())


def test_a_read_meets_a_lost_connection_once(store: Database) -> None:
    with store.read() as connection:
        connection.execute(sa.select(rate_limits)).all()
    end_connections(store)
    with pytest.raises(sa.exc.OperationalError), store.read() as connection:
        connection.execute(sa.select(rate_limits)).all()
    with store.read() as connection:
        assert [] == connection.execute(sa.select(rate_limits)).all()


def test_a_read_cannot_write(store: Database) -> None:
    with pytest.raises(sa.exc.InternalError), store.read() as connection:
        write("one")(connection)


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03", "57P01", "53300", "53100", "08006"])
def test_what_may_succeed_later_is_an_outage(store: Database, state: str) -> None:
    def fail(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$")

    with pytest.raises(sa.exc.DBAPIError) as caught:
        store.write(fail).result(10)

    assert is_outage(caught.value)
    assert get_next_step(caught.value) is not None


@pytest.mark.parametrize("state", ["22001", "22021", "23505", "54000"])
def test_what_the_data_of_a_row_breaks_is_no_outage(store: Database, state: str) -> None:
    def fail(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$")

    with pytest.raises(sa.exc.DBAPIError) as caught:
        store.write(fail).result(10)

    assert not is_outage(caught.value)
    assert get_next_step(caught.value) is None


def test_a_password_with_an_at_sign_is_not_shown_and_the_remedy_is() -> None:
    with pytest.raises(ConfigError, match="Write %40 for an @") as caught:
        BACKEND.parse_url("postgresql+psycopg://u:start@hunter2secret@127.0.0.1:1/x")

    assert "hunter2" not in str(caught.value)


def test_a_server_is_tried_without_a_change(url: str) -> None:
    """For `notifier doctor`: empty, with tables, with a newer schema, and without a permission."""
    assert probe.find_problem(url) is None
    assert BACKEND.is_running(url) is False
    database = Database.open(url)
    assert probe.find_problem(url) is None
    for step in (
        "UPDATE alembic_version SET version_num = '9999'",
        "UPDATE schema_info SET version = '9999', oldest_program = '99.0.0'",
    ):
        database.write(lambda c, sql=step: c.exec_driver_sql(sql).close()).result()  # type: ignore[misc]
    database.close()
    found = probe.find_problem(url)
    assert found is not None
    assert "Install the newer notifier, 99.0.0 at least" in found.en
    missing = str(sa.make_url(url).set(database="does_not_exist"))
    found = probe.find_problem(missing)
    assert found is not None
    assert "the database does not exist. Create it" in found.en
    nobody = "postgresql+psycopg://127.0.0.1:1/x"
    found = probe.find_problem(nobody)
    assert found is not None
    assert "the server cannot be reached" in found.en


@pytest.mark.parametrize(
    "text, remedy",
    [
        ('致命错误:  用户 "n" Password 认证失败', "rejects the user or the password"),
        ("致命错误:  对不起, 已经有太多的客户", "accepts no more connections"),
        ('致命错误:  数据库 "x" 不存在', "does not exist. Create it"),
        ('invalid sslmode value: "bogus"', "an option after the ? in store.url is wrong"),
        ('invalid integer value "abc" for connection option "connect_timeout"', "an option after the ?"),
        ('invalid connection option "sslmod"', "an option after the ?"),
    ],
)
def test_errors_of_the_driver_have_their_remedy_in_both_languages(text: str, remedy: str) -> None:
    error = sa.exc.OperationalError("SELECT 1", {}, psycopg.OperationalError(text))

    step = BACKEND.get_next_step(error)
    assert step is not None
    assert remedy in step.en
