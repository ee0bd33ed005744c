// The operators' API: JSON there, JSON or a problem (RFC 9457) back.

/** Calls the API. Gives `{ ok, data, problem }` and never throws. */
export async function call(method, url, body) {
  const request = { method, headers: { accept: "application/json" } };
  if (body !== undefined) {
    request.headers["content-type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  try {
    const response = await fetch(url, request);
    return read(response.status, response.ok, await response.text());
  } catch {
    return { ok: false, problem: { detail: "the server does not answer; nothing is known to have changed" } };
  }
}

/** Reads what came back, whichever way it came. */
export function read(status, ok, text) {
  let data = null;
  try { data = text ? JSON.parse(text) : null; } catch { /* an HTML page of a proxy, say */ }
  if (ok) return { ok, data };
  if (status === 401) location.assign("/login");
  return { ok, problem: data ?? { detail: `the server answered ${status}` } };
}

/** Fetches a fragment of a page; `null` when it is gone. */
export async function fragment(url) {
  const response = await fetch(url, { headers: { accept: "text/html" } });
  if (response.status === 404) return null;
  if (response.redirected || response.status === 401) location.assign("/login");
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  const template = document.createElement("template");
  template.innerHTML = await response.text();
  return template.content;
}

/** What a problem says, in one line. */
export function words(problem) {
  const said = problem.detail || problem.title || "it did not work";
  return problem.what_to_do ? `${said}: ${problem.what_to_do}` : said;
}
