// The open chat: its head, its messages with reactions, replies and threads, and what a person does with a message.

import { append, byId, h, icon, syncList } from "./dom.js";
import { clock, dayKey, dayName, t } from "./texts.js";
import { avatar, mention, personName } from "./markdown.js";
import { renderCard } from "./card.js";
import { unsupported } from "./common_components.js";
import { chatName, mentionName, personOf, preview, senderName } from "./chats.js";
import { highlight, linkButton } from "./navigation.js";

const MESSAGES_SHOWN = 200;
const NEAR_BOTTOM = 90;
const LONG_TEXT = 2000;
const THREAD_SHOWN = 2;

/** The reactions that a press offers; others are shown as their name. */
export const EMOJIS = { THUMBSUP: "👍", OK: "👌", DONE: "✅", HEART: "❤️", APPLAUSE: "👏", PARTY: "🎉", SMILE: "😊", THANKS: "🙏" };
const MORE_EMOJIS = { JIAYI: "➕", FINGERHEART: "🫰", LAUGH: "😄", CRY: "😢", ANGRY: "😠", THINKING: "🤔", MUSCLE: "💪", FIRE: "🔥", Fire: "🔥", Get: "👌", OnIt: "🫡", CROSSMARK: "❌", CheckMark: "✔️", LGTM: "LGTM" };
const emojiOf = (type) => EMOJIS[type] ?? MORE_EMOJIS[type] ?? type;

export class Conversation {
  /** host(message): the host of a card, see renderCard. actions: {source, reply, react, unreact, recall, read}. */
  constructor({ host, actions }) {
    this.host = host;
    this.actions = actions;
    this.box = byId("stream");
    this.list = byId("messages");
    this.chatId = null;
    this.extra = 0;
    this.newCount = 0;
    this.known = new Set();
    this.openThreads = new Set();
    this.box.addEventListener("scroll", () => { if (this.atBottom()) this.setNewCount(0); }, { passive: true });
    byId("jump").addEventListener("click", () => this.toBottom(true));
    byId("earlier").addEventListener("click", () => this.showEarlier());
    new ResizeObserver(() => { if (this.pinned) this.toBottom(); }).observe(this.list);
    this.box.addEventListener("scroll", () => { this.pinned = this.atBottom(); }, { passive: true });
    this.pinned = true;
  }

  atBottom() {
    return this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < NEAR_BOTTOM;
  }

  toBottom(smooth = false) {
    const reducedMotion = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.box.scrollTo({ top: this.box.scrollHeight, behavior: smooth && !reducedMotion ? "smooth" : "instant" });
    this.pinned = true;
    this.setNewCount(0);
  }

  setNewCount(n) {
    this.newCount = n;
    const jump = byId("jump");
    jump.hidden = n === 0;
    if (n) jump.replaceChildren(icon("down", 14), document.createTextNode(t("new_messages", { n })));
  }

  showEarlier() {
    const before = this.box.scrollHeight - this.box.scrollTop;
    this.extra += MESSAGES_SHOWN;
    this.show(this.chat, this.appearance);
    this.box.scrollTop = this.box.scrollHeight - before;
  }

  /** Scrolls to a message of the open chat and marks it. False when the chat does not have it. */
  reveal(messageId) {
    const message = this.chat?.messages.find((one) => one.message_id === messageId);
    if (!message) return false;
    if (message.root_id) this.openThreads.add(message.root_id);
    this.extra = this.chat.messages.length;
    this.pinned = false;
    this.show(this.chat, this.appearance);
    highlight(this.list.querySelector(`[data-message="${CSS.escape(messageId)}"]`));
    this.pinned = this.atBottom();
    return true;
  }

