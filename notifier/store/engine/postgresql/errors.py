"""Errors of PostgreSQL: recognizes them and gives the next step for operators.

A server that was reached names its errors by SQLSTATE. The driver reports a connection that was not made with a text
only, so that these texts are searched.
SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import re

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from notifier.domain.card import Bilingual
from notifier.store.engine.backend import NO_ANSWER, get_reason, recovering, without_promise

_UNREACHABLE = recovering(
    "无法连接服务器。请检查 store.url 中的主机和端口、网络，以及服务器是否在运行",
    "the server cannot be reached. Check the host and port in store.url, the network, and that it runs",
)
_STARTING = recovering("服务器正在启动或停止。请等待", "the server is starting or stopping. Wait")
_WRONG_LOGIN = Bilingual(
    zh="服务器不接受用户名或密码。请检查 store.url 中的用户，以及 store.url、PGPASSWORD 或 ~/.pgpass 中的密码",
    en="the server rejects the user or the password. Check the user in store.url, and the password in store.url, "
    "PGPASSWORD or ~/.pgpass",
)
_NO_DATABASE = Bilingual(
    zh="数据库不存在。请创建：CREATE DATABASE <名称> OWNER <用户> ENCODING 'UTF8'",
    en="the database does not exist. Create it: CREATE DATABASE <name> OWNER <user> ENCODING 'UTF8'",
)
_FULL = recovering(
    "服务器不再接受连接。请调高 max_connections 或用户、数据库的连接上限，或关闭其他连接",
    "the server accepts no more connections. Raise max_connections or the limit of the user or database, or close "
    "other connections",
)
_READ_ONLY = Bilingual(
    zh="服务器只读：它是备库，或已关闭写入。请使用主库的地址，或在 store.url 中列出所有服务器并加上 "
    "target_session_attrs=read-write",
    en="the server only reads: it is a standby, or its writes are switched off. Use the address of the primary, or "
    "name all servers and add target_session_attrs=read-write to store.url",
)
_TLS = Bilingual(
    zh="加密连接失败。请检查 store.url 中的 sslmode 和证书，以及服务器的 TLS",
    en="the encrypted connection fails. Check sslmode and the certificates in store.url, and TLS on the server",
)
_NOT_ALLOWED = Bilingual(
    zh="服务器的 pg_hba.conf 不允许该用户、主机或加密方式。请添加一行，或修改 sslmode",
    en="the server's pg_hba.conf does not allow this user, host or encryption. Add a line, or change sslmode",
)
_NO_PERMISSION = Bilingual(
    zh="用户缺少权限。请让它成为数据库的所有者，或以结构的所有者身份执行："
    "GRANT USAGE, CREATE ON SCHEMA public TO <用户>",
    en="the user lacks a permission. Make it the owner of the database, or as the owner of the schema run: "
    "GRANT USAGE, CREATE ON SCHEMA public TO <user>",
)
_NO_TABLE_PERMISSION = Bilingual(
    zh="用户不能使用服务的某张表。请让该用户成为这些表的所有者（REASSIGN OWNED BY），或使用创建它们的用户",
    en="the user may not use a table of the notifier. Make the user the owner of the tables (REASSIGN OWNED BY), or "
    "use the user who created them",
)
_BAD_OPTION = Bilingual(
    zh="store.url 中 ? 之后的参数有误。请参照 libpq 的参数，改正名称或值",
    en="an option after the ? in store.url is wrong. See the parameters of libpq, and correct its name or value",
)
_NO_TABLE = Bilingual(
    zh="缺少服务的一张表。请从备份恢复，并检查用户的 search_path",
    en="a table of the notifier is missing. Restore it from a backup, and check the search_path of the user",
)
_LOCKED = recovering(
    "其他程序锁定了数据行。请结束它的事务", "another program keeps rows locked. End its transaction"
)
_REPEAT = recovering(
    "服务器因另一个事务而结束了本事务", "the server ended the transaction because of another one"
)
_DAMAGED = Bilingual(
    zh="服务器报告数据损坏。请停止服务，从备份恢复数据库",
    en="the server reports damaged data. Stop the notifier and restore the database from a backup",
)
_LOST = recovering("与服务器的连接已断开", "the connection to the server was lost")

_BY_SQLSTATE = {
    "08": _LOST,
    "25006": _READ_ONLY,
    "28": _WRONG_LOGIN,
    "3D000": _NO_DATABASE,
    "3F000": Bilingual(
        zh="用户的 search_path 中没有存在的结构（schema）。请创建它，或改正 search_path",
        en="the search_path of the user names no schema that exists. Create the schema, or correct the search_path",
    ),
    "40": _REPEAT,
    "42501": _NO_PERMISSION,
    "42P01": _NO_TABLE,
    "42703": _NO_TABLE,
    "53100": recovering("服务器磁盘已满。请清理空间", "the server's disk is full. Make room"),
    "53200": recovering("服务器内存不足。请查看其日志", "the server is out of memory. Look at its log"),
    "53300": _FULL,
    "55P03": _LOCKED,
    "57014": Bilingual(
        zh="服务器取消了语句。请调高用户的 statement_timeout",
        en="the server cancelled a statement. Raise the user's statement_timeout",
    ),
    "57P": _STARTING,
    "57P05": _LOST,
    "58": recovering(
        "服务器磁盘有故障。请查看其日志并修复磁盘",
        "the server's disk fails. Look at its log and repair the disk",
    ),
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


def get_next_step(error: BaseException) -> Bilingual | None:
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
        recovering(
            "服务器的应答异常。请查看其日志", "the server does not answer as expected. Look at its log"
        )
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


def explain(error: BaseException, place: str) -> Bilingual:
    """A sentence with the database, the problem, the next step and the reason, without a promise of recovery."""
    step, reason = without_promise(get_next_step(error) or NO_ANSWER), get_reason(error)
    return Bilingual(zh=f"{place}：{step.zh}（“{reason}”）。", en=f"{place}: {step.en} ({reason}).")


def is_conflict(error: BaseException) -> bool:
    """Whether the server ended the transaction because of another one."""
    return _is_ours(error) and _sqlstate(error) in _CONFLICTS
