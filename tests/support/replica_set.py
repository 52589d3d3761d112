"""Several notifiers on one PostgreSQL database, each as a process with a name and a configuration file of its own."""

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from notifier.clock import Millis
from notifier.sandbox.testing import FeishuBox
from notifier.store.engine.database import Database
from notifier.store.engine.sql import read_database_time
from notifier.store.processes import leadership, workers
from support import postgres
from support.ports import free_port
from support.running import RunningNotifier
from support.waiting import wait_until

SKEWED_NOTIFIER = Path(__file__).with_name("skewed_notifier.py")
TAKE_OVER_SECONDS = 25
"""The longest time without a leader after a kill."""


class ReplicaSet:
    """more: YAML that is added to each configuration; {port} becomes a port of the replica's own.

    clocks_ahead: for each replica the seconds that the clock of its machine is ahead.
    """

    def __init__(
        self,
        box: FeishuBox,
        folder: Path,
        store_url: str,
        *,
        more: str = "",
        clocks_ahead: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        self.box = box
        self.database = Database.open(store_url)
        self.ports = [free_port() for _ in clocks_ahead]
        self.replicas = [
            _make_replica(
                box, folder / f"replica-{number}", store_url, more.replace("{port}", str(port)), ahead
            )
            for number, (ahead, port) in enumerate(zip(clocks_ahead, self.ports, strict=True))
        ]

    def start(self) -> None:
        """Starts all that do not run. Returns when all are connected, and one leads."""
        for each in self.replicas:
            if not each.has_started or each.ended:
                each.start()
        self.wait_for_leader()

    def wait_for_leader(self) -> RunningNotifier:
        """The replica that leads."""
        return wait_until(self.find_leader, "a replica leads", seconds=TAKE_OVER_SECONDS + 5)

    def find_leader(self) -> RunningNotifier | None:
        """The replica that leads. None: nobody does, or the leader has ended."""
        with self.database.read() as connection:
            lease = leadership.load_lease(connection)
            if lease is None or lease.remaining_ms <= 0:
                return None
            newest = {each.name: each.worker_id for each in workers.list_live(connection, now=0)}
        running = [each for each in self.replicas if each.has_started and not each.ended]
        return next((each for each in running if newest.get(each.folder.name) == lease.worker_id), None)

    def read_time(self) -> Millis:
        """The time of the database."""
        with self.database.read() as connection:
            return read_database_time(connection)

    def list_start_times(self) -> list[Millis]:
        """When each replica started, as it says itself."""
        with self.database.read() as connection:
            return [each.started_at for each in workers.list_live(connection, now=0)]

    def get_term(self) -> int:
        """The term of the present leader, or of the last one."""
        with self.database.read() as connection:
            lease = leadership.load_lease(connection)
        return lease.term if lease else 0

    def wait_until_settled(self, *, seconds: float = 90) -> None:
        """Waits until all events are acknowledged and processed, and no delivery is open."""
        self.replicas[0].wait_until_settled(seconds=seconds)

    def wait_until_connected(self) -> None:
        """Waits until Feishu can reach at least one of them."""
        self.box.wait_for(lambda: self.box.connections() > 0, "one is connected", timeout=60)

    @property
    def log(self) -> str:
        """The logs of all."""
        return "\n".join(f"--- {each.folder.name}\n{each.log}" for each in self.replicas if each.has_started)

    def close(self) -> None:
        for each in self.replicas:
            if each.has_started and not each.ended:
                with contextlib.suppress(Exception):
                    each.stop()
        self.database.close()


def _make_replica(box: FeishuBox, folder: Path, store_url: str, more: str, ahead: float) -> RunningNotifier:
    folder.mkdir()
    named = f"{more}\nreplica:\n  name: {folder.name}\n"
    program = (str(SKEWED_NOTIFIER), str(ahead)) if ahead else None
    return RunningNotifier(box, folder, more=named, store_url=store_url, program=program, timeout_seconds=5)


@contextmanager
def replica_set(
    box: FeishuBox, folder: Path, *, store_url: str | None = None, **settings: object
) -> Iterator[ReplicaSet]:
    """A set on a database of its own, or on this one. Other settings as for `ReplicaSet`."""
    with ExitStack() as stack:
        url = store_url or postgres.create_database()
        if store_url is None:
            stack.callback(postgres.drop_database, url)
        replicas = ReplicaSet(box, folder, url, **settings)  # type: ignore[arg-type]
        stack.callback(replicas.close)
        yield replicas
