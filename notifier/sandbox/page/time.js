// The right panel: the sandbox's clock, which can be moved forward, and the digest of today at a press.

import { byId } from "./dom.js";
import { t } from "./texts.js";
import { post } from "./api.js";
import { showResult } from "./controls.js";

let ahead = 0;

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

/** What the app's command says, in the page's language; what is not known is shown as it is. */
function translateDigestResult(output) {
  const [, recipient, what] = /^([^:]+): (on (?:its|their) way|nothing changed|(?:was|were) told)/.exec(output) ?? [];
  if (!what) return output;
  const key = what.startsWith("on ") ? "digest_sending" : what.startsWith("nothing") ? "digest_no_changes" : "digest_already_sent";
  return t(key, { recipient: recipient === "referrers" ? t("digest_referrers") : recipient });
}

export function wireTime() {
  setInterval(tick, 1000);
  const result = byId("time-result");
  for (const button of document.querySelectorAll("[data-advance]")) {
    button.addEventListener("click", () => runAction(button, () => post("/sandbox/api/advance", { seconds: Number(button.dataset.advance) }).then(() => t("done"))));
  }
  const send = byId("send-digest");
  send.addEventListener("click", () => {
    showResult(result, t("sending_digest"), false);
    return runAction(send, () => post("/sandbox/api/digest").then((answer) => translateDigestResult(String(answer.output))));
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
