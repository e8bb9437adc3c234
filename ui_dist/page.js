/** The frame of the page: runs at the left, in the middle what the address asks for, at the right what is selected. */

import { TABS, hashOf, runTime } from "./core.js";
import { draw, focusField, h, memo, pairs } from "./dom.js";
import { eventForm } from "./forms.js";
import { actions, dialog, makeInspector, makeRunView } from "./run-view.js";
import { clock, condition, ended, span, time, title } from "./run.js";

const PANES = { runs: "Runs", main: "Run", details: "Details" };
const KEYS = { "/": "Search the runs", "j k": "Next and previous row", Enter: "Open", n: "New run", r: "Run again with the same input", e: "Edit the input and run again", x: "Cancel the run", "1 2 3": "Timeline, graph, events", "?": "These keys" };
const SURE = {
  cancel: ["Cancel this run?", "Its steps are stopped where they are. What happened up to then stays.", "Keep it running", "Cancel the run"],
  remove: ["Delete this run?", "The handler goes with all its runs, events and state. Nobody can bring them back.", "Keep it", "Delete"],
};

const main = () => document.querySelector("main");

export function makePage(dispatch) {
  const runs = memo(drawRuns);
  let state = null;
  let key = null;
  let view = null;
  let inspector = null;

  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const { route } = state;
    const inRun = route.view === "run";
    const step = (by) => () => (inRun && !document.activeElement.closest(".side") ? view.step(by, route.tab) : walk(by));
    const look = (tab) => inRun && (() => dispatch("look", { tab }));
    const { r, e, x } = inRun ? actions(state, dispatch) : {};
    const search = () => (dispatch("show", { pane: "runs" }), requestAnimationFrame(() => document.getElementById("search").focus()));
    const act = { "/": search, n: () => (location.hash = "#/"), "?": () => dispatch("dialog", { name: "keys" }), j: step(1), k: step(-1), r, e, x, 1: look(TABS[0]), 2: look(TABS[1]), 3: look(TABS[2]) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

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
    const inspected = run?.load === "ready" && inspector(state, run.stream === "live" ? runTime(state, now) : runTime(state, 0));
    draw(
      document.body,
      h("button.skip", { onclick: () => main().focus() }, "Skip to content"),
      h("header.top", h("a.brand", { href: "#/" }, h("img", { src: "icon.svg", alt: "", width: 22 }), "Workflow Server"), h("p.offline", { role: "alert" }, state.reachable ? "" : "The server can't be reached."), h("button.icon", { "aria-label": "Keys", onclick: () => dispatch("dialog", { name: "keys" }) }, "?")),
      h("div.panes", { "data-pane": pane }, runs(state.runs, state.workflows.names ?? [], route, now10, dispatch), h("main", { tabindex: -1 }, view.draw(state, now)), inspected),
      h("nav.panetabs", { "aria-label": "Panes" }, Object.keys(PANES).map((name) => h("button", { "aria-pressed": name === pane, hidden: name === "details" && !inspected, onclick: () => dispatch("show", { pane: name }) }, name === "main" && route.view !== "run" ? "New run" : PANES[name]))),
      h("p.unseen", { role: "status" }, announcement(state)),
      drawDialog(state, dispatch),
    );
    if (!fresh) return;
    main().scrollTop = 0;
    if (!first && route.view !== "new") main().querySelector("h1").focus();
  };
}

function announcement({ run, route: { view, name } }) {
  const word = run ? condition(run) : "";
  const about = view === "new" ? `${name} · New run – ` : word ? `${run.handler.workflow_name} · ${title(word)} – ` : "";
  document.title = `${about}Workflow Server`;
  return word ? `Run of ${run.handler.workflow_name}: ${word === "waiting" ? "waiting for an answer" : word}` : "";
}

function drawDialog({ dialog: name, run, forms }, dispatch) {
  if (name === "keys") return dialog(name, "Keys", "Close", dispatch, pairs(Object.entries(KEYS)));
  if (!SURE[name] || !run || (name === "cancel" && ended(run))) return null;
  const { busy, error } = forms.sure ?? {};
  const [heading, words, keep, act] = SURE[name];
  return dialog(name, heading, keep, dispatch, [h("p", words), h("p.problem", { role: "alert" }, error)], h("button.solid", { disabled: busy, onclick: () => dispatch(name) }, act));
}

