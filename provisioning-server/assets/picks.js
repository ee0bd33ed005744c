// Hosts that were selected, and what is done with all of them: a result for each host, never one for all.
import { call, words } from "./api.js";
import { clear, fill, onSubmit, part } from "./forms.js";

/** So many hosts at once; a person should still be able to read what will happen to each. */
const MOST = 300;
/** So many requests at once. */
const LANES = 6;

const path = (id, what = "") => `/api/hosts/${id}${what}`;

const deeds = {
  rebuild: {
    title: (n) => `Rebuild ${n} hosts?`,
    text: "Each host is looked at first. Those that nothing speaks against are armed: at their next netboot their disks are wiped and they are installed anew.",
    go: "Wipe and rebuild",
    look: async (host) => {
      const { ok, data, problem } = await call("POST", path(host.id, "/rebuild?dry_run=true"), {});
      if (!ok) return { no: words(problem) };
      if (data.faults.length > 0) return { no: data.faults.join("; ") };
      const warned = data.warnings.length > 0 ? `; ${data.warnings.join("; ")}` : "";
      return { yes: `wipes ${data.wipes}, installs ${data.image.name}${warned}`, loses: data.needs_confirmation };
    },
    act: (host) => call("POST", path(host.id, "/rebuild"), host.loses ? { confirm: host.name } : {}),
    done: "armed: start it from the network",
  },
  cancel: {
    title: (n) => `Cancel the operations on ${n} hosts?`,
    text: "They stop where they are and count as failed. What was written to their disks stays.",
    go: "Cancel the operations",
    act: (host) => call("POST", path(host.id, "/cancel")),
    done: "cancelled",
  },
  resume: {
    title: (n) => `Resume the joins of ${n} hosts?`,
    text: "Joins that failed are tried again with the same one-time keys; nothing is installed anew.",
    go: "Resume the joins",
    act: (host) => call("POST", path(host.id, "/resume")),
    done: "resumed",
  },
  remove: {
    title: (n) => `Remove ${n} hosts?`,
    text: "We forget the hosts and their operations. The machines, their disks and their places in the cluster stay as they are.",
    go: "Remove",
    act: (host) => call("DELETE", path(host.id)),
    done: "removed",
  },
};

/** Runs `work` on all items, a few at a time. */
async function inLanes(items, work) {
  let next = 0;
  const lane = async () => { while (next < items.length) await work(items[next++]); };
  await Promise.all(Array.from({ length: Math.min(LANES, items.length) }, lane));
}

/** What is selected among the hosts of `hosts` (the list of `list.js`). */
export function picks(box, hosts) {
  const picked = new Map();
  const bar = document.getElementById("bulk-bar");
  const all = document.getElementById("pick-all");
  let last = null;

  function say() {
    const count = picked.size;
    bar.hidden = count === 0;
    document.getElementById("picked").textContent = count ? `${count} selected` : "";
    all.checked = count > 0 && count >= hosts.length;
    all.indeterminate = count > 0 && !all.checked;
  }

  function mark(row) {
    const box = row.querySelector(".pick input");
    if (!box) return;
    box.checked = picked.has(row.dataset.host);
    row.classList.toggle("picked", box.checked);
  }

  const markAll = () => { for (const row of box.rows) mark(row); say(); };
  const set = ({ id, name }, is) => { if (is) picked.set(id, name); else picked.delete(id); };

  box.addEventListener("click", (event) => {
    const check = event.target.closest(".pick input");
    if (!check) return;
    const { host: id, name } = check.closest("tr").dataset;
    const range = event.shiftKey && last ? hosts.between(last, id) : [{ id, name }];
    for (const host of range) set(host, check.checked);
    last = id;
    markAll();
  });
  all.addEventListener("change", () => {
    picked.clear();
    if (all.checked) for (const host of hosts.all()) set(host, true);
    markAll();
  });
  document.getElementById("pick-none").addEventListener("click", () => { picked.clear(); markAll(); all.focus(); });
  bar.addEventListener("click", (event) => {
    const button = event.target.closest("[data-bulk]");
    if (button) begin(button.dataset.bulk, [...picked].map(([id, name]) => ({ id, name })));
  });
  say();

  return {
    mark,
    say,
    /** Selects a host, or not any more. */
    toggle(id, name) { set({ id, name }, !picked.has(id)); last = id; markAll(); },
    /** A host is gone. */
    drop(id) { if (picked.delete(id)) say(); },
  };
}

