// Images: upload with progress, import by path, remove.
import { call, fragment, read } from "./api.js";
import { ask } from "./actions.js";
import { onSubmit, part, show } from "./forms.js";
import { gather, live, size } from "./live.js";
import { localise } from "./times.js";

async function refresh() {
  const found = await fragment("/fragments/images");
  localise(found);
  document.getElementById("list").replaceChildren(found);
}

/** XMLHttpRequest, because fetch does not tell how much of a body was sent. */
function send(file, onSent) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/images");
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = ({ loaded, total }) => onSent(loaded, total);
    request.onload = () => resolve(read(request.status, request.status < 300, request.responseText));
    request.onerror = () => resolve({ ok: false, problem: { detail: "the connection broke; send it again" } });
    request.send(file);
  });
}

async function upload(form) {
  const [file] = form.elements.file.files;
  if (!file) return show(form, { field: "file", allowed: "choose an ISO first" });
  const [sending] = part(form, "sending");
  const [sent] = part(form, "sent");
  const bar = sending.querySelector("progress");
  sending.hidden = false;
  const { ok, problem } = await send(file, (loaded, total) => {
    bar.max = total;
    bar.value = loaded;
    const done = loaded === total ? "; the server looks at it" : "";
    sent.textContent = `${Math.floor((loaded * 100) / total)} %, ${size(loaded)} of ${size(total)}${done}`;
  });
  sending.hidden = true;
  if (!ok) return show(form, problem);
  form.reset();
  await refresh();
}

async function importPath(form) {
  const { ok, problem } = await call("POST", "/api/images", { path: form.elements.path.value.trim() });
  if (!ok) return show(form, problem);
  form.reset();
  await refresh();
}

export function images() {
  onSubmit("upload", upload);
  onSubmit("import", importPath);
  document.getElementById("list").addEventListener("click", (event) => {
    const button = event.target.closest('[data-do="remove-image"]');
    if (!button) return;
    const { image, name } = button.closest("tr").dataset;
    ask({
      title: `Remove ${name}?`,
      text: "Its file is deleted from the server. Hosts that were installed from it stay as they are.",
      go: "Remove",
      act: () => call("DELETE", `/api/images/${image}`),
      then: refresh,
    });
  });
  const soon = gather(refresh);
  live((entry) => { if (entry.what.kind.startsWith("image_")) soon(); });
}
