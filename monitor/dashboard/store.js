// What is known of the pipeline: runs, their phases and marks, and the newest events. Pure.
//
// Everything is bounded, and taking an event costs the same however many came before. Times are
// milliseconds since 1970: `at` by this browser's clock, all others by the publisher's.

export const MAX_ENTRIES = 5_000;
const MAX_RUNS = 50;
const MAX_PHASES = 200;
const MAX_MARKS = 400;
const MAX_SPANS = 20;
const ENDED = new Set(["completed", "failed"]);

/** The newest entries of a sequence, numbered from 0; older ones are forgotten. */
export class Ring {
  #slots = [];

  constructor(capacity) {
    this.capacity = capacity;
    this.end = 0; // the number the next entry will have
  }

  get start() {
    return Math.max(0, this.end - this.capacity);
  }

  push(entry) {
    this.#slots[this.end % this.capacity] = entry;
    this.end += 1;
  }

  at(number) {
    return this.#slots[number % this.capacity];
  }

  clear() {
    this.#slots = [];
    this.end = 0;
  }

  *[Symbol.iterator]() {
    for (let number = this.start; number < this.end; number += 1) yield this.at(number);
  }
}

export class Store {
  constructor() {
    this.log = new Ring(MAX_ENTRIES);
    this.clear();
  }

  /** Forget everything. */
  clear() {
    this.log.clear();
    this.reset();
    this.received = 0;
    this.missed = 0;
  }

  /** Forget the runs, but not the log of what was seen. */
  reset() {
    this.runs = new Map();
    this.phaseNames = new Set();
    this.#created = 0;
  }

  #created = 0;

  /**
   * Take one event that has an offset. `at` is when it arrived; `live` tells that it had just
   * happened, so that the publisher's clock can be compared with ours.
   */
  take(event, at, live) {
    this.received += 1;
    this.log.push({ event, at });
    const time = Date.parse(event.timestamp);
    const run = this.#run(event.run);
    if (live) run.skew = at - time;
    run.lastAt = Math.max(run.lastAt, time);
    run.firstAt = Math.min(run.firstAt, time);
    if (event.phase !== undefined && event.status !== undefined) {
      advance(this.#phase(run, event.phase), event, time);
    } else if (event.path !== undefined) {
      run.marks.push({ type: event.type, phase: event.phase, path: event.path, time });
      if (event.phase !== undefined) this.#name(event.phase);
    }
  }

  /** Take the current states of all phases: they are right where they differ from ours. */
  snapshot(states) {
    const earliest = new Map();
    for (const { run, timestamp } of states) {
      const time = Date.parse(timestamp);
      earliest.set(run, Math.min(time, earliest.get(run) ?? time));
    }
    // Runs are numbered in the order they began, as far as that can be told.
    for (const [name] of [...earliest].sort((a, b) => a[1] - b[1])) this.#run(name);
    for (const state of states) {
      const time = Date.parse(state.timestamp);
      const run = this.#run(state.run);
      run.lastAt = Math.max(run.lastAt, time);
      run.firstAt = Math.min(run.firstAt, time);
      const phase = this.#phase(run, state.phase);
      if (!sameState(phase, state, time)) advance(phase, { ...state, type: "phase_update" }, time);
    }
  }

  /** Note events that were left out. */
  gap(gap, at) {
    this.missed += gap.omitted ?? 0;
    this.log.push({ gap, at });
  }

  /** The run that began last, or undefined. */
  newest() {
    let newest;
    for (const run of this.runs.values()) {
      if (newest === undefined || run.number > newest.number) newest = run;
    }
    return newest;
  }

  #run(name) {
    const key = name ?? "";
    let run = this.runs.get(key);
    if (run === undefined) {
      run = {
        key,
        number: this.#created++,
        phases: new Map(),
        marks: new Ring(MAX_MARKS),
        firstAt: Infinity,
        lastAt: -Infinity,
        skew: 0,
      };
      this.runs.set(key, run);
      dropFirst(this.runs, MAX_RUNS);
    }
    return run;
  }

