/** The workflow as a graph, with what the run does in it. */

import { attribute, h, memo, s, text } from "./dom.js";
import { place } from "./graph.js";
import { memoValue } from "./log.js";
import { tally, tint } from "./tell.js";

const EDGE = 24; // Room around the drawing.

/** Make the drawing; `draw(graph, run, focus)` brings it up to date. */
export function makeGraph(dispatch) {
  const box = h("div", { class: "graph-box" });
  const none = h("p", { class: "hint" });
  const node = h("section", { class: "view graph", "aria-label": "Graph" }, none, box);
  let parts = new Map();
  let shown = null; // The graph, the run and the focus drawn last.
  new ResizeObserver(() => shown && redraw(...shown)).observe(box);

  const counted = memoValue((items, events, run) => tally(run));
  const layOut = memo((graph, wide) => {
    const across = place(graph, true);
    const plan = across.width + EDGE * 2 <= wide ? across : place(graph, false);
    const [width, height] = [plan.width + EDGE * 2, plan.height + EDGE * 2];
    const svg = s("svg", { viewBox: `${-EDGE} ${-EDGE} ${width} ${height}`, role: "group", "aria-label": "Steps and events" });
    svg.style.width = `${Math.round(width * Math.min(1, Math.max(0.62, (wide - 4) / width)))}px`;
    const head = s("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 3, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" }, s("path", { d: "M0 .8L6.5 4L0 7.2z" }));
    svg.append(s("defs", {}, head));
    parts = new Map();
    for (const { source, target, path, back } of plan.edges) {
      const line = s("path", { class: back ? "edge back" : "edge", d: path, "marker-end": "url(#arrow)" });
      parts.set(`${source} → ${target}`, { line, source, target });
      svg.append(line);
    }
    for (const one of plan.nodes) svg.append(drawNode(one));
    box.replaceChildren(svg);
  });

  function drawNode({ node: one, x, y, w, h: height }) {
    const kind = one.node_type;
    const name = kind === "external" ? "a person" : one.label;
    const cut = name.length > 26 ? `${name.slice(0, 25)}…` : name;
    const count = s("text", { class: "times", x: w / 2 - 10, y: 1 });
    const shape = s("rect", { x: -w / 2, y: -height / 2, width: w, height, rx: kind === "step" ? 8 : height / 2 });
    const words = s("text", { class: "name", x: kind === "external" ? 0 : -w / 2 + (kind === "step" ? 16 : 13), y: kind === "step" ? -5 : 1 }, cut);
    const state = kind === "step" ? s("text", { class: "state", x: -w / 2 + 16, y: 11 }) : null;
    const band = kind === "step" ? s("rect", { class: "band", x: -w / 2 + 5, y: -height / 2 + 7, width: 4, height: height - 14, rx: 2 }) : null;
    const about = s("title", {}, [name, one.description].filter(Boolean).join("\n"));
    const pick = () => kind !== "external" && dispatch({ type: "focus", on: { kind: kind === "step" ? "step" : "type", name: one.label } });
    const node = s(
      "g",
      { class: `node ${kind} ${kind === "step" ? `hue-${tint(one.label)}` : ""}`, transform: `translate(${x} ${y})`, tabindex: kind === "external" ? null : 0, role: kind === "external" ? "img" : "button", "aria-label": name, onclick: pick, onkeydown: (event) => ["Enter", " "].includes(event.key) && (event.preventDefault(), pick()) },
      about,
      shape,
      band,
      words,
      state,
      kind !== "external" && count,
    );
    parts.set(one.id, { node, count, state, one });
    return node;
  }

  function redraw(graph, run, focus) {
    shown = [graph, run, focus];
    none.hidden = graph !== null;
    box.hidden = graph === null;
    text(none, "The workflow is no longer served, so its graph is unknown.");
    if (graph === null || node.clientWidth === 0) return;
    layOut(graph, node.clientWidth);
    const { steps, types } = counted(run.items, run.shown, run);
    for (const { node: g, count, state, one } of parts.values()) {
      if (!g) continue;
      const found = one.node_type === "step" ? steps[one.label] : null;
      const times = one.node_type === "step" ? (found?.count ?? 0) : (types[one.label] ?? 0);
      text(count, times > 0 ? (times > 9999 ? `${Math.round(times / 1000)}k` : String(times)) : "");
      if (state) text(state, told(found));
      const condition = !found ? (times > 0 ? "seen" : "unseen-yet") : found.running ? "running" : found.waiting ? "waiting" : found.failed ? "failed" : found.queued ? "queued" : "seen";
      attribute(g, "data-is", condition);
      attribute(g, "aria-pressed", one.node_type === "external" ? null : String(focus?.name === one.label));
      attribute(g, "aria-label", `${one.node_type === "step" ? "Step" : "Event"} ${one.label}, ${times} times${found ? `, ${told(found)}` : ""}`);
    }
    for (const { line, source, target } of parts.values()) {
      if (line) attribute(line, "data-seen", String(has(source, steps, types) && has(target, steps, types)));
    }
  }

  return { node, draw: redraw };
}

const has = (id, steps, types) => id === "external_step" || Boolean(steps[id] || types[id]);

function told(found) {
  if (!found) return "not run yet";
  const active = ["running", "queued", "waiting"].filter((word) => found[word] > 0).map((word) => `${found[word]} ${word}`);
  if (found.failed > 0) active.push(`${found.failed} failed`);
  if (found.retried > 0) active.push(`${found.retried} retried`);
  return active.length > 0 ? active.slice(0, 2).join(", ") : "done";
}
