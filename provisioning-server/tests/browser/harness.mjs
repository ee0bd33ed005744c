// A real server with simulated machines, and a real browser: what every file of this folder is written with.
//
//   const site = await openSite();                    a server of its own, stopped when the file's tests are over
//   site.check("a sentence", async ({ page }) => …)   a test with a page that is logged in
//
// Nothing waits for time: tests wait for conditions (`page.waitFor…`, `until`). A page that the browser complains of
// fails its test, and a failed test leaves a screenshot below target/browser/.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../../..");
const binaries = resolve(root, process.env.PROVISIONING_BINARIES ?? "target/debug");
const pictures = join(root, "target/browser");
const axe = await readFile(join(here, "node_modules/axe-core/axe.min.js"), "utf8");

/** How long a condition may take to come true, unless a test says otherwise. */
export const PATIENCE = 20_000;

const HASH = `$6$0123456789abcdef$${"x".repeat(86)}`;

/** A port of the loopback interface that nobody has. */
async function freePort() {
  const listener = createServer();
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}

/** Asks until `ask()` gives something true, and gives that. */
export async function until(ask, what, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await ask();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((next) => setTimeout(next, 25));
  }
}

/** Ends a process that we started, and waits for its end. */
async function end(child, signal = "SIGTERM") {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  const hard = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await gone;
  clearTimeout(hard);
}

class Site {
  #server = null;
  #machines = [];
  #log = "";
  /** The operators' token. */
  token = "";

  constructor(folder, port, sshPort, seed) {
    this.folder = folder;
    this.port = port;
    this.sshPort = sshPort;
    /** Decides the machines' names and addresses; each site has its own. */
    this.seed = seed;
    this.base = `http://127.0.0.1:${port}`;
    this.name = `sim-${seed}`;
  }

  /** Writes one of the server's files. */
  write(name, text) { return writeFile(join(this.folder, name), text, { mode: 0o600 }); }

  /** Writes the server's configuration. `open` asks nobody for a token; `more` is put at its end. */
  async configure({ joinPassword = "simulated-cluster", open = false, more = "" } = {}) {
    await this.write("provisioning.yaml", `server:
  public_url: ${this.base}
  listen: 127.0.0.1:${this.port}
  data_dir: ${join(this.folder, "data")}
credentials:
  root_password_hash: '${HASH}'
proxmox:
  existing_node: pve1
  join_fingerprint: "51:4D:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:51:4D:00:11:22:33:44:55:66:77:88:99:AA:BB"
  join_password_file: join-password
  ssh_port: ${this.sshPort}
${open ? "auth:\n  mode: open\n" : ""}${more}`);
    await this.write("join-password", joinPassword);
    await this.write("server-types.yaml", "server_types:\n  lab:\n    display_name: Lab machine\n    boot_disk: sda\n  storage:\n    display_name: Storage box\n    boot_disk: nvme0n1\n");
  }

