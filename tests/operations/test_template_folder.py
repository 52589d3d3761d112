"""`--templates DIR` in place of cards.template_dir; the folder of the shipped templates is refused."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from notifier.cards.templates import shipped_templates
from notifier.cli.main import cli

NAME = "balance_change.json.j2"
VIOLET = '{% extends "shipped/balance_change.json.j2" %}\n{% block header_colour %}violet{% endblock %}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with own templates, in a folder without a configuration."""
    monkeypatch.chdir(tmp_path)
    own = Path("my-templates")
    own.mkdir()
    (own / NAME).write_text(VIOLET, encoding="utf-8")
    return own


def run(*words: str, locale: str = "en_US.UTF-8") -> Result:
    hidden = {name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))}
    return CliRunner().invoke(cli, list(words), env={**hidden, "LC_ALL": locale})


def test_preview_shows_the_folder_of_the_option(folder: Path) -> None:
    shown = json.loads(run("preview", NAME, "--json", "--templates", str(folder)).stdout)

    assert "violet" == shown["header"]["template"]


def test_the_option_replaces_the_configured_folder(folder: Path) -> None:
    Path("other").mkdir()
    Path("config.yaml").write_text("cards: {template_dir: other}\n", encoding="utf-8")

    assert "violet" not in run("preview", NAME, "--json").stdout
    assert "violet" in run("preview", NAME, "--json", "--templates", str(folder)).stdout


def test_lint_checks_the_templates_of_the_folder(folder: Path) -> None:
    (folder / NAME).write_text(VIOLET.replace("violet", "mauve"), encoding="utf-8")
    found = run("lint", "--templates", str(folder))

    assert (1, True) == (found.exit_code, "mauve" in found.stdout)
    assert 0 == run("lint").exit_code


def test_check_needs_no_app_for_templates(folder: Path) -> None:
    found = run("check", "--templates", str(folder))

    assert (0, True) == (found.exit_code, f"template {NAME} (own)" in found.stdout), found.output
    assert "app_id" not in found.stdout
    assert 1 == run("check").exit_code, "without the option, the app is needed"


def test_check_proposes_commands_with_the_folder(folder: Path) -> None:
    (folder / NAME).write_text(VIOLET.replace("violet", "mauve"), encoding="utf-8")
    (folder / "texts.en.yaml").write_text("balance.summary: nothing\n", encoding="utf-8")
    found = run("check", "--templates", str(folder))

    assert 1 == found.exit_code
    assert (
        "--sample increase --templates my-templates; `notifier lint --templates my-templates`" in found.stdout
    )
    assert "lacks the placeholder {amount}" in found.stdout


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "command", [["preview", "--json"], ["lint"], ["check"], ["replay", "1"], ["sandbox"]]
)
def test_the_shipped_folder_is_refused(command: list[str]) -> None:
    Path("link").symlink_to(shipped_templates(), target_is_directory=True)
    english = run(*command, "--templates", "link")
    chinese = run(*command, "--templates", "link", locale="zh_CN.UTF-8")

    assert 2 == english.exit_code == chinese.exit_code
    assert english.stderr.startswith("notifier: --templates: link contains the shipped templates; ")
    assert "是自带模板所在的目录" in chinese.stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "command", [["preview", "--json"], ["lint"], ["check"], ["migrate"], ["templates", "list"]]
)
def test_the_shipped_folder_is_refused_in_the_configuration(command: list[str]) -> None:
    Path("config.yaml").write_text(f"cards: {{template_dir: '{shipped_templates()}'}}\n", encoding="utf-8")
    refused = run(*command)

    assert 2 == refused.exit_code
    assert "config.yaml: cards.template_dir: " in refused.stderr
    assert "contains the shipped templates" in refused.stderr


@pytest.mark.usefixtures("folder")
def test_no_copy_goes_into_the_shipped_folder() -> None:
    refused = run("templates", "eject", NAME, "--force", "--to", str(shipped_templates()))

    assert 2 == refused.exit_code
    assert refused.stderr.startswith("notifier: --to: ")
