"""Traces: one per reward and one per withdrawal, without personal data, and a collector that fails costs nothing."""

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_trace_id

from notifier import __version__
from notifier.cli.main import cli
from notifier.config.fingerprint import compute_fingerprint
from notifier.config.monitoring import TracingConfig
from notifier.config.settings import Config
from notifier.runtime.telemetry import tracing
from notifier.sandbox.sample_tenant import SAMPLE_PEOPLE
from notifier.sandbox.settings import SECRET_PATTERN
from notifier.sandbox.testing import FeishuBox
from notifier.store import card_updates
from support.cards import press_button
from support.collector import Collector, Span, running_collector
from support.ports import free_port
from support.running import RunningNotifier, clean_environment, running_notifier
from support.waiting import wait_until

LIN, HR = "ou_sandbox_lin", "oc_sandbox_hr"
LIN_ACCOUNT = "7000000000000000001"
SETTINGS = """\
withdrawals:
  offer_to: [referrer, hr]
routes:
  - name: everybody
    to: [referrer, hr]
replica:
  name: one
tracing:
  endpoint: {url}
"""
MS = 1_000_000


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture
def notifier(feishu_box: FeishuBox, collector: Collector, tmp_path: Path) -> Iterator[RunningNotifier]:
    with running_notifier(feishu_box, tmp_path, more=SETTINGS.format(url=collector.url)) as running:
        yield running


def reward(notifier: RunningNotifier) -> str:
    """Changes Lin's balance and waits for the cards. Returns the id of the event."""
    before = len(notifier.box.messages(LIN)), len(notifier.box.messages(HR))
    (event_id,) = notifier.box.change_balance(LIN_ACCOUNT, cash={"CNY": "+500.00"})
    notifier.wait_until_settled()
    assert (before[0] + 1, before[1] + 1) == (
        len(notifier.box.messages(LIN)),
        len(notifier.box.messages(HR)),
    )
    return event_id


def in_order(spans: list[Span]) -> list[str]:
    return [span.name for span in sorted(spans, key=lambda span: (span.start_ns, span.end_ns))]


def test_a_reward_is_one_trace_from_the_event_to_its_cards(
    notifier: RunningNotifier, collector: Collector
) -> None:
    event_id = reward(notifier)

    wait_until(lambda: len(collector.named("card sent")) == 2, "both cards are in the trace")
    spans = collector.spans
    assert {span.trace_id for span in spans} == {spans[0].trace_id}
    assert {event_id} == {span.attributes["event_key"] for span in spans}
    (root,) = [span for span in spans if not span.parent_id]
    assert {root.span_id} == {span.parent_id for span in spans if span is not root}
    assert len(spans) == len({span.span_id for span in spans})
    (stored,), (created,) = collector.named("event stored"), collector.named("notice created")
    first, second = collector.named("card sent")
    assert root is collector.named("event to card")[0]
    assert 2 == len(collector.named("event to card")), "the other card has a span of its own below the root"
    assert root.start_ns <= stored.start_ns <= created.start_ns <= first.end_ns <= second.end_ns
    assert stored.start_ns - root.start_ns < 1000 * MS
    assert first.end_ns == root.end_ns
    assert first.start_ns <= first.end_ns
    assert {"referrer", "hr"} == {span.attributes["target"] for span in (first, second)}
    assert not any(span.is_error for span in spans)
    assert ("referral-notifier", __version__, "one") == tuple(
        root.resource[name] for name in ("service.name", "service.version", "service.instance.id")
    )


def test_a_withdrawal_is_one_trace_from_the_click_to_the_updated_cards(
    notifier: RunningNotifier, collector: Collector
) -> None:
    reward(notifier)

    clicked = press_button(notifier.box, LIN, LIN)

    assert 0 == clicked["code"]

    def in_trace() -> list[Span]:
        return [span for span in collector.spans if "order_id" in span.attributes]

    def is_finished() -> bool:
        with database.read() as connection:
            return bool(collector.named("withdrawal")) and card_updates.count_pending(connection) == 0

    with notifier.open_database() as database:
        wait_until(is_finished, "every card shows the end")
    updates = notifier.log.count(" card.updated ")
    wait_until(
        lambda: len(collector.named("card updated")) >= updates, "the updates of the cards are exported"
    )
    notifier.stop()
    spans = in_trace()
    (root,) = [span for span in spans if not span.parent_id]
    assert "withdrawal" == root.name
    assert {root.trace_id} == {span.trace_id for span in spans}
    assert {root.span_id} == {span.parent_id for span in spans if span is not root}
    assert ["withdrawal", "withdrawal requested"] == in_order(spans)[:2]
    assert "card updated" == max(spans, key=lambda span: span.end_ns).name
    (requested,), (withdrawn,) = (
        collector.named("withdrawal requested"),
        collector.named("withdrawal withdrawn"),
    )
    assert requested.attributes["event_key"]
    assert requested.start_ns <= withdrawn.start_ns == root.end_ns
    assert {root.attributes["order_id"]} == {span.attributes["order_id"] for span in spans}
    assert_no_personal_data(collector)


