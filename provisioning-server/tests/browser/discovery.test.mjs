// Machines that nobody knows: seen on the network, adopted or dismissed.
import assert from "node:assert/strict";
import { assertAccessible, assertFits, isSamePage, markPage, openLive, openSite, row } from "./harness.mjs";

const site = await openSite();
await site.register("pve-07", "52:54:66:00:00:07");
/** A machine asks for its boot script, as its firmware would. */
const netboot = (mac) => fetch(`${site.base}/ipxe/${mac}`, { headers: { "user-agent": "iPXE/1.21.1" } });
const strip = (mac) => `#discovered li[data-mac="${mac}"]`;

site.check("a machine that nobody knows appears by itself and is adopted by a form filled in", async ({ page }) => {
  await openLive(page, "/");
  await markPage(page);
  assert.ok(await page.locator("#discovered").isHidden());
  await netboot("52:54:66:00:00:99");
  await page.waitForSelector(strip("52:54:66:00:00:99"));
  await page.click(`${strip("52:54:66:00:00:99")} [data-do="adopt"]`);
  await page.waitForSelector("#sheet-dialog[open] #sheet-mac");
  assert.equal(await page.inputValue("#sheet-mac"), "52:54:66:00:00:99");
  assert.equal(await page.inputValue("#sheet-hostname"), "pve-08", "the next name is suggested");
  await page.click("#sheet-dialog button.main");
  await page.waitForSelector(`${row("pve-08")}.registered`);
  await page.waitForSelector(strip("52:54:66:00:00:99"), { state: "detached" });
  assert.equal((await site.host("pve-08")).macs[0], "52:54:66:00:00:99");
  assert.ok(await isSamePage(page));
});

site.check("a dismissed machine goes, and stays away", async ({ page }) => {
  await netboot("52:54:66:00:00:98");
  await openLive(page, "/");
  await page.click(`${strip("52:54:66:00:00:98")} [data-do="dismiss"]`);
  await page.waitForSelector(strip("52:54:66:00:00:98"), { state: "detached" });
  await netboot("52:54:66:00:00:98");
  await page.reload();
  assert.ok(await page.locator("#discovered").isHidden());
});

site.check("without scripts a machine is adopted by a page of its own", async ({ page }) => {
  await netboot("52:54:66:00:00:97");
  await page.goto("/");
  await page.click(`${strip("52:54:66:00:00:97")} [data-do="adopt"]`);
  assert.equal(await page.inputValue("#sheet-mac"), "52:54:66:00:00:97");
  await page.click("button.main");
  assert.equal(new URL(page.url()).pathname, "/hosts/pve-09");
}, { scripts: false });

for (const scheme of ["light", "dark"]) {
  site.check(`the strip of discovered machines is without barriers in ${scheme}`, async ({ page }) => {
    await netboot("52:54:66:00:00:96");
    await openLive(page, "/");
    await page.waitForSelector(strip("52:54:66:00:00:96"));
    await assertAccessible(page, "the strip");
    await page.setViewportSize({ width: 390, height: 844 });
    await assertFits(page, "the strip");
  }, { scheme });
}
