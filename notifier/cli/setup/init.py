"""The command `notifier init`: asks for what a first run needs, and writes config.yaml and .env."""

import asyncio
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifier.cli.colours import BAD, GOOD, WARNING, paint
from notifier.cli.context import print_error
from notifier.cli.setup import questions as init_questions
from notifier.cli.setup.group_questions import ask_for_groups
from notifier.cli.setup.questions import Questions
from notifier.errors import ConfigError
from notifier.operations.language import localized

if TYPE_CHECKING:
    from notifier.operations.setup.access import AccessResult
    from notifier.operations.setup.config_text import GroupSetup, SetupChoices
    from notifier.operations.setup.files import SetupFiles


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("config.yaml"),
    show_default=True,
    help="The file to write. The secret goes to .env beside it.",
)
@click.option("--app-id", help="App id from the developer console.")
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="File with the app secret; - for standard input. Default: FEISHU_APP_SECRET, or a question.",
)
@click.option("--base-url", help="feishu, lark, or an address. Default: feishu.")
@click.option("--test-app", is_flag=True, help="The app is a test app: `notifier try reward` works on it.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="NAME=CHAT_ID",
    help="A group, such as hr=oc_1a2b. hr receives every card, fallback receives those that cannot be sent, alarms "
    "receives alarms about payouts. Repeat for more.",
)
@click.option(
    "--operator", "operators", multiple=True, help="Who may withdraw in the group hr. Repeat for more."
)
@click.option(
    "--withdraw",
    "withdraw",
    multiple=True,
    type=click.Choice([init_questions.NOBODY, init_questions.REFERRER, init_questions.HR]),
    help="Who gets the withdraw button. Repeat for more. Default: nobody.",
)
@click.option("--offline", is_flag=True, help="Do not call Feishu.")
@click.option(
    "--yes",
    is_flag=True,
    help="Ask nothing. Replace existing files and keep copies. Write them even if Feishu cannot be reached.",
)
def init(  # noqa: PLR0913 - one argument per option
    config_path: Path,
    app_id: str | None,
    secret_file: Path | None,
    base_url: str | None,
    groups: tuple[str, ...],
    operators: tuple[str, ...],
    withdraw: tuple[str, ...],
    *,
    test_app: bool,
    offline: bool,
    yes: bool,
) -> None:
    """Write config.yaml and .env for a new app, check them with Feishu, and show what to do in the console."""
    from notifier.operations.setup.config_text import GroupSetup  # noqa: PLC0415 - heavy imports inside
    from notifier.operations.setup.files import find_files  # noqa: PLC0415 - as above

    questions = Questions(is_interactive=not yes and sys.stdin.isatty() and sys.stderr.isatty())
    named = dict(init_questions.parse_group_option(each) for each in groups)
    people = init_questions.parse_operators(" ".join(operators))
    try:
        files = find_files(config_path)
        _confirm_replacing(files, questions, yes=yes)
        former, former_secret = _read_former(files, questions)
        address, app_id, secret, access = _ask_for_app(
            questions,
            base_url,
            app_id,
            _find_secret(secret_file),
            former=former,
            former_secret=former_secret,
            is_checked=not offline,
            yes=yes,
        )
        is_test = test_app or questions.confirm(
            localized("Is it a test app, without real rewards?", "这是没有真实奖励的测试应用吗？"),
            default=former.is_test,
        )
        chosen = {name: GroupSetup(chat_id=chat_id) for name, chat_id in named.items()}
        if not chosen:
            chosen = ask_for_groups(questions, access, former)
        offer = _ask_for_offer(questions, withdraw, former, has_hr=init_questions.HR in chosen)
        if people and init_questions.HR not in chosen:
            raise click.UsageError(
                localized("--operator needs --group hr=oc_...", "--operator 需要 --group hr=oc_...")
            )
        if init_questions.HR in offer and not people:
            people = _ask_for_operators(questions, former)
        choices = _make_choices(address, app_id, chosen, people, offer, access, is_test=is_test)
        _write(files, choices, secret)
    except click.Abort:
        click.echo(err=True)
        print_error(localized("stopped; nothing was written.", "已中止，没有写入任何文件。"))
        sys.exit(1)


def _confirm_replacing(files: "SetupFiles", questions: Questions, *, yes: bool) -> None:
    existing = " ".join(str(path) for path in files.existing())
    if not existing or yes:
        return
    if not questions.is_interactive:
        raise click.UsageError(
            localized(
                f"{existing}: exists already. Add --yes to replace it; a copy is kept.",
                f"{existing}：已存在。加上 --yes 可替换，原文件会保留副本。",
            )
        )
    if not questions.confirm(
        localized(
            f"{existing}: exists already. Replace it and keep a copy? Its answers are offered again; other settings "
            "start from the example.",
            f"{existing}：已存在。替换并保留副本？原来的回答会作为默认值，其余设置恢复为示例的值。",
        ),
        default=False,
    ):
        print_error(localized("nothing was changed.", "没有做任何修改。"))
        sys.exit(1)


