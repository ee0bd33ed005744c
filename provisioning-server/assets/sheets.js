// Forms of the server's in a dialog: the same pages that stand by themselves where there are no scripts.
import { toast } from "./frame.js";
import { localise } from "./times.js";

let dialog = null;

function box() {
  if (dialog) return dialog;
  dialog = Object.assign(document.createElement("dialog"), { id: "sheet-dialog", className: "wide" });
  dialog.setAttribute("aria-labelledby", "sheet-title");
  dialog.addEventListener("close", () => dialog.replaceChildren());
  document.body.append(dialog);
  return dialog;
}

/** Asks for a page; `null` when there was no answer. */
async function ask(url, request = {}) {
  try {
    const response = await fetch(url, { ...request, headers: { accept: "text/html" } });
    if (response.status === 401 || new URL(response.url).pathname === "/login") location.assign("/login");
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    return { response, page, sheet: page.getElementById("sheet") };
  } catch {
    toast("The server does not answer; nothing is known to have changed.", "bad");
    return null;
  }
}

/** Shows a form, the field or message at fault first. */
function show(sheet) {
  const place = box();
  place.replaceChildren(...sheet.childNodes);
  localise(place);
  guard(place);
  if (!place.open) place.showModal();
  const fault = place.querySelector("[aria-invalid=true]") ?? place.querySelector("[role=alert]");
  if (fault?.matches("input, select")) fault.focus();
  else fault?.scrollIntoView({ block: "nearest" });
}

/** A button that needs a word to be typed waits for it. */
export function guard(root) {
  for (const field of root.querySelectorAll("[data-must-be]")) {
    const button = field.form.querySelector("button");
    if (!button || button.disabled) continue;
    const check = () => { button.disabled = field.value.trim() !== field.dataset.mustBe; };
    field.addEventListener("input", check);
    check();
  }
}

/** What came of it when a form was sent: a page of ours, the same form with what is wrong, or something else. */
function settle({ response, page, sheet }) {
  const there = new URL(response.url);
  const done = page.querySelector(".banner.good[role=status]")?.textContent ?? "";
  if (response.redirected && !sheet) {
    // The fleet shows what became of its hosts by itself.
    if (there.pathname !== location.pathname && document.body.dataset.page !== "fleet") return location.assign(there);
    dialog?.close();
    const [, name] = there.pathname.match(/^\/hosts\/([^/]+)$/) ?? [];
    toast(done && name && location.pathname !== there.pathname ? `${name}: ${done}` : done);
    document.dispatchEvent(new Event("changed"));
  } else if (sheet) {
    // What was made is shown once, and the page behind it shall know.
    if ("changed" in sheet.dataset) document.dispatchEvent(new Event("changed"));
    show(sheet);
  } else {
    dialog?.close();
    toast(page.querySelector("main")?.textContent.trim() || `The server answered ${response.status}.`, "bad");
  }
}

async function send(form) {
  const buttons = [...form.querySelectorAll("button:enabled")];
  for (const button of buttons) button.disabled = true;
  const answer = await ask(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  for (const button of buttons) button.disabled = false;
  if (answer) settle(answer);
}

async function open(url) {
  const answer = await ask(url);
  if (!answer) return;
  if (answer.sheet) show(answer.sheet);
  else location.assign(url);
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copies);
  if (!source) return;
  try {
    await navigator.clipboard.writeText(source.textContent);
    toast("Copied.");
  } catch {
    // Without TLS browsers give no clipboard: mark it, so that a key press copies.
    for (let at = source.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
    getSelection().selectAllChildren(source);
    toast("Marked: press Ctrl+C to copy.");
  }
}

/** Listens for links to forms, forms that are sent at once, and copy buttons, also those that come later. */
export function sheets() {
  guard(document);
  document.addEventListener("click", (event) => {
    const copies = event.target.closest("[data-copies]");
    if (copies) return void copy(copies);
    const link = event.target.closest("a[data-sheet]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      return void open(link.href);
    }
    if (event.target.closest("[data-close-sheet]") && dialog?.open) {
      event.preventDefault();
      dialog.close();
    }
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const again = form.matches("[data-again]");
    if (form.method === "dialog" || !(form.closest("#sheet-dialog") || form.matches("[data-at-once]"))) return;
    event.preventDefault();
    if (again) open(`${form.getAttribute("action")}?${new URLSearchParams(new FormData(form))}`);
    else send(form);
  });
  document.addEventListener("change", (event) => event.target.closest("form[data-again]")?.requestSubmit());
}
