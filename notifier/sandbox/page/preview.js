// The preview page: a card as on a desktop and on a phone, with its JSON, its data and the findings about it.

import { byId, h } from "./dom.js";
import { isEnglish, preferredLanguage, setLanguage } from "./texts.js";
import { say } from "./preview_texts.js";
import { foldAll, reveal, showTree } from "./json_tree.js";
import { renderCard } from "./card.js";

const root = document.documentElement;
const address = new URLSearchParams(location.search);
const picture = address.get("picture"); // desktop or phone: only this card, for notifier preview --png
const choice = { template: address.get("template") ?? "", sample: address.get("sample") ?? "", audience: address.get("audience") ?? "" };
let shown = null;
let isLost = false;
let newest = 0;

async function load() {
  const number = ++newest;
  const answer = await fetch(`/preview/card.json?${new URLSearchParams(choice)}`, { cache: "no-store" });
  const body = await answer.json();
  if (number !== newest) return;
  if (answer.ok) {
    shown = body;
    render();
  } else {
    showError(body);
  }
  document.body.dataset.ready = "true";
}

async function reload() {
  try {
    await load();
    setLost(false);
  } catch {
    setLost(true);
  }
}

function render() {
  byId("title").textContent = shown.title;
  document.title = shown.title;
  for (const node of document.querySelectorAll("[data-p]")) node.textContent = say(node.dataset.p);
  showError(shown.error);
  showCards();
  if (picture) return;
  showChoices();
  showToggles();
  showLive();
  showFindings();
  showJson();
}

function showCards() {
  const people = new Map(shown.people.map((person) => [person.open_id, person]));
  for (const [id, mobile] of [["desktop", false], ["mobile", true]]) {
    if (picture && mobile !== (picture === "phone")) continue;
    const host = { people, sentMs: Date.now(), mobile, showToast: (_type, text) => toast(text), confirm: async () => true, sendAction: async () => toast(say("no_withdrawal")) };
    byId(id).replaceChildren(...(shown.card ? [renderCard(shown.card, host)] : []));
  }
  byId("cards").classList.toggle("stale", Boolean(shown.error));
}

function showError(error) {
  const box = byId("error");
  box.hidden = !error;
  if (!error) return box.replaceChildren();
  const place = error.line ? say("line", error) : error.file;
  box.replaceChildren(
    h("strong", { "data-testid": "error-place" }, place || ""), h("p", { "data-testid": "error-message" }, isEnglish() ? error.message : error.message_zh),
    error.text && h("code", { "data-testid": "error-text" }, error.text), shown?.card && h("small", {}, say("last_good")));
}

function showChoices() {
  byId("choices").hidden = !shown.choices.length;
  byId("title").hidden = Boolean(shown.choices.length);
  fill(byId("template"), shown.choices.map((each) => [each.template, each.source === "own" ? `${each.template} (${say("own")})` : each.template]), shown.template);
  const entry = shown.choices.find((each) => each.template === shown.template);
  const samples = (entry?.samples ?? []).map((name) => [name, name]);
  fill(byId("sample"), entry?.data_file ? [["", entry.data_file], ...samples] : samples, shown.sample);
}

function fill(select, options, value) {
  select.replaceChildren(...options.map(([key, text]) => h("option", { value: key }, text)));
  select.value = value;
}

function showToggles() {
  const audience = byId("audience");
  audience.hidden = !shown.audiences.length;
  showToggle(audience, "audience", ["referrer", "group"], shown.audience);
  showToggle(byId("language"), "reader_language", ["zh", "en"], isEnglish() ? "en" : "zh");
  showToggle(byId("theme"), "theme", ["light", "dark"], root.dataset.theme);
}

/** A button with two values, of which one is chosen; a press chooses the other one. */
function showToggle(button, name, values, chosen) {
  button.title = say(name);
  button.replaceChildren(...values.map((value) => h("span", { class: value === chosen ? "on" : "", "aria-current": value === chosen ? "true" : null }, say(value))));
}

