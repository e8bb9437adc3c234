/**
 * Where things go: the nodes of a workflow's graph, and moments on a line of time. Numbers in, numbers out.
 *
 * The graph is laid out in layers (Sugiyama, Tagawa and Toda, 1981): edges that lead back are set aside and become arcs at the
 * side, so that loops stay readable; a node's layer is the longest way to it; long edges get a bend in each layer that they
 * cross; and within layers all move to the middle of their neighbours, as far as they leave each other room.
 */

const GAP = 22; // Between the nodes of a layer.
const SWEEPS = 8;

/** Width and height of a node. */
function size({ node_type: kind, label }) {
  const letters = Math.min(26, Math.max(label.length, 5));
  return kind === "step" ? [letters * 7.6 + 58, 44] : [letters * 7 + (kind === "external" ? 28 : 50), 26];
}

/**
 * Place the nodes of a graph as the server describes it, from left to right (`across`) or downwards.
 *
 * @returns {{nodes: {node, x, y, w, h}[], edges: {source: string, target: string, back: boolean, path: string}[], width, height}}
 *   `x` and `y` are of a node's middle
 */
export function place(graph, across) {
  const cells = new Map();
  for (const node of graph.nodes) {
    if (!["step", "event", "external"].includes(node.node_type)) continue;
    const [w, h] = size(node);
    cells.set(node.id, { node, w, h, breadth: across ? h : w, depth: across ? w : h, layer: 0, near: [], out: [] });
  }
  const edges = [];
  for (const { source, target } of graph.edges) {
    if (!cells.has(source) || !cells.has(target) || source === target) continue;
    const edge = { source, target, from: cells.get(source), to: cells.get(target), back: false };
    edge.from.out.push(edge);
    edges.push(edge);
  }
  lookBack([...cells.values()], edges);
  const forward = edges.filter((edge) => !edge.back);
  for (let moved = true; moved; ) {
    moved = false;
    for (const { from, to } of forward) {
      if (to.layer > from.layer) continue;
      to.layer = from.layer + 1;
      moved = true;
    }
  }
  const layers = [];
  for (const cell of cells.values()) (layers[cell.layer] ??= []).push(cell);
  for (const edge of forward) edge.chain = bend(edge, layers);
  arrange(layers);
  return draw([...cells.values()], layers, edges, across);
}

/** Mark the edges that lead back to where the way from the start came from. */
function lookBack(cells, edges) {
  const entered = new Set(edges.map((edge) => edge.to));
  const visit = (cell) => {
    cell.visit = "open";
    for (const edge of cell.out) {
      if (edge.to.visit === "open") edge.back = true;
      else if (!edge.to.visit) visit(edge.to);
    }
    cell.visit = "done";
  };
  for (const cell of [...cells.filter((one) => !entered.has(one)), ...cells]) if (!cell.visit) visit(cell);
}

/** The cells that an edge runs through; those between its ends are made. */
function bend({ from, to }, layers) {
  const chain = [from];
  for (let layer = from.layer + 1; layer < to.layer; layer += 1) {
    const cell = { node: null, breadth: 8, depth: 0, layer, near: [] };
    layers[layer].push(cell);
    chain.push(cell);
  }
  chain.push(to);
  chain.slice(1).forEach((cell, at) => {
    cell.near.push(chain[at]);
    chain[at].near.push(cell);
  });
  return chain;
}

/** Give each cell its place along its layer: first in the order of what leads there or on, then near to both. */
function arrange(layers) {
  for (const cells of layers) settle(cells, () => 0);
  for (let sweep = 0; sweep < SWEEPS * 2; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const cells of down ? layers : layers.toReversed()) {
      const side = (cell) => cell.near.filter((one) => sweep >= SWEEPS || one.layer < cell.layer === down);
      const middle = (near, otherwise) => (near.length === 0 ? otherwise : near.reduce((sum, one) => sum + one.along, 0) / near.length);
      for (const cell of cells) cell.wish = middle(side(cell), cell.along);
      if (sweep < SWEEPS) cells.sort((a, b) => a.wish - b.wish);
      settle(cells, (cell) => cell.wish);
    }
  }
}

/** Move cells to where they want to be as far as they leave each other room: the mean of yielding to the left and to the right. */
function settle(cells, wish) {
  const yielding = (all) => {
    let end = -Infinity;
    return all.map(([cell, at]) => {
      const place = Math.max(at, end + GAP + cell.breadth / 2);
      end = place + cell.breadth / 2;
      return place;
    });
  };
  const right = yielding(cells.map((cell) => [cell, wish(cell)]));
  const left = yielding(cells.map((cell) => [cell, -wish(cell)]).reverse()).reverse();
  cells.forEach((cell, at) => Object.assign(cell, { along: (right[at] - left[at]) / 2 }));
}

function draw(cells, layers, edges, across) {
  const all = layers.flat();
  const low = Math.min(0, ...all.map((cell) => cell.along - cell.breadth / 2));
  let far = 0;
  for (const row of layers) {
    const thick = Math.max(...row.map((cell) => cell.depth));
    for (const cell of row) Object.assign(cell, { along: cell.along - low, deep: far + thick / 2, half: (cell.node ? cell.depth : thick) / 2 });
    far += thick + (across ? 34 : 26);
  }
  let wide = Math.max(0, ...all.map((cell) => cell.along + cell.breadth / 2));
  const point = (along, deep) => (across ? [deep, along] : [along, deep]).map((one) => Math.round(one * 10) / 10);
  const xy = (along, deep) => point(along, deep).join(" ");
  const drawn = edges.map(({ source, target, from, to, back, chain }) => {
    if (back) wide += 14;
    return { source, target, back, path: back ? arc(from, to, wide, xy) : curve(chain, xy) };
  });
  const nodes = cells.map(({ node, along, deep, w, h }) => {
    const [x, y] = point(along, deep);
    return { node, x, y, w, h };
  });
  const [width, height] = point(wide, far);
  return { nodes, edges: drawn, width, height };
}

