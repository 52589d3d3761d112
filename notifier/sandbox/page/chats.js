// The chat list and the conversation in the middle.

import { append, byId, h, icon, syncList } from "./dom.js";
import { clock, dayKey, dayName, isEnglish, language, shortTime, stripDirectionMarks, t } from "./texts.js";
import { avatar, mention, personName } from "./markdown.js";
import { cardPreview, renderCard } from "./card.js";
import { unsupported } from "./common_components.js";

const MESSAGES_SHOWN = 200;
const CHATS_SHOWN = 150;
const NEAR_BOTTOM = 90;
const LONG_TEXT = 2000;

/** The name of a chat. A direct chat has the name of its person in the language of the page. */
export function chatName(chat, people) {
  const person = chat.open_id ? people.get(chat.open_id) : null;
  return person ? personName(person) : groupName(chat);
}

/** The name of a group in the language of the page, where it has one. */
export const groupName = (group) => stripDirectionMarks((isEnglish() && group.en_name) || group.name || group.chat_id);

export function preview(message) {
  const { content } = message;
  if (message.msg_type === "interactive") return cardPreview(content);
  if (message.msg_type === "file") return `${t("file_preview")} ${message.file?.name ?? ""}`;
  if (message.msg_type === "text") return String(content?.text ?? "").slice(0, 300).replace(/<at [^<>]*>([^<>]*)<\/at>/g, "@$1");
  return `[${message.msg_type}]`;
}

// --- list ------------------------------------------------------------------------------------------------------

/** The time of the last read message per chat, kept in the session storage of the tab. */
export class Unread {
  constructor() {
    this.seen = new Map();
    try {
      for (const [id, time] of Object.entries(JSON.parse(sessionStorage.getItem("seen") ?? "{}"))) this.seen.set(id, time);
    } catch { /* a first visit, or storage is off */ }
    this.first = this.seen.size === 0;
  }

  /** With the first state of a tab, all messages count as read. */
  initialize(chats) {
    if (this.first) for (const chat of chats) this.markRead(chat);
    this.first = false;
  }

  markRead(chat) {
    const last = chat.messages.at(-1)?.create_time_ms ?? 0;
    if ((this.seen.get(chat.chat_id) ?? -1) >= last) return;
    this.seen.set(chat.chat_id, last);
    try { sessionStorage.setItem("seen", JSON.stringify(Object.fromEntries(this.seen))); } catch { /* storage is off */ }
  }

  count(chat) {
    const time = this.seen.get(chat.chat_id) ?? 0;
    let n = 0;
    for (let i = chat.messages.length - 1; i >= 0 && chat.messages[i].create_time_ms > time; i -= 1) n += 1;
    return n;
  }
}

export const newestFirst = (chats) => [...chats].sort((a, b) => (b.messages.at(-1)?.create_time_ms ?? 0) - (a.messages.at(-1)?.create_time_ms ?? 0));

/** Shows the newest chats that match the search. The selected chat is always listed. */
export function showChatList({ chats, people, unread, selected, now, search, onChoose }) {
  const wanted = search.trim().toLowerCase();
  const matching = newestFirst(chats).filter((chat) => !wanted || `${chat.name} ${chatName(chat, people)} ${chat.chat_id}`.toLowerCase().includes(wanted));
  const shown = matching.filter((chat, index) => index < CHATS_SHOWN || chat.chat_id === selected);
  byId("chat-list-empty").hidden = shown.length > 0;
  byId("chat-list-more").hidden = shown.length === matching.length;
  byId("chat-list-more").textContent = t("more_chats", { n: matching.length - shown.length });
  syncList(byId("chat-list"), shown, {
    key: (chat) => chat.chat_id,
    sign: (chat) => {
      const last = chat.messages.at(-1);
      return JSON.stringify([language(), chatName(chat, people), last?.message_id, last?.update_time_ms, unread.count(chat), chat.chat_id === selected, last ? dayKey(now) : 0, personOf(chat, people)?.status]);
    },
    create: (chat) => h("li", {}, h("button", { type: "button", class: "chat-item", "data-testid": `chat-${chat.chat_id}`, onclick: () => onChoose(chat.chat_id) })),
    fill: (node, chat) => {
      const button = node.firstChild;
      const last = chat.messages.at(-1);
      const count = unread.count(chat);
      const name = chatName(chat, people);
      const status = personOf(chat, people)?.status ?? "active";
      button.setAttribute("aria-current", String(chat.chat_id === selected));
      button.replaceChildren();
      append(button, [
        h("span", { class: "avatar-box" }, avatar(chat.open_id ?? chat.chat_id, name, chat.kind === "group" ? "group" : ""),
          count > 0 && h("span", { class: "badge", "data-testid": `unread-${chat.chat_id}` }, h("span", { "aria-hidden": "true" }, count > 99 ? "99+" : count), h("span", { class: "sr-only" }, t("unread", { n: count })))),
        h("span", { class: "chat-item-text" },
          h("span", { class: "chat-item-top" }, h("bdi", { class: "chat-item-name" }, name), status !== "active" && h("span", { class: "status-tag" }, t(`status_${status}`)), h("span", { class: "chat-item-time" }, last ? shortTime(last.create_time_ms, now) : "")),
          h("span", { class: "chat-item-preview" }, h("bdi", {}, last ? `${chat.kind === "group" ? `${t("bot_name")}: ` : ""}${preview(last).slice(0, 200)}` : t("no_messages")))),
      ]);
    },
  });
}

const personOf = (chat, people) => (chat.open_id ? people.get(chat.open_id) : null);

// --- conversation ----------------------------------------------------------------------------------------------

