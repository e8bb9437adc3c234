/** Where things go: the nodes of a graph (in layers, after Sugiyama), moments on a line of time, rows of a list. */

const GAP = 22;
const SWEEPS = 8;

export function place(graph) {
  const cells = new Map();
  for (const node of graph.nodes) {
    const { id, node_type: kind, label } = node;
    if (!["step", "event", "external"].includes(kind)) continue;
    const letters = Math.min(26, Math.max(label.length, 5));
    cells.set(id, { node, w: letters * 7.6 + 52, h: kind === "step" ? 44 : 26, layer: 0, near: [] });
  }
  const edges = graph.edges.map((edge) => ({ ...edge, from: cells.get(edge.source), to: cells.get(edge.target) })).filter(({ from, to }) => from && to && from !== to);
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
  return draw([...cells.values()], layers, edges);
}

function lookBack(cells, edges) {
  const seen = new Map();
  const visit = (cell) => {
    seen.set(cell, true);
    for (const edge of edges.filter((one) => one.from === cell)) {
      edge.back = seen.get(edge.to) ?? false;
      if (!seen.has(edge.to)) visit(edge.to);
    }
    seen.set(cell, false);
  };
  const starts = cells.filter((cell) => !edges.some((edge) => edge.to === cell));
  for (const cell of [...starts, ...cells]) if (!seen.has(cell)) visit(cell);
}

function bend({ from, to }, layers) {
  const between = layers.slice(from.layer + 1, to.layer).map((cells, at) => {
    const cell = { w: 8, h: 0, layer: from.layer + 1 + at, near: [] };
    cells.push(cell);
    return cell;
  });
  const chain = [from, ...between, to];
  chain.slice(1).forEach((cell, at) => {
    cell.near.push(chain[at]);
    chain[at].near.push(cell);
  });
  return chain;
}

function arrange(layers) {
  for (const cells of layers) settle(cells.map((cell) => [cell, 0]));
  for (let sweep = 0; sweep < SWEEPS * 2; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const cells of down ? layers : layers.toReversed()) {
      const wishes = cells.map((cell) => {
        const near = cell.near.filter((one) => sweep >= SWEEPS || one.layer < cell.layer === down);
        return [cell, near.length === 0 ? cell.x : near.reduce((sum, one) => sum + one.x, 0) / near.length];
      });
      if (sweep < SWEEPS) wishes.sort((a, b) => a[1] - b[1]);
      settle(wishes);
    }
  }
}

function settle(wishes) {
  const yielding = (all) => {
    let end = -Infinity;
    return all.map(([{ w }, x]) => {
      const at = Math.max(x, end + GAP + w / 2);
      end = at + w / 2;
      return at;
    });
  };
  const right = yielding(wishes);
  const left = yielding(wishes.map(([cell, x]) => [cell, -x]).reverse()).reverse();
  wishes.forEach(([cell], at) => (cell.x = (right[at] - left[at]) / 2));
}

function draw(cells, layers, edges) {
  const all = layers.flat();
  const low = Math.min(...all.map(({ x, w }) => x - w / 2));
  let height = 0;
  for (const row of layers) {
    const thick = Math.max(...row.map((cell) => cell.h));
    for (const cell of row) Object.assign(cell, { x: cell.x - low, y: height + thick / 2, half: (cell.h || thick) / 2 });
    height += thick + 26;
  }
  let width = Math.max(0, ...all.map(({ x, w }) => x + w / 2));
  const paths = edges.map(({ source, target, from, to, back, chain }) => {
    if (back) width += 14;
    return { source, target, back, path: (back ? arc(from, to, width) : curve(chain)).replace(/\.\d+/g, "") };
  });
  return { nodes: cells, edges: paths, width, height };
}

