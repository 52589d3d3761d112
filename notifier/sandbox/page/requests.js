// The area "requests": the calls of the app with their bodies and answers, and the use of each rate limit.

import { append, byId, h, icon, syncList } from "./dom.js";
import { clockSeconds, language, t } from "./texts.js";
import { request } from "./api.js";
import { copyButton } from "./forms.js";
import { highlight, linkButton } from "./navigation.js";

const FIRST_PAGE = 100;
const MAX_KEPT = 1000;
const SHOWN = 150;
const QUOTA_MS = 1000;

const open = new Set();
let list = []; // oldest first
let wanted = null;
let loading = false;
let revision = null;

export const isFailed = (one) => one.status === 0 || one.status >= 400 || Boolean(one.code);

/** Reads the calls since the last read. `next` is the revision of the state. */
export async function loadRequests(next) {
  if (loading || next === revision) return;
  loading = true;
  const target = next;
  try {
    let answer;
    if (list.length) answer = await request(`/api/requests?after=${encodeURIComponent(list.at(-1).log_id)}&limit=${MAX_KEPT}`).catch(() => null);
    if (!answer) { // the first read, or the sandbox was reset
      answer = await request(`/api/requests?limit=${FIRST_PAGE}`);
      list = [];
    }
    list = [...list, ...answer.requests].slice(-MAX_KEPT);
    if (answer.requests.length || revision === null) showRequests();
    revision = target;
  } catch (error) {
    console.error(error);
  } finally {
    loading = false;
  }
}

/** Opens a call of a link. It is loaded if it is older than those of the list. Returns whether it exists. */
export async function revealRequest(logId) {
  if (!list.some((one) => one.log_id === logId)) {
    const answer = await request(`/api/requests?contains=${encodeURIComponent(logId)}&limit=${MAX_KEPT}`).catch(() => null); // of one unknown call, the browser logs the 404
    const one = answer?.requests.find((other) => other.log_id === logId);
    if (!one) return answer === null;
    if (!list.some((other) => other.log_id === logId)) list = [...list, one].sort((a, b) => a.at_ms - b.at_ms);
  }
  wanted = logId;
  open.add(logId);
  byId("request-search").value = "";
  byId("request-failed").checked = false;
  showRequests();
  return true;
}

export function showRequests() {
  const words = byId("request-search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const failedOnly = byId("request-failed").checked;
  const matching = list.filter((one) => (!failedOnly || isFailed(one)) && words.every((word) => searchText(one).includes(word))).reverse();
  const shown = matching.filter((one, index) => index < SHOWN || one.log_id === wanted);
  byId("request-count").textContent = list.length ? (matching.length === list.length ? String(list.length) : `${matching.length}/${list.length}`) : "";
  byId("request-empty").hidden = shown.length > 0;
  byId("request-empty").textContent = t(list.length ? "nothing_found_short" : "no_requests");
  syncList(byId("request-list"), shown, {
    key: (one) => one.log_id,
    sign: (one) => JSON.stringify([language(), one.log_id, open.has(one.log_id)]),
    create: (one) => h("li", { class: "request", "data-testid": `request-${one.log_id}` }),
    fill: fillRequest,
  });
  const found = wanted && byId("request-list").querySelector(`[data-testid="request-${CSS.escape(wanted)}"] .request-head`);
  if (found) { highlight(found, "start"); wanted = null; }
}

const texts = new WeakMap();

function searchText(one) {
  if (!texts.has(one)) texts.set(one, JSON.stringify([one.method, one.path, one.query, one.status, one.code, one.log_id, one.request_body, one.answer_body]).toLowerCase());
  return texts.get(one);
}

function fillRequest(node, one) {
  const isOpen = open.has(one.log_id);
  const focused = node.contains(document.activeElement);
  const head = h("button", { type: "button", class: "request-head", "aria-expanded": String(isOpen), onclick: () => { if (!open.delete(one.log_id)) open.add(one.log_id); showRequests(); } },
    h("span", { class: `code ${isFailed(one) ? "bad" : ""}` }, one.status ? String(one.status) : "—"), h("span", { class: "method" }, one.method), h("span", { class: "path", title: one.path }, String(one.path).replace("/open-apis", "")),
    one.code ? h("span", { class: "code bad" }, String(one.code)) : h("span"), h("span", { class: "took" }, `${Math.round(one.took_ms ?? 0)} ms`), h("time", { class: "log-time" }, clockSeconds(one.at_ms)));
  node.replaceChildren(head);
  if (isOpen) node.append(details(one));
  if (focused) head.focus({ preventScroll: true });
}

function details(one) {
  const sections = [
    ["request_query", one.query && { text: one.query.replaceAll("&", "\n") }],
    ["request_body", one.request_body ?? (one.request_headers ? null : { gone: true })],
    ["answer_body", one.answer_body ?? (one.request_headers ? null : { gone: true })],
  ];
  return h("div", { class: "request-details" },
    h("div", { class: "request-tools" }, h("code", { class: "log-id", title: "X-Tt-Logid" }, one.log_id),
      copyButton(t("copy_curl"), () => curlOf(one), { "data-testid": `curl-${one.log_id}` }), linkButton("requests", one.log_id)),
    sections.filter(([, content]) => content).map(([name, content]) => h("figure", {},
      h("figcaption", {}, t(name), content.content_type && h("small", {}, `${content.content_type} · ${content.size} B`), textOf(content) && copyButton(t("copy_text"), () => textOf(content))),
      h("pre", { tabindex: "0", "data-testid": `${name}-${one.log_id}`, "aria-label": t(name) }, content.gone ? t("body_gone") : textOf(content) || t("bytes_n", { n: content.size })))),
    one.request_headers && h("details", { class: "headers" }, h("summary", {}, t("headers")), h("pre", { tabindex: "0", "aria-label": t("headers") }, headerLines(one))));
}

/** The body as text. JSON is indented, also JSON that is the `content` of a message. */
function textOf(content) {
  if (!("json" in content)) return content.text ?? "";
  return JSON.stringify(content.json, (key, value) => (key === "content" && typeof value === "string" ? parsed(value) : value), 2);
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" ? value : text;
  } catch {
    return text;
  }
}

