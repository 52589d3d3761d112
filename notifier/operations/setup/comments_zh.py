"""Chinese comments of config.yaml, by the English ones of config.example.yaml. Values and keys stay as they are."""

import re
from collections.abc import Iterator, Mapping

COMMENTS_ZH: Mapping[str, str] = {
    "When the daily and weekly digests arrive that people choose on the settings card, in the time zone of each "
    "person. "
    "Keep the quotation marks.": "个人在通知设置中选择的每日、每周汇总几点发送，按各人的时区。请保留引号。",
    "All settings of the notifier, each with its default. `notifier init` makes config.yaml of this file.": (
        "服务的全部配置项及默认值。`notifier init` 由此生成 config.yaml。"
    ),
    "An environment variable can set each single value: NOTIFIER_<SECTION>__<KEY>, for example "
    "NOTIFIER_SENDING__PER_MINUTE=500. The environment overrides this file, and so does a file .env beside it. The "
    "app's credentials also have their usual names, in this order: FEISHU_APP_ID, LARK_APP_ID, APP_ID, and the same "
    "with _APP_SECRET. `notifier check` shows which variable is used.": (
        "每一项都可以用环境变量设置：NOTIFIER_<节>__<项>，例如 NOTIFIER_SENDING__PER_MINUTE=500。\n"
        "环境变量优先于同目录的 .env，二者都优先于本文件。应用凭证也可用常见的变量名，依次为\n"
        "FEISHU_APP_ID、LARK_APP_ID、APP_ID，_APP_SECRET 同理。`notifier check` 显示实际使用的变量。"
    ),
    'From the developer console, page "Credentials & Basic Info" (凭证与基础信息).': "见开发者后台“凭证与基础信息”。",
    "Do not keep the secret in this file. Set FEISHU_APP_SECRET in the environment, or in a file .env beside this "
    "one.": "不要把密钥写在本文件中。请设置环境变量 FEISHU_APP_SECRET，或写入同目录的 .env。",
    "production, or test for an app that holds no real rewards. Only on a test app does `notifier try reward` work.": (
        "production；没有真实奖励的应用填 test。只有测试应用才能使用 `notifier try reward`。"
    ),
    "https://open.feishu.cn, https://open.larksuite.com (Lark), or the sandbox on this machine "
    "(http://127.0.0.1:8765).": (
        "https://open.feishu.cn、https://open.larksuite.com（Lark），或本机的沙盒（http://127.0.0.1:8765）。"
    ),
    "How the notifier receives events and clicks. long_connection: it connects to Feishu. webhook: Feishu sends "
    "requests to the address under `webhook`.": (
        "接收事件和点击的方式。long_connection：服务主动连接飞书；webhook：飞书请求 `webhook` 中的地址。"
    ),
    "Timeout of one call to Feishu, in seconds. At most 30.": "单次调用飞书的超时时间，单位秒，最多 30。",
    "When Feishu rejects the app permanently (wrong secret, app disabled, wrong domain). exit_at_start: exit with "
    "code 2 if it happens at start-up; retry slowly if it happens later. exit: exit at any time. retry: never exit.": (
        "飞书一直拒绝本应用时（密钥错误、应用停用、域名错误）。exit_at_start：启动时退出（退出码 2），之后慢速重试；\n"
        "exit：随时退出；retry：从不退出。"
    ),
    "host:port to listen on if feishu.transport is webhook, such as 127.0.0.1:8081. Put it behind your own HTTPS.": (
        "feishu.transport 为 webhook 时监听的 主机:端口，例如 127.0.0.1:8081。请放在自己的 HTTPS 之后。"
    ),
    "The request address in Feishu is your HTTPS host and this path, for events and for callbacks.": (
        "飞书后台的请求地址为 HTTPS 域名加此路径，事件与回调共用。"
    ),
    'Both from the developer console, page "Events & Callbacks", tab "Encryption Strategy" (加密策略). At least one is '
    "required. If both are set, both are checked. The Encrypt Key is the stronger one. Do not keep them in this file: "
    "set NOTIFIER_WEBHOOK__ENCRYPT_KEY and NOTIFIER_WEBHOOK__VERIFICATION_TOKEN in the environment instead.": (
        "见开发者后台“事件与回调”的“加密策略”。至少填一个；都填时都会校验，Encrypt Key 更安全。不要写在本文件中，\n"
        "请设置环境变量 NOTIFIER_WEBHOOK__ENCRYPT_KEY 和 NOTIFIER_WEBHOOK__VERIFICATION_TOKEN。"
    ),
    "Largest difference between the time of a signed request and this machine's clock, in seconds. An older request is "
    "rejected as a replay. At most 3600.": (
        "签名请求的时间与本机时钟的最大差值，单位秒，最多 3600。更早的请求按重放拒绝。"
    ),
    "The database: events, ledger and deliveries. Three slashes: relative to the working directory; four: absolute. "
    "The disk must honour flushes. Most do; some network file systems and consumer SSDs do not. Or PostgreSQL 14 and "
    "newer: postgresql+psycopg://user@host/database?sslmode=verify-full, with the password in PGPASSWORD or "
    "~/.pgpass.": (
        "数据库：事件、账本和投递。三个斜杠为相对当前目录的路径，四个为绝对路径。磁盘必须真正落盘，\n"
        "部分网络文件系统和消费级 SSD 不满足。也可用 PostgreSQL 14 及以上：\n"
        "postgresql+psycopg://user@host/database?sslmode=verify-full，密码放在 PGPASSWORD 或 ~/.pgpass 中。"
    ),
    "For the few places where Feishu cannot show a time in the reader's own time zone.": (
        "用于飞书无法按读者时区显示时间的少数位置。"
    ),
    "A folder with your own templates and texts, relative to this file. Each file changes or replaces the shipped one "
    "of the same name: docs/templates.md.": "自定义模板和文案的目录，相对本文件。同名文件修改或替换内置的文件"
    "（见 docs/templates.md）。",
    "Two lines of your own on reward and withdrawal cards, because Feishu does not say why a reward changed or when it "
    "is paid. Plain text, at most 200 characters each. Empty: no line. If one language is empty, both show the other "
    "one.": (
        "奖励和提现卡片上的两行自定义文字：飞书不提供奖励变动的原因和发放时间。纯文本，每行最多 200 个字符；\n"
        "留空则不显示；只填一种语言时，两种语言都显示它。"
    ),
    "whom to contact": "联系谁",
    "when the company pays": "何时发放",
    "Groups that receive cards, by a name of your choice. The bot must be a member.": (
        "接收卡片的群，名称自定。机器人必须在群中。"
    ),
    "open_ids or e-mail addresses of the people who may withdraw for the accounts shown in": (
        "授权人员的 open_id 或邮箱：可为本群中显示的账户提现，"
    ),
    "this group; `notifier people find` gives the open_ids": "open_id 用 `notifier people find` 查询",
    "The fallback group receives a card that cannot be sent to the referrer (resigned, bot blocked, outside the app's "
    "range, ...). Without a fallback group such deliveries are dead: see `notifier deliveries list --state dead`.": (
        "兜底群：接收无法送达内推人的卡片（离职、屏蔽机器人、不在可用范围等）。没有兜底群时，这些投递会失败：\n"
        "见 `notifier deliveries list --state dead`。"
    ),
    "Routes decide who is notified. They are evaluated from top to bottom. The first route that matches decides, "
    "unless it has keep_going: true. All conditions under `when` must match the same change. A condition that is not "
    "set matches all.": (
        "通知规则决定通知谁，从上到下匹配，以第一条匹配的为准，除非它设置了 keep_going: true。\n"
        "`when` 中的条件必须由同一笔变动全部满足，未设置的条件不限制。"
    ),
    "opening: the first notice of an account": "opening：账户的第一次通知",
    "of the change; for an opening, of the balance": "变动的金额；opening 时为余额",
    "referrer, or names from `groups`": "referrer，或 `groups` 中的名称",
    'Cards to these recipients have the button "提现 / Withdraw": referrer, names from `groups`, or nobody. A '
    "withdrawal covers the full balance of the kinds below, cannot be undone, and marks the rewards as paid in Feishu "
    "Hire. See `payouts` for the payment.": (
        "发给这些对象的卡片带“提现 / Withdraw”按钮：referrer 或 `groups` 中的名称，留空则都没有。提现会提走以下类型的\n"
        "全部余额，不可撤销，并在飞书招聘中把奖励标记为已发放。付款见 `payouts`。"
    ),
    "A card has the button if one kind or currency has at least this balance.": (
        "任一类型或币种的余额达到此值时，卡片才有按钮。"
    ),
    "Feishu allows 100.": "飞书上限为 100。",
    "People may ask the bot for their balance, a withdrawal or their history: docs/operations.md. It needs the event "
    "im.message.receive_v1. Without that event nothing arrives, and nothing else changes.": (
        "可以向机器人查询余额、提现和记录，见 docs/operations.md。需要订阅事件 im.message.receive_v1；\n"
        "不订阅则收不到提问，其他功能不受影响。"
    ),
    "Feishu only books a withdrawal. Your payroll system pays it. The notifier submits each payout to this address "
    "with a signed call (docs/payouts.md). Empty: payouts wait for `notifier payouts export`.": (
        "飞书只记录提现，由公司的薪酬系统付款。服务把每笔付款以签名请求提交到此地址（docs/payouts.md）。\n"
        "留空：付款等待 `notifier payouts export` 导出。"
    ),
    "Signs the calls in both directions. At least 16 characters. Do not keep it in this file: set "
    "NOTIFIER_PAYOUTS__SECRET in the environment instead.": (
        "双向签名的密钥，至少 16 个字符。不要写在本文件中，请设置环境变量 NOTIFIER_PAYOUTS__SECRET。"
    ),
    "host:port where your system reports `paid` or `failed` (POST /payouts/report), such as 127.0.0.1:8080. Put it "
    "behind your own HTTPS. Empty: no reports; use `notifier payouts mark` instead.": (
        "接收薪酬系统回报 `paid` 或 `failed` 的 主机:端口（POST /payouts/report），例如 127.0.0.1:8080。\n"
        "请放在自己的 HTTPS 之后。留空：没有回报，请用 `notifier payouts mark` 登记。"
    ),
    "Timeout of one call, in seconds.": "单次调用的超时时间，单位秒。",
    "After this time without success a payout is dead and needs attention.": (
        "超过此时间仍未成功，付款标记为失败（dead），需要处理。"
    ),
    "If a withdrawal is not reported paid after this many days, the alarm group gets one alarm. null: no alarm.": (
        "超过此天数仍未回报付款时，告警群收到一次告警。null：不告警。"
    ),
    "The group that gets alarms about late, failed, dead and unknown payouts, and about withdrawals without a result. "
    "null: the fallback group.": (
        "告警群：接收逾期、失败（failed、dead）、结果不明的付款，以及没有结果的提现。null：使用兜底群。"
    ),
    "a line on HR's cards about a payout with a problem: whom to ask": "HR 卡片上付款出现问题时的联系方式",
    "Digests: one card with the changes of a period. Each digest is sent once per period. It checks its own figures, "
    "lists the largest changes and balances, and lets the group's operators withdraw. There can be any number of "
    "digests.": (
        "摘要：用一张卡片汇总一个周期的变动，每个周期发送一次。它会核对数据，列出最大的变动和余额，\n"
        "群的授权人员可在其中提现。数量不限。"
    ),
    "names from `groups`; referrer: each referrer gets their own figures": (
        "`groups` 中的名称；referrer：每位内推人收到自己的数据"
    ),
    "Feishu is busiest at :00 and :30; weekly digests come on Monday, monthly ones on the 1st": (
        "飞书在整点和半点最忙；周摘要在周一，月摘要在 1 日"
    ),
    "instead of `at`: minute hour day month weekday, such as 7 9 * * 1-5; all must match": (
        "代替 `at`：分 时 日 月 星期，例如 7 9 * * 1-5，须全部满足"
    ),
    "null: cards.time_zone": "null：使用 cards.time_zone",
    "day, week or month: the last one that has ended, and those since the previous digest": (
        "day、week 或 month：最近结束的一个周期，以及上次摘要以来的周期"
    ),
    "true: not on weekends and holidays; the next digest covers those days too": (
        "true：周末和节假日不发送，由下一次摘要包含"
    ),
    "send, or skip: send nothing if nothing changed and nothing is stalled": "send，或 skip：没有变动和积压时不发送",
    "spreads digests that are due at the same time": "错开同一时间的摘要",
    "7, 30, or 0 for no chart": "7、30，或 0（不画图）",
    "largest number of rows in a table; fewer if the card would be too large": "表格最多行数；卡片过大时会减少",
    "the complete list as a CSV file: always, when_cut (if rows were removed), never": (
        "完整列表的 CSV 文件：always、when_cut（有行被省略时）、never"
    ),
    "with the withdraw panel, if withdrawals.offer_to names the group": (
        "withdrawals.offer_to 包含该群时，带提现操作区"
    ),
    "a digest that was due while the notifier was off is sent late, up to this age": (
        "服务停止期间错过的摘要，在此小时数内补发"
    ),
    "Holidays, and weekend days that are working days. For digests with working_days: true.": (
        "节假日，以及调休上班的周末。用于 working_days: true 的摘要。"
    ),
    "How long the notifier uses the stored referrer of an account before it looks it up again.": (
        "账户的内推人信息保存多久后重新查询。"
    ),
    "Feishu allows 10.": "飞书上限为 10。",
    "Feishu tries five times within seven hours to deliver an event. Then the event is lost. Reconciliation therefore "
    "reads the balances of all known accounts, the most recently changed first, and creates a notice for each "
    "difference. It runs after each connect, after a storage outage, and on a schedule.": (
        "飞书在七小时内最多推送五次，之后事件丢失。因此对账会读取所有已知账户的余额（最近变动的优先），\n"
        "为每处差异补发通知。每次连接后、存储故障后都会对账，也会定时对账。"
    ),
    "null: no schedule": "null：不定时",
    "Feishu allows 10, shared with the look-ups above": "飞书上限为 10，与上面的查询共用",
    "how long to wait for the event of a difference": "发现差异后等待事件的秒数",
    "Feishu allows 50 a second and 1000 a minute for the app, and 5 a second for one chat, shared by all bots in it. "
    "Calls are paced one by one, but networks bunch them, so the defaults are a little lower. `notifier check` names "
    "values above those of Feishu, which your tenant may have been granted.": (
        "飞书上限：每个应用每秒 50 条、每分钟 1000 条；每个会话每秒 5 条，由其中所有机器人共用。\n"
        "请求虽逐个发出，网络会使其聚集，因此默认值略低。`notifier check` 会指出高于飞书文档的值，\n"
        "除非飞书为你的企业提高了上限。"
    ),
    "After this time without success a delivery is dead and needs attention.": (
        "超过此时间仍未成功，投递标记为失败（dead），需要处理。"
    ),
    "How long processed events are kept, in days. At least 1, because Feishu sends an event again for 7 hours.": (
        "已处理事件的保存天数。至少 1 天，因为飞书会在 7 小时内重复推送。"
    ),
    "How long sent cards and their content are kept, in days. At least 30, because a card can be pressed and updated "
    "for 14 days. Balances, their history, withdrawals, payouts and the audit trail are never removed.": (
        "已发送卡片及内容的保存天数。至少 30 天，因为卡片在 14 天内可以点击和更新。\n"
        "余额及其历史、提现、付款和审计记录永不删除。"
    ),
    "Name of this process in `notifier status`, if several use one PostgreSQL database. Empty: the name of the "
    "machine.": "多个进程共用一个 PostgreSQL 数据库时，本进程在 `notifier status` 中的名称。留空：使用主机名。",
    "host:port of /livez, /readyz and /metrics, such as 127.0.0.1:8081. Empty: no health checks. They hold no secrets, "
    "but do not make them public.": (
        "/livez、/readyz 和 /metrics 的 主机:端口，例如 127.0.0.1:8081。留空：没有健康检查。其中没有密钥，但不要公开。"
    ),
    "Base address of an OpenTelemetry collector for OTLP over HTTP, such as http://127.0.0.1:4318. Empty: no traces. "
    "Needs `pip install 'referral-notifier[otel]'`. Spans hold ids, no names and no amounts.": (
        "OpenTelemetry 收集器的基础网址（OTLP over HTTP），例如 http://127.0.0.1:4318。留空：不导出。\n"
        "需要 `pip install 'referral-notifier[otel]'`。其中只有 ID，没有姓名和金额。"
    ),
}
_FULL_LINE = re.compile(r"( *)# (\S.*)")
_TRAILING = re.compile(r"(.*\S)( +# +)(\S.*)")


