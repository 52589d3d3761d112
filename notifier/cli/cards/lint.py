"""The lint command. Heavy imports happen inside it."""

import sys
from pathlib import Path

import click

from notifier.cli.context import CONFIG_OPTION, TEMPLATES_OPTION, load_config, print_error

FORMATS = ("text", "json", "github")


@click.command()
@CONFIG_OPTION
@TEMPLATES_OPTION
@click.argument("files", nargs=-1, metavar="[FILES|-]")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="Form of the report.",
)
@click.option("--strict", is_flag=True, help="Exit code 1 also if there are only warnings.")
@click.option(
    "--ignore",
    "ignored",
    multiple=True,
    metavar="RULE",
    help="Leave out the findings of this rule. Repeat for more.",
)
def lint(
    config_path: Path | None,
    template_dir: Path | None,
    files: tuple[str, ...],
    form: str,
    ignored: tuple[str, ...],
    *,
    strict: bool,
) -> None:
    """Check card JSON files or templates against the rules of card JSON 2.0. Without FILES: all templates."""
    from notifier.cards.rules.catalogue import RULES  # noqa: PLC0415 - see above
    from notifier.operations.card_lint import inputs, report  # noqa: PLC0415 - see above
    from notifier.operations.language import localized  # noqa: PLC0415 - see above

    unknown = [each for each in ignored if each not in RULES]
    if unknown:
        raise click.UsageError(
            localized(
                f"--ignore: there is no rule {unknown[0]}; docs/card-rules.md lists them.",
                f"--ignore：没有规则 {unknown[0]}，列表见 docs/card-rules.md。",
            )
        )
    found = inputs.lint_inputs(
        files, lambda: load_config(config_path, template_dir=template_dir).config, ignored=ignored
    )
    if text := report.format_report(found, report.ReportFormat(form)):
        click.echo(text)
    for each in found.unusable:
        print_error(each)
    sys.exit(found.exit_code(strict=strict))
