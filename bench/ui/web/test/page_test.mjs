// The page in a headless Chromium: node test/page_test.mjs <live_sample> <report.html> …
// axe finds nothing, nothing is wider than the screen, and what a person does works with the keyboard.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { after, before, test } from "node:test";
import { Browser, findBrowser } from "./browser.mjs";

const [sample, ...reports] = process.argv.slice(2);
const axe = readFileSync("node_modules/axe-core/axe.min.js", "utf8");
const pictures = process.env.LAB_PICTURES;  // a folder for what it looked like
const kTags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const kDrawn = "document.querySelector('.u-over')";
// Of a report: a lab that explores instead of carrying load has no curve to draw.
const kCarriesLoad = "JSON.parse(document.getElementById('data').textContent).trials.some(({ columns }) => columns.offered?.length)";
const kShown = `${kCarriesLoad} ? ${kDrawn} : document.getElementById('explore').hidden`;
const kScreens = [360, 1440].flatMap((width) => [false, true].map((dark) => ({ width, dark })));
const told = ({ width, dark }) => `${width} px, ${dark ? "dark" : "light"}`;

let browser;
before(() => { browser = new Browser(findBrowser()); });
after(() => browser.close());

async function serve(...options) {
  const process = spawn(sample, options, { stdio: ["pipe", "pipe", "inherit"] });
  const url = await new Promise((done, fail) => {
    process.stdout.once("data", (line) => done(String(line).trim()));
    process.once("exit", (code) => fail(new Error(`live_sample ended with ${code}`)));
  });
  return { url, stop: () => new Promise((done) => { process.once("exit", done); process.stdin.end(); }) };
}

async function check(page, screen, name) {
  assert.ok(await page.run("document.documentElement.scrollWidth") <= screen.width, "wider than the screen");
  await page.run(axe);
  const { violations } = await page.run(`axe.run(document, { runOnly: ${JSON.stringify(kTags)}, resultTypes: ["violations"] })`);
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).slice(0, 3).join(" | ")}`), []);
  assert.deepEqual(page.problems, []);
  if (pictures) writeFileSync(`${pictures}/${name}-${screen.width}-${screen.dark ? "dark" : "light"}.png`, await page.picture());
}

for (const kind of ["by hand", "judged"]) {
  test(`live page, ${kind}`, async (t) => {
    const server = await serve("--seconds", "25", ...(kind === "judged" ? ["--judged"] : []));
    for (const screen of kScreens) {
      await t.test(told(screen), async () => {
        const page = await browser.open(server.url, screen);
        await page.until(kDrawn);
        await page.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })");
        await page.until("document.querySelectorAll('.chart tbody tr').length > 30");
        await check(page, screen, `live-${kind === "judged" ? "judged" : "up"}`);
        await page.close();
      });
    }
    await server.stop();
  });
}

for (const report of reports) {
  const name = `report-${basename(dirname(dirname(report)))}`;
  test(name, async (t) => {
    for (const screen of kScreens) {
      await t.test(told(screen), async () => {
        const page = await browser.open(`file://${resolve(report)}`, screen);
        await page.until(kShown);
        // One of each kind, and all of the script's: the tables of every variant would keep axe busy for minutes.
        await page.run(`(() => {
          const seen = new Set();
          for (const details of document.querySelectorAll('details')) {
            const kind = details.querySelector('summary').textContent.replace(/[0-9]+/g, '');
            details.open = !seen.has(kind);
            seen.add(kind);
          }
        })()`);
        await check(page, screen, name);
        await page.close();
      });
    }
    await t.test("without a script", async () => {
      const page = await browser.open(`file://${resolve(report)}`, { width: 1440, script: false });
      await page.until("document.querySelector('footer')");
      const text = await page.run("document.body.innerText");
      const measured = await page.run(kCarriesLoad) ? "Latency" : "Races";
      for (const word of ["Expectations", "Variants", measured, "Conditions"]) assert.ok(text.includes(word), word);
      assert.ok(!text.includes("Trial by trial"));
      await page.close();
    });
  });
}

