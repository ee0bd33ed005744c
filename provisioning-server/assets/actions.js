// What the buttons do: rebuild after a pre-flight, cancel, resume, remove; copy and close.
import { call, words } from "./api.js";
import { clear, fill, notice, onSubmit, part, show } from "./forms.js";

/** The host that a button belongs to. */
function hostOf(button) {
  const { host, name } = (button.closest("[data-host]") ?? document.body).dataset;
  return { id: host, name };
}

const path = (host, what = "") => `/api/hosts/${encodeURIComponent(host.id)}${what}`;

async function resume(host) {
  const { ok, problem } = await call("POST", path(host, "/resume"));
  notice(ok ? "" : `${host.name}: ${words(problem)}`);
}

function cancel(host) {
  ask({
    title: `Cancel the operation on ${host.name}?`,
    text: "The host stops where it is and counts as failed. What was written to its disks stays.",
    go: "Cancel the operation",
    act: () => call("POST", path(host, "/cancel")),
  });
}

function remove(host) {
  ask({
    title: `Remove ${host.name}?`,
    text: "We forget the host and its operations. The machine, its disks and its place in the cluster stay as they are.",
    go: "Remove",
    act: () => call("DELETE", path(host)),
    then: () => { if (document.body.dataset.page === "host") location.assign("/"); },
  });
}

let asked = null;

/** Asks before something that cannot be taken back. */
export function ask(question) {
  asked = question;
  const dialog = document.getElementById("confirm");
  clear(dialog.querySelector("form"));
  for (const name of ["title", "text", "go"]) fill(dialog, name, question[name]);
  dialog.showModal();
}

async function answered(form) {
  const { ok, problem } = await asked.act();
  if (!ok) return show(form, problem);
  form.closest("dialog").close();
  notice("");
  asked.then?.();
}

let rebuilding = null;

function rebuild(host) {
  const dialog = document.getElementById("rebuild");
  rebuilding = host;
  fill(dialog, "name", host.name);
  dialog.querySelector("form").reset();
  dialog.showModal();
  preflight(dialog);
}

/** Shows what a rebuild would do. Only the answer to the latest question counts. */
async function preflight(dialog) {
  const host = rebuilding;
  const form = dialog.querySelector("form");
  const image = form.elements.image.value;
  const [looking] = part(dialog, "looking");
  const [found] = part(dialog, "preflight");
  clear(form);
  looking.hidden = false;
  found.hidden = true;
  part(dialog, "go")[0].disabled = true;
  const { ok, data, problem } = await call("POST", path(host, "/rebuild?dry_run=true"), image ? { image } : {});
  if (host !== rebuilding || image !== form.elements.image.value) return;
  looking.hidden = true;
  if (!ok) return show(form, problem);
  fill(dialog, "wipes", data.wipes);
  fill(dialog, "image", `${data.image.name} (Proxmox VE ${data.image.release})`);
  fill(dialog, "fqdn", data.fqdn ?? "no name that could be installed");
  fill(dialog, "joins", data.joins ?? "no cluster: it stands alone");
  fill(dialog, "answer", data.answer ?? "");
  fill(dialog, "boot_script", data.boot_script ?? "");
  list(dialog, "faults", data.faults);
  list(dialog, "warnings", data.warnings);
  part(dialog, "confirmation")[0].hidden = !data.needs_confirmation;
  found.hidden = false;
  ready(dialog);
}

function list(dialog, name, texts) {
  const items = texts.map((text) => Object.assign(document.createElement("li"), { textContent: text }));
  part(dialog, name)[0].replaceChildren(...items);
}

/** The button is there once nothing speaks against it. */
function ready(dialog) {
  const form = dialog.querySelector("form");
  const isSeen = !part(dialog, "preflight")[0].hidden;
  const hasFaults = part(dialog, "faults")[0].children.length > 0;
  const isAsked = !part(dialog, "confirmation")[0].hidden;
  const isConfirmed = !isAsked || form.elements.confirm.value.trim() === rebuilding.name;
  part(dialog, "go")[0].disabled = !isSeen || hasFaults || !isConfirmed;
}

async function start(form) {
  const host = rebuilding;
  const body = {};
  if (form.elements.image.value) body.image = form.elements.image.value;
  if (form.elements.confirm.value) body.confirm = form.elements.confirm.value.trim();
  const { ok, data, problem } = await call("POST", path(host, "/rebuild"), body);
  if (!ok) return show(form, problem);
  form.closest("dialog").close();
  notice(data?.power === "ask_a_person" ? `${host.name} is armed: start it from the network now.` : "");
}

async function copy(button) {
  const text = button.parentElement.querySelector("code").textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // Without TLS browsers give no clipboard: mark it, so that a key press copies.
    getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    button.textContent = "Press Ctrl+C";
  }
}

function open(id) {
  const dialog = document.getElementById(id);
  clear(dialog.querySelector("form"));
  dialog.dispatchEvent(new Event("opening"));
  dialog.showModal();
}

const does = { rebuild, cancel, resume, remove, register: () => open("register"), edit: () => open("edit") };

/** Listens for all buttons of a page, also for those that come later. */
export function acts() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if ("close" in button.dataset) button.closest("dialog").close();
    else if ("copy" in button.dataset) copy(button);
    else does[button.dataset.do]?.(hostOf(button));
  });
  onSubmit("confirm", answered);
  const form = onSubmit("rebuild", start);
  if (!form) return;
  const dialog = form.closest("dialog");
  form.elements.image.addEventListener("change", () => preflight(dialog));
  form.elements.confirm.addEventListener("input", () => ready(dialog));
}
