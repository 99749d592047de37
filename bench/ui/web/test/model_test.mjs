// What the page knows and how it draws long series, without a browser: node test/model_test.mjs
import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";

const load = async (entry) => {
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, write: false, format: "esm" });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`);
};
const { Model, faultText, fromRecord, inForce, resample } = await load("src/model.ts");
const { thin } = await load("src/thin.ts");
const format = await load("src/format.ts");

const second = (at_s, more = {}) => ({ at_s, offered: 10, achieved: 9, errors: 1, dropped: 0, admitted: 0, p50_s: 0.001,
  p99_s: 0.002, p999_s: 0.003, max_s: 0.004, in_flight: 1, ...more });
const fault = (more = {}) => ({ id: "redis.pause#1", fault: "redis.pause", part: "redis", asked_s: 5, applied_s: null,
  seen_s: null, evidence: "", heal_asked_s: null, healed_s: null, error: "", ...more });

test("seconds become columns, each once, also after a replay", () => {
  const model = new Model();
  model.load({ variant: "deny" });
  for (const at of [1, 2, 2, 1, 3]) model.apply("second", second(at), at);
  assert.deepEqual(model.trial.time, [1, 2, 3]);
  assert.equal(model.trial.columns.p99_s.length, 3);
  assert.equal(model.trial.variant, "deny");
});

test("queues that come and go keep their places", () => {
  const model = new Model();
  model.apply("second", second(1), 1);
  model.apply("second", second(2, { queues: { "a.b": 7 } }), 2);
  model.apply("second", second(3), 3);
  assert.deepEqual(model.trial.queues.get("a.b"), [null, 7, null]);
});

test("the state document is ahead of the events that led to it", () => {
  const model = new Model();
  model.load({ last_event: 5, load_factor: 2, parts: [{ name: "redis", state: "up" }] });
  model.apply("state", { load_factor: 1 }, 4);
  model.apply("part", { name: "redis", replica: 0, state: "down" }, 5);
  assert.equal(model.state.load_factor, 2);
  assert.equal(model.state.parts[0].state, "up");
  model.apply("part", { name: "redis", replica: 0, state: "down" }, 6);
  assert.equal(model.state.parts[0].state, "down");
  model.apply("state", { load_factor: 4 }, 7);
  assert.equal(model.state.load_factor, 4);
});

test("a trial has what was there when it began, and its own seconds", () => {
  const model = new Model();
  model.load({ phases: [{ name: "steady", begin_s: 0, end_s: 10 }] });
  model.apply("trial", { variant: "a", repeat: 1, index: 0, total: 2 }, 1);
  model.apply("second", second(1), 2);
  model.apply("trial", { variant: "b", repeat: 1, index: 1, total: 2 }, 3);
  model.apply("second", second(1), 4);
  assert.deepEqual(model.trials.map((trial) => [trial.variant, trial.time.length, trial.phases.length]), [["a", 1, 1], ["b", 1, 1]]);
});

test("a fault is in force from its effect until it is seen healed", () => {
  assert.equal(inForce(fault(), 6), false);
  assert.equal(inForce(fault({ applied_s: 5 }), 4.9), false);
  assert.equal(inForce(fault({ applied_s: 5 }), 1000), true);
  assert.equal(inForce(fault({ applied_s: 5, healed_s: 9 }), 9), false);
});

test("the newest thing about a fault is told", () => {
  assert.equal(faultText(fault()), "redis.pause asked for");
  assert.match(faultText(fault({ applied_s: 5, seen_s: 5.021, evidence: "silent" })), /seen by a probe after 21 ms: silent/);
  assert.match(faultText(fault({ applied_s: 5, heal_asked_s: 9, healed_s: 9.002 })), /well again after 2 ms/);
  assert.match(faultText(fault({ error: "no such part" })), /no such part/);
});

test("phases and places in time are found", () => {
  const trial = fromRecord({ variant: "a", repeat: 1, phases: [{ name: "x", begin_s: 0, end_s: 1 }, { name: "y", begin_s: 1, end_s: 2 }],
    parts: [], faults: [], notes: [], step_s: 0.25, columns: { offered: [1, 2, 3, 4, 5, 6, 7, 8] }, queues: {} }, 0, 1);
  assert.equal(trial.time.length, 8);
  assert.equal(trial.indexAt(0), -1);
  assert.equal(trial.indexAt(0.6), 1);
  assert.equal(trial.indexAt(Infinity), 7);
  assert.equal(trial.phaseAt(1.2), "y");
  assert.equal(trial.end_s, 2);
});

test("samples of another rhythm are taken over until they are old", () => {
  assert.deepEqual(resample([[1, 10], [2, 20]], [0.5, 1, 1.5, 2.5, 6]), [null, 10, 10, 20, null]);
});

test("a long series becomes short and keeps its peaks and means", () => {
  const count = 10_000;
  const time = Array.from({ length: count }, (_, i) => i + 1);
  const flat = time.map(() => 1);
  flat[4321] = 99;
  const { time: times, columns, every } = thin(time, [{ values: flat, keep: "worst" }, { values: flat, keep: "mean" }], 0, 600);
  assert.ok(times.length <= 600 && times.length > 200, `${times.length}`);
  assert.equal(Math.max(...columns[0]), 99);
  assert.equal(columns[0].filter((value) => value === 99).length, 1);
  assert.ok(Math.abs(Math.max(...columns[1]) - (98 / every + 1)) < 1e-9);
  assert.equal(times.at(-1), count);
  // One more second changes nothing but the end.
  const more = thin([...time, count + 1], [{ values: [...flat, 1], keep: "worst" }], 0, 600);
  assert.deepEqual(more.time.slice(0, -1), times.slice(0, more.time.length - 1));
});

test("a gap stays a gap", () => {
  const { columns } = thin([1, 2, 3, 4], [{ values: [null, null, 5, null], keep: "mean" }], 0, 2);
  assert.deepEqual(columns[0], [null, 5]);
});

test("numbers read as in the terminal", () => {
  assert.equal(format.seconds(0.000562), "562 µs");
  assert.equal(format.seconds(0.0061), "6.1 ms");
  assert.equal(format.seconds(2.5), "2.5 s");
  assert.equal(format.seconds(null), "–");
  assert.equal(format.rate(63174), "63,174/s");
  assert.equal(format.short(63174), "63.2k");
  assert.equal(format.clock(7.25), "7.3 s");
  assert.equal(format.clock(3725), "1:02:05");
});