def assert_no_personal_data(collector: Collector) -> None:
    text = "\n".join(raw.decode("utf-8", "replace") for raw in collector.raw)
    assert LIN_ACCOUNT not in text
    assert "850.50" not in text
    assert not any(word in text for word in ("ou_sandbox", "oc_sandbox", "om_"))
    assert not any(name in text for person in SAMPLE_PEOPLE for name in person[1:3])
    assert SECRET_PATTERN.search(text) is None
    allowed = set(tracing.ATTRIBUTES)
    assert all(set(span.attributes) <= allowed for span in collector.spans)


def test_spans_are_made_for_events_that_the_log_does_not_show(
    feishu_box: FeishuBox, collector: Collector, tmp_path: Path
) -> None:
    more = SETTINGS.format(url=collector.url) + "log:\n  level: error\n"
    with running_notifier(feishu_box, tmp_path, more=more) as notifier:
        reward(notifier)

        wait_until(lambda: len(collector.named("card sent")) == 2, "both cards are in the trace")
        notifier.stop()
        assert " info " not in notifier.log
        assert " warning " not in notifier.log


@pytest.mark.parametrize("status, body", [(500, b"<html>"), (404, b""), (200, None)])
def test_an_outage_is_one_line_and_its_end_another(
    notifier: RunningNotifier, collector: Collector, status: int, body: bytes | None
) -> None:
    collector.status, collector.body = status, body

    for exports in (1, 2, 3):
        reward(notifier)
        wait_until(lambda least=exports: collector.requests >= least, "the collector was asked")  # type: ignore[misc]
    collector.status, collector.body = 200, b"\xff nonsense"
    reward(notifier)

    wait_until(lambda: collector.named("card sent"), "spans arrive again")
    is_outage = status != 200
    if is_outage:
        wait_until(lambda: "tracing.export_recovered" in notifier.log, "the end of the outage is logged")
    notifier.stop()
    assert is_outage == notifier.log.count("tracing.export_failed")
    assert is_outage == notifier.log.count("tracing.export_recovered")
    assert not is_outage or str(status) in find_line(notifier, "tracing.export_failed")
    assert_only_the_program_logs(notifier)


def find_line(notifier: RunningNotifier, event: str) -> str:
    return next(line for line in notifier.log.splitlines() if event in line)


def assert_only_the_program_logs(notifier: RunningNotifier) -> None:
    assert "Traceback" not in notifier.log
    names = {line.split()[2] for line in notifier.log.splitlines()}
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", name) for name in names), notifier.log


def assert_stop_is_quick(notifier: RunningNotifier) -> None:
    assert 0 == notifier.stop()
    ended_at = datetime.now(UTC)
    stopped_at = datetime.fromisoformat(find_line(notifier, "notifier.stopped").split()[0])
    # Without the limit of the stop, it would wait for the export, which has this limit.
    assert (ended_at - stopped_at).total_seconds() < tracing.EXPORT_TIMEOUT_SECONDS


def test_no_collector_costs_no_card_and_one_line(feishu_box: FeishuBox, tmp_path: Path) -> None:
    more = SETTINGS.format(url=f"http://127.0.0.1:{free_port()}")
    with running_notifier(feishu_box, tmp_path, more=more) as notifier:
        for _ in range(3):
            reward(notifier)
        wait_until(lambda: "tracing.export_failed" in notifier.log, "the outage is logged")

        notifier.wait_until_settled()
        assert_stop_is_quick(notifier)
        assert 1 == notifier.log.count("tracing.export_failed")
        assert "refused" in find_line(notifier, "tracing.export_failed")
        assert_only_the_program_logs(notifier)


