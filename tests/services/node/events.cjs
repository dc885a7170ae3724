"use strict";
// What messages and events of the Node service may hold.

const NAME = /^[A-Za-z0-9._-]{1,40}$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$/;
const STATES = ["pending", "in_progress", "completed", "failed"];
const REQUIRED = new Map(Object.entries({
  phase_start: ["phase"], phase_progress: ["phase", "progress"], phase_complete: ["phase"],
  phase_failed: ["phase", "error"], checkpoint_created: ["path"], file_trashed: ["path"],
  phase_update: ["phase", "status", "progress"],
}));
const NAMES = ["phase", "run", "id"];
const FREE_TEXT = ["message", "error", "path"];

/** Count the members of all objects in a value; -1 where a text is no Unicode. */
function members(value) {
  let count = 0;
  const open = [value];
  while (open.length) {
    const next = open.pop();
    if (typeof next === "string" && !next.isWellFormed()) return -1;
    if (typeof next === "number" && !Number.isFinite(next)) return -1;
    if (next === null || typeof next !== "object") continue;
    if (!Array.isArray(next)) count += Object.keys(next).length;
    open.push(...Object.values(next));
  }
  return count;
}

/** Return a message as an object, or null: no JSON, or readers could disagree on it. */
function read(text) {
  try {
    const message = JSON.parse(text);
    if (message === null || typeof message !== "object" || Array.isArray(message)) return null;
    const written = text.replace(/"(?:[^"\\]|\\.)*"/g, "").split(":").length - 1;
    return members(message) === written ? message : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return null;
    throw error;
  }
}

/** Return an event as it is passed on, without its free text; null if it is none. */
function clean(event) {
  if (event === null || typeof event !== "object" || !REQUIRED.has(event.type)) return null;
  const required = ["type", "timestamp", ...REQUIRED.get(event.type)];
  const known = [...required, ...NAMES, ...FREE_TEXT, "status", "progress"];
  const given = Object.keys(event);
  if (!required.every((name) => given.includes(name))) return null;
  if (!given.every((name) => known.includes(name))) return null;
  if (!given.every((name) => name === "progress" || typeof event[name] === "string")) return null;
  if (!INSTANT.test(event.timestamp)) return null;
  if (!STATES.includes(event.status ?? "failed")) return null;
  if (!NAMES.every((name) => event[name] === undefined || NAME.test(event[name]))) return null;
  const progress = event.progress ?? 0;
  if (typeof progress !== "number" || !(progress >= 0 && progress <= 100)) return null;
  return Object.fromEntries(Object.entries(event).filter(([name]) => !FREE_TEXT.includes(name)));
}

module.exports = { clean, read };
