// Interactive components: button, input, select. Values go to reader.sendAction or into the form.

import { h } from "./dom.js";
import { t } from "./texts.js";
import { oneOf, pixels, safeUrl } from "./card_styles.js";
import { glyph } from "./common_components.js";

const TYPES = ["default", "primary", "danger", "text", "primary_text", "danger_text", "primary_filled", "danger_filled", "laser"];

export function button(element, reader) {
  const label = reader.text(element.text);
  const behaviors = Array.isArray(element.behaviors) ? element.behaviors : [];
  const opens = behaviors.find((behavior) => behavior?.type === "open_url");
  const calls = behaviors.find((behavior) => behavior?.type === "callback") ?? bareValue(element);
  const formAction = reader.form ? element.form_action_type : undefined;
  const width = pixels(element.width, 100, 999);
  const node = h("button", {
    type: "button", disabled: element.disabled === true, title: reader.text(element.disabled === true ? element.disabled_tips : element.hover_tips) || undefined,
    class: `c-button type-${oneOf(element.type, TYPES, "default")} size-${oneOf(element.size, ["tiny", "small", "large"], "medium")} ${element.width === "fill" ? "fill" : ""}`,
    style: { width: width ? `${width}px` : "" }, "data-button": element.name ?? "",
  }, element.icon && glyph(element.icon, reader, 14), h("span", { class: "c-button-label" }, label));

  node.addEventListener("click", async () => {
    const { confirm } = element;
    if (formAction === "submit") { // reports a missing value before the confirmation
      const missing = [...reader.form.fields.values()].find((field) => field.required && !String(field.read() ?? "").trim());
      if (missing) {
        reader.showToast("error", t(missing.chosen ? "choose_first" : "required", { name: missing.label }));
        missing.focus();
        return undefined;
      }
    }
    if (confirm && !(await reader.confirm({ title: reader.text(confirm.title), text: reader.text(confirm.text) }))) return;
    if (formAction === "reset") return resetForm(reader.form);
    if (opens) openUrl(opens, reader);
    if (!calls && formAction !== "submit") return undefined;
    const click = { tag: "button", value: calls?.value ?? {} };
    if (element.name) click.name = element.name;
    if (formAction === "submit") click.form_value = reader.form.values();
    return busy(node, () => reader.sendAction(click));
  });
  return node;
}

/** A button of card JSON 1.0 carries its value itself; Feishu accepts it in 2.0 as well. */
const bareValue = (element) => (element.behaviors === undefined && element.value && typeof element.value === "object" ? element : undefined);

function openUrl(behavior, reader) {
  const url = safeUrl(behavior.pc_url || behavior.default_url);
  if (url) window.open(url, "_blank", "noopener,noreferrer");
  else reader.showToast("error", t("unsafe_link"));
}

async function busy(node, work) {
  node.disabled = true;
  node.classList.add("busy");
  try {
    await work();
  } finally {
    node.disabled = false;
    node.classList.remove("busy");
  }
}

function resetForm(form) {
  for (const field of form.fields.values()) field.reset();
}

export const callbackOf = (element) => (Array.isArray(element.behaviors) ? element.behaviors : []).find((behavior) => behavior?.type === "callback");

let counter = 0;
export const nextId = () => `field-${(counter += 1)}`;

export function input(element, reader) {
  const id = nextId();
  const lines = element.input_type === "multiline_text";
  const start = String(reader.pick(element, "default_value") ?? "");
  const label = reader.text(element.label);
  const limit = Math.min(1000, Math.max(1, Number(element.max_length) || 1000));
  const field = h(lines ? "textarea" : "input", {
    id, class: "c-field", type: lines ? undefined : element.input_type === "password" ? "password" : "text", rows: lines ? Math.min(20, Number(element.rows) || 5) : undefined,
    placeholder: reader.text(element.placeholder), maxlength: limit, disabled: element.disabled === true, "aria-label": label ? undefined : reader.text(element.placeholder) || element.name || "input",
    "data-field": element.name ?? "", autocomplete: "off", value: start,
  });
  register(element, reader, { read: () => field.value, reset: () => { field.value = start; }, label: label || element.name, focus: () => field.focus() });
  const call = callbackOf(element);
  if (!reader.form && call) {
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || lines || event.isComposing) return;
      reader.sendAction({ tag: "input", value: call.value ?? {}, name: element.name, input_value: field.value });
    });
  }
  return labelled(element, id, label, field);
}

export function selectStatic(element, reader) {
  const id = nextId();
  const options = Array.isArray(element.options) ? element.options : [];
  const initial = element.initial_option ?? options[(Number(element.initial_index) || 0) - 1]?.value ?? "";
  const field = h("select", { id, class: `c-field ${element.type === "text" ? "borderless" : ""}`, disabled: element.disabled === true, "data-field": element.name ?? "", "aria-label": reader.text(element.placeholder) || element.name || "select" },
    h("option", { value: "" }, reader.text(element.placeholder) || t("choose")),
    options.map((option) => h("option", { value: String(option?.value ?? "") }, reader.text(option?.text))));
  field.value = String(initial);
  register(element, reader, { read: () => field.value, reset: () => { field.value = String(initial); }, label: reader.text(element.placeholder) || element.name, focus: () => field.focus(), chosen: true });
  const call = callbackOf(element);
  if (!reader.form && call) {
    field.addEventListener("change", () => field.value && reader.sendAction({ tag: "select_static", value: call.value ?? {}, name: element.name, option: field.value }));
  }
  return labelled(element, id, "", field);
}

export function register(element, reader, field) {
  if (reader.form && element.name) reader.form.fields.set(element.name, { ...field, required: element.required === true });
}

export function labelled(element, id, label, field) {
  const width = pixels(element.width, 100, 999);
  if (width) field.style.setProperty("width", `${width}px`);
  return h("div", { class: `c-labelled ${element.label_position === "left" ? "left" : ""}` },
    label && h("label", { for: id, class: "c-label" }, label, element.required === true && h("span", { class: "star", "aria-hidden": "true" }, " *")), field);
}
