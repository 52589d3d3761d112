// The area "world": people, departments, groups, accounts and apps, each in a list with a form, and the world as a file.

import { append, byId, h, icon, syncList } from "./dom.js";
import { group as digits, isEnglish, language, money, t } from "./texts.js";
import { avatar, personName } from "./markdown.js";
import { groupName } from "./chats.js";
import { patch, post, remove, request, withApp } from "./api.js";
import { runAction, showResult } from "./forms.js";

const SHOWN = 100;
const STATUSES = ["active", "resigned", "bot_stopped", "out_of_range", "blocked"];

let state = null;
let people = new Map();
let identity = "";
let ask = null;
let apps = [];

const path = (kind, id) => `/api/${kind}${id ? `/${encodeURIComponent(id)}` : ""}`;
const options = {
  statuses: () => STATUSES.map((status) => [status, t(`status_${status}`)]),
  people: () => state.people.map((person) => [person.open_id, personName(person)]),
  departments: () => (state.departments ?? []).map((one) => [one.id, nameIn(one)]),
  parents: () => [["0", t("whole_company")], ...options.departments()],
  leaders: () => [["", "—"], ...options.people()],
  account_statuses: () => [[1, t("account_usable")], [2, t("account_deactivated")]],
};
const nameIn = (one) => (isEnglish() && one.en_name) || one.name || one.id;
const openIdText = (openId) => (people.has(openId) ? personName(people.get(openId)) : openId);

/**
 * The kinds of things. fields: [name, type of input, options]; a name that ends in "?" is only given to a new one.
 * row(one): the avatar and texts of its line.
 */
const KINDS = {
  people: {
    id: "open_id", list: () => state.people,
    fields: [["id?", "text"], ["name", "text"], ["en_name", "text"], ["email", "text"], ["mobile", "text"], ["user_id", "text"], ["departments", "many", "departments"], ["status", "one", "statuses"], ["account?", "switch"]],
    start: () => ({ status: "active", account: true }),
    row: (one) => [avatar(one.open_id, personName(one), "mid"), personName(one), departmentsText(one)],
    name: personName,
  },
  departments: {
    id: "id", list: () => state.departments ?? [],
    fields: [["id?", "text"], ["name", "text"], ["en_name", "text"], ["parent", "one", "parents"], ["leader", "one", "leaders"]],
    start: () => ({ parent: "0" }),
    row: (one) => [avatar(one.id, nameIn(one), "mid group"), nameIn(one), t("members", { n: state.people.filter((person) => person.departments?.includes(one.id)).length })],
    name: nameIn,
  },
  groups: {
    id: "chat_id", list: () => state.groups,
    fields: [["chat_id?", "text"], ["name", "text"], ["en_name", "text"], ["members", "many", "people"], ["muted", "switch"], ["dissolved", "switch"]],
    start: () => ({ members: [], muted: false, dissolved: false }),
    row: (one) => [avatar(one.chat_id, groupName(one), "mid group"), groupName(one), [t("members", { n: one.members?.length ?? 0 }), one.muted && t("field_muted"), one.dissolved && t("field_dissolved")].filter(Boolean).join(" · ")],
    name: groupName,
  },
  accounts: {
    id: "account_id", list: () => state.accounts,
    fields: [["account_id?", "text"], ["open_id?", "one", "people"], ["status", "one", "account_statuses"], ["points", "number"], ["cash", "cash"]],
    start: () => ({ status: 1, points: 0, cash: [] }),
    row: (one) => [avatar(one.open_id, openIdText(one.open_id), "mid"), openIdText(one.open_id), [one.account_id, t("points_n", { n: digits(one.points) }), ...one.cash.map((cash) => money(cash.currency, cash.amount)), one.status === 2 && t("account_deactivated")].filter(Boolean).join(" · ")],
    name: (one) => one.account_id,
  },
  apps: {
    id: "app_id", list: () => apps,
    fields: [["app_id?", "text"], ["name", "text"], ["tenant_key?", "text"], ["app_secret", "password"]],
    start: () => ({}),
    row: (one) => [avatar(one.app_id, one.name, "mid group"), one.name, `${one.app_id} · ${one.tenant_key}`],
    name: (one) => one.name,
  },
};

const departmentsText = (person) => (person.departments ?? []).map((id) => nameIn((state.departments ?? []).find((one) => one.id === id) ?? { id })).join(t("list_separator"));

