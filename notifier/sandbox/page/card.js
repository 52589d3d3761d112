// Renders a card (JSON 2.0) as DOM nodes. Each component has one function; an unknown tag becomes a visible box.

import { h } from "./dom.js";
import { language, t } from "./texts.js";
import { markdown, smallMarkdown, textTag } from "./markdown.js";
import { alignItems, backgroundColor, box, oneOf, pixels, readCardStyles, safeUrl, spacing, tagColor, templateColor, textColor, textSize } from "./card_styles.js";
import { glyph, imageBox, personChip, unsupported } from "./common_components.js";
import { chart } from "./chart.js";
import { table } from "./table.js";
import { button, input, selectStatic } from "./inputs.js";
import { checker, imageCombination, momentPicker, multiSelect, overflow, selectImage, selectPerson } from "./pickers.js";

const COMPONENTS = {
  div, markdown: markdownBlock, hr, img, person, person_list: personList, column_set: columnSet, column, collapsible_panel: collapsiblePanel,
  form, table, chart, button, input, select_static: selectStatic, checker, overflow, img_combination: imageCombination,
  date_picker: momentPicker, picker_time: momentPicker, picker_datetime: momentPicker, select_person: selectPerson, multi_select_person: multiSelect,
  multi_select_static: multiSelect, select_img: selectImage, plain_text: plainTextBlock, lark_md: plainTextBlock,
};

const MAX_DEPTH = 16;

/**
 * `host`: {people: Map, sentMs, mobile, sendAction(click) -> Promise, confirm({title, text}) -> Promise<bool>, showToast(type, text)}.
 * `sendAction` gets {tag, value?, name?, form_value?, option?, options?, checked?, timezone?, input_value?}.
 */
export function renderCard(card, host) {
  const root = h("div", { class: "card", "data-card": "2.0" });
  try {
    const other = otherKind(card);
    if (other) {
      root.append(h("div", { class: "card-body" }, unsupported(other)));
      return root;
    }
    const config = card.config ?? {};
    const lang = readerLanguage(config.locales);
    const reader = derive(host, {
      styles: readCardStyles(config.style, host.mobile), language: lang, depth: 0, form: null,
      pick: (node, key) => pick(node, key, lang),
      text: (node) => (node && typeof node === "object" ? String(pick(node, "content", lang) ?? "") : ""),
    });
    root.classList.add(`width-${oneOf(config.width_mode, ["compact", "fill"], "default")}`);
    if (card.header) root.append(header(card.header, reader));
    const body = h("div", { class: "card-body" });
    if (card.body) {
      layout(body, card.body, { padding: "12px", gap: "8px" });
      body.append(...renderAll(card.body.elements, reader));
    }
    if (card.body?.elements?.length) root.append(body);
    cardLink(root, card.card_link);
  } catch (error) {
    root.append(h("div", { class: "card-body" }, h("div", { class: "unsupported" }, t("broken_card", { error: error.message }))));
  }
  return root;
}

/** A copy of the reader with changes; its `render` uses the copy. */
function derive(reader, changes) {
  const inner = { ...reader, ...changes };
  inner.render = (elements) => renderAll(elements, inner);
  return inner;
}

function otherKind(card) {
  if (!card || typeof card !== "object" || Array.isArray(card)) return t("unsupported_schema");
  if (card.type === "template") return t("unsupported_template", { id: card.data?.template_id ?? "" });
  if (card.schema !== "2.0") return t("unsupported_schema");
  return null;
}

/** The one-line text of a card in the chat list. */
export function cardPreview(card) {
  const config = card?.config ?? {};
  const lang = readerLanguage(config.locales);
  const summary = config.summary ? pick(config.summary, "content", lang) : "";
  if (summary) return String(summary);
  const title = card?.header?.title ? pick(card.header.title, "content", lang) : "";
  return title ? `${t("card_preview")} ${title}` : t("card_preview");
}

/** The language of the reader, or another one when the card does not have it. */
function readerLanguage(locales) {
  const mine = language();
  if (!Array.isArray(locales) || !locales.length || locales.includes(mine)) return mine;
  return locales.includes("en_us") ? "en_us" : locales[0];
}

function pick(node, key, lang) {
  const texts = node?.[`i18n_${key}`];
  if (texts && typeof texts === "object") {
    if (Object.hasOwn(texts, lang)) return texts[lang];
    if (node[key] === undefined) return Object.values(texts)[0];
  }
  return node?.[key];
}

function renderAll(elements, reader) {
  return (Array.isArray(elements) ? elements : []).map((element) => renderOne(element, reader)).filter(Boolean);
}

