// The area "events": creates an event, and lists the events with their pushes. Also the status of the connection.

import { append, byId, h, icon, syncList } from "./dom.js";
import { CURRENCIES, clockSeconds, decimalsOf, group, language, money, t } from "./texts.js";
import { avatar, personName } from "./markdown.js";
import { post, request } from "./api.js";
import { fillSelect, runAction, showResult } from "./forms.js";
import { highlight, linkButton } from "./navigation.js";

const QUICK_POINTS = ["+100", "+10", "-50"];
const QUICK_CASH = { CNY: ["+500", "+88.80", "-200"], USD: ["+50", "+9.99", "-20"], EUR: ["+50", "+9.99", "-20"], JPY: ["+5000", "+500", "-2000"] };

// --- create an event ----------------------------------------------------------------------------------------------

/** The fields of one change (points and cash). The second change appears only in the out-of-order mode. */
class ChangeFields {
  constructor(number) {
    const tail = number === 1 ? "" : `-${number}`;
    const field = (name, testId, input) => h("div", { class: "field" }, h("label", { for: input.id, "data-t": name }, t(name)), input);
    this.points = h("input", { id: `points${tail}`, type: "text", inputmode: "numeric", autocomplete: "off", placeholder: "+100", "data-testid": `delta-points${tail}` });
    this.cash = h("input", { id: `cash${tail}`, type: "text", inputmode: "decimal", autocomplete: "off", placeholder: "+500.00", "data-testid": `delta-cash${tail}` });
    this.currency = h("select", { id: `currency${tail}`, "data-testid": `currency-select${tail}`, onchange: () => this.updateTexts() },
      CURRENCIES.map((currency) => h("option", { value: currency }, currency)));
    this.quick = h("div", { class: "quick", role: "group" });
    this.title = h("legend", { class: "change-title" });
    this.number = number;
    this.node = h("fieldset", { class: "change" }, this.title,
      h("div", { class: "fields" }, field("delta_points", "", this.points),
        h("div", { class: "field grow" }, h("label", { for: this.cash.id, "data-t": "delta_cash" }, t("delta_cash")), h("div", { class: "joined" }, this.currency, this.cash))),
      this.quick);
    this.currency.setAttribute("data-t-label", "currency");
    this.updateTexts();
  }

  updateTexts() {
    const currency = this.currency.value;
    this.currency.setAttribute("aria-label", t("currency"));
    this.title.textContent = t(this.number === 1 ? "first_change" : "second_change");
    this.quick.setAttribute("aria-label", t("quick"));
    this.cash.placeholder = decimalsOf(currency) ? "+500.00" : "+5000";
    this.quick.replaceChildren(
      ...QUICK_CASH[currency].map((amount) => this.chip(money(currency, amount, { sign: true }).replace(/\.00$/, ""), () => { this.cash.value = exact(currency, amount); }, `quick-cash${amount}`)),
      ...QUICK_POINTS.map((points) => this.chip(t("points_n", { n: points }), () => { this.points.value = points; }, `quick-points${points}`)));
  }

  chip(text, press, testId) {
    return h("button", { type: "button", class: `chip ${/-/.test(text) ? "minus" : "plus"}`, "data-testid": this.number === 1 ? testId : `${testId}-${this.number}`, onclick: press }, text);
  }

  /** Returns {points, cash} for the API. Throws an error whose message is for the reader. */
  read() {
    const points = tidy(this.points.value);
    const cash = tidy(this.cash.value);
    if (points && !/^[+-]?\d{1,12}$/.test(points)) throw new Error(t("bad_points"));
    if (cash && !/^[+-]?\d{1,12}(\.\d{1,2})?$/.test(cash)) throw new Error(t("bad_cash"));
    if (cash && !decimalsOf(this.currency.value) && /\.\d*[1-9]/.test(cash)) throw new Error(t("bad_cash_whole"));
    const change = { points: points ? Number(points) : 0, cash: {} };
    if (cash && !/^[+-]?0+(\.0+)?$/.test(cash)) change.cash[this.currency.value] = exact(this.currency.value, cash);
    if (!change.points && !Object.keys(change.cash).length) throw new Error(t("nothing_to_send"));
    return change;
  }

  clear() {
    this.points.value = "";
    this.cash.value = "";
  }
}

const tidy = (text) => text.replace(/[\s,，]/g, "").replace("＋", "+").replace(/[－−]/g, "-");

