"""What happened to pushed events in a sandbox: acknowledged, refused or not delivered."""

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from notifier.operations.language import localized
from notifier.sandbox.client import SandboxClient

POLL_SECONDS = 0.05
MAX_LINES = 20
"""More events are summarised."""
GOOD = ("acknowledged", "pushed", "held")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOutcome:
    """The last push of an event.

    result: acknowledged, refused, no_answer, not_connected, held, or waiting at the end of the time; pushed if nothing
    waited for it. code: of the answer. took_ms: until the answer.
    """

    event_id: str
    result: str
    code: int | None = None
    took_ms: int | None = None

    @property
    def is_good(self) -> bool:
        """Whether it needs no attention."""
        return self.result in GOOD

    def as_json(self) -> dict[str, Any]:
        """The outcome for scripts."""
        return {
            "event_id": self.event_id,
            "result": self.result,
            "code": self.code,
            "took_ms": self.took_ms,
        }


def read_outcomes_now(client: SandboxClient, event_ids: Sequence[str]) -> list[PushOutcome]:
    """The outcomes as far as they are sure without a wait: held, not_connected, or pushed."""
    state = client.state()
    has_client = bool(state["app"]["connections"] or state["webhook_url"])
    result = "held" if state["on_hold"] else "pushed" if has_client else "not_connected"
    return [PushOutcome(event_id=event_id, result=result) for event_id in event_ids]


def wait_for_outcomes(client: SandboxClient, event_ids: Sequence[str], timeout: float) -> list[PushOutcome]:
    """Waits until all pushes of each event have an answer or failed, for `timeout` seconds at most."""
    if not event_ids:
        return []
    deadline = time.monotonic() + timeout
    while True:
        outcomes = [_read_outcome(event) for event in _read_events(client, event_ids)]
        if all(outcome.result != "waiting" for outcome in outcomes) or time.monotonic() >= deadline:
            return outcomes
        time.sleep(min(POLL_SECONDS * (1 + len(event_ids) / 100), 1))


def _read_events(client: SandboxClient, event_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The events, in the order of the ids. Many are read in pages that start at the first one."""
    if len(event_ids) <= MAX_LINES:
        yield from (client.event(event_id) for event_id in event_ids)
        return
    found = {event_ids[0]: client.event(event_ids[0])}
    after = event_ids[0]
    while page := client.find_events(after=after, limit=1000):
        found |= {event["event_id"]: event for event in page}
        after = page[-1]["event_id"]
    yield from (found[event_id] for event_id in event_ids if event_id in found)


def _read_outcome(event: dict[str, Any]) -> PushOutcome:
    done = event["pushes"]
    event_id = event["event_id"]
    if event["held"]:
        return PushOutcome(event_id=event_id, result="held")
    if event["in_flight"] or not done:
        return PushOutcome(event_id=event_id, result="waiting")
    last = done[-1]
    if last["code"] == 200:
        result = "acknowledged"
    elif last["code"] is not None:
        result = "refused"
    else:
        result = "no_answer" if last["connection"] else "not_connected"
    return PushOutcome(event_id=event_id, result=result, code=last["code"], took_ms=last["took_ms"])


def describe_outcomes(outcomes: Sequence[PushOutcome]) -> list[str]:
    """One line per event, or a summary of many."""
    if not outcomes:
        return [
            localized(
                "No event was pushed: the app does not subscribe to it, lacks the scope, or the account is off.",
                "没有推送事件：应用没有订阅、缺少权限，或账户已停用。",
            )
        ]
    if len(outcomes) <= MAX_LINES:
        return [f"{outcome.event_id}  {_describe(outcome)}" for outcome in outcomes]
    lines = [localized(f"{len(outcomes)} events", f"{len(outcomes)} 个事件")]
    took = [outcome.took_ms for outcome in outcomes if outcome.took_ms is not None]
    counts = Counter(
        _describe(PushOutcome(event_id="", result=outcome.result, code=outcome.code)) for outcome in outcomes
    )
    lines += [f"{count:>7}  {text}" for text, count in counts.most_common()]
    if took:
        middle, slowest = round(statistics.median(took)), max(took)
        lines.append(
            localized(
                f"answers after {middle} ms (median), {slowest} ms (slowest)",
                f"应答时间：中位数 {middle} ms，最慢 {slowest} ms",
            )
        )
    return lines


def _describe(outcome: PushOutcome) -> str:
    after = "" if outcome.took_ms is None else f" after {outcome.took_ms} ms"
    after_zh = "" if outcome.took_ms is None else f"，用时 {outcome.took_ms} ms"
    texts = {
        "acknowledged": (f"acknowledged{after}", f"已确认{after_zh}"),
        "refused": (f"refused with code {outcome.code}{after}", f"被拒绝，返回码 {outcome.code}{after_zh}"),
        "no_answer": ("no answer; it is pushed again later", "没有应答，稍后会再次推送"),
        "not_connected": (
            "not delivered: no client is connected; the next one gets it",
            "未送达：没有客户端连接，下一个客户端会收到",
        ),
        "held": ("held until it is released", "已暂停，释放后推送"),
        "waiting": ("no answer yet", "尚无应答"),
        "pushed": ("pushed", "已推送"),
    }
    return localized(*texts[outcome.result])
