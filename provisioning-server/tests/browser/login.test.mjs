// The first visit, the login, and what a session may.
import assert from "node:assert/strict";
import { assertAccessible, assertFits, openLive, openSite } from "./harness.mjs";

const site = await openSite();

site.check("a first visit is asked for the token and lands on the fleet", async ({ page }) => {
  await page.goto("/");
  assert.equal(new URL(page.url()).pathname, "/login");
  await page.fill("[name=token]", "prov_wrong");
  await page.click("button.main");
  await page.waitForSelector('[role="alert"]');
  assert.match(await page.textContent('[role="alert"]'), /not known/);
  assert.equal(await page.getAttribute("[name=token]", "aria-invalid"), "true");
  await page.fill("[name=token]", site.token);
  await page.keyboard.press("Enter");
  await page.waitForURL("/");
  await page.waitForSelector('#live[data-state="live"]');
}, { login: false });

site.check("an empty fleet shows three steps, and each command can be copied", async ({ page }) => {
  await openLive(page, "/");
  assert.equal(await page.locator("#empty .first-steps li, #empty ol > li").count(), 3);
  await page.locator("#empty [data-copies]").first().click();
  await page.waitForSelector(".toast.good");
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /provisioning /);
  assert.ok(await page.locator("#fleet").isHidden(), "there is no empty table beside the steps");
});

site.check("the scan for barriers finds one where there is one", async ({ page }) => {
  await openLive(page, "/");
  await page.evaluate(() => document.querySelector("main").append(Object.assign(document.createElement("img"), { src: "/favicon.svg" })));
  await assert.rejects(assertAccessible(page, "the page"), /image-alt/);
});

site.check("logging out ends the session", async ({ page }) => {
  await openLive(page, "/");
  await page.click('form[action="/logout"] button');
  await page.waitForURL("/login");
  await page.goto("/");
  assert.equal(new URL(page.url()).pathname, "/login");
});

for (const scheme of ["light", "dark"]) {
  for (const width of [1280, 390]) {
    site.check(`login and empty fleet are without barriers in ${scheme} at ${width}`, async ({ page, visit }) => {
      await openLive(page, "/");
      await assertAccessible(page, "the empty fleet");
      await assertFits(page, "the empty fleet");
      await visit.context.clearCookies();
      await page.goto("/login");
      await assertAccessible(page, "the login");
      await assertFits(page, "the login");
    }, { scheme, width });
  }
}