let round = null;

/** Opens the dialog, looks at each host where there is something to look at. */
async function begin(key, chosen) {
  const deed = deeds[key];
  const dialog = document.getElementById("bulk");
  const form = dialog.querySelector("form");
  const mine = { deed, hosts: chosen, isDone: false };
  round = mine;
  clear(form);
  form.reset();
  fill(dialog, "title", deed.title(chosen.length));
  fill(dialog, "text", deed.text);
  fill(dialog, "go", deed.go);
  fill(dialog, "summary", "");
  const [go] = part(dialog, "go");
  go.hidden = false;
  go.classList.toggle("danger", key !== "resume");
  go.classList.toggle("main", key === "resume");
  const [results] = part(dialog, "results");
  results.replaceChildren(...chosen.map((host) => line(host)));
  part(dialog, "confirmation")[0].hidden = true;
  dialog.showModal();
  if (chosen.length > MOST) {
    go.disabled = true;
    return fill(dialog, "summary", `At most ${MOST} hosts at once: select fewer.`);
  }
  go.disabled = Boolean(deed.look);
  if (!deed.look) return;
  fill(dialog, "summary", "Looking at each host…");
  await inLanes(chosen, async (host) => {
    const seen = await deed.look(host);
    if (round !== mine) return;
    host.no = seen.no;
    host.loses = seen.loses;
    tell(host, seen.no ? "no" : "yes", seen.no ? `left out: ${seen.no}` : seen.yes);
  });
  if (round !== mine) return;
  const able = chosen.filter((host) => !host.no);
  fill(dialog, "summary", `${able.length} of ${chosen.length} can be rebuilt.`);
  part(dialog, "confirmation")[0].hidden = !able.some((host) => host.loses);
  fill(dialog, "number", String(able.length));
  go.disabled = able.length === 0;
}

function line(host) {
  const item = document.createElement("li");
  const name = Object.assign(document.createElement("b"), { textContent: host.name });
  item.append(name, " ", document.createElement("span"));
  host.line = item;
  return item;
}

function tell(host, state, text) {
  host.line.className = state;
  host.line.lastElementChild.textContent = text;
}

/** To be called once, when the page is set up. */
export function bulk() {
  onSubmit("bulk", async (form) => {
    const { deed, hosts } = round;
    const dialog = form.closest("dialog");
    const able = hosts.filter((host) => !host.no);
    const [confirmation] = part(dialog, "confirmation");
    if (!confirmation.hidden && form.elements.number.value.trim() !== String(able.length)) {
      const error = form.querySelector('[data-error=""]');
      error.textContent = `Type ${able.length} to confirm that ${able.length} hosts will be wiped.`;
      return form.elements.number.focus();
    }
    confirmation.hidden = true;
    let done = 0;
    let refused = 0;
    for (const host of able) tell(host, "waits", "waits");
    await inLanes(able, async (host) => {
      tell(host, "runs", "…");
      const { ok, problem } = await deed.act(host);
      if (ok) done += 1; else refused += 1;
      tell(host, ok ? "done" : "no", ok ? deed.done : words(problem));
      fill(dialog, "summary", `${done} done, ${refused} refused, ${able.length - done - refused} to go.`);
    });
    const left = hosts.length - able.length;
    fill(dialog, "summary", `${done} done, ${refused} refused${left ? `, ${left} left out` : ""}.`);
    part(dialog, "go")[0].hidden = true;
  });
}