function renderOne(element, reader) {
  const tag = String(element?.tag);
  if (!Object.hasOwn(COMPONENTS, tag) || reader.depth > MAX_DEPTH) return unsupported(tag);
  let node;
  try {
    node = COMPONENTS[tag](element, derive(reader, { depth: reader.depth + 1 }));
  } catch (error) {
    node = unsupported(`${tag}: ${error.message}`);
  }
  if (!node) return null;
  const margin = box(element.margin);
  if (margin) node.style.setProperty("margin", margin);
  if (typeof element.element_id === "string") node.setAttribute("data-element-id", element.element_id);
  return node;
}

function layout(node, element, defaults = {}) {
  const horizontal = element.direction === "horizontal";
  const style = node.style;
  node.classList.add("flow", horizontal ? "flow-row" : "flow-column");
  style.setProperty("padding", box(element.padding, defaults.padding ?? ""));
  style.setProperty("row-gap", spacing(element.vertical_spacing, defaults.gap ?? "8px"));
  style.setProperty("column-gap", spacing(element.horizontal_spacing, "8px"));
  const across = alignItems(element.horizontal_align);
  const along = alignItems(element.vertical_align);
  if (horizontal) {
    style.setProperty("justify-content", across);
    style.setProperty("align-items", along);
  } else {
    if (across && across !== "flex-start") style.setProperty("align-items", across);
    style.setProperty("justify-content", along);
  }
}

function cardLink(root, link) {
  const url = safeUrl(link?.pc_url || link?.url);
  if (!url) return;
  root.classList.add("linked");
  root.addEventListener("click", (event) => {
    if (!event.target.closest("a,button,input,select,textarea,summary,label")) window.open(url, "_blank", "noopener,noreferrer");
  });
}

// --- header ----------------------------------------------------------------------------------------------------

function header(element, reader) {
  const color = templateColor(element.template);
  const byLanguage = element.i18n_text_tag_list;
  const tags = (byLanguage && (byLanguage[reader.language] ?? (element.text_tag_list ? null : Object.values(byLanguage)[0]))) || element.text_tag_list || [];
  const node = h("div", { class: `card-header template-${color}`, style: { padding: box(element.padding, "12px") } },
    element.icon && glyph(element.icon, reader, 20),
    h("div", { class: "card-titles" },
      h("div", { class: "card-title-row" },
        h("h3", { class: "card-title" }, styledText(element.title, reader)),
        (Array.isArray(tags) ? tags : []).slice(0, 3).map((tag) => textTag(tagColor(tag?.color), [reader.text(tag?.text)]))),
      element.subtitle && reader.text(element.subtitle) && h("div", { class: "card-subtitle" }, styledText(element.subtitle, reader))));
  return node;
}

function styledText(node, reader) {
  const text = reader.text(node);
  return node?.tag === "lark_md" || node?.tag === "markdown" ? smallMarkdown(text, reader) : text;
}

// --- text ------------------------------------------------------------------------------------------------------

function plainTextBlock(element, reader) {
  return textNode(element, reader);
}

function textNode(element, reader, extra = {}) {
  const lines = Number.isInteger(element.lines) && element.lines > 0 ? element.lines : null;
  const plain = element.tag !== "lark_md";
  return h("div", {
    class: `c-text ${lines ? "clamped" : ""}`,
    style: {
      "font-size": textSize(element.text_size, reader.styles), color: plain ? textColor(element.text_color, reader.styles) : "",
      "text-align": oneOf(element.text_align, ["left", "center", "right"], ""), "-webkit-line-clamp": lines ? String(lines) : "", ...extra,
    },
  }, plain ? reader.text(element) : smallMarkdown(reader.text(element), reader));
}

function div(element, reader) {
  const width = pixels(element.width, 16, 999);
  const node = h("div", { class: "c-div", style: { width: width ? `${width}px` : element.width === "auto" ? "auto" : "" } },
    element.icon && glyph(element.icon, reader),
    element.text && textNode(element.text, reader, { flex: "1 1 auto" }));
  if (element.width === "auto" || width) node.classList.add("fit-content");
  for (const field of element.fields ?? []) node.append(textNode(field.text ?? {}, reader));
  return node;
}

function markdownBlock(element, reader) {
  return h("div", {
    class: "c-markdown", style: { "font-size": textSize(element.text_size, reader.styles), "text-align": oneOf(element.text_align, ["left", "center", "right"], "") },
  }, element.icon && glyph(element.icon, reader), h("div", { class: "md" }, markdown(reader.pick(element, "content"), reader)));
}

function hr() {
  return h("hr", { class: "c-hr" });
}

// --- display ---------------------------------------------------------------------------------------------------

const IMAGE_SIZES = { large: [160, 160], medium: [100, 100], small: [60, 60], tiny: [16, 16] };

