// The chart component: a simple SVG rendering of a VChart spec (bar, line, area, pie).

import { h, svg } from "./dom.js";
import { oneOf, pixels } from "./card_styles.js";
import { unsupported } from "./common_components.js";

const RATIOS = { "1:1": 1, "2:1": 2, "4:3": 4 / 3, "16:9": 16 / 9 };
const COLORS = ["blue", "turquoise", "orange", "purple", "green", "carmine", "yellow", "indigo", "red", "wathet"];
const WIDTH = 560;
const first = (value) => (Array.isArray(value) ? value[0] : value);

export function chart(element, reader) {
  const spec = element.chart_spec ?? {};
  const type = oneOf(spec.type, ["bar", "line", "area", "pie"], null);
  if (!type) return unsupported(`chart ${spec.type ?? ""}`);
  const source = Array.isArray(spec.data) ? spec.data[0] : spec.data;
  const rows = (Array.isArray(source?.values) ? source.values : []).slice(0, 400);
  const ratio = Object.hasOwn(RATIOS, element.aspect_ratio) ? RATIOS[element.aspect_ratio] : reader.mobile ? 1 : 16 / 9;
  const exact = pixels(element.height, 1, 999);
  const canvas = h("div", { class: "c-chart-canvas" });
  const node = h("figure", { class: "c-chart" }, canvas);
  let renderedWidth = 0;
  const renderChart = (width) => {
    renderedWidth = width;
    const height = Math.max(80, exact ?? Math.round(width / ratio));
    canvas.replaceChildren(type === "pie" ? pie(spec, rows, width, height) : plot(type, spec, rows, width, height));
  };
  renderChart(reader.mobile ? 330 : WIDTH);
  new ResizeObserver(([{ contentRect }]) => { // renders again for the actual width, so that texts keep their size
    const width = Math.round(contentRect.width);
    if (width > 60 && Math.abs(width - renderedWidth) > 8) renderChart(width);
  }).observe(canvas);
  return node;
}

const LEGEND_HEIGHT = 26;
const TITLE_HEIGHT = 36;
const titleOf = (spec) => (spec.title && spec.title.visible !== false ? String(spec.title.text ?? "") : "");

/** The space that the title and the legend take, as in VChart: inside the box, the legend at the bottom. */
function margins(spec, hasLegend) {
  const atTop = hasLegend && first(spec.legends)?.orient === "top";
  const title = titleOf(spec) ? TITLE_HEIGHT : 0;
  return { title, top: title + (atTop ? LEGEND_HEIGHT : 0), bottom: hasLegend && !atTop ? LEGEND_HEIGHT : 0, atTop };
}

function frame(root, spec, names, width, height, { title, atTop }) {
  if (title) root.append(svg("text", { x: 6, y: 22, class: "title" }, titleOf(spec)));
  if (names.length) root.append(legendOf(names, width, atTop ? title + 4 : height - LEGEND_HEIGHT + 6));
}

const fill = (index) => `var(--${COLORS[index % COLORS.length]})`;

