// The page: takes up the token, puts connection, store and views together, draws once a frame.

const TOKEN_KEY = "wsproof.token";

// Before anything else is loaded: a token in the address does not stay there.
const arrived = takeToken();

const [{ Connection }, { Store, formatDuration, formatTime, runStatus }, views] =
  await Promise.all([import("./connection.js"), import("./store.js"), import("./views.js")]).catch(
    (error) => {
      keepToken(takeToken() ?? arrived ?? keptToken()); // a reload is to find it
      byId("loading").remove();
      byId("state-word").textContent = "Not loaded";
      byId("notice-text").textContent =
        "A part of this page did not load; the monitor may be limiting requests. Reload in a minute.";
      byId("notice").hidden = false;
      throw error;
    },
  );

byId("loading").remove();
const TICK_MS = 250;
/** The board is drawn at most so often: more often costs paint, and nobody reads faster. */
const BOARD_MS = 80;
const store = new Store();
const phaseRows = new views.PhaseRows(byId("phases"));
const timeline = new views.Timeline(byId("timeline"));
const eventRows = new views.EventRows(byId("events"), store.log);
const connection = new Connection(environment(), {
  status: statusChanged,
  event(event, live) {
    store.take(event, Date.now(), live);
    if (live && event.type === "phase_failed") announce(`Phase ${event.phase} failed`);
    changed();
  },
  snapshot(states) {
    store.snapshot(states);
    changed();
  },
  gap(gap) {
    store.gap(gap, Date.now());
    gapsUnseen += 1;
    byId("gap-text").textContent =
      views.gapWording(gap) + (gapsUnseen > 1 ? ` (${gapsUnseen} gaps so far; each is among the events.)` : "");
    byId("gap-notice").hidden = false;
    changed();
  },
  reset() {
    store.reset();
    changed();
  },
});

let gapsUnseen = 0;
let chosenRun = null; // null follows the newest
let frame = 0;
let dirty = true;
let boardDrawnAt = -Infinity;
let timelineDrawn = { at: -Infinity, run: undefined };
let drawnKind = null;
let rate = { at: performance.now(), received: 0, perSecond: 0 };

listen();
// A link that was followed while the parts still loaded is newer than the one the page came with.
const kept = takeToken() ?? arrived ?? keptToken();
if (kept) signIn(kept);
else statusChanged();
setInterval(changedByTime, TICK_MS);

function byId(id) {
  return document.getElementById(id);
}

/** Return the token of a `?token=` or `#token=` link, and remove it from address and history. */
function takeToken() {
  const url = new URL(location.href);
  const fragment = new URLSearchParams(url.hash.slice(1));
  const token = url.searchParams.get("token") ?? fragment.get("token");
  if (token === null) return null;
  url.searchParams.delete("token");
  fragment.delete("token");
  url.hash = fragment.toString();
  history.replaceState(null, "", url);
  return token;
}

function keptToken() {
  try {
    return sessionStorage.getItem(TOKEN_KEY);
  } catch {
    return null; // storage is switched off: the token lives as long as the page
  }
}

function keepToken(token) {
  try {
    if (token === null) sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, token);
  } catch {
    // as above: nothing to keep it in
  }
}

function environment() {
  const socket = new URL("/?stream=off", location.href);
  socket.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return {
    open: () => new WebSocket(socket),
    async probe() {
      try {
        const answer = await fetch("/readyz", { cache: "no-store" });
        return { status: answer.status, retryAfter: Number(answer.headers.get("Retry-After")) };
      } catch {
        return null; // nobody answers
      }
    },
    now: Date.now,
    random: Math.random,
    after(ms, callback) {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
  };
}

function signIn(token) {
  keepToken(token);
  announce("");
  drawnKind = null; // what comes of it is announced, even if it is what came of the last one
  connection.signIn(token);
}

function signOut() {
  keepToken(null);
  chosenRun = null;
  store.clear();
  pause(false);
  eventRows.clear();
  byId("filters").reset();
  filterEvents();
  seeGaps();
  connection.signOut();
}

function listen() {
  byId("sign-in-form").addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    const token = byId("token").value.trim();
    byId("token").value = "";
    if (token) signIn(token);
  });
  addEventListener("hashchange", () => {
    const token = takeToken();
    if (token) signIn(token);
  });
  addEventListener("online", () => connection.wake());
  addEventListener("offline", () => connection.check());
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") connection.wake();
  });
  addEventListener("resize", changed);
  onClick("sign-out", signOut);
  onClick("retry", () => connection.retryNow());
  onClick("gap-seen", seeGaps);
  onClick("copy-command", () => copyText(byId("command").textContent, byId("copy-command")));
  onClick("copy", () => copyText(eventRows.jsonLines(), byId("copy")));
  onClick("download", download);
  onClick("pause", () => pause(!eventRows.paused));
  byId("run").addEventListener("change", chooseRun);
  byId("filters").addEventListener("input", filterEvents);
  byId("filters").addEventListener("submit", (submitted) => submitted.preventDefault());
}

