"""The templates commands, and what checks say about own templates and texts."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from notifier.cards.templates import OUR_TEMPLATES, shipped_templates
from notifier.cli.main import cli
from notifier.clock import SystemClock
from notifier.config.fingerprint import compute_fingerprint
from notifier.config.loader import load_config
from notifier.operations.checks import check_configuration
from notifier.operations.sandbox_config import write_sandbox_config
from notifier.sandbox.settings import SandboxSettings

EXTENDED = '{% extends "shipped/withdrawal.json.j2" %}{% block note %}{{ super() }}{% endblock %}'


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    return folder


@pytest.fixture
def config(tmp_path: Path, own: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(f"store: {{url: 'sqlite:///{tmp_path}/n.db'}}\ncards: {{template_dir: {own.name}}}\n")
    return file


def run(*words: str, config: Path) -> Result:
    hidden = {name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))}
    environment = {**hidden, "LC_ALL": "en_US.UTF-8"}
    return CliRunner().invoke(cli, ["templates", *words, "--config", str(config)], env=environment)


def listed(config: Path) -> dict[str, dict[str, object]]:
    document = json.loads(run("list", "--json", config=config).stdout)
    return {each["name"]: each for each in document["templates"]}


def problems(config: Path) -> list[str]:
    results = check_configuration(load_config(config), SystemClock())
    return [result.subject.en for result in results if result.is_problem]


def test_the_list_has_every_template_with_its_blocks(config: Path) -> None:
    found = listed(config)

    assert sorted(OUR_TEMPLATES) == sorted(found)
    assert {"shipped"} == {each["source"] for each in found.values()}
    assert all("title" in str(each["blocks"]) for each in found.values())


def test_the_list_says_what_an_own_file_replaces(config: Path, own: Path) -> None:
    (own / "withdrawal.json.j2").write_text(EXTENDED)
    found = listed(config)["withdrawal.json.j2"]

    assert ("own", True, "shipped/withdrawal.json.j2", ["note"]) == (
        found["source"],
        found["replaces_shipped"],
        found["extends"],
        found["changed_blocks"],
    )
    text = run("list", config=config).stdout
    assert (
        "withdrawal.json.j2  own, replaces the shipped one, extends shipped/withdrawal.json.j2\n  changes: note\n"
        in text
    )


def test_the_list_names_faults(config: Path, own: Path) -> None:
    (own / "withdrawal.json.j2").write_text(EXTENDED.replace("note", "not"))
    (own / "texts.zh.yaml").write_text("withdrawal.button: 5\n")
    text = run("list", config=config).stdout

    assert (
        "  problem: withdrawal.json.j2, line 1: shipped/withdrawal.json.j2 has no block not; nearest: note"
        in text
    )
    assert (
        "texts.zh.yaml  own texts\n  problem: texts.zh.yaml, line 1: withdrawal.button: is a number" in text
    )


def test_a_shipped_file_is_copied_once(config: Path, own: Path) -> None:
    for name in ("digest.json.j2", "texts.zh.yaml"):
        assert 0 == run("eject", name, config=config).exit_code
        assert (own / name).read_bytes() == (shipped_templates() / name).read_bytes()
    (own / "digest.json.j2").write_text("changed")
    again = run("eject", "digest.json.j2", config=config)

    assert (2, "changed") == (again.exit_code, (own / "digest.json.j2").read_text())
    assert "exists; --force replaces it" in again.stderr
    assert 0 == run("eject", "digest.json.j2", "--force", config=config).exit_code
    assert "changed" != (own / "digest.json.j2").read_text()


def test_a_shipped_file_can_be_copied_elsewhere(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"

    assert 0 == run("eject", "_parts.j2", "--to", str(target), config=config).exit_code
    assert (target / "_parts.j2").is_file()


def test_an_unknown_name_is_named_with_the_nearest_and_nothing_is_copied(config: Path, own: Path) -> None:
    result = run("eject", "digest.json.j2", "withdrawl.json.j2", config=config)

    assert (2, []) == (result.exit_code, list(own.iterdir()))
    assert (
        "there is no shipped template withdrawl.json.j2 (did you mean withdrawal.json.j2?)" in result.stderr
    )


def test_without_a_folder_eject_asks_for_one(config: Path) -> None:
    config.write_text("{}")
    result = run("eject", "digest.json.j2", config=config)

    assert (2, True) == (result.exit_code, "name one with --to" in result.stderr)


def test_the_check_names_wrong_texts(config: Path, own: Path) -> None:
    assert [] == [problem for problem in problems(config) if "text" in problem]
    (own / "texts.zh.yaml").write_text("\nwithdrawal.buton: 提现\n")

    assert [
        "text texts.zh.yaml, line 2: withdrawal.buton: there is no such text; nearest: withdrawal.button"
    ] == [problem for problem in problems(config) if "text" in problem]


def test_the_check_takes_own_texts_for_used(config: Path, own: Path) -> None:
    (own / "texts.en.yaml").write_text("withdrawal.button: Cash out\n")
    (own / "text.en.yaml").write_text("")

    assert ["template text.en.yaml is never used (did you mean texts.en.yaml?)"] == [
        problem for problem in problems(config) if "text" in problem
    ]


def test_processes_with_other_texts_have_another_fingerprint(config: Path, own: Path) -> None:
    before = compute_fingerprint(load_config(config).config)
    (own / "texts.en.yaml").write_text("withdrawal.button: Cash out\n")

    assert before != compute_fingerprint(load_config(config).config)


def test_the_sandbox_gives_its_notifier_the_folder(tmp_path: Path, own: Path) -> None:
    file = write_sandbox_config(tmp_path, "http://127.0.0.1:1", SandboxSettings(), 2, own)

    assert own.resolve() == load_config(file).config.cards.template_dir
    assert (
        load_config(
            write_sandbox_config(tmp_path, "http://127.0.0.1:1", SandboxSettings(), 2, None)
        ).config.cards.template_dir
        is None
    )
