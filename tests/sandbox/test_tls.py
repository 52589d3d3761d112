"""https on loopback: what the certificate is valid for, and that nothing answers without trust."""

import json
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from notifier.sandbox.control.tls import TlsUnavailableError, build_tls_context
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls") / "ca.pem"


@pytest.fixture(scope="module")
def box(ca_file: Path) -> Iterator[FeishuBox]:
    with FeishuBox(SandboxSettings(ca_file=str(ca_file))) as started:
        yield started


def ask(box: FeishuBox, context: ssl.SSLContext, server_name: str) -> str:
    """The answer of the discovery call, over a connection that is checked for this name."""
    body = json.dumps({"AppID": box.app_id, "AppSecret": box.app_secret})
    host = urlsplit(box.url).netloc
    request = (
        f"POST /callback/ws/endpoint HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    )
    with (
        socket.create_connection(("127.0.0.1", urlsplit(box.url).port or 0), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=server_name) as secure,
    ):
        secure.sendall(request.encode())
        return b"".join(iter(lambda: secure.recv(65536), b"")).decode()


@pytest.mark.parametrize("server_name", ["localhost", "127.0.0.1", "::1"])
def test_the_certificate_is_valid_for_loopback(box: FeishuBox, ca_file: Path, server_name: str) -> None:
    context = ssl.create_default_context(cafile=str(ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default of Python 3.13

    assert '"URL": "wss://127.0.0.1:' in ask(box, context, server_name)


def test_it_is_not_valid_for_other_names_and_not_trusted_without_its_file(
    box: FeishuBox, ca_file: Path
) -> None:
    for context, name in (
        (ssl.create_default_context(cafile=str(ca_file)), "feishu.example"),
        (ssl.create_default_context(), "localhost"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(box, context, name)


def test_no_key_is_stored(box: FeishuBox, ca_file: Path) -> None:
    assert box.url.startswith("https://127.0.0.1:")
    assert [ca_file] == list(ca_file.parent.iterdir())
    assert "KEY" not in ca_file.read_text()


def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(TlsUnavailableError, match=r"referral-notifier\[tls\]"):
        build_tls_context(tmp_path / "ca.pem")
