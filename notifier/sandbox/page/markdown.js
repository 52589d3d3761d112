// Renders Feishu's Markdown as DOM nodes: first parses the text to a tree of plain objects, then builds nodes.
// Entities are decoded only into text, after the markup around them is known: escaped text never becomes markup.
// Every scan moves forward, so a long hostile text costs linear time; nesting is bounded.

import { h } from "./dom.js";
import { isEnglish, localDatetime, stripDirectionMarks, t } from "./texts.js";
import { avatarColor, initials, safeUrl, tagColor, textColor } from "./card_styles.js";

const MAX_NESTING = 24;

/** `reader`: {people: Map(open_id -> person), sentMs, styles}. */
export function markdown(source, reader) {
  return blocks(String(source ?? "").replace(/\r\n?/g, "\n").split("\n"), reader, 0);
}

/** The small Markdown of div texts and table cells: no headings, lists or tables. */
export function smallMarkdown(source, reader) {
  return build(inline(String(source ?? "").replace(/\r\n?/g, "\n")), reader);
}

// --- blocks ---------------------------------------------------------------------------------------------------

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]|$)/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|(\d{1,9})[.)])(?:[ \t]+|$)/;
const TABLE_RULE = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const blank = (line) => /^\s*$/.test(line);

function startsBlock(line) {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
}

function blocks(lines, reader, depth) {
  const out = [];
  if (depth > MAX_NESTING) return [h("p", {}, lines.join("\n"))];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (blank(line)) { at += 1; continue; }
    const step = fence(lines, at) ?? indentedCode(lines, at) ?? heading(line, at, reader) ?? rule(line, at)
      ?? quote(lines, at, reader, depth) ?? list(lines, at, reader, depth) ?? table(lines, at, reader) ?? paragraph(lines, at, reader);
    out.push(step.node);
    at = step.next;
  }
  return out;
}

function fence(lines, at) {
  const open = FENCE.exec(lines[at]);
  if (!open) return null;
  const mark = open[1];
  let end = at + 1;
  while (end < lines.length && !(lines[end].trimStart().startsWith(mark) && lines[end].trim().replaceAll(mark[0], "") === "")) end += 1;
  return { node: h("pre", { class: "md-pre" }, h("code", {}, lines.slice(at + 1, end).join("\n"))), next: end + 1 };
}

function indentedCode(lines, at) {
  if (!/^(?: {4}|\t)/.test(lines[at])) return null;
  let end = at;
  while (end < lines.length && (/^(?: {4}|\t)/.test(lines[end]) || (blank(lines[end]) && /^(?: {4}|\t)/.test(lines[end + 1] ?? "")))) end += 1;
  const text = lines.slice(at, end).map((line) => line.replace(/^(?: {4}|\t)/, "")).join("\n");
  return { node: h("pre", { class: "md-pre" }, h("code", {}, text)), next: end };
}

function heading(line, at, reader) {
  const match = HEADING.exec(line);
  if (!match) return null;
  const level = match[1].length;
  const text = line.slice(match[0].length).trim();
  return { node: h("div", { class: `md-h md-h${level}`, role: "heading", "aria-level": Math.min(6, level + 2) }, build(inline(text), reader)), next: at + 1 };
}

function rule(line, at) {
  return RULE.test(line) ? { node: h("hr", { class: "c-hr" }), next: at + 1 } : null;
}

function quote(lines, at, reader, depth) {
  if (!QUOTE.test(lines[at])) return null;
  let end = at;
  while (end < lines.length && !blank(lines[end]) && (QUOTE.test(lines[end]) || !startsBlock(lines[end]))) end += 1;
  const inner = lines.slice(at, end).map((line) => line.replace(QUOTE, ""));
  return { node: h("blockquote", { class: "md-quote" }, blocks(inner, reader, depth + 1)), next: end };
}

function list(lines, at, reader, depth) {
  const first = ITEM.exec(lines[at]);
  if (!first) return null;
  const ordered = first[3] !== undefined;
  const node = ordered ? h("ol", { class: "md-list", start: Number(first[3]) }) : h("ul", { class: "md-list" });
  let cursor = at;
  while (cursor < lines.length) {
    const item = ITEM.exec(lines[cursor]);
    if (!item || (item[3] !== undefined) !== ordered || RULE.test(lines[cursor])) break;
    const own = [lines[cursor].slice(item[0].length)];
    cursor += 1;
    let indent = 0;
    while (cursor < lines.length) {
      const line = lines[cursor];
      const spaces = /^ */.exec(line)[0].length;
      if (blank(line)) {
        if (!/^ {2,}\S/.test(lines[cursor + 1] ?? "")) break;
        own.push("");
      } else if (spaces >= 2) {
        indent ||= Math.min(4, spaces);
        own.push(line.slice(Math.min(spaces, indent)));
      } else if (!startsBlock(line)) {
        own.push(line);
      } else break;
      cursor += 1;
    }
    node.append(h("li", {}, tight(own, reader, depth + 1)));
    while (cursor < lines.length && blank(lines[cursor]) && ITEM.test(lines[cursor + 1] ?? "")) cursor += 1;
  }
  return { node, next: cursor };
}