function curve(chain) {
  return chain.slice(1).reduce((path, { x, y, half }, at) => {
    const before = chain[at];
    const from = before.y + before.half;
    const to = y - half - (at === chain.length - 2 ? 5 : 0); // Room for the arrow's head.
    const middle = (from + to) / 2;
    return `${path}${before.x} ${from}C${before.x} ${middle} ${x} ${middle} ${x} ${to}L`;
  }, "M").slice(0, -1);
}

function arc(from, to, x) {
  const [start, end] = [from.x + from.w / 2, to.x + to.w / 2 + 5];
  return `M${start} ${from.y}C${x} ${from.y} ${x} ${from.y} ${x} ${(from.y * 3 + to.y) / 4}L${x} ${(from.y + to.y * 3) / 4}C${x} ${to.y} ${x} ${to.y} ${end} ${to.y}`;
}

const FOLD = 0.035;
const LONG = 0.06;

export function scale(items, from, now, fold) {
  const spans = [...items].flatMap((item) => item.spans).filter(lasting);
  const begin = spans.reduce((least, one) => Math.min(least, one.from), from);
  const end = spans.reduce((most, one) => Math.max(most, one.to ?? now), begin + 0.001);
  const busy = spans.filter(({ kind }) => kind === "queued" || kind === "running").map((one) => [one.from, one.to ?? now]);
  const pieces = split(fold ? busy : [[begin, end]], begin, end);
  const folds = pieces.filter((piece) => piece.folded);
  const share = Math.min(FOLD, 0.4 / Math.max(1, folds.length));
  const shown = pieces.reduce((sum, { folded, ms }) => sum + (folded ? 0 : ms), 0) || 1;
  let x = 0;
  for (const piece of pieces) {
    piece.x = x;
    piece.width = piece.folded ? share : (piece.ms / shown) * (1 - share * folds.length);
    x += piece.width;
  }
  const at = (moment) => {
    const piece = pieces.findLast((one) => one.from <= moment) ?? pieces[0];
    return Math.min(1, piece.x + Math.min(1, Math.max(0, (moment - piece.from) / (piece.ms || 1))) * piece.width);
  };
  return { at, folds, ticks: ticks(pieces, begin, shown).map((ms) => ({ ms, x: at(begin + ms) })), ms: end - begin };
}

export const lasting = ({ kind, to }) => kind !== "delayed" || to !== null;

function split(busy, begin, end) {
  const long = Math.max(20, (end - begin) * LONG);
  const pieces = [];
  const add = (from, to, folded) => pieces.push({ from, ms: to - from, folded });
  let [from, reached] = [begin, begin];
  for (const [start, stop] of busy.concat([[end, end]]).sort((a, b) => a[0] - b[0])) {
    if (start - reached > long) {
      add(from, reached, false);
      add(reached, start, true);
      from = start;
    }
    reached = Math.max(reached, stop);
  }
  add(from, end, false);
  return pieces;
}

function ticks(pieces, begin, shown) {
  const round = [1, 2, 5].flatMap((one) => [one, one * 10, one * 100, one * 1e3, one * 1e4]).concat([6e4, 3e5, 18e5, 72e5, 216e5, 864e5, 6048e5]);
  const step = round.sort((a, b) => a - b).find((one) => one * 5 >= shown) ?? 6048e5;
  return pieces.flatMap(({ from, ms, folded }) => {
    const first = Math.ceil((from - begin) / step);
    return folded ? [] : Array.from({ length: Math.max(0, Math.floor((from + ms - begin) / step) - first + 1) }, (_, at) => (first + at) * step);
  });
}

export function durations(item, now) {
  const sums = { queued: 0, running: 0, waiting: 0, delayed: 0 };
  for (const { kind, from, to } of item.spans.filter(lasting)) sums[kind] += (to ?? now) - from;
  return sums;
}

export function visible(count, height, scrolled, viewport) {
  const first = Math.min(count, Math.max(0, Math.floor(scrolled / height) - 8));
  return [first, Math.max(first, Math.min(count, Math.ceil((scrolled + viewport) / height) + 8))];
}
