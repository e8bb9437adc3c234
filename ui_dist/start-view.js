/** The page for a new run, and the start page with all workflows. */

import { h, keyed, memo, text } from "./dom.js";
import { eventForm } from "./forms.js";
import { hashOf } from "./requests.js";
import { IDLE } from "./dialogs.js";

export function makeHome(dispatch) {
  const title = h("h1", { tabindex: "-1" });
  const words = h("p", { class: "soft" });
  const retry = h("button", { type: "button", onclick: () => dispatch({ type: "retry" }) }, "Try again");
  const list = h("ul", { class: "workflows" });
  const draw = memo(({ load, names, error }, details) => {
    retry.hidden = load !== "error";
    const nothing = load === "ready" && names.length === 0;
    text(title, load === "error" ? "The workflows can't be listed" : nothing ? "No workflows yet" : "Start a run");
    text(words, error || (nothing ? "Add one to the program with server.add_workflow(name, workflow) and start the server again." : load === "loading" ? "Loading…" : ""));
    keyed(
      list,
      names,
      (name) => name,
      (name) => h("li", {}, h("a", { href: hashOf("new", name) }, h("span", { class: "name" }, name), h("span", { class: "soft" }), h("span", { class: "go", "aria-hidden": "true" }, "Start →"))),
      (node, name) => text(node.firstChild.children[1], (details[name]?.description ?? "").split("\n")[0] || stepsOf(details[name]?.graph)),
    );
  });
  return { node: h("div", { class: "home" }, title, words, retry, list), draw: (state) => draw(state.workflows, state.details) };
}

function stepsOf(graph) {
  const steps = (graph?.nodes ?? []).filter((one) => one.node_type === "step").map((one) => one.label);
  return steps.length > 0 ? `${steps.length === 1 ? "Step" : "Steps"} ${steps.join(", ")}` : "";
}

/** The page for a new run: of a workflow, perhaps with the input of another run, perhaps going on with its handler. */
export function makeStartView({ name: workflow, from, again }, dispatch) {
  const about = h("p", { class: "soft prose" });
  const note = h("p", { class: "hint" });
  const trouble = h("p", { class: "hint" });
  const retry = h("button", { type: "button", hidden: true, onclick: () => dispatch({ type: "retry" }) }, "Try again");
  const earlier = h("select", { "aria-label": "Earlier inputs", onchange: () => (form.fill(earlier.value), save(earlier.value), (earlier.selectedIndex = 0)) });
  const reset = h("button", { type: "button", onclick: () => (form.fill(), save(undefined)) }, "Reset");
  const form = eventForm({
    submit: again ? "Continue" : "Start run",
    extra: reset,
    onsubmit: (_type, value) => dispatch({ type: "start", workflow, text: value, handler: again ? from : null }),
    oninput: (value) => from || save(value),
  });
  let offered = false;
  const save = (value) => dispatch({ type: "draft", workflow, text: value });
  const drawForm = memo((start, load, error, ready, begin) => {
    const shown = load === "ready" && ready;
    form.node.hidden = !shown;
    text(trouble, shown ? "" : error || "Loading…");
    retry.hidden = load !== "error";
    if (!shown || offered) return; // Once: later it would undo what was typed.
    offered = true;
    form.offer([start], true);
    if (begin) form.fill(begin);
    form.node.querySelector("input, textarea, select")?.focus();
  });
  const drawEarlier = memo((inputs) => {
    earlier.hidden = !inputs?.length;
    const short = (json) => (json.length > 70 ? `${json.slice(0, 70)}…` : json);
    earlier.replaceChildren(h("option", { value: "" }, "Earlier inputs…"), ...(inputs ?? []).map((json) => h("option", { value: json }, short(json))));
  });
  text(note, again ? `Continues handler ${from}: the new run finds what the one before left in ctx.store.` : from ? `With the input of run ${from}.` : "");
  note.hidden = !from;
  return {
    node: h("article", { class: "start" }, h("h1", { tabindex: "-1" }, workflow), about, h("section", { class: "card", "aria-label": "Start a run" }, h("div", { class: "over" }, note, earlier), trouble, retry, form.node)),
    draw({ details, forms, origin, drafts, inputs }) {
      const known = details[workflow];
      text(about, known?.description ?? "");
      const ready = !from || (origin !== null && origin.load !== undefined);
      drawForm(known?.start, known?.load ?? "loading", known?.error || origin?.error || "", ready, origin?.text ?? (from ? null : drafts[workflow]));
      drawEarlier(inputs[workflow]);
      form.draw(forms.start ?? IDLE);
    },
  };
}