/** "+500" becomes "+500.00": with a sign and the decimals of the currency. */
function exact(currency, text) {
  const [, mark, whole, fraction = ""] = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(text);
  const decimals = decimalsOf(currency);
  return `${mark === "-" ? "-" : "+"}${whole}${decimals ? `.${fraction.padEnd(decimals, "0")}` : ""}`;
}

export class EventForm {
  /** remember(account_id) is called with each choice, onSent(account) after an event was sent. */
  constructor({ remember, onSent }) {
    this.onSent = onSent;
    this.changes = [new ChangeFields(1), new ChangeFields(2)];
    byId("changes").append(...this.changes.map((change) => change.node));
    this.accounts = [];
    this.account = byId("account");
    this.mode = byId("mode");
    this.account.addEventListener("change", () => { remember(this.account.value); this.showAccount(); });
    this.mode.addEventListener("change", () => this.modeChanged());
    byId("event-form").addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    this.modeChanged();
  }

  modeChanged() {
    const two = this.mode.value === "reversed";
    this.changes[1].node.hidden = !two;
    byId("changes").classList.toggle("two", two);
    if (two && !this.changes[1].points.value && !this.changes[1].cash.value) this.changes[1].points.value = "+10";
    byId("mode-hint").textContent = t(`hint_${this.mode.value}`);
  }

  updateTexts() {
    byId("send-result").hidden = true;
    for (const change of this.changes) change.updateTexts();
    byId("mode-hint").textContent = t(`hint_${this.mode.value}`);
  }

  show(accounts, people, wanted) {
    this.accounts = accounts;
    this.people = people;
    const list = accounts.map((account) => [account.account_id, `${personName(people.get(account.open_id))} · ${account.account_id}${account.status === 2 ? ` (${t("account_deactivated")})` : ""}`]);
    fillSelect(this.account, list, wanted, t("no_accounts"));
    this.showAccount();
  }

  showAccount() {
    const account = this.accounts.find((one) => one.account_id === this.account.value);
    const box = byId("account-card");
    const signature = JSON.stringify([language(), account, account && this.people.get(account.open_id)]);
    if (box.dataset.signature === signature) return;
    box.dataset.signature = signature;
    box.replaceChildren();
    box.hidden = !account;
    if (!account) return;
    const person = this.people.get(account.open_id);
    const name = personName(person);
    append(box, [
      avatar(account.open_id, person ? name : "?"),
      h("div", { class: "account-text" }, h("bdi", { class: "account-name" }, name),
        h("div", { class: "balances" }, h("span", { class: "balance" }, t("points_n", { n: group(account.points) })),
          account.cash.map((cash) => h("span", { class: "balance" }, money(cash.currency, cash.amount))),
          account.cash.length === 0 && h("span", { class: "balance none" }, t("no_cash")))),
      account.status === 2 && h("span", { class: "status-tag" }, t("account_deactivated")),
    ]);
  }

  async send() {
    const result = byId("send-result");
    const button = byId("send");
    let changes;
    try {
      if (!this.account.value) throw new Error(t("choose_account"));
      changes = this.changes.slice(0, this.mode.value === "reversed" ? 2 : 1).map((change) => ({ account_id: this.account.value, ...change.read() }));
    } catch (error) {
      showResult(result, error.message, true);
      return;
    }
    button.disabled = true;
    button.textContent = t("sending");
    try {
      const answer = await post("/api/changes", { changes, send: this.mode.value });
      const ids = [...new Set((answer.events ?? []).map((event) => event.event_id ?? event))];
      showResult(result, t("sent", { ids: ids.map((id) => String(id).slice(0, 40)).join(", ") }), false);
      this.onSent(this.accounts.find((one) => one.account_id === changes[0].account_id));
    } catch (error) {
      showResult(result, t("failed", { error: error.message }), true);
    } finally {
      button.disabled = false;
      button.textContent = t("send");
    }
  }
}

// --- logs --------------------------------------------------------------------------------------------------------

const stateClass = (state) => (/ack/.test(state) ? "good" : /giv|fail|drop/.test(state) ? "bad" : "wait");

export function stateLabel(state) {
  const key = `state_${String(state).replace(/[ -]/g, "_")}`;
  const label = t(key);
  return label === key ? String(state) : label;
}

let wanted = null;
const open = new Set();

/** Opens or closes the payload of an event, which is read when it is opened. */
async function showPayload(event, box, button) {
  if (!open.delete(event.event_id)) open.add(event.event_id);
  box.hidden = !open.has(event.event_id);
  button.setAttribute("aria-expanded", String(!box.hidden));
  if (box.hidden || box.dataset.read) return;
  box.dataset.read = "yes";
  const { payload } = await request(`/api/events/${encodeURIComponent(event.event_id)}`).catch((error) => ({ payload: error.message }));
  box.textContent = typeof payload === "string" ? payload : JSON.stringify(payload, null, 2);
}

