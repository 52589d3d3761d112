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
@click.option("--explain", "explained", metavar="RULE", help="Explain a rule, and check nothing.")
def lint(
    config_path: Path | None,
    template_dir: Path | None,
    files: tuple[str, ...],
    form: str,
    ignored: tuple[str, ...],
    explained: str | None,
    *,
    strict: bool,
) -> None:
    """Check card JSON files or templates against the rules of card JSON 2.0. Without FILES: all templates."""
    from notifier.cards.rules.catalogue import RULES  # noqa: PLC0415 - see above
    from notifier.config.settings import suggest_name  # noqa: PLC0415 - see above
    from notifier.operations.card_lint import inputs, report  # noqa: PLC0415 - see above
    from notifier.operations.language import localized  # noqa: PLC0415 - see above

    named = [*(("--ignore", each) for each in ignored), *([("--explain", explained)] if explained else [])]
    for option, rule in named:
        if rule not in RULES:
            hint = suggest_name(rule, list(RULES))
            raise click.UsageError(
                localized(
                    f"{option}: there is no rule {rule}{hint.en}.", f"{option}：没有规则 {rule}{hint.zh}。"
                )
            )
    if explained:
        click.echo(report.explain_rule(RULES[explained]))
        return
    found = inputs.lint_inputs(
        files, lambda: load_config(config_path, template_dir=template_dir).config, ignored=ignored
    )
    if text := report.format_report(found, report.ReportFormat(form)):
        click.echo(text)
    for each in found.unusable:
        print_error(str(each))
    sys.exit(found.exit_code(strict=strict))
