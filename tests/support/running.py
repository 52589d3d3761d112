"""Runs the notifier as a separate process that is connected to the sandbox."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from notifier.sandbox.testing import FeishuBox
from notifier.store import inbox
from notifier.store.answers import questions
from notifier.store.deliveries import delivery_admin
from notifier.store.engine.database import Database
from support.leaks import fail_on_secret, fail_on_secret_in_folder
from support.ports import free_port
from support.waiting import wait_until

STOP_SECONDS = 10
START_SECONDS = 60

CONFIG = """\
feishu:
  base_url: {url}
  app_id: {app_id}
  app_secret: {app_secret}
  timeout_seconds: {timeout_seconds}
{webhook}store:
  url: "{store_url}"
groups:
  hr:
    chat_id: oc_sandbox_hr
    operators: [ou_sandbox_zhou]
  fallback:
    chat_id: oc_sandbox_fallback
fallback_group: fallback
{more}
"""

WEBHOOK = """\
  transport: webhook
webhook:
  listen: 127.0.0.1:{port}
  encrypt_key: {encrypt_key}
  verification_token: {verification_token}
"""


def clean_environment() -> dict[str, str]:
    """The environment without variables that configure a notifier."""
    prefixes = ("NOTIFIER_", "FEISHU_", "LARK_", "APP_ID", "APP_SECRET")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return kept | dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")


class RunningNotifier:
    """A notifier process with its own configuration file and database in `folder`.

    more: YAML that is added to the configuration. timeout_seconds: of calls to Feishu. program: arguments of Python
    before those of `notifier run`. webhook: events are sent to its webhook instead of its long connection.
    store_url: another database than SQLite in `folder`.
    The attributes `environment` and `arguments` are added to each start. `start` also restarts a killed process.
    """

    def __init__(
        self,
        box: FeishuBox,
        folder: Path,
        *,
        more: str = "",
        timeout_seconds: float = 5,
        program: Sequence[str] = ("-m", "notifier"),
        webhook: bool = False,
        store_url: str | None = None,
    ) -> None:
        self.database_url = store_url or f"sqlite:///{folder}/notifier.db"
        """The SQLAlchemy URL of its database."""
        port = free_port() if webhook else 0
        self.webhook_url = f"http://127.0.0.1:{port}/feishu/events" if webhook else ""
        self.box = box
        self.program = program
        self.folder = folder
        self.config = folder / "config.yaml"
        self.log_file = folder / "notifier.log"
        self.config.write_text(
            CONFIG.format(
                url=box.url,
                app_id=box.app_id,
                app_secret=box.app_secret,
                store_url=self.database_url,
                webhook=_webhook(box, port) if webhook else "",
                more=more,
                timeout_seconds=timeout_seconds,
            ),
            encoding="utf-8",
        )
        self.health_port = 0
        """Port of `health.listen`, if `more` sets it."""
        self.environment: dict[str, str] = {}
        self.arguments: tuple[str, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """The text of its log so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def start(self, *, connected: bool = True, environment: Mapping[str, str] | None = None) -> None:
        """Starts the process. connected: waits until its long connection is open, or its webhook is checked.

        environment: variables in addition to the clean environment.
        """
        before = self.box.connections()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self.program, "run", "--config", str(self.config), *self.arguments],
                stdout=log,
                stderr=log,
                env=clean_environment() | self.environment | dict(environment or {}),
            )
        if connected:
            self.box.wait_for(
                lambda: self._is_connected(before) or self.ended,
                "the notifier is connected",
                timeout=START_SECONDS,
            )
            assert not self.ended, self.log

    def _is_connected(self, before: int) -> bool:
        if self.webhook_url:
            return not self.box.set_webhook(self.webhook_url)
        return self.box.connections() > before

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def has_started(self) -> bool:
        """Whether the process was ever started."""
        return self._process is not None

    @property
    def ended(self) -> bool:
        """Whether the process has exited."""
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """Kills the process with SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(STOP_SECONDS)
        fail_on_secret_in_folder(self.folder)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stops the process with a signal, SIGTERM by default. Returns the exit code."""
        assert self._process is not None
        if not self.ended:
            self._process.send_signal(number)
        code = self._process.wait(STOP_SECONDS)
        fail_on_secret_in_folder(self.folder)
        return code

    def wait_end(self, seconds: float = START_SECONDS) -> int:
        """Waits for the end of the process. Returns the exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs another command with the same configuration, as an operator does."""
        ran = subprocess.run(
            [sys.executable, "-m", "notifier", *arguments, "--config", str(self.config)],
            capture_output=True,
            text=True,
            check=False,
            env=clean_environment(),
            timeout=60,
        )
        fail_on_secret(ran.stdout + ran.stderr, f"the output of {' '.join(arguments)}")
        return ran

    def wait_until_settled(self, *, seconds: float = 90) -> None:
        """Waits until all events are acknowledged and processed, and no delivery is open."""
        self.box.wait_for(
            lambda: self.box.unacknowledged() == 0,
            "all events are acknowledged",
            timeout=seconds,
        )
        with self.open_database() as database:
            wait_until(lambda: _is_settled(database), "no event or delivery is open", seconds=seconds)

    @contextmanager
    def open_database(self) -> Iterator[Database]:
        """Opens the database of the process a second time, as operator commands do."""
        database = Database.open(self.database_url)
        try:
            yield database
        finally:
            database.close()

    def status(self) -> dict[str, Any]:
        """The JSON of `notifier status --json`."""
        ran = self.command("status", "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


def _webhook(box: FeishuBox, port: int) -> str:
    return WEBHOOK.format(
        port=port,
        encrypt_key=box.settings.webhook_encrypt_key,
        verification_token=box.settings.webhook_verification_token,
    )


def _is_settled(database: Database) -> bool:
    """Events first: on PostgreSQL each statement sees what was committed before it, and an event becomes a delivery."""
    with database.read() as connection:
        has_new = bool(inbox.count_by_state(connection).get("new"))
        has_new = has_new or bool(questions.count_open_questions(connection))
        return not has_new and delivery_admin.get_oldest_open_at(connection) is None


@contextmanager
def running_notifier(box: FeishuBox, folder: Path, **settings: Any) -> Iterator[RunningNotifier]:
    """A started notifier, killed after the block if it still runs. settings: arguments of RunningNotifier."""
    notifier = RunningNotifier(box, folder, **settings)
    notifier.start()
    try:
        yield notifier
    finally:
        if not notifier.ended:
            notifier.kill()


def texts(node: object, language: str = "zh_cn") -> list[str]:
    """All texts that a reader of this language sees on a card, in order."""
    match node:
        case {"i18n_content": {**translations}, **rest} if language in translations:
            return [
                str(translations[language]),
                *texts({k: v for k, v in rest.items() if k != "content"}, language),
            ]
        case dict():
            shown = [node["content"]] if isinstance(node.get("content"), str) else []
            return [
                *shown,
                *(t for k, v in node.items() if k not in {"content", "config"} for t in texts(v, language)),
            ]
        case list():
            return [text for each in node for text in texts(each, language)]
        case _:
            return []
