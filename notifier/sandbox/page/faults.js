// The area "faults": the running faults, one list of all fault types with a search, and the state of the long connection.

import { append, byId, h, syncList } from "./dom.js";
import { clockSeconds, language, t } from "./texts.js";
import { post, remove, request } from "./api.js";
import { runAction } from "./forms.js";

const MAX_SECONDS = 86_400;
/** Fault types by group, in the order of the list. Set-up errors begin with "setup:"; all others are listed as "other". */
const GROUPS = {
  network: ["drop", "black_hole", "half_open", "goes_silent_after_connect", "no_pongs", "close_code"],
  discovery: ["discovery_hangs", "discovery_refused", "discovery_html", "handshake_refused", "finite_reconnect_count", "client_config"],
  calls: ["slow", "429", "500", "timeout_after_success", "reset_after_success", "truncate", "expire_tokens", "refuse_tokens", "refuse_app"],
  pushes: ["duplicate", "reorder", "corrupt"],
  time: ["clock"],
  setup: [],
  other: [],
};
/** Values that are worth a try, offered while the reader types. */
const SUGGESTIONS = {
  "close_code.code": [1001, 1011, 4001], "discovery_refused.code": [1, 7, 403, 1000040343, 1000040345, 1000040350], "discovery_html.status": [200, 502], "handshake_refused.status": [514, 403],
  "finite_reconnect_count.count": [1, 7], "client_config.ping_interval_seconds": [1, 90], "slow.delay_seconds": [2, 10, 60], "clock.seconds": [-3600, 3600], "refuse_app.code": [99991662, 99991401, 99991403],
  match: ["POST /open-apis/im/v1/messages", "PATCH /open-apis/im/v1/messages/*", "* /open-apis/*"],
};
const END_CHOICES = [["seconds", 10], ["seconds", 30], ["seconds", 60], ["seconds", 300], ["times", 1], ["times", 3], ["until"]];
const DEFAULT_END = "seconds-30";

let state = null;
let receivedAt = 0;
let types = null;

const nameOf = (type) => textOr(`fault_${type}`, type);
const effectOf = (type) => textOr(`effect_${type}`, types?.[type]?.effect ?? "");
const textOr = (key, other) => (t(key) === key ? other : t(key));

// --- list of fault types -------------------------------------------------------------------------------------------------

const endLabel = ([unit, n]) => (unit === "until" ? t("until_ended") : t(`for_${unit}`, { n }));

function chosenEnd() {
  const [unit, n] = byId("fault-end").value.split("-");
  return unit === "until" ? {} : { [unit]: Number(n) };
}

function groupOf(type) {
  if (type.startsWith("setup:")) return "setup";
  return Object.keys(GROUPS).find((group) => GROUPS[group].includes(type)) ?? "other";
}

function renderTypes() {
  const end = byId("fault-end");
  const chosen = end.value || DEFAULT_END;
  end.replaceChildren(...END_CHOICES.map((one) => h("option", { value: one.join("-") }, endLabel(one))));
  end.value = chosen;
  if (!types || !state) return; // the options name people and groups
  byId("fault-types").replaceChildren(...Object.entries(GROUPS).map(([group, order]) => {
    const members = Object.keys(types).filter((type) => groupOf(type) === group).sort((a, b) => order.indexOf(a) - order.indexOf(b));
    return members.length ? h("section", { class: "fault-group", "aria-label": t(`fault_group_${group}`) }, h("h3", {}, t(`fault_group_${group}`)), h("ul", {}, members.map((type) => faultRow(type, types[type])))) : "";
  }));
  filterTypes();
}

