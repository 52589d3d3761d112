// Components with which a reader picks: dates, people, options, images, a tick, a menu. Drawn simply, with real values.

import { h } from "./dom.js";
import { t } from "./texts.js";
import { oneOf, safeUrl } from "./card_styles.js";
import { imageBox, unsupported } from "./common_components.js";
import { personName } from "./markdown.js";
import { button, callbackOf, labelled, nextId, register } from "./inputs.js";

/** The zone of the reader as Feishu sends it with dates, such as "+0800". */
function offset(date) {
  const minutes = -date.getTimezoneOffset();
  const two = (number) => String(Math.abs(number)).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${two(Math.trunc(minutes / 60))}${two(minutes % 60)}`;
}

/** The action that a click outside a form sends. `chosen`: its `option`, `options` or `checked`. */
async function send(element, reader, chosen) {
  const confirm = element.confirm;
  if (confirm && !(await reader.confirm({ title: reader.text(confirm.title), text: reader.text(confirm.text) }))) return;
  const value = callbackOf(element)?.value ?? element.value ?? {};
  await reader.sendAction({ tag: element.tag, value, name: element.name, ...chosen });
}

const sends = (element, reader) => !reader.form && (callbackOf(element) || element.value !== undefined);
const nameOf = (element, reader) => reader.text(element.placeholder) || element.name || element.tag;

const MOMENTS = {
  date_picker: ["date", "initial_date", (value) => new Date(`${value}T00:00`)],
  picker_time: ["time", "initial_time", () => new Date()],
  picker_datetime: ["datetime-local", "initial_datetime", (value) => new Date(value)],
};

/** date_picker, picker_time and picker_datetime. Their value is "2026-01-31 +0800", "09:30 +0800" or both together. */
export function momentPicker(element, reader) {
  const [type, initial, dateOf] = MOMENTS[element.tag];
  const start = String(element[initial] ?? "").replace(" ", "T");
  const id = nextId();
  const field = h("input", { id, type, class: "c-field", disabled: element.disabled === true, "aria-label": nameOf(element, reader), "data-field": element.name ?? "", value: start });
  const read = () => (field.value ? `${field.value.replace("T", " ")} ${offset(dateOf(field.value))}` : "");
  register(element, reader, { read, reset: () => { field.value = start; }, label: nameOf(element, reader), focus: () => field.focus(), chosen: true });
  if (sends(element, reader)) {
    const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    field.addEventListener("change", () => field.value && send(element, reader, { option: read(), timezone }));
  }
  return labelled(element, id, reader.text(element.placeholder), field);
}

/** The options as [value, text]. Without options every known person can be picked. */
function personOptions(element, reader) {
  const ids = Array.isArray(element.options) && element.options.length ? element.options.map((option) => String(option?.value ?? "")) : [...reader.people.keys()];
  return ids.map((id) => [id, personName(reader.people.get(id))]);
}

export function selectPerson(element, reader) {
  const id = nextId();
  const start = String(element.initial_option ?? "");
  const field = h("select", { id, class: "c-field", disabled: element.disabled === true, "aria-label": nameOf(element, reader), "data-field": element.name ?? "" },
    h("option", { value: "" }, reader.text(element.placeholder) || t("choose")), personOptions(element, reader).map(([value, text]) => h("option", { value }, text)));
  field.value = start;
  register(element, reader, { read: () => field.value, reset: () => { field.value = start; }, label: nameOf(element, reader), focus: () => field.focus(), chosen: true });
  if (sends(element, reader)) field.addEventListener("change", () => field.value && send(element, reader, { option: field.value }));
  return labelled(element, id, "", field);
}

export function multiSelect(element, reader) {
  const options = element.tag === "multi_select_person" ? personOptions(element, reader)
    : (element.options ?? []).map((option) => [String(option?.value ?? ""), reader.text(option?.text)]);
  return choices(element, reader, { options: options.map(([value, text]) => ({ value, label: text })), start: element.selected_values ?? [], several: true });
}

export function selectImage(element, reader) {
  const options = (element.options ?? []).map((option) => ({
    value: String(option?.value ?? ""), disabled: option?.disabled === true, label: imageBox(String(option?.img_key ?? ""), String(option?.value ?? ""), { width: "96px", height: "72px" }),
  }));
  return choices(element, reader, { options, start: [], several: element.multi_select === true });
}

/** A list of boxes. One choice is sent at once; several are sent with a button, so that a reader can change her mind. */
function choices(element, reader, { options, start, several }) {
  const group = nextId();
  const boxes = options.map((option) => {
    const box = h("input", { type: several ? "checkbox" : "radio", name: group, disabled: element.disabled === true || option.disabled, "aria-label": option.value, value: option.value });
    box.checked = start.includes(option.value);
    return [box, h("label", { class: "c-choice" }, box, option.label)];
  });
  const picked = () => boxes.map(([box]) => box).filter((box) => box.checked).map((box) => box.value);
  const read = () => (several ? picked() : picked()[0] ?? "");
  const reset = () => boxes.forEach(([box]) => { box.checked = start.includes(box.value); });
  register(element, reader, { read, reset, label: nameOf(element, reader), focus: () => boxes[0]?.[0].focus(), chosen: true });
  const node = h("fieldset", { class: "c-choices", "data-field": element.name ?? "" }, h("legend", {}, nameOf(element, reader)), boxes.map(([, label]) => label));
  if (!sends(element, reader)) return node;
  if (several) node.append(h("button", { type: "button", class: "c-button type-default size-small", onclick: () => send(element, reader, { options: picked() }) }, t("confirm_choice")));
  else node.addEventListener("change", () => send(element, reader, { option: picked()[0] }));
  return node;
}

export function checker(element, reader) {
  const start = element.checked === true;
  const box = h("input", { type: "checkbox", disabled: element.disabled === true, "data-field": element.name ?? "" });
  const text = h("span", {}, reader.text(element.text));
  const style = element.checked_style ?? {};
  const show = () => {
    text.style.setProperty("text-decoration", box.checked && style.show_strikethrough === true ? "line-through" : "");
    text.style.setProperty("opacity", box.checked && typeof style.opacity === "number" ? String(style.opacity) : "");
  };
  const set = (checked) => { box.checked = checked; show(); };
  set(start);
  box.addEventListener("change", async () => {
    show();
    if (sends(element, reader)) await send(element, reader, { checked: box.checked });
  });
  register(element, reader, { read: () => box.checked, reset: () => set(start), label: reader.text(element.text) || element.name, focus: () => box.focus() });
  return h("div", { class: "c-checker" }, h("label", { class: "c-choice" }, box, text),
    (element.button_area?.buttons ?? []).map((one) => (one?.tag === "button" ? button(one, reader) : unsupported(one?.tag))));
}

export function overflow(element, reader) {
  const menu = h("details", { class: "c-menu" }, h("summary", { "aria-label": t("more") }, "⋯"));
  menu.append(...(element.options ?? []).map((option) => h("button", { type: "button", class: "c-button type-text size-small", onclick: () => {
    menu.open = false;
    const url = safeUrl(option?.multi_url?.pc_url || option?.multi_url?.url);
    if (url) window.open(url, "_blank", "noopener,noreferrer");
    return option?.value === undefined ? undefined : send(element, reader, { option: String(option.value) });
  } }, reader.text(option?.text))));
  return menu;
}

export function imageCombination(element) {
  const mode = oneOf(element.combination_mode, ["double", "triple", "bisect", "trisect"], "trisect");
  const across = mode === "trisect" ? 3 : 2;
  return h("div", { class: "c-images", style: { "grid-template-columns": `repeat(${across}, 1fr)` } },
    (element.img_list ?? []).slice(0, 9).map((image) => imageBox(String(image?.img_key ?? ""), t("image"), { height: "90px" })));
}
