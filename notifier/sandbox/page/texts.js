// All texts of the page in both languages, and the formats that depend on the language.

const TEXTS = {
  page_title: ["飞书沙盒", "Feishu sandbox"],
  identity: ["我是", "I am"],
  language_to: ["Switch to English", "切换到中文"],
  theme_to_dark: ["切换到深色", "Switch to dark"],
  theme_to_light: ["切换到浅色", "Switch to light"],
  width_to_mobile: ["按手机宽度显示卡片", "Show cards at phone width"],
  width_to_desktop: ["按桌面宽度显示卡片", "Show cards at desktop width"],
  connected_one: ["1 个客户端已连接", "1 client connected"],
  connected_many: ["{n} 个客户端已连接", "{n} clients connected"],
  connected_webhook: ["事件推送到 {url}", "events are sent to {url}"],
  connected_none: ["没有客户端连接", "no client connected"],
  connected_none_hint: ["事件会排队等待，直到客户端通过长连接连接到以下地址。", "Events wait until a client opens a long connection to this address."],
  address: ["地址", "Address"],
  unreachable: ["无法连接服务器", "the server is unreachable"],
  reconnecting: ["与服务器的连接已断开，正在重新连接…", "The connection to the server is lost. Reconnecting…"],
  chats: ["消息", "Chats"],
  chat: ["会话", "Chat"],
  events: ["事件", "Events"],
  tools: ["工具", "Tools"],
  requests: ["请求", "Requests"],
  money: ["账目", "Money"],
  faults: ["故障", "Faults"],
  world: ["组织", "World"],
  copy_link: ["复制链接", "Copy link"],
  copy_text: ["复制内容", "Copy"],
  copy_curl: ["复制为 curl（令牌写作 $TOKEN）", "Copy as curl (the token is $TOKEN)"],
  message_missing: ["链接中的消息不在最近的消息里", "The message of the link is not among the newest ones"],
  search_hint: ["搜索会话与消息", "Search messages"],
  hits: ["{n} 条消息", "{n} messages"],
  nothing_found: ["没有找到“{text}”", "Nothing found for “{text}”"],
  nothing_found_short: ["没有匹配的记录", "Nothing matches"],
  keys: ["键盘操作", "Keyboard"],
  key_search: ["搜索会话与消息", "Search chats and messages"],
  key_next: ["下一个会话、消息或记录", "Next chat, message or entry"],
  key_previous: ["上一个", "Previous one"],
  key_sides: ["在会话列表与消息之间切换", "Between the chats and the messages"],
  key_open: ["打开", "Open"],
  key_areas: ["打开右侧的区域", "Open an area of the tools"],
  key_compose: ["写消息", "Write a message"],
  key_help: ["显示键盘操作", "Show these keys"],
  key_escape: ["关闭，或离开输入框", "Close, or leave the field"],
  write_as: ["以 {name} 的身份发消息", "Write as {name}"],
  not_a_member: ["{name} 不在群内", "{name} is not in this group"],
  message_text: ["消息", "Message"],
  send_message: ["发送（Enter）", "Send (Enter)"],
  attach: ["发送图片或文件", "Send an image or a file"],
  remove_file: ["移除 {name}", "Remove {name}"],
  file_too_large: ["{name} 超过 30 MB", "{name} is larger than 30 MB"],
  file_empty: ["{name} 是空文件", "{name} is empty"],
  mention_bot: ["@机器人", "@bot"],
  in_thread: ["在话题中回复", "Reply in thread"],
  bot_menu: ["机器人菜单", "Menu of the bot"],
  enter_chat: ["进入会话", "Enter the chat"],
  reply: ["回复", "Reply"],
  replying_to: ["回复 {name}：{text}", "Reply to {name}: {text}"],
  cancel_reply: ["取消回复", "Cancel the reply"],
  react: ["添加表情", "React"],
  recall: ["撤回", "Recall"],
  recalled: ["消息已撤回", "This message was recalled"],
  mark_read: ["标为已读", "Mark as read"],
  read_n: ["{n} 人已读", "read by {n}"],
  unread_yet: ["未读", "unread"],
  pinned: ["已置顶", "pinned"],
  only_visible_to: ["仅 {name} 可见", "only {name} sees it"],
  quote_missing: ["被回复的消息不在最近的消息里", "The message it replies to is not among the newest ones"],
  thread_n: ["话题 · {n} 条回复", "Thread ({n})"],
  show_thread: ["显示另外 {n} 条", "Show {n} more"],
  image_preview: ["[图片]", "[Image]"],
  request_search: ["搜索路径、错误码、内容", "Search path, code or body"],
  only_failed: ["仅失败", "Failed only"],
  refused_title: ["被拒绝的请求", "Refused requests"],
  request_query: ["查询参数", "Query"],
  request_body: ["请求", "Request"],
  answer_body: ["响应", "Answer"],
  body_gone: ["内容已不再保留", "The body is no longer kept"],
  bytes_n: ["{n} 字节", "{n} bytes"],
  headers: ["请求头与响应头", "Headers"],
  quota_title: ["频率限制", "Rate limits"],
  no_quotas: ["当前没有占用任何限额", "No limit is in use right now"],
  quotas_off: ["未启用频率限制", "Rate limits are off"],
  quotas_unused: ["未占用的限额（{n}）", "Unused limits ({n})"],
  per_seconds: ["{n} 秒", "{n} s"],
  quota_use: ["{used} / {calls} · {window}", "{used} / {calls} · {window}"],
  quota_left: ["剩余 {n} 次", "{n} left"],
  ledger_title: ["余额变动", "Balance changes"],
  no_ledger: ["还没有余额变动", "No balance changes yet"],
  all_accounts: ["全部账户", "All accounts"],
  balance_now: ["当前余额：{balance}", "Balance: {balance}"],
  reason_change: ["变动", "change"],
  reason_reward: ["外部奖励", "external reward"],
  reason_withdrawal: ["提现", "withdrawal"],
  fault_search: ["搜索故障", "Search faults"],
  no_fault_found: ["没有匹配的故障", "No fault matches"],
  start_fault: ["开始", "Start"],
  options_n: ["{n} 个选项", "{n} options"],
  repeat_fault: ["持续期间重复", "Repeat while it lasts"],
  call_fault: ["接口规则", "Rule for calls"],
  fault_group_other: ["其他", "Other"],
  option_websocket_pongs: ["仍应答 WebSocket 心跳", "Still answer WebSocket pings"],
  option_code: ["代码", "Code"],
  option_status: ["HTTP 状态码", "HTTP status"],
  option_auth_code: ["认证错误码", "Auth error code"],
  option_headers: ["带原因响应头", "With the headers of the reason"],
  option_count: ["重连次数", "Number of reconnects"],
  option_without: ["缺少的字段", "Missing keys"],
  option_ping_interval_seconds: ["心跳间隔（秒）", "Ping interval (s)"],
  option_delay_seconds: ["延迟（秒）", "Delay (s)"],
  option_match: ["接口", "Calls"],
  option_header: ["带等待时间响应头", "With the header of the time to wait"],
  option_reset_seconds: ["等待时间（秒）", "Time to wait (s)"],
  option_body: ["响应格式", "Format of the answer"],
  option_expire: ["已签发的令牌也失效", "Issued tokens expire too"],
  option_damage: ["损坏方式", "Damage"],
  option_scope: ["权限", "Scope"],
  option_chat_id: ["群", "Group"],
  option_open_id: ["人员", "Person"],
  option_seconds: ["秒数（负数为后退）", "Seconds (negative: back)"],
  people: ["人员", "People"],
  views: ["视图", "Views"],
  no_chats: ["还没有会话", "No chats yet"],
  search: ["搜索", "Search"],
  more_chats: ["还有 {n} 个会话，请使用搜索", "{n} more chats; use the search"],
  more_people: ["还有 {n} 人", "{n} more people"],
  refusals: ["已拒绝的请求：", "Refused requests:"],
  unknown_calls: ["沙盒不认识的接口：", "Calls that the sandbox does not know:"],
  hold: ["暂停推送", "Pause pushes"],
  release: ["恢复推送", "Resume pushes"],
  held: ["已暂停", "paused"],
  on_hold: ["推送已暂停，新事件将在恢复后发送。", "Pushes are paused. New events are sent when you resume."],
  choose_chat: ["选择一个会话", "Choose a chat"],
  choose_chat_hint: ["左侧是每个人与机器人的单聊，以及各个群。", "The list on the left has everyone's chat with the bot, and the groups."],
  no_messages: ["还没有消息", "No messages yet"],
  no_messages_hint: ["在右侧创建一个事件，卡片会显示在这里。", "Create an event on the right. Its card appears here."],
  show_earlier: ["显示更早的 {n} 条消息", "Show {n} earlier messages"],
  new_messages: ["{n} 条新消息", "{n} new messages"],
  unread: ["{n} 条未读", "{n} unread"],
  bot: ["机器人", "Bot"],
  bot_name: ["内推奖励助手", "Referral Rewards"],
  members: ["{n} 人", "{n} people"],
  operator: ["授权人员", "operator"],
  operators: ["授权人员：{names}", "operators: {names}"],
  list_separator: ["、", ", "],
  not_operator: ["本群由 {names} 提现；点击按钮会以 {me} 的身份发送。", "Here {names} may withdraw. Clicks are sent as {me}."],
  identity_operator: ["{name}（授权人员）", "{name}, operator"],
  p2p_with: ["与机器人的单聊", "Chat with the bot"],
  bot_left: ["机器人不在群内", "The bot is not in this group"],
  not_your_chat: ["这是 {owner} 的单聊；点击按钮会以 {me} 的身份发送。", "This is the chat of {owner}. Clicks are sent as {me}."],
  switch_to: ["切换为 {name}", "Switch to {name}"],
  back: ["返回", "Back"],
  updated: ["已更新 {time}", "updated {time}"],
  show_source: ["查看消息 JSON", "Show message JSON"],
  source: ["消息 JSON", "Message JSON"],
  close: ["关闭", "Close"],
  cancel: ["取消", "Cancel"],
  confirm: ["确定", "Confirm"],
  create_event: ["创建事件", "Create an event"],
  account: ["内推账户", "Referral account"],
  balance: ["当前余额", "Current balance"],
  points: ["积分", "Points"],
  points_n: ["{n} 积分", "{n} points"],
  no_cash: ["无现金", "no cash"],
  currency: ["币种", "Currency"],
  delta_points: ["积分变动", "Points change"],
  delta_cash: ["现金变动", "Cash change"],
  quick: ["快捷金额", "Quick amounts"],
  account_deactivated: ["账户已停用", "account deactivated"],
  no_accounts: ["还没有账户", "No accounts yet"],
  send_mode: ["发送方式", "How to send"],
  mode_once: ["一次", "Once"],
  mode_twice: ["两次（事件 ID 相同）", "Twice (same event id)"],
  mode_copy: ["复制（新事件 ID，内容相同）", "Copy (new event id, same content)"],
  mode_reversed: ["乱序（两次变动，后发生的先送达）", "Out of order (two changes, the later one arrives first)"],
  hint_once: ["推送一次，为正常情况。", "Pushed once: the normal case."],
  hint_twice: ["飞书可能重复推送同一事件，此时应只出现一张卡片。", "Feishu can push an event twice. Only one card should appear."],
  hint_copy: ["余额没有再次变动，不应出现第二张卡片。", "The balance does not change again. No second card should appear."],
  hint_reversed: ["变动 1 先发生，但变动 2 先送达；最终余额应以变动 2 为准。", "Change 1 happens first, but change 2 arrives first. The final balance should be that of change 2."],
  first_change: ["变动 1", "Change 1"],
  second_change: ["变动 2（先送达）", "Change 2 (arrives first)"],
  send: ["发送事件", "Send event"],
  sending: ["发送中…", "Sending…"],
  sent: ["已发送 {ids}", "Sent {ids}"],
  bad_points: ["积分变动应为整数，例如 +100", "The points change must be a whole number, such as +100"],
  bad_cash: ["现金变动应为金额，例如 -200.50", "The cash change must be an amount, such as -200.50"],
  bad_cash_whole: ["该币种没有小数", "This currency has no decimals"],
  nothing_to_send: ["请先填写积分或现金变动", "Enter a points or cash change first"],
  choose_account: ["请选择账户", "Choose an account"],
  event_log: ["事件记录", "Event log"],
  no_events: ["还没有事件", "No events yet"],
  state_waiting: ["等待中", "waiting"],
  state_acknowledged: ["已确认", "acknowledged"],
  state_given_up: ["已放弃", "given up"],
  no_push: ["尚未推送", "not pushed yet"],
  request_log: ["请求记录", "Request log"],
  no_requests: ["还没有请求", "No requests yet"],
  withdrawal_log: ["提现流水", "Withdrawals"],
  no_withdrawals: ["还没有提现", "No withdrawals yet"],
  requested_n: ["请求 {n} 次", "requested {n}×"],
  nothing_to_withdraw: ["无可提现余额", "nothing to withdraw"],
  payout_log: ["付款系统", "Payroll system"],
  no_payouts: ["还没有付款", "No payouts yet"],
  payout_paid: ["已付款", "Paid"],
  payout_failed: ["付款失败", "Failed"],
  payout_reason: ["失败原因", "Reason for failure"],
  payout_reason_needed: ["请填写失败原因：内推人和 HR 会看到。", "Say why it failed: the referrer and HR read it."],
  state_accepted: ["已受理", "accepted"],
  state_paid: ["已付款", "paid"],
  state_failed: ["付款失败", "failed"],
  received_n: ["收到 {n} 次", "received {n}×"],
  report_to: ["付款结果回报到 {url}", "Results are reported to {url}"],
  no_report_url: ["未设置付款结果回报地址", "No URL for result reports"],
  reported: ["已回报 · HTTP {status}", "reported · HTTP {status}"],
  report_refused: ["回报被拒 · HTTP {status}", "report refused · HTTP {status}"],
  report_failed: ["回报失败：{error}", "report failed: {error}"],
  reporting: ["回报中…", "reporting…"],
  people_groups: ["人员与群", "People and groups"],
  status: ["状态", "Status"],
  status_active: ["在职", "active"],
  status_resigned: ["已离职", "resigned"],
  status_bot_stopped: ["已停用机器人", "stopped the bot"],
  status_out_of_range: ["不在可用范围", "outside the app's availability"],
  status_blocked: ["已屏蔽机器人", "blocked the bot"],
  has_bot: ["机器人在群内", "Bot in group"],
  time_title: ["时间与摘要", "Time and digests"],
  advance_hour: ["快进 1 小时", "Forward 1 hour"],
  advance_day: ["快进 1 天", "Forward 1 day"],
  advance_week: ["快进 1 周", "Forward 1 week"],
  time_hint: ["快进后，通知服务的时钟随之前进，到期的摘要会立即发送；超过补发时限（默认 72 小时）的摘要只记为已错过。", "The clock of the notifier follows. Digests that become due are sent at once. Digests due more than 72 hours ago (by default) are only recorded as missed."],
  ahead: ["比真实时间快 {n} 小时", "{n} h ahead of real time"],
  behind: ["比真实时间慢 {n} 小时", "{n} h behind real time"],
  send_digest: ["立即发送今日摘要", "Send today's digest now"],
  sending_digest: ["正在生成摘要…", "Creating the digest…"],
  digest_sending: ["{recipient}：摘要已生成，正在发送", "{recipient}: the digest is being sent"],
  digest_no_changes: ["{recipient}：没有变动，按设置不发送", "{recipient}: no changes, so the digest is not sent"],
  digest_already_sent: ["{recipient}：本期摘要已发送过", "{recipient}: the digest of this period has already been sent"],
  digest_referrers: ["内推人", "referrers"],
  faults_title: ["模拟故障", "Simulate faults"],
  long_connection: ["长连接", "Long connection"],
  long_connection_ok: ["正常", "working"],
  long_connection_unresponsive: ["无响应", "not responding"],
  long_connection_lost: ["已断开", "disconnected"],
  long_connection_unused: ["未使用：事件推送到回调地址", "not used: events are sent to the webhook"],
  long_connection_never: ["尚未连接", "never connected"],
  long_connection_lost_at: ["上次断线", "Last disconnect"],
  long_connection_offline: ["离线时长", "Time offline"],
  long_connection_reconnects: ["重连次数", "Reconnects"],
  seconds_n: ["{n} 秒", "{n} s"],
  faults_running: ["进行中的故障", "Running faults"],
  no_faults: ["没有进行中的故障", "No running faults"],
  end_fault: ["结束", "End"],
  end_all: ["全部结束", "End all"],
  fault_started: ["已开始：{name}", "Started: {name}"],
  fault_ended: ["已结束：{name}", "Ended: {name}"],
  ends_after: ["持续", "Duration"],
  for_seconds: ["{n} 秒", "{n} seconds"],
  for_times: ["{n} 次", "{n} hits"],
  until_ended: ["直到手动结束", "until you end it"],
  left_seconds: ["还剩 {n} 秒", "{n} s left"],
  left_times: ["还剩 {n} 次", "{n} hits left"],
  hits_n: ["已影响 {n} 次", "{n} hits"],
  fault_group_network: ["网络与长连接", "Network and long connection"],
  fault_group_discovery: ["连接地址获取与握手", "Endpoint discovery and handshake"],
  fault_group_calls: ["接口与令牌", "API calls and tokens"],
  fault_group_pushes: ["事件推送", "Event pushes"],
  fault_group_time: ["时钟", "Clock"],
  fault_drop: ["断线", "Disconnect"],
  effect_drop: ["所有长连接被重置；持续期间，新连接也会被重置。", "All long connections are reset; while the fault lasts, new ones too."],
  fault_black_hole: ["网络黑洞", "Black hole"],
  effect_black_hole: ["连接保持打开，但请求得不到响应，也没有推送。", "Connections stay open, but requests get no answer and nothing is pushed."],
  fault_half_open: ["半开连接", "Half-open"],
  effect_half_open: ["现有长连接已失效但不断开，新连接正常。", "Existing long connections stay open but do not work. New ones work."],
  fault_goes_silent_after_connect: ["连接后无响应", "Silent after connect"],
  effect_goes_silent_after_connect: ["新连接可以建立，但此后不再收到任何消息。", "New connections are accepted but then get no messages."],
  fault_no_pongs: ["无 pong", "No pongs"],
  effect_no_pongs: ["心跳得不到响应，事件照常推送。", "Pings are not answered; events are still pushed."],
  fault_close_code: ["关闭连接", "Close frame"],
  effect_close_code: ["服务端用 WebSocket 关闭帧关闭所有长连接。", "All long connections are closed with a WebSocket close frame."],
  fault_discovery_hangs: ["获取地址无响应", "Discovery hangs"],
  effect_discovery_hangs: ["获取连接地址的请求一直没有响应。", "Endpoint discovery never answers."],
  fault_discovery_refused: ["获取地址被拒", "Discovery refused"],
  effect_discovery_refused: ["获取连接地址的请求返回错误码。", "Endpoint discovery answers with an error code."],
  fault_discovery_html: ["获取地址返回 HTML", "Discovery HTML"],
  effect_discovery_html: ["获取连接地址的请求返回网关的 HTML 页面。", "Endpoint discovery answers with the HTML page of a gateway."],
  fault_handshake_refused: ["握手被拒", "Handshake refused"],
  effect_handshake_refused: ["WebSocket 握手被拒绝。", "The WebSocket handshake is refused."],
  fault_finite_reconnect_count: ["限制重连次数", "Limited reconnects"],
  effect_finite_reconnect_count: ["服务端下发的配置限制了重连次数。", "The client configuration limits the number of reconnects."],
  fault_client_config: ["客户端配置异常", "Client configuration"],
  effect_client_config: ["服务端下发的客户端配置缺少字段，或心跳间隔不同。", "The client configuration lacks keys or has another ping interval."],
  fault_slow: ["响应缓慢", "Slow answers"],
  effect_slow: ["接口延迟一段时间后才响应。", "Calls are answered late."],
  fault_429: ["限流 429", "Rate limit 429"],
  effect_429: ["接口返回请求频率超限。", "Calls are refused because of the rate limit."],
  fault_500: ["错误 500", "Error 500"],
  effect_500: ["接口返回服务器内部错误。", "Calls fail with an internal server error."],
  fault_timeout_after_success: ["成功后超时", "Timeout after success"],
  effect_timeout_after_success: ["请求已执行，但没有响应。", "Calls are executed but not answered."],
  fault_reset_after_success: ["成功后重置", "Reset after success"],
  effect_reset_after_success: ["请求已执行，随后连接被重置。", "Calls are executed, then the connection is reset."],
  fault_truncate: ["响应截断", "Truncated answer"],
  effect_truncate: ["请求已执行，但只返回一半响应。", "Calls are executed, but only half of the answer is sent."],
  fault_expire_tokens: ["令牌过期", "Expire tokens"],
  effect_expire_tokens: ["已签发的令牌立即失效。", "All issued tokens expire."],
  fault_refuse_tokens: ["拒绝签发令牌", "Refuse tokens"],
  fault_refuse_app: ["停用应用", "Disable the app"],
  effect_refuse_app: ["所有请求都被拒绝：应用已停用（99991662）。", "All calls are refused: the app is disabled (99991662)."],
  effect_refuse_tokens: ["令牌全部失效，且不再签发新令牌（10014）。", "All tokens expire, and no new token is issued (10014)."],
  fault_duplicate: ["重复推送", "Duplicate"],
  effect_duplicate: ["每个事件推送两次，再以新的事件 ID 推送一次。", "Each event is pushed twice, and once more with a new event id."],
  fault_reorder: ["倒序推送", "Reorder"],
  effect_reorder: ["事件先暂存，故障结束时按倒序推送。", "Events are held, and pushed in reverse order when the fault ends."],
  fault_corrupt: ["推送损坏", "Corrupt"],
  effect_corrupt: ["事件的首次推送损坏，重推正常。", "The first push of an event is damaged; the next push is intact."],
  fault_group_setup: ["接入配置错误", "Set-up errors"],
  "fault_setup:wrong_secret": ["App Secret 错误", "Wrong app secret"],
  "effect_setup:wrong_secret": ["App Secret 已重置，旧密钥失效（10015）。", "The app secret was reset. The old one is not valid (10015)."],
  "fault_setup:scope_missing": ["缺少权限", "Scope missing"],
  "effect_setup:scope_missing": ["缺少一项权限，相关接口返回 99991672。", "The app lacks one scope. Its calls answer 99991672."],
  "fault_setup:unpublished": ["版本未发布", "Version not published"],
  "effect_setup:unpublished": ["权限和订阅已添加，但版本未发布，均未生效。", "Scopes and subscriptions are set but not in force, because no version is published."],
  "fault_setup:event_not_subscribed": ["未订阅事件", "Event not subscribed"],
  "effect_setup:event_not_subscribed": ["未订阅余额事件，不推送。", "The app does not subscribe to the balance event. None is pushed."],
  "fault_setup:callback_not_subscribed": ["未订阅回调", "Callback not subscribed"],
  "effect_setup:callback_not_subscribed": ["未订阅卡片回调，点击按钮提示 200340。", "The app does not subscribe to the card callback. A press shows 200340."],
  "fault_setup:bot_off": ["未添加机器人能力", "No bot ability"],
  "effect_setup:bot_off": ["应用没有机器人能力，发消息返回 230006。", "The app has no ability Bot. Messages answer 230006."],
  "fault_setup:bot_not_in_group": ["机器人不在群内", "Bot not in group"],
  "effect_setup:bot_not_in_group": ["机器人不在招聘群内，发消息返回 230002。", "The bot is not in the HR group. Messages answer 230002."],
  "fault_setup:outside_availability": ["不在可用范围", "Outside availability"],
  "effect_setup:outside_availability": ["所有人都不在应用可用范围内，发消息返回 230013。", "Everybody is outside the availability range. Messages answer 230013."],
  "fault_setup:contact_range_empty": ["通讯录范围为空", "Contact range empty"],
  "effect_setup:contact_range_empty": ["通讯录权限范围为空，读取人员返回 41050。", "The contact range is empty. Reads of people answer 41050."],
  "fault_setup:other_program": ["另一程序已连接", "Other program"],
  "effect_setup:other_program": ["另一个程序也连接了该应用。", "Another program is connected to the app."],
  "fault_setup:ip_not_allowed": ["IP 不在白名单", "IP not allowed"],
  "effect_setup:ip_not_allowed": ["本机 IP 不在白名单内，所有请求返回 99991401。", "The address of this machine is not in the IP allow-list. All calls answer 99991401."],
  "fault_setup:app_disabled": ["应用被停用", "App disabled"],
  "effect_setup:app_disabled": ["管理员停用了应用（10014、99991662）。", "The administrator disabled the app (10014, 99991662)."],
  "fault_setup:wrong_chat_id": ["群 ID 错误", "Wrong chat_id"],
  "effect_setup:wrong_chat_id": ["招聘群的 chat_id 不存在（99992356）。", "The chat_id of the HR group does not exist (99992356)."],
  "fault_setup:foreign_operator": ["其他应用的 open_id", "Foreign open_id"],
  "effect_setup:foreign_operator": ["授权人员的 open_id 属于其他应用（99992361）。", "The operator's open_id belongs to another app (99992361)."],
  "fault_setup:wrong_clock": ["时钟偏差", "Clock differs"],
  "effect_setup:wrong_clock": ["飞书的时间与本机相差 10 分钟。", "Feishu's clock differs from that of this machine by 10 minutes."],
  "fault_setup:nobody_registered": ["无人注册", "Nobody registered"],
  "effect_setup:nobody_registered": ["应用没有注册任何内推账户。", "The app has registered no referral account."],
  console_title: ["开发者后台", "Developer console"],
  console_hint: ["修改后需创建版本并发布才会生效。机器人加入群请在“人员与群”中操作。", "Changes take effect after you create a version and publish it. Add the bot to a group under People and groups."],
  console_scopes: ["权限管理", "Permissions & Scopes"],
  console_bot: ["添加应用能力：机器人", "Add Features: Bot"],
  console_event_mode: ["事件与回调 › 事件配置：长连接", "Events & Callbacks › Event Configuration: long connection"],
  console_events: ["添加事件", "Add event"],
  console_callback_mode: ["事件与回调 › 回调配置：长连接", "Events & Callbacks › Callback Configuration: long connection"],
  console_callbacks: ["添加回调", "Add callback"],
  console_availability: ["可用范围：全部成员", "Availability range: all members"],
  console_contact_range: ["通讯录权限范围：全部成员", "Contact range: all members"],
  console_publish: ["创建版本并发布", "Create and publish a version"],
  console_published: ["当前版本已发布", "The current settings are published"],
  console_unpublished: ["有未发布的修改", "There are unpublished changes"],
  console_never: ["尚未发布版本", "No version is published yet"],
  fault_clock: ["时钟跳变", "Clock jump"],
  effect_clock: ["沙盒时钟向前或向后跳变，通知服务的时钟随之变化。", "The clock of the sandbox jumps; the clock of the notifier follows."],
  choice_bytes: ["字节翻转", "bytes flipped"],
  choice_header: ["缺少头部", "header missing"],
  choice_chunk: ["缺少分片", "chunk missing"],
  in_turn: ["轮流", "in rotation"],
  done: ["完成", "Done"],
  failed: ["失败：{error}", "Failed: {error}"],
  click_failed: ["操作失败", "The click failed"],
  clicked_code: ["出错了，请稍后重试 code: {code}", "Something went wrong, try again later. code: {code}"],
  pick_identity: ["请先在右上角选择“我是”", "First choose who you are (top right)"],
  image: ["图片", "Image"],
  file: ["文件", "File"],
  expand: ["展开全部（{n} 字）", "Show all ({n} characters)"],
  collapse: ["收起", "Show less"],
  card_preview: ["[卡片]", "[Card]"],
  file_preview: ["[文件]", "[File]"],
  unsupported: ["暂不支持显示此内容：{what}", "This content is not supported: {what}"],
  unsupported_hint: ["旧版客户端会在此提示升级", "Old clients show an upgrade hint here"],
  unsupported_schema: ["卡片 JSON 1.0", "card JSON 1.0"],
  unsupported_template: ["卡片模板 {id}", "card template {id}"],
  broken_card: ["卡片无法显示：{error}", "This card cannot be shown: {error}"],
  chart: ["图表", "Chart"],
  broken_chart: ["图表无法显示：{error}", "This chart cannot be shown: {error}"],
  chart_type: ["飞书不支持图表类型“{type}”，可用：{types}", "Feishu has no chart type “{type}”. It has: {types}"],
  unknown_user: ["未知用户", "Unknown user"],
  everyone: ["所有人", "everyone"],
  page_of: ["{n}/{all}", "{n}/{all}"],
  previous: ["上一页", "Previous page"],
  next: ["下一页", "Next page"],
  unsafe_link: ["链接不安全，未打开", "The link is unsafe and was not opened"],
  required: ["请填写“{name}”", "“{name}” is required"],
  confirm_choice: ["确定", "OK"],
  more: ["更多", "More"],
  table: ["表格", "Table"],
  choose: ["请选择", "Choose"],
  choose_first: ["请先选择：{name}", "Choose {name} first"],
  more_columns: ["向右滑动查看其余列", "Scroll right for more columns"],
  today: ["今天", "Today"],
  yesterday: ["昨天", "Yesterday"],
  announce: ["{chat} 有新消息：{text}", "New message in {chat}: {text}"],
};

