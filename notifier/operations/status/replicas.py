"""The replicas of `notifier status`: the processes that run on the database, and which of them leads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.card import Bilingual
from notifier.operations.formatting import format_duration, format_iso, label
from notifier.operations.language import Language, localized, say
from notifier.store.processes import leadership, workers
from notifier.store.processes.workers import WorkerRow

DIFFERENT_CONFIGURATIONS = Bilingual(
    zh="各进程的配置不一致：请使用同一份文件并重启",
    en="the configurations of the replicas differ: give them the same file, and restart them",
)


OLD_CONFIGURATION = Bilingual(
    zh="运行中的进程使用的不是当前配置：请重启",
    en="the running process does not use this configuration: restart it",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """The processes on one database."""

    is_shared: bool
    """Whether several processes may use the database. Otherwise the only one leads."""
    live: Sequence[WorkerRow]
    """Those with a recent heartbeat, in the order of their start."""
    leader_id: str | None
    """worker_id of the one that leads; None: none does."""
    term: int
    """The term of the leader. 0: the only process leads."""
    fingerprint: str = ""
    """Fingerprint of the configuration of this command; "" if it has no secret, and none can be computed."""

    @property
    def shown(self) -> WorkerRow | None:
        """The process that the report is about: the leader, or another one that runs; None: none runs."""
        leader = next((each for each in self.live if each.worker_id == self.leader_id), None)
        return leader or next(iter(self.live), None)

    @property
    def connections(self) -> int:
        """How many long connections they hold; at least one is expected."""
        return max(1, sum(each.connection_state == "connected" for each in self.live))

    @property
    def has_old_configuration(self) -> bool:
        """Whether all processes have the same configuration, but not that of this command."""
        running = {each.config_fingerprint for each in self.live}
        return bool(self.fingerprint) and len(running) == 1 and self.fingerprint not in running

    def attention(self, language: Language | None = None) -> list[str]:
        """What needs attention. language: None for that of the locale."""
        found = []
        if self.is_shared and self.live and self.leader_id is None:
            found.append(localized("no replica leads", "没有主进程", language))
        if len({each.config_fingerprint for each in self.live}) > 1:
            found.append(localized("configurations of the replicas differ", "各进程的配置不一致", language))
        if self.has_old_configuration:
            found.append(say(OLD_CONFIGURATION, language))
        return found

    def lines(self, now: Millis) -> Iterable[str]:
        """The lines of the report: one for each replica."""
        if not self.is_shared:
            return
        leaderless = "" if self.leader_id or not self.live else localized(", none leads", "，没有主进程")
        yield f"{label('replicas', '进程数')}{len(self.live)}{leaderless}"
        for each in self.live:
            leads = ""
            if each.worker_id == self.leader_id:
                leads = localized(f", leads (term {self.term})", f"，主进程（任期 {self.term}）")
            age = format_duration(now - each.connection_since)
            yield (
                localized(
                    f"  {each.name}: version {each.version}, {each.connection_state} for {age}, "
                    f"configuration {each.config_fingerprint}",
                    f"  {each.name}：版本 {each.version}，{each.connection_state} {age}，"
                    f"配置 {each.config_fingerprint}",
                )
                + leads
            )
        if len({each.config_fingerprint for each in self.live}) > 1:
            yield f"    -> {say(DIFFERENT_CONFIGURATIONS)}"

    def as_json(self) -> list[dict[str, Any]]:
        """The replicas as JSON."""
        return [
            {
                "name": each.name,
                "version": each.version,
                "started_at": format_iso(each.started_at),
                "connection": each.connection_state,
                "connection_since": format_iso(each.connection_since),
                "leads": not self.is_shared or each.worker_id == self.leader_id,
                "config_fingerprint": each.config_fingerprint,
            }
            for each in self.live
        ]


def read_replicas(connection: Connection, *, is_shared: bool, now: Millis, fingerprint: str = "") -> Replicas:
    """Read the processes from their heartbeats. now: Unix milliseconds. fingerprint: as in Replicas."""
    live = workers.list_live(connection, now=now)
    lease = leadership.load_lease(connection) if is_shared else None
    leads = lease is not None and lease.remaining_ms > 0
    return Replicas(
        is_shared=is_shared,
        live=live,
        leader_id=lease.worker_id if lease is not None and leads else None,
        term=lease.term if lease is not None else 0,
        fingerprint=fingerprint,
    )
