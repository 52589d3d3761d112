// Parts that several card components use: an icon, a person, and the box for unsupported content.

import { h } from "./dom.js";
import { t } from "./texts.js";
import { avatar, personName } from "./markdown.js";
import { oneOf, textColor } from "./card_styles.js";

export function unsupported(what) {
  return h("div", { class: "unsupported", "data-unsupported": "" }, h("div", {}, t("unsupported", { what: String(what).slice(0, 200) })), h("small", {}, t("unsupported_hint")));
}

const GLYPHS = [
  [/gift|reward/, "🎁"], [/coin|money|wallet|pay|currency|yuan|dollar|cash/, "💰"], [/yes|done|check|success|succeed|right/, "✔"], [/warn|alarm|alert/, "⚠"],
  [/error|fail|close|no_/, "✖"], [/info|maybe|help|question/, "ℹ"], [/time|clock|history|calendar/, "🕒"], [/member|person|user|group|contact/, "👤"],
  [/chart|data|trend/, "📊"], [/bell|notif|speaker/, "🔔"], [/chat|message|comment/, "💬"], [/file|doc|sheet|list/, "📄"], [/link/, "🔗"], [/star|favor/, "★"], [/edit|pen/, "✎"],
  [/setting/, "⚙"], [/lock|safe/, "🔒"], [/up/, "↑"], [/down/, "↓"], [/left/, "‹"], [/right/, "›"], [/add|plus/, "＋"], [/minus|reduce/, "－"], [/robot|bot/, "🤖"],
];

/** A placeholder glyph for a standard icon, chosen by its name, because Feishu does not publish the icons. */
export function glyph(element, reader, size = 16) {
  const token = String(element?.token ?? element?.img_key ?? "");
  const found = element?.tag === "standard_icon" ? GLYPHS.find(([expression]) => expression.test(token)) : null;
  return h("span", { class: "glyph", title: token, "aria-hidden": "true", style: { color: textColor(element?.color, reader.styles), "font-size": `${size}px`, width: `${size + 2}px` } }, found ? found[1] : "◆");
}

/** A box in the size of an image, with its text and key: the stand-in does not keep images. */
export function imageBox(key, alt, style) {
  return h("div", { class: "c-img-box", role: "img", "aria-label": alt, title: key, style }, h("span", { class: "c-img-alt" }, `🖼 ${alt}`), h("small", {}, key));
}

const PERSON_SIZES = ["extra_small", "small", "medium", "large"];

export function personChip(id, reader, { size = "medium", showName = true, showAvatar = true, capsule = false } = {}) {
  const person = reader.people.get(id);
  const name = personName(person);
  return h("span", { class: `person person-${oneOf(size, PERSON_SIZES, "medium")} ${capsule ? "capsule" : ""} ${person ? "" : "unknown"}`, title: name },
    showAvatar && avatar(id, person ? name : "?"), showName && h("bdi", { class: "person-name" }, name), !showName && h("span", { class: "sr-only" }, name));
}