def test_a_collector_that_does_not_answer_holds_nothing_up(
    notifier: RunningNotifier, collector: Collector
) -> None:
    collector.may_answer.clear()
    reward(notifier)
    wait_until(lambda: collector.requests, "an export waits")

    reward(notifier)

    notifier.wait_until_settled()
    assert_stop_is_quick(notifier)
    assert_only_the_program_logs(notifier)


def test_what_is_queued_arrives_before_the_end(notifier: RunningNotifier, collector: Collector) -> None:
    reward(notifier)

    assert_stop_is_quick(notifier)

    assert 2 == len(collector.named("card sent"))


def test_opentelemetry_is_not_imported_without_an_endpoint(feishu_box: FeishuBox, tmp_path: Path) -> None:
    with running_notifier(feishu_box, tmp_path, program=("-X", "importtime", "-m", "notifier")) as notifier:
        feishu_box.change_balance(LIN_ACCOUNT, points=1)
        feishu_box.wait_for(lambda: bool(feishu_box.messages(LIN)), "a card", timeout=30)
        notifier.stop()

        assert "notifier.runtime.app" in notifier.log
        assert "opentelemetry" not in notifier.log
        assert "notifier.runtime.telemetry.tracing" not in notifier.log


WITHOUT_THE_EXTRA = """
import sys
sys.modules["opentelemetry"] = None
from notifier.__main__ import main
main()
"""


def run_program(folder: Path, program: tuple[str, ...], **environment: str) -> tuple[int, list[str]]:
    """Exit code and lines on stderr of a start that fails."""
    file = folder / "config.yaml"
    file.write_text(
        "feishu:\n  app_id: cli_a\n  app_secret: b\ntracing:\n  endpoint: http://127.0.0.1:4318\n"
    )
    ran = subprocess.run(
        [sys.executable, *program, "run", "--config", str(file)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=clean_environment() | environment,
        timeout=30,
    )
    return ran.returncode, ran.stderr.splitlines()


def test_an_endpoint_without_the_extra_is_one_sentence(tmp_path: Path) -> None:
    code, lines = run_program(tmp_path, ("-c", WITHOUT_THE_EXTRA))

    assert 2 == code
    (line,) = lines
    assert "tracing.endpoint: " in line
    assert "config.yaml" in line
    assert "pip install 'referral-notifier[otel]'" in line


def test_a_variable_that_opentelemetry_rejects_is_one_sentence(tmp_path: Path) -> None:
    code, lines = run_program(tmp_path, ("-m", "notifier"), OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="nonsense")

    assert 2 == code
    (line,) = lines
    assert "tracing.endpoint: OpenTelemetry rejects the environment: OTEL_SPAN" in line
    assert "nonsense" in line


def test_check_needs_neither_the_extra_nor_a_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("feishu:\n  app_id: cli_a\n  app_secret: b\ntracing:\n  endpoint: http://127.0.0.1:9\n")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "notifier.runtime.telemetry.tracing")

    result = CliRunner().invoke(cli, ["check", "--config", str(file)])

    assert 0 == result.exit_code, result.output
    assert "notifier.runtime.telemetry.tracing" not in sys.modules


def test_the_endpoint_may_differ_between_replicas() -> None:
    traced = Config(tracing=TracingConfig(endpoint="http://127.0.0.1:4318/"))

    assert "http://127.0.0.1:4318" == traced.tracing.endpoint
    assert compute_fingerprint(Config()) == compute_fingerprint(traced)


