// The fleet: rows swapped one by one as the journal tells of them; filter, search, view; registering.
import { call, fragment } from "./api.js";
import { macs, onSubmit, show as showProblem } from "./forms.js";
import { gather, live, progress } from "./live.js";
import { localise } from "./times.js";

const AT_ONCE = 200;
const rows = document.getElementById("rows");
const search = document.getElementById("search");
const pending = new Set();
let show = document.body.dataset.show || "all";

function fits(row) {
  const text = search.elements.q.value.trim().toLowerCase();
  return row.dataset.groups.split(" ").includes(show) && row.dataset.search.includes(text);
}

/** Hides what the filter leaves out, and writes the filter into the address so that a reload keeps it. */
function filter() {
  let seen = 0;
  for (const row of rows.rows) {
    row.hidden = !fits(row);
    seen += row.hidden ? 0 : 1;
  }
  document.getElementById("nothing").hidden = seen > 0 || rows.rows.length === 0;
  mark();
  search.elements.show.value = show;
  const query = new URLSearchParams();
  if (show !== "all") query.set("show", show);
  if (search.elements.q.value) query.set("q", search.elements.q.value);
  history.replaceState(null, "", query.size ? `/?${query}` : "/");
}

function mark() {
  for (const counter of document.querySelectorAll("#counters a")) {
    if (counter.dataset.show === show) counter.setAttribute("aria-current", "true");
    else counter.removeAttribute("aria-current");
  }
}

/** Rows stand by name, whatever happens to their hosts: nothing moves under the mouse. */
function place(row) {
  const next = [...rows.rows].find((other) => other.dataset.name > row.dataset.name);
  rows.insertBefore(row, next ?? null);
}

function swap(id, fresh) {
  const old = document.getElementById(`host-${id}`);
  if (!fresh) return old?.remove();
  fresh.hidden = !fits(fresh);
  localise(fresh);
  if (!old) return place(fresh);
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  if (old.dataset.name === fresh.dataset.name) {
    old.replaceWith(fresh);
  } else {
    old.remove();
    place(fresh);
  }
  if (!focused) return;
  // The button may be gone with the state that allowed it; the host's link never is.
  const same = focused.dataset.do && fresh.querySelector(`button[data-do="${focused.dataset.do}"]`);
  (same || fresh.querySelector("a")).focus({ preventScroll: true });
}

async function refresh() {
  while (pending.size > 0) {
    const ids = [...pending].slice(0, AT_ONCE);
    const found = await fragment(`/fragments/hosts?ids=${ids.join(",")}`);
    // Only now: had it failed, they would still have to be fetched.
    for (const id of ids) pending.delete(id);
    for (const id of ids) swap(id, found.getElementById(`host-${id}`));
    const counters = document.getElementById("counters");
    const focused = counters.contains(document.activeElement) && document.activeElement.dataset.show;
    counters.replaceChildren(...found.getElementById("counters").children);
    mark();
    if (focused) counters.querySelector(`[data-show="${focused}"]`)?.focus();
    if (rows.rows.length > 0) document.getElementById("empty")?.remove();
    document.getElementById("nothing").hidden = rows.rows.length === 0 || [...rows.rows].some((row) => !row.hidden);
  }
}

async function register(form) {
  const { hostname, mac, server_type: type, address } = form.elements;
  const body = { hostname: hostname.value.trim(), macs: macs(mac.value), server_type: type.value };
  if (address.value.trim()) body.address = address.value.trim();
  const { ok, problem } = await call("POST", "/api/hosts", body);
  if (!ok) return showProblem(form, problem);
  hostname.value = "";
  mac.value = "";
  address.value = "";
  form.closest("dialog").close();
}

function views() {
  const button = document.getElementById("view");
  const table = document.getElementById("fleet");
  const set = (isDense) => {
    table.className = isDense ? "dense" : "tiles";
    button.setAttribute("aria-pressed", String(isDense));
  };
  let isDense = localStorage.getItem("view") === "dense";
  set(isDense);
  button.addEventListener("click", () => {
    isDense = !isDense;
    localStorage.setItem("view", isDense ? "dense" : "tiles");
    set(isDense);
  });
}

export function fleet() {
  views();
  document.getElementById("counters").addEventListener("click", (event) => {
    const counter = event.target.closest("a");
    if (!counter || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show = counter.dataset.show;
    filter();
  });
  search.addEventListener("input", filter);
  search.addEventListener("submit", (event) => { event.preventDefault(); filter(); });
  onSubmit("register", register);
  filter();
  const soon = gather(refresh);
  live((entry) => {
    if (!entry.host) {
      // The empty page's steps and the rebuild dialog name the images.
      if (entry.what.kind.startsWith("image_") && document.getElementById("empty")) location.reload();
      return;
    }
    pending.add(entry.host);
    soon();
  }, progress);
}
