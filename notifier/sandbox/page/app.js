// The entry point of the page: loads the state, follows the link, renders all areas, and saves the choices of the reader.

import { byId, h, icon } from "./dom.js";
import { applyTexts, isEnglish, language, preferredLanguage, setLanguage, t } from "./texts.js";
import { personName } from "./markdown.js";
import { chooseApp, post, watchState } from "./api.js";
import { chatName, newestFirst, preview, showChatList, Unread } from "./chats.js";
import { Composer } from "./composer.js";
import { Conversation, showEmpty, showHead } from "./conversation.js";
import { EventForm, revealEvent, showConnection, showEvents } from "./events.js";
import { fillSelect } from "./forms.js";
import { loadLedger, showLedger, showPayouts, showWithdrawals } from "./money.js";
import { AREAS, focusArea, go, linkTo, narrow, readLink, setView, showArea, wireKeyboard } from "./navigation.js";
import { loadRequests, revealRequest, showRefusals, showRequests, wireRequests } from "./requests.js";
import { showFaults, updateFaultTexts, wireFaults } from "./faults.js";
import { showTime, wireTime } from "./time.js";
import { showConsole, wireConsole } from "./console.js";
import { loadApps, showWorld, wireWorld } from "./world.js";

const asked = new URLSearchParams(location.search).get("app"); // a link to a message, event or request of an app
const stored = readStored();
const choices = { ...defaults(), ...stored };
const unread = new Unread();
const opened = { chat: null, message: null, area: "events", isNew: false };
let state = null;
let people = new Map();
let skew = 0;

const composer = new Composer({ onError: (text) => toast("error", text), onSent: () => conversation.toBottom() });
const conversation = new Conversation({ host: cardHost, actions: { ...composer.actions, source: showSource } });
const eventForm = new EventForm({
  remember: (account) => saveChoices({ account }),
  onSent: (account) => {
    const person = people.get(account?.open_id);
    if (person) openChat(person.chat_id);
  },
});

// --- choices of the reader -----------------------------------------------------------------------------------------

/** Only what the reader chose is stored; all else follows the browser. */
function readStored() {
  try { return JSON.parse(localStorage.getItem("sandbox") ?? "{}"); } catch { return {}; /* storage is off */ }
}

function defaults() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  return { language: preferredLanguage(navigator.languages), theme: dark ? "dark" : "light", width: "desktop", identity: "", account: "", app: "" };
}

function saveChoices(changes) {
  Object.assign(choices, changes);
  Object.assign(stored, changes);
  try { localStorage.setItem("sandbox", JSON.stringify(stored)); } catch { /* storage is off */ }
}

// --- links -------------------------------------------------------------------------------------------------------------

function openChat(chatId, messageId) {
  go("chats", chatId, ...(messageId ? [messageId] : []));
}

/** Opens what the link names. */
function followLink() {
  const [kind, id, message] = readLink();
  if (kind === "chats" && id) {
    Object.assign(opened, { chat: id, message: message ?? null, isNew: true });
    setView("chat");
  } else if (kind === "chats") {
    setView("chats");
  } else if (AREAS.includes(kind)) {
    opened.area = kind;
    setView("tools");
    if (kind === "requests" && id) void revealRequest(id).then((found) => { if (!found) toast("warning", t("request_missing")); });
    if (kind === "events" && id) void revealEvent(id).then((found) => { if (!found) toast("warning", t("event_missing")); });
  }
  showArea(opened.area);
  if (AREAS.includes(kind) && !id) focusArea(kind);
  document.dispatchEvent(new CustomEvent("area", { detail: opened.area }));
  render();
  if (kind === "chats" && narrow.matches && !message) conversation.toBottom();
}

/** On a phone: shows one pane. */
function openView(view) {
  if (view === "chats") go("chats");
  else if (view === "tools") go(opened.area);
  else if (opened.chat) openChat(opened.chat);
  else setView(view);
}

/** Scrolls to the message of the link, once. */
function revealMessage(chat) {
  if (opened.isNew && opened.chat && !chat) toast("warning", t("chat_missing"));
  opened.isNew = false;
  if (!opened.message || !chat || !chatIsOnScreen()) return;
  if (!conversation.reveal(opened.message)) toast("warning", t("message_missing"));
  opened.message = null;
}

const chatIsOnScreen = () => !document.hidden && (!narrow.matches || document.body.dataset.view === "chat");

// --- rendering -------------------------------------------------------------------------------------------------------

