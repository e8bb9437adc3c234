/** The shell around the logic: performs effects, feeds their results in, and draws at most once a frame. */

import { KEPT, initial, update } from "./core.js";
import { makePage } from "./page.js";

const PATIENCE = 30_000; // Milliseconds until a request counts as lost.
const GATHER = 25; // Milliseconds during which events are gathered, so that a burst is drawn once.
const BATCH = 500; // Events handled at a time, so that the page stays quick under ten thousand.

const draw = makePage(dispatch);
const timers = new Map();
let state = initial(Object.fromEntries(KEPT.map((name) => [name, recall(name)]).filter(([, value]) => value)));
let stream = null;
let drawn = false;

function dispatch(input) {
  const before = state;
  const step = update(state, input);
  state = step.state;
  for (const name of KEPT) if (state[name] !== before[name]) keep(name, state[name]);
  for (const effect of step.effects) EFFECTS[effect.kind](effect);
  if (drawn) return;
  drawn = true;
  requestAnimationFrame(() => {
    drawn = false;
    draw(state, Date.now());
  });
}

const EFFECTS = {
  async request(request) {
    const { path, method, body } = request;
    let input = { type: "unreachable", request };
    try {
      const response = await fetch(new URL(path, document.baseURI), { method, headers: body ? { "content-type": "application/json" } : {}, body, signal: AbortSignal.timeout(PATIENCE) });
      const date = Date.now() - Date.parse(response.headers.get("date"));
      input = { type: "answer", request, status: response.status, text: await response.text(), date };
    } catch {
      // No answer, or half of one: what came is no use.
    }
    dispatch(input);
  },

  stream({ id, after }) {
    EFFECTS.hush();
    const source = new EventSource(new URL(`events/${encodeURIComponent(id)}?sse=true&include_internal=true&include_timestamp=true&include_attempts=true&after_sequence=${after}`, document.baseURI));
    const batch = [];
    let gathering = 0;
    const hand = (some = Infinity) => {
      clearTimeout(gathering);
      gathering = 0;
      const now = batch.splice(0, some);
      if (now.length > 0) dispatch({ type: "events", id, batch: now });
      if (batch.length > 0) gathering = setTimeout(hand, 0, BATCH);
    };
    stream = { source, hand };
    source.onopen = () => dispatch({ type: "stream", id, is: "open" });
    source.onmessage = (message) => {
      batch.push([Number(message.lastEventId), message.data]);
      gathering ||= setTimeout(hand, GATHER, BATCH);
    };
    source.onerror = () => {
      hand();
      if (stream?.source === source) dispatch({ type: "stream", id, is: "closed" });
    };
  },

  hush() {
    const old = stream;
    stream = null;
    old?.source.close();
    old?.hand();
  },

  timer({ name, after }) {
    clearTimeout(timers.get(name));
    timers.set(name, setTimeout(dispatch, after, { type: "timer", name }));
  },

  go: ({ hash }) => (location.hash = hash),
  address: ({ hash }) => history.replaceState(null, "", hash),
};

function keep(name, value) {
  try {
    localStorage.setItem(`workflow-server:${name}`, JSON.stringify(value));
  } catch {
    // A full or forbidden store costs convenience only.
  }
}

function recall(name) {
  try {
    return JSON.parse(localStorage.getItem(`workflow-server:${name}`));
  } catch {
    return null;
  }
}

addEventListener("hashchange", () => dispatch({ type: "opened", hash: location.hash }));
document.addEventListener("visibilitychange", () => dispatch({ type: "visible", yes: !document.hidden }));
setInterval(() => draw(state, Date.now()), 1000); // How long a run has been going on.
dispatch({ type: "opened", hash: location.hash });
