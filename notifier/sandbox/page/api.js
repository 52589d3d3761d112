// Calls of the control API, and updates of the state that continue after a lost connection.

import { t } from "./texts.js";

let app = "";

/** Chooses the app whose side is shown; "" for the first one. */
export function chooseApp(appId) {
  app = appId;
}

export const withApp = (path) => (app ? `${path}${path.includes("?") ? "&" : "?"}app=${encodeURIComponent(app)}` : path);

export const post = (path, body = {}) => request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
export const patch = (path, body = {}) => request(path, { method: "PATCH", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
export const remove = (path) => request(path, { method: "DELETE" });

export async function request(path, init) {
  let response;
  try {
    response = await fetch(withApp(path), init);
  } catch {
    throw new Error(t("unreachable"));
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `HTTP ${response.status}`);
  return answer;
}

const RETRY_MS = 1500;
const FETCH_TIMEOUT_MS = 15_000;
const HEARTBEAT_MS = 20_000;

/**
 * Calls `onState(state)` for each new state, `onLost()` when the server is unreachable, `onBack()` when it is back, and
 * `onNoApp()` when the chosen app does not exist any more.
 */
export function watchState({ onState, onLost, onBack, onNoApp }) {
  let stream = null;
  let running = false;
  let again = false;
  let lost = false;
  let lastDurationMs = 0;
  let timer = null;

  /** Combines several changes into one request. A state that takes long to load is requested less often. */
  function refresh(soon = false) {
    if (running) { again = true; return; }
    if (timer && !soon) return;
    clearTimeout(timer);
    timer = setTimeout(load, soon ? 0 : Math.min(2000, Math.max(40, lastDurationMs * 2)));
  }

  async function load() {
    timer = null;
    running = true;
    again = false;
    const started = performance.now();
    try {
      const response = await fetch(withApp("/api/state"), { cache: "no-store", signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
      if (response.status === 404 && app) { onNoApp(); return; }
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const state = await response.json();
      if (lost) { lost = false; onBack(); }
      if (!stream || stream.readyState === EventSource.CLOSED) listen();
      try { onState(state); } catch (error) { console.error(error); }
      lastDurationMs = performance.now() - started;
    } catch {
      fail();
    } finally {
      running = false;
    }
    if (again && !lost) refresh();
  }

  function fail() {
    if (!lost) { lost = true; onLost(); }
    clearTimeout(timer);
    timer = setTimeout(load, RETRY_MS);
  }

  function listen() {
    stream?.close();
    stream = new EventSource(withApp("/api/stream"));
    stream.addEventListener("state", () => refresh());
    stream.addEventListener("open", () => refresh());
    stream.addEventListener("error", () => { stream.close(); if (!running) refresh(true); else again = true; });
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  setInterval(() => { if (!document.hidden && !lost) refresh(); }, HEARTBEAT_MS); // a stream can end without an error event
  refresh(true);
}
