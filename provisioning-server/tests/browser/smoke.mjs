// The dashboard in a real browser, against a running server whose hosts may be touched. Optional: not part of the
// checks, because it needs Node and Chromium.
//
//   cargo run -p provisioning-server -- demo &
//   npm install --no-save playwright-core
//   node provisioning-server/tests/browser/smoke.mjs http://127.0.0.1:8080 [TOKEN]
//
// CHROMIUM names another browser than /usr/bin/chromium.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [base = "http://127.0.0.1:8080", token] = process.argv.slice(2);
const name = `smoke-${Date.now().toString(36)}`;
const hex = (Date.now() % 0x1000000).toString(16).padStart(6, "0");
const mac = `52:54:01:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
const context = await browser.newContext({ reducedMotion: "reduce" });
const page = await context.newPage();
const complaints = [];
page.on("pageerror", (error) => complaints.push(error.message));
page.on("console", (message) => {
  // A refused form is answered 4xx, which the browser logs; everything else is a fault, a CSP violation above all.
  if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) complaints.push(message.text());
});

const row = `tr[data-name="${name}"]`;
const steps = {
  "the page is live": async () => {
    if (token) {
      await page.goto(`${base}/login`);
      await page.fill("[name=token]", token);
      await page.click("button.main");
    }
    await page.goto(base);
    await page.waitForSelector("#live[data-state=live]");
  },
  "a wrong name is refused at its field": async () => {
    await page.click(".tools [data-do=register]");
    await page.fill("#f-hostname", "not_a_label");
    await page.fill("#f-mac", mac);
    await page.click("#register button.main");
    await page.waitForSelector("#f-hostname[aria-invalid=true]");
    assert.notEqual(await page.textContent("#e-hostname"), "");
  },
  "a registered host appears without a reload": async () => {
    await page.evaluate(() => { window.isSamePage = true; });
    await page.fill("#f-hostname", name);
    await page.click("#register button.main");
    await page.waitForSelector(`${row} .phase.registered`);
    assert.equal(await page.evaluate(() => window.isSamePage), true);
  },
  "a change of another program is seen within 300 ms": async () => {
    const seen = page.waitForFunction(
      (row) => document.querySelector(row)?.dataset.search.includes("52:54:02"), row, { polling: "raf" });
    const headers = { "content-type": "application/json" };
    const other = mac.replace("52:54:01", "52:54:02");
    const started = Date.now();
    const answer = await page.evaluate(async ([name, macs, headers]) => (
      await fetch(`/api/hosts/${name}`, { method: "PATCH", headers, body: JSON.stringify({ macs }) })).status,
    [name, [mac, other], headers]);
    assert.equal(answer, 200);
    const answered = Date.now();
    await seen;
    assert.ok(Date.now() - answered < 300, `it took ${Date.now() - started} ms`);
  },
  "filter and search leave only what fits": async () => {
    await page.click('#counters [data-show="registered"]');
    await page.fill("[name=q]", name);
    assert.deepEqual(await page.$$eval("#rows tr:not([hidden])", (rows) => rows.map((row) => row.dataset.name)), [name]);
    await page.reload();
    assert.equal(await page.$$eval("#rows tr:not([hidden])", (rows) => rows.length), 1, "a reload keeps the filter");
  },
  "nothing overflows a phone": async () => {
    await page.setViewportSize({ width: 390, height: 800 });
    for (const path of ["/", `/hosts/${name}`, "/images"]) {
      await page.goto(base + path);
      const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(wide <= seen, `${path} is ${wide} wide`);
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  },
  "the whole way works by keyboard": async () => {
    await page.goto(`${base}/hosts/${name}`);
    await page.waitForSelector("#live[data-state=live]");
    await page.focus('#s-state [data-do="remove"]');
    await page.keyboard.press("Enter");
    await page.waitForSelector("#confirm[open]");
    await page.focus("#confirm .danger");
    await page.keyboard.press("Enter");
    await page.waitForURL(`${base}/`);
    assert.equal(await page.$(row), null);
  },
  "the browser had nothing to complain of": async () => assert.deepEqual(complaints, []),
};

let failed = 0;
for (const [what, step] of Object.entries(steps)) {
  try {
    await step();
    console.log(`ok    ${what}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${what}\n      ${error.message}`);
  }
}
await browser.close();
process.exitCode = failed ? 1 : 0;
