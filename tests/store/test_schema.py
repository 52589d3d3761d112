"""Schema: what migrations build is what tables.py describes, and a connection is set up to survive a power cut."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from notifier.errors import ConfigError, StoreBusy, StoreOutdated
from notifier.store.engine.backends import find_backend, get_backend
from notifier.store.engine.database import Database
from notifier.store.engine.sqlite.process_lock import hold_process_lock, is_running
from notifier.store.schema import upgrade
from notifier.store.schema.tables import metadata
from support import postgres


@pytest.fixture
def described(store_url: str, tmp_path: Path) -> Iterator[sa.Engine]:
    """A database made from tables.py, without migrations."""
    is_file = store_url.startswith("sqlite")
    url = f"sqlite:///{tmp_path}/described.db" if is_file else postgres.create_database(migrated=False)
    engine = find_backend(url).make_engine(url)
    metadata.create_all(engine)
    yield engine
    engine.dispose()
    if not is_file:
        postgres.drop_database(url)


def test_migrations_build_exactly_the_tables_we_describe(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert [] == compare_metadata(context, metadata)


def test_migrations_build_the_very_columns_we_describe(database: Database, described: sa.Engine) -> None:
    """compare_metadata does not know defaults and keys; the database's own list of columns does."""
    assert _columns(described) == _columns(database.engine)


def test_migrations_build_the_very_indexes_we_describe(database: Database, described: sa.Engine) -> None:
    """compare_metadata does not look into partial indexes; their SQL does."""
    assert _indexes(described) == _indexes(database.engine)


def _columns(engine: sa.Engine) -> dict[str, list[object]]:
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        return {
            table: [
                tuple(row)[1:] for row in connection.exec_driver_sql(_COLUMNS[is_sqlite].format(table=table))
            ]
            for table in metadata.tables
        }


_COLUMNS = {
    True: "PRAGMA table_info({table})",
    False: "SELECT attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,"
    " pg_get_expr(adbin, adrelid) FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)"
    " WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum",
}
_INDEXES = {
    True: "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql > ''",
    False: "SELECT indexname AS name, indexdef AS sql FROM pg_indexes WHERE tablename <> 'alembic_version'"
    " AND schemaname = current_schema() UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = current_schema()::regnamespace AND contype IN ('f', 'u')",
}


def _indexes(engine: sa.Engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(_INDEXES[engine.dialect.name == "sqlite"])
        return {row.name: " ".join(row.sql.split()) for row in rows}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_empty_database_has_no_version(kind: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/empty.db" if kind == "sqlite" else postgres.create_database(migrated=False)
    engine = find_backend(url).make_engine(url)

    assert upgrade.stored_version(engine) is None
    engine.dispose()
    if kind == "postgresql":
        postgres.drop_database(url)


def test_bringing_up_twice_changes_nothing(database: Database) -> None:
    before = _indexes(database.engine)
    begin = get_backend(database.engine).begin_migration
    upgrade.ensure_schema(database.engine, begin)
    upgrade.upgrade(database.engine, begin)

    assert upgrade.LATEST_REVISION == upgrade.stored_version(database.engine)
    assert before == _indexes(database.engine)


def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0099'"))

    with pytest.raises(
        StoreOutdated, match=r"has schema 0099; this program knows " + upgrade.LATEST_REVISION
    ):
        upgrade.ensure_schema(database.engine, get_backend(database.engine).begin_migration)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "pragma, value",
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10_000)],
)
def test_every_connection_is_set_to_survive_a_power_cut(
    database: Database, pragma: str, value: object
) -> None:
    def ask(connection: sa.Connection) -> object:
        return connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()

    with database.read() as reading:
        assert value == ask(reading)
    assert value == database.write(ask).result()


def test_a_second_process_on_the_same_file_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/notifier.db"
    with hold_process_lock(url), pytest.raises(StoreBusy, match="already running on"), hold_process_lock(url):
        pass


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_second_process_that_comes_by_a_link_is_refused(tmp_path: Path, linked: str) -> None:
    real, other = tmp_path / "real", tmp_path / "other"
    real.mkdir()
    if linked == "folder":
        other.symlink_to(real)
    else:
        other.mkdir()
        (other / "notifier.db").symlink_to(real / "notifier.db")

    with (
        hold_process_lock(f"sqlite:///{real}/notifier.db"),
        pytest.raises(StoreBusy),
        hold_process_lock(f"sqlite:///{other}/notifier.db"),
    ):
        pass


def test_the_right_to_run_can_be_had_again_once_it_is_given_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/notifier.db"
    for _ in range(2):
        with hold_process_lock(url):
            assert is_running(url)
        assert not is_running(url)


def test_the_file_itself_is_held_whatever_name_it_is_found_by(tmp_path: Path) -> None:
    """Also where the lock beside it was deleted, and where the file was made only after the right was taken."""
    file, other = tmp_path / "notifier.db", tmp_path / "other.db"
    with hold_process_lock(f"sqlite:///{file}") as hold:
        Database.open(f"sqlite:///{file}").close()
        hold()
        hold()
        other.hardlink_to(file)
        Path(f"{file}.lock").unlink()
        for name in (file, other):
            with pytest.raises(StoreBusy, match="already running on"), hold_process_lock(f"sqlite:///{name}"):
                pass
    with hold_process_lock(f"sqlite:///{other}"):
        pass


@pytest.mark.parametrize(
    "url, complaint",
    [
        ("nonsense", "this is not a database address"),
        ("mysql://someone@db.invalid/notifier", "mysql is not supported"),
        ("postgresql+asyncpg://someone@db.invalid/notifier", "asyncpg is not supported"),
        ("postgresql://someone@db.invalid", "the name of the database is missing"),
        ("postgresql://someone@db.invalid/x?password=secret", "password is not allowed"),
        ("postgresql://someone@db.invalid:port/x", "this is not a database address"),
        ("sqlite:////proc/notifier/x.db", "cannot be created"),
        (f"sqlite:////tmp/{'n' * 300}.db", "this is not a valid file name"),
        ("sqlite:////tmp/a%00b.db", "this is not a valid file name"),
        ("sqlite:///file:x?mode=memory&uri=true", "options"),
    ],
)
def test_an_address_that_cannot_be_used_is_a_config_error(url: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Database.open(url)
    with pytest.raises(ConfigError, match=complaint), find_backend(url).hold_process_lock(url):
        pass


def test_a_file_that_is_no_database_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "notifier.db").write_text("this is a letter, not a database" * 100)

    with pytest.raises(ConfigError, match="is not a usable database"):
        Database.open(f"sqlite:///{tmp_path}/notifier.db")


def test_a_folder_where_the_database_should_be_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        Database.open(f"sqlite:///{tmp_path}")


def test_an_address_is_shown_without_its_password_and_options() -> None:
    url = sa.make_url("postgresql://someone:pw@db.invalid:1234/x?sslmode=require")

    assert "postgresql://someone@db.invalid:1234/x" == find_backend(str(url)).describe(url)