/** The text of a list item without paragraph margins around it. */
function tight(lines, reader, depth) {
  const nodes = blocks(lines, reader, depth);
  for (const node of nodes) if (node.tagName === "P") node.classList.add("tight");
  return nodes;
}

function table(lines, at, reader) {
  if (!lines[at].includes("|") || !TABLE_RULE.test(lines[at + 1] ?? "") || !lines[at + 1].includes("-")) return null;
  const head = cells(lines[at]);
  const marks = cells(lines[at + 1]);
  if (head.length !== marks.length) return null;
  const align = marks.map((mark) => (/^:.*:$/.test(mark) ? "center" : mark.endsWith(":") ? "right" : "left"));
  let end = at + 2;
  while (end < lines.length && !blank(lines[end]) && lines[end].includes("|")) end += 1;
  const rows = lines.slice(at + 2, end).map(cells);
  const cell = (tag, text, index) => h(tag, { style: { "text-align": align[index] } }, build(inline(text ?? ""), reader));
  const body = h("tbody");
  const node = h("div", { class: "md-table-box" },
    h("div", { class: "scroll-x", tabindex: "0" },
      h("table", { class: "md-table" }, h("thead", {}, h("tr", {}, head.map((text, i) => cell("th", text, i)))), body)));
  pages(node, rows.length, 5, (from, to) => {
    body.replaceChildren(...rows.slice(from, to).map((row) => h("tr", {}, head.map((_, i) => cell("td", row[i], i)))));
  });
  return { node, next: end };
}

function cells(line) {
  const text = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  const out = [];
  let from = 0;
  for (let i = 0; i <= text.length; i += 1) {
    if (i < text.length && (text[i] !== "|" || text[i - 1] === "\\")) continue;
    out.push(text.slice(from, i).trim().replaceAll("\\|", "|"));
    from = i + 1;
  }
  return out;
}

function paragraph(lines, at, reader) {
  let end = at + 1;
  while (end < lines.length && !blank(lines[end]) && !startsBlock(lines[end])
    && !(lines[end].includes("|") && TABLE_RULE.test(lines[end + 1] ?? "") && lines[end + 1].includes("|"))) end += 1;
  const text = lines.slice(at, end).map((line) => line.trimStart()).join("\n");
  return { node: h("p", { class: "md-p" }, build(inline(text), reader)), next: end };
}

/** Previous and next under a table; nothing when one page is enough. `show(from, to)` fills the rows. */
export function pages(box, total, size, show) {
  let page = 0;
  const count = Math.max(1, Math.ceil(total / size));
  const label = h("span", { class: "pager-label", "aria-live": "polite" });
  const before = h("button", { type: "button", class: "pager-button", "aria-label": t("previous"), onclick: () => turn(-1) }, "‹");
  const after = h("button", { type: "button", class: "pager-button", "aria-label": t("next"), onclick: () => turn(1) }, "›");
  const turn = (step) => {
    page = Math.min(count - 1, Math.max(0, page + step));
    before.disabled = page === 0;
    after.disabled = page === count - 1;
    label.textContent = t("page_of", { n: page + 1, all: count });
    show(page * size, (page + 1) * size);
  };
  turn(0);
  if (count > 1) box.append(h("div", { class: "pager" }, before, label, after));
}

// --- inline: text -> tree --------------------------------------------------------------------------------------

