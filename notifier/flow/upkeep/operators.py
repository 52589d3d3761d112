"""Resolves operators that the configuration names by e-mail address.

Until Feishu has answered, such a person may not act. Only open_ids are kept: the resolved ones in memory, and in the
audit trail, which shows when an address began to stand for another person.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.card import Bilingual
from notifier.domain.scopes import SCOPES, Feature, get_scope_name
from notifier.errors import CallError, ConfigError, Refused
from notifier.store import audit
from notifier.store.audit import AuditAction, AuditEntry
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

RETRY_SECONDS = 30.0
SCOPE_MISSING = 99991672

FindOpenIds = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]
"""Finds the open_ids of e-mail addresses. People that Feishu does not find are missing. Raises CallError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnresolvedOperator:
    """An operator named by e-mail address. key: the place in the configuration. group: where the person may act."""

    key: str
    group: str
    email: str = field(repr=False)


class OperatorResolver:
    """Adds the open_ids of operators that are named by e-mail address to the operators of their groups."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        find_open_ids: FindOpenIds,
        unresolved: Sequence[UnresolvedOperator],
        operators: MutableMapping[str, Collection[str]],
    ) -> None:
        """operators: open_ids by group name, as all components use them. It is changed in place."""
        self._database = database
        self._clock = clock
        self._find_open_ids = find_open_ids
        self._unresolved = list(unresolved)
        self._operators = operators
        self._retrying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Resolve all, once. If Feishu cannot be reached, go on in the background.

        Raises ConfigError, which names the key, for an address that Feishu does not know or a missing scope.
        """
        if not self._unresolved:
            return
        try:
            unknown = await self._resolve()
        except Refused as error:
            key, reason = self._unresolved[0].key, _describe_refusal(error)
            raise ConfigError(f"{key}: {reason.en}", zh=f"{key}：{reason.zh}") from error
        except CallError as error:
            log.warning(
                "operators.unresolved", extra={"count": len(self._unresolved), "reason": _reason(error)}
            )
            self._retrying = asyncio.create_task(self._retry())
            return
        if unknown:
            raise ConfigError(
                "\n".join(f"{key}: {UNKNOWN_PERSON.en}" for key in unknown),
                zh="\n".join(f"{key}：{UNKNOWN_PERSON.zh}" for key in unknown),
            )

    async def close(self) -> None:
        """End the background task."""
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.wait({self._retrying})

    async def _retry(self) -> None:
        """A service that runs does not end because of an operator: an unknown one stays without rights."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                unknown = await self._resolve()
            except Refused as error:
                log.error(
                    "operators.unknown",
                    extra={"key": self._unresolved[0].key, "reason": _describe_refusal(error).en},
                )
                return
            except CallError as error:
                log.warning(
                    "operators.unresolved", extra={"count": len(self._unresolved), "reason": _reason(error)}
                )
                continue
            for key in unknown:
                log.error("operators.unknown", extra={"key": key, "reason": UNKNOWN_PERSON.en})
            return

    async def _resolve(self) -> list[str]:
        """Add those that Feishu finds. Returns the keys of the others."""
        found = await self._find_open_ids({each.email for each in self._unresolved})
        resolved: dict[str, list[str]] = {}
        for each in self._unresolved:
            if each.email in found:
                resolved.setdefault(each.group, []).append(found[each.email])
        now = to_millis(self._clock.now())
        for group, open_ids in resolved.items():
            self._operators[group] = tuple(dict.fromkeys([*self._operators.get(group, ()), *open_ids]))
            writing = self._database.write(
                lambda c, group=group, open_ids=open_ids: _note(c, group, open_ids, now)  # type: ignore[misc]
            )
            earlier = await asyncio.wrap_future(writing)
            shown = ",".join(sorted(open_ids))
            if earlier is not None:
                log.warning(
                    "operators.changed", extra={"group": group, "operators": shown, "before": earlier}
                )
            log.info("operators.resolved", extra={"group": group, "operators": shown})
        return [each.key for each in self._unresolved if each.email not in found]


UNKNOWN_PERSON = Bilingual(
    zh="飞书查不到使用该邮箱的人。请改正邮箱，把此人加入应用的通讯录权限范围，或改写 open_id；此人也可能已离职",
    en="Feishu finds nobody with this e-mail address. Correct it, add the person to the contact range of the app, or "
    "write the open_id; the person may also have left",
)


def _note(connection: Connection, group: str, open_ids: Sequence[str], now: Millis) -> str | None:
    """Add a change to the audit trail. Returns the earlier open_ids; None if there were none, or the same."""
    shown = ",".join(sorted(open_ids))
    prefix = f"operators of group {group} by e-mail address: "
    earlier = audit.get_newest_outcome(connection, AuditAction.OPERATORS, prefix)
    if earlier == prefix + shown:
        return None
    entry = AuditEntry(at=now, action=AuditAction.OPERATORS, actor=audit.NOTIFIER, outcome=prefix + shown)
    audit.add_entries(connection, entry)
    return None if earlier is None else earlier.removeprefix(prefix)


def _describe_refusal(error: CallError) -> Bilingual:
    if error.code == SCOPE_MISSING:
        scope = SCOPES[Feature.PEOPLE]
        name = get_scope_name(scope)
        return Bilingual(
            zh=f"用邮箱填写授权人员需要权限 {scope}（{name.zh}）。请在开发者后台“权限管理”中开通，然后创建版本并发布；"
            "或改写 open_id",
            en=f"an e-mail address needs the scope {scope} ({name.en}). Add it in the developer console under "
            "Permissions & Scopes, then create and publish an app version; or write the open_id",
        )
    reason = _reason(error)
    return Bilingual(
        zh=f"飞书没有查询邮箱（{reason}）。请改写 open_id",
        en=f"Feishu does not look up e-mail addresses ({reason}). Write the open_id",
    )


def _reason(error: CallError) -> str:
    """Without Feishu's message, which may repeat the address."""
    return f"code {error.code}" if error.code is not None else "no answer"
