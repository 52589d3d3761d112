"""Errors of PostgreSQL: recognizes them and gives the next step for operators.

A server that was reached names its errors by SQLSTATE. The driver reports a connection that was not made with a text
only, so that these texts are searched.
SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import re

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from notifier.store.engine.backend import RECOVERS_AUTOMATICALLY, get_reason

_UNREACHABLE = (
    "the server cannot be reached. Check the host and port in store.url, the network, and that it runs"
    f"{RECOVERS_AUTOMATICALLY}"
)
_STARTING = f"the server is starting or stopping. Wait{RECOVERS_AUTOMATICALLY}"
_WRONG_LOGIN = (
    "the server rejects the user or the password. Check the user in store.url, and the password in store.url, "
    "PGPASSWORD or ~/.pgpass"
)
_NO_DATABASE = "the database does not exist. Create it: CREATE DATABASE <name> OWNER <user> ENCODING 'UTF8'"
_FULL = (
    "the server accepts no more connections. Raise max_connections or the limit of the user or database, or close "
    f"other connections{RECOVERS_AUTOMATICALLY}"
)
_READ_ONLY = (
    "the server only reads: it is a standby, or its writes are switched off. Use the address of the primary, or name "
    "all servers and add target_session_attrs=read-write to store.url"
)
_TLS = (
    "the encrypted connection fails. Check sslmode and the certificates in store.url, and TLS on the server"
)
_NOT_ALLOWED = (
    "the server's pg_hba.conf does not allow this user, host or encryption. Add a line, or change sslmode"
)
_NO_PERMISSION = (
    "the user lacks a permission. Make it the owner of the database, or as the owner of the schema run: "
    "GRANT USAGE, CREATE ON SCHEMA public TO <user>"
)
_NO_TABLE_PERMISSION = (
    "the user may not use a table of the notifier. Make the user the owner of the tables (REASSIGN OWNED BY), or use "
    "the user who created them"
)
_BAD_OPTION = (
    "an option after the ? in store.url is wrong. See the parameters of libpq, and correct its name or value"
)
_NO_TABLE = (
    "a table of the notifier is missing. Restore it from a backup, and check the search_path of the user"
)
_LOCKED = f"another program keeps rows locked. End its transaction{RECOVERS_AUTOMATICALLY}"
_REPEAT = f"the server ended the transaction because of another one{RECOVERS_AUTOMATICALLY}"
_DAMAGED = "the server reports damaged data. Stop the notifier and restore the database from a backup"
_LOST = f"the connection to the server was lost{RECOVERS_AUTOMATICALLY}"

_BY_SQLSTATE = {
    "08": _LOST,
    "25006": _READ_ONLY,
    "28": _WRONG_LOGIN,
    "3D000": _NO_DATABASE,
    "3F000": "the search_path of the user names no schema that exists. Create the schema, or correct the search_path",
    "40": _REPEAT,
    "42501": _NO_PERMISSION,
    "42P01": _NO_TABLE,
    "42703": _NO_TABLE,
    "53100": f"the server's disk is full. Make room{RECOVERS_AUTOMATICALLY}",
    "53200": f"the server is out of memory. Look at its log{RECOVERS_AUTOMATICALLY}",
    "53300": _FULL,
    "55P03": _LOCKED,
    "57014": "the server cancelled a statement. Raise the user's statement_timeout",
    "57P": _STARTING,
    "57P05": _LOST,
    "58": f"the server's disk fails. Look at its log and repair the disk{RECOVERS_AUTOMATICALLY}",
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}
"""Next steps by SQLSTATE, or by its first characters. The longest match counts."""
_BY_TEXT = (
    (r"permission denied for (table|sequence|relation)", _NO_TABLE_PERMISSION),
    (r"invalid (\w+ value|integer value|connection option|URI query parameter)", _BAD_OPTION),
    (r"no pg_hba\.conf entry|pg_hba\.conf rejects", _NOT_ALLOWED),
    (
        r"password authentication failed|no password supplied|认证失败|口令|role .* (does not exist|is not permitted)",
        _WRONG_LOGIN,
    ),
    (r"authentication failed|peer authentication", _WRONG_LOGIN),
    (r"database .* does not exist|数据库.*不存在", _NO_DATABASE),
    (r"too many (clients|connections)|remaining connection slots|太多", _FULL),
    (r"permission denied for database", _NO_PERMISSION),
    (r"starting up|shutting down|in recovery mode|正在启动|正在关闭|恢复模式", _STARTING),
    (r"session is read-only|in hot standby", _READ_ONLY),
    (r"SSL|TLS|certificate", _TLS),
    (r"could not translate host name|failed to resolve|No such file", _UNREACHABLE),
    (r"Connection refused|timeout|timed out|unreachable|No route to host", _UNREACHABLE),
    (r"server closed the connection|connection .*(is closed|is lost|not open)|could not receive|EOF", _LOST),
)
"""Next steps by the driver's text, for errors without SQLSTATE. The first match counts."""
_CONFLICTS = {"40001", "40P01"}
"""Serialization failure and deadlock."""
_ROW_TOO_LARGE = "54"
"""Class of "program limit exceeded", such as an index entry that is too long. A retry fails again."""


def _is_ours(error: BaseException) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return type(cause).__module__.partition(".")[0] == "psycopg"


def _sqlstate(error: BaseException) -> str | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    state: str | None = getattr(cause, "sqlstate", None)
    return state


def get_next_step(error: BaseException) -> str | None:
    """The problem and the next step for operators; None if it is not a storage error of PostgreSQL."""
    if not _is_ours(error):
        return None
    state = _sqlstate(error)
    if state == "42501" and re.search(r"for (table|sequence|relation)", get_reason(error)):
        return _NO_TABLE_PERMISSION
    if state is not None:
        prefixes = (state[:length] for length in range(len(state), 1, -1))
        return next((_BY_SQLSTATE[prefix] for prefix in prefixes if prefix in _BY_SQLSTATE), None)
    text = get_reason(error)
    for pattern, step in _BY_TEXT:
        if re.search(pattern, text):
            return step
    is_lost = isinstance(error, OperationalError | InterfaceError)
    return (
        f"the server does not answer as expected. Look at its log{RECOVERS_AUTOMATICALLY}"
        if is_lost
        else None
    )


def is_outage(error: BaseException) -> bool:
    """Whether the database failed, and not the data of one row."""
    if get_next_step(error) is not None:
        return True
    state = _sqlstate(error) or ""
    is_operational = isinstance(error, OperationalError | InterfaceError)
    return _is_ours(error) and is_operational and not state.startswith(_ROW_TOO_LARGE)


def explain(error: BaseException, place: str) -> str:
    """A sentence with the database, the problem, the next step and the reason, without a promise of recovery."""
    step = (get_next_step(error) or "the database does not answer").removesuffix(RECOVERS_AUTOMATICALLY)
    return f"{place}: {step} ({get_reason(error)})."


def is_conflict(error: BaseException) -> bool:
    """Whether the server ended the transaction because of another one."""
    return _is_ours(error) and _sqlstate(error) in _CONFLICTS
