// The table component with all data types, in pages like Feishu's client.

import { h } from "./dom.js";
import { clockSeconds, group, t } from "./texts.js";
import { markdown, pages, smallMarkdown, textTag } from "./markdown.js";
import { oneOf, pixels } from "./card_styles.js";
import { personChip } from "./common_components.js";

const ROW_HEIGHTS = { low: 40, middle: 56, high: 72 };

export function table(element, reader) {
  const columns = (Array.isArray(element.columns) ? element.columns : []).slice(0, 50);
  const rows = Array.isArray(element.rows) ? element.rows : [];
  const style = element.header_style ?? {};
  const size = Math.min(10, Math.max(1, Number(element.page_size) || 5));
  const height = Object.hasOwn(ROW_HEIGHTS, element.row_height) ? ROW_HEIGHTS[element.row_height] : pixels(element.row_height, 32, 124) ?? (element.row_height === "auto" ? null : 40);
  const auto = element.row_height === "auto";
  const limit = pixels(element.row_max_height, 32, 999) ?? 124;
  const head = h("tr", {}, columns.map((column) => h("th", {
    scope: "col", style: {
      "text-align": oneOf(style.text_align, ["left", "center", "right"], sideOf(column)), "font-weight": style.bold === false ? "400" : "500",
      "font-size": style.text_size === "heading" ? "16px" : "", color: style.text_color === "grey" ? "var(--grey-text)" : "",
      background: style.background_style === "grey" ? "var(--fill)" : "", width: widthOf(column),
    },
  }, String(reader.pick(column, "display_name") ?? column.name ?? ""))));
  const body = h("tbody");
  const scroller = h("div", { class: "scroll-x", tabindex: "0", role: "group", "aria-label": t("table") }, h("table", { class: columns.length && columns.every((column) => /%$/.test(widthOf(column))) ? "fixed" : "" }, h("thead", {}, head), body));
  const frame = h("div", { class: "c-table-frame" }, scroller);
  const node = h("div", { class: `c-table ${element.freeze_first_column === true ? "frozen" : ""} ${auto ? "auto" : ""}` },
frame);
  hintScroll(scroller, frame);
  pages(node, rows.length, size, (from, to) => {
    body.replaceChildren(...rows.slice(from, to).map((row) => h("tr", {}, columns.map((column) => h("td", {
      style: { "text-align": sideOf(column), "vertical-align": oneOf(column.vertical_align, ["top", "center", "bottom"], "center").replace("center", "middle"), height: height ? `${height}px` : "" },
    }, h("div", { class: "cell", style: { "max-height": `${auto ? limit : Math.max(24, (height ?? 40) - 8)}px` } }, cell(row?.[column.name], column, reader)))))));
  });
  return node;
}

/** Shows a shade at the right edge while more columns are to the right. */
function hintScroll(scroller, frame) {
  const updateShade = () => {
    const more = scroller.scrollWidth - scroller.clientWidth - scroller.scrollLeft > 2;
    frame.classList.toggle("more-right", more);
    if (more) frame.title = t("more_columns");
    else frame.removeAttribute("title");
  };
  scroller.addEventListener("scroll", updateShade, { passive: true });
  const watcher = new ResizeObserver(updateShade);
  watcher.observe(scroller);
  watcher.observe(scroller.firstElementChild);
}

const sideOf = (column) => oneOf(column.horizontal_align, ["left", "center", "right"], column.data_type === "number" ? "right" : "left");

function widthOf(column) {
  const exact = pixels(column.width, 80, 600);
  if (exact) return `${exact}px`;
  return /^\d{1,3}%$/.test(String(column.width)) ? column.width : "";
}

function cell(value, column, reader) {
  if (value === undefined || value === null || value === "") return "";
  switch (column.data_type) {
    case "number": return typeof value === "number" ? number(value, column.format ?? {}) : String(value);
    case "lark_md": return smallMarkdown(String(value), reader);
    case "markdown": return h("div", { class: "md" }, markdown(String(value), reader));
    case "options": return (Array.isArray(value) ? value : [{ text: value }]).map((option) => [textTag(option?.color ?? "blue", [String(option?.text ?? option)]), " "]);
    case "persons": return h("span", { class: "cell-persons" }, (Array.isArray(value) ? value : [value]).map((id) => personChip(String(id), reader, { size: "extra_small" })));
    case "date": return typeof value === "number" ? date(value, column.date_format) : String(value);
    default: return typeof value === "object" ? JSON.stringify(value) : String(value);
  }
}

function number(value, { symbol = "", precision, separator = false }) {
  const text = Number.isInteger(precision) && precision >= 0 && precision <= 10 ? value.toFixed(precision) : String(value);
  const [whole, fraction] = text.replace(/^-/, "").split(".");
  return `${value < 0 ? "-" : ""}${symbol}${separator && /^\d+$/.test(whole) ? group(whole) : whole}${fraction ? `.${fraction}` : ""}`;
}

function date(ms, pattern) {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return String(ms);
  const padTwo = (part) => String(part).padStart(2, "0");
  const parts = { YYYY: at.getFullYear(), MM: padTwo(at.getMonth() + 1), DD: padTwo(at.getDate()), HH: padTwo(at.getHours()), mm: padTwo(at.getMinutes()), ss: padTwo(at.getSeconds()) };
  if (pattern) return String(pattern).replace(/YYYY|MM|DD|HH|mm|ss/g, (token) => parts[token]);
  const offset = -at.getTimezoneOffset();
  const zone = offset ? `${offset < 0 ? "-" : "+"}${padTwo(Math.floor(Math.abs(offset) / 60))}:${padTwo(Math.abs(offset) % 60)}` : "Z";
  return `${parts.YYYY}-${parts.MM}-${parts.DD}T${clockSeconds(ms)}${zone}`;
}
