/** The frame of the page: runs at the left, in the middle what the address asks for, at the right what is selected. */

import { attribute, clock, h, keyed, memo, span, text } from "./dom.js";
import { helpDialog } from "./dialogs.js";
import { makeInspector } from "./inspector.js";
import { hashOf } from "./requests.js";
import { condition, time } from "./run.js";
import { WORDS, makeRunView } from "./run-view.js";
import { makeHome, makeStartView } from "./start-view.js";

const by = (id) => document.getElementById(id);
const STATUSES = { "": "All statuses", running: "Running", completed: "Completed", failed: "Failed", cancelled: "Cancelled" };

/** Make the page; the returned function draws a state at the time `now` (milliseconds). */
export function makePage(dispatch) {
  const side = makeSide(dispatch);
  const inspector = makeInspector(dispatch);
  const panes = by("panes");
  const main = by("main");
  const help = helpDialog();
  let shown = null;
  let state = null;
  let key = null;
  panes.append(inspector.node);
  document.body.append(help);
  by("skip").addEventListener("click", () => main.focus());
  by("help").addEventListener("click", () => help.showModal());
  by("offline").append("The server can't be reached. Trying again… ", h("button", { type: "button", onclick: () => dispatch({ type: "retry" }) }, "Try now"));
  const buttons = [["runs", "Runs"], ["main", "Run"], ["details", "Details"]].map(([name, word]) => h("button", { type: "button", onclick: () => dispatch({ type: "pane", name }) }, word));
  by("panetabs").append(...buttons);
  const drawReach = memo((reachable) => {
    by("offline").hidden = reachable;
  });
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const act = keys(event.key);
    if (!act) return;
    event.preventDefault();
    act();
  });

  /** What a key does now, if anything. */
  function keys(pressed) {
    const { view, tab } = state.route;
    const step = { j: 1, k: -1 }[pressed];
    if (pressed === "/") return () => (dispatch({ type: "pane", name: "runs" }), by("search").focus());
    if (pressed === "n") return () => (location.hash = "#/");
    if (pressed === "?") return () => help.showModal();
    if (step) return () => (view === "run" && !by("side").contains(document.activeElement) ? shown.step(step, tab) : side.step(step));
    if (view !== "run") return null;
    if (["1", "2", "3"].includes(pressed)) return () => dispatch({ type: "look", tab: ["timeline", "graph", "events"][pressed - 1] });
    return ["r", "e", "x"].includes(pressed) ? () => shown.act(pressed) : null;
  }

  return (next, now) => {
    state = next;
    const { route } = state;
    const { view, name = "", from = "", again = "" } = route;
    if (`${view}/${name}/${from}/${again}` !== key) {
      const first = key === null;
      key = `${view}/${name}/${from}/${again}`;
      shown = view === "run" ? makeRunView(name, dispatch) : view === "new" ? makeStartView(route, dispatch) : makeHome(dispatch);
      main.replaceChildren(shown.node);
      main.scrollTop = 0;
      if (!first && view !== "new") main.querySelector("h1")?.focus();
    }
    attribute(panes, "data-view", view);
    attribute(panes, "data-pane", state.pane);
    buttons.forEach((one, at) => attribute(one, "aria-pressed", String(["runs", "main", "details"][at] === state.pane)));
    text(buttons[1], view === "run" ? "Run" : "New run");
    buttons[2].hidden = view !== "run";
    drawReach(state.reachable);
    side.draw(state, now);
    if (view === "run" && state.run === null) return;
    shown.draw(state, now);
    inspector.draw(state, now);
    announce(state);
  };
}

/** Say changes of a run's state to those who listen, and put it into the title. */
const announce = (() => {
  const say = memo((name, word, seen) => {
    document.title = name ? `${name} · ${WORDS[word] ?? word} – Workflow Server` : "Workflow Server";
    text(by("announce"), seen && name ? `Run of ${name}: ${word === "waiting" ? "waiting for an answer" : word}` : "");
  });
  return ({ run, route }) => {
    if (route.view === "new") say(route.name, "New run", false);
    else say(run?.handler?.workflow_name ?? "", run ? condition(run) : "", true);
  };
})();

function makeSide(dispatch) {
  const filter = (name) => (event) => dispatch({ type: "filter", name, value: event.target.value });
  const search = h("input", { type: "search", id: "search", placeholder: "Search by id", "aria-label": "Search runs by id", "aria-keyshortcuts": "/", oninput: filter("q") });
  const status = h("select", { "aria-label": "Status", onchange: filter("status") }, ...Object.entries(STATUSES).map(([value, word]) => h("option", { value }, word)));
  const workflow = h("select", { "aria-label": "Workflow", onchange: filter("workflow_name") });
  const list = h("ul", { class: "runs", id: "runs", onkeydown: walk });
  const hint = h("p", { class: "hint" });
  const more = h("button", { class: "quiet", type: "button", onclick: () => dispatch({ type: "more" }) }, "Show older runs");
  by("side").append(h("div", { class: "side-head" }, h("h2", {}, "Runs"), h("a", { class: "button primary", href: "#/", "aria-keyshortcuts": "n" }, "New run")), h("div", { class: "filters", role: "search" }, search, status, workflow), list, hint, more);

  function walk(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    step(by);
  }
  function step(by) {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const here = at < 0 ? links.findIndex((one) => one.hasAttribute("aria-current")) : at;
    links[Math.min(links.length - 1, Math.max(0, here + by))]?.focus();
  }
  const drawFilters = memo((names, chosen) => {
    workflow.replaceChildren(h("option", { value: "" }, "All workflows"), ...names.map((name) => h("option", { value: name }, name)));
    workflow.value = chosen;
  });
  const drawRuns = memo(({ load, items, error, next, filter: chosen }, route, minute, skew) => {
    keyed(list, items, (one) => one.handler_id, runRow, (node, one) => changeRun(node, one, route, minute, skew));
    const filtered = Object.values(chosen).some(Boolean);
    text(hint, load === "loading" && items.length === 0 ? "Loading…" : error || (items.length > 0 ? "" : filtered ? "No run matches." : "Nothing has run yet."));
    more.hidden = next === null;
  });
  return {
    step,
    draw(state, now) {
      drawFilters(state.workflows.names, state.runs.filter.workflow_name);
      drawRuns(state.runs, state.route, Math.floor(now / 10_000) * 10_000, state.skew);
    },
  };
}

function runRow(one) {
  const time = h("time", { datetime: one.started_at });
  return h("li", {}, h("a", { href: hashOf("run", one.handler_id) }, h("span", { class: "name" }, one.workflow_name), time, h("code", {}, one.handler_id), h("span", { class: "status" })));
}

function changeRun(node, one, route, now, skew) {
  const link = node.firstChild;
  const [, began, , status] = link.children;
  const word = one.status === "running" ? (one.phase ?? one.status) : one.status;
  const end = one.status === "running" ? now - skew : time(one.completed_at ?? one.updated_at);
  attribute(link, "aria-current", route.view === "run" && route.name === one.handler_id ? "page" : null);
  text(status, one.status === "running" ? (WORDS[word] ?? word) : `${WORDS[word]} in ${span(end - time(one.started_at))}`);
  attribute(status, "data-status", word);
  attribute(began, "datetime", one.started_at);
  text(began, clock(one.started_at, now));
}