const headerLines = (one) => [one.request_headers, one.answer_headers].map((headers) => Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`).join("\n")).join("\n\n");

const quote = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

/** The call as a curl command. The access token is the variable $TOKEN of the shell; forms with files are left out. */
export function curlOf(one) {
  const lines = [`curl -X ${one.method} ${quote(location.origin + one.path + (one.query ? `?${one.query}` : ""))}`];
  if (one.request_headers && Object.keys(one.request_headers).some((name) => name.toLowerCase() === "authorization")) lines.push('-H "Authorization: Bearer $TOKEN"');
  const body = one.request_body;
  if (body?.content_type && (body.json !== undefined || body.text)) lines.push(`-H ${quote(`Content-Type: ${body.content_type}`)}`, `--data ${quote(body.json === undefined ? body.text : JSON.stringify(body.json))}`);
  return lines.join(" \\\n  ");
}

// --- rate limits ---------------------------------------------------------------------------------------------------------

function showQuotas({ enforced, quotas }) {
  const used = quotas.filter((one) => one.used > 0);
  byId("quota-empty").hidden = used.length > 0;
  byId("quota-empty").textContent = t(enforced ? "no_quotas" : "quotas_off");
  syncList(byId("quota-list"), used.sort((a, b) => b.used / b.calls - a.used / a.calls), gauge);
  const unused = quotas.filter((one) => one.used === 0);
  byId("quota-others").hidden = unused.length === 0;
  byId("quota-others-title").textContent = t("quotas_unused", { n: unused.length });
  if (byId("quota-others").open) syncList(byId("quota-unused"), unused, gauge);
}

const gauge = {
  key: (one) => `${one.name} ${one.seconds}`,
  sign: (one) => JSON.stringify([language(), one.used, one.calls]),
  create: (one) => h("li", { class: "gauge", "data-testid": `quota-${one.name}-${one.seconds}` }),
  fill: (node, one) => {
    const share = one.used / one.calls;
    const window = t("per_seconds", { n: one.seconds });
    node.replaceChildren();
    append(node, [
      h("div", { class: "gauge-head" }, h("span", { class: "path", title: one.name }, one.name.replace("/open-apis", "")), h("span", { class: "gauge-use" }, t("quota_use", { used: one.used, calls: one.calls, left: one.remaining, window }))),
      one.used > 0 && h("div", { class: `gauge-bar ${share >= 1 ? "bad" : share >= 0.7 ? "wait" : ""}`, role: "meter", "aria-valuemin": "0", "aria-valuemax": String(one.calls), "aria-valuenow": String(one.used), "aria-label": `${one.name} ${window}`, title: t("quota_left", { n: one.remaining }) },
        h("span", { style: { width: `${Math.min(100, Math.round(share * 100))}%` } })),
    ]);
  },
};

export function wireRequests() {
  byId("request-search").addEventListener("input", showRequests);
  byId("request-failed").addEventListener("change", showRequests);
  const readQuotas = () => request("/api/quotas").then(showQuotas, () => {}); // an unreachable server is shown by the banner
  byId("quota-others").addEventListener("toggle", readQuotas);
  setInterval(() => { if (!document.hidden && byId("area-requests").checkVisibility()) readQuotas(); }, QUOTA_MS);
  document.addEventListener("area", (event) => { if (event.detail === "requests") readQuotas(); });
}

export function showRefusals(state) {
  const refused = Object.entries(state.refusals ?? {});
  const unknown = Object.entries(state.unknown_calls ?? {});
  byId("refused").hidden = refused.length + unknown.length === 0;
  byId("unknown-calls").hidden = unknown.length === 0;
  byId("unknown-calls").replaceChildren(h("span", {}, icon("warn", 14), t("unknown_calls")), ...unknown.map(([call, count]) => h("code", {}, `${call} × ${count}`)));
  byId("refusals").hidden = refused.length === 0;
  byId("refusals").replaceChildren(h("span", {}, t("refusals")), ...refused.map(([code, count]) => h("button", { type: "button", class: "chip", onclick: () => { byId("request-search").value = code; showRequests(); } }, `${code} × ${count}`)));
}
