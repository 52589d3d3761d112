// The right panel: the developer console of the app, with the steps that a new app needs.

import { byId, h } from "./dom.js";
import { language, t } from "./texts.js";
import { post } from "./api.js";
import { showResult } from "./forms.js";

const SCOPES = [
  "hire:referral_account:readonly", "hire:referral_account", "im:message:send_as_bot", "im:chat:readonly", "im:chat.members:read", "im:resource",
  "contact:user.id:readonly", "contact:contact.base:readonly", "application:application:self_manage",
  "im:message.p2p_msg:readonly", "im:message.group_at_msg:readonly", "im:message.group_msg", "im:message:readonly", "im:message.reactions:read",
];
const EVENT = "hire.referral_account.assets_update_v1";
const CALLBACK = "card.action.trigger";

let draft = null;
let eventTypes = [];

const toggled = (list, name, on) => [...new Set([...list.filter((one) => one !== name), ...(on ? [name] : [])])];

/** The switches in the order of the steps: test id, label, whether it is on, and the change that a press makes. */
function switches() {
  const scopes = [...new Set([...SCOPES, ...draft.scopes])];
  return [
    ["bot", t("console_bot"), draft.bot, (on) => ({ bot: on })],
    ...scopes.map((scope) => [`scope-${scope}`, `${t("console_scopes")} › ${scope}`, draft.scopes.includes(scope), (on) => ({ scopes: toggled(draft.scopes, scope, on) })]),
    ["event-mode", t("console_event_mode"), draft.event_mode !== "", (on) => (on ? { event_mode: "long_connection" } : { event_mode: "", events: [] })],
    ...[EVENT, ...eventTypes.filter((type) => type !== EVENT)].map((type) => [type === EVENT ? "event" : `event-${type}`, `${t("console_events")} › ${type}`, draft.events.includes(type), (on) => ({ events: toggled(draft.events, type, on) })]),
    ["callback-mode", t("console_callback_mode"), draft.callback_mode !== "", (on) => (on ? { callback_mode: "long_connection" } : { callback_mode: "", callbacks: [] })],
    ["callback", `${t("console_callbacks")} › ${CALLBACK}`, draft.callbacks.includes(CALLBACK), (on) => ({ callbacks: toggled(draft.callbacks, CALLBACK, on) })],
    ["availability", t("console_availability"), draft.availability, (on) => ({ availability: on })],
    ["contact-range", t("console_contact_range"), draft.contact_range, (on) => ({ contact_range: on })],
  ];
}

async function run(control, work) {
  const result = byId("console-result");
  result.hidden = true;
  control.disabled = true;
  try {
    await work();
  } catch (error) {
    showResult(result, t("failed", { error: error.message }), true);
    if (control.type === "checkbox") control.checked = !control.checked;
  } finally {
    control.disabled = false;
  }
}

export function showConsole(state) {
  if (!state) return;
  draft = state.draft;
  eventTypes = state.event_types;
  const box = byId("console-switches");
  const signature = JSON.stringify([language(), draft]);
  if (box.dataset.signature !== signature) {
    box.dataset.signature = signature;
    const focused = document.activeElement?.dataset?.testid;
    box.replaceChildren(...switches().map(([name, label, on, change]) => {
      const input = h("input", { type: "checkbox", role: "switch", class: "switch", "data-testid": `console-${name}`, onchange: () => run(input, () => post("/api/console", change(input.checked))) });
      input.checked = on;
      return h("li", { class: "person-row" }, h("label", { class: "switch-label" }, h("span", {}, label), input));
    }));
    if (focused) box.querySelector(`[data-testid="${CSS.escape(focused)}"]`)?.focus();
  }
  byId("console-state").textContent = t(!state.is_published ? "console_never" : state.has_unpublished_changes ? "console_unpublished" : "console_published");
  byId("console-publish").disabled = state.is_published && !state.has_unpublished_changes;
}

export function wireConsole() {
  const publish = byId("console-publish");
  publish.addEventListener("click", () => run(publish, () => post("/api/console/publish")));
}
