// A host's own page: forms in dialogs, failure and resume, the run against the one before it, without scripts too.
import assert from "node:assert/strict";
import { assertAccessible, assertFits, isSamePage, markPage, openLive, openSite, until } from "./harness.mjs";

const site = await openSite({ joinPassword: "mistyped", open: true });
await site.image();
const { name, mac } = site.machine(0);
await site.register(name, mac);
await site.register("edited", "52:54:ff:00:00:01");

/** Opens a host's action and waits for its form. */
async function ask(page, action) {
  await page.click(`#s-state a[data-do="${action}"]`);
  await page.waitForSelector("#sheet-dialog[open]");
}

site.check("what cannot be done now says why, and a rebuild shows what it does before it is started", async ({ page }) => {
  await openLive(page, `/hosts/${name}`);
  await markPage(page);
  assert.match(await page.textContent("#why-cancel"), /no operation is running/);
  await ask(page, "rebuild");
  const sheet = await page.textContent("#sheet-dialog");
  for (const words of ["sda", "Proxmox VE 9.2", `${name}.internal`, "by pve1", "Answer file, secrets masked"]) {
    assert.ok(sheet.includes(words), `${words} is not in ${sheet}`);
  }
  assert.equal(await page.locator("#sheet-dialog [data-must-be]").count(), 0, "it was never ready");
  await assertAccessible(page, "the rebuild dialog");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#sheet-dialog:not([open])", { state: "attached" });
  assert.equal(await page.evaluate(() => document.activeElement.dataset.do), "rebuild", "focus goes back");
  await ask(page, "rebuild");
  await page.click("#sheet-dialog .danger");
  await page.waitForSelector("#s-state.pxe_ready");
  await page.waitForSelector(".toast");
  assert.match(await page.textContent("#toasts"), /Start the machine from the network/);
  assert.match(await page.textContent("#s-doctor"), /PXE doctor/);
  assert.ok(await isSamePage(page), "no reload");
});

site.check("a failed join tells its reason and how long it can be resumed, and is resumed from its page", async ({ page }) => {
  await openLive(page, `/hosts/${name}`);
  await markPage(page);
  site.powerOn(1);
  await page.waitForSelector("#s-failure");
  const failure = await page.textContent("#s-failure");
  assert.match(failure, /What to do:/);
  assert.match(failure, /can be resumed without reinstalling until .* left/);
  assert.match(await page.textContent("#s-timeline .bad"), /Failed/);
  await page.click("#artefact-answer > summary");
  assert.doesNotMatch(await page.textContent("#text-answer"), /\$6\$/, "the password's hash is masked");
  await page.click("#artefact-install_report > summary");
  assert.ok(await page.locator("#artefact-install_report table tr").count() > 5, "the report is a table");
  await site.stop();
  await site.write("join-password", "simulated-cluster");
  await site.start();
  await page.waitForSelector('#live[data-state="live"]');
  // A join that was given up may still run for a moment: until then the server says so.
  await until(async () => {
    await page.click('#s-state [data-do="resume"]').catch(() => {});
    return page.locator("#s-state:is(.joining, .ready)").waitFor({ timeout: 1500 }).then(() => true, async () => {
      await page.keyboard.press("Escape");
      return false;
    });
  }, "the join to be resumed", 85_000);
  await page.waitForSelector("#s-state.ready");
  assert.ok(await page.locator("#artefact-answer[open]").isVisible(), "what was open stays open");
  assert.ok(await isSamePage(page), "no reload");
});

site.check("a host that was ready is rebuilt only when its name is typed, and its run is compared with the last", async ({ page }) => {
  await openLive(page, `/hosts/${name}`);
  await ask(page, "rebuild");
  const go = page.locator("#sheet-dialog .danger");
  assert.ok(await go.isDisabled());
  await page.fill("#sheet-confirm", "another");
  assert.ok(await go.isDisabled(), "another name does not do");
  await page.fill("#sheet-confirm", name);
  await go.click();
  await page.waitForSelector("#s-state.pxe_ready");
  await ask(page, "cancel");
  await page.click("#sheet-dialog .danger");
  await page.waitForSelector("#s-state.failed");
  assert.match(await page.textContent("#s-failure h2"), /Cancelled/);
  assert.equal(await page.locator("#s-history tbody tr").count(), 2);
  await page.click('#s-history tbody tr:nth-child(2) th a');
  await page.waitForSelector("#artefact-answer");
  assert.match(await page.textContent("#h-timeline"), /An earlier operation/);
});

site.check("an edit over somebody else's is shown theirs first", async ({ page }) => {
  await openLive(page, "/hosts/edited");
  await ask(page, "edit");
  await page.fill("#sheet-hostname", "not_a_label");
  await page.click("#sheet-dialog button.main");
  await page.waitForSelector("#sheet-hostname[aria-invalid=true]");
  assert.match(await page.textContent("#sheet-e-hostname"), /not_a_label/);
  await site.api("PATCH", "/api/hosts/edited", { server_type: "storage" });
  await page.fill("#sheet-hostname", "mine");
  await page.click("#sheet-dialog button.main");
  await page.waitForSelector("#sheet-dialog .banner.warn");
  assert.match(await page.textContent("#sheet-dialog .banner.warn"), /Somebody else saved it[^]*storage/);
  await page.click("#sheet-dialog button.main");
  await page.waitForURL("**/hosts/mine?done=saved");
  assert.equal((await site.host("mine")).server_type, "lab");
});

site.check("everything works without scripts", async ({ page }) => {
  await site.register("plain", "52:54:ff:00:00:02");
  await page.goto("/hosts/plain");
  await page.click('#s-state a[data-do="rebuild"]');
  assert.match(await page.textContent(".wipes"), /sda/);
  await page.click("button.danger");
  assert.match(await page.textContent(".banner.good"), /Start the machine/);
  await page.click('#s-state a[data-do="cancel"]');
  await page.click("button.danger");
  assert.match(await page.textContent(".banner.good"), /cancelled/);
  await page.click('#s-state a[data-do="edit"]');
  await page.fill("#sheet-hostname", "plainer");
  await page.click("button.main");
  assert.match(new URL(page.url()).pathname, /plainer/);
  await page.click('#s-state a[data-do="remove"]');
  await page.click("button.danger");
  assert.equal(new URL(page.url()).pathname, "/");
}, { scripts: false });

site.check("a removed host leads back to the fleet", async ({ page }) => {
  await site.register("gone", "52:54:ff:00:00:03");
  await openLive(page, "/hosts/gone");
  await ask(page, "remove");
  await page.click("#sheet-dialog .danger");
  await page.waitForURL((url) => url.pathname === "/");
});

for (const scheme of ["light", "dark"]) {
  site.check(`a host's page has no barriers in ${scheme}, and fits a phone`, async ({ page }) => {
    await openLive(page, `/hosts/${name}`);
    for (const summary of await page.locator("#s-artefacts details.artefact > summary").all()) await summary.click();
    await assertAccessible(page, "the page");
    await page.setViewportSize({ width: 390, height: 800 });
    await assertFits(page, "the page");
    await assertAccessible(page, "the page on a phone");
  }, { scheme });
}
