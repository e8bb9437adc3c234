/**
 * Which rows of a long list to draw.
 *
 * Rows have one height, except for a few that are open; only those near the visible part exist in
 * the document, so that ten thousand events cost as much as fifty.
 */

const AROUND = 8; // Rows kept above and below the visible part, so that quick scrolling shows no gaps.

/**
 * The part of `count` rows that a viewport shows.
 *
 * @param {number} count how many rows there are
 * @param {number} height of a closed row, in pixels
 * @param {{index: number, extra: number}[]} open rows that are taller, by how much, in order of index
 * @param {number} scrolled pixels above the viewport
 * @param {number} viewport its height in pixels
 * @returns {{first: number, end: number, total: number, top: (index: number) => number}} the rows from
 *   `first` up to but not including `end`, the height of the whole list, and where each row begins
 */
export function visible(count, height, open, scrolled, viewport) {
  const top = (index) => open.reduce((sum, row) => sum + (row.index < index ? row.extra : 0), index * height);
  const first = rowAt(scrolled, count, top);
  const last = rowAt(scrolled + viewport, count, top);
  return {
    first: Math.max(0, first - AROUND),
    end: Math.min(count, last + 1 + AROUND),
    total: top(count),
    top,
  };
}

/** The last row that begins at or above pixel `y`; `top` grows with the index. */
function rowAt(y, count, top) {
  let low = 0;
  let high = Math.max(0, count - 1);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (top(middle) <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}
