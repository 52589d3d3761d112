"""Chinese help of commands and options, by the English text. The English one stands at the command."""

from collections.abc import Mapping

HELP_ZH: Mapping[str, str] = {
    # options of several commands
    "Show the version and exit.": "显示版本。",
    "Show this message and exit.": "显示帮助。",
    "Configuration file. Default: ./config.yaml if it exists. Environment variables take precedence.": (
        "配置文件，默认为当前目录的 config.yaml（如果存在）。环境变量优先。"
    ),
    "For the sandbox: file with an offset to the system clock, in seconds.": "用于沙盒：记录时钟偏移秒数的文件。",
    "Print JSON.": "输出 JSON。",
    "Folder of own card templates, in place of cards.template_dir.": "自定义卡片模板的目录，代替 cards.template_dir。",
    # replay
    "Render the cards of an event or a delivery again, and compare them with what was sent.": (
        "用现在的模板重新生成事件或投递的卡片，并与已发送的内容比较。"
    ),
    "Also compare the JSON of the cards.": "同时比较卡片的 JSON。",
    "Show both cards side by side in the browser.": "在浏览器中并排显示两张卡片。",
    "Send the card of today as a correction, in the same chat.": "把现在的卡片作为更正发送到同一会话。",
    "Send without a question.": "发送前不询问。",
    "Show only this state. Repeat for more.": "只显示该状态，可重复。",
    # main commands
    "Notify referrers in Feishu when their referral rewards change.": "内推奖励变动时，在飞书通知内推人。",
    "Receive events and send cards until SIGTERM or Ctrl-C.": "接收事件、发送卡片，直到 SIGTERM 或 Ctrl-C。",
    "Check configuration and templates offline; with --templates, only templates. `doctor` also examines Feishu.": (
        "离线检查配置和模板；使用 --templates 时只检查模板。`doctor` 还会检查飞书。"
    ),
    "Check card JSON files or templates against the rules of card JSON 2.0. Without FILES: all templates.": (
        "按卡片 JSON 2.0 的规则检查卡片 JSON 文件或模板。不指定 FILES 时检查全部模板。"
    ),
    "Form of the report.": "报告格式。",
    "Exit code 1 also if there are only warnings.": "只有警告时退出码也为 1。",
    "Leave out the findings of this rule. Repeat for more.": "忽略该规则的结果，可重复。",
    "Explain a rule, and check nothing.": "说明一条规则，不做检查。",
    "Examine the whole set-up, and name the next step for each problem; exit code 1 if there is one.": (
        "检查整个接入过程，给出每个问题的处理方法；有问题时退出码为 1。"
    ),
    "Send a test card to this e-mail address or open_id, and wait for a press.": (
        "向该邮箱或 open_id 发送测试卡片，并等待点击。"
    ),
    "How long to wait for the press, in seconds.": "等待点击的秒数。",
    "Register referrers at Feishu, list their accounts, switch them on and off.": (
        "在飞书登记内推人，列出、启用和停用他们的账户。"
    ),
    "Register the people in a CSV file with the columns email and/or mobile. Repeat it after an interruption.": (
        "登记 CSV 文件中的人员，列为 email 和（或）mobile；中断后可重新执行。"
    ),
    "Show what would be done; register nobody.": "只显示将要做什么，不登记任何人。",
    "Write the outcome of each row to this CSV file. Default: beside FILE.": (
        "把每行的结果写入该 CSV 文件，默认放在输入文件旁边。"
    ),
    "Register one person.": "登记一个人。",
    "E-mail address of the person in Feishu.": "此人在飞书的邮箱。",
    "Mobile number of the person in Feishu; +code for other countries.": (
        "此人在飞书的手机号；其他国家和地区加 + 区号。"
    ),
    "List the known accounts of this app, newest change first.": "列出本应用已知的账户，最近变动的在前。",
    "Show one account with its audit trail.": "显示一个账户及其审计记录。",
    "Turn events and withdrawals of deactivated accounts on again.": "重新启用已停用账户的事件和提现。",
    "Turn events and withdrawals of accounts off.": "停用账户的事件和提现。",
    "Read all known accounts again, and list the balances that differed from the stored ones.": (
        "重新读取所有已知账户，列出与已存余额不同的账户。"
    ),
    "Find people at Feishu.": "在飞书查找人员。",
    "Print the open_ids of people in this app, as the configuration needs them.": (
        "输出人员在本应用中的 open_id，格式可直接用于配置。"
    ),
    "E-mail address. Repeat for more.": "邮箱，可重复。",
    "Mobile number; +code for other countries.": "手机号；其他国家和地区加 + 区号。",
    "List the groups that the bot is in, with their chat_id.": "列出机器人所在的群及其 chat_id。",
    "Start with an app as Feishu creates it: nothing is set or published.": (
        "从飞书刚创建的应用开始：什么都没有设置，也没有发布。"
    ),
    "Start this fault at once, such as setup:bot_off. Repeat for more; docs/sandbox.md lists them.": (
        "立即制造该故障，例如 setup:bot_off，可重复；清单见 docs/sandbox.md。"
    ),
    "Copy everything to another database, such as from SQLite to PostgreSQL. Stop the notifier first.": (
        "把全部数据复制到另一个数据库，例如从 SQLite 到 PostgreSQL。请先停止服务。"
    ),
    "The database to copy: an address as in store.url.": "要复制的数据库，地址写法同 store.url。",
    "An empty database: an address as in store.url.": "一个空数据库，地址写法同 store.url。",
    "Show a card in the browser as Feishu shows it, with its JSON and its problems.": (
        "在浏览器中按飞书的样子显示卡片，附 JSON 和检查结果。"
    ),
    "JSON file with an event as Feishu sends it, or with the variables of the template.": (
        "JSON 文件：飞书发送的事件，或模板的变量。"
    ),
    "Whom the card is for.": "卡片的接收人。",
    "Write a picture of the card; needs Chromium.": "把卡片保存为图片，需要 Chromium。",
    "For --png: in dark mode.": "用于 --png：深色模式。",
    "For --png: as on a phone.": "用于 --png：按手机显示。",
    "For --png: the reader's language.": "用于 --png：读者的语言。",
    "Send the card to this e-mail address or open_id, marked as a test, with disabled buttons.": (
        "把卡片发送给该邮箱或 open_id，标记为测试，按钮不可用。"
    ),
    "Update the page when a template or the data is saved.": "保存模板或数据后更新网页。",
    "Name of the sample data; see --list. Default: the first that fits.": (
        "样例名称，见 --list。默认：第一个合适的。"
    ),
    "List the templates and samples.": "列出模板和样例。",
    "Create the database or migrate it to the latest schema. `run` does this automatically.": (
        "创建数据库，或升级到最新结构。`run` 会自动执行。"
    ),
    "Show the process, the connection, the queues, failures with their reasons, and the time to drain.": (
        "显示进程、连接、队列、失败及原因，以及发完所需时间。"
    ),
    "One line for monitoring; exit code 1 if something needs attention.": (
        "用于监控的一行；有需要处理的事项时退出码为 1。"
    ),
    "Show it every two seconds; q quits.": "每两秒刷新一次，按 q 退出。",
    "Ask the running notifier at health.listen; exit code 1 if it does not answer 200.": (
        "向 health.listen 查询运行中的服务；应答不是 200 时退出码为 1。"
    ),
    "Ask /readyz: also connection, storage and queues. Default: /livez.": (
        "查询 /readyz（包括连接、存储和队列）。默认 /livez。"
    ),
    "Run the Feishu sandbox with its web page, and a notifier connected to it.": (
        "启动飞书沙盒及其网页，以及一个连接沙盒的服务。"
    ),
    "0 for any free port.": "0 表示任意空闲端口。",
    "Run only the sandbox, for your own bot.": "只启动沙盒，供自己的机器人使用。",
    "Send events and clicks by webhook, not over the long connection.": "用 webhook 推送事件和点击，不用长连接。",
    "Keep the notifier's database and Feishu's side here. Default: a temporary folder.": (
        "在此目录保存服务的数据库和飞书侧的数据。默认为临时目录。"
    ),
    "Folder of own card templates. A saved file shows on the next card.": (
        "自定义卡片模板的目录。文件保存后，下一张卡片就会生效。"
    ),
    # templates
    "List card templates, and copy shipped ones to change them.": "列出卡片模板，复制自带模板以便修改。",
    "List shipped and own templates with their blocks, and what own files replace.": (
        "列出自带模板和自定义模板、它们的块，以及自定义文件替换了什么。"
    ),
    "Copy shipped templates or texts into the folder of own templates.": "把自带模板或文字复制到自定义模板目录。",
    "Copy into this folder. Default: cards.template_dir.": "复制到该目录。默认为 cards.template_dir。",
    "Replace existing files.": "覆盖已有文件。",
    # deliveries and events
    "List deliveries, and retry or drop those that failed.": "列出投递，重试或放弃失败的投递。",
    "List deliveries, newest first.": "列出投递，新的在前。",
    "Show one delivery with its attempts and its content.": "显示一个投递的每次尝试和内容。",
    "Send dead or unknown deliveries again, as new messages. An unknown one may then arrive twice.": (
        "把 dead 或 unknown 的投递作为新消息重新发送。unknown 的可能送达两次。"
    ),
    "Retry all dead deliveries. Unknown ones are not retried.": "重试所有 dead 的投递，不含 unknown。",
    "Drop dead or unknown deliveries. They are not sent any more.": "放弃 dead 或 unknown 的投递，不再发送。",
    "List stored events. Process a quarantined one again, or ignore it.": (
        "列出已保存的事件，重新处理或忽略被隔离的事件。"
    ),
    "List events, newest first.": "列出事件，新的在前。",
    "Show one event with its payload, as Feishu sent it.": "显示一个事件及飞书发送的原文。",
    "Process quarantined events again, for example after an upgrade.": "重新处理被隔离的事件，例如升级之后。",
    "Ignore quarantined events. They stay stored until retention removes them.": (
        "忽略被隔离的事件。它们会保留到超过保存期限。"
    ),
    # digests
    "List, preview and send digests.": "列出、预览和发送摘要。",
    "List every digest with its next run and its last runs.": "列出所有摘要、下一次和最近几次发送。",
    "Show the card in the browser as it would be sent now. Sends nothing.": (
        "在浏览器中显示现在会发送的卡片，不会发送。"
    ),
    "A day in the period: 2026-11-23, today or yesterday.": "周期中的一天：2026-11-23、today 或 yesterday。",
    "For a referrer digest: the account. Default: the first with a change.": (
        "内推人摘要的账户。默认：第一个有变动的账户。"
    ),
    "Print the card's JSON; do not open the page.": "输出卡片的 JSON，不打开网页。",
    "Port of the page; 0 for any free port.": "网页的端口，0 表示任意空闲端口。",
    "Print the page's address; do not open a browser.": "输出网址，不打开浏览器。",
    "Send a digest now. The running notifier delivers it.": "立即发送摘要，由运行中的服务投递。",
    "Print the figures; send nothing.": "只输出数据，不发送。",
    "Send a period that was already sent, as a correction.": "把已发送的周期作为更正再次发送。",
    # withdrawals, payouts, audit
    "List withdrawals, and retry one that is waiting.": "列出提现，重试等待中的提现。",
    "List withdrawals, newest first.": "列出提现，新的在前。",
    "Show one withdrawal with its audit trail.": "显示一笔提现及其审计记录。",
    "Retry a waiting withdrawal now, with the same order id.": "立即重试等待中的提现，使用同一订单号。",
    "End a withdrawal without a result, so that its account can be withdrawn from again.": (
        "结束没有结果的提现，使该账户可以再次提现。"
    ),
    "You have seen in Feishu Hire that nothing was withdrawn.": "已在飞书招聘中确认没有提现。",
    "You have seen in Feishu Hire that the agreed amounts were withdrawn. They become a payout.": (
        "已在飞书招聘中确认按约定金额提现，将创建付款。"
    ),
    "List and export payouts, record their results, and retry them.": "列出、导出付款，登记结果，重试。",
    "List payouts, newest first.": "列出付款，新的在前。",
    "Show one payout with its audit trail.": "显示一笔付款及其审计记录。",
    "Export payouts for a payroll system without an API. Each payout is exported once.": (
        "为没有接口的付款系统导出付款，每笔只导出一次。"
    ),
    "First time, such as 2026-11-01 or 2026-11-01T08:00+08:00. Default: no limit.": (
        "起始时间，例如 2026-11-01 或 2026-11-01T08:00+08:00。默认不限。"
    ),
    "End time, exclusive. Default: now.": "结束时间（不含）。默认为现在。",
    "Export the whole period again. Changes nothing.": "再次导出整个时段，不改变任何状态。",
    "Also export payouts that the payroll system may have paid already. Ask its team first.": (
        "同时导出可能已付款的付款。请先向薪酬团队确认。"
    ),
    "Output file, pipe or device. Default: standard output.": "输出文件、管道或设备。默认为标准输出。",
    "Confirm the amounts of a payout for which Feishu named none. It is then submitted or exported.": (
        "确认飞书没有返回金额的付款，之后会提交或导出。"
    ),
    "Record the result of a payout manually. The referrer is notified.": "手动登记付款结果，会通知内推人。",
    "Reference of the payroll system, at most 128 characters.": "付款系统的流水号，最多 128 个字符。",
    "Why it failed, at most 500 characters. Shown to the referrer.": "失败原因，最多 500 个字符，内推人可见。",
    "Submit dead and unknown payouts again, with the same idempotency key and the same body.": (
        "重新提交 dead 和 unknown 的付款，幂等键和内容不变。"
    ),
    "Retry all dead payouts.": "重试所有 dead 的付款。",
    "Show the audit trail: clicks, refusals, withdrawals and payouts. Newest first.": (
        "显示审计记录：点击、拒绝、提现和付款，新的在前。"
    ),
    "Show only this referral account.": "只显示该内推账户。",
    "Show only this withdrawal.": "只显示该提现。",
    # first run
    "Write config.yaml and .env for a new app, check them with Feishu, and show what to do in the console.": (
        "为新应用写入 config.yaml 和 .env，向飞书校验，并列出后台要做的事。"
    ),
    "The file to write. The secret goes to .env beside it.": "要写入的文件，密钥写入同目录的 .env。",
    "App id from the developer console.": "开发者后台的 App ID。",
    "File with the app secret; - for standard input. Default: FEISHU_APP_SECRET, or a question.": (
        "存放 App Secret 的文件，- 表示标准输入。默认取 FEISHU_APP_SECRET，否则询问。"
    ),
    "feishu, lark, or an address. Default: feishu.": "feishu、lark 或一个地址。默认 feishu。",
    "The app is a test app: `notifier try reward` works on it.": "这是测试应用，可使用 `notifier try reward`。",
    "A group, such as hr=oc_1a2b. hr receives every card, fallback receives those that cannot be sent, alarms "
    "receives alarms about payouts. Repeat for more.": (
        "一个群，例如 hr=oc_1a2b。hr 接收所有卡片，fallback 接收无法送达的卡片，alarms 接收付款告警。可重复。"
    ),
    "Who may withdraw in the group hr. Repeat for more.": "hr 群中可以提现的授权人员，可重复。",
    "Who gets the withdraw button. Repeat for more. Default: nobody.": "谁能看到“提现”按钮，可重复。默认 nobody。",
    "Do not call Feishu.": "不调用飞书。",
    "Ask nothing. Replace existing files and keep copies. Write them even if Feishu cannot be reached.": (
        "不询问。替换已有文件并保留副本；连不上飞书也写入。"
    ),
    "Print the script that completes commands and options in a shell.": "输出命令补全脚本。",
    "Try the service with real calls. Only on an app with feishu.environment: test.": (
        "用真实调用试用服务，仅限 feishu.environment: test 的应用。"
    ),
    "Import a reward, wait for its card, and delete the reward again.": "导入一笔奖励，等待卡片，再删除奖励。",
    "The referral account that gets the reward.": "获得奖励的内推账户。",
    "Number of points. Default: 1.": "积分数。默认 1。",
    "Amount of cash instead of points, such as 12.50.": "改用现金的金额，例如 12.50。",
    "Currency of --cash.": "--cash 的币种。",
    "The candidate that the reward is for.": "奖励对应的候选人。",
    "The application that the reward is for.": "奖励对应的投递（职位申请）。",
    "In seconds.": "单位为秒。",
    "Do not delete the reward afterwards.": "不删除这笔奖励。",
    "Print what it does and needs. Call nothing.": "说明会做什么、需要什么，不发起调用。",
    "Do not ask.": "不询问。",
    "Delete a reward that `notifier try reward` left behind.": "删除 `notifier try reward` 留下的奖励。",
    # trigger
    "Cause events in a running sandbox, and print what happened to the pushes.": (
        "在运行中的沙盒里触发事件，并输出推送结果。"
    ),
    "Address of the sandbox. Default: FEISHU_SANDBOX_URL, else port 8765.": (
        "沙盒的地址。默认取 FEISHU_SANDBOX_URL，否则为 8765 端口。"
    ),
    "Print the event ids; do not wait for the answers.": "只输出事件 ID，不等待应答。",
    "How long to wait for the answers, in seconds.": "等待应答的秒数。",
    "Change the balance of a referral account, and push its event.": "改变内推账户的余额，并推送事件。",
    "The referral account whose balance changes.": "余额变动的内推账户。",
    "Change of the cash, such as 500 or -12.50.": "现金变动，例如 500 或 -12.50。",
    "Change of the points, such as 10 or -3.": "积分变动，例如 10 或 -3。",
    "Push each event twice with the same id.": "每个事件用同一 ID 推送两次。",
    "Push the newest event first. Without --burst: two changes and events.": (
        "先推送最新的事件。不带 --burst 时变动两次、推送两个事件。"
    ),
    "Change the balance this many times at once.": "一次性变动余额的次数。",
    "Push this event again, with the same id. Nothing changes.": "用同一 ID 再次推送该事件，不改变余额。",
    "Write a message to the bot as a person, in a private chat or a group.": "以某人的身份在单聊或群里给机器人发消息。",
    "Who writes: an open_id, or a part of the name.": "发送人：open_id 或姓名的一部分。",
    "The text.": "文本内容。",
    "A group: its chat_id, or a part of its name. Default: the private chat with the bot.": (
        "群：chat_id 或群名的一部分。默认为与机器人的单聊。"
    ),
    "In a group: without @bot.": "在群里不 @ 机器人。",
    "The message that it answers.": "要回复的消息。",
    "Choose an item of the bot's menu as a person.": "以某人的身份点击机器人菜单。",
    "Who presses: an open_id, or a part of the name.": "点击人：open_id 或姓名的一部分。",
    "The event_key of the menu item.": "菜单项的 event_key。",
    "Push an event of any type, such as im.chat.updated_v1. The header is filled in.": (
        "推送任意类型的事件，例如 im.chat.updated_v1，事件头会自动填写。"
    ),
    "JSON file with the event, or with the whole envelope; - for standard input.": (
        "JSON 文件：事件内容或完整的事件；- 表示标准输入。"
    ),
}
