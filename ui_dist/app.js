/** The shell around the logic: performs effects, feeds their results in, and draws at most once a frame. */

import { KEPT, initial, update } from "./core.js";
import { makePage } from "./page.js";

const PATIENCE = 30_000;
const GATHER = 25; // Milliseconds during which events are gathered, so that a burst is drawn once.
const BATCH = 500; // Events handled at a time, so that the page stays quick under ten thousand.

const draw = makePage(dispatch);
const timers = new Map();
let state = initial(recall());
let stream = null;
let drawn = false;

function dispatch(type, details) {
  const before = state;
  const step = update(state, { type, ...details });
  state = step.state;
  if (KEPT.some((name) => state[name] !== before[name])) keep();
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
    let input = ["unreachable", { request }];
    try {
      const response = await fetch(new URL(path, document.baseURI), { method, headers: body ? { "content-type": "application/json" } : {}, body, signal: AbortSignal.timeout(PATIENCE) });
      input = ["answer", { request, status: response.status, text: await response.text() }];
    } catch {
    }
    dispatch(...input);
  },

  stream({ id, after }) {
    EFFECTS.hush();
    const source = new EventSource(new URL(`events/${encodeURIComponent(id)}?sse=true&include_internal=true&include_timestamp=true&include_attempts=true&after_sequence=${after}`, document.baseURI));
    const waiting = [];
    let gathering = 0;
    const hand = () => {
      dispatch("events", { id, batch: waiting.splice(0, BATCH) });
      gathering = waiting.length > 0 ? setTimeout(hand) : 0;
    };
    stream = source;
    source.onopen = () => dispatch("stream", { id, is: "open" });
    source.onmessage = ({ lastEventId, data }) => {
      waiting.push([Number(lastEventId), data]);
      gathering ||= setTimeout(hand, GATHER);
    };
    source.onerror = () => stream === source && dispatch("stream", { id, is: "closed" });
  },

  hush() {
    stream?.close();
    stream = null;
  },

  timer({ name, after }) {
    clearTimeout(timers.get(name));
    timers.set(name, setTimeout(dispatch, after, "timer", { name }));
  },

  go: ({ hash }) => (location.hash = hash),
  address: ({ hash }) => history.replaceState(null, "", hash),
};

function recall() {
  try {
    return JSON.parse(localStorage["workflow-server"]);
  } catch {
    return {};
  }
}

function keep() {
  try {
    localStorage["workflow-server"] = JSON.stringify(Object.fromEntries(KEPT.map((name) => [name, state[name]])));
  } catch {
    // A full or forbidden store costs convenience only.
  }
}

addEventListener("hashchange", () => dispatch("opened", { hash: location.hash }));
document.addEventListener("visibilitychange", () => dispatch("visible", { yes: !document.hidden }));
setInterval(() => draw(state, Date.now()), 1000);
dispatch("opened", { hash: location.hash });
