"""`notifier completion`: the scripts are real ones, and bash completes with them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.running import clean_environment

BIN = Path(sys.executable).parent
SHELLS = ("bash", "zsh", "fish")


def print_script(shell: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "notifier", "completion", shell],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
    )
    return ran.stdout


def complete(tmp_path: Path, line: str) -> list[str]:
    """What bash offers for a line, of which the last word is not finished."""
    script = tmp_path / "notifier.bash"
    script.write_text(print_script("bash"), encoding="utf-8")
    words = line.split(" ")
    program = (
        'source "$1"; function=$(complete -p notifier | sed -E "s/.*-F ([^ ]+) .*/\\1/"); shift; '
        'COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); $function "${COMP_WORDS[0]}"; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    ran = subprocess.run(
        ["bash", "--norc", "-c", program, "bash", str(script), *words],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment() | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        cwd=tmp_path,
    )
    assert "" == ran.stderr
    return ran.stdout.split()


@pytest.mark.parametrize(
    "line, expected",
    [
        ("notifier deli", ["deliveries"]),
        ("notifier deliveries re", ["retry"]),
        ("notifier deliveries list --state un", ["unknown"]),
        ("notifier payouts export --form", ["--format"]),
        ("notifier payouts mark rn-1 f", ["failed"]),
        ("notifier completion ", ["bash", "zsh", "fish"]),
        ("notifier nothing-like-it", []),
    ],
)
def test_bash_completes(tmp_path: Path, line: str, expected: list[str]) -> None:
    assert expected == complete(tmp_path, line)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_script_names_the_program_and_has_the_grammar_of_its_shell(tmp_path: Path, shell: str) -> None:
    text = print_script(shell)
    assert "_NOTIFIER_COMPLETE" in text
    assert "notifier" in text
    if (program := shutil.which(shell)) is not None:
        script = tmp_path / "script"
        script.write_text(text, encoding="utf-8")
        subprocess.run([program, "-n", str(script)], check=True)


def test_another_shell_is_refused() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "notifier", "completion", "tcsh"],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(),
    )

    assert 2 == ran.returncode
    assert "tcsh" in ran.stderr