  /** `appearance` has everything that changes the rendering of all messages: language, width, identity, names. */
  show(chat, appearance) {
    const switched = chat?.chat_id !== this.chatId;
    const stay = !switched && !this.pinned;
    if (switched) {
      this.chatId = chat?.chat_id ?? null;
      this.extra = 0;
      this.known = new Set(chat?.messages.map((message) => message.message_id));
      this.openThreads.clear();
      this.pinned = true;
      this.setNewCount(0);
    }
    this.chat = chat;
    this.appearance = appearance;
    const { list: all, replies } = groupThreads(chat?.messages ?? []);
    const visible = all.slice(-(MESSAGES_SHOWN + this.extra));
    const hidden = all.length - visible.length;
    const earlier = byId("earlier");
    earlier.hidden = hidden === 0;
    earlier.textContent = t("show_earlier", { n: Math.min(MESSAGES_SHOWN, hidden) });
    const fresh = (chat?.messages ?? []).filter((message) => !this.known.has(message.message_id));
    for (const message of fresh) this.known.add(message.message_id);
    const freshIds = new Set(fresh.map((message) => message.message_id));

    let day = null;
    const rows = visible.map((message) => {
      const key = dayKey(message.create_time_ms);
      const divider = key === day ? null : message.create_time_ms;
      day = key;
      return { message, divider, replies: replies.get(message.message_id) ?? [] };
    });
    syncList(this.list, rows, {
      key: ({ message }) => message.message_id,
      sign: (row) => `${[row.message, ...row.replies].map((message) => this.signatureOf(message)).join()}|${this.openThreads.has(row.message.message_id)}|${row.divider ? dayKey(appearance.now) : ""}|${appearance.signature}`,
      create: ({ message }) => h("div", { class: `row ${freshIds.has(message.message_id) && !switched ? "fresh" : ""}` }),
      fill: (node, row) => this.fill(node, row, appearance),
    });
    if (stay) { if (fresh.length) this.setNewCount(this.newCount + fresh.length); }
    else if (switched || fresh.length) this.toBottom();
    return switched ? [] : fresh;
  }

  signatureOf({ message_id, create_time_ms, update_time_ms, reactions, read_by, is_recalled, is_pinned, parent_id, personal_cards }) {
    const parent = parent_id && this.chat.messages.find((one) => one.message_id === parent_id);
    return JSON.stringify([message_id, create_time_ms, update_time_ms, reactions, read_by, is_recalled, is_pinned, parent?.is_recalled, personal_cards]);
  }

