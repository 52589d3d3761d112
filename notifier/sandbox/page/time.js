// The right panel: the sandbox's clock, which can be moved forward, and the digest of today at a press.

import { byId } from "./dom.js";
import { t } from "./texts.js";
import { post } from "./api.js";
import { say } from "./controls.js";

let ahead = 0;

export function showTime(state) {
  ahead = state.ahead_seconds ?? 0;
  byId("send-digest").hidden = !state.sends_digest;
  byId("sandbox-ahead").textContent = ahead ? t(ahead > 0 ? "ahead" : "behind", { n: Math.round(Math.abs(ahead) / 360) / 10 }) : "";
  tick();
}

function tick() {
  const two = (part) => String(part).padStart(2, "0");
  const at = new Date(Date.now() + ahead * 1000);
  const text = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  byId("sandbox-clock").textContent = text;
  byId("sandbox-clock").dateTime = at.toISOString();
}

/** What the app's command says, in the page's language; what is not known is shown as it is. */
function inWords(said) {
  const [, whom, what] = /^([^:]+): (on (?:its|their) way|nothing changed|(?:was|were) told)/.exec(said) ?? [];
  if (!what) return said;
  const key = what.startsWith("on ") ? "digest_on_its_way" : what.startsWith("nothing") ? "digest_quiet" : "digest_told";
  return t(key, { whom: whom === "referrers" ? t("digest_referrers") : whom });
}

export function wireTime() {
  setInterval(tick, 1000);
  const result = byId("time-result");
  for (const button of document.querySelectorAll("[data-advance]")) {
    button.addEventListener("click", () => act(button, () => post("/sandbox/api/advance", { seconds: Number(button.dataset.advance) }).then(() => t("done"))));
  }
  const send = byId("send-digest");
  send.addEventListener("click", () => {
    say(result, t("sending_digest"), false);
    return act(send, () => post("/sandbox/api/digest").then((answer) => inWords(String(answer.said))));
  });

  async function act(button, work) {
    button.disabled = true;
    try {
      say(result, await work(), false);
    } catch (error) {
      say(result, t("failed", { error: error.message }), true);
    } finally {
      button.disabled = false;
    }
  }
}
