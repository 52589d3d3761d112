"""A stand-in for an OpenTelemetry collector: receives traces over OTLP/HTTP and keeps their spans."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span as it arrived."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty: a root span."""
    start_ns: int
    end_ns: int
    attributes: dict[str, str | int]
    is_error: bool
    message: str
    """Description of the status."""
    resource: dict[str, str | int]


class Collector:
    """What arrived, and how to answer.

    `status` and `body` are those of each answer. A body of None is that of a real collector.
    Requests wait while `may_answer` is not set.
    """

    def __init__(self, port: int = 0) -> None:
        self.spans: list[Span] = []
        self.raw: list[bytes] = []
        """The bodies of the requests, as they arrived."""
        self.requests = 0
        self.status = 200
        self.body: bytes | None = None
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self._make_handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def named(self, name: str) -> list[Span]:
        """The spans of this name, in the order of their end."""
        return sorted((span for span in self.spans if span.name == name), key=lambda span: span.end_ns)

    def close(self) -> None:
        """Stops it. Nobody listens on its port afterwards."""
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def receive(self, path: str, raw: bytes) -> tuple[int, bytes]:
        """Keeps the spans of a request. Returns status and body of the answer."""
        self.requests += 1
        self.may_answer.wait(60)
        if path != "/v1/traces":
            return 404, b""
        if self.status == 200:
            self.raw.append(raw)
            self.spans += _read_spans(raw)
        body = ExportTraceServiceResponse().SerializeToString() if self.body is None else self.body
        return self.status, body

    def _make_handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        receive = self.receive

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status, body = receive(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _read_spans(raw: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(raw)
    return [
        Span(
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            start_ns=span.start_time_unix_nano,
            end_ns=span.end_time_unix_nano,
            attributes=_to_dict(span.attributes),
            is_error=span.status.code == 2,
            message=span.status.message,
            resource=_to_dict(of_process.resource.attributes),
        )
        for of_process in request.resource_spans
        for of_scope in of_process.scope_spans
        for span in of_scope.spans
    ]


def _to_dict(attributes: Any) -> dict[str, str | int]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextmanager
def running_collector(port: int = 0) -> Iterator[Collector]:
    """A collector that is closed after the block. port: 0 for any free one."""
    collector = Collector(port)
    try:
        yield collector
    finally:
        collector.close()