  fill(node, { message, divider, replies }, appearance) {
    const focused = node.contains(document.activeElement) ? document.activeElement.dataset.message : null;
    node.replaceChildren();
    append(node, [divider && h("div", { class: "day" }, `${dayName(divider, appearance.now)} ${clock(divider)}`), this.article(message, this.thread(message, replies))]);
    if (focused) node.querySelector(`[data-message="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  article(message, thread = null) {
    const byPerson = message.sender?.sender_type === "user";
    const { people } = this.appearance;
    const name = senderName(message, people);
    return h("article", { class: `message ${byPerson ? "from-person" : "from-bot"} ${message.is_recalled ? "is-recalled" : ""}`, "data-testid": `message-${message.message_id}`, "data-type": message.msg_type, "data-message": message.message_id, tabindex: "-1", "aria-label": `${name} ${clock(message.create_time_ms)}` },
      byPerson ? avatar(message.sender.id, name, "sender") : h("span", { class: "avatar bot", "aria-hidden": "true" }, icon("bolt", 20)),
      h("div", { class: "message-main" },
        this.head(message, name, byPerson),
        this.quote(message),
        message.is_recalled ? h("div", { class: "bubble recalled" }, t("recalled")) : this.body(message),
        this.reactions(message), this.readMark(message), thread));
  }

  head(message, name, byPerson) {
    const { identity } = this.appearance;
    const personal = message.personal_cards?.[identity];
    const edited = message.update_time_ms > message.create_time_ms;
    return h("div", { class: "message-head" }, h("bdi", { class: "message-name" }, name), !byPerson && h("span", { class: "bot-tag" }, t(message.is_of_custom_bot ? "custom_bot" : "bot")),
      h("time", { class: "message-time", datetime: isoOf(message.create_time_ms) }, clock(message.create_time_ms)),
      edited && !message.is_recalled && h("span", { class: "message-time", "data-testid": `updated-${message.message_id}` }, t("updated", { time: clock(message.update_time_ms) })),
      message.is_pinned && h("span", { class: "mark pinned" }, icon("pin", 12), t("pinned")),
      message.visible_to && h("span", { class: "mark ephemeral", "data-testid": `ephemeral-${message.message_id}` }, icon("eye", 12), t("only_visible_to", { name: personName(this.appearance.people.get(message.visible_to)) })),
      personal && h("span", { class: "mark ephemeral" }, icon("eye", 12), t("personal_card", { name: personName(this.appearance.people.get(identity)) })),
      h("span", { class: "message-actions" }, this.buttons(message)));
  }

  buttons(message) {
    const button = (name, glyph, press, props = {}) => h("button", { type: "button", class: "mini", "aria-label": t(name), title: t(name), "data-testid": `${name}-${message.message_id}`, onclick: press, ...props }, icon(glyph, 14));
    const mine = message.sender?.sender_type === "user" && message.sender.id === this.appearance.identity;
    const unread = message.sender?.sender_type !== "user" && this.appearance.identity && !(message.read_by ?? []).includes(this.appearance.identity);
    const usable = !message.is_recalled && message.sender;
    return [
      usable && button("reply", "reply", () => this.actions.reply(message)),
      usable && this.emojiMenu(message),
      usable && unread && button("mark_read", "eye", () => this.actions.read(message)),
      usable && mine && button("recall", "undo", () => this.actions.recall(message)),
      linkButton("chats", message.chat_id, message.message_id),
      button("show_source", "code", () => this.actions.source(message)),
    ];
  }

  emojiMenu(message) {
    const box = h("details", { class: "emoji-menu" }, h("summary", { class: "mini", "aria-label": t("react"), title: t("react"), "data-testid": `react-${message.message_id}` }, icon("smile", 14)));
    box.append(h("div", { class: "emoji-list", role: "group", "aria-label": t("react") }, Object.entries(EMOJIS).map(([type, emoji]) =>
      h("button", { type: "button", "aria-label": type, title: type, "data-testid": `emoji-${type}`, onclick: () => { box.open = false; this.actions.react(message, type); } }, emoji))));
    box.addEventListener("keydown", (event) => { if (event.key === "Escape" && box.open) { box.open = false; box.firstChild.focus(); event.preventDefault(); } });
    box.addEventListener("focusout", (event) => { if (!box.contains(event.relatedTarget)) box.open = false; });
    return box;
  }

  /** The message that a reply answers, as a link to it. A reply in a thread stands below its first message already. */
  quote(message) {
    if (!message.parent_id || (message.thread_id && message.parent_id === message.root_id)) return null;
    const parent = this.chat.messages.find((one) => one.message_id === message.parent_id);
    if (!parent) return h("div", { class: "quote" }, t("quote_missing"));
    return h("a", { class: "quote", href: `#/chats/${encodeURIComponent(parent.chat_id)}/${encodeURIComponent(parent.message_id)}` }, h("bdi", {}, `${senderName(parent, this.appearance.people)}: ${preview(parent).slice(0, 120)}`));
  }

  thread(message, replies) {
    if (!replies.length) return null;
    const open = this.openThreads.has(message.message_id) || replies.length <= THREAD_SHOWN;
    const shown = open ? replies : replies.slice(-THREAD_SHOWN);
    return h("div", { class: "thread", "data-testid": `thread-${message.message_id}` },
      h("div", { class: "thread-head" }, icon("chat", 12), t("thread_n", { n: replies.length })),
      !open && h("button", { type: "button", class: "link-button", onclick: () => { this.openThreads.add(message.message_id); this.show(this.chat, this.appearance); } }, t("show_thread", { n: replies.length - shown.length })),
      shown.map((reply) => this.article(reply)));
  }

  reactions(message) {
    if (!message.reactions?.length || message.is_recalled) return null;
    const { people, identity } = this.appearance;
    const byType = groupBy(message.reactions, (one) => one.emoji_type);
    return h("div", { class: "reactions" }, [...byType].map(([type, list]) => {
      const mine = list.find((one) => one.operator_id === identity);
      const names = list.map((one) => (people.has(one.operator_id) ? personName(people.get(one.operator_id)) : t("bot_name"))).join(t("list_separator"));
      return h("button", { type: "button", class: "reaction", "aria-pressed": String(Boolean(mine)), title: `${type} · ${names}`, "aria-label": `${emojiOf(type)} ${list.length} · ${names}`, "data-testid": `reaction-${message.message_id}-${type}`,
        onclick: () => (mine ? this.actions.unreact(message, mine.reaction_id) : this.actions.react(message, type)) }, h("span", {}, emojiOf(type)), h("span", {}, String(list.length)));
    }));
  }

  readMark(message) {
    if (!message.read_by || message.sender?.sender_type === "user" || message.is_recalled) return null;
    const names = message.read_by.map((openId) => personName(this.appearance.people.get(openId))).join(t("list_separator"));
    return h("div", { class: "read-mark", title: names, "data-testid": `read-${message.message_id}` }, message.read_by.length ? t("read_n", { n: message.read_by.length }) : t("unread_yet"));
  }

  body(message) {
    const host = this.host(message);
    const content = message.personal_cards?.[this.appearance.identity] ?? message.content;
    switch (message.msg_type) {
      case "interactive": return renderCard(content, host);
      case "text": return textBubble(message, host);
      case "post": return postBubble(message, host);
      case "image": return h("div", { class: "bubble image" }, image(content?.image_key));
      case "file": return fileBubble(message);
      default: return h("div", { class: "bubble" }, unsupported(message.msg_type));
    }
  }
}

/** Replies in a thread are shown below its first message, where the chat has it. */
function groupThreads(messages) {
  const ids = new Set(messages.map((message) => message.message_id));
  const isReply = (message) => message.thread_id && message.root_id && message.root_id !== message.message_id && ids.has(message.root_id);
  return { list: messages.filter((message) => !isReply(message)), replies: groupBy(messages.filter(isReply), (message) => message.root_id) };
}

function groupBy(list, keyOf) {
  const groups = new Map();
  for (const one of list) groups.set(keyOf(one), [...(groups.get(keyOf(one)) ?? []), one]);
  return groups;
}

const isoOf = (ms) => (Number.isFinite(ms) ? new Date(ms).toISOString() : "");

function textBubble(message, host) {
  const text = String(message.content?.text ?? "");
  const node = h("div", { class: "bubble text" });
  const long = text.length > LONG_TEXT;
  let open = false;
  const write = () => {
    node.replaceChildren();
    append(node, [withMentions(long && !open ? `${text.slice(0, LONG_TEXT)}…` : text, message, host)]);
    if (long) node.append(h("button", { type: "button", class: "more", "aria-expanded": String(open), onclick: () => { open = !open; write(); } }, open ? t("collapse") : t("expand", { n: text.length })));
  };
  write();
  return node;
}

/** Sent texts mention people as <at user_id="…">name</at>, received texts as @_user_1 with a list of mentions. */
function withMentions(text, message, host) {
  const out = [];
  let from = 0;
  for (const match of text.matchAll(/<at user_id="([^"<>]{1,80})">([^<>]{0,200})<\/at>|@_(?:user_\d+|all)/g)) {
    out.push(text.slice(from, match.index));
    if (match[1] === undefined) out.push(h("span", { class: "mention" }, match[0] === "@_all" ? `@${t("everyone")}` : mentionName(message, match[0])));
    else out.push(match[1] === "all" || host.people.has(match[1]) ? mention(match[1], host) : h("span", { class: "mention" }, `@${match[2] || match[1]}`));
    from = match.index + match[0].length;
  }
  out.push(text.slice(from));
  return out;
}

