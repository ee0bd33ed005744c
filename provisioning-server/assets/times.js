// Times in the reader's zone (the exact UTC stays in the title), and clocks that count on.

// The server's clock decides; the reader's may be wrong.
const ahead = Number(document.body.dataset.now) - Date.now();
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });

export const now = () => Date.now() + ahead;
export const clockTime = (date) => time.format(date);

/** Rewrites the times below an element into the reader's zone. */
export function localise(root) {
  const today = day.format(now());
  for (const element of root.querySelectorAll("time[datetime]")) {
    const date = new Date(element.dateTime);
    const text = time.format(date);
    const on = day.format(date);
    element.textContent = on === today ? text : `${on}, ${text}`;
  }
  tick(root);
}

/** A length of time by its two largest units; the server writes the same form. */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (big, unit, rest, small) => (rest ? `${big} ${unit} ${rest} ${small}` : `${big} ${unit}`);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return two(Math.floor(seconds / 60), "min", seconds % 60, "s");
  if (seconds < 86400) return two(Math.floor(seconds / 3600), "h", Math.floor(seconds / 60) % 60, "min");
  return two(Math.floor(seconds / 86400), "d", Math.floor(seconds / 3600) % 24, "h");
}

function tick(root) {
  const at = now();
  for (const ago of root.querySelectorAll(".ago")) {
    const text = `${span(at - Number(ago.dataset.at))} ago`;
    if (ago.textContent !== text) ago.textContent = text;
  }
  for (const clock of root.querySelectorAll(".clock")) {
    const since = Number(clock.dataset.since);
    const until = Number(clock.dataset.until) || 0;
    const text = until ? `${span(at - since)} of ${span(until - since)}` : span(at - since);
    if (clock.textContent !== text) clock.textContent = text;
    clock.classList.toggle("late", until > 0 && at >= until);
  }
  for (const clock of root.querySelectorAll(".countdown")) clock.textContent = span(Number(clock.dataset.until) - at);
}

/** Lets all clocks count; a hidden page rests. */
export function keepTime() {
  setInterval(() => { if (!document.hidden) tick(document); }, 1000);
  document.addEventListener("visibilitychange", () => tick(document));
}
