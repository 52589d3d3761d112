"""Faults of the company's own files, as `notifier lint` and the preview page report them."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from notifier.cards.templates import shipped_templates
from notifier.cli.main import cli
from notifier.config.settings import Config
from notifier.operations.preview.result import PreviewChoice
from notifier.operations.preview.template_preview import TemplatePreview

TEMPLATE = "balance_change.json.j2"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the company, below the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("cards: {template_dir: own}\n", encoding="utf-8")
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["lint", *words], env={"LC_ALL": "en_US.UTF-8"})


def errors(*words: str) -> list[dict[str, Any]]:
    found = json.loads(run(*words, "--format", "json").stdout)["findings"]
    return [each for each in found if each["severity"] == "error"]


def on_the_page(folder: Path, template: str = TEMPLATE) -> list[dict[str, Any]]:
    config = Config.model_validate({"cards": {"template_dir": str(folder)}})
    return [dict(each) for each in TemplatePreview(config).render(PreviewChoice(template=template)).findings]


@pytest.mark.parametrize(
    "text, line, reason",
    [
        (
            "# ours\nbalance.title.increas: 到账\n",
            2,
            "There is no such text; nearest: balance.title.increase.",
        ),
        ("balance.summary: 奖励\n", 1, "The text lacks the placeholder {amount}."),
        ('balance.summary: "{amount} {name}"\n', 1, "unknown placeholder {name}"),
        ('balance.title.increase: "到账 {"\n', 1, "write a brace as {{ or }}"),
        (
            "balance.title.increase: {ours}\n",
            1,
            "The text is a group, not a text; put it in quotation marks.",
        ),
        ("balance:\n  title: 到账\n", 1, "Write the whole key on one line"),
        (
            "balance.title.increase: 到\nbalance.title.increase: 账\n",
            2,
            "The file is not YAML: found duplicate key",
        ),
    ],
)
def test_a_wrong_text_is_an_error_with_its_line(own: Path, text: str, line: int, reason: str) -> None:
    (own / "texts.zh.yaml").write_text(text, encoding="utf-8")

    (finding,) = errors("own/texts.zh.yaml")
    place = finding["place"]
    assert ("own-text", "own/texts.zh.yaml", line) == (finding["rule"], place["file"], place["line"])
    assert reason in finding["message"]
    shown = on_the_page(own)[0]
    assert ("own-text", "texts.zh.yaml") == (shown["rule"], shown["place"]["file"])
    assert line == shown["place"]["line"]


@pytest.mark.parametrize("name", ["texts.cn.yaml", "texts.zh.yml", "balance-change.json.j2"])
def test_a_file_that_nothing_uses_is_an_error(own: Path, name: str) -> None:
    source = (shipped_templates() / TEMPLATE).read_text(encoding="utf-8") if name.endswith("j2") else "a: b\n"
    (own / name).write_text(source, encoding="utf-8")

    (finding,) = errors(f"own/{name}")
    assert ("unused-file", f"own/{name}") == (finding["rule"], finding["place"]["file"])
    assert "Nothing uses this file (did you mean " in finding["message"]
    assert ("unused-file", name) == (on_the_page(own)[0]["rule"], on_the_page(own)[0]["place"]["file"])


def test_right_own_files_have_no_finding(own: Path) -> None:
    (own / "texts.zh.yaml").write_text('balance.summary: "到账 {amount}"\n', encoding="utf-8")

    assert [] == errors("own/texts.zh.yaml")
    assert [] == on_the_page(own)


def test_without_names_own_files_are_checked_beside_all_templates(own: Path) -> None:
    (own / TEMPLATE).write_text("{{ nonsense }}", encoding="utf-8")
    (own / "texts.zh.yaml").write_text("balance.summary: 奖励\n", encoding="utf-8")
    (own / "texts.zh.yml").write_text("a: b\n", encoding="utf-8")

    assert {
        ("template-error", f"own/{TEMPLATE}"),
        ("own-text", "own/texts.zh.yaml"),
        ("unused-file", "own/texts.zh.yml"),
    } == {(each["rule"], each["place"]["file"]) for each in errors()}
    assert {"own-text", "unused-file"} == {each["rule"] for each in on_the_page(own)}, "beside the error"


def test_the_page_watches_files_with_wrong_names(own: Path) -> None:
    config = Config.model_validate({"cards": {"template_dir": str(own)}})
    (own / "texts.zh.yml").write_text("a: b\n", encoding="utf-8")

    assert own / "texts.zh.yml" in TemplatePreview(config).list_watched_files()
