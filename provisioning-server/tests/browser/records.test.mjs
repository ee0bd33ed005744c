// Images, activity and settings.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join, resolve, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { assertAccessible, assertFits, isSamePage, markPage, openLive, openSite } from "./harness.mjs";

const site = await openSite();
const binaries = resolve(dirname(fileURLToPath(import.meta.url)), "../../..", process.env.PROVISIONING_BINARIES ?? "target/debug");

/** An ISO of a release on disk. */
async function iso(release, megabytes = 8) {
  const file = join(site.folder, `upload-${release}.iso`);
  await promisify(execFile)(join(binaries, "provisioning-sim"), ["iso", "--out", file, "--release", release, "--size-mb", String(megabytes)]);
  return file;
}

site.check("an image is uploaded with its progress, and one that is none is refused at its field", async ({ page }) => {
  await openLive(page, "/images");
  await markPage(page);
  assert.match(await page.textContent("#list"), /No image yet/);
  await page.click('[data-form="upload"] .main');
  assert.match(await page.textContent("#e-file"), /choose an ISO first/);
  await page.setInputFiles("#f-file", { name: "none.iso", mimeType: "application/octet-stream", buffer: Buffer.alloc(200_000, 7) });
  await page.click('[data-form="upload"] .main');
  await page.waitForFunction(() => document.querySelector('[data-form="upload"] [data-error=""]').textContent !== "");
  assert.match(await page.textContent('[data-form="upload"]'), /Proxmox VE ISO/);
  // What is said on the way is gone when it is done: it is written down as it comes.
  await page.evaluate(() => {
    window.said = [];
    const sent = document.querySelector('[data-of="sent"]');
    new MutationObserver(() => window.said.push(sent.textContent)).observe(sent, { childList: true, characterData: true, subtree: true });
  });
  await page.setInputFiles("#f-file", await iso("9.2", 40));
  await page.click('[data-form="upload"] .main');
  await page.waitForSelector('#list tr[data-name="proxmox-ve_9.2-1"]');
  const said = await page.evaluate(() => window.said.join("\n"));
  assert.match(said, /\d+ %: .* of .*B, .*\/s/, "percent, bytes and rate");
  assert.match(said, /the server checks them/);
  assert.match(await page.textContent("#list"), /Default, as the latest/);
  assert.ok(await isSamePage(page), "no reload");
});

site.check("an upload can be stopped", async ({ page }) => {
  await openLive(page, "/images");
  await page.route("**/api/images", () => { /* It is never answered: the upload hangs as on a slow line. */ });
  await page.setInputFiles("#f-file", await iso("9.1"));
  await page.click('[data-form="upload"] .main');
  await page.click('[data-of="stop"]');
  await page.waitForSelector(".toast.warn");
  assert.match(await page.textContent(".toast.warn"), /stopped/);
});

site.check("an import by another program is seen at once, and becomes the default until it is removed", async ({ page }) => {
  await openLive(page, "/images");
  await markPage(page);
  await page.fill("#f-path", "/nowhere.iso");
  await page.click('[data-form="import"] .main');
  await page.waitForSelector('#f-path[aria-invalid="true"]');
  await site.image("9.0");
  const old = '#list tr[data-name="proxmox-ve_9.0-1"]';
  await page.waitForSelector(old);
  await page.click(`#list tr[data-name="proxmox-ve_9.2-1"] form button`);
  await page.waitForFunction(() => /^Default$/.test(document.querySelector('tr[data-name="proxmox-ve_9.2-1"] .badge')?.textContent ?? ""));
  await page.click(`${old} [data-do="remove-image"]`);
  await page.click("#sheet-dialog .danger");
  await page.waitForSelector(old, { state: "detached" });
  await page.click('#list [data-copies]');
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^[0-9a-f]{64}$/);
  assert.ok(await isSamePage(page), "no reload");
});