test("a judged run has its reason, and no button that works", async () => {
  const server = await serve("--judged");
  const page = await browser.open(server.url, { width: 1440 });
  await page.until("document.querySelector('.why')");
  await page.until("document.querySelector('.verdict.fail')");
  assert.match(await page.run("document.querySelector('.why').textContent"), /\.\/lab up/);
  assert.equal(await page.run("[...document.querySelectorAll('.break button')].filter((b) => !b.disabled).length"), 0);
  assert.ok(await page.run("document.querySelectorAll('.break button').length") > 0);
  await page.close();
  await server.stop();
});

test("breaks, heals and loads by keyboard", async () => {
  const server = await serve("--seconds", "2");
  const page = await browser.open(server.url, { width: 1440 });
  const focus = (selector) => page.run(`document.querySelector(${JSON.stringify(selector)}).focus()`);
  await page.until(`document.querySelector('[aria-label="Break: redis.pause"]')`);
  await focus('[aria-label="Break: redis.pause"]');
  assert.notEqual(await page.run("getComputedStyle(document.activeElement).outlineStyle"), "none");
  await page.press("Enter");
  await page.until(`document.querySelector('[aria-label="Heal: redis.pause#99"]')`);
  await page.until("document.querySelector('.node.broken')");
  assert.match(await page.run("document.querySelector('.node.broken').textContent"), /redis.*pause/);
  assert.match(await page.run("document.querySelector('[aria-live=polite].hidden').textContent"), /redis\.pause/);
  await focus('[aria-label="Heal: redis.pause#99"]');
  await page.press("Enter");
  await page.until("!document.querySelector('.node.broken')");
  await page.run("[...document.querySelectorAll('.load button')].find((b) => b.textContent === '2×').focus()");
  await page.press("Enter");
  await page.until("[...document.querySelectorAll('.load button')].find((b) => b.ariaPressed === 'true')?.textContent === '2×'");
  // What the system refuses is told.
  await focus('[aria-label="Break: redis.flush"]');
  await page.press("Enter");
  await page.until("document.querySelector('.said').textContent.includes('redis.pause only')");
  assert.equal(page.problems.filter((problem) => !/400/.test(problem)).length, 0);
  await page.close();
  await server.stop();
});

test("the slider moves through time by keyboard", async () => {
  const server = await serve("--judged", "--seconds", "20");
  const page = await browser.open(server.url, { width: 1440 });
  await page.until(kDrawn);
  await page.run("document.getElementById('time').focus()");
  await page.press("Home");
  await page.until("document.getElementById('time').ariaValueText === null ? document.getElementById('time').getAttribute('aria-valuetext').startsWith('0 s') : true");
  for (let i = 0; i < 8; ++i) await page.press("ArrowRight");
  await page.until("document.getElementById('time').getAttribute('aria-valuetext') === '8 s, phase pause, redis.pause'");
  await page.close();
  await server.stop();
});

test("a lost server is told, and found again", async () => {
  const first = await serve("--seconds", "5");
  const page = await browser.open(first.url, { width: 1440 });
  await page.until("document.querySelector('.connection.live')");
  await first.stop();
  await page.until("document.querySelector('.connection.lost')");
  const second = await serve("--seconds", "9", "--port", new URL(first.url).port);
  await page.until("document.querySelector('.connection.live')");
  await page.until("document.querySelectorAll('.log li').length > 0");
  await page.close();
  await second.stop();
});

test("hours of seconds stay quick", async () => {
  const server = await serve("--seconds", "12000");
  const page = await browser.open(server.url, { width: 1440 });
  await page.until("Number(document.getElementById('time')?.max) >= 12000");
  await page.run("document.querySelectorAll('.chart details').forEach((d) => { d.open = true; })");
  await page.until("document.querySelectorAll('.chart tbody tr').length > 30");
  assert.ok(await page.run("document.querySelectorAll('.chart tbody tr').length") <= 3 * 41);
  assert.match(await page.run("document.querySelector('.chart figcaption').textContent"), /Each point stands for/);
  assert.ok(await page.run("document.querySelectorAll('.log li').length") <= 200);
  await page.close();
  await server.stop();
});