/** One fault type: its name and effect, a button to start it, and its options behind the name. */
function faultRow(type, { options, ends_by, is_immediate }) {
  const fields = Object.entries(options).map(([name, option]) => optionField(type, name, option));
  const repeats = is_immediate && ends_by.length ? h("input", { type: "checkbox", "data-testid": `fault-repeat-${type}` }) : null;
  const start = h("button", { type: "submit", class: "button small", "data-testid": `fault-${type}`, "data-timed": !is_immediate && !ends_by.includes("times"), "aria-label": `${t("start_fault")}: ${nameOf(type)}` }, t("start_fault"));
  const form = h("form", { class: "fault-form", onsubmit: (event) => { event.preventDefault(); void begin(); } });
  const begin = () => runAction(start, byId("fault-result"), async () => {
    const body = { fault_type: type, ...endOf(ends_by, is_immediate, repeats) };
    for (const field of fields) Object.assign(body, field.read());
    await post("/api/faults", body);
  }, t("fault_started", { name: nameOf(type) })).then(updateDisabled);
  const effect = h("span", { class: "fault-effect" }, effectOf(type));
  const inputs = [...fields.map((field) => field.node), repeats && h("label", { class: "check" }, repeats, h("span", {}, t("repeat_fault")))].filter(Boolean);
  append(form, [h("div", { class: "fault-line" },
    inputs.length
      ? h("details", { class: "fault-details", "data-testid": `fault-options-${type}` }, h("summary", { class: "fault-name" }, h("span", { class: "fault-title" }, nameOf(type), h("span", { class: "status-tag" }, t("options_n", { n: inputs.length }))), effect), h("div", { class: "fault-options" }, inputs))
      : h("div", { class: "fault-details fault-name", tabindex: "-1" }, h("span", { class: "fault-title" }, nameOf(type)), effect),
    start)]);
  return h("li", { class: "fault-row", "data-search": [type, nameOf(type), effectOf(type), types[type].effect, ...Object.keys(options)].join(" ").toLowerCase() }, form);
}

/** Types that end at once ignore the duration, unless they are repeated while it lasts. */
function endOf(endsBy, isImmediate, repeats) {
  if (!endsBy.length || (isImmediate && !repeats?.checked)) return {};
  const end = chosenEnd();
  return isImmediate && !Object.keys(end).length ? { seconds: MAX_SECONDS } : end;
}

/** The input of one option. `read()` returns the option for the API, nothing for its default. */
function optionField(type, name, { default: standard, kind, choices }) {
  const id = `fault-option-${type}-${name}`;
  const label = textOr(`option_${name}`, name);
  const props = { id, "data-testid": id };
  if (kind === "boolean") {
    const box = h("input", { ...props, type: "checkbox" });
    box.checked = standard;
    return { node: h("label", { class: "check" }, box, h("span", {}, label)), read: () => (box.checked === standard ? {} : { [name]: box.checked }) };
  }
  if (kind === "list") {
    const boxes = choices.map((value) => h("input", { type: "checkbox", value, "data-testid": `${id}-${value}` }));
    return { node: h("fieldset", { class: "field" }, h("legend", {}, label), boxes.map((box) => h("label", { class: "check" }, box, h("span", {}, box.value)))), read: () => { const chosen = boxes.filter((box) => box.checked).map((box) => box.value); return chosen.length ? { [name]: chosen } : {}; } };
  }
  if (kind === "choice" || ["scope", "group", "person"].includes(kind)) {
    const select = h("select", props);
    const fill = () => {
      const before = select.value || standard || "";
      select.replaceChildren(...choicesOf(kind, choices, standard).map(([value, text]) => h("option", { value }, text)));
      select.value = before;
    };
    fill();
    select.addEventListener("focus", fill); // people and groups can have changed
    return { node: field(id, label, select), read: () => (select.value === (standard ?? "") ? {} : { [name]: select.value }) };
  }
  const list = SUGGESTIONS[`${type}.${name}`] ?? SUGGESTIONS[name];
  const input = h("input", { ...props, type: "text", inputmode: kind === "number" ? "decimal" : null, placeholder: standard ?? "", autocomplete: "off", list: list && `${id}-list` });
  const read = () => {
    const text = input.value.trim();
    if (!text) return {};
    return { [name]: kind === "number" && Number.isFinite(Number(text)) ? Number(text) : text };
  };
  return { node: field(id, label, [input, list && h("datalist", { id: `${id}-list` }, list.map((value) => h("option", { value })))]), read };
}

const field = (id, label, input) => h("div", { class: "field" }, h("label", { for: id }, label), input);

function choicesOf(kind, choices, standard) {
  const none = standard === null || standard === "" ? [["", t(kind === "person" ? "everyone" : "in_turn")]] : [];
  if (kind === "scope") return (state?.console?.draft?.scopes ?? [standard]).map((scope) => [scope, scope]);
  if (kind === "group") return (state?.groups ?? []).map((group) => [group.chat_id, group.name || group.chat_id]);
  if (kind === "person") return [...none, ...(state?.people ?? []).map((person) => [person.open_id, person.name || person.open_id])];
  return [...none, ...choices.map((choice) => [choice, textOr(`choice_${choice}`, choice)])];
}