/** Straight through layers, bent between them. */
function curve(chain, xy) {
  let path = "";
  chain.forEach(({ along, deep, half }, at) => {
    const before = chain[at - 1];
    const enter = deep - half - (at === chain.length - 1 ? 5 : 0); // Room for the arrow's head.
    if (before) {
      const middle = (before.deep + before.half + enter) / 2;
      path += `C${xy(before.along, middle)} ${xy(along, middle)} ${xy(along, enter)}`;
    }
    if (at < chain.length - 1) path += `${before ? "L" : "M"}${xy(along, deep + half)}`;
  });
  return path;
}

/** An edge that leads back leaves at the side, runs along the border, and comes in at the side. */
function arc(from, to, wide, xy) {
  const turn = (deep, end) => `${xy(wide, deep)} ${xy(wide, deep)} ${end}`;
  const [start, end] = [xy(from.along + from.breadth / 2, from.deep), xy(to.along + to.breadth / 2 + 5, to.deep)];
  return `M${start}C${turn(from.deep, xy(wide, (from.deep * 3 + to.deep) / 4))}L${xy(wide, (from.deep + to.deep * 3) / 4)}C${turn(to.deep, end)}`;
}

const FOLD = 0.035; // Width of a folded stretch.
const LONG = 0.06; // The share of all time from which on an idle stretch is folded.

/**
 * The scale of a timeline from the moment `from`. A run that waits three hours and works for three seconds should show the
 * three seconds, so stretches in which nothing is queued or running are folded up; open spans end `now`.
 *
 * @returns {{at: (moment: number) => number, folds: {x, width, ms}[], ticks: {x, ms}[], ms: number}}
 *   places are between 0 and 1; `ticks` are moments to label, `ms` is the time from beginning to end
 */
export function scale(items, from, now, fold) {
  const spans = [...items].flatMap((item) => item.spans).filter(lasting);
  const begin = spans.reduce((least, one) => Math.min(least, one.from), from);
  const end = spans.reduce((most, one) => Math.max(most, one.to ?? now), begin + 0.001);
  const busy = spans.filter((one) => one.kind !== "waiting" && one.kind !== "delayed").map((one) => [one.from, one.to ?? now]);
  const pieces = fold ? split(busy, begin, end) : [{ from: begin, to: end, folded: false }];
  const folded = pieces.filter((piece) => piece.folded);
  const share = Math.min(FOLD, 0.4 / Math.max(1, folded.length));
  const shown = pieces.reduce((sum, piece) => sum + (piece.folded ? 0 : piece.to - piece.from), 0) || 1;
  let x = 0;
  for (const piece of pieces) {
    piece.ms = piece.to - piece.from;
    piece.x = x;
    piece.width = piece.folded ? share : (piece.ms / shown) * (1 - share * folded.length);
    x += piece.width;
  }
  const at = (moment) => {
    const piece = pieces.findLast((one) => one.from <= moment) ?? pieces[0];
    return Math.min(1, piece.x + Math.min(1, Math.max(0, (moment - piece.from) / (piece.ms || 1))) * piece.width);
  };
  return { at, folds: folded, ticks: ticks(pieces, begin, shown), ms: end - begin };
}

/** Whether a span takes time: a retry that may never come does not. */
export const lasting = ({ kind, to }) => kind !== "delayed" || to !== null;

/** The time from `begin` to `end` in pieces that are folded or not. */
function split(busy, begin, end) {
  const long = Math.max(20, (end - begin) * LONG);
  const pieces = [];
  let [from, reached] = [begin, begin];
  for (const [start, stop] of [...busy.sort((a, b) => a[0] - b[0]), [end, end]]) {
    if (start - reached > long) {
      pieces.push({ from, to: reached, folded: false }, { from: reached, to: start, folded: true });
      from = start;
    }
    reached = Math.max(reached, stop);
  }
  return [...pieces, { from, to: end, folded: false }];
}

const ROUND = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5, 216e5, 864e5, 6048e5];

/** Round moments (counted from the beginning) in the pieces that are not folded, five or so together. */
function ticks(pieces, begin, shown) {
  const step = ROUND.find((one) => one * 6 >= shown) ?? ROUND.at(-1);
  const found = [];
  for (const piece of pieces) {
    if (piece.folded) continue;
    for (let ms = Math.ceil((piece.from - begin) / step) * step; begin + ms <= piece.to && found.length < 60; ms += step) {
      found.push({ x: piece.x + ((begin + ms - piece.from) / (piece.ms || 1)) * piece.width, ms });
    }
  }
  return found;
}

/** The time an execution took, by the kind of its spans, in milliseconds. */
export function durations(item, now) {
  const sums = { queued: 0, running: 0, waiting: 0, delayed: 0 };
  for (const { kind, from, to } of item.spans.filter(lasting)) sums[kind] += (to ?? now) - from;
  return sums;
}

const AROUND = 8; // Rows drawn above and below the visible part of a list, so that quick scrolling shows no gaps.

/** The rows to draw, from the first up to but not including the last, of `count` rows of this `height` in pixels. */
export function visible(count, height, scrolled, viewport) {
  const first = Math.min(count, Math.max(0, Math.floor(scrolled / height) - AROUND));
  return [first, Math.max(first, Math.min(count, Math.ceil((scrolled + viewport) / height) + AROUND))];
}