const CURRENCY_DECIMALS = { JPY: 0 };
export const CURRENCIES = ["CNY", "USD", "JPY", "EUR"];

let current = "zh_cn";

export function language() {
  return current;
}

export function setLanguage(code) {
  current = code === "en_us" ? "en_us" : "zh_cn";
  document.documentElement.lang = current === "en_us" ? "en" : "zh-CN";
}

/** The page's language for a reader's list of languages, the preferred one first. English for other languages. */
export function preferredLanguage(list) {
  const known = list.map((code) => /^(zh|en)\b/i.exec(code)?.[1].toLowerCase()).find(Boolean);
  return known === "zh" ? "zh_cn" : "en_us";
}

export const isEnglish = () => current === "en_us";
export const locale = () => (isEnglish() ? "en-US" : "zh-CN");

/** Removes marks that change the text direction, so that foreign text cannot reorder the sentence around it. */
export const stripDirectionMarks = (text) => String(text ?? "").replace(/[\u202a-\u202e\u2066-\u2069]/g, "");

export function t(key, values = {}) {
  const pair = TEXTS[key];
  if (!pair) return key;
  return pair[isEnglish() ? 1 : 0].replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(values, name) ? stripDirectionMarks(values[name]) : whole));
}

/** Sets the texts of static elements: data-t is the text, data-t-label the accessible name. */
export function applyTexts(root = document) {
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const node of root.querySelectorAll("[data-t-placeholder]")) node.placeholder = t(node.dataset.tPlaceholder);
  for (const node of root.querySelectorAll("[data-t-title]")) node.title = t(node.dataset.tTitle);
  document.title = t("page_title");
}

