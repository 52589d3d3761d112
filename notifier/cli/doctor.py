"""The doctor command. Heavy imports happen inside it."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifier import __version__
from notifier.cli.context import CLOCK_OPTION, CONFIG_OPTION, JSON_OPTION, load_config, make_clock
from notifier.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from notifier.domain.card import Bilingual
    from notifier.operations.doctor.findings import Finding
    from notifier.operations.language import Language

SIGNS = {"ok": ("✓", "[ok]", "green"), "problem": ("✗", "[x] ", "red"), "unknown": ("?", "[?] ", "yellow")}
"""By state: the sign, the sign for a terminal without it, and the colour."""


@click.command()
@CONFIG_OPTION
@CLOCK_OPTION
@JSON_OPTION
@click.option(
    "--canary",
    metavar="PERSON",
    help="Send a test card to this e-mail address or open_id, and wait for a press.",
)
@click.option(
    "--wait",
    "wait_seconds",
    default=120.0,
    show_default=True,
    type=click.FloatRange(1, 3600),
    help="How long to wait for the press, in seconds.",
)
def doctor(
    config_path: Path | None,
    clock_file: Path | None,
    canary: str | None,
    wait_seconds: float,
    *,
    as_json: bool,
) -> None:
    """Examine the whole set-up, and name the next step for each problem; exit code 1 if there is one."""
    from notifier.operations.doctor import examine, local_checks  # noqa: PLC0415 - see above
    from notifier.operations.language import get_language, localized  # noqa: PLC0415 - see above

    if canary is not None and "@" not in canary and not canary.startswith("ou_"):
        raise click.UsageError(
            localized(
                "--canary needs an e-mail address or an open_id, which starts with ou_.",
                "--canary 需要邮箱，或以 ou_ 开头的 open_id。",
            )
        )
    language = get_language()
    try:
        loaded = load_config(config_path)
    except ConfigError as error:
        findings = [
            local_checks.examine_version(),
            local_checks.explain_bad_configuration(error),
            *local_checks.block_others(),
        ]
    else:
        progress = _Progress(language, enabled=sys.stderr.isatty() and not as_json)
        findings = asyncio.run(
            examine.examine(
                examine.Doctor(
                    loaded=loaded,
                    clock=make_clock(clock_file, config_path),
                    canary=canary,
                    wait_seconds=wait_seconds,
                    show_progress=progress.show,
                    announce=progress.announce,
                )
            )
        )
        progress.clear()
    _print(findings, language, as_json=as_json)
    sys.exit(1 if examine.count_problems(findings) else 0)


class _Progress:
    """One line on stderr, which the next one replaces."""

    def __init__(self, language: "Language", *, enabled: bool) -> None:
        self._language = language
        self._enabled = enabled

    def show(self, text: "Bilingual") -> None:
        """Show what is being done."""
        from notifier.operations.language import say  # noqa: PLC0415 - see above

        if self._enabled:
            click.echo(f"\r\x1b[K{say(text, self._language)} ...", nl=False, err=True)

    def announce(self, text: "Bilingual") -> None:
        """Show what somebody must do now, also without a terminal."""
        from notifier.operations.language import say  # noqa: PLC0415 - see above

        self.clear()
        click.echo(say(text, self._language), err=True)

    def clear(self) -> None:
        """Remove the line."""
        if self._enabled:
            click.echo("\r\x1b[K", nl=False, err=True)


def _print(findings: "Sequence[Finding]", language: "Language", *, as_json: bool) -> None:
    from notifier.domain.card import Bilingual  # noqa: PLC0415 - see above
    from notifier.operations.language import say  # noqa: PLC0415 - see above

    problems = sum(each.state.value == "problem" for each in findings)
    unknown = sum(each.state.value == "unknown" for each in findings)
    if as_json:
        document = {
            "version": __version__,
            "ok": not problems,
            "findings": [each.as_json(language) for each in findings],
        }
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    has_signs, has_colours = _can_show_signs(), sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def show(state: str, subject: str, remedies: "Iterable[str]" = ()) -> None:
        sign, plain, colour = SIGNS[state]
        shown = sign if has_signs else plain
        click.echo(f"{click.style(shown, fg=colour) if has_colours else shown} {subject}")
        for remedy in remedies:
            click.echo(f"    {'→' if has_signs else '->'} {remedy}")

    waiting: dict[str, list[str]] = {}
    for each in findings:
        if each.needs:
            waiting.setdefault(each.needs, []).append(each.id)
        else:
            show(each.state.value, say(each.subject, language), say(each.remedy, language).splitlines())
    subjects = {each.id: say(each.subject, language) for each in findings if not each.needs}
    for needs, ids in waiting.items():
        cause, listed = subjects.get(needs, needs), ", ".join(ids)
        show(
            "unknown",
            say(
                Bilingual(zh=f"未检查（{cause}）：{listed}", en=f"not examined ({cause}): {listed}"), language
            ),
        )
    total = Bilingual(
        zh=f"{problems} 个问题，{unknown} 项无法判断。" if problems or unknown else "一切正常。",
        en=f"{problems} problem{'' if problems == 1 else 's'}, {unknown} not proven."
        if problems or unknown
        else "All good.",
    )
    click.echo(f"\n{say(total, language)}")


def _can_show_signs() -> bool:
    """Whether the output can hold the signs."""
    try:
        "✓✗→".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
