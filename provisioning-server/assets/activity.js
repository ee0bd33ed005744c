// The journal, live at its top; the filter works without loading the page again.
import { fragment } from "./api.js";
import { gather, live } from "./live.js";
import { localise } from "./times.js";

/** So many lines stay on the page; what falls off is found under "Older". */
const LINES_MAX = 300;

const place = document.getElementById("entries");
const form = document.getElementById("filter");
let query = document.body.dataset.query;
let isLive = "isLive" in document.body.dataset;
let top = Number(document.body.dataset.seq);

/** Puts what came since on top. Asks again while there is more than one answer holds. */
async function news() {
  for (let isMore = isLive; isMore;) {
    const asked = query;
    const found = await fragment(`/fragments/activity?${query}after=${top}`);
    if (asked !== query || !isLive) return;
    const fresh = [...found.querySelectorAll(".journal > li")];
    isMore = found.querySelector('.pager [rel="prev"]') !== null && fresh.length > 0;
    if (fresh.length === 0) return;
    top = Math.max(top, Number(fresh[0].dataset.seq));
    const list = place.querySelector(".journal");
    for (const line of fresh) {
      localise(line);
      line.classList.add("fresh");
    }
    list.prepend(...fresh.filter((line) => !document.getElementById(line.id)));
    list.hidden = false;
    place.querySelector(".nothing")?.remove();
    while (list.children.length > LINES_MAX) list.lastElementChild.remove();
  }
}

/** Shows what fits the form, and writes it into the address so that a reload keeps it. */
async function filter() {
  const wanted = new URLSearchParams([...new FormData(form)].filter(([, value]) => value.trim()));
  const found = await fragment(`/fragments/activity?${wanted}`);
  localise(found);
  query = wanted.size ? `${wanted}&` : "";
  isLive = !wanted.has("to");
  place.replaceChildren(found);
  document.querySelectorAll(".tabs a").forEach((tab, at) => {
    if ((wanted.get("kind") === "audit") === (at === 1)) tab.setAttribute("aria-current", "true");
    else tab.removeAttribute("aria-current");
  });
  history.replaceState(null, "", wanted.size ? `/activity?${wanted}` : "/activity");
}

export function activity() {
  const filterSoon = gather(filter, 200);
  form.addEventListener("submit", (event) => { event.preventDefault(); filterSoon(); });
  form.addEventListener("input", filterSoon);
  const soon = gather(news);
  live(soon);
}
