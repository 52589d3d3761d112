// Writes as a person: text, images and files, replies and threads, the menu of the bot; and acts on messages.

import { append, byId, h, icon } from "./dom.js";
import { isEnglish, t } from "./texts.js";
import { personName } from "./markdown.js";
import { post, remove } from "./api.js";
import { preview, senderName } from "./chats.js";
import { fileSize } from "./conversation.js";

const MAX_FILE_BYTES = 30 * 1024 ** 2;
const MAX_LINES = 6;

export class Composer {
  /** onError(text) shows an error, onSent() follows each message. */
  constructor({ onError, onSent }) {
    this.onError = onError;
    this.onSent = onSent;
    this.box = byId("composer");
    this.text = byId("composer-text");
    this.replyTo = null;
    this.files = [];
    this.chat = null;
    const asSender = (work) => (message, ...more) => this.act(() => work(message, ...more));
    const path = (message) => `/api/messages/${encodeURIComponent(message.message_id)}`;
    this.actions = {
      reply: (message) => this.startReply(message),
      react: asSender((message, emoji_type) => post(`${path(message)}/reactions`, { open_id: this.actorIn(message), emoji_type })),
      unreact: asSender((message, reactionId) => remove(`${path(message)}/reactions/${encodeURIComponent(reactionId)}`)),
      recall: asSender((message) => post(`${path(message)}/recall`, { open_id: message.sender.id })),
      read: asSender((message) => post(`${path(message)}/read`, { open_id: this.actorIn(message) })),
    };
    this.box.addEventListener("submit", (event) => { event.preventDefault(); void this.send(); });
    this.text.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); void this.send(); } });
    this.text.addEventListener("input", () => this.grow());
    this.text.addEventListener("paste", (event) => this.addFiles(event.clipboardData?.files ?? []));
    byId("composer-file").addEventListener("change", (event) => { this.addFiles(event.target.files); event.target.value = ""; });
    byId("composer-attach").addEventListener("click", () => byId("composer-file").click());
    byId("composer-thread").addEventListener("change", () => this.text.focus());
    const stream = byId("conversation");
    stream.addEventListener("dragover", (event) => { if (this.sender) event.preventDefault(); });
    stream.addEventListener("drop", (event) => { if (this.sender) { event.preventDefault(); this.addFiles(event.dataTransfer.files); } });
  }

  /** The person who writes: the owner of a direct chat, else the chosen person if a member of the group. */
  show({ chat, people, group, identity, menu }) {
    if (chat?.chat_id !== this.chat?.chat_id) { this.cancelReply(); this.files = []; this.showFiles(); }
    this.chat = chat;
    this.people = people;
    this.identity = identity;
    this.menu = menu;
    this.isGroup = chat?.kind === "group";
    this.sender = !chat ? null : !this.isGroup ? chat.open_id : (group?.members ?? []).includes(identity) ? identity : null;
    this.canMention = this.isGroup && Boolean(group?.has_bot);
    this.box.hidden = !chat;
    this.updateTexts();
  }

  updateTexts() {
    if (!this.chat) return;
    const name = personName(this.people.get(this.sender ?? this.identity));
    byId("composer-fields").disabled = !this.sender;
    this.text.placeholder = this.sender ? t("write_as", { name }) : t("not_a_member", { name });
    byId("composer-mention-box").hidden = !this.canMention;
    const menu = byId("composer-menu");
    const items = this.isGroup ? [] : this.menu;
    const signature = JSON.stringify([isEnglish(), items, this.sender]);
    menu.hidden = !this.sender || this.isGroup;
    if (menu.dataset.signature !== signature) {
      menu.dataset.signature = signature;
      menu.replaceChildren();
      append(menu, [
        h("button", { type: "button", class: "chip", "data-testid": "enter-chat", onclick: () => this.act(() => post(`/api/chats/${encodeURIComponent(this.chat.chat_id)}/enter`, { open_id: this.sender })) }, t("enter_chat")),
        items.map((item) => h("button", { type: "button", class: "chip", "data-testid": `menu-${item.event_key}`, onclick: () => this.act(() => post("/api/menu", { open_id: this.sender, event_key: item.event_key })) }, icon("menu", 12), (isEnglish() && item.en_name) || item.name)),
      ]);
    }
    this.showReply();
  }

  actorIn(message) {
    return this.chat?.chat_id === message.chat_id && !this.isGroup ? this.chat.open_id : this.identity;
  }

  startReply(message) {
    this.replyTo = message;
    byId("composer-thread").checked = Boolean(message.thread_id);
    this.showReply();
    this.text.focus();
  }

  /** Returns whether there was a reply to cancel. */
  cancelReply() {
    const had = this.replyTo !== null;
    this.replyTo = null;
    this.showReply();
    return had;
  }

  showReply() {
    const box = byId("composer-reply");
    box.hidden = !this.replyTo;
    if (this.replyTo) byId("composer-reply-text").textContent = t("replying_to", { name: senderName(this.replyTo, this.people), text: preview(this.replyTo).slice(0, 80) });
    byId("composer-reply-cancel").onclick = () => { this.cancelReply(); this.text.focus(); };
  }

  grow() {
    this.text.style.setProperty("height", "auto");
    const line = 22;
    this.text.style.setProperty("height", `${Math.min(this.text.scrollHeight + 2, MAX_LINES * line)}px`);
  }

  addFiles(list) {
    for (const file of list) {
      if (file.size > MAX_FILE_BYTES) this.onError(t("file_too_large", { name: file.name }));
      else if (file.size === 0) this.onError(t("file_empty", { name: file.name }));
      else this.files.push(file);
    }
    this.showFiles();
  }

  showFiles() {
    const box = byId("composer-files");
    box.hidden = this.files.length === 0;
    box.replaceChildren(...this.files.map((file) => h("span", { class: "attached" }, icon(file.type.startsWith("image/") ? "image" : "file", 14), h("bdi", {}, file.name), h("small", {}, fileSize(file.size)),
      h("button", { type: "button", class: "mini", "aria-label": t("remove_file", { name: file.name }), onclick: () => { this.files = this.files.filter((one) => one !== file); this.showFiles(); } }, icon("close", 12)))));
  }

  async send() {
    const text = this.text.value.trim();
    if (!this.sender || this.isSending || (!text && !this.files.length)) return;
    this.isSending = true;
    const base = { open_id: this.sender, chat_id: this.chat.chat_id, mention_bot: this.canMention && byId("composer-mention").checked };
    if (this.replyTo) Object.assign(base, { reply_to: this.replyTo.message_id, in_thread: byId("composer-thread").checked });
    const sent = await this.act(async () => {
      for (const file of [...this.files]) {
        await post("/api/messages", { ...base, ...(await this.fileMessage(file)) });
        this.files = this.files.filter((one) => one !== file);
      }
      if (text) await post("/api/messages", { ...base, text });
    });
    this.isSending = false;
    this.showFiles();
    if (!sent) return;
    this.text.value = "";
    this.grow();
    this.cancelReply();
    this.onSent();
  }

  async fileMessage(file) {
    return { msg_type: file.type.startsWith("image/") ? "image" : "file", content: { file_name: file.name, base64: await base64(file) } };
  }

  async act(work) {
    try {
      await work();
      return true;
    } catch (error) {
      this.onError(error.message);
      return false;
    }
  }
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(",", 2)[1]);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
