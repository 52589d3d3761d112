"""`notifier lint` for files of the card builder in the company's folder: exports and references."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from notifier.cli.main import cli
from notifier.config.settings import Config
from notifier.operations.preview.result import PreviewChoice
from notifier.operations.preview.template_preview import TemplatePreview

NAME = "balance_change.card.json"
REFERENCE = {
    "template_id": "AAqExample",
    "template_version_name": "1.0.2",
    "variables": {"account": "card.account_id"},
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the company, below the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("cards: {template_dir: own}\n", encoding="utf-8")
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


VALUES = "withdrawal_total: listed(card.withdrawal.amounts).zh if card.withdrawal else ''\n"


def exported(content: str, value: object) -> dict[str, Any]:
    label = {"tag": "plain_text", "content": "提现"}
    behaviors = [{"type": "callback", "value": value}]
    amounts = {"tag": "plain_text", "content": "${withdrawal_total}"}
    confirm = {"title": label, "text": amounts}
    button = {"tag": "button", "text": label, "behaviors": behaviors, "confirm": confirm}
    config = {"update_multi": True, "enable_forward": False, "summary": {"content": "x"}}
    body = {"elements": [{"tag": "markdown", "content": content}, button]}
    return {"name": "reward", "dsl": {"schema": "2.0", "config": config, "body": body}}


def lint_file(own: Path, document: object, name: str = NAME) -> list[dict[str, Any]]:
    (own / name).write_text(json.dumps(document, indent=1), encoding="utf-8")
    ran = CliRunner().invoke(cli, ["lint", f"own/{name}", "--format", "json"], env={"LC_ALL": "en_US.UTF-8"})
    found: list[dict[str, Any]] = json.loads(ran.stdout)["findings"]
    return found


def line_with(document: object, text: str) -> int:
    lines = json.dumps(document, indent=1).splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_a_pinned_reference_has_no_finding(own: Path) -> None:
    assert [] == lint_file(own, REFERENCE)


def test_an_unpinned_reference_has_a_warning_in_lint_and_on_the_page(own: Path) -> None:
    unpinned = {key: value for key, value in REFERENCE.items() if key != "template_version_name"}
    config = Config.model_validate({"cards": {"template_dir": str(own)}})

    assert ["template-version"] == [each["rule"] for each in lint_file(own, unpinned)]
    shown = TemplatePreview(config).render(PreviewChoice(template="balance_change.json.j2"))
    assert ["template-version"] == [each["rule"] for each in shown.findings]


def test_a_wrong_value_of_a_reference_is_an_error(own: Path) -> None:
    found = lint_file(own, {**REFERENCE, "variables": {"account": "card.account"}})

    assert ["template-error"] == [each["rule"] for each in found]
    assert "has no field account" in found[0]["message"]


def test_a_button_with_a_value_of_its_own_is_an_error_at_its_line(own: Path) -> None:
    document = exported("${account_id}", {"action": "withdraw"})
    (own / "balance_change.card.yaml").write_text(VALUES, encoding="utf-8")
    (finding,) = lint_file(own, document)

    assert "template-error" == finding["rule"]
    assert "the value of a button must be" in finding["message"]
    assert line_with(document, '"value"') == finding["place"]["line"]


def test_an_unknown_variable_is_an_error_at_its_line(own: Path) -> None:
    document = exported("${acount_id}", {"ref": "${withdrawal_ref}"})
    (finding,) = lint_file(own, document)

    assert "there is no variable acount_id; nearest: account_id" in finding["message"]
    assert line_with(document, "acount_id") == finding["place"]["line"]


def test_a_right_export_has_no_finding_and_one_of_another_name_is_not_used(own: Path) -> None:
    document = exported("${account_id}", {"ref": "${withdrawal_ref}"})
    (own / "balance_change.card.yaml").write_text(VALUES, encoding="utf-8")

    assert [] == lint_file(own, document)
    assert ["unused-file"] == [each["rule"] for each in lint_file(own, document, "balance-change.card.json")]


def test_a_file_with_values_is_linted_with_its_card(own: Path) -> None:
    document = exported("${sentence}", {"ref": "${withdrawal_ref}"})
    (own / NAME).write_text(json.dumps(document), encoding="utf-8")
    (own / "balance_change.card.yaml").write_text("sentence: card.nothing\n", encoding="utf-8")
    ran = CliRunner().invoke(cli, ["lint", "own/balance_change.card.yaml"], env={"LC_ALL": "en_US.UTF-8"})

    assert 1 == ran.exit_code
    assert "error template-error card: balance_change.card.json: the value of sentence" in ran.stdout
