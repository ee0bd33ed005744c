// The fleet page: filters, search, order, views, selection, keyboard, phone, no scripts.
import assert from "node:assert/strict";
import { assertAccessible, assertFits, openLive, openSite, row, until } from "./harness.mjs";

const site = await openSite();
await site.image();
for (let number = 1; number <= 9; number += 1) await site.register(`pve-0${number}`, `52:54:77:00:00:0${number}`, number > 6 ? "storage" : "lab");
for (const name of ["pve-02", "pve-03", "pve-04"]) await site.api("POST", `/api/hosts/${name}/rebuild`, {});
await site.api("POST", "/api/hosts/pve-04/cancel");

const shown = (page) => page.$$eval("#rows tr", (rows) => rows.map((row) => row.dataset.name));
const shows = (page, names) => until(async () => JSON.stringify(await shown(page)) === JSON.stringify(names), `the rows ${names}`);
const count = (page, key) => page.textContent(`#counters [data-show="${key}"] b`);

site.check("counters count and filter, and the address keeps what they show", async ({ page }) => {
  await openLive(page, "/");
  const counts = {};
  for (const key of ["needs-you", "waiting", "active", "failed", "ready", "all"]) counts[key] = await count(page, key);
  assert.deepEqual(counts, { "needs-you": "3", waiting: "8", active: "0", failed: "1", ready: "0", all: "9" });
  assert.equal(await page.getAttribute("#counters a >> nth=0", "data-show"), "needs-you", "it stands first");
  await page.click('#counters [data-show="needs-you"]');
  await shows(page, ["pve-02", "pve-03", "pve-04"]);
  await page.reload();
  await shows(page, ["pve-02", "pve-03", "pve-04"]);
  assert.equal(await page.getAttribute('#counters [data-show="needs-you"]', "aria-current"), "true");
});

site.check("search finds names, addresses and types as they are typed", async ({ page }) => {
  await openLive(page, "/");
  await page.keyboard.press("/");
  await page.keyboard.type("00:05");
  await shows(page, ["pve-05"]);
  await page.fill("[name=q]", "storage box");
  await shows(page, ["pve-07", "pve-08", "pve-09"]);
  await page.fill("[name=q]", "nobody");
  await page.waitForSelector("#nothing:not([hidden])");
  await page.fill("[name=q]", "");
  await page.selectOption("[name=sort]", "urgency");
  await until(async () => (await shown(page))[0] === "pve-04", "the failed host to stand first");
});

site.check("rows stay where they are until a new order is asked for", async ({ page }) => {
  await openLive(page, "/?show=failed");
  await shows(page, ["pve-04"]);
  await site.api("POST", "/api/hosts/pve-04/rebuild", {});
  await page.waitForSelector("#reorder:not([hidden])");
  assert.match(await page.textContent("#reorder"), /1 host changed/);
  await page.waitForSelector(`${row("pve-04")}.pxe_ready`);
  await page.click("#reorder");
  await page.waitForSelector("#nothing:not([hidden])");
  await site.api("POST", "/api/hosts/pve-04/cancel");
  await page.waitForSelector("#reorder:not([hidden])");
  await page.keyboard.press("r");
  await shows(page, ["pve-04"]);
});

site.check("a host that another program registers or removes comes and goes by itself", async ({ page }) => {
  await openLive(page, "/");
  await site.register("aaa-first", "52:54:77:00:01:01");
  await page.waitForSelector(row("aaa-first"));
  assert.equal((await shown(page)).at(-1), "aaa-first", "it comes last and moves nothing");
  await page.click("#reorder");
  await until(async () => (await shown(page))[0] === "aaa-first", "the new order");
  await site.api("DELETE", "/api/hosts/aaa-first");
  await page.waitForSelector(row("aaa-first"), { state: "detached" });
  await until(async () => (await count(page, "all")) === "9", "the counter");
});

site.check("tiles or table is remembered, and an address that names a view wins", async ({ page }) => {
  await openLive(page, "/");
  const view = () => page.getAttribute("html", "data-view");
  assert.equal(await view(), "tiles");
  await page.click('a[data-view="table"]');
  assert.equal(await view(), "table");
  await page.reload();
  assert.equal(await view(), "table", "it is remembered");
  assert.ok((await page.locator(`${row("pve-01")}`).boundingBox()).height < 80);
  await page.goto("/?view=tiles");
  assert.equal(await view(), "tiles");
});

site.check("several hosts are done at once, with a result for each", async ({ page }) => {
  await openLive(page, "/");
  await page.check(`${row("pve-05")} .pick input`);
  await page.click(`${row("pve-07")} .pick input`, { modifiers: ["Shift"] });
  assert.equal(await page.textContent("#picked"), "3 selected");
  await page.check(`${row("pve-03")} .pick input`);
  await page.click('[data-bulk="rebuild"]');
  const line = (name) => page.locator("#bulk .results li", { hasText: name });
  await line("pve-05").and(page.locator(".yes")).waitFor();
  await line("pve-03").and(page.locator(".no")).waitFor();
  assert.match(await line("pve-05").textContent(), /wipes .*sda/);
  assert.match(await line("pve-03").textContent(), /left out/);
  await page.click("#bulk [data-of=go]");
  await page.waitForFunction(() => /3 done, 0 refused, 1 left out/.test(document.querySelector("#bulk [data-of=summary]").textContent));
  await page.click("#bulk [data-close]");
  await page.click('[data-bulk="cancel"]');
  await page.click("#bulk [data-of=go]");
  await page.waitForFunction(() => /4 done, 0 refused/.test(document.querySelector("#bulk [data-of=summary]").textContent));
  await page.click("#bulk [data-close]");
  await page.waitForSelector(`${row("pve-05")}.failed`);
  await page.click('[data-bulk="resume"]');
  await page.click("#bulk [data-of=go]");
  await page.waitForFunction(() => /0 done, 4 refused/.test(document.querySelector("#bulk [data-of=summary]").textContent));
  assert.match(await line("pve-06").textContent(), /✕|rebuild|join/);
  await page.click("#bulk [data-close]");
  await page.click("#pick-none");
  assert.ok(await page.locator("#bulk-bar").isHidden());
  for (const name of ["pve-03"]) await site.api("POST", `/api/hosts/${name}/rebuild`, {});
});

