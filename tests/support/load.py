"""Load for benchmarks: groups, a notifier with chosen limits, paced events, and the time from event to card."""

import json
import os
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.tenant import Group
from notifier.sandbox.testing import FeishuBox
from support import reference_client
from support.running import RunningNotifier, clean_environment

ANSWER_SECONDS = 0.05
GROUPS = 24
"""So many that the limit of 5 messages a second and chat never binds."""
OPERATOR = "ou_sandbox_zhou"
LIFTED = "{per_second: 1000, per_minute: 100000, per_chat_per_second: 1000}"
CHAT_PREFIX = "oc_sandbox_team_"


def add_groups(box: FeishuBox) -> None:
    """Adds the groups to the stand-in."""

    def add(sandbox: Sandbox) -> None:
        for number in range(GROUPS):
            chat_id = f"{CHAT_PREFIX}{number}"
            sandbox.tenant.groups[chat_id] = Group(chat_id=chat_id, name=f"示例 {number}", members=[OPERATOR])

    box._call(add)


def delay_answers(box: FeishuBox, seconds: float = ANSWER_SECONDS) -> None:
    """Every API call is answered after this time."""
    box.add_call_fault({"match": "* /open-apis/", "action": "delay", "seconds": seconds})


def enforce_quotas(box: FeishuBox, *, enforced: bool) -> None:
    """Enforces Feishu's rate limits from now on, or lifts them."""
    box._call(lambda sandbox: setattr(sandbox.quota, "_enforced", enforced))


def team_of(number: int) -> int:
    """The group of an account, by the position of the account."""
    return number % GROUPS


def routes(accounts: Sequence[str], targets: Callable[[int], Sequence[str]]) -> str:
    """Routes in YAML: one for all accounts of a team with the same targets.

    targets: of the account at this position.
    """
    members: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for number, account in enumerate(accounts):
        members[tuple(targets(number))].append(account)
    rules = [
        {"name": f"route {number}", "when": {"account": members_of}, "to": list(to)}
        for number, (to, members_of) in enumerate(members.items())
    ]
    return f"routes: {json.dumps(rules)}\n"


def start_notifier(
    box: FeishuBox,
    folder: Path,
    more: str,
    *,
    sending: str = LIFTED,
    log_level: str = "warning",
    store_url: str | None = None,
) -> RunningNotifier:
    """Starts a notifier with withdraw buttons on all cards. more: YAML, such as the routes."""
    teams = {
        f"team_{number}": {"chat_id": f"{CHAT_PREFIX}{number}", "operators": [OPERATOR]}
        for number in range(GROUPS)
    }
    notifier = RunningNotifier(
        box,
        folder,
        store_url=store_url,
        more=(
            f"{more}sending: {sending}\n"
            f"withdrawals: {{offer_to: {json.dumps(['referrer', *teams])}}}\n"
            "reconciliation: {on_connect: false}\n"
            "referrers: {lookups_per_second: 200}\n"
            f"log: {{level: {log_level}}}\n"
        ),
    )
    text = notifier.config.read_text(encoding="utf-8")
    lines = "".join(f"  {name}: {json.dumps(group)}\n" for name, group in teams.items())
    notifier.config.write_text(text.replace("groups:\n", f"groups:\n{lines}", 1), encoding="utf-8")
    notifier.start()
    return notifier


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def push_paced(box: FeishuBox, accounts: Sequence[str], per_second: float) -> list[str]:
    """Pushes one event for each account, evenly spaced. Returns the ids of the events."""
    started = time.monotonic()
    ids: list[str] = []
    for number, account in enumerate(accounts):
        wait = started + number / per_second - time.monotonic()
        if wait > 0:
            threading.Event().wait(wait)
        ids += box.change_balances([(account, 1, {"CNY": "+1.00"})])
    return ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Milliseconds from the push of each event to each of its cards. missing: cards that did not arrive."""

    ms: list[float]
    missing: int


def event_to_card(box: FeishuBox, ids: Sequence[str], chats: Callable[[str], Sequence[str]]) -> Latencies:
    """How long each event took until each chat got the next card about its account.

    chats: the chat_ids that are notified about an account. A card in a group names the referrer of the account.
    """
    owners = {account["account_id"]: account["open_id"] for account in box.accounts()}
    arrivals: dict[tuple[str, str], list[int]] = defaultdict(list)
    people = set(owners.values())
    for message in box.all_messages():
        is_group = message["chat_id"].startswith(CHAT_PREFIX)
        for named in people & set(_strings(message["content"])) if is_group else [""]:
            arrivals[message["chat_id"], named].append(message["create_time_ms"])
    ms: list[float] = []
    missing = 0
    wanted = set(ids)
    for event in box.events():
        if event["event_id"] not in wanted:
            continue
        pushed_at = event["pushes"][0]["at_ms"]
        for chat in chats(event["account_id"]):
            is_group = chat.startswith(CHAT_PREFIX)
            times = arrivals[chat, owners[event["account_id"]] if is_group else ""]
            position = bisect_left(times, pushed_at)
            if position == len(times):
                missing += 1
            else:
                ms.append(times[position] - pushed_at)
    return Latencies(ms=ms, missing=missing)


def _strings(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for each in node.values():
            yield from _strings(each)
    elif isinstance(node, list):
        for each in node:
            yield from _strings(each)


def run_reference(box: FeishuBox, mode: str, *, content: str, calls: int) -> dict[str, Any]:
    """Runs a client of reference_client.py to its end and returns what it printed."""
    ran = subprocess.run(
        _reference_command(box, mode, content, calls),
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(),
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@contextmanager
def receiving_reference(box: FeishuBox, mode: str, *, content: str = "{}") -> Iterator[int]:
    """A connected client of reference_client.py that receives events. Yields its process id."""
    before = box.connections()
    process = subprocess.Popen(_reference_command(box, mode, content, 0), env=clean_environment())
    try:
        box.wait_for(lambda: box.connections() > before, "the client is connected", timeout=60)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _reference_command(box: FeishuBox, mode: str, content: str, calls: int) -> list[str]:
    settings = {
        "url": box.url,
        "app_id": box.app_id,
        "app_secret": box.app_secret,
        "chat_id": f"{CHAT_PREFIX}0",
        "content": content,
        "calls": calls,
    }
    return [sys.executable, str(Path(reference_client.__file__)), mode, json.dumps(settings)]


def newest_card(box: FeishuBox) -> str:
    """The newest card of the stand-in, as the text that was sent."""
    return box._read(
        lambda sandbox: [
            message.content_text
            for message in sandbox.tenant.messages.values()
            if message.msg_type == "interactive"
        ][-1]
    )