  #phase(run, name) {
    let phase = run.phases.get(name);
    if (phase === undefined) {
      phase = { name, status: "pending", progress: 0, spans: [], updatedAt: -Infinity };
      run.phases.set(name, phase);
      dropFirst(run.phases, MAX_PHASES);
      this.#name(name);
    }
    return phase;
  }

  #name(phase) {
    this.phaseNames.add(phase);
    if (this.phaseNames.size > MAX_PHASES) {
      this.phaseNames.delete(this.phaseNames.values().next().value);
    }
  }
}

/** A phase is one lane of spans; `began` is null where its beginning was not seen. */
function advance(phase, event, time) {
  let span = phase.spans.at(-1);
  if (span === undefined || (span.ended !== null && !ENDED.has(event.status))) {
    const seen = event.type !== "phase_update" && event.type !== "phase_progress";
    span = { began: seen && !ENDED.has(event.status) ? time : null, ended: null };
    if (event.status !== "pending") phase.spans.push(span);
    if (phase.spans.length > MAX_SPANS) phase.spans.shift();
  }
  span.status = event.status;
  if (event.type === "phase_start") span.began = time;
  if (ENDED.has(event.status)) span.ended = time;
  phase.status = event.status;
  phase.progress = event.progress ?? phase.progress;
  phase.updatedAt = time;
  phase.message = event.message ?? (event.type === "phase_progress" ? phase.message : undefined);
  phase.error = event.error;
}

function sameState(phase, state, time) {
  return phase.updatedAt === time && phase.status === state.status;
}

function dropFirst(map, limit) {
  if (map.size > limit) map.delete(map.keys().next().value);
}

/** The status of a run as a whole: failed, in_progress, completed or pending. */
export function runStatus(run) {
  const found = new Set([...run.phases.values()].map((phase) => phase.status));
  for (const status of ["failed", "in_progress"]) if (found.has(status)) return status;
  return found.size === 1 && found.has("completed") ? "completed" : "pending";
}

/** Failed phases first, each group in the order the phases began. */
export function ordered(run) {
  const phases = [...run.phases.values()];
  const failed = (phase) => (phase.status === "failed" ? 0 : 1);
  return phases.sort((a, b) => failed(a) - failed(b));
}

/** How long a phase's latest span lasts, in ms; null if its beginning is not known. */
export function elapsed(phase, now) {
  const span = phase.spans.at(-1);
  if (span === undefined || span.began === null) return null;
  return Math.max(0, (span.ended ?? Math.max(now, phase.updatedAt)) - span.began);
}

/** Whether a log entry passes the filter {run, type, phase, text}; gaps always do. */
export function passes(entry, { run, type, phase, text }) {
  const { event } = entry;
  if (event === undefined) return true;
  if (run !== null && (event.run ?? "") !== run) return false;
  if (type && event.type !== type) return false;
  if (phase && event.phase !== phase) return false;
  return !text || searchable(entry).includes(text);
}

function searchable(entry) {
  entry.text ??= ["type", "run", "phase", "path", "message", "error", "id"]
    .map((field) => entry.event[field] ?? "")
    .join("\n")
    .toLowerCase();
  return entry.text;
}

/** What an event says beside its type and phase. */
export function wording(event) {
  const said = (event.error ?? event.path ?? event.message ?? "").replaceAll("\u240a", " ");
  const told = event.type === "phase_progress" || event.type === "phase_update";
  return told ? [formatPercent(event.progress), said].filter(Boolean).join(" · ") : said;
}

export function formatPercent(progress) {
  return `${Math.floor(progress)} %`;
}

/** 840 ms, 12.3 s, 4:05, 1:02:03. */
export function formatDuration(ms) {
  if (ms < 1_000) return `${Math.floor(ms)} ms`;
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1_000);
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60];
  const hours = Math.floor(seconds / 3_600);
  if (hours) parts.unshift(hours);
  return parts.map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}

/** The time of day, by this browser's clock and zone. */
export function formatTime(ms) {
  const time = new Date(ms);
  return [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, "0"))
    .join(":");
}
