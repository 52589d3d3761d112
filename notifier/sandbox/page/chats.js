// The list of chats with their unread messages, and the search in the texts of all messages.

import { append, byId, h, syncList } from "./dom.js";
import { dayKey, isEnglish, language, shortTime, stripDirectionMarks, t } from "./texts.js";
import { avatar, personName } from "./markdown.js";
import { cardPreview } from "./card.js";

const CHATS_SHOWN = 150;
const HITS_SHOWN = 50;
const SNIPPET_BEFORE = 16;

/** The name of a chat. A direct chat has the name of its person in the language of the page. */
export function chatName(chat, people) {
  const person = chat.open_id ? people.get(chat.open_id) : null;
  return person ? personName(person) : groupName(chat);
}

/** The name of a group in the language of the page, where it has one. */
export const groupName = (group) => stripDirectionMarks((isEnglish() && group.en_name) || group.name || group.chat_id);

/** The first words of a message, for the list of chats and for screen readers. */
export function preview(message) {
  const { content } = message;
  if (message.is_recalled) return t("recalled");
  if (message.msg_type === "interactive") return cardPreview(content);
  if (message.msg_type === "file") return `${t("file_preview")} ${message.file?.name ?? content?.file_name ?? ""}`;
  if (message.msg_type === "image") return t("image_preview");
  if (message.msg_type === "text") return String(content?.text ?? "").slice(0, 300).replace(/<at [^<>]*>([^<>]*)<\/at>/g, "@$1").replace(/@_user_\d+/g, (key) => mentionName(message, key));
  if (message.msg_type === "post") return textOf(message).slice(0, 300);
  return `[${message.msg_type}]`;
}

export const mentionName = (message, key) => `@${(message.mentions ?? []).find((one) => one.key === key)?.name ?? key}`;

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
  const hits = wanted ? showHits({ chats, people, wanted, now, onChoose }) : hideHits();
  byId("chat-list-empty").hidden = shown.length + hits > 0;
  byId("chat-list-empty").textContent = t(wanted ? "nothing_found" : "no_chats", { text: search.trim() });
  byId("chat-list-more").hidden = shown.length === matching.length;
  byId("chat-list-more").textContent = t("more_chats", { n: matching.length - shown.length });
  syncList(byId("chat-list"), shown, {
    key: (chat) => chat.chat_id,
    sign: (chat) => {
      const last = chat.messages.at(-1);
      return JSON.stringify([language(), chatName(chat, people), last?.message_id, last?.update_time_ms, last?.is_recalled, unread.count(chat), chat.chat_id === selected, last ? dayKey(now) : 0, personOf(chat, people)?.status]);
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
          h("span", { class: "chat-item-preview" }, h("bdi", {}, last ? `${senderPrefix(chat, last, people)}${preview(last).slice(0, 200)}` : t("no_messages")))),
      ]);
    },
  });
}

/** Who wrote the last message, where several can: in groups, and for a person's own message. */
function senderPrefix(chat, message, people) {
  const byPerson = message.sender?.sender_type === "user";
  return chat.kind === "group" || byPerson ? `${senderName(message, people)}: ` : "";
}

export function senderName(message, people) {
  if (message.sender?.sender_type !== "user") return message.sender?.name || t("bot_name");
  return people.has(message.sender.id) ? personName(people.get(message.sender.id)) : stripDirectionMarks(message.sender.name || message.sender.id);
}

export const personOf = (chat, people) => (chat.open_id ? people.get(chat.open_id) : null);

// --- search in messages ----------------------------------------------------------------------------------------------

const searched = new WeakMap();

/** All text of a message: of a text or post, of each element of a card, and the name of a file. */
function textOf(message) {
  if (!searched.has(message)) {
    const found = [];
    collect(message.msg_type === "text" ? preview(message) : message.content, found);
    if (message.file?.name) found.push(message.file.name);
    searched.set(message, found.join(" "));
  }
  return searched.get(message);
}

const TEXT_KEYS = new Set(["content", "text", "title", "zh_cn", "en_us", "name", "display_name", "file_name"]);

function collect(value, found, key = "content") {
  if (typeof value === "string") { if (TEXT_KEYS.has(key)) found.push(value.replace(/<[^<>]*>|\*\*/g, " ").trim()); return; }
  if (Array.isArray(value)) { for (const one of value) collect(one, found, key); return; }
  if (value && typeof value === "object") for (const [name, one] of Object.entries(value)) collect(one, found, name);
}

/** Lists the newest messages that contain the text. Returns how many there are. */
function showHits({ chats, people, wanted, now, onChoose }) {
  const hits = chats.flatMap((chat) => chat.messages.filter((message) => !message.is_recalled && textOf(message).toLowerCase().includes(wanted)).map((message) => ({ chat, message })))
    .sort((a, b) => b.message.create_time_ms - a.message.create_time_ms);
  byId("hits").hidden = hits.length === 0;
  byId("hits-title").textContent = t("hits", { n: hits.length });
  syncList(byId("hit-list"), hits.slice(0, HITS_SHOWN), {
    key: ({ message }) => message.message_id,
    sign: ({ chat, message }) => JSON.stringify([language(), wanted, chatName(chat, people), message.update_time_ms, dayKey(now)]),
    create: ({ chat, message }) => h("li", {}, h("button", { type: "button", class: "chat-item hit", "data-testid": `hit-${message.message_id}`, onclick: () => onChoose(chat.chat_id, message.message_id) })),
    fill: (node, { chat, message }) => {
      const name = chatName(chat, people);
      node.firstChild.replaceChildren(avatar(chat.open_id ?? chat.chat_id, name, chat.kind === "group" ? "mid group" : "mid"),
        h("span", { class: "chat-item-text" },
          h("span", { class: "chat-item-top" }, h("bdi", { class: "chat-item-name" }, name), h("span", { class: "chat-item-time" }, shortTime(message.create_time_ms, now))),
          h("span", { class: "chat-item-preview" }, h("bdi", {}, snippet(textOf(message), wanted)))));
    },
  });
  return hits.length;
}

function hideHits() {
  byId("hits").hidden = true;
  return 0;
}

function snippet(text, wanted) {
  const at = text.toLowerCase().indexOf(wanted);
  const from = Math.max(0, at - SNIPPET_BEFORE);
  return [from ? "…" : "", text.slice(from, at), h("mark", {}, text.slice(at, at + wanted.length)), text.slice(at + wanted.length, at + wanted.length + 80)];
}
