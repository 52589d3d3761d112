// The right panel: start faults, list the running ones, and show how the client reconnects.

import { append, byId, h, syncList } from "./dom.js";
import { clockSeconds, language, t } from "./texts.js";
import { post, remove } from "./api.js";
import { showResult } from "./controls.js";

const MAX_SECONDS = 86_400;

/**
 * once: the fault ends at once, so the chosen duration is ignored. timed: only time can end it, not a number of hits.
 * least: the duration when none was chosen, because the fault would end at once without it.
 */
const FAULT_GROUPS = [
  ["network", [
    { fault_type: "drop", choices: [["drop_once", {}, { once: true }], ["drop_repeated", {}, { least: { seconds: MAX_SECONDS } }]] },
    { fault_type: "black_hole", timed: true },
    { fault_type: "half_open", timed: true },
    { fault_type: "goes_silent_after_connect" },
    { fault_type: "no_pongs", choices: [["pongs_app", {}], ["pongs_both", { websocket_pongs: false }]] },
    { fault_type: "close_code", once: true, choices: [1001, 1011, 4001].map((code) => [String(code), { code }]) },
  ]],
  ["discovery", [
    { fault_type: "discovery_hangs" },
    { fault_type: "discovery_refused", choices: [1, 1000040343, 1000040345, 1000040350, 403, 7].map((code) => [String(code), { code }]) },
    { fault_type: "discovery_html", choices: [200, 502].map((status) => [`HTTP ${status}`, { status }]) },
    { fault_type: "handshake_refused", choices: [["514 · 1000040350", {}], ["403", { status: 403, auth_code: 0 }], ["no_headers", { headers: false }]] },
    { fault_type: "finite_reconnect_count", choices: [1, 7].map((count) => [`× ${count}`, { count }]) },
    { fault_type: "client_config", choices: [
      ["− PingInterval", { without: ["PingInterval"] }],
      ["− ReconnectCount", { without: ["ReconnectCount"] }],
      ["all_missing", { without: ["ReconnectCount", "ReconnectInterval", "ReconnectNonce", "PingInterval"] }],
      ["ping_1", { ping_interval_seconds: 1 }],
    ] },
  ]],
  ["calls", [
    { fault_type: "slow", choices: [2, 10, 60].map((seconds) => [`${seconds} s`, { delay_seconds: seconds }]) },
    { fault_type: "429", choices: [["with_header", {}], ["without_header", { header: false }]] },
    { fault_type: "500", choices: [["JSON", {}], ["HTML", { body: "html" }]] },
    { fault_type: "timeout_after_success" },
    { fault_type: "reset_after_success" },
    { fault_type: "truncate" },
    { fault_type: "expire_tokens", once: true },
    { fault_type: "refuse_tokens" },
    { fault_type: "refuse_app" },
  ]],
  ["pushes", [
    { fault_type: "duplicate" },
    { fault_type: "reorder" },
    { fault_type: "corrupt", choices: [["in_turn", {}], ["damage_bytes", { damage: "bytes" }], ["damage_header", { damage: "header" }], ["damage_chunk", { damage: "chunk" }]] },
  ]],
  ["setup", [
    { fault_type: "setup:wrong_secret", timed: true },
    { fault_type: "setup:scope_missing", timed: true, choices: ["im:message:send_as_bot", "hire:referral_account:readonly", "hire:referral_account", "im:chat:readonly", "im:chat.members:read", "im:resource"].map((scope) => [scope, { scope }]) },
    { fault_type: "setup:unpublished", timed: true },
    { fault_type: "setup:event_not_subscribed", timed: true },
    { fault_type: "setup:callback_not_subscribed", timed: true },
    { fault_type: "setup:bot_off", timed: true },
    { fault_type: "setup:bot_not_in_group", timed: true },
    { fault_type: "setup:outside_availability", timed: true },
    { fault_type: "setup:contact_range_empty", timed: true },
    { fault_type: "setup:other_program", timed: true },
    { fault_type: "setup:ip_not_allowed", timed: true },
    { fault_type: "setup:app_disabled", timed: true },
    { fault_type: "setup:wrong_chat_id", timed: true },
    { fault_type: "setup:foreign_operator", timed: true },
    { fault_type: "setup:wrong_clock", timed: true },
    { fault_type: "setup:nobody_registered", timed: true },
  ]],
  ["time", [
    { fault_type: "clock", once: true, choices: [["hour_back", { seconds: -3600 }], ["hour_forward", { seconds: 3600 }]] },
  ]],
];
const END_CHOICES = [["seconds", 10], ["seconds", 30], ["seconds", 60], ["seconds", 300], ["times", 1], ["times", 3], ["until"]];
const DEFAULT_END = "seconds-30";

