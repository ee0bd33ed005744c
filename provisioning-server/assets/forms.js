// Forms in dialogs: their errors stand beside the field at fault.
import { words } from "./api.js";

const place = (form, field) => form.querySelector(`[data-error="${CSS.escape(field)}"]`);
const names = { macs: "mac", name: "hostname" };

/** Takes all errors away. */
export function clear(form) {
  for (const error of form.querySelectorAll("[data-error]")) error.textContent = "";
  for (const field of form.elements) field.removeAttribute("aria-invalid");
}

/** Shows a problem at the fields it names, or at the foot of the form. */
export function show(form, problem) {
  clear(form);
  const errors = problem.errors?.length ? problem.errors : problem.field ? [problem] : [];
  let first = null;
  for (const { field, value, allowed } of errors) {
    const base = field.split(/[.[]/)[0];
    const name = names[base] ?? base;
    const at = place(form, name);
    if (!at) continue;
    at.textContent = value ? `${value}: ${allowed}` : allowed;
    form.elements[name]?.setAttribute("aria-invalid", "true");
    first ??= form.elements[name];
  }
  if (!first || problem.what_to_do) place(form, "").textContent = first ? problem.what_to_do : words(problem);
  first?.focus();
}

/** Calls `submit(form)` on submit, with the buttons off as long as it takes. */
export function onSubmit(name, submit) {
  const form = document.querySelector(`form[data-form="${name}"]`);
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const buttons = [...form.querySelectorAll("button:not([data-close])")].filter((button) => !button.disabled);
    for (const button of buttons) button.disabled = true;
    clear(form);
    try { await submit(form); } finally { for (const button of buttons) button.disabled = false; }
  });
  return form;
}

/** The parts of a dialog by their name. */
export const part = (root, name) => root.querySelectorAll(`[data-of="${name}"]`);
export const fill = (root, name, text) => { for (const element of part(root, name)) element.textContent = text; };