function applyChoices() {
  setLanguage(choices.language);
  document.documentElement.dataset.theme = choices.theme;
  document.body.dataset.width = choices.width;
  applyTexts();
  eventForm.updateTexts();
  composer.updateTexts();
  showRequests();
  updateFaultTexts();
  const dark = choices.theme === "dark";
  const mobile = choices.width === "mobile";
  setIconButton("theme-toggle", dark ? "sun" : "moon", t(dark ? "theme_to_light" : "theme_to_dark"), dark);
  setIconButton("width-toggle", mobile ? "desktop" : "phone", t(mobile ? "width_to_desktop" : "width_to_mobile"), mobile);
  const toggle = byId("lang-toggle");
  toggle.setAttribute("aria-label", `中文/EN: ${t("language_to")}`); // begins with the visible text
  toggle.title = t("language_to");
  toggle.firstElementChild.classList.toggle("on", !isEnglish());
  toggle.lastElementChild.classList.toggle("on", isEnglish());
  byId("banner").textContent = t("reconnecting");
  render();
}

function setIconButton(id, glyph, label, pressed) {
  const button = byId(id);
  button.replaceChildren(icon(glyph, 18));
  button.setAttribute("aria-label", label);
  button.setAttribute("aria-pressed", String(pressed));
  button.title = label;
}

function render() {
  if (!state) return;
  const now = Date.now() + skew;
  const chats = state.chats ?? [];
  const groups = new Map((state.groups ?? []).map((one) => [one.chat_id, one]));
  const accounts = new Map((state.accounts ?? []).map((one) => [one.account_id, one]));
  const chat = chats.find((one) => one.chat_id === opened.chat) ?? null;
  showIdentity();
  if (chat && chatIsOnScreen()) unread.markRead(chat);
  showChatList({ chats, people, unread, selected: chat?.chat_id, now, search: byId("chat-search").value, onChoose: openChat });
  showUnreadTotal(chats);
  showHead({ chat, people, groups, identity: choices.identity, onBack: () => go("chats"), onSwitchIdentity: switchIdentity });
  showEmpty(chat);
  const names = [...people.values()].map((person) => [person.open_id, person.name, person.en_name]);
  conversation.show(chat, { now, people, identity: choices.identity, signature: `${language()}|${choices.width}|${choices.identity}|${JSON.stringify(names)}` });
  revealMessage(chat);
  composer.show({ chat, people, group: groups.get(chat?.chat_id), identity: choices.identity, menu: state.menu ?? [] });
  eventForm.show(state.accounts ?? [], people, choices.account);
  showConnection(state);
  showEvents(state.events ?? [], accounts, people);
  if (opened.area === "requests") { showRefusals(state); void loadRequests(state.revision); }
  if (opened.area === "money") {
    showWithdrawals(state.withdrawals ?? [], accounts, people);
    showPayouts(state.payouts ?? [], state.payout_report_url ?? "", people);
    showLedger(accounts, people);
    void loadLedger(state.revision).then(() => showLedger(accounts, people));
  }
  if (opened.area === "world") {
    showWorld(state, { people, identity: choices.identity });
    showConsole(state.console);
  }
  showFaults(state);
  showTime(state);
}

function showIdentity() {
  const select = byId("identity");
  const operators = new Set((state.groups ?? []).flatMap((group) => group.operators ?? []));
  const label = (person) => (operators.has(person.open_id) ? t("identity_operator", { name: personName(person) }) : personName(person));
  const list = (state.people ?? []).map((person) => [person.open_id, label(person)]);
  fillSelect(select, list, choices.identity, "—");
  if (select.value !== choices.identity) choices.identity = select.value;
}

/** Shows the choice of the app when there are several. */
async function showApps() {
  const apps = await loadApps().catch(() => []); // an unreachable server is shown by the banner
  const select = byId("app");
  byId("app-box").hidden = apps.length < 2;
  fillSelect(select, apps.map((app) => [app.app_id, app.name]), choices.app, "—");
  render();
}

function switchIdentity(openId) {
  byId("identity").value = openId;
  saveChoices({ identity: openId });
  render();
}

function showUnreadTotal(chats) {
  const total = chats.reduce((sum, chat) => sum + unread.count(chat), 0);
  const badge = byId("tab-unread");
  badge.hidden = total === 0;
  badge.textContent = total > 99 ? "99+" : String(total);
  document.title = `${total ? `(${total}) ` : ""}${t("page_title")}`;
}

/** Announces new messages of all chats to screen readers, once. */
function announce(before, after) {
  if (!before) return;
  const known = new Map(before.chats.map((chat) => [chat.chat_id, chat.messages.length]));
  const lines = after.chats.filter((chat) => chat.messages.length > (known.get(chat.chat_id) ?? 0))
    .map((chat) => t("announce", { chat: chatName(chat, people), text: preview(chat.messages.at(-1)).slice(0, 200) }));
  if (lines.length) byId("live-region").textContent = lines.slice(0, 3).join("; ");
}

// --- actions of cards -----------------------------------------------------------------------------------------------------

function cardHost(message) {
  return {
    people, language: language(), sentMs: message.create_time_ms, mobile: choices.width === "mobile" || narrow.matches, showToast: toast, confirm,
    sendAction: (click) => sendClick(message, click),
  };
}

