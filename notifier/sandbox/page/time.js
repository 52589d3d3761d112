// The right panel: move the clock of the sandbox, and send today's digest.

import { byId } from "./dom.js";
import { t } from "./texts.js";
import { post } from "./api.js";
import { showResult } from "./forms.js";

let ahead = 0;

/** What `notifier digest send` prints after the recipient, and the text for it. */
const DIGEST_RESULTS = [[/\balready\b/, "digest_already_sent"], [/^(nothing|no change)/, "digest_no_changes"], [/^(on (its|their) way|sending|queued)/, "digest_sending"]];

export function showTime(state) {
  ahead = state.ahead_seconds ?? 0;
  byId("send-digest").hidden = !state.sends_digest;
  byId("sandbox-ahead").textContent = ahead ? t(ahead > 0 ? "ahead" : "behind", { n: Math.round(Math.abs(ahead) / 360) / 10 }) : "";
  tick();
}

function tick() {
  const padTwo = (part) => String(part).padStart(2, "0");
  const at = new Date(Date.now() + ahead * 1000);
  const text = `${at.getFullYear()}-${padTwo(at.getMonth() + 1)}-${padTwo(at.getDate())} ${padTwo(at.getHours())}:${padTwo(at.getMinutes())}:${padTwo(at.getSeconds())}`;
  byId("sandbox-clock").textContent = text;
  byId("sandbox-clock").dateTime = at.toISOString();
}

/** The last output line of the digest command, in the language of the page. Unknown text is shown unchanged. */
function translateDigestResult(output) {
  const [, recipient, result] = /^([^:]+): (.+)$/.exec(output) ?? [];
  const [, key] = DIGEST_RESULTS.find(([pattern]) => pattern.test(result ?? "")) ?? [];
  if (!key) return output;
  return t(key, { recipient: recipient === "referrers" ? t("digest_referrers") : recipient });
}

export function wireTime() {
  setInterval(tick, 1000);
  const result = byId("time-result");
  for (const button of document.querySelectorAll("[data-advance]")) {
    button.addEventListener("click", () => runAction(button, () => post("/api/clock", { seconds: Number(button.dataset.advance) }).then(() => t("done"))));
  }
  const send = byId("send-digest");
  send.addEventListener("click", () => {
    showResult(result, t("sending_digest"), false);
    return runAction(send, () => post("/api/digest").then((answer) => translateDigestResult(String(answer.output))));
  });

  async function runAction(button, work) {
    button.disabled = true;
    try {
      showResult(result, await work(), false);
    } catch (error) {
      showResult(result, t("failed", { error: error.message }), true);
    } finally {
      button.disabled = false;
    }
  }
}