def _read_former(files: "SetupFiles", questions: Questions) -> "tuple[SetupChoices, str]":
    """Return the answers in existing files, and the secret, to offer them again; without a terminal nothing."""
    from notifier.config.loader import load_config  # noqa: PLC0415 - as above
    from notifier.operations.setup import config_text  # noqa: PLC0415 - as above

    nothing = config_text.SetupChoices(app_id="", base_url="")
    if not questions.is_interactive or not files.config.exists():
        return nothing, ""
    try:
        config = load_config(files.config).config
    except ConfigError:
        return nothing, ""
    return config_text.read_choices(config), config.feishu.app_secret.get_secret_value()


def _ask_for_app(
    questions: Questions,
    base_url: str | None,
    app_id: str | None,
    secret: str,
    *,
    former: "SetupChoices",
    former_secret: str,
    is_checked: bool,
    yes: bool,
) -> "tuple[str, str, str, AccessResult]":
    """Return address, app id, secret, and what Feishu said to them. Asks again while Feishu rejects them."""
    from notifier.operations.setup.access import AccessResult  # noqa: PLC0415 - as above

    text = localized("1 Feishu, 2 Lark, or another address", "1 飞书，2 Lark，或其他地址")
    given = base_url or questions.ask(
        text, init_questions.parse_address, option="--base-url", default=former.base_url or "1"
    )
    address = init_questions.parse_address(given)
    while True:
        app_id = init_questions.parse_app_id(
            app_id
            or questions.ask(
                "App ID", init_questions.parse_app_id, option="--app-id", default=former.app_id or None
            )
        )
        if not secret:
            secret = _ask_for_secret(questions, former_secret if app_id == former.app_id else "")
        access = _check(address, app_id, secret) if is_checked else AccessResult()
        if not access.problem:
            return address, app_id, secret, access
        if not questions.is_interactive and (access.is_refused or not yes):
            hint = localized("Add --yes to write the files anyway.", "加上 --yes 可以仍然写入文件。")
            raise ConfigError(access.problem if access.is_refused else f"{access.problem} {hint}")
        click.echo(paint(access.problem, BAD, stream=sys.stderr), err=True)
        if access.is_refused:
            if not access.is_secret_wrong:
                app_id = questions.ask(
                    "App ID", init_questions.parse_app_id, option="--app-id", default=app_id
                )
            secret = former_secret = ""
            continue
        question = localized("Write the files anyway?", "仍然写入文件？")
        if not yes and not questions.confirm(question, default=False):
            raise click.Abort
        return address, app_id, secret, access


def _ask_for_secret(questions: Questions, former_secret: str) -> str:
    text = localized("App secret (not shown)", "App Secret（输入时不显示）")
    if former_secret:
        text = localized(
            "App secret (not shown; Enter keeps the present one)",
            "App Secret（输入时不显示，直接回车沿用原值）",
        )
    answer = questions.ask(
        text,
        init_questions.parse_secret,
        option="--secret-file",
        default=former_secret or None,
        hidden=True,
    )
    return init_questions.parse_secret(answer)


def _find_secret(secret_file: Path | None) -> str:
    """The secret of the file or of the environment; "" if neither has one."""
    from notifier.config.loader import list_variables  # noqa: PLC0415 - as above

    if secret_file is not None:
        return init_questions.read_secret_file(secret_file)
    names = list_variables(("feishu", "app_secret"))
    found = next((value for name in names if (value := os.environ.get(name))), "")
    return init_questions.parse_secret(found) if found else ""


def _check(address: str, app_id: str, secret: str) -> "AccessResult":
    from notifier.feishu.api import AppAccess  # noqa: PLC0415 - as above
    from notifier.operations.setup.access import check_access  # noqa: PLC0415 - as above

    click.echo(localized("Checking with Feishu ...", "正在向飞书校验……"), err=True)
    access = asyncio.run(check_access(AppAccess(base_url=address, app_id=app_id, app_secret=secret)))
    if not access.problem:
        text = localized("Feishu accepts the app.", "飞书接受该应用。")
        click.echo(paint(text, GOOD, stream=sys.stderr), err=True)
    return access