function showLive() {
  const live = byId("live");
  live.classList.toggle("lost", isLost);
  live.textContent = isLost ? say("lost") : say(shown?.is_watching ? "watching" : "not_watching");
}

function setLost(lost) {
  isLost = lost;
  if (!picture) showLive();
}

function showFindings() {
  byId("finding-count").textContent = shown.findings.length ? String(shown.findings.length) : "";
  byId("findings").replaceChildren(...(shown.findings.length ? shown.findings.map(finding) : [h("li", { class: "preview-fine" }, say("none"))]));
}

function finding(found) {
  const places = [found.place, ...(found.called_from ?? [])].filter(Boolean).map((place) => say("line", place)).join(" ← ");
  return h("li", {}, h("button", { type: "button", class: `preview-finding ${found.severity}`, "data-testid": "finding", onclick: () => reveal(byId("json"), found.path) },
    h("span", { class: "finding-head" }, h("b", {}, found.rule), h("code", {}, found.path)), h("span", {}, found.message),
    found.remedy && h("span", { class: "finding-remedy" }, found.remedy), places && h("small", { "data-testid": "finding-place" }, places)));
}

function showJson() {
  const options = { openLevels: 4, cut: (n) => say("more", { n }) };
  byId("size").textContent = shown.card ? say("size", { n: new TextEncoder().encode(JSON.stringify(shown.card)).length.toLocaleString("en") }) : "";
  showTree(byId("json"), shown.card, options);
  byId("data-pane").hidden = shown.data === null;
  showTree(byId("data"), shown.data, { ...options, openLevels: 2 });
  for (const tools of document.querySelectorAll("[data-tools]")) {
    const name = tools.dataset.tools;
    const value = name === "json" ? shown.card : shown.data;
    const button = (text, act) => h("button", { type: "button", class: "button", "data-testid": `${name}-${text}`, onclick: act }, say(text));
    tools.replaceChildren(button("fold", () => foldAll(byId(name), true)), button("unfold", () => foldAll(byId(name), false)), button("copy", () => copy(value)));
  }
}

async function copy(value) {
  try {
    await navigator.clipboard.writeText(`${JSON.stringify(value, null, 2)}\n`);
    toast(say("copied"));
  } catch {
    toast(say("not_copied"));
  }
}

function toast(text) {
  const node = h("div", { class: "toast info", "data-testid": "toast" }, h("span", {}, String(text)));
  byId("toasts").replaceChildren(node);
  setTimeout(() => node.remove(), 4000);
}

function choose(changes) {
  Object.assign(choice, changes);
  saveAddress();
  return reload();
}

/** The address keeps the choice, so that the page can be loaded again or shared with oneself. */
function saveAddress() {
  const values = { ...choice, theme: root.dataset.theme, language: isEnglish() ? "en" : "zh" };
  history.replaceState(null, "", `?${new URLSearchParams(Object.entries(values).filter(([, value]) => value))}`);
}

function connectEvents() {
  const events = new EventSource(`/preview/changes?since=${shown.version}`);
  events.addEventListener("change", reload);
  events.addEventListener("open", () => { if (isLost) reload(); });
  events.addEventListener("error", () => setLost(true));
}

byId("template").addEventListener("change", (event) => choose({ template: event.target.value, sample: "", audience: "" }));
byId("sample").addEventListener("change", (event) => choose({ sample: event.target.value, audience: "" }));
byId("audience").addEventListener("click", () => choose({ audience: shown.audience === "referrer" ? "group" : "referrer" }));
byId("language").addEventListener("click", () => { setLanguage(isEnglish() ? "zh_cn" : "en_us"); saveAddress(); render(); });
byId("theme").addEventListener("click", () => { root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"; saveAddress(); showToggles(); });

const wanted = address.get("language");
setLanguage(wanted ? (wanted === "en" ? "en_us" : "zh_cn") : preferredLanguage(navigator.languages));
root.dataset.theme = address.get("theme") === "dark" ? "dark" : "light";
if (picture) document.body.dataset.picture = picture;
await load();
if (shown?.is_watching && !picture) connectEvents();