  /** Starts the server, or starts it again on the same data. */
  async start() {
    const args = ["serve", "--config", join(this.folder, "provisioning.yaml")];
    const child = spawn(join(binaries, "provisioning"), args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#server = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => { this.#log += text; });
    }
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`the server ended at once:\n${this.#log}`);
      return fetch(`${this.base}/healthz`).then((answer) => answer.ok, () => false);
    }, "the server to serve");
    this.token ||= this.#log.match(/prov_[\w-]+/)?.[0] ?? "";
  }

  /** Stops the server; its data stay. */
  stop() { return end(this.#server); }

  /** What the server has said so far. */
  get log() { return this.#log; }

  /** Calls the API as a program does; a refusal fails the test. */
  async api(method, path, body) {
    const headers = this.token ? { authorization: `Bearer ${this.token}` } : {};
    if (body !== undefined) headers["content-type"] = "application/json";
    const answer = await fetch(this.base + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** A host as the API shows it. */
  host(name) { return this.api("GET", `/api/hosts/${name}`); }

  /** Registers a host that no machine stands behind. */
  register(name, mac, server_type = "lab") { return this.api("POST", "/api/hosts", { hostname: name, mac, server_type }); }

  /** Gives the server an image, a small one of the real layout. */
  async image(release = "9.2") {
    const file = join(this.folder, `proxmox-ve_${release}-1.iso`);
    await promisify(execFile)(join(binaries, "provisioning-sim"), ["iso", "--out", file, "--release", release, "--size-mb", "8"]);
    return this.api("POST", "/api/images", { path: file });
  }

  /** The name and first address of simulated machine `number`, from 0; the next ones follow. */
  machine(number) {
    const hex = (value) => value.toString(16).padStart(2, "0");
    const [a, b] = [this.seed >> 8, this.seed & 255].map(hex);
    const three = String(number + 1).padStart(3, "0");
    return { name: `${this.name}-${three}`, mac: `52:54:${a}:${b}:00:${hex(number)}` };
  }

  /**
   * Switches simulated machines on, the first `count` of this site. Those that are not yet registered or not yet
   * armed are. `second` is how many milliseconds one of their seconds lasts; a life takes about 110 of them.
   */
  powerOn(count, { second = 10, password } = {}) {
    // Without a token the variable must be away, not empty.
    const { PROVISIONING_TOKEN: _, ...env } = process.env;
    if (this.token) env.PROVISIONING_TOKEN = this.token;
    const args = ["fleet", "--server", this.base, "--hosts", String(count), "--seed", String(this.seed), "--second", String(second),
      "--ssh-port", String(this.sshPort), "--keep"];
    if (password) args.push("--password-file", join(this.folder, password));
    const child = spawn(join(binaries, "provisioning-sim"), args, {
      stdio: ["ignore", "ignore", "pipe"], env,
    });
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text) => { this.#log += text; });
    this.#machines.push(child);
    return child;
  }

  /** Switches all machines off. */
  async powerOff() { await Promise.all(this.#machines.splice(0).map((child) => end(child, "SIGINT"))); }

  async close() {
    await this.powerOff();
    if (this.#server) await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** A test, named as a sentence. `options` are those of `visit`. */
  check(sentence, run, options = {}) {
    test(sentence, { timeout: 90_000 }, async () => {
      const visit = await this.visit(options);
      try {
        await run({ page: visit.page, site: this, visit });
        visit.assertCalm();
      } catch (error) {
        await mkdir(pictures, { recursive: true });
        const file = join(pictures, `${sentence.replace(/[^a-z0-9]+/gi, "-")}.png`);
        await visit.page.screenshot({ path: file }).catch(() => {});
        error.message += `\n(picture: ${file})\n${visit.complaints.join("\n")}\nserver: ${this.#log.slice(-1500)}`;
        throw error;
      } finally {
        await visit.context.close();
      }
    });
  }

  /** A browser window of its own; logged in unless told otherwise. */
  async visit({ width = 1280, height = 850, scheme = "light", scripts = true, login = true, motion = "reduce" } = {}) {
    const context = await (await browser()).newContext({
      viewport: { width, height }, colorScheme: scheme, javaScriptEnabled: scripts, reducedMotion: motion, baseURL: this.base,
    });
    context.setDefaultTimeout(PATIENCE);
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: this.base });
    const page = await context.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(`page: ${error.message}`));
    page.on("console", (message) => {
      // What the server refuses, and a server that is away, the browser writes down by itself; the rest is a fault.
      const text = message.text();
      if (message.type() === "error" && !/status of [45]\d\d|ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/.test(text)) complaints.push(`console: ${text}`);
    });
    // No request may leave the server.
    page.on("request", (request) => {
      if (!request.url().startsWith(this.base) && !request.url().startsWith("data:")) complaints.push(`a request to ${request.url()}`);
    });
    if (login && this.token) {
      const answer = await context.request.post("/login", { data: { token: this.token }, headers: { origin: this.base } });
      assert.equal(answer.status(), 204, "the login is accepted");
    }
    return { context, page, complaints, assertCalm: () => assert.deepEqual(complaints, [], "the browser complains") };
  }
}

let launched = null;
const browser = () => (launched ??= chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"],
}));

let sites = 0;

/** A site that lives as long as the tests of the file that opens it. `options` are those of `configure`. */
export async function openSite(options = {}) {
  const folder = await mkdtemp(join(tmpdir(), "provisioning-browser-"));
  // Files run beside each other: the process id keeps their machines' loopback addresses apart.
  const seed = ((process.pid % 4000) * 16 + (sites++ % 16)) || 1;
  const site = new Site(folder, await freePort(), await freePort(), seed);
  after(async () => {
    await site.close();
    if (launched) await (await launched).close();
    launched = null;
  });
  await site.configure(options);
  await site.start();
  return site;
}

/** Opens a page and waits until it is live. */
export async function openLive(page, path) {
  await page.goto(path);
  await page.waitForSelector('#live[data-state="live"]');
}

/** Marks a page, so that `isSamePage` can tell that it was never loaded again. */
export const markPage = (page) => page.evaluate(() => { window.isSamePage = true; });
export const isSamePage = (page) => page.evaluate(() => window.isSamePage === true);

/** Fails when the page is wider than the window. */
export async function assertFits(page, what) {
  const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= seen, `${what} is ${wide} px wide in a window of ${seen}`);
}

/** Fails when axe finds a breach of WCAG 2.2 AA or of its best practices. */
export async function assertAccessible(page, what) {
  // Not as a script element, which the page's own policy rightly refuses.
  await page.evaluate(`if (!window.axe) { ${axe} }`);
  const found = await page.evaluate(() => axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  const words = found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).slice(0, 4).join("\n   ")}`);
  assert.deepEqual(words, [], `${what} has barriers`);
}

/** The row of a host in the fleet. */
export const row = (name) => `tr[data-name="${name}"]`;

/** Waits until a counter of the fleet's page says so many. Counts are told apart from rows, a moment behind them. */
export const counted = (page, group, count) =>
  page.locator(`#counters [data-show="${group}"] b`).filter({ hasText: new RegExp(`^${count}$`) }).waitFor();
