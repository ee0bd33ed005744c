// A host's page: its sections are swapped when the journal tells of it; what is open stays open.
import { call, fragment } from "./api.js";
import { macs, onSubmit, show } from "./forms.js";
import { gather, live, progress } from "./live.js";
import { localise } from "./times.js";

const { host: id, operation } = document.body.dataset;
const sections = document.getElementById("sections");
const texts = new Map();

/** Keeps what has not changed, so that a selection in it stays. */
function swap(fresh) {
  const old = sections.querySelector(`:scope > #${fresh.id}`);
  const text = fresh.outerHTML;
  if (old && texts.get(fresh.id) === text) return old;
  texts.set(fresh.id, text);
  localise(fresh);
  if (!old) return fresh;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  for (const { id: open } of old.querySelectorAll("details[open]")) {
    const same = fresh.querySelector(`#${CSS.escape(open)}`);
    if (same) same.open = true;
  }
  old.replaceWith(fresh);
  if (focused) {
    const same = focused.dataset.do && fresh.querySelector(`button[data-do="${focused.dataset.do}"]:enabled`);
    (same || fresh.querySelector("button:enabled, a, summary") || document.getElementById("main")).focus({ preventScroll: true });
  }
  return fresh;
}

async function refresh() {
  const query = operation ? `?operation=${encodeURIComponent(operation)}` : "";
  const found = await fragment(`/fragments/hosts/${id}/page${query}`);
  // Removed, by somebody else perhaps.
  if (!found) return location.assign("/");
  const fresh = [...found.children];
  const ids = new Set(fresh.map((section) => section.id));
  for (const old of [...sections.children]) if (!ids.has(old.id)) old.remove();
  let before = null;
  for (const section of fresh.map(swap)) {
    const next = before ? before.nextElementSibling : sections.firstElementChild;
    if (next !== section) sections.insertBefore(section, next);
    before = section;
  }
}

function edits() {
  const form = onSubmit("edit", async (form) => {
    const { hostname, mac, server_type: type, address } = form.elements;
    // Only what was changed: what somebody else changed meanwhile stays.
    const { dataset } = form;
    const body = {};
    if (hostname.value.trim() !== dataset.hostname) body.hostname = hostname.value.trim();
    if (macs(mac.value).join(", ") !== dataset.macs) body.macs = macs(mac.value);
    if (!type.selectedOptions[0]?.defaultSelected) body.server_type = type.value;
    if (address.value.trim() !== dataset.address) body.address = address.value.trim() || null;
    const { ok, data, problem } = await call("PATCH", `/api/hosts/${id}`, body);
    if (!ok) return show(form, problem);
    location.assign(`/hosts/${encodeURIComponent(data?.hostname ?? id)}`);
  });
  form.closest("dialog").addEventListener("opening", () => {
    const { hostname, macs, address } = form.dataset;
    form.elements.hostname.value = hostname;
    form.elements.mac.value = macs;
    form.elements.address.value = address;
  });
}

export function host() {
  edits();
  const soon = gather(refresh);
  live((entry) => {
    if (entry.host === id) soon();
    // Whose turn it is to join depends on the others.
    else if (entry.what.kind === "moved" && [entry.what.from, entry.what.to].includes("joining")) soon();
  }, progress);
}
