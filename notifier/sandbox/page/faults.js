// The right panel: trouble ordered with one press, what is running, and how the client heals.

import { append, byId, h, syncList } from "./dom.js";
import { clockSeconds, language, t } from "./texts.js";
import { post, remove } from "./api.js";
import { say } from "./controls.js";

const LONGEST_SECONDS = 86_400;

/** once: over as soon as it is done, so the choice of an end does not count. timed: only time ends it, no count of hits. least: what it is
 * given when no end was chosen, as it would be over at once without. */
const GROUPS = [
  ["network", [
    { kind: "drop", choices: [["drop_once", {}, { once: true }], ["drop_lasting", {}, { least: { seconds: LONGEST_SECONDS } }]] },
    { kind: "black_hole", timed: true },
    { kind: "half_open", timed: true },
    { kind: "goes_silent_after_connect" },
    { kind: "no_pongs", choices: [["pongs_app", {}], ["pongs_both", { websocket_pongs: false }]] },
    { kind: "close_code", once: true, choices: [1001, 1011, 4001].map((code) => [String(code), { code }]) },
  ]],
  ["discovery", [
    { kind: "discovery_hangs" },
    { kind: "discovery_refused", choices: [1, 1000040343, 1000040345, 1000040350, 403, 7].map((code) => [String(code), { code }]) },
    { kind: "discovery_html", choices: [200, 502].map((status) => [`HTTP ${status}`, { status }]) },
    { kind: "handshake_refused", choices: [["514 · 1000040350", {}], ["403", { status: 403, auth_code: 0 }], ["no_headers", { headers: false }]] },
    { kind: "finite_reconnect_count", choices: [1, 7].map((count) => [`× ${count}`, { count }]) },
    { kind: "client_config", choices: [
      ["− PingInterval", { without: ["PingInterval"] }],
      ["− ReconnectCount", { without: ["ReconnectCount"] }],
      ["all_missing", { without: ["ReconnectCount", "ReconnectInterval", "ReconnectNonce", "PingInterval"] }],
      ["ping_1", { ping_interval_seconds: 1 }],
    ] },
  ]],
  ["calls", [
    { kind: "slow", choices: [2, 10, 60].map((seconds) => [`${seconds} s`, { delay_seconds: seconds }]) },
    { kind: "429", choices: [["with_header", {}], ["without_header", { header: false }]] },
    { kind: "500", choices: [["JSON", {}], ["HTML", { body: "html" }]] },
    { kind: "timeout_after_success" },
    { kind: "reset_after_success" },
    { kind: "truncate" },
    { kind: "expire_tokens", once: true },
    { kind: "refuse_tokens" },
    { kind: "refuse_app" },
  ]],
  ["pushes", [
    { kind: "duplicate" },
    { kind: "reorder" },
    { kind: "corrupt", choices: [["in_turn", {}], ["damage_bytes", { damage: "bytes" }], ["damage_header", { damage: "header" }], ["damage_chunk", { damage: "chunk" }]] },
  ]],
  ["time", [
    { kind: "clock", once: true, choices: [["hour_back", { seconds: -3600 }], ["hour_on", { seconds: 3600 }]] },
  ]],
];
const ENDS = [["seconds", 10], ["seconds", 30], ["seconds", 60], ["seconds", 300], ["times", 1], ["times", 3], ["until"]];
const FIRST_END = "seconds-30";

let state = null;
let receivedAt = 0;

// --- what can be ordered -------------------------------------------------------------------------------------------

const endWord = ([unit, n]) => (unit === "until" ? t("until_ended") : t(`for_${unit}`, { n }));
const choiceWord = (word) => (t(`choice_${word}`) === `choice_${word}` ? word : t(`choice_${word}`));

function endChosen() {
  const [unit, n] = byId("trouble-end").value.split("-");
  return unit === "until" ? {} : { [unit]: Number(n) };
}

function orderRow(entry) {
  const { kind } = entry;
  const hint = t(`does_${kind}`);
  const button = h("button", { type: "button", class: "button", title: hint, "data-testid": `trouble-${kind}`, "data-timed": entry.timed, "data-kind": kind }, t(`trouble_${kind}`));
  const select = entry.choices && h("select", { "aria-label": `${t(`trouble_${kind}`)}: ${t("how")}`, "data-testid": `trouble-how-${kind}` },
    entry.choices.map(([word], index) => h("option", { value: index }, choiceWord(word))));
  const explain = () => { byId("trouble-hint").textContent = hint; };
  button.addEventListener("focus", explain);
  button.addEventListener("mouseenter", explain);
  button.addEventListener("click", () => {
    const [, options, flags = {}] = entry.choices?.[Number(select.value)] ?? [null, {}];
    const end = entry.once || flags.once ? {} : { ...endChosen() };
    if (!Object.keys(end).length) Object.assign(end, flags.least);
    return act(button, () => post("/sandbox/api/troubles", { kind, ...end, ...options }), t("trouble_started", { name: t(`trouble_${kind}`) }));
  });
  return h("div", { class: select ? "order joined" : "order" }, button, select);
}

function drawOrders() {
  const end = byId("trouble-end");
  const chosen = end.value || FIRST_END;
  end.replaceChildren(...ENDS.map((one) => h("option", { value: one.join("-") }, endWord(one))));
  end.value = chosen;
  byId("trouble-kinds").replaceChildren(...GROUPS.map(([group, entries]) =>
    h("fieldset", { class: "orders" }, h("legend", {}, t(`trouble_group_${group}`)), h("div", { class: "order-list" }, entries.map(orderRow)))));
  byId("trouble-hint").textContent = t("trouble_hint");
  allowOrders();
}

