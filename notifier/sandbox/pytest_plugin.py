"""Pytest plugin with the fixture `feishu_box`: a separate sandbox for each test.

It is an entry point of the wheel, so any project that installs the wheel has the fixture. The first test that uses it
imports the sandbox.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from notifier.sandbox.settings import SandboxSettings
    from notifier.sandbox.testing import FeishuBox

MARKER = "sandbox"


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(**settings): settings of the fixture feishu_box, such as quotas=False or faults=['429']; "
        "see SandboxSettings.",
    )


@pytest.fixture
def feishu_box(request: pytest.FixtureRequest) -> "Iterator[FeishuBox]":
    """A started sandbox that stops after the test. The marker `sandbox` sets its settings."""
    from notifier.sandbox.testing import FeishuBox  # noqa: PLC0415 - not for runs that never use it

    with FeishuBox(_read_settings(request.node)) as box:
        yield box


def _read_settings(node: pytest.Item) -> "SandboxSettings":
    """The settings of all markers at the test, its class and its module; the closest one wins."""
    from notifier.sandbox.settings import SandboxSettings  # noqa: PLC0415 - see above

    given: dict[str, Any] = {}
    for marker in reversed(list(node.iter_markers(MARKER))):
        if marker.args:
            raise pytest.UsageError(
                f"@pytest.mark.{MARKER} accepts named settings only, such as quotas=False"
            )
        given |= marker.kwargs
    known = [field.name for field in fields(SandboxSettings)]
    for name in given:
        if name not in known:
            raise pytest.UsageError(
                f"@pytest.mark.{MARKER}: there is no setting {name!r}; settings: {', '.join(known)}"
            )
    if "faults" in given:
        given["faults"] = tuple(_read_fault(fault) for fault in given["faults"])
    return SandboxSettings(**given)


def _read_fault(fault: str | Mapping[str, object]) -> Mapping[str, object]:
    """A fault type alone, or with its options."""
    return {"fault_type": fault} if isinstance(fault, str) else fault
