/** The frame of the page: lists at the side, and in the middle what the address asks for. */

import { attribute, clock, h, keyed, memo, text } from "./dom.js";
import { fieldList, jsonForm } from "./forms.js";
import { hashOf } from "./requests.js";
import { condition } from "./run.js";
import { makeRunView } from "./run-view.js";
import { prefilled } from "./schema.js";

const FEW = 100; // Runs listed before somebody asks for all.
const by = (id) => document.getElementById(id);

/** Make the page; the returned function draws a state at the time `now` (milliseconds). */
export function makePage(dispatch) {
  const side = makeSide(dispatch);
  const panes = by("panes");
  const main = by("main");
  let shown = null;
  let key = "";
  by("skip").addEventListener("click", () => main.focus());
  by("offline").append("The server can't be reached. Trying again… ", h("button", { type: "button", onclick: () => dispatch({ type: "retry" }) }, "Try now"));
  const drawReach = memo((reachable) => {
    by("offline").hidden = reachable;
  });
  return (state, now) => {
    const { view, name = "" } = state.route;
    if (`${view}/${name}` !== key) {
      const first = key === "";
      key = `${view}/${name}`;
      shown = view === "run" ? makeRunView(name, dispatch) : view === "new" ? makeStartView(name, state.drafts[name], dispatch) : makeHome(dispatch);
      main.replaceChildren(shown.node);
      main.scrollTop = 0;
      attribute(panes, "data-view", view);
      if (!first) main.querySelector("h1")?.focus();
    }
    drawReach(state.reachable);
    side(state, now);
    shown.draw(state, now);
    announce(state);
  };
}

/** Say changes of a run's state to those who listen, and put it into the title. */
const announce = (() => {
  const say = memo((name, state, seen) => {
    document.title = name ? `${name} · ${state} – Workflow Server` : "Workflow Server";
    text(by("announce"), seen && name ? `Run of ${name}: ${state === "waiting" ? "waiting for an answer" : state}` : "");
  });
  return ({ run, route }) => {
    if (route.view === "new") say(route.name, "new run", false);
    else say(run?.handler?.workflow_name ?? "", run ? condition(run) : "", true);
  };
})();

function makeSide(dispatch) {
  const more = by("runs-more");
  more.addEventListener("click", () => dispatch({ type: "more" }));
  const drawWorkflows = memo(({ load, names, error }, route) => {
    keyed(by("workflows"), names, (name) => name, (name) => h("li", {}, h("a", { href: hashOf("new", name) }, h("span", { class: "name" }, name), h("span", { class: "go", "aria-hidden": "true" }, "Start"))), (node, name) => {
      attribute(node.firstChild, "aria-current", route.view === "new" && route.name === name ? "page" : null);
    });
    text(by("workflows-hint"), load === "loading" ? "Loading…" : error || (names.length === 0 ? "This server has no workflows." : ""));
  });
  const drawRuns = memo(({ load, items, error }, route, complete, minute) => {
    keyed(by("runs"), complete ? items : items.slice(0, FEW), (one) => one.handler_id, runRow, (node, one) => changeRun(node, one, route, minute));
    text(by("runs-count"), items.length > 0 ? items.length.toLocaleString("en") : "");
    text(by("runs-hint"), load === "loading" ? "Loading…" : error || (items.length === 0 ? "Nothing has run yet." : ""));
    more.hidden = complete || items.length <= FEW;
    text(more, `Show all ${items.length.toLocaleString("en")}`);
  });
  return (state, now) => {
    drawWorkflows(state.workflows, state.route);
    drawRuns(state.runs, state.route, state.allRuns, Math.floor(now / 60_000) * 60_000);
  };
}

function runRow(one) {
  const time = h("time", { datetime: one.started_at });
  const first = h("span", { class: "line" }, h("span", { class: "name" }, one.workflow_name), time);
  const second = h("span", { class: "line small" }, h("code", {}, one.handler_id), h("span", { class: "status" }));
  return h("li", {}, h("a", { href: hashOf("run", one.handler_id) }, first, second));
}

function changeRun(node, one, route, now) {
  const link = node.firstChild;
  const time = node.querySelector("time");
  attribute(link, "aria-current", route.view === "run" && route.name === one.handler_id ? "page" : null);
  const word = one.status === "running" ? (one.phase ?? one.status) : one.status;
  text(node.querySelector(".status"), word);
  attribute(node.querySelector(".status"), "data-status", word);
  attribute(time, "datetime", one.started_at);
  text(time, clock(one.started_at, now));
}

function makeHome(dispatch) {
  const retry = h("button", { type: "button", onclick: () => dispatch({ type: "retry" }) }, "Try again");
  const title = h("h1", { tabindex: "-1" });
  const words = h("p");
  const draw = memo(({ load, names, error }) => {
    retry.hidden = load !== "error";
    const nothing = load === "ready" && names.length === 0;
    text(title, load === "error" ? "The workflows can't be listed" : nothing ? "No workflows yet" : "Start a workflow, or look at a run");
    text(words, error || (nothing ? "Add one to the program with server.add_workflow(name, workflow) and start the server again." : "Choose a workflow to give it input and follow its events, or a run to see what happened."));
  });
  return { node: h("div", { class: "empty" }, title, words, retry), draw: (state) => draw(state.workflows) };
}

function makeStartView(workflow, draft, dispatch) {
  const about = h("p", { class: "about" });
  const hints = h("div");
  const trouble = h("p", { class: "hint" });
  const retry = h("button", { type: "button", hidden: true, onclick: () => dispatch({ type: "retry" }) }, "Try again");
  const reset = h("button", { type: "button", onclick: refill }, "Reset");
  const form = jsonForm({
    label: "Input as JSON",
    submit: "Start run",
    extra: reset,
    onsubmit: (value) => dispatch({ type: "start", workflow, text: value }),
    oninput: (value) => dispatch({ type: "draft", workflow, text: value }),
  });
  let blank = null;
  function refill() {
    form.fill(blank);
    dispatch({ type: "draft", workflow, text: undefined });
  }
  const drawDetails = memo((start, load, error) => {
    form.node.hidden = load !== "ready";
    text(trouble, load === "ready" ? "" : error || "Loading…");
    retry.hidden = load !== "error";
    if (load !== "ready") return;
    if (blank === null) form.fill(draft ?? prefilled(start)); // Once: later it would undo what was typed.
    blank = prefilled(start);
    hints.replaceChildren(...fieldList(start));
  });
  return {
    node: h("article", { class: "start" }, h("header", { class: "run-head" }, h("a", { class: "back", href: "#/" }, "← All runs"), h("h1", { tabindex: "-1" }, workflow), about), h("section", { class: "card", "aria-label": "Start a run" }, trouble, retry, form.node, hints)),
    draw({ details, forms }) {
      const known = details[workflow];
      text(about, (known?.description ?? "").split("\n")[0]);
      drawDetails(known?.start, known?.load ?? "loading", known?.error ?? "");
      form.draw(forms.start ?? { error: "", busy: false });
    },
  };
}