/** Disables faults that only time can end while a number of hits is chosen. */
function updateDisabled() {
  const counted = "times" in chosenEnd();
  for (const button of document.querySelectorAll("#fault-types [data-timed]")) button.disabled = counted;
}

/** Shows the types whose name, effect or options contain each word of the search. */
function filterTypes() {
  const words = byId("fault-search").value.trim().toLowerCase().split(/\s+/);
  let found = 0;
  for (const group of document.querySelectorAll(".fault-group")) {
    for (const row of group.querySelectorAll(".fault-row")) row.hidden = !words.every((word) => row.dataset.search.includes(word));
    const shown = group.querySelectorAll(".fault-row:not([hidden])").length;
    group.hidden = shown === 0;
    found += shown;
  }
  byId("fault-none").hidden = found > 0 || !types;
  updateDisabled();
}

// --- running faults -----------------------------------------------------------------------------------------------

function showRunning(faults, rules) {
  byId("no-faults").hidden = faults.length + rules.length > 0;
  byId("end-all-faults").hidden = faults.length < 2;
  byId("faults-running").hidden = faults.length + rules.length === 0;
  byId("faults-running").textContent = String(faults.length + rules.length);
  const running = faults.map((one) => ({ id: one.fault_id, testId: one.fault_type, name: nameOf(one.fault_type), about: [effectOf(one.fault_type), optionsText(one)].filter(Boolean).join(" "), path: `/api/faults/${encodeURIComponent(one.fault_id)}` }));
  const ruled = rules.map((rule) => ({ id: rule.fault_id, testId: rule.fault_id, name: t("call_fault"), about: JSON.stringify(rule), path: `/api/call-faults/${encodeURIComponent(rule.fault_id)}` }));
  syncList(byId("fault-list"), [...running, ...ruled], {
    key: (one) => one.id,
    sign: (one) => JSON.stringify([language(), one]),
    create: (one) => h("li", { class: "fault-item", "data-testid": `running-${one.testId}` }),
    fill: (node, one) => {
      const end = h("button", { type: "button", class: "button small", "aria-label": `${t("end_fault")}: ${one.name}`, "data-testid": `end-${one.testId}` }, t("end_fault"));
      end.addEventListener("click", () => runAction(end, byId("fault-result"), () => remove(one.path), t("fault_ended", { name: one.name })));
      node.replaceChildren();
      append(node, [
        h("div", { class: "log-top" }, h("span", { class: "state wait" }, one.name), h("span", { class: "fault-remaining", role: "timer", "data-left": one.id }), end),
        h("p", { class: "hint" }, one.about),
      ]);
    },
  });
}

/** The options that differ from their defaults. */
function optionsText(one) {
  const standards = types?.[one.fault_type]?.options ?? {};
  const changed = Object.entries(one.options ?? {}).filter(([name, value]) => name in standards && JSON.stringify(value) !== JSON.stringify(standards[name].default));
  return changed.map(([name, value]) => `${textOr(`option_${name}`, name)}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join(" · ");
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
  const first = state === null;
  state = next;
  if (first) renderTypes();
  showRunning(state.running_faults ?? [], state.call_faults ?? []);
  byId("on-hold").hidden = !state.on_hold;
  byId("on-hold").textContent = t("on_hold");
  byId("hold").textContent = t(state.on_hold ? "release" : "hold");
  byId("hold").setAttribute("aria-pressed", String(Boolean(state.on_hold)));
  tick();
}

/** Called again when the language changes. */
export function updateFaultTexts() {
  if (byId("fault-types").dataset.language === language()) return; // keeps the chosen options
  byId("fault-types").dataset.language = language();
  byId("fault-result").hidden = true;
  renderTypes();
}

export function wireFaults() {
  const held = () => byId("hold").getAttribute("aria-pressed") === "true";
  byId("hold").addEventListener("click", () => runAction(byId("hold"), byId("fault-result"), () => post(held() ? "/api/release" : "/api/hold"), t("done")));
  byId("fault-end").addEventListener("change", updateDisabled);
  byId("fault-search").addEventListener("input", filterTypes);
  byId("end-all-faults").addEventListener("click", () => runAction(byId("end-all-faults"), byId("fault-result"), () => remove("/api/faults"), t("done")));
  request("/api/faults").then((answer) => { types = answer.fault_types; renderTypes(); if (state) showFaults(state); }, (error) => console.error(error));
  setInterval(tick, 500);
}
