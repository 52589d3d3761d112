"""The documents say what the code does."""

import http.server
import re
import threading
from email.message import Message
from pathlib import Path
from typing import Any, ClassVar

import pytest

from notifier.config.fields import Section
from notifier.config.settings import Config
from notifier.domain import card
from notifier.domain.payout import PayoutState
from notifier.errors import TemporaryFailure
from notifier.payroll import client, endpoint, signature

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")


def settings_of(model: type[Section], prefix: str = "") -> dict[str, Any]:
    """Every setting a file may hold, by key path, with its default."""
    found: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            found |= settings_of(annotation, f"{prefix}{name}.")
        else:
            found[prefix + name] = info.default
    return found


def table_of(readme: str) -> dict[str, str]:
    """Key and default of each row of the settings table."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([a-z_.]+)` \| ?`?([^|`]*)`? ?\|", text, flags=re.MULTILINE))


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_lists_every_setting_and_no_other(readme: str) -> None:
    assert set(settings_of(Config)) == set(table_of(readme))


def _as_yaml(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_shows_the_real_defaults(readme: str) -> None:
    shown = table_of(readme)
    plain = {
        key: _as_yaml(default)
        for key, default in settings_of(Config).items()
        if isinstance(default, str | int | float) and str(default)
    }

    assert plain == {key: shown[key].strip() for key in plain}


@pytest.mark.parametrize("readme", READMES)
def test_the_readmes_links_lead_somewhere(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    local = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]

    assert [] == [link for link in local if not (ROOT / link).exists()]


@pytest.mark.parametrize("readme", READMES)
def test_the_readmes_commands_exist(readme: str) -> None:
    from notifier.cli.main import cli  # noqa: PLC0415 - only this test needs the commands

    text = (ROOT / readme).read_text(encoding="utf-8")
    typed = set(
        re.findall(r"notifier ([a-z]+)", "\n".join(re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)))
    )
    targets = set(re.findall(r"(?:^|`)make ([a-z]+)", text, flags=re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert set() == typed - set(cli.commands)
    assert [] == [target for target in targets if not re.search(rf"^{target}:", makefile, flags=re.MULTILINE)]


def test_the_map_names_every_room_and_every_module_at_the_top() -> None:
    text = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
    rooms = {path.name for path in (ROOT / "notifier").iterdir() if (path / "__init__.py").exists()}
    modules = {path.name for path in (ROOT / "notifier").glob("*.py") if not path.name.startswith("__")}

    assert rooms == set(re.findall(r"`notifier/([a-z]+)`", text))
    assert set() == {name for name in modules if f"`{name}`" not in text}


def test_the_template_guide_names_every_field() -> None:
    text = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")
    of_card = {f"card.{name}" for name in card.BalanceChangeCard.__dataclass_fields__}
    of_line = {f".{name}" for name in card.AmountLine.__dataclass_fields__}

    assert set() == {name for name in of_card if f"`{name}`" not in text}
    assert set() == {name for name in of_line if f"`{name}" not in text}


def test_the_operators_guide_names_every_log_line() -> None:
    """Fixed names are written as text in the code: `log.info("delivery.sent", ...)`."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "notifier").rglob("*.py"))
    written = set(re.findall(r"log\.(?:info|warning|error|exception)\(\s*\"([a-z]+\.[a-z_]+)\"", code))

    assert written
    assert set() == {name for name in written if f"`{name}`" not in text}


def test_the_example_for_the_paying_system_signs_and_verifies_as_we_do() -> None:
    """Whoever copies it can check our calls, and we theirs."""
    text = (ROOT / "docs" / "payouts.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    example: dict[str, Any] = {}
    exec(code, example)  # noqa: S102 - our own page
    raw, secret = b'{"order_id":"rn-1","status":"paid"}', "an-example-secret"

    assert raw.decode() in text
    ours = signature.sign(secret, "1700000000", raw)
    assert ours in text
    assert ours == example["sign"](secret, "1700000000", raw)
    assert example["is_right"](secret, "1700000000", raw, ours, 1_700_000_300)
    assert not example["is_right"](secret, "1700000000", raw, ours, 1_700_000_301)
    assert not example["is_right"](secret, "1700000000", raw + b" ", ours, 1_700_000_000)


class _PayrollThatReports(http.server.BaseHTTPRequestHandler):
    """Stands where `payouts.listen` is, and keeps what was said there."""

    heard: ClassVar[list[tuple[Message, bytes]]] = []

    def do_POST(self) -> None:
        self.heard.append((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_example_reports_in_words_that_we_take() -> None:
    text = (ROOT / "docs" / "payouts.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    example: dict[str, Any] = {}
    exec(code, example)  # noqa: S102 - our own page
    server = http.server.HTTPServer(("127.0.0.1", 0), _PayrollThatReports)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/payouts/report"
        assert 200 == example["report"](url, "an-example-secret", "rn-1", "failed", reason="closed")
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)

    ((headers, raw),) = _PayrollThatReports.heard
    timestamp = headers[signature.TIMESTAMP_HEADER]
    at = signature.verify_signature(
        "an-example-secret",
        timestamp=timestamp,
        signature=headers[signature.SIGNATURE_HEADER],
        raw=raw,
        now_seconds=float(timestamp),
    )
    assert int(timestamp) == at
    said = endpoint.read_report(raw, at=1000 * int(timestamp))
    assert ("rn-1", PayoutState.FAILED, "", "closed") == (
        said.order_id,
        said.status,
        said.reference,
        said.reason,
    )


@pytest.mark.parametrize(
    "status, words",
    [(code, "the same call again") for code in sorted(client.RETRYABLE_STATUSES)]
    + [(422, "given up at once")],
)
def test_the_page_for_the_paying_system_says_what_each_answer_leads_to(status: int, words: str) -> None:
    text = (ROOT / "docs" / "payouts.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| (the same call again|given up at once)", text, flags=re.MULTILINE)
    named = next((follows for answers, follows in rows if str(status) in answers), "given up at once")

    assert words == named
    helps = isinstance(client._error_for_status(status, None), TemporaryFailure)
    assert helps == (words == "the same call again")
