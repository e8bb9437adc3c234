/** The frame of the page: runs at the left, in the middle what the address asks for, at the right what is selected. */

import { TABS, serverTime } from "./core.js";
import { draw, focusField, h, memo } from "./dom.js";
import { eventForm } from "./forms.js";
import { makeInspector } from "./inspector.js";
import { hashOf } from "./requests.js";
import { condition, ended, time } from "./run.js";
import { actions, dialog, makeRunView } from "./run-view.js";
import { WORDS, clock, span } from "./tell.js";

const PANES = { runs: "Runs", main: "Run", details: "Details" };
const STATUSES = ["completed", "failed", "cancelled", "running"];
const KEYS = { "/": "Search the runs", "j k": "Next and previous row", Enter: "Open", n: "New run", r: "Run again with the same input", e: "Edit the input and run again", x: "Cancel the run", "1 2 3": "Timeline, graph, events", "?": "These keys" };
const SURE = {
  cancel: ["Cancel this run?", "Its steps are stopped where they are. What happened up to then stays.", "Keep it running", "Cancel the run"],
  remove: ["Delete this run?", "The handler goes with all its runs, events and state. Nobody can bring them back.", "Keep it", "Delete"],
};

const main = () => document.querySelector("main");
const close = ({ target }) => target.closest("dialog").close();

/** Make the page; the returned function draws a state at the time `now` (milliseconds). */
export function makePage(dispatch) {
  const runs = memo((...parts) => drawRuns(...parts));
  let state = null;
  let key = null;
  let view = null;
  let inspector = null;

  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const act = keys(event.key);
    if (!act) return;
    event.preventDefault();
    act();
  });

  /** What a key does now, if anything. */
  function keys(pressed) {
    const { route } = state;
    const by = { j: 1, k: -1 }[pressed];
    if (pressed === "/") return () => (dispatch({ type: "show", pane: "runs" }), requestAnimationFrame(() => document.getElementById("search").focus()));
    if (pressed === "n") return () => (location.hash = "#/");
    if (pressed === "?") return () => dispatch({ type: "dialog", name: "keys" });
    if (by) return () => (route.view === "run" && !document.activeElement.closest(".side") ? view.step(by, route.tab) : walk(by));
    if (route.view !== "run") return null;
    return pressed in [, 1, 1, 1] ? () => dispatch({ type: "look", tab: TABS[pressed - 1] }) : actions(state, dispatch)[/^[rex]$/.exec(pressed)];
  }

  return (next, now) => {
    state = next;
    const { route, run, pane } = state;
    const fresh = key !== (key = [route.view, route.name, route.from, route.again].join(" "));
    const first = view === null;
    if (fresh) {
      view = { home: makeHome, new: makeStart, run: makeRunView }[route.view](route.view === "new" ? route : route.name, dispatch);
      inspector = makeInspector(dispatch);
    }
    const now10 = Math.floor(now / 10_000) * 10_000;
    const inspected = run?.load === "ready" && inspector(state, run.stream === "live" ? serverTime(state, now) : serverTime(state, 0));
    draw(
      document.body,
      h("button.skip", { onclick: () => main().focus() }, "Skip to content"),
      h("header.top", h("a.brand", { href: "#/" }, h("img", { src: "icon.svg", alt: "", width: 22, height: 22 }), "Workflow Server"), h("p.offline", { role: "alert" }, state.reachable ? "" : "The server can't be reached."), h("button.icon", { "aria-label": "Keys", title: "Keys (?)", onclick: () => dispatch({ type: "dialog", name: "keys" }) }, "?")),
      h("div.panes", { "data-view": route.view, "data-pane": pane }, runs(state.runs, state.workflows.names, route, now10, state.skew, dispatch), h("main", { tabindex: -1 }, view.draw(state, now)), inspected),
      h("nav.panetabs", { "aria-label": "Panes" }, Object.keys(PANES).map((name) => h("button", { "aria-pressed": name === pane, hidden: name === "details" && !inspected, onclick: () => dispatch({ type: "show", pane: name }) }, name === "main" && route.view !== "run" ? "New run" : PANES[name]))),
      h("p.unseen", { role: "status" }, announcement(state)),
      drawDialog(state, dispatch),
    );
    if (!fresh) return;
    main().scrollTop = 0;
    if (!first && route.view !== "new") main().querySelector("h1").focus();
  };
}

/** What is said to those who listen when a run's state changes; the title says it, too. */
function announcement({ run, route: { view, name } }) {
  const word = run ? condition(run) : "";
  const about = view === "new" ? `${name} · New run – ` : word ? `${run.handler.workflow_name} · ${WORDS[word]} – ` : "";
  document.title = `${about}Workflow Server`;
  return word ? `Run of ${run.handler.workflow_name}: ${word === "waiting" ? "waiting for an answer" : word}` : "";
}

function drawDialog({ dialog: name, run, forms }, dispatch) {
  if (name === "keys") return dialog(name, "Keys", dispatch, h("dl.keys", Object.entries(KEYS).map(([keys, words]) => h("div", h("dt", keys.split(" ").map((one) => h("kbd", one))), h("dd", words)))), h("div.row.end", h("button", { onclick: close }, "Close")));
  if (!SURE[name] || !run || (name === "cancel" && ended(run))) return null;
  const { busy, error } = forms.sure ?? {};
  const [title, words, keep, act] = SURE[name];
  return dialog(name, title, dispatch, h("p", words), h("p.problem", { role: "alert" }, error), h("div.row.end", h("button", { onclick: close }, keep), h("button.danger.solid", { disabled: busy, onclick: () => dispatch({ type: name }) }, act)));
}

