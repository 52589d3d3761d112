// Creates all nodes of the page. Strings become text nodes, so that data never becomes markup.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") setStyles(node, value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name === "class" ? "class" : name, value === true ? "" : String(value));
  }
  append(node, children);
  return node;
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) node.setAttribute(name, String(value));
  }
  append(node, children);
  return node;
}

export function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

export function setStyles(node, styles) {
  for (const [name, value] of Object.entries(styles)) {
    if (value !== undefined && value !== null && value !== "") node.style.setProperty(name, value);
  }
}

export const byId = (id) => document.getElementById(id);

/**
 * Makes the children of `parent` match `items` and changes only what differs, so that focus and open lists stay.
 * An item is filled again when the result of `sign` changes; `fill(node, item, isNew)` writes it.
 */
export function syncList(parent, items, { key, sign, create, fill }) {
  const known = parent.__items ?? (parent.__items = new Map());
  const wanted = new Set();
  let cursor = parent.firstChild;
  for (const item of items) {
    const id = key(item);
    wanted.add(id);
    const signature = sign(item);
    let entry = known.get(id);
    const isNew = !entry;
    if (isNew) known.set(id, (entry = { node: create(item), signature: null }));
    if (entry.signature !== signature) {
      fill(entry.node, item, isNew);
      entry.signature = signature;
    }
    if (entry.node === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(entry.node, cursor);
  }
  for (const [id, entry] of known) {
    if (wanted.has(id)) continue;
    entry.node.remove();
    known.delete(id);
  }
}

const ICONS = {
  chat: "M4 5h16v11H9l-5 4z",
  bolt: "M13 2 5 13h6l-1 9 9-12h-6z",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c0-4 3-6 6.500-6s6.500 2 6.500 6M16 4.500a3.500 3.500 0 0 1 0 6.500M18 14.500c2.200.700 3.500 2.500 3.500 5.500",
  back: "M15 5l-7 7 7 7",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.500 1.500M17.500 17.500 19 19M5 19l1.500-1.500M17.500 6.500 19 5",
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z",
  desktop: "M3 4h18v12H3zM9 20h6M12 16v4",
  phone: "M7 2h10v20H7zM11 18.500h2",
  down: "M12 5v14M6 13l6 6 6-6",
  chevron: "M9 6l6 6-6 6",
  file: "M6 2h8l5 5v15H6zM14 2v5h5",
  image: "M3 4h18v16H3zM3 17l6-6 5 5 3-3 4 4M15 9h.01",
  code: "M9 7l-5 5 5 5M15 7l5 5-5 5",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 12.500l4.500 4.500L19 7.500",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 8h.01",
  pin: "M9 3h6l-1 6 4 4H6l4-4zM12 13v8",
  eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  reply: "M9 6 3 12l6 6M3 12h10c5 0 8 3 8 7",
  undo: "M4 8h10a6 6 0 0 1 0 12H8M8 4 4 8l4 4",
  smile: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM8 14c1 2 2.500 3 4 3s3-1 4-3M9 9.500h.01M15 9.500h.01",
  link: "M10 14a4 4 0 0 0 6 0l4-4a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-4 4a4 4 0 0 0 6 6l1-1",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  send: "M3 11.500 21 4l-6 17-4-7zM11 14 21 4",
  attach: "M20 11l-8.500 8.500a5 5 0 0 1-7-7L13 4a3.300 3.300 0 0 1 5 5l-8.500 8.500a1.600 1.600 0 0 1-2.500-2.500L15 7",
  menu: "M4 6h16M4 12h16M4 18h16",
  plus: "M12 5v14M5 12h14",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 14h10l1-14M10 11v6M14 11v6",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  warn: "M12 3 2 20h20zM12 10v4M12 17h.01",
};

export function icon(name, size = 16) {
  return svg("svg", { viewBox: "0 0 24 24", width: size, height: size, class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: ICONS[name] ?? ICONS.info }));
}
