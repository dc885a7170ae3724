// What is drawn of the store: phase rows, the timeline, the event log.
//
// Each view keeps the elements it made and changes only what differs. Whatever an event says
// reaches the page through textContent, never as markup.

import {
  elapsed,
  formatDuration,
  formatPercent,
  formatTime,
  ordered,
  passes,
  wording,
} from "./store.js";

/** Rows of the event log in the page; more are kept, and found by filtering. */
export const MAX_ROWS = 500;

/** What the monitor puts in place of a line feed; where an error is shown whole, it breaks. */
const LINE_FEED_PICTURE = "\u240a";
const SVG = "http://www.w3.org/2000/svg";
export const WORDS = {
  pending: "pending",
  in_progress: "running",
  completed: "completed",
  failed: "failed",
};
const GAP_WORDS = {
  thinned: "this page could not keep up, so the monitor left out older progress reports",
  expired: "the monitor no longer has them",
  new_log: "the monitor began a new log; what it knew before is gone",
  unexplained: "the monitor gave no reason",
};

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawn(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

function symbol(name, className) {
  const made = drawn("svg", { class: `mark ${className ?? name}`, "aria-hidden": "true" });
  drawn("use", { href: `#mark-${name}` }, made);
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Give a select these [value, text] options, keeping the choice; touch it only if they differ. */
export function setOptions(select, options, chosen) {
  const wanted = JSON.stringify(options);
  if (select.options.length !== options.length || select.wanted !== wanted) {
    select.wanted = wanted;
    select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  }
  if (select.value !== chosen) select.value = chosen;
}

/** What a gap left out, and why, in words. */
export function gapWording({ omitted, reason, from, to }) {
  const why = GAP_WORDS[reason] ?? String(reason);
  if (!Number.isFinite(omitted)) return `Gap: ${why}.`;
  const many = `${omitted.toLocaleString("en")} ${omitted === 1 ? "event" : "events"}`;
  const where = from === to ? `at offset ${from}` : `between offsets ${from} and ${to}`;
  return `Gap: ${many} ${where} missed: ${why}.`;
}

/** One row per phase, failed ones first. */
export class PhaseRows {
  #list;
  #rows = new Map();
  #run = null;

  constructor(list) {
    this.#list = list;
  }

  draw(run, now) {
    if (run !== this.#run) {
      this.#list.replaceChildren();
      this.#rows.clear();
      this.#run = run;
    }
    if (!run) return;
    const phases = ordered(run);
    for (const [name, row] of this.#rows) {
      if (!run.phases.has(name)) {
        row.item.remove();
        this.#rows.delete(name);
      }
    }
    phases.forEach((phase, index) => {
      let row = this.#rows.get(phase.name);
      if (row === undefined) {
        row = new PhaseRow(phase.name);
        this.#rows.set(phase.name, row);
      }
      const there = this.#list.children[index];
      if (there !== row.item) this.#list.insertBefore(row.item, there ?? null);
      row.draw(phase, now);
    });
  }
}

class PhaseRow {
  constructor(name) {
    this.item = element("li", "phase");
    this.mark = element("span", "status-mark");
    this.word = element("span", "word");
    this.said = element("p", "said");
    this.error = element("p", "error");
    this.error.setAttribute("role", "group");
    this.bar = element("progress");
    this.bar.max = 100;
    this.percent = element("span", "percent");
    this.time = element("span", "time");
    const title = element("h3", "", name);
    this.bar.setAttribute("aria-label", `Progress of ${name}`);
    this.error.setAttribute("aria-label", `Error of ${name}`);
    this.item.append(this.mark, title, this.word, this.bar, this.percent, this.time);
    this.item.append(this.said, this.error);
  }

  draw(phase, now) {
    const { status } = phase;
    if (this.item.dataset.status !== status) {
      this.item.dataset.status = status;
      this.mark.replaceChildren(symbol(status));
      setText(this.word, WORDS[status]);
    }
    if (this.bar.value !== phase.progress) this.bar.value = phase.progress;
    setText(this.percent, formatPercent(phase.progress));
    const ms = elapsed(phase, now);
    setText(this.time, ms === null ? "–" : formatDuration(ms));
    this.time.title = ms === null ? "it began before the events this page has" : "elapsed time";
    setText(this.said, phase.message ?? "");
    const error = (phase.error ?? "").replaceAll(LINE_FEED_PICTURE, "\n");
    if (this.error.textContent === error && this.error.hidden === !error) return;
    this.error.textContent = error;
    this.error.hidden = !error;
    // A box that scrolls must be reachable by keyboard; one that does not needs no stop.
    if (this.error.scrollHeight > this.error.clientHeight + 1) this.error.tabIndex = 0;
    else this.error.removeAttribute("tabindex");
  }
}

const LANE = 26;
const AXIS = 22;
const STEPS_S = [
  0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600,
  86400, 604800,
];

/** Phases as bars over time, checkpoints and trashed files as marks on them. */
export class Timeline {
  #svg;

  constructor(svg) {
    this.#svg = svg;
  }

  /** Draw a run as of `now`. Cheap enough for a few times a second, not for every event. */
  draw(run, now) {
    const width = this.#svg.clientWidth;
    if (!width) return;
    const lanes = run ? [...run.phases.keys()] : [];
    const scale = run && timeScale(run, now, width);
    if (!scale) {
      this.#svg.replaceChildren();
      this.#svg.setAttribute("height", 0);
      this.#svg.setAttribute("aria-label", "No phase has begun");
      return;
    }
    const common = [...run.marks].some((mark) => !run.phases.has(mark.phase));
    const height = (lanes.length + (common ? 1 : 0)) * LANE + AXIS;
    const parts = document.createDocumentFragment();
    drawAxis(parts, scale, height);
    lanes.forEach((name, lane) => drawLane(parts, run.phases.get(name), lane, scale));
    if (common) drawLabel(parts, "run", lanes.length, scale);
    for (const mark of run.marks) {
      const lane = lanes.indexOf(mark.phase);
      drawMark(parts, mark, lane < 0 ? lanes.length : lane, scale);
    }
    this.#svg.setAttribute("height", height);
    this.#svg.setAttribute("aria-label", described(run, scale));
    this.#svg.replaceChildren(parts);
  }
}

function timeScale(run, now, width) {
  let start = run.firstAt;
  let end = run.lastAt;
  for (const phase of run.phases.values()) {
    if (phase.status === "in_progress") end = Math.max(end, now);
  }
  if (!Number.isFinite(start) || !Number.isFinite(end)) return null;
  if (end - start < 10) end = start + 10;
  const gutter = Math.min(150, Math.max(76, Math.round(width * 0.22)));
  const room = width - gutter - 14;
  const x = (time) => gutter + (room * (time - start)) / (end - start);
  return { start, end, gutter, room, width, x };
}

function drawAxis(parent, { start, end, room, x }, height) {
  const seconds = (end - start) / 1_000;
  const step = STEPS_S.find((each) => (seconds / each) * 64 <= room) ?? seconds;
  for (let at = 0; at <= seconds * 1.0001; at += step) {
    const left = x(start + at * 1_000);
    const attributes = { x1: left, x2: left, y1: 0, y2: height - AXIS + 4, class: "tick" };
    drawn("line", attributes, parent);
    const text = { x: left, y: height - 5, class: "tick-text", "text-anchor": "middle" };
    drawn("text", text, parent).textContent = tickLabel(at);
  }
}

function tickLabel(seconds) {
  return seconds === 0 ? "0" : formatDuration(Math.round(seconds * 1_000)).replace(".0 s", " s");
}

function drawLabel(parent, name, lane, { gutter }) {
  const fits = Math.floor((gutter - 14) / 6.6);
  const letters = [...name];
  const shown = letters.length > fits ? `${letters.slice(0, fits - 1).join("")}…` : name;
  const text = drawn("text", { x: 0, y: lane * LANE + 17, class: "lane-text" }, parent);
  text.textContent = shown;
  drawn("title", {}, text).textContent = name;
}

function drawLane(parent, phase, lane, scale) {
  drawLabel(parent, phase.name, lane, scale);
  for (const span of phase.spans) {
    const from = scale.x(span.began ?? scale.start);
    const to = scale.x(span.ended ?? scale.end);
    const bar = drawn("rect", {
      x: from,
      y: lane * LANE + 6,
      width: Math.max(3, to - from),
      height: LANE - 12,
      rx: 3,
      class: `bar ${span.status}${span.began === null ? " unseen-start" : ""}`,
    });
    const ms = span.began === null ? "" : `, ${formatDuration((span.ended ?? scale.end) - span.began)}`;
    drawn("title", {}, bar).textContent = `${phase.name}: ${WORDS[span.status]}${ms}`;
    parent.append(bar);
  }
}

function drawMark(parent, { type, path, time }, lane, scale) {
  const kind = type === "file_trashed" ? "trashed" : "checkpoint";
  const place = { x: scale.x(time) - 6, y: lane * LANE + 7, width: 12, height: 12 };
  const mark = drawn("svg", { ...place, class: `mark ${kind}`, viewBox: "0 0 16 16" }, parent);
  drawn("title", {}, mark).textContent =
    `${kind === "trashed" ? "moved to trash" : "checkpoint"}: ${path}`;
  drawn("use", { href: `#mark-${kind}` }, mark);
}

function described(run, { start, end }) {
  const marks = [...run.marks];
  const trashed = marks.filter((mark) => mark.type === "file_trashed").length;
  return (
    `Timeline of ${formatDuration(end - start)}: ${run.phases.size} phases,` +
    ` ${marks.length - trashed} checkpoints, ${trashed} files moved to trash`
  );
}

/** The newest entries of the log that pass the filter, newest first. */
export class EventRows {
  #list;
  #log;
  #drawnTo = 0;
  #filter = { run: null, type: "", phase: "", text: "" };

  constructor(list, log) {
    this.#list = list;
    this.#log = log;
    this.paused = false;
  }

  /** How many entries came since the log was paused. */
  get waiting() {
    return this.#log.end - this.#drawnTo;
  }

  /** Whether so much came since the log was paused that nothing of before is kept. */
  get outrun() {
    return this.paused && this.#drawnTo <= this.#log.start && this.#drawnTo < this.#log.end;
  }

  get shown() {
    return this.#list.childElementCount;
  }

  filter(filter) {
    this.#filter = filter;
    this.redraw();
  }

  /** Show nothing: the log was cleared. */
  clear() {
    this.#list.replaceChildren();
    this.#drawnTo = 0;
  }

  redraw() {
    const end = this.paused ? this.#drawnTo : this.#log.end;
    this.#list.replaceChildren(...this.#newest(this.#log.start, end));
    this.#drawnTo = end;
  }

  /** Add what came since the last time; work is bounded by the rows kept, whatever came. */
  draw() {
    if (this.paused || this.#drawnTo === this.#log.end) return;
    const rows = this.#newest(Math.max(this.#drawnTo, this.#log.start), this.#log.end);
    this.#drawnTo = this.#log.end;
    if (rows.length === MAX_ROWS) {
      this.#list.replaceChildren(...rows);
      return;
    }
    this.#list.prepend(...rows);
    while (this.shown > MAX_ROWS) this.#list.lastElementChild.remove();
  }

  /** All kept entries that pass the filter, oldest first, as JSON Lines. */
  jsonLines() {
    const lines = [];
    for (const entry of this.#log) {
      if (!passes(entry, this.#filter)) continue;
      lines.push(`${JSON.stringify(entry.event ?? { type: "gap", ...entry.gap })}\n`);
    }
    return lines.join("");
  }

  #newest(start, end) {
    const rows = [];
    for (let number = end - 1; number >= start && rows.length < MAX_ROWS; number -= 1) {
      const entry = this.#log.at(number);
      if (passes(entry, this.#filter)) rows.push(entry.event ? eventRow(entry) : gapRow(entry));
    }
    return rows;
  }
}

function eventRow({ event }) {
  const row = element("li", `event ${event.type}`);
  const time = element("time", "", formatTime(Date.parse(event.timestamp)));
  time.dateTime = event.timestamp;
  const run = event.run === undefined ? "" : `, run ${event.run}`;
  time.title = `${event.timestamp}, offset ${event.offset}${run}`;
  const about = element("span", "about", event.phase ?? "");
  row.append(time, element("span", "type", event.type), about);
  row.append(element("span", "text", wording(event)));
  return row;
}

function gapRow({ gap, at }) {
  const row = element("li", "event gap");
  const text = element("span", "text", gapWording(gap));
  row.append(element("time", "", formatTime(at)), symbol("gap"), text);
  return row;
}