let state = null;
let receivedAt = 0;

// --- buttons that start faults -------------------------------------------------------------------------------------------

const endLabel = ([unit, n]) => (unit === "until" ? t("until_ended") : t(`for_${unit}`, { n }));
const choiceLabel = (name) => (t(`choice_${name}`) === `choice_${name}` ? name : t(`choice_${name}`));

function chosenEnd() {
  const [unit, n] = byId("fault-end").value.split("-");
  return unit === "until" ? {} : { [unit]: Number(n) };
}

function faultRow(entry) {
  const { fault_type } = entry;
  const hint = t(`effect_${fault_type}`);
  const button = h("button", { type: "button", class: "button", title: hint, "data-testid": `fault-${fault_type}`, "data-timed": entry.timed, "data-fault-type": fault_type }, t(`fault_${fault_type}`));
  const select = entry.choices && h("select", { "aria-label": `${t(`fault_${fault_type}`)}: ${t("how")}`, "data-testid": `fault-how-${fault_type}` },
    entry.choices.map(([word], index) => h("option", { value: index }, choiceLabel(word))));
  const explain = () => { byId("fault-hint").textContent = hint; };
  button.addEventListener("focus", explain);
  button.addEventListener("mouseenter", explain);
  button.addEventListener("click", () => {
    const [, options, flags = {}] = entry.choices?.[Number(select.value)] ?? [null, {}];
    const end = entry.once || flags.once ? {} : { ...chosenEnd() };
    if (!Object.keys(end).length) Object.assign(end, flags.least);
    return runAction(button, () => post("/api/faults", { fault_type, ...end, ...options }), t("fault_started", { name: t(`fault_${fault_type}`) }));
  });
  return h("div", { class: select ? "fault-row joined" : "fault-row" }, button, select);
}

function renderFaultButtons() {
  const end = byId("fault-end");
  const chosen = end.value || DEFAULT_END;
  end.replaceChildren(...END_CHOICES.map((one) => h("option", { value: one.join("-") }, endLabel(one))));
  end.value = chosen;
  byId("fault-types").replaceChildren(...FAULT_GROUPS.map(([group, entries]) =>
    h("fieldset", { class: "fault-group" }, h("legend", {}, t(`fault_group_${group}`)), h("div", { class: "fault-buttons" }, entries.map(faultRow)))));
  byId("fault-hint").textContent = t("fault_hint");
  updateDisabledButtons();
}

/** Disables faults that only time can end while a number of hits is chosen. */
function updateDisabledButtons() {
  const counted = "times" in chosenEnd();
  for (const button of document.querySelectorAll("#fault-types [data-timed]")) button.disabled = counted;
}

async function runAction(button, work, done) {
  const result = byId("fault-result");
  button.disabled = true;
  try {
    await work();
    showResult(result, done, false);
  } catch (error) {
    showResult(result, t("failed", { error: error.message }), true);
  } finally {
    button.disabled = false;
    updateDisabledButtons();
  }
}

// --- running faults -----------------------------------------------------------------------------------------------

function showRunning(faults) {
  byId("no-faults").hidden = faults.length > 0;
  byId("end-all-faults").hidden = faults.length < 2;
  syncList(byId("fault-list"), faults, {
    key: (one) => one.fault_id,
    sign: (one) => JSON.stringify([language(), one.fault_id]),
    create: (one) => h("li", { class: "fault-item", "data-testid": `running-${one.fault_type}` }),
    fill: (node, one) => {
      const name = t(`fault_${one.fault_type}`);
      const end = h("button", { type: "button", class: "button", "aria-label": `${t("end_fault")}: ${name}`, "data-testid": `end-${one.fault_type}` }, t("end_fault"));
      end.addEventListener("click", () => runAction(end, () => remove(`/api/faults/${encodeURIComponent(one.fault_id)}`), t("fault_ended", { name })));
      node.replaceChildren();
      append(node, [
        h("div", { class: "log-top" }, h("span", { class: "state wait" }, name), h("span", { class: "fault-remaining", role: "timer", "data-left": one.fault_id }), end),
        h("p", { class: "hint" }, t(`effect_${one.fault_type}`)),
      ]);
    },
  });
}