class Traced:
    """A handler whose spans stay in this process."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.handler = tracing.SpanHandler(SimpleSpanProcessor(self.exporter), instance="a")

    def log(self, event: str, **fields: object) -> list[ReadableSpan]:
        """Logs an event. Returns its spans."""
        self.exporter.clear()
        record = logging.LogRecord("notifier.test", logging.INFO, "", 0, event, (), None)
        vars(record).update(fields)
        self.handler.handle(record)
        return list(self.exporter.get_finished_spans())


def test_an_error_names_the_code_and_no_text_of_feishu() -> None:
    (span,) = Traced().log(
        "delivery.given_up",
        event_key="e1",
        delivery_id=7,
        target="referrer",
        code=230013,
        reason="no access to ou_1 Lin Xia",
        log_id="L1",
    )

    assert "card given up, code 230013" == span.status.description
    assert not span.status.is_ok
    assert {"event_key": "e1", "delivery_id": 7, "target": "referrer", "code": 230013} == dict(
        span.attributes or {}
    )
    assert span.parent is not None


@pytest.mark.parametrize(
    "event, fields",
    [
        ("delivery.sent", {"delivery_id": 1, "target": "hr"}),
        ("digest.sent", {"digest": "daily"}),
        ("click.denied", {"open_id": "ou_1"}),
        ("%s", {"event_key": "e1"}),
    ],
)
def test_other_events_make_no_span(event: str, fields: dict[str, object]) -> None:
    assert [] == Traced().log(event, **fields)


@pytest.mark.parametrize(
    "fields", [{"took_ms": "soon"}, {"since_event_ms": "x"}, {"event_key": "\ud800"}, {"took_ms": -5}]
)
def test_fields_of_another_kind_raise_nothing(fields: dict[str, object]) -> None:
    names = [span.name for span in Traced().log("delivery.sent", **{"event_key": "e1", **fields})]

    assert ["card sent"] == names


def test_an_error_in_the_handler_reaches_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    traced = Traced()
    monkeypatch.setattr(tracing, "_get_attributes", lambda record: record.nothing)

    assert [] == traced.log("event.stored", event_key="e1")
    assert ("", "") == capsys.readouterr()


def test_processes_put_their_spans_into_one_trace() -> None:
    receiver, leader = Traced(), Traced()
    (stored,) = receiver.log("event.stored", event_key="e1")
    root, sent = leader.log("delivery.sent", event_key="e1", since_event_ms=40, took_ms=10)

    assert root.context is not None
    assert root.parent is None
    for span in (stored, sent):
        assert span.parent is not None
        assert (root.context.trace_id, root.context.span_id) == (span.parent.trace_id, span.parent.span_id)
    other, *_ = leader.log("withdrawal.requested", order_id="e1", event_key="e2")
    assert other.context is not None
    assert format_trace_id(root.context.trace_id) != format_trace_id(other.context.trace_id)


def test_the_memory_of_roots_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MAX_REMEMBERED_ROOTS", 2)
    traced = Traced()
    for key in ("a", "b", "c"):
        assert traced.log("delivery.sent", event_key=key, since_event_ms=1)[0].parent is None

    assert 2 == len(traced.handler._roots)
    assert traced.log("delivery.sent", event_key="c", since_event_ms=1)[0].parent is not None


def test_the_queue_is_bounded_and_the_end_waits_a_second_at_most(collector: Collector) -> None:
    collector.may_answer.clear()
    program = logging.getLogger("notifier")
    level, started = program.level, datetime.now(UTC)
    try:
        with tracing.exporting(collector.url, instance="a"):
            for number in range(3 * tracing.MAX_QUEUED_SPANS):
                program.info("event.stored", extra={"event_key": f"e{number}"})
            logged = datetime.now(UTC)
        ended = datetime.now(UTC)
    finally:
        collector.may_answer.set()

    # An export that nobody answers has this limit; a queue that blocks would need many of them.
    assert (ended - logged).total_seconds() < tracing.EXPORT_TIMEOUT_SECONDS
    assert (logged - started).total_seconds() < 4 * tracing.EXPORT_TIMEOUT_SECONDS
    assert level == program.level
    assert not any(isinstance(handler, tracing.SpanHandler) for handler in program.handlers)


@pytest.mark.parametrize(
    "endpoint",
    [
        "localhost:4318",
        "grpc://a:4317",
        "http://",
        "http://a:x",
        "http://u:p@a",
        "http://a/v1/traces",
        "http://a?b=c",
    ],
)
def test_an_endpoint_that_cannot_work_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"must be|Port"):
        TracingConfig(endpoint=endpoint)


def test_the_failure_of_an_exporter_is_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(InMemorySpanExporter):
        def export(self, _spans: object) -> None:  # type: ignore[override]
            raise RuntimeError("broken")

    exporter = tracing.ReportingExporter(Broken(), "http://a", tracing._FirstMessage())
    for _ in range(3):
        exporter.export([])

    assert ["tracing.export_failed"] == [record.getMessage() for record in caplog.records]
    assert "RuntimeError" == vars(caplog.records[0])["reason"]