site.check("the journal comes in at the top, and a filter leaves what fits without a reload", async ({ page }) => {
  await openLive(page, "/activity");
  await markPage(page);
  await site.register("first", "52:54:ff:00:01:01");
  await page.waitForSelector('.journal li:has-text("first was registered")');
  assert.match(await page.getAttribute(".journal li:first-child time", "title"), /T.*Z$/, "the exact time in UTC");
  await page.fill("#a-text", "was registered");
  await page.waitForFunction(() => [...document.querySelectorAll(".journal .text")].every((text) => text.textContent.includes("registered")));
  assert.match(page.url(), /text=was\+registered/);
  await site.register("second", "52:54:ff:00:01:02");
  await page.waitForSelector('.journal li:has-text("second was registered")');
  await site.api("PATCH", "/api/hosts/second", { server_type: "storage" });
  await page.fill("#a-host", "second");
  await page.selectOption("#a-kind", "changes");
  await page.fill("#a-text", "");
  await page.waitForSelector('.journal li:has-text("second was edited")');
  assert.deepEqual(await page.$$eval(".journal .text", (texts) => texts.map((text) => text.textContent)),
    ["second was edited", "second was registered"]);
  await page.reload();
  assert.equal(await page.locator(".journal li").count(), 2, "a reload keeps the filter");
  await page.click('.journal a:has-text("second")');
  await page.waitForURL("**/hosts/second");
});

site.check("the settings tell where a value is from and show no secret", async ({ page }) => {
  await openLive(page, "/settings");
  const config = await page.textContent("#s-config");
  assert.match(config, /provisioning\.yaml, line \d/);
  assert.match(config, /set, not shown/);
  assert.ok(!config.includes("simulated-cluster") && !config.includes("$6$"), "no secret is shown");
  assert.match(await page.textContent("#s-types"), /Storage box/);
  await page.click("#dhcp-kea summary");
  await page.click("#dhcp-kea [data-copies]");
  await page.waitForSelector(".toast.good");
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /\/ipxe\//, "lines for a DHCP server are copied");
  await site.write("server-types.yaml", "server_types:\n  lab:\n    boot_dsk: sda\n");
  await page.waitForSelector("#s-types .banner.bad");
  assert.match(await page.textContent("#s-types .banner.bad"), /boot_dsk/);
  await site.write("server-types.yaml", "server_types:\n  lab:\n    boot_disk: sda\n");
  await page.waitForSelector("#s-types .banner.bad", { state: "detached" });
});

site.check("a token is made in a dialog, shown once, and refused once it is revoked", async ({ page }) => {
  await openLive(page, "/settings");
  await markPage(page);
  await page.click('[data-do="new-token"]');
  await page.fill("#sheet-name", "no good");
  await page.click("#sheet-dialog button.main");
  await page.waitForSelector("#sheet-name[aria-invalid=true]");
  await page.fill("#sheet-name", "ci");
  await page.selectOption("#sheet-scope", "read");
  await page.click("#sheet-dialog button.main");
  const token = await page.textContent("#made-token");
  assert.match(token, /^prov_/);
  const ask = () => fetch(`${site.base}/api/hosts`, { headers: { authorization: `Bearer ${token}` } }).then((answer) => answer.status);
  assert.equal(await ask(), 200);
  await page.click("#sheet-dialog [data-close-sheet]");
  await page.waitForSelector('#s-tokens tr[data-token="ci"]');
  assert.ok(!(await page.content()).includes(token), "it is never shown again");
  await page.click('#s-tokens tr[data-token="ci"] [data-do="revoke"]');
  await page.click("#sheet-dialog .danger");
  await page.waitForSelector('#s-tokens tr[data-token="ci"] .badge.bad');
  assert.equal(await ask(), 401);
  await page.click('.top nav a:has-text("Activity")');
  await page.click('.tabs a:has-text("Audit")');
  await page.waitForSelector('.journal li:has-text("revoke a token (ci)")');
  assert.ok(await page.locator('.journal li:has-text("create a token (ci)")').isVisible());
});

for (const scheme of ["light", "dark"]) {
  site.check(`images, activity and settings have no barriers in ${scheme}, and fit a phone`, async ({ page }) => {
    for (const path of ["/images", "/activity", "/activity?kind=audit", "/settings", "/settings/tokens", "/images/import"]) {
      await page.setViewportSize({ width: 1280, height: 850 });
      await page.goto(path);
      await page.waitForFunction(() => document.documentElement.classList.contains("scripted"));
      await assertAccessible(page, path);
      await page.setViewportSize({ width: 390, height: 800 });
      await assertFits(page, path);
      await assertAccessible(page, `${path} on a phone`);
    }
  }, { scheme });
}
