// Shows JSON as a tree that folds. Each value carries its path, such as body.elements[2].text.content.

import { h } from "./dom.js";

const LONGEST_TEXT = 400;
const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** Fills `root` with the tree. openLevels: how many levels are open. cut(text): what follows a shortened text. */
export function showTree(root, value, { openLevels = 3, cut }) {
  const folded = new Set([...root.querySelectorAll("details:not([open])")].map((node) => node.dataset.path));
  const opened = new Set([...root.querySelectorAll("details[open]")].map((node) => node.dataset.path));
  const isOpen = (path, level) => (opened.has(path) ? true : folded.has(path) ? false : level < openLevels);
  root.replaceChildren(treeNode("", value, "", 0, { isOpen, cut }));
}

export function foldAll(root, isFolded) {
  for (const node of root.querySelectorAll("details")) node.open = !isFolded || node.dataset.path === "";
}

/** Opens the place of a path, marks it and scrolls to it. A place that is missing: the nearest one around it. */
export function reveal(root, path) {
  const places = new Map([...root.querySelectorAll("[data-path]")].map((node) => [node.dataset.path, node]));
  let found = path === "card" ? "" : path;
  while (!places.has(found) && found) found = found.replace(/(^|\.)[^.[\]]*$|\[[^\]]*\]$/, "");
  const place = places.get(found);
  for (const marked of root.querySelectorAll(".marked")) marked.classList.remove("marked");
  if (!place) return;
  for (let node = place; node && node !== root; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  const row = place.tagName === "DETAILS" ? place.firstElementChild : place;
  row.classList.add("marked");
  root.scrollTop += row.getBoundingClientRect().top - root.getBoundingClientRect().top - root.clientHeight / 2;
  root.scrollIntoView({ block: "nearest" });
  row.focus({ preventScroll: true });
}

function treeNode(key, value, path, level, options) {
  const label = key === "" ? null : [h("span", { class: "tree-key" }, key), ": "];
  if (value === null || typeof value !== "object") return h("div", { class: "tree-leaf", "data-path": path, tabindex: "-1" }, label, leaf(value, options));
  const isList = Array.isArray(value);
  const entries = isList ? value.map((each, index) => [String(index), each]) : Object.entries(value);
  const marks = isList ? "[]" : "{}";
  if (!entries.length) return h("div", { class: "tree-leaf", "data-path": path, tabindex: "-1" }, label, marks);
  const about = isList ? `[${entries.length}]` : `{${hint(value) ?? entries.length}}`;
  return h("details", { class: "tree-node", "data-path": path, open: options.isOpen(path, level) },
    h("summary", { tabindex: "0" }, label, h("span", { class: "tree-about" }, about)),
    h("div", { class: "tree-children" }, entries.map(([name, each]) => treeNode(name, each, isList ? `${path}[${name}]` : join(path, name), level + 1, options))));
}

const hint = (value) => (typeof value.tag === "string" ? value.tag : null);

function join(path, key) {
  if (!PLAIN_KEY.test(key)) return `${path}['${key}']`;
  return path ? `${path}.${key}` : key;
}

function leaf(value, { cut }) {
  if (typeof value !== "string") return h("span", { class: "tree-value" }, String(value));
  const text = JSON.stringify(value.slice(0, LONGEST_TEXT));
  return [h("span", { class: "tree-text" }, text), value.length > LONGEST_TEXT && h("span", { class: "tree-about" }, cut(value.length))];
}