const ENTITY = /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z]{2,8}));/y;
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: "\"", apos: "'", nbsp: "\u00a0", sim: "\u223c", ensp: "\u2002", emsp: "\u2003", yen: "¥", euro: "€", copy: "©", rarr: "→", larr: "←", middot: "·", hellip: "…", mdash: "—", ndash: "–", times: "×" };
const TAG = /<(\/?)([a-z_]+)((?:\s[^<>]*)?)(\/?)>/iy;
const ATTRIBUTE = /(?<![a-z_])([a-z_]{1,40})\s*=\s*(?:'([^']*)'|"([^"]*)"|([^\s'"]+))/gi;
const PAIRED = ["font", "text_tag", "number_tag", "at", "person", "local_datetime", "a", "link"];
const EMOJI = /:([A-Za-z_+]{2,24}):/y;
const EMOJIS = { OK: "👌", THUMBSUP: "👍", "+1": "👍", DONE: "✅", CheckMark: "✅", SMILE: "😄", LAUGH: "😆", HEART: "❤️", PARTY: "🎉", CLAP: "👏", APPLAUSE: "👏", FIRE: "🔥", MUSCLE: "💪", THANKS: "🙏", PRAY: "🙏", JIAYI: "➕", WAVE: "👋", LOVE: "😍", CRY: "😢", GIFT: "🎁", Trophy: "🏆", Fire: "🔥", Hundred: "💯", CrossMark: "❌", Get: "🫡", LGTM: "👍" };
const AUTOLINK = /https?:\/\/[^\s<>"'`，。；！？、（）]+/y;

function sticky(expression, text, at) {
  expression.lastIndex = at;
  return expression.exec(text);
}

function inline(text) {
  const closers = {};
  const lower = text.toLowerCase();
  for (const name of PAIRED) closers[name] = lower.lastIndexOf(`</${name}`);
  const runs = codeRuns(text);
  const frames = [{ tag: null, nodes: [] }];
  const top = () => frames[frames.length - 1];
  let plain = "";
  const flush = () => { if (plain) { top().nodes.push({ type: "text", value: plain }); plain = ""; } };
  const push = (node) => { flush(); top().nodes.push(node); };
  let at = 0;
  while (at < text.length) {
    const char = text[at];
    let match;
    if (char === "\n") { push({ type: "break" }); at += 1; }
    else if (char === "\\" && /[!-/:-@[-`{-~]/.test(text[at + 1] ?? "")) { plain += text[at + 1]; at += 2; }
    else if (char === "&" && (match = sticky(ENTITY, text, at))) { plain += decode(match); at += match[0].length; }
    else if (char === "`") {
      const length = runLength(text, at);
      const close = runs.next(at + length, length);
      if (close < 0) { plain += text.slice(at, at + length); at += length; }
      else { push({ type: "code", value: codeText(text.slice(at + length, close)) }); at = close + length; }
    }
    else if (char === "<" && (match = sticky(TAG, text, at))) {
      const used = tag(match, at);
      if (!used) plain += match[0];
      at += match[0].length;
    }
    else if (char === "!" && text[at + 1] === "[" && frames.length < MAX_NESTING) { flush(); frames.push({ tag: "[", image: true, at, nodes: [] }); at += 2; }
    else if (char === "[" && frames.length < MAX_NESTING) { flush(); frames.push({ tag: "[", image: false, at, nodes: [] }); at += 1; }
    else if (char === "]" && top().tag === "[") at = closeBracket(at);
    else if (char === "*" || char === "_" || char === "~") {
      const length = runLength(text, at);
      push(delimiter(text, at, length));
      at += length;
    }
    else if (char === ":" && (match = sticky(EMOJI, text, at)) && Object.hasOwn(EMOJIS, match[1])) { plain += EMOJIS[match[1]]; at += match[0].length; }
    else if (char === "h" && !/\w/.test(text[at - 1] ?? "") && !frames.some((frame) => frame.tag === "[") && (match = sticky(AUTOLINK, text, at))) {
      push({ type: "link", url: match[0], children: [{ type: "text", value: match[0] }] });
      at += match[0].length;
    }
    else { plain += char; at += 1; }
  }
  flush();
  while (frames.length > 1) abandon();
  return emphasise(frames[0].nodes);

  /** An opening without its end stays what was typed. */
  function abandon() {
    flush();
    const frame = frames.pop();
    top().nodes.push({ type: "text", value: frame.tag === "[" ? (frame.image ? "![" : "[") : frame.source });
    appendInline(top().nodes, frame.nodes);
  }

  function tag(match, position) {
    const [source, slash, rawName, rawAttributes, selfClosing] = match;
    const name = rawName.toLowerCase();
    if (name === "br") { push({ type: "break" }); return true; }
    if (!PAIRED.includes(name)) return false;
    if (!slash) {
      if (!selfClosing && closers[name] <= position) return false;
      if (frames.length >= MAX_NESTING) return false;
      const frame = { tag: name, attributes: attributesOf(rawAttributes), source, nodes: [] };
      if (selfClosing || rawAttributes.trimEnd().endsWith("/")) push(element(frame));
      else { flush(); frames.push(frame); }
      return true;
    }
    if (!frames.some((frame) => frame.tag === name)) return false;
    while (top().tag !== name) abandon();
    flush();
    const frame = frames.pop();
    top().nodes.push(element(frame));
    return true;
  }

  function closeBracket(position) {
    const target = linkTarget(text, position + 1);
    if (!target) { plain += "]"; abandon(); return position + 1; }
    flush();
    const frame = frames.pop();
    const children = emphasise(frame.nodes);
    top().nodes.push(frame.image ? { type: "image", alt: textOf(children) } : { type: "link", url: decodeAll(target.url), children });
    return target.end;
  }
}

function element(frame) {
  return { type: frame.tag, attributes: frame.attributes, children: emphasise(frame.nodes) };
}

function attributesOf(source) {
  const out = {};
  for (const match of source.matchAll(ATTRIBUTE)) out[match[1].toLowerCase()] = decodeAll(match[2] ?? match[3] ?? match[4] ?? "");
  return out;
}

/** "(https://… "title")" right after a closing bracket; brackets inside the address may be balanced. */
function linkTarget(text, at) {
  if (text[at] !== "(") return null;
  let depth = 0;
  for (let i = at; i < text.length && i - at < 2100; i += 1) {
    const char = text[i];
    if (char === "\n") return null;
    if (char === "(") depth += 1;
    if (char === ")" && (depth -= 1) === 0) {
      const inner = text.slice(at + 1, i).trim();
      const match = /^<?([^\s<>]*)>?(?:\s+["'(].*["')])?$/.exec(inner);
      return match ? { url: match[1], end: i + 1 } : null;
    }
  }
  return null;
}

function codeText(source) {
  const text = source.replaceAll("\n", " ");
  return text.startsWith(" ") && text.endsWith(" ") && text.trim() ? text.slice(1, -1) : text;
}

function appendInline(into, nodes) {
  for (const node of nodes) into.push(node);
}

const runLength = (text, at) => { let end = at; while (text[end] === text[at]) end += 1; return end - at; };

/** Where the next run of exactly n backticks starts: each list of starts is walked once. */
function codeRuns(text) {
  const starts = new Map();
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] !== "`") continue;
    const length = runLength(text, i);
    if (!starts.has(length)) starts.set(length, []);
    starts.get(length).push(i);
    i += length - 1;
  }
  const cursors = new Map();
  return {
    next(from, length) {
      const list = starts.get(length) ?? [];
      let cursor = cursors.get(length) ?? 0;
      while (cursor < list.length && list[cursor] < from) cursor += 1;
      cursors.set(length, cursor);
      return cursor < list.length ? list[cursor] : -1;
    },
  };
}

function decode(match) {
  const [whole, decimal, hexadecimal, name] = match;
  if (name !== undefined) return Object.hasOwn(ENTITIES, name) ? ENTITIES[name] : whole;
  const code = decimal !== undefined ? Number(decimal) : parseInt(hexadecimal, 16);
  return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : "\ufffd";
}

const decodeAll = (text) => text.replace(/&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z]{2,8}));/g, (...match) => decode(match));