async function sendClick(message, click) {
  if (!choices.identity) { toast("warning", t("pick_identity")); return; }
  try {
    const answer = await post("/api/clicks", { message_id: message.message_id, open_id: choices.identity, ...click });
    const reply = answer.toast ? answer : answer.response ?? answer.answer ?? answer.data ?? answer;
    const code = answer.code ?? reply?.code;
    if (code && code !== 200) toast("error", `${t("clicked_code", { code })}${answer.msg ? ` (${answer.msg})` : ""}`);
    else if (reply?.toast) toast(reply.toast.type, reply.toast.i18n?.[language()] ?? reply.toast.content ?? "");
  } catch (error) {
    toast("error", `${t("click_failed")}: ${error.message}`);
  }
}

const TOAST_ICONS = { success: "check", error: "close", warning: "warn", info: "info" };

function toast(type, text) {
  const kind = Object.hasOwn(TOAST_ICONS, type) ? type : "info";
  const node = h("div", { class: `toast ${kind}`, "data-testid": "toast", "data-type": kind }, h("span", { class: "toast-icon" }, icon(TOAST_ICONS[kind], 14)), h("span", {}, String(text)));
  const box = byId("toasts");
  box.append(node);
  while (box.children.length > 4) box.firstChild.remove();
  setTimeout(() => node.remove(), 5000);
}

function confirm({ title, text }) {
  const dialog = byId("confirm-dialog");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  return new Promise((resolve) => {
    const finish = (answer) => { byId("confirm-yes").onclick = null; byId("confirm-no").onclick = null; dialog.onclose = null; dialog.close(); resolve(answer); };
    byId("confirm-yes").onclick = () => finish(true);
    byId("confirm-no").onclick = () => finish(false);
    dialog.onclose = () => finish(false);
    dialog.showModal();
    byId("confirm-yes").focus();
  });
}

function showSource(message) {
  byId("source-text").textContent = JSON.stringify(message, null, 2);
  byId("source").showModal();
}

/** Shows the side of another app, "" for the first one. */
function showApp(appId) {
  saveChoices({ app: appId });
  if (location.hash.startsWith("#/chats")) history.replaceState(null, "", location.pathname); // each app has its own chats
  location.reload();
}

// --- start ---------------------------------------------------------------------------------------------------------

for (const place of document.querySelectorAll("[data-icon]")) place.append(icon(place.dataset.icon, place.closest(".composer-reply") ? 12 : 20));
for (const tab of document.querySelectorAll("[data-view-to]")) tab.addEventListener("click", () => openView(tab.dataset.viewTo));
for (const area of AREAS) byId(`panel-${area}`).addEventListener("click", () => go(area));
byId("app").addEventListener("change", (event) => showApp(event.target.value));
byId("identity").addEventListener("change", (event) => switchIdentity(event.target.value));
byId("lang-toggle").addEventListener("click", () => { saveChoices({ language: isEnglish() ? "zh_cn" : "en_us" }); applyChoices(); });
byId("theme-toggle").addEventListener("click", () => { saveChoices({ theme: choices.theme === "dark" ? "light" : "dark" }); applyChoices(); });
byId("width-toggle").addEventListener("click", () => { saveChoices({ width: choices.width === "mobile" ? "desktop" : "mobile" }); applyChoices(); });
byId("chat-search").addEventListener("input", render);
byId("source-close").addEventListener("click", () => byId("source").close());
byId("ledger-account").addEventListener("change", render);
window.addEventListener("hashchange", followLink);
document.addEventListener("visibilitychange", render);
narrow.addEventListener("change", render);
if (asked) {
  saveChoices({ app: asked });
  history.replaceState(null, "", location.pathname + location.hash);
}
chooseApp(choices.app);
wireFaults();
wireRequests();
wireTime();
wireConsole();
wireWorld({ confirm });
wireKeyboard({ cancel: () => composer.cancelReply(), back: () => { if (narrow.matches) go("chats"); } });
applyChoices();
if (!readLink().length) setView("chats");
followLink();

watchState({
  onState: (next) => {
    const before = state;
    state = next;
    skew = next.now_ms ? next.now_ms - Date.now() : 0;
    people = new Map((next.people ?? []).map((person) => [person.open_id, person]));
    unread.initialize(next.chats ?? []);
    if (!opened.chat && !narrow.matches && next.chats?.length) {
      opened.chat = newestFirst(next.chats)[0].chat_id;
      if (!location.hash) history.replaceState(null, "", linkTo("chats", opened.chat));
    }
    render();
    if (!before || (opened.area === "world" && before.revision !== next.revision)) void showApps();
    announce(before, next);
    document.body.dataset.revision = String(next.revision);
  },
  onLost: () => { byId("banner").hidden = false; },
  onBack: () => { byId("banner").hidden = true; },
  onNoApp: () => showApp(""),
});
