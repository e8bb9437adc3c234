/** One run: its head, open questions, how it ended, and the three views of what happened. */

import { TABS, serverTime } from "./core.js";
import { IDLE, copyDialog, sendDialog, sureDialog } from "./dialogs.js";
import { attribute, clock, coloured, h, keyed, memo, span, text } from "./dom.js";
import { eventForm } from "./forms.js";
import { makeGraph } from "./graph-view.js";
import { layout } from "./json.js";
import { makeLog, memoValue } from "./log.js";
import { hashOf } from "./requests.js";
import { asking, condition, ended, time } from "./run.js";
import { asked, outcome } from "./tell.js";
import { sendable } from "./schema.js";
import { makeTimeline } from "./timeline-view.js";

export const WORDS = { running: "Running", queued: "Queued", waiting: "Waiting", idle: "Waiting", blocked: "Blocked", completed: "Completed", failed: "Failed", cancelled: "Cancelled" };
const TITLES = { missing: "There is no such run", error: "The run can't be shown" };
const STREAMS = { live: "Live", connecting: "Connecting…", reconnecting: "Reconnecting…" };
const SHOWN = 4; // Questions shown at a time.

/** Make the view of the run `id`; `draw(state, now)` brings it up to date. */
export function makeRunView(id, dispatch) {
  const head = makeHead(id, dispatch);
  const trouble = h("p", { class: "hint" });
  const questions = makeQuestions(dispatch);
  const end = makeOutcome();
  const tabs = TABS.map((tab, at) => h("button", { type: "button", role: "tab", id: `view-${tab}`, "aria-keyshortcuts": String(at + 1), onclick: () => dispatch({ type: "look", tab }), onkeydown: turn }, tab[0].toUpperCase() + tab.slice(1)));
  const chip = h("button", { type: "button", class: "focus", hidden: true, title: "Show everything again", onclick: () => dispatch({ type: "focus", on: null }) });
  const views = { timeline: makeTimeline(dispatch), graph: makeGraph(dispatch), events: makeLog(dispatch) };
  const box = h("div", { class: "views", role: "tabpanel" }, ...TABS.map((tab) => views[tab].node));
  const body = h("div", { class: "run-body" }, questions.node, end.node, h("div", { class: "tabs main", role: "tablist", "aria-label": "Views" }, ...tabs, chip), box);

  function turn(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (tabs.indexOf(event.target) + step + TABS.length) % TABS.length;
    dispatch({ type: "look", tab: TABS[next] });
    tabs[next].focus();
  }

  const drawTimeline = memo((...parts) => views.timeline.draw(...parts));
  return {
    node: h("article", { class: "run" }, head.node, trouble, body),
    act: head.act,
    step(by, tab) {
      views[tab].step?.(by);
    },
    draw(state, now) {
      const { run, route, focus } = state;
      body.hidden = run.load !== "ready";
      text(trouble, run.load === "missing" ? `The server knows no run with the id ${id}. It may have been deleted, or the server began anew.` : run.load === "loading" ? "Loading…" : run.error);
      head.draw(state, now);
      if (body.hidden) return;
      const details = state.details[run.handler.workflow_name];
      questions.draw(asking(run), details, state.forms);
      end.draw(run);
      tabs.forEach((tab, at) => {
        attribute(tab, "aria-selected", String(TABS[at] === route.tab));
        tab.tabIndex = TABS[at] === route.tab ? 0 : -1;
      });
      attribute(box, "aria-labelledby", `view-${route.tab}`);
      for (const tab of TABS) views[tab].node.hidden = tab !== route.tab;
      chip.hidden = focus === null;
      text(chip, focus ? `${focus.kind === "step" ? "Step" : "Event"} ${focus.name} ×` : "");
      const at = serverTime(state, now);
      if (route.tab === "timeline") drawTimeline(run, run.open.size > 0 ? at : serverTime(state, 0), state.settings, focus, route.seq);
      else if (route.tab === "graph") views.graph.draw(details?.graph ?? (details?.load === "error" ? null : EMPTY), run, focus);
      else views.events.draw(run, state.settings, focus, state.words, route.seq);
    },
  };
}

const EMPTY = { nodes: [], edges: [] };

