"""Traces: turns the log events of a reward and of a withdrawal into OpenTelemetry spans, sent over OTLP/HTTP.

Needs the extra `otel`. Import this module only if tracing.endpoint is set; importing OpenTelemetry takes about 0.1 s.
The code of the data flow knows nothing of it: a logging handler reads the same records as the log.
"""

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import requests
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from notifier import __version__

log = logging.getLogger(__name__)

SERVICE_NAME: Final = "referral-notifier"
PROGRAM: Final = "notifier"
"""The logger above all loggers of this program."""

MAX_QUEUED_SPANS: Final = 2048
"""More spans are dropped while the collector does not take them."""
EXPORT_INTERVAL_MS: Final = 1_000
EXPORT_TIMEOUT_SECONDS: Final = 5.0
"""Limit of one export with its retries."""
STOP_SECONDS: Final = 1.0
"""How long the stop waits for the last export."""
MAX_REMEMBERED_ROOTS: Final = 10_000
MAX_REASON: Final = 400

ATTRIBUTES: Final = (
    *("event_key", "notice_id", "delivery_id", "order_id"),
    *("attempt", "variant", "target", "code"),
)
"""Fields of a record that a span gets. All others stay out: they may hold texts of Feishu, with names in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _SpanKind:
    name: str
    is_error: bool = False
    root: str = ""
    """Name of the root span that ends with this event."""
    root_ms: str = ""
    """Field with the milliseconds since the root span began."""


_SPAN_KINDS: Final = {
    "event.stored": _SpanKind(name="event stored"),
    "event.failed": _SpanKind(name="event failed", is_error=True),
    "notice.created": _SpanKind(name="notice created"),
    "delivery.sent": _SpanKind(name="card sent", root="event to card", root_ms="since_event_ms"),
    "delivery.postponed": _SpanKind(name="card postponed", is_error=True),
    "delivery.rerouted": _SpanKind(name="card rerouted", is_error=True),
    "delivery.given_up": _SpanKind(name="card given up", is_error=True),
    "delivery.outcome_lost": _SpanKind(name="card outcome lost", is_error=True),
    "withdrawal.requested": _SpanKind(name="withdrawal requested"),
    "withdrawal.postponed": _SpanKind(name="withdrawal postponed", is_error=True),
    "withdrawal.stalled": _SpanKind(name="withdrawal stalled", is_error=True),
    "payout.sent": _SpanKind(name="payout sent"),
    "payout.postponed": _SpanKind(name="payout postponed", is_error=True),
    "payout.given_up": _SpanKind(name="payout given up", is_error=True),
    "payout.outcome_lost": _SpanKind(name="payout outcome lost", is_error=True),
    "payout.delayed": _SpanKind(name="payout delayed", is_error=True),
    "payout.paid": _SpanKind(name="payout paid"),
    "payout.failed": _SpanKind(name="payout failed", is_error=True),
    "card.updated": _SpanKind(name="card updated"),
} | {
    f"withdrawal.{result}": _SpanKind(
        name=f"withdrawal {result.replace('_', ' ')}",
        is_error=result == "refused",
        root="withdrawal",
        root_ms="since_request_ms",
    )
    for result in ("withdrawn", "amount_changed", "skipped", "refused")
}
"""By log event."""


def make_root_context(correlation: str) -> SpanContext:
    """Returns trace id and id of the root span of a correlation id, such as `event:KEY` or `order:ID`.

    They are a hash, so that every process puts its spans into the same trace without asking another one.
    """
    digest = hashlib.sha256(correlation.encode("utf-8", "replace")).digest()
    return SpanContext(
        trace_id=int.from_bytes(digest[:16], "big") or 1,
        span_id=int.from_bytes(digest[16:24], "big") or 1,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


class _IdGenerator(RandomIdGenerator):
    """Random ids, except for the next root span, whose ids are given."""

    def __init__(self) -> None:
        self.next_root: SpanContext | None = None

    def generate_trace_id(self) -> int:
        return self.next_root.trace_id if self.next_root else super().generate_trace_id()

    def generate_span_id(self) -> int:
        return self.next_root.span_id if self.next_root else super().generate_span_id()


class SpanHandler(logging.Handler):
    """Makes the spans of a log record. It never raises and never waits: the export has a thread of its own."""

    def __init__(self, processor: SpanProcessor, *, instance: str) -> None:
        """instance: the name of this process among several."""
        super().__init__(level=logging.INFO)
        self._ids = _IdGenerator()
        self.provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create(
                {
                    "service.name": SERVICE_NAME,
                    "service.version": __version__,
                    "service.instance.id": instance,
                }
            ),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        self.provider.add_span_processor(processor)
        self._tracer = self.provider.get_tracer(SERVICE_NAME, __version__)
        self._roots: OrderedDict[int, None] = OrderedDict()
        """Trace ids whose root span exists. A second one with the same id would be a duplicate."""

    def emit(self, record: logging.LogRecord) -> None:
        """Adds the spans of the record to the queue. `Handler.handle` holds the lock of this handler meanwhile."""
        kind = _SPAN_KINDS.get(str(record.msg))
        correlation = _get_correlation(record)
        if kind is None or correlation is None:
            return
        try:
            self._add_spans(record, kind, make_root_context(correlation))
        except Exception:  # noqa: BLE001 - a span must never cost the caller of a log method anything
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of logging
        """Loses the span. The log line is not concerned, and a message for each span would flood the log."""

    def _add_spans(self, record: logging.LogRecord, kind: _SpanKind, root: SpanContext) -> None:
        end_ns = round(record.created * 1e9)
        root_ms = getattr(record, kind.root_ms, None) if kind.root_ms else None
        if isinstance(root_ms, int):
            # both times were cut to whole milliseconds, so the beginning may be one earlier
            self._add_root(record, kind.root, root, start_ns=end_ns - (max(root_ms, 0) + 1) * 1_000_000)
        took_ms = getattr(record, "took_ms", None)
        start_ns = end_ns - max(took_ms, 0) * 1_000_000 if isinstance(took_ms, int) else end_ns
        self._add(record, kind.name, root, start_ns=start_ns, is_error=kind.is_error)

    def _add_root(self, record: logging.LogRecord, name: str, root: SpanContext, *, start_ns: int) -> None:
        """A later card of the same event gets a child of the same name instead."""
        if root.trace_id in self._roots:
            self._add(record, name, root, start_ns=start_ns)
            return
        self._roots[root.trace_id] = None
        if len(self._roots) > MAX_REMEMBERED_ROOTS:
            self._roots.popitem(last=False)
        self._ids.next_root = root
        try:
            self._add(record, name, None, start_ns=start_ns)
        finally:
            self._ids.next_root = None

    def _add(
        self,
        record: logging.LogRecord,
        name: str,
        parent: SpanContext | None,
        *,
        start_ns: int,
        is_error: bool = False,
    ) -> None:
        """parent: None for a root span."""
        span = self._tracer.start_span(
            name,
            context=trace.set_span_in_context(
                NonRecordingSpan(parent) if parent else trace.INVALID_SPAN, Context()
            ),
            attributes=_get_attributes(record),
            start_time=start_ns,
        )
        if is_error:
            code = getattr(record, "code", None)
            span.set_status(Status(StatusCode.ERROR, name if code is None else f"{name}, code {code}"))
        span.end(round(record.created * 1e9))


def _get_correlation(record: logging.LogRecord) -> str | None:
    """The id of the trace: the withdrawal, else the event; None for any other record, such as of a digest."""
    for field, prefix in (("order_id", "order"), ("event_key", "event")):
        if value := getattr(record, field, None):
            return f"{prefix}:{value}"
    return None


def _get_attributes(record: logging.LogRecord) -> dict[str, str | int]:
    values = ((name, getattr(record, name, None)) for name in ATTRIBUTES)
    return {
        name: value if isinstance(value, int) else str(value) for name, value in values if value is not None
    }


class ReportingExporter(SpanExporter):
    """Exports with another exporter. Logs the first failure of an outage, and its end."""

    def __init__(self, inner: SpanExporter, endpoint: str, reasons: "_FirstMessage") -> None:
        """endpoint: as in the configuration. reasons: collects what the other exporter logs."""
        self._inner = inner
        self._endpoint = endpoint
        self._reasons = reasons
        self._is_failing = False
        self._is_closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Exports once; spans that are not accepted are lost."""
        if self._is_closed:
            return SpanExportResult.FAILURE
        self._reasons.text = ""
        try:
            result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001 - the thread of the export must go on
            result = SpanExportResult.FAILURE
            self._reasons.text = type(error).__name__
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing and not self._is_failing:
            log.warning(
                "tracing.export_failed",
                extra={"endpoint": self._endpoint, "reason": self._reasons.text[:MAX_REASON] or None},
            )
        if self._is_failing and not is_failing:
            log.info("tracing.export_recovered", extra={"endpoint": self._endpoint})
        self._is_failing = is_failing
        return result

    def shutdown(self) -> None:
        """Stops the other exporter, which then gives up its retries. Later calls of `export` do nothing."""
        self._is_closed = True
        self._inner.shutdown()