export class Conversation {
  /** `host(message)` returns the host of a card, see renderCard. */
  constructor({ host, onSource }) {
    this.host = host;
    this.onSource = onSource;
    this.box = byId("stream");
    this.list = byId("messages");
    this.chatId = null;
    this.extra = 0;
    this.newCount = 0;
    this.known = new Set();
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

  /** `appearance` has everything that changes the rendering of all messages: language, width, names of people. */
  show(chat, appearance) {
    const switched = chat?.chat_id !== this.chatId;
    const stay = !switched && !this.pinned;
    if (switched) {
      this.chatId = chat?.chat_id ?? null;
      this.extra = 0;
      this.known = new Set(chat?.messages.map((message) => message.message_id));
      this.pinned = true;
      this.setNewCount(0);
    }
    this.chat = chat;
    this.appearance = appearance;
    const all = chat?.messages ?? [];
    const visible = all.slice(-(MESSAGES_SHOWN + this.extra));
    const hidden = all.length - visible.length;
    const earlier = byId("earlier");
    earlier.hidden = hidden === 0;
    earlier.textContent = t("show_earlier", { n: Math.min(MESSAGES_SHOWN, hidden) });
    const fresh = all.filter((message) => !this.known.has(message.message_id));
    for (const message of fresh) this.known.add(message.message_id);
    const freshIds = new Set(fresh.map((message) => message.message_id));

    let day = null;
    const rows = visible.map((message) => {
      const key = dayKey(message.create_time_ms);
      const divider = key === day ? null : message.create_time_ms;
      day = key;
      return { message, divider };
    });
    syncList(this.list, rows, {
      key: ({ message }) => message.message_id,
      sign: ({ message, divider }) => `${message.update_time_ms}|${message.create_time_ms}|${divider ? dayKey(appearance.now) : ""}|${appearance.signature}`,
      create: ({ message }) => h("div", { class: `row ${freshIds.has(message.message_id) && !switched ? "fresh" : ""}` }),
      fill: (node, row) => this.fill(node, row, appearance),
    });
    if (stay) { if (fresh.length) this.setNewCount(this.newCount + fresh.length); }
    else if (switched || fresh.length) this.toBottom();
    return switched ? [] : fresh;
  }

  fill(node, { message, divider }, appearance) {
    node.replaceChildren();
    const edited = message.update_time_ms > message.create_time_ms;
    append(node, [
      divider && h("div", { class: "day" }, `${dayName(divider, appearance.now)} ${clock(divider)}`),
      h("article", { class: "message", "data-testid": `message-${message.message_id}`, "data-type": message.msg_type },
        h("span", { class: "avatar bot", "aria-hidden": "true" }, icon("bolt", 20)),
        h("div", { class: "message-main" },
          h("div", { class: "message-head" }, h("span", { class: "message-name" }, t("bot_name")), h("span", { class: "bot-tag" }, t("bot")),
            h("time", { class: "message-time", datetime: isoOf(message.create_time_ms) }, clock(message.create_time_ms)),
            edited && h("span", { class: "message-time", "data-testid": `updated-${message.message_id}` }, t("updated", { time: clock(message.update_time_ms) })),
            h("button", { type: "button", class: "mini", "aria-label": t("show_source"), title: t("show_source"), onclick: () => this.onSource(message) }, icon("code", 14))),
          this.body(message))),
    ]);
  }

  body(message) {
    const host = this.host(message);
    const { content } = message;
    if (message.msg_type === "interactive") return renderCard(content, host);
    if (message.msg_type === "text") return textBubble(String(content?.text ?? ""), host);
    if (message.msg_type === "file") return fileBubble(message);
    return h("div", { class: "bubble" }, unsupported(message.msg_type));
  }
}

const isoOf = (ms) => (Number.isFinite(ms) ? new Date(ms).toISOString() : "");

function textBubble(text, host) {
  const node = h("div", { class: "bubble text" });
  const long = text.length > LONG_TEXT;
  let open = false;
  const write = () => {
    node.replaceChildren();
    append(node, [withMentions(long && !open ? `${text.slice(0, LONG_TEXT)}…` : text, host)]);
    if (long) node.append(h("button", { type: "button", class: "more", "aria-expanded": String(open), onclick: () => { open = !open; write(); } }, open ? t("collapse") : t("expand", { n: text.length })));
  };
  write();
  return node;
}

/** Text messages have only one kind of markup: <at user_id="…">name</at>. */
function withMentions(text, host) {
  const out = [];
  let from = 0;
  for (const match of text.matchAll(/<at user_id="([^"<>]{1,80})">([^<>]{0,200})<\/at>/g)) {
    out.push(text.slice(from, match.index));
    out.push(match[1] === "all" || host.people.has(match[1]) ? mention(match[1], host) : h("span", { class: "mention" }, `@${match[2] || match[1]}`));
    from = match.index + match[0].length;
  }
  out.push(text.slice(from));
  return out;
}

function fileBubble({ content, file }) {
  const key = String(content?.file_key ?? "");
  return h("a", { class: "bubble file", href: `/api/files/${encodeURIComponent(key)}`, download: file?.name ?? key, "data-testid": "file-link" },
    h("span", { class: "file-icon", "aria-hidden": "true" }, icon("file", 22)),
    h("span", { class: "file-text" }, h("bdi", { class: "file-name" }, file?.name ?? t("file")), h("small", {}, file ? fileSize(file.bytes) : key)));
}

const fileSize = (bytes) => (bytes < 1024 ? `${bytes} B` : bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1024 ** 2).toFixed(1)} MB`);

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