function remainingText(one) {
  const texts = [];
  if (one.left_seconds !== null) texts.push(t("left_seconds", { n: Math.max(0, Math.ceil(one.left_seconds - (performance.now() - receivedAt) / 1000)) }));
  if (one.left_times !== null) texts.push(t("left_times", { n: one.left_times }));
  if (one.hits) texts.push(t("hits_n", { n: one.hits }));
  return texts.length ? texts.join(" · ") : t("until_ended");
}

// --- status of the long connection ------------------------------------------------------------------------------------------

function showLongConnection() {
  const connection = state.long_connection ?? {};
  const connections = state.app?.connections ?? 0;
  const word = state.webhook_url ? "long_connection_unused" : connection.is_connected ? "long_connection_ok" : connections ? "long_connection_unresponsive" : connection.disconnected_at_ms ? "long_connection_lost" : "long_connection_never";
  const pill = byId("long-connection-state");
  pill.className = `state ${connection.is_connected || state.webhook_url ? "good" : connection.disconnected_at_ms || connections ? "bad" : "wait"}`;
  write(pill, t(word));
  byId("long-connection").dataset.isConnected = String(Boolean(connection.is_connected));
  write(byId("long-connection-lost"), connection.disconnected_at_ms ? clockSeconds(connection.disconnected_at_ms) : "—");
  const offlineSeconds = connection.offline_seconds ?? null;
  const since = connection.is_connected ? 0 : (performance.now() - receivedAt) / 1000;
  write(byId("long-connection-offline"), offlineSeconds === null ? "—" : t("seconds_n", { n: (offlineSeconds + since).toFixed(connection.is_connected ? 1 : 0) }));
  write(byId("long-connection-reconnects"), String(connection.reconnects ?? 0));
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function tick() {
  if (!state) return;
  showLongConnection();
  const running = new Map((state.running_faults ?? []).map((one) => [one.fault_id, one]));
  for (const node of document.querySelectorAll("[data-left]")) {
    const one = running.get(node.dataset.left);
    if (one) write(node, remainingText(one));
  }
}

export function showFaults(next) {
  if (next !== state) receivedAt = performance.now();
  state = next;
  showRunning(state.running_faults ?? []);
  byId("on-hold").hidden = !state.on_hold;
  byId("on-hold").textContent = t("on_hold");
  byId("hold").textContent = t(state.on_hold ? "release" : "hold");
  byId("hold").setAttribute("aria-pressed", String(Boolean(state.on_hold)));
  const refused = Object.entries(state.refusals ?? {});
  const unknown = Object.entries(state.unknown_calls ?? {});
  byId("unknown-calls").hidden = unknown.length === 0;
  byId("unknown-calls").replaceChildren(h("span", {}, t("unknown_calls")), ...unknown.map(([call, count]) => h("code", {}, `${call} × ${count}`)));
  byId("refusals").hidden = refused.length === 0;
  byId("refusals").replaceChildren(h("span", {}, t("refusals")), ...refused.map(([code, count]) => h("code", {}, `${code} × ${count}`)));
  const faults = state.call_faults ?? [];
  byId("call-faults").hidden = faults.length === 0;
  byId("call-faults").textContent = faults.map((fault) => JSON.stringify(fault)).join("\n");
  tick();
}

/** Called again when the language changes. */
export function updateFaultTexts() {
  if (byId("fault-types").dataset.language === language()) return; // keeps the chosen variants
  byId("fault-types").dataset.language = language();
  byId("fault-result").hidden = true;
  renderFaultButtons();
}

export function wireFaults() {
  const held = () => byId("hold").getAttribute("aria-pressed") === "true";
  byId("hold").addEventListener("click", () => runAction(byId("hold"), () => post(held() ? "/api/release" : "/api/hold"), t("done")));
  byId("fault-end").addEventListener("change", updateDisabledButtons);
  byId("end-all-faults").addEventListener("click", () => runAction(byId("end-all-faults"), () => remove("/api/faults"), t("done")));
  setInterval(tick, 500);
}
