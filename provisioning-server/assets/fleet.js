// The fleet: rows kept live one by one as the journal tells of them; filter, search, order, view; registering.
import { fragment } from "./api.js";
import { press, remember } from "./frame.js";
import { list } from "./list.js";
import { gather, live, progress } from "./live.js";
import { keepNotices, notices } from "./notices.js";
import { bulk, picks } from "./picks.js";

const search = document.getElementById("search");
const counters = document.getElementById("counters");
const chip = document.getElementById("reorder");
const changed = new Set();
let show = document.body.dataset.show;
let hosts = null;
let selection = null;

const text = () => search.elements.q.value.trim();
const sort = () => search.elements.sort.value;
const view = () => document.documentElement.dataset.view ?? "tiles";
const counterOf = (key) => counters.querySelector(`[data-show="${key}"]`);

/** Whether a host in this phase, of this name, belongs to what is shown, as far as the browser can know. */
function fits(phase, name) {
  return counterOf(show).dataset.phases.split(" ").includes(phase) && name.includes(text().toLowerCase());
}

/** Writes what is shown into the address, so that a reload or a friend sees the same. */
function address() {
  const query = new URLSearchParams();
  if (show !== "all") query.set("show", show);
  if (text()) query.set("q", text());
  if (sort() !== "name") query.set("sort", sort());
  return query;
}

let asked = 0;

/** Asks for the hosts that fit, in their order. */
async function reorder() {
  changed.clear();
  sayChanged();
  const mine = ++asked;
  const query = address();
  const shown = new URLSearchParams(query);
  if (new URLSearchParams(location.search).has("view")) shown.set("view", view());
  history.replaceState(null, "", shown.size ? `/?${shown}` : "/");
  let found = null;
  try {
    const response = await fetch(`/fragments/fleet?${query}`, { headers: { accept: "application/json" } });
    if (response.redirected || response.status === 401) return location.assign("/login");
    found = await response.json();
  } catch (error) {
    // The live connection says that the server is away; when it is back, the order is asked for again.
    console.warn(error);
    return;
  }
  if (mine !== asked) return;
  hosts.replace(found.hosts);
  sayLength();
}

function sayLength() {
  const count = hosts.length;
  document.getElementById("matching").textContent = String(count);
  document.getElementById("fleet").setAttribute("aria-rowcount", String(count + 1));
  document.getElementById("nothing").hidden = count > 0;
  const isFleet = Number(counterOf("all").querySelector("b").textContent) > 0 || count > 0;
  document.getElementById("list").hidden = !isFleet;
  const empty = document.getElementById("empty");
  if (empty) empty.hidden = isFleet;
  selection.say();
}

function sayChanged() {
  const count = changed.size;
  chip.hidden = count === 0;
  chip.textContent = count === 1 ? "1 host changed · refresh order" : `${count} hosts changed · refresh order`;
}

function choose(key) {
  show = key;
  for (const counter of counters.children) {
    if (counter.dataset.show === key) counter.setAttribute("aria-current", "true");
    else counter.removeAttribute("aria-current");
  }
  reorder();
}

/** The machines that belong to no host, anew. */
const strangers = gather(async () => {
  const found = await fragment("/fragments/discovered");
  const fresh = found.getElementById("discovered");
  const old = document.getElementById("discovered");
  if (old.contains(document.activeElement)) {
    const { mac } = document.activeElement.closest("[data-mac]")?.dataset ?? {};
    old.replaceWith(fresh);
    (fresh.querySelector(`[data-mac="${mac}"] a`) ?? fresh.querySelector("a") ?? document.getElementById("main")).focus();
  } else old.replaceWith(fresh);
});

/** What a journal entry means for the list. Rows keep their places; the chip tells that they would have others. */
function heard(entry) {
  const { host: id, what } = entry;
  if (what.kind.startsWith("machine_") || what.kind === "host_registered" || what.kind === "host_removed") strangers();
  if (!id) {
    // The empty page's steps and the rebuild dialog name the images.
    if (what.kind.startsWith("image_") && !document.getElementById("list").offsetParent) location.reload();
    return;
  }
  if (what.kind === "host_removed") {
    hosts.remove(id);
    selection.drop(id);
    changed.delete(id);
    sayChanged();
    return sayLength();
  }
  const was = hosts.has(id);
  if (what.kind === "host_registered" && !was && fits("registered", what.name)) {
    hosts.append(id, what.name);
    if (hosts.length > 1) changed.add(id);
    sayLength();
  }
  if (what.kind === "moved") {
    if (was && !fits(what.to, text().toLowerCase())) changed.add(id);
    else if (!was && !text() && fits(what.to, "")) changed.add(id);
    else if (was && sort() !== "name") changed.add(id);
  }
  if (what.kind === "host_edited" && was) changed.add(id);
  if (was && sort() === "latest") changed.add(id);
  sayChanged();
  hosts.heard(id, Date.parse(entry.at) || Number(entry.at));
}

function counted({ counts, notices: told }) {
  notices(told);
  for (const [key, count] of Object.entries(counts)) {
    const counter = counterOf(key);
    if (!counter) continue;
    counter.querySelector("b").textContent = String(count);
    counter.classList.toggle("none", count === 0);
  }
}

function views() {
  const links = document.querySelectorAll("a[data-view]");
  const set = (chosen) => {
    document.documentElement.dataset.view = chosen;
    for (const link of links) {
      if (link.dataset.view === chosen) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  const change = (chosen) => {
    set(chosen);
    remember("view", chosen);
    const query = address();
    history.replaceState(null, "", query.size ? `/?${query}` : "/");
    hosts.reshape();
  };
  set(view());
  for (const link of links) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      change(link.dataset.view);
    });
  }
  press("v", () => change(view() === "table" ? "tiles" : "table"));
}

function keys() {
  const at = () => document.activeElement?.closest?.("tr[data-host]")?.dataset;
  press("/", () => search.elements.q.focus());
  press("n", () => document.querySelector('.page-head [data-do="register"]').click());
  press("j", () => move(1));
  press("k", () => move(-1));
  press("r", () => reorder());
  press("x", () => { const host = at(); if (host) selection.toggle(host.host, host.name); });
  const move = (step) => {
    const next = hosts.length > 0 && hosts.neighbour(at()?.host, step);
    if (next) hosts.focus(next.id);
  };
}

/** Calls `work` when nothing was typed for a moment. */
function settled(work, wait = 120) {
  let timer = null;
  return () => { clearTimeout(timer); timer = setTimeout(work, wait); };
}

export function fleet() {
  const box = document.getElementById("rows");
  hosts = list(box, (row) => selection?.mark(row));
  selection = picks(box, hosts);
  bulk();
  keepNotices();
  views();
  keys();
  counters.addEventListener("click", (event) => {
    const counter = event.target.closest("a");
    if (!counter || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    choose(counter.dataset.show);
  });
  search.addEventListener("input", settled(reorder));
  search.addEventListener("submit", (event) => { event.preventDefault(); reorder(); });
  chip.addEventListener("click", () => { reorder(); box.querySelector("a")?.focus({ preventScroll: true }); });
  // One's own changes are put into their places at once.
  document.addEventListener("changed", reorder);
  // The page holds the first rows only.
  if (hosts.length < Number(document.body.dataset.matching)) reorder();
  live(heard, { progress, fleet: counted });
}