function plot(type, spec, rows, width, height) {
  const flat = type === "bar" && spec.direction === "horizontal";
  const [categoryField, valueField] = flat ? [first(spec.yField), first(spec.xField)] : [first(spec.xField), first(spec.yField)];
  const seriesField = first(spec.seriesField);
  const grouped = type === "bar" && spec.stack !== true && (Array.isArray(flat ? spec.yField : spec.xField) || spec.stack === false);
  const stacked = (type === "bar" && !grouped) || (type === "area" && spec.stack !== false);
  const categories = [...new Set(rows.map((row) => String(row?.[categoryField])))];
  const names = seriesField ? [...new Set(rows.map((row) => String(row?.[seriesField])))] : [""];
  const values = new Map(rows.map((row) => [`${row?.[categoryField]}\u0000${seriesField ? row?.[seriesField] : ""}`, Number(row?.[valueField]) || 0]));
  const at = (category, name) => values.get(`${category}\u0000${name}`) ?? 0;

  let high = 0;
  let low = 0;
  for (const category of categories) {
    const list = names.map((name) => at(category, name));
    const sums = stacked ? [list.filter((v) => v > 0).reduce((a, b) => a + b, 0), list.filter((v) => v < 0).reduce((a, b) => a + b, 0)] : list;
    high = Math.max(high, ...sums);
    low = Math.min(low, ...sums);
  }
  const valueAxis = (Array.isArray(spec.axes) ? spec.axes : []).find((axis) => axis?.orient === (flat ? "bottom" : "left"));
  const limit = typeof valueAxis?.max === "number" && valueAxis.max > low ? valueAxis.max : null;
  if (limit !== null) high = limit; // longer bars are cut off
  const ticks = niceTicks(low, high).filter((tick) => limit === null || tick <= limit);
  low = ticks[0];
  high = limit ?? ticks[ticks.length - 1];
  const separated = String(valueAxis?.label?.formatter ?? "").includes(",");
  const tickText = (tick) => (separated ? tick.toLocaleString("en", { maximumFractionDigits: 4 }) : compact(tick));

  const legend = names.length > 1 && first(spec.legends)?.visible !== false;
  const space = margins(spec, legend);
  const longest = Math.max(...(flat ? categories.map((category) => shorten(category, 11)) : ticks.map(tickText)).map(widthOf), 1);
  const left = Math.min(width / 3, 12 + longest);
  const box = { x: left, y: 10 + space.top, w: width - left - 10, h: Math.max(10, height - 34 - space.top - space.bottom) };
  const position = (value) => Math.min(1, (value - low) / (high - low || 1));
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": categories.map((c) => `${c}: ${names.map((n) => at(c, n)).join(", ")}`).join("; ").slice(0, 2000) });

  for (const tick of ticks) {
    const p = position(tick);
    if (flat) {
      const x = box.x + p * box.w;
      root.append(line(x, box.y, x, box.y + box.h), label(x, box.y + box.h + 16, tickText(tick), "middle"));
    } else {
      const y = box.y + box.h - p * box.h;
      root.append(line(box.x, y, box.x + box.w, y), label(box.x - 6, y + 4, tickText(tick), "end"));
    }
  }
  const step = (flat ? box.h : box.w) / Math.max(1, categories.length);
  const every = Math.max(1, Math.ceil(categories.length * (flat ? 16 : Math.max(...categories.map((category) => widthOf(shorten(category, 12))), 1) + 8) / (flat ? box.h : box.w)));
  categories.forEach((category, i) => {
    if (i % every) return;
    const middle = step * (i + 0.5);
    if (flat) root.append(label(box.x - 6, box.y + middle + 4, shorten(category, 11), "end"));
    else root.append(label(box.x + middle, box.y + box.h + 16, shorten(category, 12), "middle"));
  });

  if (type === "bar") {
    const thick = Math.min(48, step * 0.62);
    categories.forEach((category, i) => {
      let up = 0;
      let down = 0;
      names.forEach((name, s) => {
        const value = at(category, name);
        if (!value) return;
        const base = stacked ? (value > 0 ? up : down) : 0;
        if (value > 0) up = base + value; else down = base + value;
        const [from, to] = [position(Math.min(base, base + value)), position(Math.max(base, base + value))];
        const each = stacked ? thick : thick / names.length;
        const offset = step * (i + 0.5) - thick / 2 + (stacked ? 0 : s * each);
        const shape = flat
          ? { x: box.x + from * box.w, y: box.y + offset, width: (to - from) * box.w, height: each }
          : { x: box.x + offset, y: box.y + box.h - to * box.h, width: each, height: (to - from) * box.h };
        root.append(tip(svg("rect", { ...shape, rx: 2, fill: fill(s) }), category, name, value));
      });
    });
  } else {
    const below = new Map(categories.map((category) => [category, 0]));
    names.forEach((name, s) => {
      const points = categories.map((category, i) => {
        const base = stacked ? below.get(category) : 0;
        const top = base + at(category, name);
        below.set(category, top);
        return { x: box.x + step * (i + 0.5), y: box.y + box.h - position(top) * box.h, base: box.y + box.h - position(base) * box.h, category };
      });
      const path = points.map(({ x, y }, i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
      if (type === "area" && points.length) {
        const back = [...points].reverse().map(({ x, base }) => `L${x.toFixed(1)} ${base.toFixed(1)}`).join("");
        root.append(svg("path", { d: `${path}${back}Z`, fill: fill(s), "fill-opacity": 0.22 }));
      }
      root.append(svg("path", { d: path, fill: "none", stroke: fill(s), "stroke-width": 2, "stroke-linejoin": "round" }));
      if (points.length <= 60) for (const p of points) root.append(tip(svg("circle", { cx: p.x, cy: p.y, r: 3, fill: fill(s) }), p.category, name, at(p.category, name)));
    });
  }
  frame(root, spec, legend ? names : [], width, height, space);
  return root;
}

function pie(spec, rows, width, height) {
  const slices = rows.map((row) => ({ name: String(row?.[first(spec.categoryField)] ?? ""), value: Math.max(0, Number(row?.[first(spec.valueField)]) || 0) }));
  const total = slices.reduce((sum, slice) => sum + slice.value, 0) || 1;
  const hasLegend = first(spec.legends)?.visible !== false;
  const space = margins(spec, hasLegend);
  const inside = height - space.top - space.bottom;
  const radius = Math.max(10, Math.min(width, inside) / 2 - 6);
  const inner = radius * Math.min(0.9, Math.max(0, Number(spec.innerRadius) || 0)) / Math.max(0.01, Math.min(1, Number(spec.outerRadius) || 1));
  const center = { x: width / 2, y: space.top + inside / 2 };
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": slices.map((s) => `${s.name}: ${s.value}`).join("; ").slice(0, 2000) });
  let from = 0;
  slices.forEach((slice, i) => {
    const to = from + slice.value / total;
    if (slice.value) root.append(tip(svg("path", { d: arc(center, radius, inner, from, to), fill: fill(i), "fill-rule": "evenodd" }), slice.name, "", slice.value));
    from = to;
  });
  frame(root, spec, hasLegend ? slices.map((slice) => slice.name) : [], width, height, space);
  return root;
}

function arc({ x, y }, outer, inner, from, to) {
  const end = to - from > 0.9999 ? from + 0.9999 : to;
  const on = (r, share) => `${(x + r * Math.sin(share * 2 * Math.PI)).toFixed(2)} ${(y - r * Math.cos(share * 2 * Math.PI)).toFixed(2)}`;
  const big = end - from > 0.5 ? 1 : 0;
  return inner > 0
    ? `M${on(outer, from)}A${outer} ${outer} 0 ${big} 1 ${on(outer, end)}L${on(inner, end)}A${inner} ${inner} 0 ${big} 0 ${on(inner, from)}Z`
    : `M${x} ${y}L${on(outer, from)}A${outer} ${outer} 0 ${big} 1 ${on(outer, end)}Z`;
}

function legendOf(names, width, y) {
  const node = svg("g", { class: "legend" });
  const total = names.reduce((sum, name) => sum + 24 + widthOf(shorten(name, 14)), 0);
  let x = Math.max(6, (width - total) / 2);
  names.forEach((name, i) => {
    const text = shorten(name, 14);
    const need = 24 + widthOf(text);
    if (x + need > width) return;
    node.append(svg("rect", { x, y, width: 10, height: 10, rx: 2, fill: fill(i) }), label(x + 14, y + 9, text, "start"));
    x += need;
  });
  return node;
}

const line = (x1, y1, x2, y2) => svg("line", { x1, y1, x2, y2, class: "grid" });
const label = (x, y, text, anchor) => svg("text", { x, y, "text-anchor": anchor }, text);
const tip = (node, category, name, value) => { node.append(svg("title", {}, `${category}${name ? ` · ${name}` : ""}: ${value}`)); return node; };
const widthOf = (text) => [...text].reduce((sum, letter) => sum + (letter > "\u2e80" ? 12 : 7), 0);
const shorten = (text, size) => { const letters = [...text]; return letters.length > size ? `${letters.slice(0, size - 1).join("")}…` : text; };
const compact = (value) => (Math.abs(value) >= 1e6 ? `${+(value / 1e6).toFixed(1)}M` : Math.abs(value) >= 1e4 ? `${+(value / 1e3).toFixed(1)}k` : String(+value.toFixed(4)));

function niceTicks(low, high) {
  const span = high - low || 1;
  const raw = span / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw) ?? raw;
  const start = Math.floor(low / step) * step;
  const out = [];
  for (let v = start; v < high + step * 0.999 && out.length < 20; v += step) out.push(v);
  if (out.length < 2) out.push(start + step);
  return out;
}

