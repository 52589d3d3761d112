"""The documents say what the code does."""

import re
from pathlib import Path
from typing import Any

import pytest

from notifier.config import Config, Section
from notifier.domain import card
from notifier.payroll import signature

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


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_shows_the_real_defaults(readme: str) -> None:
    shown = table_of(readme)
    plain = {
        key: str(default) if not isinstance(default, float) else f"{default:g}"
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
    from notifier.cli import cli  # noqa: PLC0415 - only this test needs the commands

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
    of_line = {f".{name}" for name in card.Line.__dataclass_fields__}

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
