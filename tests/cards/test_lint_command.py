"""`notifier lint`: inputs, forms of the report, exit codes, and the helper for the tests of other bots."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from notifier.cards.rules import page
from notifier.cards.rules.catalogue import RULES
from notifier.cards.templates import OUR_TEMPLATES, shipped_templates
from notifier.cards.testing import assert_card_ok
from notifier.cli.main import cli
from support.card_shapes import button, card, div, without

ROOT = Path(__file__).parents[2]
BAD = json.dumps(card(div(text_size="giant")), indent=1)
WARNS = json.dumps(card(div(text_size="normal_v2")))
GOOD = json.dumps(card())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder: no configuration."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str, stdin: str | bytes = "", locale: str = "en_US.UTF-8") -> Result:
    hidden = {name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))}
    return CliRunner().invoke(cli, ["lint", *words], input=stdin, env={**hidden, "LC_ALL": locale})


@pytest.mark.parametrize(
    "source, words, code",
    [
        (GOOD, (), 0),
        (GOOD, ("--strict",), 0),
        (WARNS, (), 0),
        (WARNS, ("--strict",), 1),
        (WARNS, ("--strict", "--ignore", "text-size-no-effect"), 0),
        (BAD, (), 1),
        (BAD, ("--ignore", "text-size-no-effect"), 1),
    ],
)
def test_the_exit_code_names_errors(folder: Path, source: str, words: tuple[str, ...], code: int) -> None:
    (folder / "card.json").write_text(source, encoding="utf-8")

    assert code == run("card.json", *words).exit_code
    assert code == run("-", *words, stdin=source).exit_code


def test_a_line_of_the_report_can_be_searched(folder: Path) -> None:
    (folder / "card.json").write_text(BAD, encoding="utf-8")
    lines = run("card.json").stdout.splitlines()
    row = next(number for number, line in enumerate(BAD.splitlines(), 1) if '"text_size"' in line)

    assert lines[0].startswith(f"card.json:{row}:")
    assert ": error wrong-value body.elements[0].text.text_size: " in lines[0]
    assert "remedy: Use one of the named values. (notifier lint --explain wrong-value)" in lines[1]
    assert "1 file checked: 1 error, 0 warnings." == lines[-1]


def test_the_report_is_chinese_in_a_chinese_locale(folder: Path) -> None:
    (folder / "card.json").write_text(BAD, encoding="utf-8")
    text = run("card.json", "none.json", locale="zh_CN.UTF-8").output

    assert "已检查 1 个文件：1 个错误，0 个警告。" in text
    assert "处理: " in text
    assert "none.json: 没有这个文件" in text
    assert "已检查 1 个文件，没有发现问题。" in run("-", stdin=GOOD, locale="zh_CN.UTF-8").stdout


def test_json_has_every_finding(folder: Path) -> None:
    (folder / "card.json").write_text(BAD, encoding="utf-8")
    ran = run("card.json", "nothing.json", "--format", "json")
    document = json.loads(ran.stdout)

    assert 2 == ran.exit_code
    assert [False, 1, 1, 0] == [document[key] for key in ("ok", "checked", "errors", "warnings")]
    assert ["nothing.json: there is no such file"] == document["unusable"]
    (finding,) = document["findings"]
    assert ("wrong-value", "card.json") == (finding["rule"], finding["place"]["file"])


def test_github_gets_one_annotation_for_each_finding(folder: Path) -> None:
    name = "a,b:c%.json"
    (folder / name).write_text(BAD.replace("giant", "50%\\nbig"), encoding="utf-8")
    lines = run(name, "--format", "github").stdout.splitlines()

    assert 2 == len(lines)
    assert lines[0].startswith("::error file=a%2Cb%3Ac%25.json,line=")
    assert ",col=" in lines[0]
    assert ",title=wrong-value::body.elements[0].text.text_size: " in lines[0]
    assert "50%25" in lines[0]


def test_github_gets_an_annotation_for_input_that_cannot_be_checked(folder: Path) -> None:
    (folder / "x.json").write_text('{"a": 1,\n  "b"}', encoding="utf-8")
    ran = run("x.json", "none.json", "--format", "github")

    assert 2 == ran.exit_code
    assert ran.stdout.startswith("::error file=x.json,line=2,col=6,title=unusable-input::not JSON: ")
    assert "\n::error file=none.json,title=unusable-input::there is no such file" in ran.stdout


def test_a_rule_is_explained_without_a_check(folder: Path) -> None:
    (folder / "config.yaml").write_text("nonsense: [", encoding="utf-8")
    ran = run("--explain", "template-version")
    rule = RULES["template-version"]

    assert 0 == ran.exit_code
    assert [f"template-version (warning): {rule.summary}", f"    why: {rule.why}"] == ran.stdout.splitlines()[
        :2
    ]
    assert f"    remedy: {rule.remedy}\n    source: {rule.source}\n" in ran.stdout
    assert (
        "没有规则 template-versio（是否要写 template-version？）"
        in run("--explain", "template-versio", locale="zh_CN.UTF-8").stderr
    )


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is not UTF-8 text (byte 0)"),
        (b"{\0}", "is a binary file"),
        (b'{"a": 1,\n  "b"}', ":2:6: not JSON: "),
        (b"{'a': 1}", ":1:2: not JSON: "),
        (b"x" * 1_000_001, "is larger than 1,000,000 bytes"),
        (b"[" * 50_000 + b"]" * 50_000, "nested too deep"),
        (b"1" * 5000, "not JSON: "),
        (b'{"msg_type": "interactive", "content": "{"}', "the JSON in its string is not valid"),
    ],
)
def test_input_that_cannot_be_checked_is_named(folder: Path, content: bytes, reason: str) -> None:
    (folder / "x.json").write_bytes(content)
    (folder / "good.json").write_text(GOOD, encoding="utf-8")
    for ran in (run("x.json", "good.json"), run("-", "good.json", stdin=content)):
        assert 2 == ran.exit_code
        assert reason in ran.stderr
        assert "1 file checked, no problem found." in ran.stdout
        assert "Traceback" not in ran.output


def test_folders_and_files_that_are_not_there_are_named(folder: Path) -> None:
    (folder / "cards").mkdir()
    ran = run("cards", "none.json", "none.j2", "cards.j2/x.json")

    assert 2 == ran.exit_code
    assert ["is a folder", "there is no such file"] == [
        text for text in ("is a folder", "there is no such file") if text in ran.stderr
    ]
    assert 4 == len(ran.stderr.splitlines())


def test_a_byte_order_mark_is_accepted(folder: Path) -> None:
    (folder / "card.json").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())

    assert 0 == run("card.json").exit_code


def test_an_unknown_rule_is_a_usage_error(folder: Path) -> None:
    assert folder.is_dir()
    assert 2 == run("--ignore", "no-such-rule").exit_code


def test_without_files_all_shipped_templates_are_checked_without_a_configuration(folder: Path) -> None:
    ran = run("--format", "json")
    document = json.loads(ran.stdout)

    assert folder.is_dir()
    assert (0, len(OUR_TEMPLATES), 0) == (ran.exit_code, document["checked"], document["errors"])


def own_templates(folder: Path, **changes: tuple[str, str]) -> Path:
    """A configuration with own templates: copies of the shipped ones, some with one text replaced."""
    own = folder / "own"
    own.mkdir()
    for path in shipped_templates().glob("*.j2"):
        text = path.read_text(encoding="utf-8")
        old, new = changes.get(path.name.partition(".")[0], ("", ""))
        assert old in text
        (own / path.name).write_text(text.replace(old, new, 1) if old else text, encoding="utf-8")
    (folder / "config.yaml").write_text("cards: {template_dir: own}\n", encoding="utf-8")
    return own


def test_own_templates_are_found_by_the_configuration_and_placed_relative_to_here(folder: Path) -> None:
    own_templates(folder, withdrawal=('"schema": "2.0"', '"schema": "2.0", "colour": 1'))
    ran = run()

    assert 1 == ran.exit_code
    assert "\nown/withdrawal.json.j2:" in f"\n{ran.stdout}"
    assert "sample: receipt" in ran.stdout
    assert ran.stdout == run("--config", "config.yaml").stdout


@pytest.mark.parametrize("has_configuration", [True, False])
def test_one_template_or_one_file_of_macros_can_be_checked(folder: Path, *, has_configuration: bool) -> None:
    own_templates(
        folder,
        withdrawal=('"schema": "2.0"', '"schema": "2.0", "colour": 1'),
        _parts=('"tag": "div"', '"tag": "div", "wide": 1'),
    )
    if not has_configuration:
        (folder / "config.yaml").unlink()
    parts = run("own/_parts.j2", "--format", "json")
    page_ = run("own/withdrawal.json.j2", "--format", "json")

    assert {"own/_parts.j2"} == {each["place"]["file"] for each in json.loads(parts.stdout)["findings"]}
    assert "own/withdrawal.json.j2" in {
        each["place"]["file"] for each in json.loads(page_.stdout)["findings"]
    }
    assert 1 == parts.exit_code == page_.exit_code


def test_json_is_checked_beside_a_broken_configuration(folder: Path) -> None:
    (folder / "config.yaml").write_text("nonsense: [", encoding="utf-8")
    (folder / "card.json").write_text(GOOD, encoding="utf-8")

    assert 0 == run("card.json").exit_code
    assert 2 == run().exit_code


def test_the_command_works_as_a_program_with_a_pipe(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "notifier", "lint", "-"],
        input=BAD.encode(),
        capture_output=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        check=False,
    )

    assert 1 == ran.returncode, ran.stderr
    assert ran.stdout.startswith(b"<stdin>:")
    assert b"" == ran.stderr


# the helper for tests


def test_the_helper_accepts_a_good_card_and_warnings() -> None:
    assert_card_ok(card())
    assert_card_ok(GOOD)
    assert_card_ok(WARNS)
    assert_card_ok(card(div(text_size="giant")), allow={"wrong-value"})


def test_the_helper_names_every_error_with_its_remedy() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_card_ok(card(div(text_size="giant"), {"tag": "note"}))

    assert "breaks 2 rules" in str(caught.value)
    assert "body.elements[0].text.text_size" in str(caught.value)
    assert "notifier lint --explain schema-1-component" in str(caught.value)


def test_the_helper_can_be_strict() -> None:
    made = without(card(button()), "enable_forward")
    with pytest.raises(AssertionError, match="forward-button"):
        assert_card_ok(made, warnings=True)

    assert_card_ok(made, warnings=True, allow={"forward-button"})


# the table of rules


def test_the_page_of_rules_is_up_to_date() -> None:
    written = (ROOT / "docs" / "card-rules.md").read_text(encoding="utf-8")

    assert written == page.rules_page(), "run `make rules`"


def test_every_rule_is_described_in_full() -> None:
    for name, rule in RULES.items():
        assert name == rule.id
        assert name == name.lower()
        assert all(text.endswith(".") for text in (rule.summary, rule.why, rule.remedy)), name
        assert rule.source


def test_reading_stops_at_the_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.is_dir()

    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 1_000_001
            return b"x" * size

    class Stdin:
        buffer = Endless()

    monkeypatch.setattr("notifier.operations.card_lint.inputs.sys.stdin", Stdin())
    from notifier.operations.card_lint.inputs import lint_inputs  # noqa: PLC0415 - after the patch

    report = lint_inputs(["-"], lambda: pytest.fail("no configuration is needed"))
    assert 2 == report.exit_code(strict=False)
