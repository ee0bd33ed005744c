// Settings: its sections are swapped when something changed here or elsewhere; what is open stays open.
import { fragment } from "./api.js";
import { gather, live } from "./live.js";
import { localise } from "./times.js";

const sections = document.getElementById("sections");

async function refresh() {
  const found = await fragment("/fragments/settings");
  localise(found);
  for (const fresh of [...found.children]) {
    const old = document.getElementById(fresh.id);
    for (const details of fresh.querySelectorAll("details[id]")) {
      const same = document.getElementById(details.id);
      if (same) details.open = same.open;
    }
    if (old) old.replaceWith(fresh);
    else sections.append(fresh);
  }
}

export function settings() {
  const soon = gather(refresh);
  document.addEventListener("changed", soon);
  // Faults of an edited file are told with what all pages are told of the fleet.
  let known = null;
  live(() => {}, {
    fleet: ({ notices }) => {
      const told = JSON.stringify(notices);
      if (known !== null && known !== told) soon();
      known = told;
    },
  });
}
