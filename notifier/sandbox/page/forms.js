// Helpers of the forms in the panel: results, lists of choices, buttons that call the API, and the clipboard.

import { h, icon } from "./dom.js";
import { t } from "./texts.js";

export function showResult(node, text, bad) {
  node.hidden = false;
  node.classList.toggle("bad", bad);
  node.setAttribute("role", bad ? "alert" : "status");
  node.textContent = text;
}

/** Refills a select only when its options changed, and keeps the choice if it still exists. */
export function fillSelect(select, list, wanted, nothing) {
  const signature = JSON.stringify(list);
  if (select.dataset.signature !== signature) {
    const before = select.value;
    select.dataset.signature = signature;
    select.replaceChildren(...(list.length ? list.map(([value, text]) => h("option", { value }, text)) : [h("option", { value: "" }, nothing)]));
    const keep = [before, wanted].find((value) => list.some(([known]) => known === value));
    if (keep !== undefined) select.value = keep;
    select.disabled = list.length === 0;
  }
}

/**
 * Disables a control while `work` runs, and writes its outcome to `result`. `done` is the text of success, nothing for
 * no text. Returns whether it succeeded.
 */
export async function runAction(control, result, work, done = "") {
  control.disabled = true;
  result.hidden = true;
  try {
    const answer = await work();
    if (done) showResult(result, typeof done === "function" ? done(answer) : done, false);
    return true;
  } catch (error) {
    showResult(result, t("failed", { error: error.message }), true);
    return false;
  } finally {
    control.disabled = false;
  }
}

/** A button that copies `text()`. Its icon becomes a check mark for a moment. */
export function copyButton(label, text, { glyph = "copy", ...props } = {}) {
  const button = h("button", { type: "button", class: "mini", "aria-label": label, title: label, ...props }, icon(glyph, 14));
  button.addEventListener("click", async () => {
    await copyText(text());
    button.replaceChildren(icon("check", 14));
    button.dataset.copied = "";
    setTimeout(() => { button.replaceChildren(icon(glyph, 14)); delete button.dataset.copied; }, 1500);
  });
  return button;
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // the browser has no clipboard for this page
    const area = h("textarea", { class: "sr-only", value: text, "aria-hidden": "true" });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