function makeHead(id, dispatch) {
  const title = h("h1", { tabindex: "-1" }, "Run");
  const badge = h("span", { class: "badge" });
  const started = h("time");
  const took = h("span");
  const stream = h("span", { class: "stream" });
  const meta = h("p", { class: "meta" }, h("code", { title: "Id of the run's handler" }, id), h("span", {}, "started ", started), took, stream);
  const sending = sendDialog(dispatch);
  const stopping = sureDialog({ title: "Cancel this run?", words: "Its steps are stopped where they are. What happened up to then stays.", keep: "Keep it running", act: "Cancel the run", busy: "Stopping…", ondo: () => dispatch({ type: "cancel" }), onclose: () => dispatch({ type: "dismiss", form: "cancel" }) });
  const removing = sureDialog({ title: "Delete this run?", words: "The handler goes with all its runs, events and state. Nobody can bring them back.", keep: "Keep it", act: "Delete", busy: "Deleting…", ondo: () => dispatch({ type: "remove" }), onclose: () => dispatch({ type: "dismiss", form: "cancel" }) });
  const copying = copyDialog();
  let state = null;

  const rerun = h("button", { type: "button", "aria-keyshortcuts": "r", onclick: () => dispatch({ type: "rerun" }) }, "Run again");
  const edit = h("a", { class: "button", "aria-keyshortcuts": "e" }, "Edit and run");
  const answer = h("button", { type: "button", onclick: send }, "Send event");
  const cancel = h("button", { type: "button", class: "danger", "aria-keyshortcuts": "x", onclick: stopping.show }, "Cancel run");
  const again = h("a", { role: "menuitem" }, "Continue with this handler");
  const download = h("a", { role: "menuitem", href: "#", onclick: save }, "Download events (NDJSON)");
  const copier = h("button", { type: "button", role: "menuitem", onclick: () => copying.open(state.run, state.details[state.run.handler.workflow_name]) }, "Copy as curl, Python or JSON");
  const remover = h("button", { type: "button", role: "menuitem", class: "danger", onclick: removing.show }, "Delete…");
  const menu = h("div", { popover: "auto", class: "menu", role: "menu", id: "more-actions", "aria-label": "More", ontoggle: unfolded, onclick: () => menu.hidePopover(), onkeydown: walk }, again, copier, download, remover);
  const more = h("button", { type: "button", popovertarget: "more-actions", "aria-haspopup": "menu", "aria-label": "More actions" }, "More");
  const actions = h("div", { class: "actions" }, rerun, edit, answer, cancel, more, menu);
  const problem = h("p", { class: "problem", role: "alert" });

  function send() {
    sending.show();
    sending.draw(state.details[state.run.handler.workflow_name], state.forms.send, false);
  }
  function unfolded(event) {
    if (event.newState !== "open") return;
    const { bottom, right } = more.getBoundingClientRect();
    menu.style.top = `${bottom + 4}px`;
    menu.style.left = `${Math.max(8, right - menu.offsetWidth)}px`;
    [...menu.children].find((one) => !one.hidden)?.focus();
  }
  function walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const open = [...menu.children].filter((one) => !one.hidden);
    open[(open.indexOf(document.activeElement) + step + open.length) % open.length].focus();
  }
  function save(event) {
    event.preventDefault();
    const file = URL.createObjectURL(new Blob(state.run.events.flatMap((one) => [one.text, "\n"]), { type: "application/x-ndjson" }));
    h("a", { href: file, download: `${id}.ndjson` }).click();
    setTimeout(() => URL.revokeObjectURL(file), 10_000);
  }

  const drawRun = memo((load, handler, word, skew, stage, now) => {
    text(title, handler?.workflow_name ?? TITLES[load] ?? "Run");
    text(badge, WORDS[word] ?? "");
    attribute(badge, "class", `badge ${word}`);
    meta.hidden = badge.hidden = actions.hidden = handler === null;
    if (handler === null) return;
    const over = ["completed", "failed", "cancelled"].includes(handler.status);
    const began = time(handler.started_at);
    const length = over ? time(handler.completed_at ?? handler.updated_at) - began : Math.floor((now - skew - began) / 1000) * 1000;
    attribute(started, "datetime", handler.started_at);
    text(started, clock(handler.started_at, now));
    text(took, `${over ? "took" : "for"} ${span(length)}`);
    text(stream, over ? (stage === "live" ? "Loading…" : "") : (STREAMS[stage] ?? ""));
    attribute(stream, "data-state", stage);
    attribute(edit, "href", hashOf("new", handler.workflow_name, { from: id }));
    attribute(again, "href", hashOf("new", handler.workflow_name, { from: id, again: 1 }));
    rerun.hidden = edit.hidden = !over;
    answer.hidden = cancel.hidden = over;
    again.hidden = !over;
  });
  return {
    node: h("header", { class: "run-head" }, h("div", { class: "title" }, title, badge), actions, meta, problem, sending.node, stopping.node, removing.node, copying.node),
    act(key) {
      if (!state?.run.handler) return;
      const over = ended(state.run);
      if (key === "r" && over) dispatch({ type: "rerun" });
      if (key === "e" && over) dispatch({ type: "go", hash: edit.getAttribute("href") });
      if (key === "x" && !over) stopping.show();
    },
    draw(next, now) {
      state = next;
      const { run, details, forms, skew } = state;
      const over = ended(run);
      drawRun(run.load, run.handler, condition(run), skew, run.stream, over ? now - (now % 3_600_000) : now);
      rerun.disabled = forms.rerun?.busy || !run.input?.text;
      copier.hidden = !run.input?.text;
      text(problem, forms.rerun?.error ?? "");
      sending.draw(details[run.handler?.workflow_name], forms.send, over);
      stopping.draw(forms.cancel, over);
      removing.draw(forms.cancel, false);
    },
  };
}

