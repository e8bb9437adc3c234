/**
 * A drawing of a workflow in layers: what leads to what goes one way, and what leads back is drawn as an arc at the
 * side, so that loops stay readable.
 *
 * 1. Edges that lead back (found in depth, from the start event) are set aside.
 * 2. A node's layer is the longest way to it; long edges get a bend in each layer that they cross.
 * 3. Within layers, nodes move to the middle of their neighbours, some times up and down; fewest crossings win.
 * Source: Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures" (1981).
 */

const GAP = 22; // Between the nodes of a layer.
const SWEEPS = 8;

/** Width and height of a node. */
export function size({ node_type: kind, label }) {
  const letters = Math.min(26, Math.max(label.length, 5));
  return kind === "step" ? [letters * 7.6 + 58, 44] : [letters * 7 + (kind === "external" ? 28 : 50), 26];
}

/**
 * Place the nodes of a workflow's graph.
 *
 * @param {{nodes: object[], edges: {source: string, target: string}[]}} graph as the server describes it
 * @param {boolean} across from left to right instead of downwards
 * @returns {{nodes: {node: object, x: number, y: number, w: number, h: number}[], edges: {source: string, target: string, back: boolean, path: string}[], width: number, height: number}}
 *   `x` and `y` are of a node's middle
 */
export function place(graph, across) {
  const known = new Map(graph.nodes.filter((one) => ["step", "event", "external"].includes(one.node_type)).map((one) => [one.id, one]));
  const edges = graph.edges.filter(({ source, target }) => known.has(source) && known.has(target) && source !== target);
  const back = leadingBack([...known.keys()], edges);
  const forward = edges.filter((edge) => !back.has(edge));
  const layer = layersOf([...known.keys()], forward);
  const { layers, chains } = bend(known, forward, layer);
  sort(layers, chains);
  return draw(known, layers, chains, [...back], across);
}

function leadingBack(ids, edges) {
  const out = group(edges);
  const entered = new Set(edges.map((edge) => edge.target));
  const state = new Map();
  const back = new Set();
  const visit = (id) => {
    state.set(id, "open");
    for (const edge of out.get(id) ?? []) {
      if (state.get(edge.target) === "open") back.add(edge);
      else if (!state.has(edge.target)) visit(edge.target);
    }
    state.set(id, "done");
  };
  for (const id of [...ids.filter((one) => !entered.has(one)), ...ids]) if (!state.has(id)) visit(id);
  return back;
}

function group(edges) {
  const found = new Map();
  for (const edge of edges) found.set(edge.source, [...(found.get(edge.source) ?? []), edge]);
  return found;
}

function layersOf(ids, forward) {
  const layer = new Map(ids.map((id) => [id, 0]));
  for (let round = 0, moved = true; moved && round <= ids.length; round += 1) {
    moved = false;
    for (const { source, target } of forward) {
      if (layer.get(target) > layer.get(source)) continue;
      layer.set(target, layer.get(source) + 1);
      moved = true;
    }
  }
  return layer;
}

/** Layers of nodes and bends, and for each edge the chain of them that it runs through. */
function bend(known, forward, layer) {
  const layers = [];
  const put = (cell, at) => (layers[at] ??= []).push(cell);
  const cells = new Map();
  for (const [id, node] of known) {
    const cell = { id, node, near: [], along: 0 };
    cells.set(id, cell);
    put(cell, layer.get(id));
  }
  const chains = forward.map((edge) => {
    const chain = [cells.get(edge.source)];
    for (let at = layer.get(edge.source) + 1; at < layer.get(edge.target); at += 1) {
      const cell = { id: `${edge.source} ${edge.target} ${at}`, node: null, near: [], along: 0 };
      put(cell, at);
      chain.push(cell);
    }
    chain.push(cells.get(edge.target));
    for (let at = 1; at < chain.length; at += 1) {
      chain[at].near.push(chain[at - 1]);
      chain[at - 1].near.push(chain[at]);
    }
    return { edge, chain };
  });
  return { layers: layers.filter(Boolean), chains };
}

function sort(layers, chains) {
  const number = () => layers.forEach((cells) => cells.forEach((cell, at) => Object.assign(cell, { order: at })));
  layers.forEach((cells, at) => cells.forEach((cell) => Object.assign(cell, { layer: at })));
  number();
  let best = null;
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const cells of down ? layers : [...layers].reverse()) {
      const wish = new Map(cells.map((cell) => [cell, middle(cell.near.filter((one) => (down ? one.layer < cell.layer : one.layer > cell.layer)), cell.order)]));
      cells.sort((a, b) => wish.get(a) - wish.get(b));
      cells.forEach((cell, at) => Object.assign(cell, { order: at }));
    }
    const count = crossings(chains);
    if (best === null || count < best.count) best = { count, orders: layers.map((cells) => [...cells]) };
  }
  best?.orders.forEach((cells, at) => layers.splice(at, 1, cells));
  number();
}