function drawRuns({ loading, items, error, next, filter }, names, route, now, dispatch) {
  const choose = (name) => ({ target }) => dispatch("filter", { name, value: target.value });
  const filtered = Object.values(filter).some(Boolean);
  const hint = loading && items.length === 0 ? "Loading…" : error || (items.length > 0 ? "" : filtered ? "No run matches." : "Nothing has run yet.");
  const select = (label, name, all, options) => h("select", { "aria-label": label, value: filter[name], onchange: choose(name) }, h("option", { value: "" }, all), options.map((one) => h("option", { value: one }, name === "status" ? title(one) : one)));
  return h(
    "nav.side",
    { "aria-label": "Runs" },
    h("div.over.side-head", h("h2", "Runs"), h("a.button.primary", { href: "#/", "aria-keyshortcuts": "n" }, "New run")),
    h("div.filters", { role: "search" }, h("input", { type: "search", id: "search", placeholder: "Search by id", "aria-label": "Search runs by id", "aria-keyshortcuts": "/", value: filter.q, oninput: choose("q") }), select("Status", "status", "All statuses", ["completed", "failed", "cancelled", "running"]), select("Workflow", "workflow_name", "All workflows", names)),
    h("ul.runs", { id: "runs" }, items.map((one) => h("li", { key: one.handler_id }, runRow(one, route, now)))),
    h("p.hint", hint),
    next && h("button.link", { onclick: () => dispatch("more") }, "Show older runs"),
  );
}

function walk(by) {
  const links = [...document.querySelectorAll("#runs a")];
  const here = links.indexOf(document.activeElement);
  const from = here < 0 ? links.findIndex((one) => one.hasAttribute("aria-current")) : here;
  links[Math.min(links.length - 1, Math.max(0, from + by))]?.focus();
}

function runRow({ handler_id: id, workflow_name: workflow, status, phase, started_at: started, completed_at: completed, updated_at: updated }, route, now) {
  const running = status === "running";
  const word = running ? (phase ?? status) : status;
  const told = title(word);
  return h(
    "a",
    { href: hashOf("run", id), "aria-current": route.view === "run" && route.name === id ? "page" : null },
    h("span.name", workflow),
    h("time", { datetime: started }, clock(started, now)),
    h("code", id),
    h(`span.status.${word}`, running ? told : `${told} in ${span(time(completed ?? updated) - time(started))}`),
  );
}

const again = (dispatch) => h("button", { onclick: () => dispatch("retry") }, "Try again");

const makeHome = (_name, dispatch) => ({
  draw({ workflows: { names, error }, details }) {
    const nothing = names?.length === 0;
    const words = error || (nothing ? "Add one with server.add_workflow(name, workflow)." : names ? "" : "Loading…");
    return h(
      "div.home",
      { key: "home" },
      h("h1", { tabindex: -1 }, error ? "The workflows can't be listed" : nothing ? "No workflows yet" : "Start a run"),
      h("p.soft", words),
      error && again(dispatch),
      h("ul.workflows", (names ?? []).map((name) => h("li", h("a", { href: hashOf("new", name) }, h("span.name", name), h("span.soft", details[name]?.graph?.description?.split("\n")[0]))))),
    );
  },
});

function makeStart({ name: workflow, from, again: continued }, dispatch) {
  const save = (text) => dispatch("draft", { workflow, text });
  const refill = (text) => (form.fill(text), save(text));
  const form = eventForm({
    submit: continued ? "Continue" : "Start run",
    onsubmit: (_type, text) => dispatch("start", { workflow, text, handler: continued ? from : null }),
    oninput: (text) => from || save(text),
  });
  const note = continued ? `Continues handler ${from} with its state.` : from && `With the input of run ${from}.`;
  let offered = false;

  return {
    draw({ details, forms, origin, drafts, inputs }) {
      const { start, graph, error } = details[workflow] ?? {};
      const shown = start && (!from || origin?.text !== undefined);
      if (shown && !offered) {
        offered = true; // Once: later it would undo what was typed.
        form.offer([start], true);
        const begin = from ? origin.text : drafts[workflow];
        if (begin) form.fill(begin);
        queueMicrotask(() => focusField(form.node));
      }
      form.draw(forms.start);
      const earlier = inputs[workflow] ?? [];
      return h(
        "article.start",
        { key: `${workflow} ${from}` },
        h("h1", { tabindex: -1 }, workflow),
        h("p.soft.prose", graph?.description),
        h(
          "section.card",
          { "aria-label": "Start a run" },
          h("div.over", h("p.hint", note), h("select", { "aria-label": "Earlier inputs", value: "-", onchange: ({ target }) => refill(target.value || undefined) }, h("option", { value: "-" }, "Earlier inputs…"), h("option", { value: "" }, "Defaults"), earlier.map((json) => h("option", { value: json }, json.slice(0, 70))))),
          h("p.hint", error || origin?.error || (shown ? "" : "Loading…")),
          error && again(dispatch),
          shown && form.node,
        ),
      );
    },
  };
}
