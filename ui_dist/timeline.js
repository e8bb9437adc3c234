/**
 * Time as a line: where a moment lies between 0 and 1, with stretches in which nothing worked folded up.
 *
 * A run that waits three hours for an answer and works for three seconds should show the three seconds. Idle is
 * when no execution is queued or running.
 */

const FOLD = 0.035; // Width of a folded stretch.
const LONG = 0.06; // The share of all time from which on an idle stretch is folded.

/**
 * The scale of a timeline.
 *
 * @param {Iterable<{spans: {kind: string, from: number, to: number | null}[]}>} items executions
 * @param {number} from when the run began, in milliseconds
 * @param {number} now where open spans end
 * @param {boolean} fold whether idle stretches are folded
 * @returns {{at: (moment: number) => number, folds: {x: number, width: number, ms: number}[], ticks: {x: number, ms: number}[], ms: number}}
 *   `ticks` are moments to label, `ms` is the time from beginning to end
 */
export function scale(items, from, now, fold) {
  const busy = [];
  let begin = from;
  let end = from;
  for (const { spans } of items) {
    for (const { kind, from: start, to } of spans) {
      if (kind === "delayed" && to === null) continue;
      begin = Math.min(begin, start);
      end = Math.max(end, to ?? now);
      if (kind === "queued" || kind === "running") busy.push([start, to ?? now]);
    }
  }
  end = Math.max(end, begin + 0.001);
  const pieces = fold ? split(busy, begin, end) : [{ from: begin, to: end, folded: false }];
  const folded = pieces.filter((piece) => piece.folded);
  const share = Math.min(FOLD, 0.4 / Math.max(1, folded.length));
  const shown = pieces.reduce((sum, piece) => sum + (piece.folded ? 0 : piece.to - piece.from), 0) || 1;
  const perMs = (1 - share * folded.length) / shown;
  let x = 0;
  for (const piece of pieces) {
    piece.x = x;
    piece.width = piece.folded ? share : (piece.to - piece.from) * perMs;
    x += piece.width;
  }
  const at = (moment) => {
    const piece = pieces[find(pieces, moment)];
    const part = (moment - piece.from) / (piece.to - piece.from || 1);
    return Math.min(1, Math.max(0, piece.x + Math.min(1, Math.max(0, part)) * piece.width));
  };
  const folds = folded.map((piece) => ({ x: piece.x, width: piece.width, ms: piece.to - piece.from }));
  return { at, folds, ticks: ticks(pieces, begin, shown), ms: end - begin };
}

/** The time from `begin` to `end` in pieces that are folded or not. */
function split(busy, begin, end) {
  const long = Math.max(20, (end - begin) * LONG);
  const pieces = [];
  let from = begin;
  let reached = begin;
  for (const [start, stop] of [...busy.sort((a, b) => a[0] - b[0]), [end, end]]) {
    if (start - reached > long) {
      pieces.push({ from, to: reached, folded: false }, { from: reached, to: start, folded: true });
      from = start;
    }
    reached = Math.max(reached, stop);
  }
  pieces.push({ from, to: end, folded: false });
  return pieces;
}

function find(pieces, moment) {
  let low = 0;
  let high = pieces.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pieces[middle].from <= moment) low = middle;
    else high = middle - 1;
  }
  return low;
}

const ROUND = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5, 216e5, 864e5, 6048e5];

/** Round moments (counted from the beginning) in the pieces that are not folded, five or so together. */
function ticks(pieces, begin, shown) {
  const step = ROUND.find((one) => one * 6 >= shown) ?? ROUND.at(-1);
  const found = [];
  for (const { from, to, x, width, folded } of pieces) {
    if (folded) continue;
    for (let ms = Math.ceil((from - begin) / step) * step; begin + ms <= to && found.length < 60; ms += step) {
      found.push({ x: x + ((begin + ms - from) / (to - from || 1)) * width, ms });
    }
  }
  return found;
}

/** The executions to draw: those of the step, or with the event type, in `focus`. */
export function rowsOf(run, focus) {
  const all = [...run.items.values()];
  if (!focus) return all;
  return all.filter((one) => (focus.kind === "step" ? one.step === focus.name : one.input === focus.name || one.output === focus.name));
}

/** The time an execution took: in queues, at work and waiting, in milliseconds. */
export function durations(item, now) {
  const sums = { queued: 0, running: 0, waiting: 0, delayed: 0 };
  for (const { kind, from, to } of item.spans) if (kind !== "delayed" || to !== null) sums[kind] += (to ?? now) - from;
  return sums;
}
