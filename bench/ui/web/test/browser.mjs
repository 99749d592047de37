// A headless Chromium, driven by the DevTools protocol over two pipes: no driver, no WebSocket, no further package.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const kPaths = [process.env.LAB_CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const kPatience_ms = 60_000;   // for the browser
const kWork_ms = 300_000;      // for a script in the page: axe has thousands of cells to look at

export const findBrowser = () => kPaths.find((path) => path && existsSync(path));

export class Browser {
  #process; #folder; #next = 0; #answers = new Map(); #listeners = [];

  constructor(path) {
    this.#folder = mkdtempSync(join(tmpdir(), "lab-browser-"));
    const options = ["--headless=new", "--remote-debugging-pipe", `--user-data-dir=${this.#folder}`, "--no-first-run",
      "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--hide-scrollbars", "--force-color-profile=srgb"];
    if (process.getuid?.() === 0) options.push("--no-sandbox");
    this.#process = spawn(path, options, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    let text = "";
    this.#process.stdio[4].on("data", (chunk) => {
      text += chunk;
      for (let end = text.indexOf("\0"); end >= 0; end = text.indexOf("\0")) {
        this.#receive(JSON.parse(text.slice(0, end)));
        text = text.slice(end + 1);
      }
    });
  }

  #receive(message) {
    const answer = this.#answers.get(message.id);
    if (answer) {
      this.#answers.delete(message.id);
      message.error ? answer.fail(new Error(message.error.message)) : answer.done(message.result);
    } else {
      for (const listener of this.#listeners) listener(message);
    }
  }

  send(method, params = {}, sessionId = undefined, patience_ms = kPatience_ms) {
    const id = ++this.#next;
    return new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`${method}: no answer`)), patience_ms);
      this.#answers.set(id, { done: (result) => (clearTimeout(timer), done(result)), fail: (error) => (clearTimeout(timer), fail(error)) });
      this.#process.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    });
  }

  async open(url, { width, height = 900, dark = false, script = true }) {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, targetId, sessionId);
    this.#listeners.push((message) => message.sessionId === sessionId && page.heard(message));
    for (const domain of ["Page", "Runtime", "Log"]) await page.send(`${domain}.enable`);
    await page.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 });
    await page.send("Emulation.setEmulatedMedia", { features: [
      { name: "prefers-color-scheme", value: dark ? "dark" : "light" }, { name: "prefers-reduced-motion", value: "reduce" }] });
    if (!script) await page.send("Emulation.setScriptExecutionDisabled", { value: true });
    await page.send("Page.navigate", { url });
    return page;
  }

  async close() {
    const ended = new Promise((done) => this.#process.once("exit", done));
    await this.send("Browser.close").catch(() => this.#process.kill("SIGKILL"));
    await ended;
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Page {
  problems = [];  // what the console and the page's own errors said

  constructor(browser, targetId, sessionId) {
    Object.assign(this, { browser, targetId, sessionId });
  }

  heard({ method, params }) {
    if (method === "Runtime.exceptionThrown") this.problems.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Log.entryAdded" && params.entry.level === "error") this.problems.push(params.entry.text);
  }

  send(method, params, patience_ms) { return this.browser.send(method, params, this.sessionId, patience_ms); }

  async run(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true }, kWork_ms);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  // Until the expression is true.
  async until(expression) {
    const end = Date.now() + kPatience_ms;
    while (!(await this.run(`!!(${expression})`).catch(() => false))) {
      if (Date.now() > end) throw new Error(`never true: ${expression}`);
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  async press(key, code = key) {
    for (const type of ["keyDown", "keyUp"]) await this.send("Input.dispatchKeyEvent", { type, key, code, windowsVirtualKeyCode: kKeys[key] ?? 0, text: type === "keyDown" && key === "Enter" ? "\r" : undefined });
  }

  async picture() {
    const { cssContentSize } = await this.send("Page.getLayoutMetrics");
    const { data } = await this.send("Page.captureScreenshot", { captureBeyondViewport: true,
      clip: { x: 0, y: 0, width: cssContentSize.width, height: Math.min(cssContentSize.height, 6000), scale: 1 } });
    return Buffer.from(data, "base64");
  }

  close() { return this.browser.send("Target.closeTarget", { targetId: this.targetId }); }
}

const kKeys = { Tab: 9, Enter: 13, ArrowLeft: 37, ArrowRight: 39, Home: 36, End: 35 };
