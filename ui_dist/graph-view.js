/** The workflow as a graph, with what the run does in it. */

import { h, memo } from "./dom.js";
import { place } from "./layout.js";
import { tally, tint } from "./tell.js";

const EDGE = 24; // Room around the drawing.

/** Return a function that describes the graph of a run, drawn across if that fits into `wide` pixels. */
export function makeGraph(dispatch) {
  const plan = memo((graph, wide) => {
    const across = place(graph, true);
    return across.width + EDGE * 2 <= wide ? across : place(graph, false);
  });
  const counted = memo((items, shown) => tally({ items, shown }));

  return (details, run, focus, wide) => {
    if (!details?.graph || details.load === "error") return h("section.view.graph", h("p.hint", details?.load === "error" ? "The workflow is no longer served, so its graph is unknown." : "Loading…"));
    const { nodes, edges, width, height } = plan(details.graph, wide);
    const { steps, types } = counted(run.items, run.shown);
    const seen = (id) => id === "external_step" || Boolean(steps[id] ?? types[id]);
    const [w, tall] = [width + EDGE * 2, height + EDGE * 2];
    return h(
      "section.view.graph",
      { "aria-label": "Graph" },
      h(
        "div.graph-box",
        h(
          "svg",
          { viewBox: `${-EDGE} ${-EDGE} ${w} ${tall}`, role: "group", "aria-label": "Steps and events", style: { width: `${Math.round(w * Math.min(1, Math.max(0.62, (wide - 4) / w)))}px` } },
          h("defs", h("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 3, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, h("path", { d: "M0 .8L6.5 4L0 7.2z" }))),
          edges.map(({ source, target, path, back }) => h(`path.edge${back ? ".back" : ""}`, { d: path, "marker-end": "url(#arrow)", "data-seen": String(seen(source) && seen(target)) })),
          nodes.map((one) => drawNode(one, steps, types, focus, dispatch)),
        ),
      ),
    );
  };
}

function drawNode({ node, x, y, w, h: tall }, steps, types, focus, dispatch) {
  const { node_type: kind, label, description } = node;
  const external = kind === "external";
  const step = kind === "step";
  const name = external ? "a person" : label;
  const found = step ? steps[label] : null;
  const times = (step ? found?.count : types[label]) ?? 0;
  const state = step ? (found ? told(found) : "not run yet") : "";
  const is = ["running", "waiting", "failed", "queued"].find((word) => found?.[word]) ?? (times > 0 ? "seen" : "unseen");
  const pick = () => dispatch({ type: "show", focus: { kind: step ? "step" : "type", name: label } });
  const about = external
    ? { role: "img", "aria-label": name }
    : { role: "button", tabindex: 0, "aria-label": `${step ? "Step" : "Event"} ${label}, ${times} times${found ? `, ${state}` : ""}`, "aria-pressed": focus?.name === label, onclick: pick, onkeydown: ({ key }) => key === "Enter" && pick() };
  const left = -w / 2;
  return h(
    `g.node.${kind}${step ? `.${tint(label)}` : ""}`,
    { transform: `translate(${x} ${y})`, "data-is": is, ...about },
    h("title", [name, description].filter(Boolean).join("\n")),
    h("rect", { x: left, y: -tall / 2, width: w, height: tall, rx: step ? 8 : tall / 2 }),
    step && h("rect.band", { x: left + 5, y: -tall / 2 + 7, width: 4, height: tall - 14, rx: 2 }),
    h("text.name", { x: external ? 0 : left + (step ? 16 : 13), y: step ? -5 : 1 }, name.length > 26 ? `${name.slice(0, 25)}…` : name),
    step && h("text.state", { x: left + 16, y: 11 }, state),
    !external && times > 0 && h("text.times", { x: w / 2 - 10, y: 1 }, times > 9999 ? `${Math.round(times / 1000)}k` : times),
  );
}

const told = (found) => ["running", "queued", "waiting", "failed", "retried"].filter((word) => found[word]).slice(0, 2).map((word) => `${found[word]} ${word}`).join(", ") || "done";