export const decimalsOf = (currency) => CURRENCY_DECIMALS[currency] ?? 2;

/** Formats an amount such as "-200.5". The digits are grouped as text, so nothing is rounded. */
export function money(currency, amount, { sign = false } = {}) {
  const match = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(String(amount).trim());
  if (!match) return `${currency} ${amount}`;
  const [, mark, whole, fraction = ""] = match;
  const decimals = decimalsOf(currency);
  const tail = decimals ? `.${fraction.padEnd(decimals, "0")}` : fraction && !/^0+$/.test(fraction) ? `.${fraction}` : "";
  const minus = mark === "-" ? "-" : sign ? "+" : "";
  return `${minus}${symbolOf(currency)}${group(whole)}${tail}`;
}

export const group = (digits) => String(digits).replace(/^(\D?)0+(?=\d)/, "$1").replace(/\B(?=(\d{3})+(?!\d))/g, ",");

export function symbolOf(currency) {
  return { CNY: "¥", USD: "$", EUR: "€", JPY: "JP¥" }[currency] ?? `${currency} `;
}

const formats = new Map();
function format(options) {
  const key = locale() + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale(), options));
  return formats.get(key);
}

const padTwo = (n) => String(n).padStart(2, "0");
export const clock = (ms) => { const d = new Date(ms); return `${padTwo(d.getHours())}:${padTwo(d.getMinutes())}`; };
export const clockSeconds = (ms) => `${clock(ms)}:${padTwo(new Date(ms).getSeconds())}`;
export const dayKey = (ms) => { const d = new Date(ms); return `${d.getFullYear()}-${d.getMonth()}-${d.getDate()}`; };