def translate_comments(text: str) -> str:
    """Return a configuration with Chinese comments. A comment that has no Chinese text stays as it is."""
    lines: list[str] = []
    for block, indent in _list_blocks(text.splitlines()):
        comment = " ".join(block)
        if indent is None:
            lines.append(_translate_trailing(block[0]))
        elif comment in COMMENTS_ZH:
            lines += [f"{indent}# {each}" for each in COMMENTS_ZH[comment].split("\n")]
        else:
            lines += [f"{indent}# {each}" for each in block]
    return "\n".join([*lines, ""])


def _list_blocks(lines: list[str]) -> Iterator[tuple[list[str], str | None]]:
    """The lines, those of one comment together, without their indent and sign. The indent is None for other lines."""
    block: list[str] = []
    indent = ""
    for line in lines:
        found = _FULL_LINE.fullmatch(line)
        if block and (found is None or found[1] != indent):
            yield block, indent
            block = []
        if found is None:
            yield [line], None
        else:
            indent = found[1]
            block.append(found[2])
    if block:
        yield block, indent


def _translate_trailing(line: str) -> str:
    found = _TRAILING.fullmatch(line)
    if found is None or found[3] not in COMMENTS_ZH:
        return line
    return f"{found[1]}{found[2]}{COMMENTS_ZH[found[3]]}"
