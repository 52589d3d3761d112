"""Connections to PostgreSQL: the address, the checks of the server, and the settings of each connection."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url

from notifier.errors import ConfigError

OLDEST_VERSION = 14
"""Oldest major version of the server that we support."""
LOCK_WAIT_MS = 10_000
"""How long a statement waits for a row that another transaction has locked."""
IDLE_IN_TRANSACTION_MS = 10_000
"""The server ends a transaction whose process says nothing for this long: it is suspended or unreachable, and its locks
would keep the others from working. Shorter than the lease of a leader.
"""
SESSION_SETTINGS = (
    f"SELECT set_config('lock_timeout', '{LOCK_WAIT_MS}', false),"
    f" set_config('idle_in_transaction_session_timeout', '{IDLE_IN_TRANSACTION_MS}', false),"
    " set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),"
    " set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '30000', false)"
)
"""Settings of every session. The server notices a machine that disappeared after a minute; its default is two hours."""
LIBPQ_DEFAULTS = {
    "application_name": "notifier",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""Options of libpq, in seconds and tcp_user_timeout in ms. A lost network is noticed after a minute at most. The same
options in store.url replace them."""
POOL_SIZE, MAX_OVERFLOW = 5, 10
"""Connections that one process keeps, and that it may open beyond them for a moment."""


def parse_url(url: str) -> URL:
    """Parse store.url. Raises ConfigError for another driver, a missing database, or a secret among the options."""
    parsed = make_url(url)
    if parsed.drivername not in ("postgresql", "postgresql+psycopg"):
        raise ConfigError(
            f"store.url: {parsed.drivername} is not supported. Use postgresql+psycopg://….",
            zh=f"store.url：不支持 {parsed.drivername}。请用 postgresql+psycopg://…。",
        )
    if not parsed.database and "service" not in parsed.query:
        raise ConfigError(
            "store.url: the name of the database is missing. Use postgresql+psycopg://user@host/database.",
            zh="store.url：缺少数据库名称。请用 postgresql+psycopg://user@host/database。",
        )
    if secret := next((name for name in ("password", "sslpassword") if name in parsed.query), None):
        raise ConfigError(
            f"store.url: {secret} is not allowed after the ?. Put the password before the @, into PGPASSWORD, or into "
            "~/.pgpass.",
            zh=f"store.url：? 之后不能有 {secret}。请把密码放在 @ 之前、PGPASSWORD 或 ~/.pgpass 中。",
        )
    if "@" in (parsed.host or ""):
        raise ConfigError(
            "store.url: the address has more than one @. Write %40 for an @ in the password.",
            zh="store.url：地址中有多个 @。密码中的 @ 请写成 %40。",
        )
    return parsed.set(drivername="postgresql+psycopg")


def describe(url: URL) -> str:
    """The database for messages and logs, without password and options."""
    host = url.host or url.query.get("host") or "localhost"
    hosts = host if isinstance(host, str) else ",".join(host)
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{user}{hosts}{port}/{url.database or ''}"


def make_engine(url: str, **options: Any) -> Engine:  # noqa: ANN401 - SQLAlchemy's options
    """An SQLAlchemy engine with our settings. It does not connect. Raises ConfigError for an invalid address.

    A lost connection fails its transaction, and the pool then replaces all its connections.
    """
    parsed = parse_url(url)
    engine = sa.create_engine(
        parsed,
        connect_args={name: value for name, value in LIBPQ_DEFAULTS.items() if name not in parsed.query},
        isolation_level="READ COMMITTED",
        use_native_hstore=False,  # saves a query per connection
        **options,
    )
    sa.event.listen(engine, "connect", _prepare_connection)
    return engine


def make_pooled_engine(url: str) -> Engine:
    """An engine that keeps its connections."""
    return make_engine(url, pool_size=POOL_SIZE, max_overflow=MAX_OVERFLOW)


def _prepare_connection(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection
    connection.execute(SESSION_SETTINGS)
    connection.commit()


_SERVER = sa.text(
    "SELECT current_setting('server_version_num')::int / 10000 AS version, pg_is_in_recovery() AS is_standby,"
    " current_setting('server_encoding') AS encoding, current_schema() AS schema"
)


def check_server(connection: Connection) -> None:
    """Raises ConfigError for a server or database that the notifier cannot use."""
    place, server = describe(connection.engine.url), connection.execute(_SERVER).one()
    if server.version < OLDEST_VERSION:
        raise ConfigError(
            f"store.url: {place} runs PostgreSQL {server.version}. Use version {OLDEST_VERSION} or newer.",
            zh=f"store.url：{place} 运行 PostgreSQL {server.version}，需要 {OLDEST_VERSION} 或更高版本。",
        )
    if server.is_standby:
        raise ConfigError(
            f"store.url: {place} is a standby, which only reads. Use the address of the primary, or name all servers "
            "and add target_session_attrs=read-write.",
            zh=f"store.url：{place} 是备库，只读。请使用主库的地址，或列出所有服务器并加上 "
            "target_session_attrs=read-write。",
        )
    if server.encoding != "UTF8":
        raise ConfigError(
            f"store.url: {place} has the encoding {server.encoding}. Create the database with ENCODING 'UTF8'.",
            zh=f"store.url：{place} 的编码为 {server.encoding}。请用 ENCODING 'UTF8' 创建数据库。",
        )
    if server.schema is None:
        raise ConfigError(
            f"store.url: {place}: the search_path of the user names no schema that exists. Create the schema, or "
            "correct the search_path.",
            zh=f"store.url：{place}：用户的 search_path 中没有存在的结构（schema）。请创建它，或改正 search_path。",
        )