/** Reads the apps of all tenants. Their secrets are not kept. Returns them. */
export async function loadApps() {
  const world = await request("/api/world");
  apps = world.tenants.flatMap((tenant) => tenant.apps.map(({ app_id, name }) => ({ app_id, name, tenant_key: tenant.key })));
  return apps;
}

// --- lists -----------------------------------------------------------------------------------------------------------

export function showWorld(next, { people: known, identity: chosen }) {
  state = next;
  people = known;
  identity = chosen;
  const operators = new Set(state.groups.flatMap((one) => one.operators ?? []));
  for (const kind of Object.keys(KINDS)) showKind(kind, operators);
  byId("export-world").href = withApp("/api/world.yaml");
}

function showKind(kind, operators) {
  const { id, list, row } = KINDS[kind];
  const all = list();
  const wanted = byId("world-search").value.trim().toLowerCase();
  const found = all.filter((one) => !wanted || JSON.stringify(one).toLowerCase().includes(wanted));
  byId(`${kind}-count`).textContent = String(all.length || "");
  byId(`${kind}-more`).hidden = found.length <= SHOWN;
  byId(`${kind}-more`).textContent = t("more_people", { n: found.length - SHOWN });
  syncList(byId(`${kind}-list`), found.slice(0, SHOWN), {
    key: (one) => one[id],
    sign: (one) => JSON.stringify([language(), one, operators.has(one.open_id), row(one).slice(1)]),
    create: (one) => h("li", { class: "person-row", "data-testid": `${kind}-row-${one[id]}` }),
    fill: (node, one) => {
      const [picture, title, below] = row(one);
      const focused = node.contains(document.activeElement) ? document.activeElement.dataset.testid : null;
      node.replaceChildren();
      append(node, [
        h("button", { type: "button", class: "who", "data-testid": `edit-${one[id]}`, title: t("edit"), onclick: () => edit(kind, KINDS[kind].list().find((other) => other[id] === one[id])) }, picture,
          h("span", { class: "who-text" }, h("bdi", {}, title), below && h("small", {}, below)), operators.has(one.open_id) && kind === "people" && h("span", { class: "status-tag" }, t("operator"))),
        kind === "people" && statusSelect(one), kind === "groups" && botSwitch(one),
      ]);
      if (focused) node.querySelector(`[data-testid="${CSS.escape(focused)}"]`)?.focus();
    },
  });
}

function statusSelect(person) {
  const select = h("select", { class: person.status === "active" ? "" : "off", "data-testid": `person-status-${person.open_id}`, "aria-label": `${personName(person)}: ${t("status")}` },
    options.statuses().map(([value, text]) => h("option", { value }, text)));
  select.value = person.status;
  select.addEventListener("change", async () => { if (!(await runAction(select, byId("world-result"), () => patch(path("people", person.open_id), { status: select.value })))) select.value = person.status; });
  return select;
}

/** A member adds the bot or removes it: the chosen person, else the first member. */
function botSwitch(one) {
  const box = h("input", { type: "checkbox", role: "switch", class: "switch", "data-testid": `group-bot-${one.chat_id}`, "aria-label": `${groupName(one)}: ${t("has_bot")}` });
  box.checked = one.has_bot;
  box.addEventListener("change", async () => {
    const open_id = one.members.includes(identity) ? identity : one.members[0];
    if (!(await runAction(box, byId("world-result"), () => post(`${path("groups", one.chat_id)}/bot`, { open_id, is_member: box.checked })))) box.checked = one.has_bot;
  });
  return h("label", { class: "switch-label" }, h("span", {}, t("has_bot")), box);
}

// --- form of one thing -----------------------------------------------------------------------------------------------------

function edit(kind, one) {
  const { id, fields, start, name } = KINDS[kind];
  const value = one ?? start();
  const inputs = fields.filter(([field]) => !one || !field.endsWith("?")).map(([field, type, list]) => [field.replace("?", ""), makeInput(field.replace("?", ""), type, list, value)]);
  byId("editor-title").textContent = one ? name(one) : t(`add_${kind}`);
  byId("editor-fields").replaceChildren(...inputs.map(([, input]) => input.node));
  byId("editor-id").textContent = one ? one[id] : "";
  byId("editor-result").hidden = true;
  const dialog = byId("editor");
  const save = byId("editor-save");
  byId("editor-form").onsubmit = async (event) => {
    event.preventDefault();
    const body = {};
    for (const [field, input] of inputs) {
      const read = input.read();
      if (read !== undefined) body[field] = read;
    }
    if (await runAction(save, byId("editor-result"), () => withLabels(one ? patch(path(kind, one[id]), body) : post(path(kind), body)))) dialog.close();
  };
  const drop = byId("editor-delete");
  drop.hidden = !one;
  drop.onclick = async () => {
    if (!(await ask({ title: t("delete_question", { name: name(one) }), text: t(`delete_${kind}`) }))) return;
    if (await runAction(drop, byId("editor-result"), () => remove(path(kind, one[id])))) dialog.close();
  };
  dialog.showModal();
}