function middle(cells, otherwise) {
  return cells.length === 0 ? otherwise : cells.reduce((sum, cell) => sum + cell.order, 0) / cells.length;
}

function crossings(chains) {
  const links = chains.flatMap(({ chain }) => chain.slice(1).map((cell, at) => [chain[at], cell]));
  let count = 0;
  links.forEach(([a, b], at) => {
    for (const [c, d] of links.slice(at + 1)) if (a.layer === c.layer && (a.order - c.order) * (b.order - d.order) < 0) count += 1;
  });
  return count;
}

function draw(known, layers, chains, back, across) {
  const breadth = (cell) => (cell.node ? size(cell.node)[across ? 1 : 0] : 8);
  const depth = (cell) => (cell.node ? size(cell.node)[across ? 0 : 1] : 0);
  for (const cells of layers) spread(cells, breadth);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const cells of sweep % 2 === 0 ? layers : [...layers].reverse()) straighten(cells, breadth);
  }
  const all = layers.flat();
  const low = Math.min(...all.map((cell) => cell.along - breadth(cell) / 2), 0);
  let far = 0;
  for (const cells of layers) {
    const thick = Math.max(...cells.map(depth), 0);
    for (const cell of cells) Object.assign(cell, { along: cell.along - low, deep: far + thick / 2, thick });
    far += thick + (across ? 34 : 26);
  }
  const wide = Math.max(...all.map((cell) => cell.along + breadth(cell) / 2), 0);
  const at = (cell, along, deep) => (across ? [deep, along] : [along, deep]).map((one) => Math.round(one * 10) / 10);
  const cellOf = new Map(all.filter((cell) => cell.node).map((cell) => [cell.id, cell]));
  const nodes = [...cellOf.values()].map((cell) => {
    const [x, y] = at(cell, cell.along, cell.deep);
    const [w, h] = size(cell.node);
    return { node: cell.node, x, y, w, h };
  });
  const drawn = chains.map(({ edge, chain }) => ({ ...edge, back: false, path: curve(chain, depth, at, across) }));
  back.forEach((edge, index) => drawn.push({ ...edge, back: true, path: arc(cellOf.get(edge.source), cellOf.get(edge.target), { breadth, wide: wide + 16 + index * 12, at, across }) }));
  const side = back.length > 0 ? 20 + back.length * 12 : 0;
  const [width, height] = across ? [far, wide + side] : [wide + side, far];
  return { nodes, edges: drawn, width, height };
}

function spread(cells, breadth) {
  let x = 0;
  for (const cell of cells) {
    cell.along = x + breadth(cell) / 2;
    x += breadth(cell) + GAP;
  }
  for (const cell of cells) cell.along -= (x - GAP) / 2;
}

/** Move the cells of a layer to the middle of their neighbours, as far as they leave each other room. */
function straighten(cells, breadth) {
  const wish = cells.map((cell) => (cell.near.length === 0 ? cell.along : cell.near.reduce((sum, one) => sum + one.along, 0) / cell.near.length));
  const room = (a, b) => (breadth(cells[a]) + breadth(cells[b])) / 2 + GAP;
  const left = [...wish];
  for (let at = 1; at < cells.length; at += 1) left[at] = Math.max(left[at], left[at - 1] + room(at - 1, at));
  const right = [...wish];
  for (let at = cells.length - 2; at >= 0; at -= 1) right[at] = Math.min(right[at], right[at + 1] - room(at, at + 1));
  cells.forEach((cell, at) => {
    cell.along = (left[at] + right[at]) / 2;
  });
}

function curve(chain, depth, at, across) {
  const points = [];
  chain.forEach((cell, index) => {
    const half = cell.node ? depth(cell) / 2 : cell.thick / 2;
    if (index > 0) points.push([cell.along, cell.deep - half - (index === chain.length - 1 ? 5 : 0)]);
    if (index < chain.length - 1) points.push([cell.along, cell.deep + half]);
  });
  const xy = (along, deep) => at(null, along, deep).join(" ");
  let path = `M${xy(...points[0])}`;
  for (let index = 1; index < points.length; index += 1) {
    const [[a, d], [b, e]] = [points[index - 1], points[index]];
    path += a === b || index % 2 === 0 ? `L${xy(b, e)}` : `C${xy(a, (d + e) / 2)} ${xy(b, (d + e) / 2)} ${xy(b, e)}`;
  }
  return path;
}

/** An edge that leads back leaves at the side, runs along the border, and comes in at the side. */
function arc(source, target, { breadth, wide, at }) {
  const xy = (along, deep) => at(null, along, deep).join(" ");
  const [a, b] = [source.along + breadth(source) / 2, target.along + breadth(target) / 2 + 5];
  return `M${xy(a, source.deep)}C${xy(wide, source.deep)} ${xy(wide, source.deep)} ${xy(wide, (source.deep * 3 + target.deep) / 4)}L${xy(wide, (source.deep + target.deep * 3) / 4)}C${xy(wide, target.deep)} ${xy(wide, target.deep)} ${xy(b, target.deep)}`;
}
