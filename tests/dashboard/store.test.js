// What the store makes of events: phases, spans, runs, bounds.

import assert from "node:assert/strict";
import { test } from "node:test";

import { elapsed, formatDuration, MAX_ENTRIES, ordered, passes, Ring, runStatus, Store } from "./store.js";

const T0 = Date.parse("2025-01-01T12:00:00Z");
let offset = 0;

function event(type, phase, seconds, fields = {}) {
  const fixed = {
    phase_start: { status: "in_progress", progress: 0 },
    phase_progress: { status: "in_progress" },
    phase_complete: { status: "completed", progress: 100 },
    phase_failed: { status: "failed" },
  }[type];
  offset += 1;
  const timestamp = new Date(T0 + seconds * 1_000).toISOString();
  return { type, phase, timestamp, offset, ...fixed, ...fields };
}

function fed(...events) {
  const store = new Store();
  for (const each of events) store.take(each, Date.parse(each.timestamp) + 40, true);
  return store;
}

test("a ring keeps the newest and forgets the oldest", () => {
  const ring = new Ring(3);
  for (let n = 0; n < 8; n += 1) ring.push(n);
  assert.deepEqual([...ring], [5, 6, 7]);
  assert.equal(ring.start, 5);
});

test("a phase lasts from its start to its end, by the publisher's clock", () => {
  const store = fed(event("phase_start", "a", 0), event("phase_complete", "a", 12));
  const run = store.newest();
  assert.equal(elapsed(run.phases.get("a"), T0 + 99_000), 12_000);
  assert.equal(runStatus(run), "completed");
  assert.equal(run.skew, 40);
});

test("a running phase lasts until now, and never runs backwards", () => {
  const phase = fed(event("phase_start", "a", 5)).newest().phases.get("a");
  assert.equal(elapsed(phase, T0 + 9_000), 4_000);
  assert.equal(elapsed(phase, T0), 0);
});

test("a phase whose start was not seen has no elapsed time", () => {
  const store = fed(event("phase_progress", "a", 5, { progress: 10 }));
  assert.equal(elapsed(store.newest().phases.get("a"), T0), null);
});

test("a phase that is started again gets a span of its own", () => {
  const store = fed(
    event("phase_start", "a", 0),
    event("phase_failed", "a", 3, { error: "x" }),
    event("phase_start", "a", 10),
    event("phase_complete", "a", 14),
  );
  const phase = store.newest().phases.get("a");
  assert.deepEqual(
    phase.spans.map(({ began, ended, status }) => [began - T0, ended - T0, status]),
    [[0, 3_000, "failed"], [10_000, 14_000, "completed"]],
  );
  assert.equal(phase.error, undefined);
});

test("failed phases come first, the others in the order they began", () => {
  const store = fed(
    event("phase_start", "a", 0),
    event("phase_start", "b", 1),
    event("phase_start", "c", 2),
    event("phase_failed", "c", 3, { error: "x" }),
  );
  assert.deepEqual(ordered(store.newest()).map(({ name }) => name), ["c", "a", "b"]);
  assert.equal(runStatus(store.newest()), "failed");
});

test("the last message of a phase stays until another event has its say", () => {
  const store = fed(
    event("phase_progress", "a", 0, { progress: 1, message: "one" }),
    event("phase_progress", "a", 1, { progress: 2 }),
  );
  const phase = store.newest().phases.get("a");
  assert.equal(phase.message, "one");
  store.take(event("phase_complete", "a", 2), T0, true);
  assert.equal(phase.message, undefined);
});

test("a snapshot corrects what events left behind, and leaves alone what they say already", () => {
  const store = fed(event("phase_start", "a", 0, { run: "r" }), event("phase_start", "b", 1, { run: "r" }));
  store.snapshot([
    event("phase_update", "a", 9, { run: "r", status: "completed", progress: 100 }),
    event("phase_update", "b", 1, { run: "r", status: "in_progress", progress: 0 }),
    event("phase_update", "z", 4, { run: "s", status: "failed", progress: 3, error: "e" }),
  ]);
  const { phases } = store.runs.get("r");
  assert.equal(elapsed(phases.get("a"), T0), 9_000);
  assert.equal(phases.get("b").spans.length, 1);
  assert.equal(elapsed(store.runs.get("s").phases.get("z"), T0), null);
});

test("the newest run is the one that began last, whatever changed last", () => {
  const store = new Store();
  store.snapshot([
    event("phase_update", "a", 50, { run: "late", status: "in_progress", progress: 1 }),
    event("phase_update", "a", 90, { run: "early", status: "in_progress", progress: 1 }),
    event("phase_update", "b", 10, { run: "early", status: "completed", progress: 100 }),
  ]);
  assert.equal(store.newest().key, "late");
  store.take(event("phase_progress", "a", 95, { run: "early", progress: 2 }), T0, true);
  assert.equal(store.newest().key, "late");
});

test("whatever comes, what is kept is bounded", () => {
  const store = new Store();
  for (let n = 0; n < 6_000; n += 1) {
    const run = `run ${n % 120}`;
    store.take(event("phase_start", `phase ${n}`, n, { run }), T0, true);
    store.take({ ...event("checkpoint_created", "p", n), path: "x", run: "one" }, T0, true);
    store.take(event("phase_start", `again ${n % 300}`, n, { run: "one" }), T0, true);
  }
  assert.equal(store.received, 18_000);
  assert.equal([...store.log].length, MAX_ENTRIES);
  assert.ok(store.runs.size <= 50);
  assert.ok(store.phaseNames.size <= 200);
  for (const run of store.runs.values()) {
    assert.ok(run.phases.size <= 200);
    assert.ok([...run.marks].length <= 400);
    for (const phase of run.phases.values()) assert.ok(phase.spans.length <= 20);
  }
});

test("names like __proto__ are names", () => {
  const store = fed(event("phase_start", "__proto__", 0, { run: "constructor" }));
  assert.deepEqual([...store.runs.get("constructor").phases.keys()], ["__proto__"]);
  assert.equal({}.name, undefined);
});

test("a filter looks at run, type, phase and all text, without case; gaps always pass", () => {
  const entry = { event: event("phase_failed", "a", 0, { error: "Disk FULL", run: "r" }) };
  const all = { run: null, type: "", phase: "", text: "" };
  assert.ok(passes(entry, all));
  assert.ok(passes(entry, { ...all, text: "disk full" }));
  assert.ok(!passes(entry, { ...all, text: "disk empty" }));
  assert.ok(!passes(entry, { ...all, run: "" }));
  assert.ok(!passes(entry, { ...all, phase: "b" }));
  assert.ok(!passes(entry, { ...all, type: "phase_start" }));
  assert.ok(passes({ gap: { omitted: 1 } }, { ...all, text: "disk" }));
});

test("durations are told as one reads them", () => {
  const told = [0, 840, 999.7, 12_340, 59_990, 60_000, 245_000, 3_723_000].map(formatDuration);
  assert.deepEqual(told, ["0 ms", "840 ms", "999 ms", "12.3 s", "59.9 s", "1:00", "4:05", "1:02:03"]);
});
