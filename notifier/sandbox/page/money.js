// The area "money": the ledger of each account, the withdrawals, and the simulated payroll system with its payouts.

import { append, byId, h, syncList } from "./dom.js";
import { clockSeconds, group, language, money, stripDirectionMarks, t } from "./texts.js";
import { personName } from "./markdown.js";
import { post, request } from "./api.js";
import { stateLabel } from "./events.js";
import { fillSelect } from "./forms.js";

const STATE_CLASS = { paid: "good", failed: "bad" };

// --- ledger ----------------------------------------------------------------------------------------------------------

let changes = [];
let loaded = null;
let loading = false;

/** Reads the balance changes again after the state changed. */
export async function loadLedger(revision) {
  if (loading || revision === loaded) return;
  loading = true;
  try {
    changes = (await request("/api/ledger")).changes;
    loaded = revision;
  } catch (error) {
    console.error(error);
  } finally {
    loading = false;
  }
}

export function showLedger(accounts, people) {
  const select = byId("ledger-account");
  const label = (account) => `${nameOf(people, account.open_id) ?? account.open_id} · ${account.account_id}`;
  fillSelect(select, [["", t("all_accounts")], ...[...accounts.values()].map((account) => [account.account_id, label(account)])], "", t("no_accounts"));
  const account = accounts.get(select.value);
  byId("ledger-balance").textContent = account ? t("balance_now", { balance: [t("points_n", { n: group(account.points) }), ...account.cash.map((one) => money(one.currency, one.amount))].join(" · ") }) : "";
  const shown = changes.filter((one) => !account || one.account_id === account.account_id);
  byId("ledger-count").textContent = shown.length ? String(shown.length) : "";
  byId("ledger-empty").hidden = shown.length > 0;
  const numbered = shown.map((one, index) => ({ ...one, number: shown.length - index }));
  syncList(byId("ledger-list"), numbered, {
    key: (one) => `${one.account_id} ${one.at_ms} ${one.number}`,
    sign: (one) => JSON.stringify([language(), one, nameOf(people, accounts.get(one.account_id)?.open_id)]),
    create: () => h("li", { class: "log-item ledger-item", tabindex: "-1", "data-testid": "ledger-row" }),
    fill: (node, one) => {
      const amounts = [one.points ? { text: t("points_n", { n: signed(one.points) }), minus: one.points < 0 } : null, ...one.cash.filter((cash) => Number(cash.amount)).map((cash) => ({ text: money(cash.currency, cash.amount, { sign: true }), minus: cash.amount.startsWith("-") }))].filter(Boolean);
      node.replaceChildren();
      append(node, [
        head(nameOf(people, accounts.get(one.account_id)?.open_id) ?? one.account_id, one.at_ms, h("span", { class: "status-tag" }, t(`reason_${one.reason}`))),
        h("div", { class: "amounts" }, amounts.map(({ text, minus }) => h("span", { class: minus ? "minus" : "plus" }, text)), one.reference && h("code", { class: "log-id", title: one.reference }, one.reference)),
      ]);
    },
  });
}

const signed = (points) => `${points > 0 ? "+" : "-"}${group(Math.abs(points))}`;

// --- withdrawals and payouts ---------------------------------------------------------------------------------------

export function showWithdrawals(withdrawals, accounts, people) {
  byId("withdrawal-count").textContent = withdrawals.length ? String(withdrawals.length) : "";
  byId("withdrawal-empty").hidden = withdrawals.length > 0;
  syncList(byId("withdrawal-list"), withdrawals, {
    key: (order) => order.order_id,
    sign: (order) => JSON.stringify([language(), order, nameOf(people, accounts.get(order.account_id)?.open_id)]),
    create: (order) => h("li", { class: "log-item", tabindex: "-1", "data-testid": `withdrawal-row-${order.order_id}` }),
    fill: (node, order) => {
      const cash = order.cash.map((one) => money(one.currency, one.amount));
      const amounts = [order.points ? t("points_n", { n: group(order.points) }) : "", ...cash].filter(Boolean);
      node.replaceChildren();
      append(node, [
        head(nameOf(people, accounts.get(order.account_id)?.open_id) ?? order.account_id, order.at_ms),
        h("code", { class: "log-id", title: order.order_id }, order.order_id),
        h("div", { class: "pushes" }, h("span", { "data-testid": `withdrawal-amounts-${order.order_id}` }, amounts.join(" · ") || t("nothing_to_withdraw")),
          h("span", { "data-testid": `withdrawal-requests-${order.order_id}` }, t("requested_n", { n: order.request_count }))),
      ]);
    },
  });
}