/** A post is one language, or an object of languages. */
function postBubble(message, host) {
  const { content } = message;
  const post = Array.isArray(content?.content) ? content : content?.[host.language] ?? Object.values(content ?? {}).find((one) => Array.isArray(one?.content)) ?? {};
  return h("div", { class: "bubble post" }, post.title && h("strong", { class: "post-title" }, String(post.title)),
    (post.content ?? []).map((line) => h("p", {}, (Array.isArray(line) ? line : []).map((part) => postPart(part, message, host)))));
}

function postPart(part, message, host) {
  const styles = (part?.style ?? []).map((name) => `post-${name}`).join(" ");
  switch (part?.tag) {
    case "text": case "md": return h("span", { class: styles }, String(part.text ?? ""));
    case "a": return /^https?:\/\//.test(part.href) ? h("a", { class: "link", href: part.href, target: "_blank", rel: "noreferrer" }, String(part.text ?? part.href)) : String(part.text ?? "");
    case "at": return part.user_id === "all" || host.people.has(part.user_id) ? mention(part.user_id, host) : h("span", { class: "mention" }, String(part.user_id).startsWith("@_") ? mentionName(message, part.user_id) : `@${part.user_name || part.user_id}`);
    case "img": return image(part.image_key);
    case "emotion": return h("span", {}, emojiOf(part.emoji_type));
    case "hr": return h("hr");
    case "code_block": return h("pre", { class: "md-pre" }, String(part.text ?? ""));
    default: return h("span", { class: "mention" }, `[${part?.tag ?? "?"}]`);
  }
}

