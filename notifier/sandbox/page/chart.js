// The chart component, rendered by VChart, the chart library of Feishu's clients. It is loaded with the first chart.

import { h } from "./dom.js";
import { t } from "./texts.js";
import { oneOf, pixels } from "./card_styles.js";

const RATIOS = { "1:1": 1, "2:1": 2, "4:3": 4 / 3, "16:9": 16 / 9 };
const TYPES = ["line", "area", "bar", "pie", "common", "funnel", "scatter", "radar", "linearProgress", "circularProgress", "wordCloud"];
const LIBRARY = "/static/vchart/vchart.min.js";
const live = new Set();
let loading = null;

export function chart(element, reader) {
  const box = h("div", { class: "c-chart-canvas", role: "img", "aria-label": describe(element.chart_spec) });
  const shown = { box, spec: element.chart_spec ?? {}, ratio: ratioOf(element, reader), height: pixels(element.height, 1, 999), width: 0, chart: null };
  const watcher = new ResizeObserver(() => {
    const width = Math.round(box.getBoundingClientRect().width);
    if (!box.isConnected) {
      watcher.disconnect();
      release(shown);
    } else if (width > 20 && width !== shown.width) {
      shown.width = width;
      render(shown);
    }
  });
  watcher.observe(box);
  return h("figure", { class: "c-chart", "data-testid": "chart" }, box);
}

function ratioOf(element, reader) {
  return Object.hasOwn(RATIOS, element.aspect_ratio) ? RATIOS[element.aspect_ratio] : reader.mobile ? 1 : 16 / 9;
}

/** Renders at the current width, and again when it is called while the library loads. */
async function render(shown) {
  const { box, spec, width } = shown;
  const height = shown.height ?? Math.round(width / shown.ratio);
  box.style.setProperty("height", `${height}px`);
  try {
    if (oneOf(spec.type, TYPES, null) === null) throw new Error(t("chart_type", { type: String(spec.type ?? ""), types: TYPES.join(", ") }));
    const VChart = await library();
    if (!box.isConnected || shown.width !== width) return;
    release(shown);
    live.add(shown);
    let failure = null;
    const chosen = themeOf(document.documentElement);
    const options = { dom: box, mode: "desktop-browser", theme: chosen, onError: (...words) => { failure = words.map(String).join(" "); } };
    shown.chart = new VChart(prepare(spec, width, height), options);
    shown.chart.renderSync();
    if (failure) throw new Error(failure);
    box.removeAttribute("data-failed");
    box.setAttribute("data-drawn", chosen);
  } catch (error) {
    release(shown);
    box.setAttribute("data-failed", "");
    box.style.removeProperty("height");
    box.replaceChildren(h("div", { class: "unsupported", "data-testid": "chart-error" }, t("broken_chart", { error: String(error?.message ?? error).slice(0, 300) })));
  }
}

/** The spec for this page: without motion, and with tooltips on the canvas, where data cannot become markup. */
function prepare(spec, width, height) {
  const own = structuredClone(spec);
  const tooltip = own.tooltip && typeof own.tooltip === "object" ? own.tooltip : {};
  return { background: "transparent", ...own, width, height, animation: false, tooltip: { ...tooltip, renderMode: "canvas" } };
}

const themeOf = (root) => (root.dataset.theme === "dark" ? "dark" : "light");

function release(shown) {
  shown.chart?.release();
  shown.chart = null;
  shown.box.removeAttribute("data-drawn");
  shown.box.replaceChildren();
  live.delete(shown);
}

function library() {
  loading ??= new Promise((resolve, reject) => {
    const script = h("script", { src: LIBRARY });
    script.addEventListener("load", () => resolve(globalThis.VChart.default));
    script.addEventListener("error", () => {
      loading = null;
      reject(new Error(`${LIBRARY} cannot be loaded`));
    });
    document.head.append(script);
  });
  return loading;
}

new MutationObserver(() => [...live].forEach(render)).observe(document.documentElement, { attributeFilter: ["data-theme"] });

/** The values of a chart as a text, one part per category, for readers who cannot see it. */
function describe(spec) {
  const sources = [spec?.data].flat().filter(Boolean);
  const rows = sources.flatMap((source) => (Array.isArray(source.values) ? source.values : [])).slice(0, 400);
  const parts = new Map();
  for (const row of rows) {
    const [category, ...others] = Object.values(row ?? {});
    parts.set(String(category), [...(parts.get(String(category)) ?? []), others.join(" ")]);
  }
  return [...parts].map(([category, texts]) => `${category}: ${texts.join(", ")}`).join("; ").slice(0, 2000) || t("chart");
}
