// Images: upload with progress, import by path, and the list kept live.
import { call, fragment, read } from "./api.js";
import { clear, onSubmit, part, show } from "./forms.js";
import { toast } from "./frame.js";
import { gather, live, size } from "./live.js";
import { localise, span } from "./times.js";

/** The rate is that of the last few seconds. */
const RATE_OVER_MS = 4000;

async function refresh() {
  const found = await fragment("/fragments/images");
  localise(found);
  document.getElementById("list").replaceChildren(found);
}

/** XMLHttpRequest, because fetch does not tell how much of a body was sent. */
function send(file, { onSent, onStop }) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/images");
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = ({ loaded, total }) => onSent(loaded, total);
    request.onload = () => resolve(read(request.status, request.status < 300, request.responseText));
    request.onerror = () => resolve({ ok: false, problem: { detail: "the connection broke; send it again" } });
    request.onabort = () => resolve({ ok: false, wasStopped: true });
    onStop(() => request.abort());
    request.send(file);
  });
}

/** Bytes in a second, over the last few of them. */
function meter() {
  const points = [];
  return (bytes) => {
    const at = performance.now();
    points.push([at, bytes]);
    while (points.length > 2 && at - points[0][0] > RATE_OVER_MS) points.shift();
    const [since, before] = points[0];
    return at > since ? (bytes - before) * 1000 / (at - since) : 0;
  };
}

function phase(root, name) {
  for (const word of root.querySelectorAll("[data-phase]")) {
    if (word.dataset.phase === name) word.setAttribute("aria-current", "step");
    else word.removeAttribute("aria-current");
  }
}

async function upload(form) {
  const [file] = form.elements.file.files;
  if (!file) return show(form, { field: "file", allowed: "choose an ISO first" });
  const [sending] = part(form, "sending");
  const [sent] = part(form, "sent");
  const [stop] = part(form, "stop");
  const bar = sending.querySelector("progress");
  const rate = meter();
  sending.hidden = false;
  stop.hidden = false;
  stop.disabled = false;
  phase(sending, "uploading");
  const onSent = (loaded, total) => {
    bar.max = total;
    bar.value = loaded;
    if (loaded === total) {
      phase(sending, "checking");
      stop.hidden = true;
      sent.textContent = `${size(total)} are sent; the server checks them`;
      bar.removeAttribute("value");
      return;
    }
    const speed = rate(loaded);
    const left = speed > 0 ? `, ${span((total - loaded) * 1000 / speed)} left` : "";
    sent.textContent = `${Math.floor((loaded * 100) / total)} %: ${size(loaded)} of ${size(total)}, ${size(Math.round(speed))}/s${left}`;
  };
  const { ok, data, problem, wasStopped } = await send(file, { onSent, onStop: (act) => { stop.onclick = act; } });
  sending.hidden = true;
  stop.hidden = true;
  if (wasStopped) return toast("The upload was stopped; nothing was kept of it.", "warn");
  if (!ok) return show(form, problem);
  form.reset();
  toast(`${data?.name ?? "The image"} was imported.`);
  await refresh();
}

async function importPath(form) {
  const [working] = part(form, "working");
  const began = performance.now();
  const say = () => { working.textContent = `The server copies and checks it: ${span(performance.now() - began)} so far`; };
  working.hidden = false;
  say();
  const timer = setInterval(say, 1000);
  const { ok, data, problem } = await call("POST", "/api/images", { path: form.elements.path.value.trim() });
  clearInterval(timer);
  working.hidden = true;
  if (!ok) return show(form, problem);
  form.reset();
  toast(`${data?.name ?? "The image"} was imported.`);
  await refresh();
}

export function images() {
  const uploads = onSubmit("upload", upload);
  onSubmit("import", importPath);
  uploads.elements.file.addEventListener("change", () => clear(uploads));
  const soon = gather(refresh);
  document.addEventListener("changed", soon);
  live((entry) => {
    const { kind, to } = entry.what;
    if (kind.includes("image_")) soon();
    // What uses an image changes when an operation begins or ends.
    else if (kind === "moved" && ["pxe_ready", "ready", "failed"].includes(to)) soon();
    else if (kind === "host_removed") soon();
  });
}