/** What only time can end cannot be ordered for a number of hits. */
function allowOrders() {
  const counted = "times" in endChosen();
  for (const button of document.querySelectorAll("#trouble-kinds [data-timed]")) button.disabled = counted;
}

async function act(button, work, done) {
  const result = byId("trouble-result");
  button.disabled = true;
  try {
    await work();
    say(result, done, false);
  } catch (error) {
    say(result, t("failed", { error: error.message }), true);
  } finally {
    button.disabled = false;
    allowOrders();
  }
}

// --- what is running -----------------------------------------------------------------------------------------------

function showRunning(troubles) {
  byId("trouble-none").hidden = troubles.length > 0;
  byId("trouble-end-all").hidden = troubles.length < 2;
  syncList(byId("trouble-list"), troubles, {
    key: (one) => one.trouble_id,
    sign: (one) => JSON.stringify([language(), one.trouble_id]),
    create: (one) => h("li", { class: "trouble-item", "data-testid": `running-${one.kind}` }),
    fill: (node, one) => {
      const name = t(`trouble_${one.kind}`);
      const end = h("button", { type: "button", class: "button", "aria-label": `${t("end_trouble")}: ${name}`, "data-testid": `end-${one.kind}` }, t("end_trouble"));
      end.addEventListener("click", () => act(end, () => remove(`/sandbox/api/troubles/${encodeURIComponent(one.trouble_id)}`), t("trouble_ended", { name })));
      node.replaceChildren();
      append(node, [
        h("div", { class: "log-top" }, h("span", { class: "state wait" }, name), h("span", { class: "trouble-left", role: "timer", "data-left": one.trouble_id }), end),
        h("p", { class: "hint" }, t(`does_${one.kind}`)),
      ]);
    },
  });
}

function leftWords(one) {
  const words = [];
  if (one.left_seconds !== null) words.push(t("left_seconds", { n: Math.max(0, Math.ceil(one.left_seconds - (performance.now() - receivedAt) / 1000)) }));
  if (one.left_times !== null) words.push(t("left_times", { n: one.left_times }));
  if (one.hits) words.push(t("hits_n", { n: one.hits }));
  return words.length ? words.join(" · ") : t("until_ended");
}

// --- how the client heals ------------------------------------------------------------------------------------------

function showLink() {
  const link = state.link ?? {};
  const connections = state.app?.connections ?? 0;
  const word = state.webhook_url ? "link_posted" : link.listening ? "link_good" : connections ? "link_dead" : link.lost_at_ms ? "link_lost" : "link_never";
  const pill = byId("link-state");
  pill.className = `state ${link.listening || state.webhook_url ? "good" : link.lost_at_ms || connections ? "bad" : "wait"}`;
  write(pill, t(word));
  byId("link").dataset.listening = String(Boolean(link.listening));
  write(byId("link-lost"), link.lost_at_ms ? clockSeconds(link.lost_at_ms) : "—");
  const away = link.away_seconds ?? null;
  const since = link.listening ? 0 : (performance.now() - receivedAt) / 1000;
  write(byId("link-away"), away === null ? "—" : t("seconds_n", { n: (away + since).toFixed(link.listening ? 1 : 0) }));
  write(byId("link-reconnects"), String(link.reconnects ?? 0));
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function tick() {
  if (!state) return;
  showLink();
  const running = new Map((state.troubles ?? []).map((one) => [one.trouble_id, one]));
  for (const node of document.querySelectorAll("[data-left]")) {
    const one = running.get(node.dataset.left);
    if (one) write(node, leftWords(one));
  }
}

export function showTrouble(next) {
  if (next !== state) receivedAt = performance.now();
  state = next;
  showRunning(state.troubles ?? []);
  byId("on-hold").hidden = !state.on_hold;
  byId("on-hold").textContent = t("on_hold");
  byId("hold").textContent = t(state.on_hold ? "release" : "hold");
  byId("hold").setAttribute("aria-pressed", String(Boolean(state.on_hold)));
  const refused = Object.entries(state.refusals ?? {});
  byId("refusals").hidden = refused.length === 0;
  byId("refusals").replaceChildren(h("span", {}, t("refusals")), ...refused.map(([code, count]) => h("code", {}, `${code} × ${count}`)));
  const faults = state.faults ?? [];
  byId("faults").hidden = faults.length === 0;
  byId("faults").textContent = faults.map((fault) => JSON.stringify(fault)).join("\n");
  tick();
}

/** Called again when the language changes. */
export function troubleWords() {
  if (byId("trouble-kinds").dataset.language === language()) return; // keeps what was chosen
  byId("trouble-kinds").dataset.language = language();
  byId("trouble-result").hidden = true;
  drawOrders();
}

export function wireTrouble() {
  const held = () => byId("hold").getAttribute("aria-pressed") === "true";
  byId("hold").addEventListener("click", () => act(byId("hold"), () => post(held() ? "/sandbox/api/release" : "/sandbox/api/hold"), t("done")));
  byId("trouble-end").addEventListener("change", allowOrders);
  byId("trouble-end-all").addEventListener("click", () => act(byId("trouble-end-all"), () => remove("/sandbox/api/troubles"), t("done")));
  setInterval(tick, 500);
}
