// Values of a card that become CSS. Each value is checked here, so that a card cannot inject CSS.

const NAMES = ["blue", "wathet", "turquoise", "green", "lime", "yellow", "orange", "red", "carmine", "violet", "purple", "indigo", "grey", "neutral"];
const TEMPLATES = [...NAMES.filter((name) => name !== "lime" && name !== "neutral"), "default"];
const SIZES = {
  "heading-0": 30, "heading-1": 24, "heading-2": 20, "heading-3": 18, "heading-4": 16, heading: 16, normal: 14, notation: 12,
  "xxxx-large": 30, "xxx-large": 24, "xx-large": 20, "x-large": 18, large: 16, medium: 14, small: 12, "x-small": 10,
};
const SPACINGS = { small: "4px", medium: "8px", large: "12px", extra_large: "16px" };
const ALIGN = { left: "flex-start", top: "flex-start", center: "center", right: "flex-end", bottom: "flex-end" };

export const tagColor = (name) => (NAMES.includes(name) ? name : "blue");
export const templateColor = (name) => (TEMPLATES.includes(name) ? name : "default");
export const oneOf = (value, allowed, fallback) => (allowed.includes(value) ? value : fallback);

export function spacing(value, fallback = "") {
  if (Object.hasOwn(SPACINGS, value)) return SPACINGS[value];
  return /^\d{1,3}(px)?$/.test(String(value)) ? `${parseInt(value, 10)}px` : fallback;
}

/** "4px 0 4px 0" with one, two or four values. */
export function box(value, fallback = "") {
  if (typeof value !== "string" || value.length > 40) return fallback;
  const parts = value.trim().split(/\s+/);
  if (![1, 2, 4].includes(parts.length) || !parts.every((part) => /^-?\d{1,2}(px)?$/.test(part))) return fallback;
  return parts.map((part) => `${parseInt(part, 10)}px`).join(" ");
}

export function pixels(value, low, high) {
  const match = /^(\d{1,4})px$/.exec(String(value));
  return match ? Math.min(high, Math.max(low, Number(match[1]))) : null;
}

export const alignItems = (value) => (Object.hasOwn(ALIGN, value) ? ALIGN[value] : "");

/** Colour of text: a name, a name with a shade, or one of the card's own colours. */
export function textColor(value, styles) {
  return named(value, styles, (name) => `var(--${name}-text)`);
}

export function backgroundColor(value, styles) {
  if (value === "grey") return "var(--fill)";
  if (value === "white") return "var(--card)";
  return named(value, styles, (name) => `var(--${name})`);
}

function named(value, styles, base) {
  if (typeof value !== "string" || value === "default") return "";
  if (styles && Object.hasOwn(styles.colors, value)) return styles.colors[value];
  if (value === "black") return "var(--ink)";
  if (value === "white") return "#fff";
  if (NAMES.includes(value)) return base(value);
  const match = /^([a-z]+)-(50|[1-9]00|350)$/.exec(value);
  if (match && NAMES.includes(match[1])) return shade(match[1], Number(match[2]));
  return literal(value) ?? "";
}

function shade(name, level) {
  if (level === 500) return `var(--${name})`;
  return level < 500
    ? `color-mix(in srgb, var(--${name}) ${Math.round(level / 5 * 0.9 + 4)}%, var(--card))`
    : `color-mix(in srgb, var(--${name}) ${Math.round(100 - (level - 500) / 8)}%, var(--ink))`;
}

const literal = (value) => (/^(rgba?\([\d\s.,%]{5,40}\)|#[0-9a-f]{3,8})$/i.test(value) ? value : null);

/** The card's config.style, read once: own colours and own sizes. */
export function readCardStyles(style, mobile) {
  const styles = { colors: {}, sizes: {} };
  for (const [name, pair] of Object.entries(style?.color ?? {})) {
    const light = literal(String(pair?.light_mode));
    const dark = literal(String(pair?.dark_mode)) ?? light;
    if (light) styles.colors[name] = `light-dark(${light}, ${dark})`;
  }
  for (const [name, sizes] of Object.entries(style?.text_size ?? {})) {
    const size = (mobile ? sizes?.mobile : sizes?.pc) ?? sizes?.default;
    if (Object.hasOwn(SIZES, size)) styles.sizes[name] = SIZES[size];
  }
  return styles;
}

export function textSize(value, styles) {
  if (styles && Object.hasOwn(styles.sizes, value)) return `${styles.sizes[value]}px`;
  return Object.hasOwn(SIZES, value) ? `${SIZES[value]}px` : "";
}

/** Only http and https may be opened from a card. */
export function safeUrl(value) {
  if (typeof value !== "string" || value.length > 4096) return null;
  try {
    const url = new URL(value);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

/** A stable colour for a person or group, as the client gives to avatars without a picture. */
export function avatarColor(id) {
  const colors = ["blue", "turquoise", "green", "orange", "red", "violet", "purple", "indigo", "carmine", "wathet"];
  let sum = 7;
  for (const char of String(id)) sum = (sum * 31 + char.codePointAt(0)) % 1_000_003;
  return colors[sum % colors.length];
}

/** Chinese names show their last two characters, others two initials. */
export function initials(name) {
  const visible = String(name ?? "").slice(0, 200).replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "").trim(); // direction marks are not letters
  const clean = visible.replace(/[（(][^（）()]*[)）]/g, "").trim() || visible;
  if (!clean) return "?";
  const letters = Array.from(clean);
  if (/[\u3400-\u9fff]/.test(clean)) return letters.filter((c) => !/\s/.test(c)).slice(-2).join("");
  const words = clean.split(/\s+/).filter(Boolean);
  return (words.length > 1 ? Array.from(words[0])[0] + Array.from(words[words.length - 1])[0] : letters.slice(0, 2).join("")).toUpperCase();
}
