"""Secrets: a test that lets one out is caught, wherever it stands; here such tests are run on purpose."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

import pytest

from notifier.sandbox.settings import SECRET_PATTERN

LEAKS = {
    "on stdout": "print('secret is sandbox-' + 'secret')",
    "on stderr": "import sys; sys.stderr.write('t-sandbox' + 'ab' * 16)",
    "in a log line": "logging.getLogger('notifier').warning('token %s', 't-sandbox' + '0f' * 16)",
    "in a field of a log line": "logging.getLogger('notifier').error('x', extra={'url': 'wss://a/?ticket=' + TICKET})",
    "in a log line of somebody else": "logging.getLogger().info(KEY)",
    "in a page": "(tmp_path / 'page.html').write_text('<p>' + KEY + '</p>')",
    "in the log of a notifier": "(tmp_path / 'notifier.log').write_text('a\\nb ' + TICKET)",
    "in the database": "(tmp_path / 'notifier.db').write_bytes(b'\\0\\xff' + TICKET.encode() + b'\\0')",
    "in a traceback": """
    try:
        raise ValueError(KEY)
    except ValueError:
        logging.getLogger('notifier').exception('worker.failed')
""",
    "in a command's output": """
    import click
    from click.testing import CliRunner
    CliRunner().invoke(click.Command('tell', callback=lambda: click.echo(KEY)))
""",
    "in a payout's secret": "print('sandbox-payout-' + 'secret')",
    "in a secret that nobody has named yet": "print('sandbox-verification-' + 'token', 'sandbox-encrypt-' + 'key')",
}
FINE = {
    "where an operator keeps it": "(tmp_path / 'config.yaml').write_text('app_secret: ' + KEY)",
    "nothing told": "print('sandbox-tenant', 'oc_sandbox_hr', 'secret', 't-sandbox')",
}
BEGINNING = """
import logging

TICKET, KEY = 'sandbox-ticket-' + '01' * 16, 'sandbox-access-key-' + '9f' * 16
"""
TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """How each of these tests ends under the conftest that all tests here have; and all that was printed."""
    folder = tmp_path_factory.mktemp("inner")
    shutil.copy(TESTS / "conftest.py", folder)
    bodies = [*LEAKS.values(), *FINE.values()]
    tests = (
        f"def test_{n}(tmp_path):\n{indent(dedent(body).strip(), '    ')}\n" for n, body in enumerate(bodies)
    )
    file = folder / "test_inner.py"
    file.write_text(BEGINNING + "\n".join(tests), encoding="utf-8")
    words = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    words += ["-c", os.devnull, "--log-level", "INFO", "-rA", "--basetemp", str(folder / "files")]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *words, str(file)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        timeout=60,
    )
    seen = re.findall(r"^(PASSED|FAILED|ERROR) \S+::test_(\d+)", ran.stdout, flags=re.MULTILINE)
    bad = {int(number) for outcome, number in seen if outcome != "PASSED"}
    good = {int(number) for _, number in seen} - bad
    ended = {
        name: "failed" if n in bad else "passed" if n in good else "not seen"
        for n, name in enumerate([*LEAKS, *FINE])
    }
    return ended | {"all that was printed": ran.stdout + ran.stderr}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_test_that_lets_a_secret_out_fails(outcomes: dict[str, str], leak: str) -> None:
    assert "failed" == outcomes[leak], outcomes["all that was printed"]


@pytest.mark.parametrize("fine", FINE)
def test_a_test_that_keeps_its_secrets_passes(outcomes: dict[str, str], fine: str) -> None:
    assert "passed" == outcomes[fine], outcomes["all that was printed"]


def test_what_is_said_of_a_leak_does_not_tell_it(outcomes: dict[str, str]) -> None:
    assert SECRET_PATTERN.search(outcomes["all that was printed"]) is None
    assert "a secret stands in notifier.log, line 2" in outcomes["all that was printed"]