def _ask_for_offer(
    questions: Questions, withdraw: tuple[str, ...], former: "SetupChoices", *, has_hr: bool
) -> tuple[str, ...]:
    if withdraw:
        offer = tuple(dict.fromkeys(each for each in withdraw if each != init_questions.NOBODY))
    else:
        text = localized(
            "Withdraw button on the cards: 1 nobody, 2 the referrer, 3 the HR group, 4 both",
            "卡片上的“提现”按钮：1 不显示，2 给内推人，3 给 HR 群，4 两者都给",
        )

        def parse(answer: str) -> object:
            parsed = init_questions.parse_offer(answer)
            if init_questions.HR in parsed and not has_hr:
                raise click.UsageError(localized("There is no HR group.", "没有设置 HR 群。"))
            return parsed

        default = init_questions.describe_offer([each for each in former.offer_to if has_hr or each != "hr"])
        offer = init_questions.parse_offer(questions.ask(text, parse, option="--withdraw", default=default))
    if init_questions.HR in offer and not has_hr:
        raise click.UsageError(
            localized("--withdraw hr needs --group hr=oc_...", "--withdraw hr 需要 --group hr=oc_...")
        )
    return offer


def _ask_for_operators(questions: Questions, former: "SetupChoices") -> tuple[str, ...]:
    text = localized(
        "E-mail addresses or open_ids of those who may withdraw in the HR group (empty: add them later)",
        "HR 群中可以提现的授权人员的邮箱或 open_id（直接回车则以后再填）",
    )
    known = former.groups[init_questions.HR].operators if init_questions.HR in former.groups else ()
    answer = questions.ask(text, init_questions.parse_operators, option="--operator", default=" ".join(known))
    return init_questions.parse_operators(answer)


def _make_choices(
    address: str,
    app_id: str,
    chosen: "dict[str, GroupSetup]",
    operators: tuple[str, ...],
    offer: tuple[str, ...],
    access: "AccessResult",
    *,
    is_test: bool,
) -> "SetupChoices":
    from notifier.operations.setup import config_text  # noqa: PLC0415 - as above

    names = {chat.chat_id: chat.name for chat in access.chats}
    groups, fallback, alarms = config_text.choose_groups(
        {
            name: config_text.GroupSetup(
                chat_id=group.chat_id,
                label=names.get(group.chat_id, ""),
                operators=operators if name == config_text.HR else group.operators,
            )
            for name, group in chosen.items()
        }
    )
    return config_text.SetupChoices(
        app_id=app_id,
        base_url=address,
        is_test=is_test,
        groups=groups,
        fallback_group=fallback,
        alarm_group=alarms,
        offer_to=offer,
    )


def _write(files: "SetupFiles", choices: "SetupChoices", secret: str) -> None:
    from notifier.clock import SystemClock  # noqa: PLC0415 - as above
    from notifier.config.loader import list_variables, load_config  # noqa: PLC0415 - as above
    from notifier.operations.setup import config_text, console_steps  # noqa: PLC0415 - as above
    from notifier.operations.setup.files import merge_env, write_files  # noqa: PLC0415 - as above

    replaced = [*list_variables(("feishu", "app_id")), *list_variables(("feishu", "app_secret"))]
    env_text = merge_env(files.env, {"FEISHU_APP_SECRET": secret}, replaced)
    copies = write_files(files, config_text.render_config(choices), env_text, SystemClock())
    text = localized(
        f"Written: {files.config}, and {files.env} with the secret, for you alone.",
        f"已写入 {files.config}，密钥在 {files.env} 中，仅当前用户可读。",
    )
    click.echo(paint(text, GOOD))
    for copy in copies:
        click.echo(localized(f"Copy of the former file: {copy}", f"原文件的副本：{copy}"))
    loaded = load_config(files.config)
    for key in ("feishu.app_id", "feishu.app_secret", "feishu.base_url"):
        source = loaded.origins.get(key)
        if source is not None and ": " not in source:
            warning = localized(
                f"Note: {source} is set in the environment, which takes precedence over both files.",
                f"注意：环境变量 {source} 已设置，它优先于这两个文件。",
            )
            click.echo(paint(warning, WARNING))
    click.echo("\n" + localized("In the developer console:", "在开发者后台："))
    for number, step in enumerate(console_steps.list_console_steps(choices), 1):
        click.echo(f"{number:>3}. {step}")
    for note in console_steps.list_lark_notes(choices):
        click.echo(f"     {note}")
    click.echo("\n" + localized("Then:", "然后："))
    named = "" if str(files.config) == "config.yaml" else f" --config {shlex.quote(str(files.config))}"
    for command, purpose in console_steps.list_commands(choices):
        click.echo(f"     {command + named:<46}{purpose}")