export function dayName(ms, now) {
  if (dayKey(ms) === dayKey(now)) return t("today");
  if (dayKey(ms) === dayKey(now - 86_400_000)) return t("yesterday");
  const sameYear = new Date(ms).getFullYear() === new Date(now).getFullYear();
  return format(sameYear ? { month: "short", day: "numeric" } : { year: "numeric", month: "short", day: "numeric" }).format(ms);
}

/** The time of the chat list: hours and minutes for today, else the day. */
export const shortTime = (ms, now) => (dayKey(ms) === dayKey(now) ? clock(ms) : dayName(ms, now));

/** The text of <local_datetime>, in the time zone and language of the reader. */
export function localDatetime(ms, type) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "";
  switch (type) {
    case "date_short": return format({ month: "short", day: "numeric" }).format(date);
    case "date": return format({ year: "numeric", month: isEnglish() ? "short" : "long", day: "numeric" }).format(date);
    case "week": return format({ weekday: "long" }).format(date);
    case "week_short": return format({ weekday: "short" }).format(date);
    case "time": return clock(ms);
    case "time_sec": return clockSeconds(ms);
    case "timezone": return zoneName(date);
    default: return `${date.getFullYear()}/${padTwo(date.getMonth() + 1)}/${padTwo(date.getDate())}`;
  }
}

function zoneName(date) {
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `GMT${minutes < 0 ? "-" : "+"}${Math.floor(size / 60)}${size % 60 ? `:${padTwo(size % 60)}` : ""}`;
}
