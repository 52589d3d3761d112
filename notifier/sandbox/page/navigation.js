// Links of the page, its panes and its keyboard.
//
// #/chats/CHAT/MESSAGE, #/events/EVENT, #/requests/REQUEST, #/money, #/faults and #/world. A link to the panel leaves the
// open chat as it is.

import { byId, h } from "./dom.js";
import { t } from "./texts.js";
import { withApp } from "./api.js";
import { copyButton } from "./forms.js";

export const AREAS = ["events", "requests", "money", "faults", "world"];
export const narrow = window.matchMedia("(max-width: 859px)");

export const linkTo = (...parts) => `#/${parts.map(encodeURIComponent).join("/")}`;

export function go(...parts) {
  const hash = linkTo(...parts);
  if (location.hash === hash) window.dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = hash;
}

/** The parts of the link, such as ["chats", "oc_1", "om_1"]. Unknown links: an empty list. */
export function readLink() {
  const parts = location.hash.replace(/^#\//, "").split("/");
  try {
    return parts[0] === "chats" || AREAS.includes(parts[0]) ? parts.map(decodeURIComponent) : [];
  } catch {
    return []; // a part that is not encoded
  }
}

/** A button that copies the address of a message, an event or a request. The address has the chosen app: ids belong to it. */
export const linkButton = (...parts) => copyButton(t("copy_link"), () => location.origin + withApp(location.pathname) + linkTo(...parts), { glyph: "link", "data-testid": `link-${parts.at(-1)}` });

export function setView(view) {
  document.body.dataset.view = view;
  for (const tab of document.querySelectorAll("[data-view-to]")) tab.setAttribute("aria-current", String(tab.dataset.viewTo === view));
}

const scrolled = new Map();

/** Each area keeps its own place in the panel. */
export function showArea(area) {
  const body = byId("area-events").parentElement;
  const before = AREAS.find((name) => !byId(`area-${name}`).hidden);
  if (before && before !== area) scrolled.set(before, body.scrollTop);
  for (const name of AREAS) {
    byId(`area-${name}`).hidden = name !== area;
    byId(`panel-${name}`).setAttribute("aria-selected", String(name === area));
    byId(`panel-${name}`).tabIndex = name === area ? 0 : -1;
  }
  if (before !== area) body.scrollTop = scrolled.get(area) ?? 0;
}

/** Gives the focus to the tab of an area, so that the next keys belong to it. A focus inside of the area stays. */
export function focusArea(area) {
  if (!byId(`area-${area}`).contains(document.activeElement)) byId(`panel-${area}`).focus({ preventScroll: true });
}

/** Scrolls to an element, marks it for a moment and gives it the focus. */
export function highlight(node, block = "center") {
  node.scrollIntoView({ block });
  node.focus({ preventScroll: true });
  node.classList.remove("highlight");
  void node.offsetWidth; // starts the animation again
  node.classList.add("highlight");
}

// --- keyboard --------------------------------------------------------------------------------------------------------

const KEYS = [["/", "key_search"], ["j  ↓", "key_next"], ["k  ↑", "key_previous"], ["←  →", "key_sides"], ["Enter", "key_open"], ["1 – 5", "key_areas"], ["c", "key_compose"], ["?", "key_help"], ["Esc", "key_escape"]];
const STEPS = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };

export function showKeys() {
  byId("keys-list").replaceChildren(...KEYS.map(([keys, text]) => h("div", {}, h("dt", {}, keys.split("  ").map((key) => h("kbd", {}, key))), h("dd", {}, t(text)))));
  byId("keys-dialog").showModal();
}

/** For Escape: cancel() says whether there was something to cancel; back() leaves the pane. */
export function wireKeyboard({ cancel, back }) {
  byId("keys-button").addEventListener("click", showKeys);
  byId("keys-close").addEventListener("click", () => byId("keys-dialog").close());
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") { escape(event.target, { cancel, back }); return; }
    if (event.target.closest("input, textarea, select, [contenteditable]")) {
      if (event.target.id === "chat-search" && event.key === "ArrowDown") moveIn(byId("found"), 1, event);
      return;
    }
    if (event.target.getAttribute("role") === "tab" && moveTab(event)) return;
    if (event.key in STEPS) moveIn(event.target.closest("[data-keys]") ?? defaultList(event.target), STEPS[event.key], event);
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") moveSideways(event);
    else if (event.key === "/") { event.preventDefault(); search(event.target); }
    else if (event.key === "?") { event.preventDefault(); showKeys(); }
    else if (event.key === "c" && byId("composer-text")?.checkVisibility()) { event.preventDefault(); byId("composer-text").focus(); }
    else if (AREAS[Number(event.key) - 1]) go(AREAS[Number(event.key) - 1]);
  });
}

/** The search of the pane with the focus, else the one of the chats. */
function search(target) {
  const own = [...(target.closest(".pane")?.querySelectorAll(".search") ?? [])].find((one) => one.checkVisibility());
  if (!own && narrow.matches) setView("chats");
  (own ?? byId("chat-search")).focus();
  (own ?? byId("chat-search")).select();
}

function escape(field, { cancel, back }) {
  if (field.matches?.(".search") && field.value) {
    field.value = "";
    field.dispatchEvent(new Event("input"));
  } else if (!cancel()) {
    if (field.matches?.("input, textarea, select")) field.blur();
    else back();
  }
}

/** The list that a key moves in while no list has the focus: the one of the pane, else the open chat or the list of chats. */
function defaultList(target) {
  const pane = target.closest(".pane");
  const list = pane && [...pane.querySelectorAll("[data-keys]")].find((one) => one.checkVisibility());
  return list ?? (byId("messages").checkVisibility() && byId("messages").children.length ? byId("messages") : byId("found"));
}

function moveIn(list, step, event) {
  const items = [...list.querySelectorAll(list.dataset.keys)].filter((item) => item.checkVisibility());
  if (!items.length) return;
  event.preventDefault();
  const current = items.findIndex((item) => item.contains(document.activeElement));
  const start = list.id === "messages" ? items.length - 1 : Math.max(0, items.findIndex((item) => item.getAttribute("aria-current") === "true"));
  const item = items[current < 0 ? start : Math.min(items.length - 1, Math.max(0, current + step))];
  item.focus({ preventScroll: true });
  item.scrollIntoView({ block: "nearest" });
}

/** Left and right change between the list of chats and the messages. Buttons and scrolling boxes keep their own keys. */
function moveSideways(event) {
  const inMessages = event.target.matches(".message, .stream");
  const inChats = event.target.closest("#found");
  if (event.key === "ArrowLeft" && inMessages) { if (narrow.matches) setView("chats"); (byId("found").querySelector('[aria-current="true"]') ?? byId("chat-search")).focus(); event.preventDefault(); }
  if (event.key === "ArrowRight" && inChats) { event.target.closest(".chat-item")?.click(); moveIn(byId("messages"), 1, event); }
}

function moveTab(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return false;
  event.preventDefault();
  const next = AREAS[(AREAS.indexOf(event.target.dataset.area) + step + AREAS.length) % AREAS.length];
  go(next);
  byId(`panel-${next}`).focus();
  return true;
}
