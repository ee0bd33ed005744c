// A host's page: its sections are swapped when the journal tells of it; what is open stays open.
import { fragment } from "./api.js";
import { gather, live, progress } from "./live.js";
import { localise, now } from "./times.js";

const { host: id, operation } = document.body.dataset;
const sections = document.getElementById("sections");
const texts = new Map();

/** Keeps what has not changed, so that a selection in it stays. */
function swap(fresh) {
  const old = sections.querySelector(`section#${fresh.id}`);
  const text = fresh.outerHTML;
  if (old && texts.get(fresh.id) === text) return old;
  texts.set(fresh.id, text);
  localise(fresh);
  if (!old) return fresh;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  for (const { id: open } of old.querySelectorAll("details[open][id]")) {
    const same = fresh.querySelector(`#${CSS.escape(open)}`);
    if (same) same.open = true;
  }
  old.replaceWith(fresh);
  if (focused) {
    const action = focused.dataset.do ? `[data-do="${CSS.escape(focused.dataset.do)}"]:not(:disabled)` : null;
    const same = action ? fresh.querySelector(action) : focused.id && fresh.querySelector(`#${CSS.escape(focused.id)}`);
    (same || fresh.querySelector("button:enabled, a, summary") || document.getElementById("main")).focus({ preventScroll: true });
  }
  return fresh;
}

/** Puts a column's sections in the order of the fresh ones. */
function merge(column, fresh) {
  const ids = new Set(fresh.map((section) => section.id));
  for (const old of [...column.children]) if (!ids.has(old.id)) old.remove();
  let before = null;
  for (const section of fresh.map(swap)) {
    const next = before ? before.nextElementSibling : column.firstElementChild;
    if (next !== section) column.insertBefore(section, next);
    before = section;
  }
}

async function refresh() {
  const query = operation ? `?operation=${encodeURIComponent(operation)}` : "";
  const found = await fragment(`/fragments/hosts/${id}/page${query}`);
  // Removed, by somebody else perhaps.
  if (!found) return location.assign("/");
  for (const column of found.children) merge(document.getElementById(column.id), [...column.children]);
  listen();
}

const soon = gather(refresh);

let silence = null;

/** Where something is awaited of a machine, its silence is news too: look again when it has lasted. */
function listen() {
  clearTimeout(silence);
  if (document.querySelector("#s-doctor[data-waits]")) silence = setTimeout(soon, 20_000);
}

/** The bar of a stage that still runs grows up to its full length, which may be what it usually takes. */
function grow() {
  for (const bar of document.querySelectorAll("svg.took[data-since]")) {
    const took = (now() - Number(bar.dataset.since)) * 1000 / Number(bar.dataset.full);
    bar.querySelector(".fill").setAttribute("width", String(Math.max(0, Math.min(1000, took))));
  }
}

/** A link to the comparison opens what has changed. */
function reveal() {
  if (location.hash !== "#s-artefacts") return;
  for (const changes of document.querySelectorAll("details.changes")) {
    changes.open = true;
    changes.parentElement.closest("details").open = true;
  }
}

export function host() {
  document.addEventListener("changed", soon);
  listen();
  setInterval(() => { if (!document.hidden) grow(); }, 1000);
  reveal();
  addEventListener("hashchange", reveal);
  live((entry) => {
    if (entry.host === id) soon();
    // Whose turn it is to join depends on the others.
    else if (entry.what.kind === "moved" && [entry.what.from, entry.what.to].includes("joining")) soon();
  }, { progress });
}