const SPACE = /^[\s\u00a0]?$/u;
const PUNCTUATION = /^[\p{P}\p{S}]$/u;

function delimiter(text, at, length) {
  const before = at ? text[at - 1] : "";
  const after = text[at + length] ?? "";
  const char = text[at];
  const left = !SPACE.test(after) && (!PUNCTUATION.test(after) || SPACE.test(before) || PUNCTUATION.test(before));
  const right = !SPACE.test(before) && (!PUNCTUATION.test(before) || SPACE.test(after) || PUNCTUATION.test(after));
  const canOpen = char === "_" ? left && (!right || PUNCTUATION.test(before)) : left;
  const canClose = char === "_" ? right && (!left || PUNCTUATION.test(after)) : right;
  return { type: "delimiter", char, length, canOpen, canClose };
}

/** Pair up the runs of * _ ~ in a list of nodes; what finds no partner stays text. */
function emphasise(nodes) {
  const out = [];
  const openers = [];
  const waiting = { "*": 0, _: 0, "~": 0 };
  for (const node of nodes) {
    if (node.type !== "delimiter") { out.push(node); continue; }
    let left = node.length;
    const { char } = node;
    while (node.canClose && left > 0 && waiting[char] > 0 && !(char === "~" && left < 2)) {
      while (openers[openers.length - 1].char !== char) waiting[openers.pop().char] -= 1;
      const opener = openers[openers.length - 1];
      const take = Math.min(2, left, opener.left);
      if (char === "~" && take < 2) break;
      const children = out.splice(opener.index + 1);
      opener.left -= take;
      out[opener.index] = { type: "text", value: char.repeat(opener.left) };
      out.push({ type: char === "~" ? "strike" : take === 2 ? "strong" : "em", children });
      left -= take;
      if (opener.left === 0 || (char === "~" && opener.left < 2)) { openers.pop(); waiting[char] -= 1; }
    }
    if (left > 0) {
      out.push({ type: "text", value: char.repeat(left) });
      if (node.canOpen && openers.length < MAX_NESTING && !(char === "~" && left < 2)) {
        openers.push({ char, left, index: out.length - 1 });
        waiting[char] += 1;
      }
    }
  }
  return out;
}

