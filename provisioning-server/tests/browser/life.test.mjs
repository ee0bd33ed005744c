// A host's way from registration to ready, and from failure back, as an operator sees it.
import assert from "node:assert/strict";
import { counted, isSamePage, markPage, openLive, openSite, row } from "./harness.mjs";

const site = await openSite({ joinPassword: "mistyped", open: true });
await site.image();
const { name, mac } = site.machine(0);

site.check("a host is registered by the dialog, whose errors stand at their fields", async ({ page }) => {
  await openLive(page, "/");
  await markPage(page);
  await page.click('.page-head [data-do="register"]');
  await page.fill("#sheet-hostname", "not_a_label");
  await page.fill("#sheet-mac", "52:54");
  await page.click("#sheet-dialog button.main");
  await page.waitForSelector('#sheet-hostname[aria-invalid="true"]');
  assert.match(await page.textContent("#sheet-e-hostname"), /not_a_label/);
  assert.notEqual(await page.textContent("#sheet-e-mac"), "");
  await page.fill("#sheet-hostname", name);
  await page.fill("#sheet-mac", mac);
  await page.click("#sheet-dialog button.main");
  await page.waitForSelector(`${row(name)} .phase.registered, ${row(name)}.registered .phase`);
  assert.ok(await isSamePage(page), "no reload");
  await page.click('.page-head [data-do="register"]');
  await page.fill("#sheet-hostname", "another");
  await page.fill("#sheet-mac", mac);
  await page.click("#sheet-dialog button.main");
  await page.waitForSelector('#sheet-mac[aria-invalid="true"]');
  assert.match(await page.textContent("#sheet-e-mac"), /no other host/, "an address that is taken is refused at its field");
});

site.check("a rebuild shows first what it will wipe, and a failed join says why and what to do", async ({ page }) => {
  await openLive(page, "/");
  await markPage(page);
  await page.click(`${row(name)} [data-do="rebuild"]`);
  await page.waitForSelector("#sheet-dialog .wipes");
  assert.match(await page.textContent("#sheet-dialog .wipes"), /sda/);
  assert.equal(await page.locator("#sheet-confirm").count(), 0, "a host that was never ready needs no name");
  await page.click("#sheet-dialog .danger");
  await page.waitForSelector(`${row(name)}.pxe_ready`);
  assert.match(await page.textContent(`${row(name)} .now`), /power it on/);
  site.powerOn(1);
  await page.waitForSelector(`${row(name)}.failed`);
  assert.match(await page.textContent(`${row(name)} .now`), /Join failed|Time ran out/);
  await counted(page, "failed", 1);
  assert.match(await page.getAttribute("#favicon", "href"), /trouble/);
  assert.match(await page.title(), /1 failed/);
  assert.ok(await isSamePage(page), "all of it without a reload");
});

site.check("a join that failed is resumed after its cause was mended, over a restart of the server", async ({ page }) => {
  await openLive(page, "/");
  await markPage(page);
  await page.waitForSelector(`${row(name)}.failed [data-do="resume"]`);
  await site.stop();
  await page.waitForSelector('#live[data-state="lost"]');
  assert.match(await page.textContent("#live"), /as of \d/);
  await site.write("join-password", "simulated-cluster");
  await site.start();
  await page.waitForSelector('#live[data-state="live"]');
  assert.ok(await isSamePage(page), "the page was not loaded again");
  await page.click(`${row(name)} [data-do="resume"]`);
  await page.waitForSelector(`${row(name)}.ready`);
  await counted(page, "ready", 1);
  assert.match(await page.getAttribute("#favicon", "href"), /^\/favicon/);
  assert.ok(await isSamePage(page));
});

site.check("a host that was ready is wiped only after its name was typed", async ({ page }) => {
  await openLive(page, "/");
  await page.click(`${row(name)} [data-do="rebuild"]`);
  await page.waitForSelector("#sheet-confirm");
  assert.ok(await page.locator("#sheet-dialog .danger").isDisabled());
  await page.fill("#sheet-confirm", name.slice(0, -1));
  assert.ok(await page.locator("#sheet-dialog .danger").isDisabled());
  await page.fill("#sheet-confirm", name);
  await page.click("#sheet-dialog .danger");
  await page.waitForSelector(`${row(name)}.pxe_ready`);
  await page.click(`${row(name)} [data-do="cancel"]`);
  await page.click("#sheet-dialog .danger");
  await page.waitForSelector(`${row(name)}.failed`);
  assert.match(await page.textContent(`${row(name)} .now`), /Cancelled/);
});

site.check("a change of another program is on the page within 300 ms", async ({ page }) => {
  await site.register("swift", "52:54:99:00:00:01");
  await openLive(page, "/");
  await page.waitForSelector(row("swift"));
  const delays = [];
  for (const [number, expected] of [["02", "52:54:99:00:00:02"], ["03", "52:54:99:00:00:03"], ["04", "52:54:99:00:00:04"]]) {
    const seen = page.evaluate(([selector, text]) => new Promise((done) => {
      const look = () => (document.querySelector(selector)?.textContent.includes(text) ? done(Date.now()) : requestAnimationFrame(look));
      look();
    }), [row("swift"), expected]);
    await site.api("PATCH", "/api/hosts/swift", { macs: [`52:54:99:00:00:${number}`] });
    const answered = Date.now();
    delays.push((await seen) - answered);
  }
  assert.ok(Math.min(...delays) < 300, `it took ${delays} ms`);
});

site.check("a host comes to ready while the page watches, bar and counters included", async ({ page }) => {
  const second = site.machine(1);
  await openLive(page, "/");
  await markPage(page);
  await page.evaluate((selector) => {
    window.seen = new Set();
    new MutationObserver(() => {
      const phase = document.querySelector(selector)?.dataset.phase;
      if (phase) window.seen.add(phase);
    }).observe(document.getElementById("rows"), { childList: true });
  }, row(second.name));
  await site.powerOff();
  site.powerOn(2, { second: 20 });
  await page.waitForSelector(`${row(second.name)}.ready`);
  const seen = await page.evaluate(() => [...window.seen]);
  for (const phase of ["installing", "joining", "ready"]) assert.ok(seen.includes(phase), `${phase} was not seen among ${seen}`);
  assert.equal(await page.getAttribute(`${row(second.name)} .bar`, "aria-label"), "step 7 of 7: Ready");
  await counted(page, "ready", 2);
  assert.ok(await isSamePage(page));
});