function img(element, reader) {
  const exact = /^(\d{1,3})px (\d{1,3})px$/.exec(String(element.size));
  const size = exact ? [Math.min(999, +exact[1]), Math.min(999, +exact[2])] : Object.hasOwn(IMAGE_SIZES, element.size) ? IMAGE_SIZES[element.size] : null;
  const alt = reader.text(element.alt) || t("image");
  const key = String(reader.pick(element, "img_key") ?? "");
  return h("figure", { class: "c-img" },
    element.title && h("figcaption", { class: "c-img-title" }, styledText(element.title, reader)),
    imageBox(key, alt, { width: size ? `${size[0]}px` : "100%", height: size ? `${size[1]}px` : "180px", "border-radius": /^\d{1,3}(px|%)$/.test(String(element.corner_radius)) ? element.corner_radius : "" }));
}

function person(element, reader) {
  return h("div", { class: "c-person" }, personChip(element.user_id, reader, {
    size: element.size, showName: element.show_name === true, showAvatar: element.show_avatar !== false, capsule: element.style === "capsule",
  }));
}

function personList(element, reader) {
  const known = (element.persons ?? []).filter((entry) => element.drop_invalid_user_id !== true || reader.people.has(entry?.id));
  return h("div", { class: "c-person-list" }, known.map((entry) => personChip(entry?.id, reader, {
    size: element.size, showName: element.show_name !== false, showAvatar: element.show_avatar === true, capsule: false,
  })));
}

// --- layout ----------------------------------------------------------------------------------------------------

function columnSet(element, reader) {
  const mode = oneOf(element.flex_mode, ["stretch", "flow", "bisect", "trisect"], "none");
  const node = h("div", {
    class: `c-columns flex-${mode}`,
    style: { gap: spacing(element.horizontal_spacing, "8px"), "justify-content": alignItems(element.horizontal_align), background: backgroundColor(element.background_style, reader.styles) },
  }, (element.columns ?? []).map((child) => renderOne({ tag: "column", ...child }, reader)));
  if (node.style.background) node.classList.add("filled");
  openOnClick(node, element.action);
  return node;
}

function column(element, reader) {
  const width = pixels(element.width, 16, 600);
  const weight = Math.min(5, Math.max(1, Number(element.weight) || 1));
  const node = h("div", { class: "c-column" });
  node.style.setProperty("flex", width ? `0 1 ${width}px` : element.width === "weighted" ? `${weight} 1 0` : "0 1 auto");
  layout(node, element, { gap: "8px" });
  const background = backgroundColor(element.background_style, reader.styles);
  if (background) { node.style.setProperty("background", background); node.classList.add("filled"); }
  node.append(...reader.render(element.elements));
  openOnClick(node, element.action);
  return node;
}

function openOnClick(node, action) {
  const url = safeUrl(action?.multi_url?.pc_url || action?.multi_url?.url);
  if (!url) return;
  node.classList.add("linked");
  node.addEventListener("click", (event) => {
    if (event.target.closest("a,button,input,select,textarea,summary")) return;
    event.stopPropagation();
    window.open(url, "_blank", "noopener,noreferrer");
  });
}

function collapsiblePanel(element, reader) {
  const head = element.header ?? {};
  const title = head.title ?? {};
  const content = h("div", { class: "c-panel-content" });
  layout(content, element, { padding: "8px", gap: "8px" });
  content.append(...reader.render(element.elements));
  const border = element.border ?? {};
  const color = border.color === "grey" ? "var(--line)" : textColor(border.color, reader.styles);
  const side = oneOf(head.icon_position, ["left", "right", "follow_text"], "right");
  return h("details", {
    class: "c-panel", open: element.expanded === true,
    style: { border: element.border ? `1px solid ${color || "var(--line)"}` : "", "border-radius": spacing(border.corner_radius), background: backgroundColor(element.background_color, reader.styles) },
  }, h("summary", { class: `c-panel-head icon-${side}`, style: { padding: box(head.padding, "4px 0"), background: backgroundColor(head.background_color, reader.styles) } },
    h("span", { class: "c-panel-title", style: { "font-size": textSize(title.text_size, reader.styles), color: textColor(title.text_color, reader.styles) } },
      title.tag === "markdown" || title.tag === "lark_md" ? smallMarkdown(reader.text(title), reader) : reader.text(title)),
    h("span", { class: "c-panel-arrow", "aria-hidden": "true" }, "›")), content);
}

// --- form ------------------------------------------------------------------------------------------------------

function form(element, reader) {
  const fields = new Map();
  const collected = { name: element.name, values: () => Object.fromEntries([...fields].map(([name, field]) => [name, field.read()])), fields };
  const node = h("form", { class: "c-form", onsubmit: (event) => event.preventDefault() });
  node.setAttribute("novalidate", "");
  layout(node, element, { gap: "12px" });
  node.append(...derive(reader, { form: collected }).render(element.elements));
  return node;
}