/** A card for each open question, each with its own form, which stays as it is while others come and go. */
function makeQuestions(dispatch) {
  const cards = h("div", { class: "cards" });
  const more = h("p", { class: "hint" });
  const forms = new Map();
  const node = h("section", { class: "questions", "aria-label": "Open questions", hidden: true }, cards, more);

  function create(one) {
    const { prompt, rest } = asked(one.prompt);
    const form = eventForm({ submit: "Answer", onsubmit: (eventType, value) => dispatch({ type: "send", form: `answer ${one.key}`, eventType, text: value, question: one.question, waiter: one.waiter }) });
    forms.set(one.key, { form, offer: memo((_events, details) => form.offer(offers(one, details), one.waiter !== undefined)) });
    const facts = rest.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
    const from = one.step ? h("p", { class: "soft" }, "Step ", h("b", {}, one.step), ` waits for ${one.type}`, one.deadline && ` until ${clock(one.deadline, Date.now())}`) : null;
    return h("div", { class: "card question" }, h("h2", {}, prompt || (one.type ? `The run waits for ${one.type}` : "The run waits for an answer")), from, facts.length > 0 && h("dl", { class: "pairs" }, ...facts), form.node);
  }

  return {
    node,
    draw(open, details, states) {
      const shown = open.slice(0, SHOWN);
      node.hidden = open.length === 0;
      const held = cards.contains(document.activeElement);
      keyed(cards, shown, (one) => one.key, create);
      if (held && !cards.contains(document.activeElement)) (cards.querySelector("h2 ~ form input, h2 ~ form select, h2 ~ form textarea") ?? node.closest("article").querySelector("h1")).focus();
      for (const [key, { form, offer }] of forms) {
        if (!shown.some((one) => one.key === key)) {
          forms.delete(key);
          continue;
        }
        offer(details?.events, details?.answers ? details : null);
        form.draw(states[`answer ${key}`] ?? IDLE);
      }
      text(more, open.length > SHOWN ? `${open.length - SHOWN} more open after these.` : "");
    },
  };
}

function offers(one, details) {
  if (one.waiter !== undefined) return [{ type: "object", ...one.schema, title: one.type }];
  return details ? sendable(details) : [];
}

function makeOutcome() {
  const title = h("h2");
  const note = h("span", { class: "note" });
  const body = h("div");
  const node = h("section", { class: "card outcome", "aria-label": "Outcome", hidden: true }, h("div", { class: "over" }, title, note), body);
  const draw = memo((found) => {
    node.hidden = found === null;
    if (found === null) return;
    attribute(node, "class", `card outcome ${found.kind}`);
    text(title, found.title);
    text(note, found.note);
    body.replaceChildren(h("pre", { tabindex: "0", "aria-label": found.title, class: found.json === undefined ? "prose" : "json" }, ...(found.json === undefined ? [found.text] : coloured(found.json, layout))));
  });
  const known = memoValue((handler, _result, _over, run) => outcome(run));
  let last = null;
  return {
    node,
    draw(run) {
      if (!last || last.handler !== run.handler || last.result !== run.result || last.over !== run.over || last.waits !== run.waits) {
        last = run;
        draw(known(run.handler, run.result, run.over, run));
      }
    },
  };
}