class _FirstMessage(logging.Handler):
    """Keeps the first message since `text` was cleared: it holds the cause, and later ones only that it ended."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = self.text or record.getMessage()


def _make_exporter(endpoint: str) -> OTLPSpanExporter:
    session = requests.Session()
    session.trust_env = False  # no proxy, and no password from ~/.netrc
    return OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=EXPORT_TIMEOUT_SECONDS, session=session)


@contextmanager
def exporting(endpoint: str, *, instance: str) -> Iterator[None]:
    """Exports spans to a collector during the block. Set up the log before.

    endpoint: base address of OTLP/HTTP. instance: the name of this process among several.
    At the end the remaining spans have `STOP_SECONDS` to arrive. A collector that fails raises no error.
    """
    reasons = _FirstMessage()
    reporting = ReportingExporter(_make_exporter(endpoint), endpoint, reasons)
    handler = SpanHandler(
        BatchSpanProcessor(
            reporting,
            max_queue_size=MAX_QUEUED_SPANS,
            schedule_delay_millis=EXPORT_INTERVAL_MS,
            max_export_batch_size=MAX_QUEUED_SPANS // 4,
        ),
        instance=instance,
    )
    with _own_loggers(reasons):
        try:
            with _listening(handler):
                yield
        finally:
            # the SDK waits up to 30 s, and an export to a collector that answers slowly cannot be interrupted
            stop = threading.Thread(target=handler.provider.shutdown, name="tracing stop", daemon=True)
            stop.start()
            stop.join(STOP_SECONDS)
            if stop.is_alive():
                reporting.shutdown()


@contextmanager
def _own_loggers(reasons: logging.Handler) -> Iterator[None]:
    """Keeps what OpenTelemetry and its HTTP client log out of the log: it is a line for every failed batch."""
    libraries = [logging.getLogger(name) for name in ("opentelemetry", "urllib3")]
    before = [logger.propagate for logger in libraries]
    for logger in libraries:
        logger.addHandler(reasons)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in zip(libraries, before, strict=True):
            logger.removeHandler(reasons)
            logger.propagate = propagate


@contextmanager
def _listening(handler: SpanHandler) -> Iterator[None]:
    """Gives the handler the records of this program from level info on, also if the log shows fewer."""
    program = logging.getLogger(PROGRAM)
    shown = program.level
    outputs = logging.getLogger().handlers[:]

    def is_shown(record: logging.LogRecord) -> bool:
        is_ours = record.name == PROGRAM or record.name.startswith(f"{PROGRAM}.")
        return not is_ours or record.levelno >= shown

    for output in outputs:
        output.addFilter(is_shown)
    program.setLevel(min(shown or logging.INFO, logging.INFO))
    program.addHandler(handler)
    try:
        yield
    finally:
        program.removeHandler(handler)
        program.setLevel(shown)
        for output in outputs:
            output.removeFilter(is_shown)
