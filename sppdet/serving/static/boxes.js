// Arithmetic of boxes [x1, y1, x2, y2]: pixels of the photograph, half-open.

export const LEAST = 2; // the shortest side of a box, in pixels, that the server takes

export const area = (box) => Math.max(0, box[2] - box[0]) * Math.max(0, box[3] - box[1]);

export const contains = (box, [x, y]) => box[0] <= x && x < box[2] && box[1] <= y && y < box[3];

/** Intersection over union. */
export function iou(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const common = width * height;
  return common / (area(a) + area(b) - common);
}

/** Distance of a point from the centre of a box, in units of the box's sides. */
export function offCentre(box, [x, y]) {
  const dx = (x - (box[0] + box[2]) / 2) / (box[2] - box[0]);
  const dy = (y - (box[1] + box[3]) / 2) / (box[3] - box[1]);
  return Math.hypot(dx, dy);
}

/** The box between two corners, in whole pixels and inside the image. */
export function between([ax, ay], [bx, by], [width, height]) {
  const inside = (value, end) => Math.min(end, Math.max(0, Math.round(value)));
  return [
    inside(Math.min(ax, bx), width),
    inside(Math.min(ay, by), height),
    inside(Math.max(ax, bx), width),
    inside(Math.max(ay, by), height),
  ];
}

/** The box moved by whole pixels, as far as the image allows. */
export function moved(box, dx, dy, [width, height]) {
  const x = Math.round(Math.min(width - box[2], Math.max(-box[0], dx)));
  const y = Math.round(Math.min(height - box[3], Math.max(-box[1], dy)));
  return [box[0] + x, box[1] + y, box[2] + x, box[3] + y];
}

/** The eight handles: the name is a compass point, the place is in shares of the sides. */
export const HANDLES = {
  nw: [0, 0], n: [0.5, 0], ne: [1, 0], e: [1, 0.5],
  se: [1, 1], s: [0.5, 1], sw: [0, 1], w: [0, 0.5],
};

export function handlePoint(box, name) {
  const [x, y] = HANDLES[name];
  return [box[0] + x * (box[2] - box[0]), box[1] + y * (box[3] - box[1])];
}

/** The box with the edges of a handle at the point; it stops where a side has two pixels. */
export function resized(box, name, point, size) {
  const [x1, y1, x2, y2] = between(point, point, size);
  const result = [...box];
  if (name.includes("w")) result[0] = Math.max(0, Math.min(x1, box[2] - LEAST));
  if (name.includes("n")) result[1] = Math.max(0, Math.min(y1, box[3] - LEAST));
  if (name.includes("e")) result[2] = Math.min(size[0], Math.max(x2, box[0] + LEAST));
  if (name.includes("s")) result[3] = Math.min(size[1], Math.max(y2, box[1] + LEAST));
  return result;
}

/** The point with each coordinate at the nearest edge of a proposal, where one is within reach. */
export function snapped([x, y], proposals, reach) {
  const nearest = (value, first) => {
    let best = value;
    let distance = reach;
    for (const box of proposals) {
      for (const edge of [box[first], box[first + 2]]) {
        if (Math.abs(edge - value) < distance) {
          distance = Math.abs(edge - value);
          best = edge;
        }
      }
    }
    return best;
  };
  return [nearest(x, 0), nearest(y, 1)];
}