site.check("the whole way works by keyboard alone", async ({ page }) => {
  await openLive(page, "/");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await page.keyboard.press("n");
  await page.waitForSelector("#sheet-dialog[open] #sheet-hostname:focus");
  await page.keyboard.type("zz-keys");
  await page.keyboard.press("Tab");
  await page.keyboard.type("52:54:77:00:02:01");
  await page.keyboard.press("Enter");
  await page.waitForSelector(row("zz-keys"));
  await page.waitForSelector("#sheet-dialog", { state: "hidden" });
  await page.evaluate(() => document.activeElement.blur());
  for (let step = 0; step < 12; step += 1) await page.keyboard.press("j");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "zz-keys");
  await page.keyboard.press("x");
  assert.equal(await page.textContent("#picked"), "1 selected");
  await page.keyboard.press("x");
  await page.keyboard.press("k");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "pve-09");
  await page.keyboard.press("?");
  await page.waitForSelector("#keys[open]");
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "pve-09", "the focus comes back");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none", "the focus is seen");
  await page.keyboard.press("v");
  assert.equal(await page.getAttribute("html", "data-view"), "table");
  await site.api("DELETE", "/api/hosts/zz-keys");
});

site.check("without scripts the fleet can be read, filtered and operated", async ({ page }) => {
  await page.goto("/?show=waiting&view=table");
  assert.ok((await shown(page)).includes("pve-01"));
  await page.click('#counters [data-show="all"]');
  await page.fill("[name=q]", "pve-08");
  await page.click("text=Apply");
  assert.deepEqual(await shown(page), ["pve-08"]);
  await page.click(`${row("pve-08")} [data-do="rebuild"]`);
  assert.match(await page.textContent(".wipes"), /nvme0n1/);
  await page.click("button.danger");
  assert.equal((await site.host("pve-08")).phase, "pxe_ready");
  await page.goto("/hosts/pve-08/cancel");
  await page.click("button.danger");
  assert.equal((await site.host("pve-08")).phase, "failed");
  await page.goto("/register");
  await page.fill("#sheet-hostname", "bad_name");
  await page.fill("#sheet-mac", "52:54:77:00:03:01");
  await page.click("button.main");
  assert.match(await page.textContent("#sheet-e-hostname"), /bad_name/);
  assert.equal(await page.inputValue("#sheet-mac"), "52:54:77:00:03:01", "what was typed is kept");
  await page.fill("#sheet-hostname", "plain");
  await page.click("button.main");
  assert.equal(new URL(page.url()).pathname, "/hosts/plain");
  await page.goto("/hosts/plain/remove");
  await page.click("button.danger");
  assert.equal(new URL(page.url()).pathname, "/");
}, { scripts: false });

site.check("the theme follows the system until somebody chooses, and is remembered", async ({ page }) => {
  await openLive(page, "/");
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await ground();
  await page.click("#theme");
  assert.match(await page.getAttribute("#theme", "aria-label"), /light/);
  const light = await ground();
  assert.notEqual(light, dark);
  await page.reload();
  assert.equal(await ground(), light);
}, { scheme: "dark" });

site.check("a bad edit of the server types is told on the open page, and goes with the next good one", async ({ page }) => {
  await openLive(page, "/");
  await site.write("server-types.yaml", "server_types:\n  lab:\n    boot_dusk: sda\n");
  await page.waitForSelector("#notices .banner:has-text('boot_dusk')");
  await site.configure();
  await page.waitForSelector("#notices .banner:has-text('boot_dusk')", { state: "detached" });
});

site.check("a warning of the configuration is hidden for good by whoever has read it", async ({ page }) => {
  await openLive(page, "/");
  const warning = "#notices .banner:has-text('api_token')";
  await page.click(`${warning} button`);
  await page.waitForSelector(warning, { state: "hidden" });
  await page.reload();
  await page.waitForSelector('#live[data-state="live"]');
  assert.ok(await page.locator(warning).isHidden());
});

site.check("times are in the reader's zone, with exact UTC in the tooltip", async ({ page }) => {
  await page.goto("/hosts/pve-01");
  const time = page.locator("main time").first();
  assert.match(await time.getAttribute("title"), /^\d{4}-\d\d-\d\dT.*Z$/);
});

for (const scheme of ["light", "dark"]) {
  for (const [width, view] of [[1280, "tiles"], [1280, "table"], [390, "tiles"], [390, "table"]]) {
    site.check(`the fleet as ${view} is without barriers in ${scheme} at ${width}`, async ({ page }) => {
      await openLive(page, `/?view=${view}`);
      await page.check(`${row("pve-01")} .pick input`);
      await assertAccessible(page, "the fleet");
      await assertFits(page, "the fleet");
      await page.click("#pick-none");
      await page.click('.page-head [data-do="register"]');
      await page.waitForSelector("#sheet-dialog[open] #sheet-hostname");
      await assertAccessible(page, "the dialog that registers");
      await page.keyboard.press("Escape");
      for (const path of ["/register", "/hosts/pve-01/rebuild", "/hosts/pve-02/cancel", "/hosts/none"]) {
        await page.goto(path);
        await assertAccessible(page, path);
        await assertFits(page, path);
      }
    }, { scheme, width });
  }
}
