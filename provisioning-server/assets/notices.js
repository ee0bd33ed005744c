// What is wrong with the configuration, above the fleet. Faults stay until they are mended; a warning that somebody has
// read can be hidden, until it says something else.
import { remember } from "./frame.js";

const box = document.getElementById("notices");
const KEY = "read-warnings";

function read() {
  try { return JSON.parse(localStorage.getItem(KEY)) ?? []; } catch { return []; }
}

/** Whether it can be hidden: what is wrong with an edit that was not taken over cannot. */
const isWarning = (about) => about === "provisioning.yaml";

function banner({ about, text }) {
  const made = Object.assign(document.createElement("p"), { className: "banner warn" });
  made.dataset.about = about;
  made.append(Object.assign(document.createElement("strong"), { textContent: about }), " ",
    Object.assign(document.createElement("span"), { textContent: text }));
  return made;
}

function prepare(shown) {
  const { about } = shown.dataset;
  if (!isWarning(about)) return;
  const text = shown.querySelector("span").textContent;
  shown.hidden = read().includes(text);
  const hide = Object.assign(document.createElement("button"), { type: "button", className: "small ghost end", textContent: "Hide" });
  hide.setAttribute("aria-label", `Hide: ${text}`);
  hide.addEventListener("click", () => {
    remember(KEY, JSON.stringify([...new Set([...read(), text])].slice(-20)));
    shown.hidden = true;
    document.getElementById("main").focus({ preventScroll: true });
  });
  shown.append(hide);
}

let shown = "";

/** Shows these notices in place of those that are shown. */
export function notices(fresh) {
  const said = JSON.stringify(fresh);
  if (said === shown) return;
  shown = said;
  box.replaceChildren(...fresh.map(banner));
  for (const each of box.children) prepare(each);
}

/** Takes over what the page came with. */
export function keepNotices() {
  for (const each of box.children) prepare(each);
}
