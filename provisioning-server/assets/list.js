// A list of any length of which only the rows in sight are in the page. Rows keep their places until somebody asks for
// a new order: nothing moves under the mouse.
import { fragment } from "./api.js";
import { gather } from "./live.js";
import { localise } from "./times.js";

/** Rows of one request; the server takes no more. */
const AT_ONCE = 120;

/**
 * Takes over the rows of `box`. `onRow(row)` is called for each row that comes into the page.
 * The list is an array of `{ id, name }`; rows are fetched as they come into sight.
 */
export function list(box, onRow) {
  let hosts = [...box.rows].map((row) => ({ id: row.dataset.host, name: row.dataset.name }));
  let places = new Map();
  const stale = new Set();
  const asked = new Set();
  // What was last heard of each host since the page was loaded: a row may be made before the server has noted it.
  const heard = new Map();
  let pitch = 0;
  let columns = 1;
  let shown = [0, 0];

  const index = () => { places = new Map(hosts.map(({ id }, place) => [id, place])); };
  const row = (id) => document.getElementById(`host-${id}`);
  index();

  function measure() {
    const style = getComputedStyle(box);
    columns = style.display === "grid" ? style.gridTemplateColumns.split(" ").length : 1;
    const first = box.rows[0];
    const gap = style.display === "grid" ? parseFloat(style.rowGap) || 0 : 0;
    if (first) pitch = first.getBoundingClientRect().height + gap;
  }

  function window_() {
    if (!pitch) return [0, Math.min(hosts.length, 60)];
    const top = box.getBoundingClientRect().top;
    const spare = innerHeight * 0.75;
    const lines = Math.ceil(hosts.length / columns);
    const first = Math.min(Math.max(0, Math.floor((-top - spare) / pitch)), lines);
    const last = Math.min(Math.max(first, Math.ceil((innerHeight - top + spare) / pitch)), lines);
    return [first * columns, Math.min(last * columns, hosts.length)];
  }

  function skeleton({ id, name }) {
    const empty = document.createElement("tr");
    empty.id = `host-${id}`;
    empty.className = "host loading";
    empty.setAttribute("role", "row");
    empty.tabIndex = -1;
    empty.dataset.host = id;
    empty.dataset.name = name;
    const cell = empty.insertCell();
    cell.className = "who";
    cell.setAttribute("role", "cell");
    cell.textContent = name;
    return empty;
  }

  /** Puts the rows of the window into the page and takes the others out of it. */
  function draw() {
    const [from, to] = window_();
    shown = [from, to];
    const wanted = new Set();
    for (let place = from; place < to; place += 1) wanted.add(hosts[place].id);
    for (const old of [...box.rows]) if (!wanted.has(old.dataset.host)) old.remove();
    let next = box.firstElementChild;
    for (let place = from; place < to; place += 1) {
      const host = hosts[place];
      let here = row(host.id);
      if (!here) {
        here = skeleton(host);
        stale.add(host.id);
      }
      if (here === next) next = next.nextElementSibling;
      else box.insertBefore(here, next);
      here.setAttribute("aria-rowindex", String(place + 2));
    }
    const lines = Math.ceil(hosts.length / columns);
    box.style.paddingTop = `${(from / columns) * pitch}px`;
    box.style.paddingBottom = `${Math.max(0, lines - Math.ceil(to / columns)) * pitch}px`;
    if (inSight().length > 0) soon();
  }

  const inSight = () => {
    const ids = [];
    for (let place = shown[0]; place < shown[1]; place += 1) if (stale.has(hosts[place].id)) ids.push(hosts[place].id);
    return ids;
  };

  function swap(id, fresh) {
    const old = row(id);
    if (!old) return;
    if (!fresh) return remove(id);
    localise(fresh);
    const news = heard.get(id);
    const ago = fresh.querySelector(".ago");
    if (news && ago && Number(ago.dataset.at) < news) ago.dataset.at = String(news);
    fresh.setAttribute("aria-rowindex", old.getAttribute("aria-rowindex") ?? "");
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    onRow(fresh);
    old.replaceWith(fresh);
    if (!focused) return;
    // The button may be gone with the state that allowed it; the host's link never is.
    const same = focused.type === "checkbox" ? fresh.querySelector("input")
      : focused.dataset.do && fresh.querySelector(`[data-do="${focused.dataset.do}"]`);
    (same || fresh.querySelector("a")).focus({ preventScroll: true });
  }

  async function refresh() {
    const ids = inSight().slice(0, AT_ONCE);
    if (ids.length === 0) return;
    for (const id of ids) { stale.delete(id); asked.add(id); }
    try {
      const found = await fragment(`/fragments/hosts?ids=${ids.join(",")}`);
      for (const id of ids) swap(id, found.getElementById(`host-${id}`));
    } catch (error) {
      for (const id of ids) stale.add(id);
      throw error;
    } finally {
      for (const id of ids) asked.delete(id);
    }
    if (!pitch) { measure(); draw(); }
    if (inSight().length > 0) soon();
  }
  const soon = gather(refresh, 30);

  function remove(id) {
    row(id)?.remove();
    const place = places.get(id);
    if (place === undefined) return;
    hosts.splice(place, 1);
    stale.delete(id);
    heard.delete(id);
    index();
    draw();
  }

  let drawing = 0;
  const later = () => { drawing ||= requestAnimationFrame(() => { drawing = 0; draw(); }); };
  addEventListener("scroll", later, { passive: true });
  new ResizeObserver(() => { measure(); later(); }).observe(box.parentElement);

  measure();
  for (const old of box.rows) onRow(old);

  return {
    /** Something was heard of a host, at this time. */
    heard(id, at) {
      if (!places.has(id)) return;
      heard.set(id, at);
      stale.add(id);
      if (row(id)) soon();
    },
    /** A host comes to the end of the list, where it moves no other. */
    append(id, name) {
      if (places.has(id)) return;
      places.set(id, hosts.length);
      hosts.push({ id, name });
      later();
    },
    remove,
    /** All hosts anew, in their order; rows that are known stay as they are. */
    replace(fresh) {
      hosts = fresh.map(([id, name]) => ({ id, name }));
      index();
      for (const id of [...stale]) if (!places.has(id)) stale.delete(id);
      draw();
    },
    /** Measures anew, after the look of the rows was changed. */
    reshape() {
      pitch = 0;
      measure();
      draw();
    },
    has: (id) => places.has(id),
    /** The hosts between two, both included. */
    between(one, other) {
      const [from, to] = [places.get(one), places.get(other)].sort((a, b) => a - b);
      return from === undefined || to === undefined ? [] : hosts.slice(from, to + 1);
    },
    all: () => hosts,
    get length() { return hosts.length; },
    /** The host `step` places from this one; the first in sight when this is none. */
    neighbour(id, step) {
      const place = places.has(id) ? places.get(id) + step : shown[0];
      return hosts[Math.min(Math.max(place, 0), hosts.length - 1)];
    },
    /** Brings a host's row into sight and gives it the focus. */
    focus(id) {
      const place = places.get(id);
      if (place === undefined) return;
      if (!row(id)) {
        const top = box.getBoundingClientRect().top + scrollY + Math.floor(place / columns) * pitch;
        scrollTo({ top: top - innerHeight / 2 });
        draw();
      }
      const here = row(id);
      here.scrollIntoView({ block: "nearest" });
      // A row that is still to come has no link yet; it hands the focus on when it is there.
      (here.querySelector("a") ?? here).focus({ preventScroll: true });
    },
  };
}
