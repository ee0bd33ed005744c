// What stands around every page: the choice of light or dark, the list of keys, messages that come and go.

/** Remembers a choice; a browser that keeps nothing forgets it. */
export function remember(key, value) {
  try { value ? localStorage.setItem(key, value) : localStorage.removeItem(key); } catch { /* private windows */ }
}

const themes = ["system", "light", "dark"];

function themeButton() {
  const button = document.getElementById("theme");
  if (!button) return;
  const root = document.documentElement;
  const current = () => root.dataset.theme ?? "system";
  const say = () => {
    const text = `Theme: ${current()}`;
    button.setAttribute("aria-label", `${text}; press to change`);
    button.title = text;
    button.dataset.theme = current();
  };
  say();
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(current()) + 1) % themes.length];
    if (next === "system") delete root.dataset.theme;
    else root.dataset.theme = next;
    remember("theme", next === "system" ? "" : next);
    say();
  });
}

/** Says something at the lower edge; what went wrong stays until it is closed. */
export function toast(text, kind = "good") {
  if (!text) return;
  const box = document.getElementById("toasts");
  const item = Object.assign(document.createElement("div"), { className: `toast ${kind}` });
  item.append(Object.assign(document.createElement("p"), { textContent: text }));
  const close = Object.assign(document.createElement("button"), { type: "button", className: "ghost small", textContent: "Close" });
  close.addEventListener("click", () => item.remove());
  item.append(close);
  box.append(item);
  while (box.children.length > 4) box.firstElementChild.remove();
  if (kind === "good") setTimeout(() => item.remove(), 6000);
}

const keys = new Map();

/** Adds a key for this page: `press("n", () => …)`. Keys rest while somebody types or a dialog is open. */
export function press(key, act) { keys.set(key, act); }

const isTyping = (target) => target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");

export function frame() {
  themeButton();
  const help = document.getElementById("keys");
  document.getElementById("show-keys")?.addEventListener("click", () => help.showModal());
  press("?", () => help?.showModal());
  document.addEventListener("click", (event) => event.target.closest("[data-close]")?.closest("dialog").close());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const act = keys.get(event.key);
    if (!act) return;
    if (act(event) !== false) event.preventDefault();
  });
}
