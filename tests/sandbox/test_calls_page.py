"""The list of calls in docs/sandbox.md: it is the present one, and it names every call of the official SDK."""

import re
from pathlib import Path

import pytest

from notifier.sandbox.control import calls_page

ROOT = Path(__file__).parents[2]
SDK = Path(pytest.importorskip("lark_oapi").__file__).parent / "api"
FOLDERS = ("im/v1", "cardkit/v1", "auth/v3", "authen/v1", "contact/v3", "application/v6")
URI = re.compile(r'uri = \(?\s*"/open-apis/([^"]+)"')
METHOD = re.compile(r"http_method = HttpMethod\.(\w+)")
WRITES = re.compile(r"(?!GET)\w+ (contact|application)/")
OTHERS = re.compile(r"GET contact/v3/(?!users|departments|scopes)")
"""Calls that change people or apps, and lists of job data, are not ordinary."""


def sdk_calls() -> set[str]:
    calls = set()
    for folder in FOLDERS:
        for module in (SDK / folder / "model").glob("*_request.py"):
            text = module.read_text(encoding="utf-8")
            method, uri = METHOD.search(text), URI.search(text)
            if method and uri:
                calls.add(f"{method[1]} " + re.sub(r":(\w+)", r"{\1}", uri[1]))
    return {call for call in calls if not WRITES.match(call) and not OTHERS.match(call)}


def test_the_page_has_the_present_list() -> None:
    page = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")

    assert page == calls_page.with_table(page), "run `make calls`"


def test_every_ordinary_call_of_the_sdk_is_listed() -> None:
    """Those that the sandbox has, and those that it does not have."""
    listed = {
        calls_page.anonymous(name)
        for name in re.findall(r"^\| `([^`]+)`", calls_page.calls_table(), re.MULTILINE)
    }
    calls = sdk_calls()

    assert len(calls) > 100
    assert set() == {call for call in calls if calls_page.anonymous(call) not in listed}


def test_each_call_is_listed_once_and_names_what_it_covers() -> None:
    apis = calls_page.list_apis()
    names = [calls_page.call_name(api.method, api.path) for api in apis]

    assert len(set(names)) == len(names)
    assert {api.coverage for api in apis} <= set(calls_page.COVERAGE)
