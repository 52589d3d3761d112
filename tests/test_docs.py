"""The documents say what the code does. test_doc_commands.py has their commands."""

import ast
import http.server
import re
import threading
from email.message import Message
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import pytest

from notifier.config.digests import DigestConfig
from notifier.config.fields import Section
from notifier.config.settings import Config
from notifier.domain import card
from notifier.domain.delivery import DeliveryState
from notifier.domain.payout import PayoutState
from notifier.domain.scopes import (
    BOT_MENU,
    CALLBACKS_MENU,
    EVENTS_MENU,
    SCOPES,
    SCOPES_MENU,
    SECURITY_MENU,
    VERSION_MENU,
)
from notifier.domain.withdrawal import WithdrawalState
from notifier.errors import TemporaryFailure
from notifier.payroll import client, endpoint, signature
from notifier.store.schema.tables import metadata
from support.doc_commands import PAGES, ROOT

CONFIGURATION_PAGES = ("docs/configuration.md", "docs/configuration.zh-CN.md")
OPERATIONS_PAGES = ("docs/operations.md", "docs/operations.zh-CN.md")
PAGE_IDS = [page.name for page in PAGES]


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


def table_of(page: str) -> dict[str, str]:
    """Key and default of each row of the settings table."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return dict(
        re.findall(
            r"^\| `([a-z_]+(?:\.[a-z_]+)*)` \| ?`?([^|`]*)`? ?\|", _settings_section(text), re.MULTILINE
        )
    )


def _settings_section(text: str) -> str:
    """The second-level section with the settings table; the tables of routes and digests follow it."""
    (section,) = [part for part in re.split(r"^## ", text, flags=re.MULTILINE) if "`feishu.app_id`" in part]
    return section


@pytest.mark.parametrize("page", CONFIGURATION_PAGES)
def test_the_configuration_page_lists_every_setting_and_no_other(page: str) -> None:
    assert set(settings_of(Config)) == set(table_of(page))


def _as_yaml(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


@pytest.mark.parametrize("page", CONFIGURATION_PAGES)
def test_the_configuration_page_shows_the_real_defaults(page: str) -> None:
    shown = table_of(page)
    plain = {
        key: _as_yaml(default)
        for key, default in settings_of(Config).items()
        if isinstance(default, str | int | float) and str(default)
    }

    assert plain == {key: shown[key].strip() for key in plain}


@pytest.mark.parametrize("page", CONFIGURATION_PAGES)
def test_the_configuration_page_lists_every_key_of_a_digest(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    (section,) = [part for part in re.split(r"^## ", text, flags=re.MULTILINE) if "`catch_up_hours`" in part]

    assert set(DigestConfig.model_fields) == set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)

    assert [] == broken


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_every_module_that_a_page_names_exists(page: Path) -> None:
    """Modules are named from the repository, from `notifier/` or from `tests/`."""
    if page.name == "changelog.md":
        return
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)+\.py)`", text))

    assert set() == {
        name
        for name in named
        if not any((ROOT / start / name).exists() for start in ("", "notifier", "tests"))
    }


def test_every_page_is_reachable_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    english = {page.name for page in (ROOT / "docs").glob("*.md") if not page.name.endswith(".zh-CN.md")}

    assert set() == {name for name in english if f"](docs/{name})" not in text}


def test_the_architecture_page_names_every_room_and_every_module_at_the_top() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    packages = {
        path.parent.relative_to(ROOT).as_posix()
        for path in (ROOT / "notifier").glob("*/**/__init__.py")
        if path.parent.name != "versions"
    }
    page = "notifier/sandbox/page"  # the browser's files, no Python
    modules = {path.name for path in (ROOT / "notifier").glob("*.py") if not path.name.startswith("__")}

    assert packages | {page} == set(re.findall(r"`(notifier/[a-z_/]+)`", text))
    assert set() == {name for name in modules if f"`{name}`" not in text}


def test_the_architecture_page_lists_every_table_and_no_other() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.split("## Tables", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \|", section, re.MULTILINE)

    assert set(metadata.tables) == {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}


@pytest.mark.parametrize(
    "heading, states",
    [
        ("## States of a delivery", DeliveryState),
        ("## States of a withdrawal", WithdrawalState),
        ("## States of a withdrawal", PayoutState),
    ],
)
def test_the_architecture_page_draws_every_state(heading: str, states: type[StrEnum]) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    diagrams = re.findall(r"```mermaid\n(.*?)```", text.split(heading, 1)[1].split("\n## ", 1)[0], re.DOTALL)
    drawn = {
        name for diagram in diagrams for name in re.findall(r"\b([a-z_]+)(?= -->|:|$)", diagram, re.MULTILINE)
    }

    assert set() == {state.value for state in states} - drawn


def test_the_template_guide_names_every_field() -> None:
    text = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")
    of_card = {f"card.{name}" for name in card.BalanceChangeCard.__dataclass_fields__}
    of_line = {f".{name}" for name in card.AmountLine.__dataclass_fields__}

    assert set() == {name for name in of_card if f"`{name}`" not in text}
    assert set() == {name for name in of_line if f"`{name}" not in text}


LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def _logged_events() -> set[str]:
    """The event names in the code: the first argument of each call on `log`, without its fields."""
    events: set[str] = set()
    for path in (ROOT / "notifier").rglob("*.py"):
        module = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(module):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LOG_METHODS
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in {"log", "_log", "logger"}
            ):
                events |= _event_names(node.args[node.func.attr == "log"], module)
    return events


def _event_names(argument: ast.expr, module: ast.Module) -> set[str]:
    """The names that an argument can be: a text, one of two, or one of a table of the module."""
    match argument:
        case ast.IfExp(body=first, orelse=second):
            return _event_names(first, module) | _event_names(second, module)
        case ast.Subscript(value=ast.Name(id=table)):
            (rows,) = [
                node.value
                for node in module.body
                if isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Dict)
                and [ast.unparse(target) for target in node.targets] == [table]
            ]
            return {name for row in rows.values for name in _event_names(row, module)}
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), ast.FormattedValue()]):
            states = {"payout.": {"paid", "failed"}}[start]
            return {f"{start}{state}" for state in states}
        case ast.Constant(value=str(name)):
            assert re.fullmatch(r"[a-z_]+\.[a-z_]+", name), name
            return {name}
    raise AssertionError(f"no fixed event name: {ast.unparse(argument)}")


def _documented_events(page: str) -> dict[str, str]:
    """Event name and level of each row of the table of log events; each name once."""
    text = (ROOT / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (debug|info|warning|error) \|", text, re.MULTILINE)
    assert len(rows) == len(dict(rows)), "an event has two rows"
    return dict(rows)


@pytest.mark.parametrize("page", OPERATIONS_PAGES)
def test_the_operations_guide_lists_every_log_event_and_no_other(page: str) -> None:
    logged, documented = _logged_events(), set(_documented_events(page))

    assert logged
    assert (set(), set()) == (logged - documented, documented - logged), (
        "(missing in the page, not in the code)"
    )


def test_both_operations_guides_give_the_same_levels() -> None:
    english, chinese = map(_documented_events, OPERATIONS_PAGES)

    assert english == chinese


@pytest.mark.parametrize("page", OPERATIONS_PAGES)
def test_events_that_the_operations_guide_mentions_are_in_its_table(page: str) -> None:
    """A symptom that names an event which no longer exists would mislead."""
    text = (ROOT / page).read_text(encoding="utf-8")
    components = {name.split(".")[0] for name in _documented_events(page)}
    settings = set(settings_of(Config))
    mentioned = {
        name
        for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", text)
        if name.split(".")[0] in components and name not in settings
    }

    assert mentioned <= set(_documented_events(page))


def test_the_example_for_the_payroll_system_signs_and_verifies_as_we_do() -> None:
    """A copy of it can verify our calls, and we can verify its reports."""
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


class _ReportReceiver(http.server.BaseHTTPRequestHandler):
    """Listens in place of `payouts.listen` and keeps each report."""

    received: ClassVar[list[tuple[Message, bytes]]] = []

    def do_POST(self) -> None:
        self.received.append((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_example_reports_in_the_form_that_we_accept() -> None:
    text = (ROOT / "docs" / "payouts.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    example: dict[str, Any] = {}
    exec(code, example)  # noqa: S102 - our own page
    server = http.server.HTTPServer(("127.0.0.1", 0), _ReportReceiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/payouts/report"
        assert 200 == example["report"](url, "an-example-secret", "rn-1", "failed", reason="closed")
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)

    ((headers, raw),) = _ReportReceiver.received
    timestamp = headers[signature.TIMESTAMP_HEADER]
    at = signature.verify_signature(
        "an-example-secret",
        timestamp=timestamp,
        signature=headers[signature.SIGNATURE_HEADER],
        raw=raw,
        now_seconds=float(timestamp),
    )
    assert int(timestamp) == at
    report = endpoint.read_report(raw, at=1000 * int(timestamp))
    assert ("rn-1", PayoutState.FAILED, "", "closed") == (
        report.order_id,
        report.status,
        report.reference,
        report.reason,
    )


@pytest.mark.parametrize(
    "status, expected",
    [(code, "the same call again") for code in sorted(client.RETRYABLE_STATUSES)]
    + [(422, "given up at once")],
)
def test_the_page_for_the_payroll_system_states_what_follows_each_answer(status: int, expected: str) -> None:
    text = (ROOT / "docs" / "payouts.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| (the same call again|given up at once)", text, flags=re.MULTILINE)
    named = next((follows for answers, follows in rows if str(status) in answers), "given up at once")

    assert expected == named
    is_retried = isinstance(client._error_for_status(status, None), TemporaryFailure)
    assert is_retried == (expected == "the same call again")


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_readme_lists_the_scopes_and_menus_of_the_table(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.lstrip().startswith("| `")]
    listed = {
        scope
        for row in rows
        for scope in re.findall(r"`((?:hire|im|contact):[a-z0-9_.:]+)`", row.split("|")[1])
    }

    assert set(SCOPES.values()) == listed
    for menu in (SCOPES_MENU, EVENTS_MENU, CALLBACKS_MENU, VERSION_MENU, SECURITY_MENU, BOT_MENU):
        assert menu.en in text
        assert menu.zh in text
