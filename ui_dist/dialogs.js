/** What opens above the page: sending an event, second thoughts, a run's start as text to copy, and the keys. */

import { attribute, copy, h, memo, text } from "./dom.js";
import { eventForm } from "./forms.js";
import { pretty } from "./json.js";
import { sendable } from "./schema.js";
import { asCurl, asPython } from "./share.js";

export const IDLE = { error: "", busy: false, done: 0 }; // A form that was not sent yet.

const titled = (title, properties, ...children) => {
  const id = `title-${title.replace(/\W+/g, "-")}`;
  return h("dialog", { "aria-labelledby": id, ...properties }, h("h2", { id }, title), ...children);
};

export function sendDialog(dispatch) {
  const close = h("button", { type: "button", onclick: () => node.close() }, "Close");
  const form = eventForm({ submit: "Send", extra: close, onsubmit: (eventType, value) => dispatch({ type: "send", form: "send", eventType, text: value }) });
  const sent = h("p", { class: "hint", role: "status" });
  const node = titled("Send an event to this run", { onclose: () => dispatch({ type: "dismiss", form: "send" }) }, form.node, sent);
  const offer = memo((details) => form.offer(sendable(details ?? {})));
  return {
    node,
    show: () => node.showModal(),
    draw(details, state = IDLE, over) {
      if (node.open) offer(details);
      form.draw(state);
      text(sent, state.done > 0 ? `${state.done} sent.` : "");
      if (node.open && over) node.close();
    },
  };
}

/** Asks before a run is cancelled or removed. */
export function sureDialog({ title, words, keep, act, busy, ondo, onclose }) {
  const no = h("button", { type: "button", onclick: () => node.close() }, keep);
  const yes = h("button", { type: "button", class: "danger solid", onclick: ondo }, act);
  const problem = h("p", { class: "problem", role: "alert" });
  const node = titled(title, { onclose }, h("p", {}, words), problem, h("div", { class: "row end" }, no, yes));
  return {
    node,
    show: () => node.showModal(),
    draw(state = IDLE, done) {
      text(problem, state.error);
      yes.disabled = state.busy;
      text(yes, state.busy ? busy : act);
      if (node.open && done) node.close();
    },
  };
}

export function copyDialog() {
  const pre = h("pre", { class: "json", tabindex: "0", "aria-label": "Text to copy" });
  const kinds = ["curl", "Python", "JSON"].map((kind) => h("button", { type: "button", "aria-pressed": "false", onclick: () => show(kind) }, kind));
  const button = h("button", { type: "button", class: "primary", onclick: () => copy(pre.textContent, button) }, "Copy");
  const node = titled("Start a run like this one", {}, h("div", { class: "switch", role: "group", "aria-label": "Copy as" }, ...kinds), pre, h("div", { class: "row" }, button, h("button", { type: "button", onclick: () => node.close() }, "Close")));
  let run = null;
  let type = null;
  function show(kind) {
    for (const one of kinds) attribute(one, "aria-pressed", String(one.textContent === kind));
    const [base, name, input] = [new URL(".", document.baseURI).href, run.handler.workflow_name, run.input.text];
    text(pre, kind === "curl" ? asCurl(base, name, input, type) : kind === "Python" ? asPython(base, name, input) : pretty(input));
  }
  return {
    node,
    open(now, details) {
      run = now;
      type = details?.start?.title;
      show("curl");
      node.showModal();
    },
  };
}

const KEYS = [
  ["/", "Search the runs"],
  ["j  k", "Next and previous row"],
  ["Enter", "Open"],
  ["n", "New run"],
  ["r", "Run again with the same input"],
  ["e", "Edit the input and run again"],
  ["x", "Cancel the run"],
  ["1  2  3", "Timeline, graph, events"],
  ["?", "These keys"],
];

export function helpDialog() {
  const rows = KEYS.map(([keys, words]) => h("div", {}, h("dt", {}, ...keys.split("  ").map((key) => h("kbd", {}, key))), h("dd", {}, words)));
  const node = titled("Keys", {}, h("dl", { class: "keys" }, ...rows), h("div", { class: "row end" }, h("button", { type: "button", onclick: () => node.close() }, "Close")));
  return node;
}