/** In a problem, writes the label of a field in place of its path in the world, such as tenants[0].people[4].name. */
async function withLabels(answer) {
  try {
    await answer;
  } catch (error) {
    const label = (path, field) => (t(`field_${field}`) === `field_${field}` ? path : t("labelled", { label: t(`field_${field}`).replace(/\s*[（(].*/, "") }));
    throw new Error(error.message.replace(/tenants\[\d+\][\w.[\]]*\.(\w+): (?:'?\1'? )?/g, label), { cause: error });
  }
}

/** `read()` returns the value for the API, undefined for one that did not change or is empty. */
function makeInput(name, type, list, value) {
  const id = `editor-${name}`;
  const label = t(`field_${name}`);
  const before = value[name];
  const props = { id, "data-testid": id };
  if (type === "switch") {
    const box = h("input", { ...props, type: "checkbox" });
    box.checked = Boolean(before);
    return { node: h("label", { class: "check" }, box, h("span", {}, label)), read: () => box.checked };
  }
  if (type === "many") {
    const boxes = options[list]().map(([key, text]) => [h("input", { type: "checkbox", value: key, "data-testid": `${id}-${key}` }), text]);
    for (const [box] of boxes) box.checked = (before ?? []).includes(box.value);
    return {
      node: h("fieldset", { class: "field many" }, h("legend", {}, label), h("div", { class: "many-list" }, boxes.length ? boxes.map(([box, text]) => h("label", { class: "check" }, box, h("span", {}, text))) : h("span", { class: "hint" }, t("none_yet")))),
      read: () => boxes.filter(([box]) => box.checked).map(([box]) => box.value),
    };
  }
  if (type === "one") {
    const select = h("select", props, options[list]().map(([key, text]) => h("option", { value: key }, text)));
    if (before !== undefined) select.value = String(before);
    return { node: h("div", { class: "field" }, h("label", { for: id }, label), select), read: () => (typeof before === "number" ? Number(select.value) : select.value) };
  }
  const text = type === "cash" ? before.map((cash) => `${cash.currency} ${cash.amount}`).join(", ") : String(before ?? "");
  const input = h("input", { ...props, type: type === "password" ? "password" : "text", autocomplete: "off", inputmode: type === "number" ? "numeric" : null, placeholder: t(`example_${name}`) === `example_${name}` ? null : t(`example_${name}`), value: text });
  const read = () => {
    const now = input.value.trim();
    if (type === "cash") return Object.fromEntries(now.split(/[,，]\s*/).filter(Boolean).map((part) => part.split(/\s+/)).map(([currency, amount]) => [currency, amount ?? ""]));
    if (now === text) return undefined;
    return type === "number" && /^-?\d+$/.test(now) ? Number(now) : now;
  };
  return { node: h("div", { class: "field" }, h("label", { for: id }, label), input), read };
}

// --- the world as a file ---------------------------------------------------------------------------------------------------

async function importWorld(file) {
  if (!(await ask({ title: t("import_question", { name: file.name }), text: t("import_hint") }))) return;
  const body = await file.text();
  const done = await runAction(byId("import-world"), byId("world-result"), () => request("/api/world", { method: "PUT", headers: { "Content-Type": "application/yaml" }, body }));
  if (done) showResult(byId("world-result"), t("imported", { name: file.name }), false);
}

/** confirm({title, text}) asks the reader. */
export function wireWorld({ confirm }) {
  ask = confirm;
  for (const kind of Object.keys(KINDS)) byId(`${kind}-add`).addEventListener("click", () => edit(kind, null));
  for (const button of document.querySelectorAll("[data-add-icon]")) button.prepend(icon("plus", 14));
  byId("editor-cancel").addEventListener("click", () => byId("editor").close());
  byId("world-search").addEventListener("input", () => state && showWorld(state, { people, identity }));
  byId("import-world").addEventListener("click", () => byId("import-file").click());
  byId("import-file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) void importWorld(file);
  });
}
