// The area "world": people and groups.

import { byId, h, syncList } from "./dom.js";
import { language, t } from "./texts.js";
import { avatar, personName } from "./markdown.js";
import { groupName } from "./chats.js";
import { post } from "./api.js";
import { showResult } from "./forms.js";

const STATUSES = ["active", "resigned", "bot_stopped", "out_of_range", "blocked"];
const PEOPLE_SHOWN = 100;

export function showPeople(people, groups) {
  const operators = new Set(groups.flatMap((one) => one.operators ?? []));
  byId("people-count").textContent = String(people.length + groups.length || "");
  byId("people-more").hidden = people.length <= PEOPLE_SHOWN;
  byId("people-more").textContent = t("more_people", { n: people.length - PEOPLE_SHOWN });
  syncList(byId("people-list"), people.slice(0, PEOPLE_SHOWN), {
    key: (person) => person.open_id,
    sign: (person) => JSON.stringify([language(), person, operators.has(person.open_id)]),
    create: (person) => {
      const select = h("select", { "data-testid": `person-status-${person.open_id}`, onchange: () => change(select, `/api/people/${encodeURIComponent(person.open_id)}`, { status: select.value }) });
      return h("li", { class: "person-row" }, h("span", { class: "who" }), select);
    },
    fill: (node, person) => {
      const [who, select] = node.children;
      const name = personName(person);
      who.replaceChildren(avatar(person.open_id, name, "mid"), h("bdi", {}, name));
      if (operators.has(person.open_id)) who.append(h("span", { class: "status-tag" }, t("operator")));
      const statuses = STATUSES.includes(person.status) ? STATUSES : [...STATUSES, person.status];
      select.replaceChildren(...statuses.map((status) => h("option", { value: status }, t(`status_${status}`))));
      select.value = person.status;
      select.dataset.before = person.status;
      select.setAttribute("aria-label", `${name}: ${t("status")}`);
      select.classList.toggle("off", person.status !== "active");
    },
  });
  syncList(byId("group-list"), groups, {
    key: (one) => one.chat_id,
    sign: (one) => JSON.stringify([language(), one]),
    create: (one) => {
      const box = h("input", { type: "checkbox", role: "switch", class: "switch", "data-testid": `group-bot-${one.chat_id}`, onchange: () => change(box, `/api/groups/${encodeURIComponent(one.chat_id)}`, { has_bot: box.checked }) });
      return h("li", { class: "person-row" }, h("span", { class: "who" }), h("label", { class: "switch-label" }, h("span"), box));
    },
    fill: (node, one) => {
      const [who, label] = node.children;
      const name = groupName(one);
      who.replaceChildren(avatar(one.chat_id, name, "mid group"), h("bdi", {}, name));
      label.firstChild.textContent = t("has_bot");
      label.lastChild.checked = one.has_bot;
      label.lastChild.setAttribute("aria-label", `${name}: ${t("has_bot")}`);
    },
  });
}

async function change(control, path, body) {
  const error = byId("people-result");
  error.hidden = true;
  control.disabled = true;
  try {
    await post(path, body);
  } catch (problem) {
    showResult(error, t("failed", { error: problem.message }), true);
    if (control.type === "checkbox") control.checked = !control.checked;
    else control.value = control.dataset.before;
  } finally {
    control.disabled = false;
  }
}
