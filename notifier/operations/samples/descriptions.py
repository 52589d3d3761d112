"""Descriptions of the samples, one line each, for `notifier preview --list`."""

from collections.abc import Mapping

from notifier.domain.card import Bilingual

DESCRIPTIONS: Mapping[str, Bilingual] = {
    "increase": Bilingual(en="Cash and points increased", zh="现金和积分增加"),
    "decrease": Bilingual(en="Cash decreased", zh="现金减少"),
    "mixed": Bilingual(en="Cash increased and points decreased", zh="现金增加，积分减少"),
    "opening": Bilingual(en="First balance of an account", zh="账户的首次余额"),
    "folded": Bilingual(
        en="Three changes on one card, in three currencies", zh="一张卡片包含三笔变动、三种货币"
    ),
    "group": Bilingual(en="Increase, for a group", zh="发给群的增加"),
    "rerouted": Bilingual(
        en="Increase, sent to the fallback group because the person has resigned",
        zh="因人员离职改发到兜底群的增加",
    ),
    "nobody": Bilingual(
        en="Increase, sent to the fallback group because Feishu does not know the account",
        zh="飞书查不到账户，改发到兜底群的增加",
    ),
    "withdraw": Bilingual(en="Increase with the withdraw button", zh="带提现按钮的增加"),
    "withdrawn": Bilingual(
        en="Increase whose balance was withdrawn, for a group", zh="余额已提现的增加，发给群"
    ),
    "recovered": Bilingual(en="Increase that a reconciliation run found", zh="余额核对发现的增加"),
    "hostile": Bilingual(
        en="Increase with a name and a currency that try to break the card", zh="姓名和币种试图破坏卡片的增加"
    ),
    "points": Bilingual(en="Points increased", zh="积分增加"),
    "points-decrease": Bilingual(en="Points decreased", zh="积分减少"),
    "usd": Bilingual(en="US dollars increased", zh="美元增加"),
    "jpy": Bilingual(en="Yen increased: a currency without decimals", zh="日元增加：没有小数的货币"),
    "kwd": Bilingual(
        en="Kuwaiti dinars increased: a currency with three decimals", zh="科威特第纳尔增加：三位小数的货币"
    ),
    "unknown-currency": Bilingual(
        en="Increase in a currency that is not in ISO 4217", zh="不在 ISO 4217 中的货币增加"
    ),
    "numbered-currency": Bilingual(
        en="Increase in a currency with a number that is newer than our list", zh="币种编号比列表更新的增加"
    ),
    "long-currency": Bilingual(en="Increase in a currency with a long code", zh="代码很长的货币增加"),
    "many-currencies": Bilingual(
        en="Thirteen currencies and points, with the withdraw button", zh="十三种货币和积分，带提现按钮"
    ),
    "zero-opening": Bilingual(
        en="First notice of an account without a balance", zh="没有余额的账户的首次通知"
    ),
    "to-zero": Bilingual(en="Balance decreased to zero", zh="余额减到零"),
    "huge": Bilingual(
        en="The largest amount that is accepted, with the withdraw button", zh="可接受的最大金额，带提现按钮"
    ),
    "tiny": Bilingual(en="The smallest amount that is stored", zh="可保存的最小金额"),
    "negative": Bilingual(en="Balance below zero", zh="余额为负"),
    "forty-changes": Bilingual(en="Forty changes on one card", zh="一张卡片包含四十笔变动"),
    "opening-group": Bilingual(en="First balance of an account, for a group", zh="账户的首次余额，发给群"),
    "decrease-group": Bilingual(en="Decrease, for a group", zh="减少，发给群"),
    "mixed-group": Bilingual(
        en="Cash increased and points decreased, for a group", zh="现金增加、积分减少，发给群"
    ),
    "recovered-group": Bilingual(
        en="Increase that a reconciliation run found, for a group", zh="余额核对发现的增加，发给群"
    ),
    "recovered-rerouted": Bilingual(
        en="The same, sent to the fallback group", zh="余额核对发现的增加，改发到兜底群"
    ),
    "group-unreachable": Bilingual(
        en="Increase, sent to the fallback group because its group cannot be reached",
        zh="原群无法送达，改发到兜底群的增加",
    ),
    "withdraw-group": Bilingual(
        en="Increase with the withdraw button, for a group", zh="带提现按钮的增加，发给群"
    ),
    "withdraw-processing": Bilingual(en="Increase whose balance is being withdrawn", zh="余额正在提现的增加"),
    "withdraw-refused": Bilingual(en="Increase whose withdrawal Feishu refused", zh="飞书拒绝提现的增加"),
    "withdraw-superseded": Bilingual(
        en="Increase whose withdrawal a newer card shows", zh="提现显示在更新的卡片上的增加"
    ),
    "no-referrer": Bilingual(en="Increase for a group, without a referrer", zh="没有内推人的增加，发给群"),
    "no-name": Bilingual(en="Referrer without a name", zh="内推人没有姓名"),
    "english-name-only": Bilingual(en="Referrer with an English name only", zh="内推人只有英文名"),
    "long-name": Bilingual(
        en="Referrer with a long Chinese and a long English name", zh="内推人的中英文姓名都很长"
    ),
    "rtl-name": Bilingual(
        en="Referrer with Arabic and Hebrew letters in the name", zh="姓名含阿拉伯文和希伯来文"
    ),
    "emoji-name": Bilingual(en="Referrer with joined emoji in the name", zh="姓名含组合表情"),
    "combining-name": Bilingual(en="Referrer with stacked accents in the name", zh="姓名含叠加的附加符号"),
    "markup-name": Bilingual(en="Referrer with Markdown and tags in the name", zh="姓名含 Markdown 和标签"),
    "mention-name": Bilingual(en="Referrer with a mention of everyone in the name", zh="姓名含 @所有人"),
    "contact-name": Bilingual(
        en="Referrer with a phone number and an e-mail address as the name", zh="姓名是手机号和邮箱"
    ),
    "receipt": Bilingual(en="Withdrawal that HR requested, for the referrer", zh="HR 发起的提现，发给内推人"),
    "sent": Bilingual(en="Payout that the payroll system accepted", zh="付款系统已接收的付款"),
    "paid": Bilingual(en="Payout that was paid", zh="已付款"),
    "failed": Bilingual(en="Payout that failed, for the referrer", zh="付款失败，发给内推人"),
    "failed-for-hr": Bilingual(en="Payout that failed, for HR", zh="付款失败，发给 HR"),
    "late": Bilingual(en="Payout that is not paid after eight days", zh="八天后仍未付款"),
    "dead": Bilingual(en="Payout that the payroll system did not accept", zh="付款系统未接收的付款"),
    "refused": Bilingual(en="Withdrawal that Feishu refused", zh="飞书拒绝的提现"),
    "amount-changed": Bilingual(
        en="Withdrawal that was not made because the balance changed", zh="因余额变动而未执行的提现"
    ),
    "superseded": Bilingual(en="Withdrawal that a newer card shows", zh="显示在更新的卡片上的提现"),
    "nothing": Bilingual(en="Withdrawal without a balance", zh="没有余额的提现"),
    "processing": Bilingual(en="Withdrawal in progress", zh="处理中的提现"),
    "receipt-rerouted": Bilingual(
        en="Receipt, sent to the fallback group because the person has resigned",
        zh="因人员离职改发到兜底群的提现回执",
    ),
    "failed-hostile": Bilingual(
        en="Failed payout whose texts try to break the card", zh="文字试图破坏卡片的付款失败"
    ),
    "ended": Bilingual(en="Withdrawal that an operator ended", zh="管理员结束的提现"),
    "stuck": Bilingual(en="Withdrawal without a result for hours", zh="长时间没有结果的提现"),
    "payout-unknown": Bilingual(en="Payout whose result is not known", zh="结果未知的付款"),
    "unconfirmed": Bilingual(en="Withdrawal whose amounts must be confirmed", zh="金额待确认的提现"),
    "receipt-currencies": Bilingual(
        en="Receipt with points, five currencies and the largest amount",
        zh="含积分、五种货币和最大金额的提现回执",
    ),
    "receipt-nobody": Bilingual(
        en="Receipt without a referrer, for a group", zh="没有内推人的提现回执，发给群"
    ),
    "settings": Bilingual(en="Settings of a person who chose nothing yet", zh="尚未设置的通知设置"),
    "settings-chosen": Bilingual(
        en="Settings with a daily digest and quiet hours", zh="每日汇总并开启免打扰的通知设置"
    ),
    "settings-saved": Bilingual(en="Settings after a press of the save button", zh="点击保存后的通知设置"),
    "answer-balance": Bilingual(en="Answer to `balance`", zh="对“余额”的回复"),
    "answer-withdraw": Bilingual(en="Answer to `withdraw`", zh="对“提现”的回复"),
    "answer-processing": Bilingual(
        en="Answer to `withdraw` while a withdrawal is in progress", zh="对“提现”的回复，提现处理中"
    ),
    "answer-empty": Bilingual(en="Answer to `withdraw` without a balance", zh="对“提现”的回复，没有余额"),
    "answer-unpaid": Bilingual(
        en="The same, with a withdrawal that is not paid yet", zh="对“提现”的回复，有一笔提现等待付款"
    ),
    "answer-stored": Bilingual(
        en="Answer to `balance` while Feishu does not respond", zh="对“余额”的回复，飞书没有响应"
    ),
    "answer-late": Bilingual(
        en="Answer to `balance` that is two hours late", zh="对“余额”的回复，晚了两小时"
    ),
    "answer-deactivated": Bilingual(
        en="Answer to `balance` for a deactivated account", zh="对“余额”的回复，账户已停用"
    ),
    "answer-several": Bilingual(
        en="Answer to `balance` of a person with many accounts", zh="对“余额”的回复，有多个账户"
    ),
    "answer-many": Bilingual(
        en="Answer to `balance` with many currencies and texts that try to break the card",
        zh="对“余额”的回复，多种货币，文字试图破坏卡片",
    ),
    "answer-history": Bilingual(en="Answer to `history`", zh="对“记录”的回复"),
    "answer-no-history": Bilingual(en="Answer to `history` of a new account", zh="对“记录”的回复，新账户"),
    "answer-help": Bilingual(en="Answer to `help`", zh="对“帮助”的回复"),
    "answer-no-account": Bilingual(en="Answer to a person without an account", zh="对没有账户的人的回复"),
    "answer-unavailable": Bilingual(
        en="Answer while Feishu does not confirm the account", zh="飞书无法确认账户时的回复"
    ),
    "daily": Bilingual(en="Daily digest with tables, chart and buttons", zh="带表格、图表和按钮的日报"),
    "quiet": Bilingual(en="Daily digest without a change", zh="没有变动的日报"),
    "late-digest": Bilingual(en="Daily digest that is sent a day late", zh="晚一天发送的日报"),
    "correction": Bilingual(en="Correction of a digest", zh="摘要的更正"),
    "so-far": Bilingual(en="Digest of a period that is still open", zh="统计周期尚未结束的摘要"),
    "needs-attention": Bilingual(
        en="Digest with deliveries and payouts that need attention", zh="含需要处理的投递和付款的摘要"
    ),
    "unbalanced": Bilingual(en="Digest whose figures do not add up", zh="账目不平的摘要"),
    "running": Bilingual(en="Digest with a batch of withdrawals in progress", zh="批量提现进行中的摘要"),
    "over": Bilingual(en="Digest with the results of a batch of withdrawals", zh="显示批量提现结果的摘要"),
    "month": Bilingual(en="Monthly digest", zh="月报"),
    "hostile-digest": Bilingual(
        en="Digest with a name and a currency that try to break the card", zh="姓名和币种试图破坏卡片的摘要"
    ),
    "digest-currencies": Bilingual(
        en="Digest with dollars, yen, dinars and an unknown currency",
        zh="含美元、日元、第纳尔和未知货币的摘要",
    ),
    "digest-negative": Bilingual(en="Digest with a balance below zero", zh="余额为负的摘要"),
    "digest-long-names": Bilingual(en="Digest with long names and emoji", zh="姓名很长且含表情的摘要"),
    "digest-rerouted": Bilingual(
        en="Digest, sent to the fallback group because its group cannot be reached",
        zh="原群无法送达，改发到兜底群的摘要",
    ),
    "my-week": Bilingual(en="Weekly digest of one referrer", zh="内推人自己的周报"),
    "my-quiet-week": Bilingual(
        en="Weekly digest of one referrer, without a change", zh="内推人自己的周报，没有变动"
    ),
    "my-week-currencies": Bilingual(
        en="Weekly digest of one referrer, with four currencies", zh="内推人自己的周报，含四种货币"
    ),
    "my-week-rerouted": Bilingual(
        en="Weekly digest of one referrer, sent to the fallback group", zh="改发到兜底群的内推人周报"
    ),
}