function onClick(id, callback) {
  byId(id).addEventListener("click", callback);
}

function chooseRun() {
  const { value } = byId("run");
  chosenRun = value === "newest" ? null : value.slice(1);
  filterEvents();
}

function filterEvents() {
  eventRows.filter({
    run: chosenRun,
    type: byId("filter-type").value,
    phase: byId("filter-phase").value,
    text: byId("filter-text").value.toLowerCase(),
  });
  changed();
}

function pause(paused) {
  eventRows.paused = paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  changed();
}

function seeGaps() {
  gapsUnseen = 0;
  byId("gap-notice").hidden = true;
}

async function copyText(text, button) {
  let outcome = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    outcome = "Not allowed"; // the browser's say, or no secure context
  }
  announce(outcome);
  button.textContent = outcome;
  setTimeout(() => {
    button.textContent = "Copy";
  }, 1_500);
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([eventRows.jsonLines()], { type: "application/jsonl" }));
  link.download = `events-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function announce(text) {
  byId("announcement").textContent = text;
}

function statusChanged() {
  const { kind } = connection.status;
  if (kind === "rejected") keepToken(null);
  rate = { at: performance.now(), received: store.received, perSecond: 0 };
  changed();
}

function changed() {
  dirty = true;
  if (!frame) frame = requestAnimationFrame(draw);
}

/** Time passes: clocks and countdowns move, if anything does. */
function changedByTime() {
  const now = performance.now();
  if (now - rate.at >= 1_000) {
    const perSecond = Math.round(((store.received - rate.received) * 1_000) / (now - rate.at));
    rate = { at: now, received: store.received, perSecond };
  }
  changed();
}

function draw(at) {
  frame = 0;
  if (!dirty) return;
  drawStatus();
  if (at - boardDrawnAt < BOARD_MS) {
    changed();
    return;
  }
  dirty = false;
  boardDrawnAt = at;
  const now = connection.staleSince ?? Date.now();
  const run = store.runs.get(chosenRun) ?? store.newest();
  drawRuns();
  phaseRows.draw(run, now - (run?.skew ?? 0));
  drawSummary(run, now);
  eventRows.draw();
  drawLog();
  const sinceTimeline = performance.now() - timelineDrawn.at;
  if (sinceTimeline >= TICK_MS - 20 || timelineDrawn.run !== run) {
    timelineDrawn = { at: performance.now(), run };
    timeline.draw(run, now - (run?.skew ?? 0));
  }
}

function drawStatus() {
  const { status, staleSince } = connection;
  const now = Date.now();
  const said = describe(status, now);
  const stale = staleSince === null ? "" : ` What is shown is as of ${formatTime(staleSince)}.`;
  const needsToken = status.kind === "rejected" || status.kind === "signed_out";
  document.body.dataset.connection = status.kind;
  document.body.classList.toggle("stale", staleSince !== null);
  setText("state-word", said.word);
  setText("notice-text", (said.text + stale).trim());
  byId("notice").hidden = !said.text && !stale;
  byId("retry").hidden = !said.retry;
  byId("sign-in").hidden = !needsToken;
  byId("sign-out").hidden = needsToken && !connection.everLive;
  // Before anything came nothing is known, not even that there is nothing.
  byId("board").hidden = !connection.everLive && status.kind !== "recovering";
  setText("sign-in-why", status.kind === "rejected" ? said.why : "");
  byId("sign-in-why").hidden = status.kind !== "rejected";
  if (status.kind !== drawnKind && status.kind !== "connecting") {
    if (status.kind !== "signed_out") announce(said.spoken ?? said.word);
    // What had the focus is gone with the form, or the form has come: take the focus along.
    if (document.activeElement === document.body || byId("token") === document.activeElement) {
      byId(needsToken ? "token" : "phases-heading").focus({ preventScroll: true });
    }
    drawnKind = status.kind;
  }
}

const REJECTIONS = {
  expired: ["Token expired", "This token has expired. Sign in with a fresh one."],
  revoked: ["Token revoked", "This token was revoked, or its subject disabled. Sign in with another."],
  refused: ["Token refused", "The monitor does not accept this token. Is it whole, and of this monitor?"],
  scope: ["Token refused", "This token does not allow watching: it needs the scope “subscribe”."],
};

/** The connection's state in words: one for the pill, a sentence where there is more to say. */
function describe(status, now) {
  const wait = Math.max(0, Math.ceil((status.until - now) / 1_000));
  switch (status.kind) {
    case "connecting":
      return { word: "Connecting", text: "" };
    case "recovering": {
      const many = `${status.received.toLocaleString("en")} of ${status.expected.toLocaleString("en")}`;
      return { word: "Recovering", text: `Recovering ${many} events.` };
    }
    case "live":
      return { word: "Live", text: "" };
    case "waiting": {
      const why = navigator.onLine ? status.why : "this device is offline";
      const text = `Not live: ${why}. Connecting again in ${wait} s.`;
      return { word: `Reconnecting in ${wait} s`, text, retry: true, spoken: `Not live: ${why}` };
    }
    case "restarting": {
      const text = `The monitor is restarting. Connecting again in ${wait} s.`;
      return { word: "Monitor restarting", text, retry: true };
    }
    case "limited": {
      const until = formatTime(status.until);
      const text = `The monitor limits this address: ${status.why}. Connecting again at ${until}, in ${wait} s.`;
      return { word: `Limited until ${until}`, text };
    }
    case "rejected": {
      const [word, why] = REJECTIONS[status.why];
      return { word, why, text: connection.everLive ? `${word}.` : "", spoken: why };
    }
    default:
      return { word: "Signed out", text: "" };
  }
}

function setText(id, text) {
  const node = byId(id);
  if (node.textContent !== text) node.textContent = text;
}

function drawRuns() {
  const newest = store.newest();
  if (chosenRun !== null && !store.runs.has(chosenRun)) {
    chosenRun = null; // it fell off the runs kept
    filterEvents();
  }
  const name = (run) => run.key || "(no name)";
  const runs = [...store.runs.values()].sort((a, b) => b.number - a.number);
  const options = runs.map((run) => [`=${run.key}`, `${name(run)} · ${views.WORDS[runStatus(run)]}`]);
  if (newest) options.unshift(["newest", `newest: ${name(newest)}`]);
  byId("run-choice").hidden = !newest;
  views.setOptions(byId("run"), options, chosenRun === null ? "newest" : `=${chosenRun}`);
  const phases = [...store.phaseNames].map((phase) => [phase, phase]);
  const { value } = byId("filter-phase");
  views.setOptions(byId("filter-phase"), [["", "all"], ...phases], store.phaseNames.has(value) ? value : "");
}

function drawSummary(run, now) {
  const phases = run ? [...run.phases.values()] : [];
  byId("phases-empty").hidden = phases.length > 0;
  const count = (status) => phases.filter((phase) => phase.status === status).length;
  const parts = [`${count("completed")} of ${phases.length} complete`];
  if (count("failed")) parts.unshift(`${count("failed")} failed`);
  const running = phases.find((phase) => phase.status === "in_progress");
  if (run) {
    const end = running ? now - run.skew : run.lastAt;
    parts.push(formatDuration(Math.max(0, end - run.firstAt)));
  }
  setText("run-summary", phases.length ? parts.join(" · ") : "");
  const lead = connection.status.kind === "live" && run ? parts[0] : byId("state-word").textContent;
  document.title = phases.length || connection.everLive ? `${lead} – Pipeline monitor` : "Pipeline monitor";
}

function drawLog() {
  const kept = Math.min(store.log.end, store.log.capacity);
  const number = (value) => value.toLocaleString("en");
  byId("log-empty").hidden = eventRows.shown > 0;
  const nothing = eventRows.outrun
    ? "The events from before the pause are no longer kept."
    : "No event passes the filter.";
  setText("log-empty", kept ? nothing : "No event yet.");
  setText("log-count", `${number(eventRows.shown)} of ${number(kept)} shown`);
  setText("pause", eventRows.paused ? `Resume (${number(eventRows.waiting)} new)` : "Pause");
  const speed = rate.perSecond ? ` · ${number(rate.perSecond)} a second` : "";
  const doubled = connection.doubled ? ` · ${number(connection.doubled)} doubled, shown once` : "";
  setText("counts", `${number(store.received)} events received${speed} · ${number(store.missed)} missed${doubled}`);
}
