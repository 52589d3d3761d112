"""Payroll wire: what a company's own program does: signs payouts by hand, and takes reports."""

import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from notifier.sandbox.testing import FeishuBox
from sandbox.clients import Reply, call

PAYOUTS = "/payroll/payouts"
SECRET = "sandbox-payout-secret"


def signature(timestamp: str, raw: bytes, secret: str = SECRET) -> str:
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + raw, hashlib.sha256).hexdigest()


def order(order_id: str = "o-1", **more: object) -> dict[str, object]:
    return {
        "order_id": order_id,
        "account_id": "7000000000000000001",
        "tenant_key": "sandbox-tenant",
        "referrer_open_id": "ou_sandbox_lin",
        "amounts": [
            {"kind": "points", "currency": "", "amount": "120.0000"},
            {"kind": "cash", "currency": "CNY", "amount": "350.5000"},
        ],
        "withdrawn_at": "2026-01-31T08:00:00Z",
        **more,
    }


def pay(box: FeishuBox, body: object = None, *, secret: str = SECRET, late: int = 0, **headers: Any) -> Reply:
    """Asks for a payout, signed well. body: JSON, or bytes as they are. headers: to replace; "" leaves one out."""
    body = order() if body is None else body
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    timestamp = str(box.state()["now_ms"] // 1000 - late)
    sent = {
        "X-Payout-Timestamp": timestamp,
        "X-Payout-Signature": signature(timestamp, raw, secret),
        "Idempotency-Key": str(body.get("order_id", "o-1")) if isinstance(body, dict) else "o-1",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return call(box, "POST", PAYOUTS, raw, **{name: value for name, value in sent.items() if value})


@dataclass
class ReportReceiver:
    """Takes reports. status: what it answers with."""

    url: str = ""
    status: int = 200
    reports: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def contents(self) -> list[Any]:
        return [json.loads(raw) for _, raw in self.reports]


@contextmanager
def receiving() -> Iterator[ReportReceiver]:
    receiver = ReportReceiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name http.server calls
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.reports.append((dict(self.headers), raw))
            self.send_response(HTTPStatus(receiver.status))
            self.send_header("Content-Length", "0")
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/payouts/report"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
