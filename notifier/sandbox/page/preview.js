// Renders the card of /card.json at desktop and phone width. Its buttons have no effect.

import { byId, h } from "./dom.js";
import { isEnglish, setLanguage } from "./texts.js";
import { renderCard } from "./card.js";

const { title, card, people } = await (await fetch("/card.json", { cache: "no-store" })).json();
const known = new Map(people.map((person) => [person.open_id, person]));

function render() {
  for (const [id, mobile] of [["desktop", false], ["mobile", true]]) {
    const host = { people: known, sentMs: Date.now(), mobile, showToast: toast, confirm: async () => true, sendAction: async () => toast("info", "预览中的按钮不会提现 · Buttons in a preview do not withdraw") };
    byId(id).replaceChildren(renderCard(card, host));
  }
}

function toast(_type, text) {
  const node = h("div", { class: "toast info", "data-testid": "toast" }, h("span", {}, String(text)));
  byId("toasts").replaceChildren(node);
  setTimeout(() => node.remove(), 4000);
}

byId("title").textContent = title;
byId("language").addEventListener("click", () => { setLanguage(isEnglish() ? "zh_cn" : "en_us"); render(); });
byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
});
setLanguage("zh_cn");
render();
document.body.dataset.ready = "true";
