"""`notifier preview`: a card on a page, as JSON, as a picture, or sent to one person. Heavy imports happen inside."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from notifier.cli.context import (
    CONFIG_OPTION,
    TEMPLATES_OPTION,
    load_config,
    naming_config_source,
    print_error,
)
from notifier.operations.language import localized

if TYPE_CHECKING:
    from notifier.config.loader import LoadedConfig
    from notifier.operations.preview.result import PreviewChoice
    from notifier.operations.preview.template_preview import TemplatePreview

MAX_SHOWN_FINDINGS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewOptions:
    """The options of the command besides the card to show."""

    as_json: bool
    """Print the card's JSON."""
    png: Path | None
    """Write a picture to this file."""
    is_dark: bool
    """The picture is dark."""
    is_phone: bool
    """The picture has the width of a phone."""
    language: str
    """The language of the picture, `zh` or `en`."""
    send_to: str | None
    """Send the card to this person."""
    is_confirmed: bool
    """Do not ask before sending."""
    is_watching: bool
    """The page updates when a file is saved."""
    port: int
    """Of the page; 0 for any free one."""
    no_browser: bool
    """Only print the address."""


@click.command("preview")
@CONFIG_OPTION
@TEMPLATES_OPTION
@click.argument("template", required=False)
@click.option(
    "--sample",
    "sample_name",
    help="Name of the sample data; see --list. Default: the first that fits.",
)
@click.option(
    "--data",
    "data_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON file with an event as Feishu sends it, or with the variables of the template.",
)
@click.option("--audience", type=click.Choice(["referrer", "group"]), help="Whom the card is for.")
@click.option("--list", "list_only", is_flag=True, help="List the templates and samples.")
@click.option("--json", "as_json", is_flag=True, help="Print the card's JSON; do not open the page.")
@click.option(
    "--png",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a picture of the card; needs Chromium.",
)
@click.option("--dark", "is_dark", is_flag=True, help="For --png: in dark mode.")
@click.option("--phone", "is_phone", is_flag=True, help="For --png: as on a phone.")
@click.option(
    "--language",
    type=click.Choice(["zh", "en"]),
    default="zh",
    show_default=True,
    help="For --png: the reader's language.",
)
@click.option(
    "--send-to",
    metavar="ADDRESS",
    help="Send the card to this e-mail address or open_id, marked as a test, with disabled buttons.",
)
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@click.option(
    "--watch/--no-watch",
    "is_watching",
    default=True,
    help="Update the page when a template or the data is saved.",
)
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port of the page; 0 for any free port."
)
@click.option("--no-browser", is_flag=True, help="Print the page's address; do not open a browser.")
def preview(
    config_path: Path | None,
    template_dir: Path | None,
    template: str | None,
    sample_name: str | None,
    data_file: Path | None,
    audience: str | None,
    *,
    list_only: bool,
    **options: Any,  # noqa: ANN401 - the fields of PreviewOptions
) -> None:
    """Show a card in the browser as Feishu shows it, with its JSON and its problems."""
    from notifier.operations.preview.result import PreviewChoice  # noqa: PLC0415 - see above
    from notifier.operations.preview.template_preview import TemplatePreview  # noqa: PLC0415 - see above
    from notifier.operations.sample_cards import list_descriptions  # noqa: PLC0415 - see above

    chosen = PreviewOptions(**options)
    _check_options(chosen, sample_name, data_file)
    loaded = load_config(config_path, credentials=chosen.send_to is not None, template_dir=template_dir)
    source = TemplatePreview(loaded.config, data_file)
    if list_only:
        for each in source.list_choices():
            click.echo(f"{each['template']}: {', '.join(each['samples'])}")
        click.echo("\n" + "\n".join(list_descriptions()))
        return
    choice = PreviewChoice(template=template or "", sample=sample_name or "", audience=audience or "")
    if chosen.as_json or chosen.png or chosen.send_to:
        _show_once(loaded, source, choice, chosen)
        return
    from notifier.operations.preview.server import serve_preview  # noqa: PLC0415 - see above

    serve_preview(
        source,
        choice,
        port=chosen.port,
        is_watching=chosen.is_watching,
        open_browser=not chosen.no_browser,
        echo=click.echo,
    )


def _check_options(options: PreviewOptions, sample_name: str | None, data_file: Path | None) -> None:
    if sample_name and data_file:
        raise click.UsageError(
            localized("Choose one of --sample and --data.", "--sample 和 --data 只能选一个。")
        )
    if bool(options.as_json) + bool(options.png) + bool(options.send_to) > 1:
        raise click.UsageError(
            localized("Choose one of --json, --png and --send-to.", "--json、--png 和 --send-to 只能选一个。")
        )


def _show_once(
    loaded: "LoadedConfig", source: "TemplatePreview", choice: "PreviewChoice", options: PreviewOptions
) -> None:
    """Print, picture or send the card, without a page."""
    from notifier.operations.preview.template_preview import as_text, render_or_fail  # noqa: PLC0415 - see above

    rendered = render_or_fail(source, choice)
    if options.as_json:
        click.echo(as_text(rendered))
    elif options.png is not None:
        from notifier.operations.preview.picture import PictureStyle, write_picture  # noqa: PLC0415 - see above

        style = PictureStyle(is_dark=options.is_dark, is_phone=options.is_phone, language=options.language)
        size = write_picture(source, choice, style, options.png)
        click.echo(localized(f"{options.png}: {size:,} bytes", f"{options.png}：{size:,} 字节"))
    elif options.send_to is not None and rendered.card is not None:
        for found in rendered.findings[:MAX_SHOWN_FINDINGS]:
            click.echo(f"{found['severity']}: {found['path']}: {found['message']}", err=True)
        _send(loaded, rendered.title, rendered.card, options.send_to, is_confirmed=options.is_confirmed)


def _send(loaded: "LoadedConfig", title: str, card: Any, address: str, *, is_confirmed: bool) -> None:  # noqa: ANN401 - JSON
    from notifier.clock import SystemClock  # noqa: PLC0415 - see above
    from notifier.operations.preview.send_marked import require_person, send_test_card  # noqa: PLC0415 - see above

    require_person(address)
    question = localized(
        f"Send {title} to {address} through the app {loaded.config.feishu.app_id}, marked as a test?",
        f"通过应用 {loaded.config.feishu.app_id} 把 {title} 作为测试发送给 {address}？",
    )
    if not is_confirmed:
        if not sys.stdin.isatty():
            raise click.UsageError(
                localized(
                    "--send-to sends a real message. Add --yes if nobody can be asked.",
                    "--send-to 会真实发送消息。无法询问时请加上 --yes。",
                )
            )
        if not click.confirm(question, err=True):
            print_error(localized("nothing was sent.", "没有发送。"))
            sys.exit(1)
    with naming_config_source(loaded):
        sent = asyncio.run(send_test_card(loaded.config, SystemClock(), card, address))
    click.echo(
        localized(
            f"Sent to {sent.open_id} as a test: {sent.message_id}",
            f"已作为测试发送给 {sent.open_id}：{sent.message_id}",
        )
    )