const image = (key) => h("img", { class: "picture", src: `/api/files/${encodeURIComponent(key ?? "")}`, alt: t("image"), title: key, loading: "lazy" });

function fileBubble({ content, file }) {
  const key = String(content?.file_key ?? "");
  const name = file?.name ?? content?.file_name;
  return h("a", { class: "bubble file", href: `/api/files/${encodeURIComponent(key)}`, download: name ?? key, "data-testid": "file-link" },
    h("span", { class: "file-icon", "aria-hidden": "true" }, icon("file", 22)),
    h("span", { class: "file-text" }, h("bdi", { class: "file-name" }, name ?? t("file")), h("small", {}, file ? fileSize(file.bytes) : key)));
}

export const fileSize = (bytes) => (bytes < 1024 ? `${bytes} B` : bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1024 ** 2).toFixed(1)} MB`);

export function showHead({ chat, people, groups, identity, onBack, onSwitchIdentity }) {
  const head = byId("chat-head");
  const note = byId("chat-note");
  head.hidden = !chat;
  note.hidden = true;
  if (!chat) return;
  const name = chatName(chat, people);
  const group = chat.kind === "group" ? groups.get(chat.chat_id) : null;
  const person = personOf(chat, people);
  const operators = group?.operators ?? [];
  const names = operators.map((openId) => (people.has(openId) ? personName(people.get(openId)) : openId)).join(t("list_separator"));
  const below = group ? [t("members", { n: group.members?.length ?? 0 }), names && t("operators", { names })].filter(Boolean).join(" · ") : t("p2p_with");
  head.replaceChildren(
    h("button", { type: "button", class: "tool back", "aria-label": t("back"), onclick: onBack }, icon("back", 20)),
    avatar(chat.open_id ?? chat.chat_id, name, chat.kind === "group" ? "group" : ""),
    h("div", { class: "chat-head-text" }, h("h2", {}, h("bdi", {}, name)), h("p", {}, below)),
  );
  if (person && person.status !== "active") head.append(h("span", { class: "status-tag" }, t(`status_${person.status}`)));
  if (group && !group.has_bot) head.append(h("span", { class: "status-tag" }, t("bot_left")));
  const me = people.get(identity);
  if (person && me && person.open_id !== identity) {
    showNote(note, t("not_your_chat", { owner: personName(person), me: personName(me) }), person, onSwitchIdentity);
  }
  const operator = operators.includes(identity) ? null : people.get(operators[0]);
  if (operator && me) showNote(note, t("not_operator", { names, me: personName(me) }), operator, onSwitchIdentity);
}

/** Says who the reader is here, with a button to become `other`. */
function showNote(note, text, other, onSwitchIdentity) {
  note.hidden = false;
  note.replaceChildren(h("span", {}, text),
    h("button", { type: "button", class: "link-button", "data-testid": "switch-identity", onclick: () => onSwitchIdentity(other.open_id) }, t("switch_to", { name: personName(other) })));
}

export function showEmpty(chat) {
  const box = byId("stream-empty");
  const empty = !chat || chat.messages.length === 0;
  box.hidden = !empty;
  byId("stream").hidden = !chat || empty;
  if (empty) {
    box.replaceChildren(icon("chat", 44), h("strong", {}, t(chat ? "no_messages" : "choose_chat")), h("span", {}, t(chat ? "no_messages_hint" : "choose_chat_hint")));
  }
}