export function showPayouts(payouts, reportUrl, people) {
  byId("payout-count").textContent = payouts.length ? String(payouts.length) : "";
  byId("payout-empty").hidden = payouts.length > 0;
  byId("payout-report-url").textContent = reportUrl ? t("report_to", { url: reportUrl }) : t("no_report_url");
  syncList(byId("payout-list"), payouts, {
    key: (payout) => payout.order_id,
    sign: (payout) => JSON.stringify([language(), payout, nameOf(people, payout.body.referrer_open_id)]),
    create: (payout) => h("li", { class: "log-item", tabindex: "-1", "data-testid": `payout-row-${payout.order_id}` }),
    fill: (node, payout) => {
      const state = h("span", { class: `state ${STATE_CLASS[payout.state] ?? "wait"}`, "data-testid": `payout-state-${payout.order_id}` }, stateLabel(payout.state));
      node.replaceChildren();
      append(node, [
        head(nameOf(people, payout.body.referrer_open_id) ?? payout.body.account_id, payout.at_ms, state),
        h("code", { class: "log-id", title: payout.order_id }, payout.order_id),
        h("div", { class: "pushes" }, h("span", {}, payout.body.amounts.map(amountText).join(" · ") || t("nothing_to_withdraw")),
          h("span", {}, t("received_n", { n: payout.received })), payout.reference && h("span", {}, stripDirectionMarks(payout.reference)), payout.reason && h("span", {}, stripDirectionMarks(payout.reason)), outcome(payout)),
        (payout.state === "accepted" || hasFailed(payout)) && buttons(payout),
      ]);
    },
  });
}

const nameOf = (people, openId) => (people.has(openId) ? personName(people.get(openId)) : undefined);

const head = (name, atMs, state) => h("div", { class: "log-top" }, state, h("bdi", { class: "log-name" }, name), h("time", { class: "log-time" }, clockSeconds(atMs)));

/** Removes trailing zeros, because amounts have four decimals. */
function amountText({ kind, currency, amount }) {
  const short = amount.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  return kind === "points" ? t("points_n", { n: group(short) }) : money(stripDirectionMarks(currency), short);
}

const wasAccepted = (payout) => payout.report_status >= 200 && payout.report_status < 300;
/** Whether the report failed, so that it can be repeated. */
const hasFailed = (payout) => Boolean(payout.report_error || payout.report_status) && !wasAccepted(payout);

function outcome(payout) {
  if (payout.state === "accepted") return null;
  const status = payout.report_status;
  const text = payout.report_error ? t("report_failed", { error: payout.report_error }) : !status ? t("reporting") : t(wasAccepted(payout) ? "reported" : "report_refused", { status });
  return h("span", { class: `push ${wasAccepted(payout) ? "good" : hasFailed(payout) ? "bad" : ""}`, "data-testid": `payout-outcome-${payout.order_id}` }, text);
}

function buttons(payout) {
  const row = h("div", { class: "row-buttons" });
  const reason = h("input", { type: "text", class: "input", maxlength: "500", "data-testid": `payout-reason-${payout.order_id}`, "aria-label": t("payout_reason"), placeholder: t("payout_reason") });
  const press = (status) => () => status === "failed" && !reason.value.trim() ? askForReason(reason) : report(row, payout.order_id, status, status === "failed" ? reason.value.trim() : "");
  const button = (status) => h("button", { type: "button", class: "button", "data-testid": `payout-${status}-${payout.order_id}`, "aria-label": `${t(`payout_${status}`)} ${payout.order_id}`, onclick: press(status) }, t(`payout_${status}`));
  return append(row, [button("paid"), button("failed"), reason]);
}

function askForReason(input) {
  const error = byId("payout-result");
  error.hidden = false;
  error.textContent = t("payout_reason_needed");
  input.focus();
}

async function report(row, orderId, status, reason) {
  const error = byId("payout-result");
  error.hidden = true;
  for (const button of row.children) button.disabled = true;
  try {
    await post(`/api/payouts/${encodeURIComponent(orderId)}/report`, { status, reason });
  } catch (problem) {
    error.hidden = false;
    error.textContent = t("failed", { error: problem.message });
  } finally {
    for (const button of row.children) button.disabled = false;
  }
}