function drawRuns({ load, items, error, next, filter }, names, route, now, skew, dispatch) {
  const choose = (name) => ({ target }) => dispatch({ type: "filter", name, value: target.value });
  const filtered = Object.values(filter).some(Boolean);
  const hint = load === "loading" && items.length === 0 ? "Loading…" : error || (items.length > 0 ? "" : filtered ? "No run matches." : "Nothing has run yet.");
  const select = (label, name, all, options) => h("select", { "aria-label": label, value: filter[name], onchange: choose(name) }, h("option", { value: "" }, all), options.map((one) => h("option", { value: one }, WORDS[one] ?? one)));
  const arrows = (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) walk(by, event.preventDefault());
  };
  return h(
    "nav.side",
    { "aria-label": "Runs" },
    h("div.over.side-head", h("h2", "Runs"), h("a.button.primary", { href: "#/", "aria-keyshortcuts": "n" }, "New run")),
    h("div.filters", { role: "search" }, h("input", { type: "search", id: "search", placeholder: "Search by id", "aria-label": "Search runs by id", "aria-keyshortcuts": "/", value: filter.q, oninput: choose("q") }), select("Status", "status", "All statuses", STATUSES), select("Workflow", "workflow_name", "All workflows", names)),
    h("ul.runs", { id: "runs", onkeydown: arrows }, items.map((one) => h("li", { key: one.handler_id }, runRow(one, route, now, skew)))),
    h("p.hint", hint),
    next && h("button.quiet", { onclick: () => dispatch({ type: "more" }) }, "Show older runs"),
  );
}

/** Move the focus in the list of runs. */
function walk(by) {
  const links = [...document.querySelectorAll("#runs a")];
  const here = links.indexOf(document.activeElement);
  const from = here < 0 ? links.findIndex((one) => one.hasAttribute("aria-current")) : here;
  links[Math.min(links.length - 1, Math.max(0, from + by))]?.focus();
}

function runRow({ handler_id: id, workflow_name: workflow, status, phase, started_at: started, completed_at: completed, updated_at: updated }, route, now, skew) {
  const running = status === "running";
  const word = running ? (phase ?? status) : status;
  const told = WORDS[word] ?? word;
  return h(
    "a",
    { href: hashOf("run", id), "aria-current": route.view === "run" && route.name === id ? "page" : null },
    h("span.name", workflow),
    h("time", { datetime: started }, clock(started, now)),
    h("code", id),
    h(`span.status.${word}`, running ? told : `${told} in ${span(time(completed ?? updated) - time(started))}`),
  );
}

const again = (dispatch) => h("button", { onclick: () => dispatch({ type: "retry" }) }, "Try again");

/** The start page with all workflows. */
const makeHome = (_name, dispatch) => ({
  draw({ workflows: { load, names, error }, details }) {
    const nothing = load === "ready" && names.length === 0;
    const words = error || (nothing ? "Add one to the program with server.add_workflow(name, workflow) and start the server again." : load === "loading" ? "Loading…" : "");
    const about = (name) => {
      const { description, nodes = [] } = details[name]?.graph ?? {};
      const steps = nodes.filter((one) => one.node_type === "step").map((one) => one.label);
      return description?.split("\n")[0] || (steps.length > 0 ? `Steps ${steps.join(", ")}` : "");
    };
    return h(
      "div.home",
      { key: "home" },
      h("h1", { tabindex: -1 }, load === "error" ? "The workflows can't be listed" : nothing ? "No workflows yet" : "Start a run"),
      h("p.soft", words),
      load === "error" && again(dispatch),
      h("ul.workflows", names.map((name) => h("li", h("a", { href: hashOf("new", name) }, h("span.name", name), h("span.soft", about(name)), h("span.go", { "aria-hidden": "true" }, "Start →"))))),
    );
  },
});

/** The page for a new run: of a workflow, perhaps with the input of another run, perhaps going on with its handler. */
function makeStart({ name: workflow, from, again: continued }, dispatch) {
  const save = (text) => dispatch({ type: "draft", workflow, text });
  const refill = (text) => (form.fill(text), save(text));
  const form = eventForm({
    submit: continued ? "Continue" : "Start run",
    extra: () => h("button", { onclick: () => refill() }, "Reset"),
    onsubmit: (_type, text) => dispatch({ type: "start", workflow, text, handler: continued ? from : null }),
    oninput: (text) => from || save(text),
  });
  const note = continued ? `Continues handler ${from}: the new run finds what the one before left in ctx.store.` : from && `With the input of run ${from}.`;
  let offered = false;

  return {
    draw({ details, forms, origin, drafts, inputs }) {
      const { start, graph, load = "loading", error } = details[workflow] ?? {};
      const shown = load === "ready" && (!from || origin?.text !== undefined);
      if (shown && !offered) {
        offered = true; // Once: later it would undo what was typed.
        form.offer([start], true);
        const begin = from ? origin.text : drafts[workflow];
        if (begin) form.fill(begin);
        queueMicrotask(() => focusField(form.node));
      }
      form.draw(forms.start ?? { error: "", busy: false });
      const earlier = inputs[workflow] ?? [];
      return h(
        "article.start",
        { key: `${workflow} ${from}` },
        h("h1", { tabindex: -1 }, workflow),
        h("p.soft.prose", graph?.description),
        h(
          "section.card",
          { "aria-label": "Start a run" },
          h("div.over", h("p.hint", note), earlier.length > 0 && h("select", { "aria-label": "Earlier inputs", value: "", onchange: ({ target }) => refill(target.value) }, h("option", { value: "" }, "Earlier inputs…"), earlier.map((json) => h("option", { value: json }, json.slice(0, 70))))),
          !shown && h("p.hint", error || "Loading…"),
          from && origin?.error && h("p.hint", origin.error),
          load === "error" && again(dispatch),
          shown && form.node,
        ),
      );
    },
  };
}
