// The journal as it is written. The browser resumes by Last-Event-ID; what it gives up, we take up again.
import { clockTime, now } from "./times.js";

const place = document.getElementById("live");
let seq = Number(document.body.dataset.seq);
let source = null;
let pause = 1000;
let heard = now();

function say(state, text) {
  if (place.dataset.state !== state) place.dataset.state = state;
  if (place.textContent !== text) place.textContent = text;
}

const links = { calm: "/favicon.svg", trouble: "/assets/favicon-trouble.svg" };
const title = document.title;

/** What every page shows of the fleet: how many hosts need somebody, and that something has failed. */
function frame({ counts }) {
  const needs = document.getElementById("needs-you");
  needs.querySelector("b").textContent = String(counts["needs-you"]);
  needs.hidden = counts["needs-you"] === 0;
  const icon = document.getElementById("favicon");
  const href = counts.failed > 0 ? links.trouble : links.calm;
  if (icon.getAttribute("href") !== href) icon.href = href;
  document.title = counts.failed > 0 ? `(${counts.failed} failed) ${title}` : title;
}

/**
 * Calls `onEntry` for every journal entry behind the page's; `on.progress` for downloads, `on.fleet` when the counts
 * of hosts have changed.
 */
export function live(onEntry, on = {}) {
  source = new EventSource(`/events?fleet=true&after=${seq}`);
  source.onopen = () => {
    pause = 1000;
    heard = now();
    say("live", "live");
  };
  const entry = ({ data, lastEventId }) => {
    heard = now();
    seq = Number(lastEventId) || seq;
    onEntry(JSON.parse(data));
  };
  source.onmessage = entry;
  source.addEventListener("journal", entry);
  source.addEventListener("progress", ({ data }) => {
    heard = now();
    on.progress?.(JSON.parse(data));
  });
  source.addEventListener("fleet", ({ data }) => {
    heard = now();
    const summary = JSON.parse(data);
    frame(summary);
    on.fleet?.(summary);
  });
  // Another database is behind the same address: nothing on the page is true any more.
  source.addEventListener("reset", () => location.reload());
  source.onerror = () => {
    if (source.readyState === EventSource.CONNECTING) return say("lost", `reconnecting, as of ${clockTime(heard)}`);
    // The server refused it, so the browser will not try again.
    say("lost", `as of ${clockTime(heard)}`);
    hasSession();
    setTimeout(() => live(onEntry, on), pause);
    pause = Math.min(pause * 2, 30_000);
  };
}

/** Whoever was logged out, by a restart perhaps, is asked for the token. */
async function hasSession() {
  try {
    const { status } = await fetch("/fragments/hosts?ids=", { headers: { accept: "application/json" } });
    if (status === 401) location.assign("/login");
  } catch { /* the server is away: it will be tried again */ }
}

addEventListener("pagehide", () => source?.close());
// A page from the browser's back-forward cache is old, and its stream is closed.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

/** Runs `work` soon after the first of several calls, and never twice at once. */
export function gather(work, wait = 60) {
  let timer = null;
  let isBusy = false;
  const run = async () => {
    timer = null;
    isBusy = true;
    let isDone = false;
    try { await work(); isDone = true; } catch (error) { console.warn(error); }
    isBusy = false;
    // A server that does not answer is asked again, in a while.
    if (!isDone) timer ??= setTimeout(run, 2000);
    else if (again) { again = false; soon(); }
  };
  let again = false;
  const soon = () => {
    if (isBusy) again = true;
    else timer ??= setTimeout(run, wait);
  };
  return soon;
}

/** Puts a download's state into the elements that show it. */
export function progress({ operation, bytes, total }) {
  for (const owner of document.querySelectorAll(`[data-operation="${CSS.escape(operation)}"]`)) {
    const shown = owner.querySelector("[data-download]");
    if (!shown) continue;
    const bar = shown.querySelector("progress");
    bar.max = total || 1;
    bar.value = bytes;
    const percent = total ? Math.floor((Math.min(bytes, total) * 100) / total) : 100;
    const strong = Object.assign(document.createElement("b"), { textContent: `${percent} %` });
    shown.lastElementChild.replaceChildren(strong, ` ${size(bytes)} of ${size(total)}`);
    shown.hidden = false;
  }
}

/** A size by its largest decimal unit; the server writes the same form. */
export function size(bytes) {
  const units = [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]];
  const [unit, name] = units.find(([unit]) => bytes >= unit) ?? [1, "B"];
  return unit === 1 ? `${bytes} B` : `${(Math.floor((bytes * 10) / unit) / 10).toFixed(1)} ${name}`;
}
