"""Rooms: small enough to be read at one go. Who may import whom is checked by `make rooms`."""

from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "notifier"
MOST_LINES = 420
MODULES = sorted(PROGRAM.rglob("*.py"))
TABLES = {PROGRAM / "feishu" / "card_rules" / "components.py"}
"""Looked up, not read: one long table."""


@pytest.mark.parametrize(
    "module",
    [module for module in MODULES if module not in TABLES],
    ids=lambda module: str(module.relative_to(PROGRAM)),
)
def test_no_module_is_too_long_to_be_read_at_one_go(module: Path) -> None:
    assert MOST_LINES >= len(module.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PROGRAM)))
def test_every_module_opens_with_its_job(module: Path) -> None:
    assert module.read_text(encoding="utf-8").startswith('"""')