/** The buttons of an event: its payload, another push, its link. */
function eventTools(event, box) {
  const small = (name, glyph, press, props = {}) => h("button", { type: "button", class: "mini", "aria-label": t(name), title: t(name), "data-testid": `${name}-${event.event_id}`, onclick: press, ...props }, icon(glyph, 14));
  const payload = small("payload", "code", () => showPayload(event, box, payload), { "aria-expanded": String(open.has(event.event_id)) });
  const again = small("push_again", "undo", () => runAction(again, byId("send-result"), () => post(`/api/events/${encodeURIComponent(event.event_id)}/push`), t("done")));
  return [payload, again, linkButton("events", event.event_id)];
}

/** Marks the event of a link as soon as it is listed. Returns whether it exists. */
export function revealEvent(eventId) {
  wanted = eventId;
  return request(`/api/events/${encodeURIComponent(eventId)}`).then(() => true, () => false);
}

export function showEvents(events, accounts, people) {
  byId("event-count").textContent = events.length ? String(events.length) : "";
  byId("event-empty").hidden = events.length > 0;
  syncList(byId("event-list"), events, {
    key: (event) => event.event_id,
    sign: (event) => JSON.stringify([language(), event]),
    create: (event) => h("li", { class: "log-item", tabindex: "-1", "data-testid": `event-${event.event_id}` }),
    fill: (node, event) => {
      const owner = people.get(accounts.get(event.account_id)?.open_id);
      const box = node.querySelector("pre") ?? h("pre", { class: "payload", tabindex: "0", "data-testid": `body-${event.event_id}`, hidden: true });
      box.setAttribute("aria-label", t("payload"));
      node.replaceChildren();
      append(node, [
        h("div", { class: "log-top" }, h("span", { class: `state ${stateClass(event.state)}` }, stateLabel(event.state)), event.held && event.state === "waiting" && h("span", { class: "status-tag" }, t("held")),
          h("bdi", { class: "log-name" }, owner ? personName(owner) : event.account_id ?? event.event_type ?? ""), h("time", { class: "log-time" }, clockSeconds(event.created_ms))),
        h("code", { class: "log-id", title: `${event.event_type ?? ""} ${event.event_id}` }, event.event_id),
        h("div", { class: "pushes" }, event.pushes.length === 0 ? h("span", { class: "push" }, t("no_push"))
          : event.pushes.map((push, index) => h("span", { class: `push ${push.code === 200 || push.code === 0 ? "good" : push.code === null || push.code === undefined ? "" : "bad"}`, title: `${clockSeconds(push.at_ms)} · ${push.connection ?? ""}` },
            `#${index + 1} ${push.code ?? "…"}${push.took_ms === null || push.took_ms === undefined ? "" : ` · ${Math.round(push.took_ms * 10) / 10} ms`}`)), h("span", { class: "log-tools" }, eventTools(event, box))), box,
      ]);
    },
  });
  const found = wanted && byId("event-list").querySelector(`[data-testid="event-${CSS.escape(wanted)}"]`);
  if (found?.checkVisibility()) { byId("block-events").open = true; highlight(found); wanted = null; }
}

// --- connection ----------------------------------------------------------------------------------------------------

export function showConnection(state) {
  const n = state.app?.connections ?? 0;
  const pill = byId("connection");
  const posted = Boolean(state.webhook_url);
  const dead = !posted && n > 0 && state.long_connection?.is_connected === false;
  const counted = n === 0 ? t("connected_none") : n === 1 ? t("connected_one") : t("connected_many", { n });
  const text = posted ? t("connected_webhook", { url: state.webhook_url }) : dead ? `${counted} · ${t("long_connection_unresponsive")}` : counted;
  pill.classList.toggle("none", !posted && (n === 0 || dead));
  pill.dataset.connections = String(n);
  if (pill.textContent !== text) pill.replaceChildren(h("span", { class: "dot", "aria-hidden": "true" }), h("span", {}, text));
  pill.title = text;
  const hint = byId("no-client");
  hint.hidden = n > 0 || posted;
  hint.replaceChildren(icon("warn", 18), h("div", {}, h("strong", {}, t("connected_none")), h("p", {}, t("connected_none_hint")),
    h("p", {}, `${t("address")} `, h("code", {}, state.feishu_url ?? location.origin))));
}