const textOf = (nodes) => nodes.map((node) => node.value ?? (node.children ? textOf(node.children) : "")).join("");

// --- inline: tree -> nodes -------------------------------------------------------------------------------------

function build(nodes, reader) {
  return nodes.map((node) => {
    const children = () => build(node.children, reader);
    switch (node.type) {
      case "text": return node.value;
      case "break": return h("br");
      case "code": return h("code", { class: "md-code" }, node.value);
      case "strong": return h("strong", {}, children());
      case "em": return h("em", {}, children());
      case "strike": return h("s", {}, children());
      case "image": return h("span", { class: "md-image" }, `🖼 ${node.alt || t("image")}`);
      case "link": return link(node.url ?? node.attributes.pc_url ?? node.attributes.url, children());
      case "a": return link(node.attributes.href, children());
      case "font": return h("span", { style: { color: textColor(node.attributes.color, reader.styles) } }, children());
      case "text_tag": return textTag(node.attributes.color, children());
      case "number_tag": return numberTag(node, reader, children());
      case "at": return mentions(node.attributes, reader);
      case "person": return inlinePerson(node.attributes, reader);
      case "local_datetime": return datetime(node.attributes, reader);
      default: return "";
    }
  });
}

function link(url, children) {
  const safe = safeUrl(url);
  if (!safe) return h("span", { class: "disabled-link", title: t("unsafe_link") }, children);
  return h("a", { class: "link", href: safe, target: "_blank", rel: "noopener noreferrer" }, children);
}

export function textTag(color, children) {
  const name = tagColor(color);
  return h("span", { class: "text-tag", style: { background: `var(--${name}-fill)`, color: `var(--${name}-strong)` } }, children);
}

function numberTag(node, reader, children) {
  const { background_color: background, font_color: font } = node.attributes;
  return h("span", { class: "number-tag", style: { background: textColor(background, reader.styles), color: textColor(font, reader.styles) } }, children);
}

export function personName(person) {
  if (!person) return t("unknown_user");
  return stripDirectionMarks((isEnglish() && person.en_name) || person.name || person.en_name || person.open_id);
}

export function avatar(id, name, size = "") {
  const color = avatarColor(id);
  return h("span", { class: `avatar ${size}`, "aria-hidden": "true", style: { background: `var(--${color}-avatar)` } }, initials(name));
}

export function mention(id, reader) {
  if (id === "all") return h("span", { class: "mention" }, `@${t("everyone")}`);
  return h("span", { class: "mention", title: id }, "@", h("bdi", {}, personName(reader.people.get(id))));
}

function mentions(attributes, reader) {
  const ids = (attributes.ids ?? attributes.id ?? attributes.user_id ?? "").split(",").map((id) => id.trim()).filter(Boolean);
  if (!ids.length && attributes.email) return h("span", { class: "mention" }, `@${attributes.email}`);
  return ids.slice(0, 50).map((id, index) => [index ? " " : null, mention(id, reader)]);
}

function inlinePerson(attributes, reader) {
  const person = reader.people.get(attributes.id);
  const name = personName(person);
  return h("span", { class: `person-inline ${attributes.style === "capsule" ? "capsule" : ""}` },
    attributes.show_avatar !== "false" && avatar(attributes.id ?? "?", person ? name : "?", "tiny"),
    attributes.show_name !== "false" && h("bdi", {}, name));
}

function datetime(attributes, reader) {
  const given = attributes.millisecond;
  const ms = given === undefined || given === "" ? reader.sentMs : Number(given);
  const text = localDatetime(ms, attributes.format_type) || String(given ?? "");
  const url = safeUrl(attributes.link);
  const time = h("time", { datetime: Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString() : undefined }, text);
  return url ? link(url, [time]) : time;
}
