// Which box a click means: the choices under a point, the best one first.

import { area, contains, iou, offCentre } from "./boxes.js";

const NEAR_DUPLICATE = 0.75; // IoU over which two choices are one
const MOST = 15; // choices that one can walk through
const MIDDLE = 0.35; // a point is in the middle of a box this near to its centre, in units of its sides
const STEEP = 20; // what a distance of one side from the centre costs, in units of the logarithm of a score
const LEAST = 1e-4; // a score that is as good as none

/**
 * The choices under a point.
 *
 * Objects come first if the point is in their middle. Where a detector has scored the proposals,
 * suggestions and proposals with the point in their middle follow, the greatest
 * ln(score) - 20 distance first; without one there are no suggestions. All other boxes are last, the
 * most concentric one first. Of two choices with an IoU over 0.75 only the first one stays, but a
 * proposal never stands for an object or a suggestion.
 *
 * `likely` are the scores of the suggestions, `scores` those of the proposals or null.
 *
 * Returns [{kind: "object" | "suggestion" | "proposal", index, box}].
 */
export function choicesAt(point, { objects, suggestions, likely, proposals, scores }) {
  const ranked = [];
  const add = (kind, boxes, rank) => {
    boxes.forEach((box, index) => {
      if (!contains(box, point)) return;
      const distance = offCentre(box, point);
      ranked.push({ kind, index, box, distance, rank: rank(distance, index) });
    });
  };
  const within = (distance, score) => {
    if (score === undefined || distance > MIDDLE) return [2, distance];
    return [1, STEEP * distance - Math.log(Math.max(score, LEAST))];
  };
  add("object", objects, (distance) => [distance <= MIDDLE ? 0 : 2, distance]);
  add("suggestion", suggestions, (distance, index) => within(distance, likely[index]));
  add("proposal", proposals, (distance, index) => within(distance, scores?.[index]));
  ranked.sort((a, b) => a.rank[0] - b.rank[0] || a.rank[1] - b.rank[1] || a.distance - b.distance);
  const kept = [];
  for (const { kind, index, box } of ranked) {
    const labelledAlready = kind === "proposal" && isTaken(box, objects, suggestions);
    if (labelledAlready || kept.some((other) => iou(other.box, box) > NEAR_DUPLICATE)) continue;
    kept.push({ kind, index, box });
    if (kept.length === MOST) break;
  }
  return kept;
}

function isTaken(box, objects, suggestions) {
  return [...objects, ...suggestions].some((other) => iou(other, box) > NEAR_DUPLICATE);
}

/**
 * The index of the next larger (direction 1) or smaller (-1) choice; the same index at the end.
 */
export function walkSize(choices, index, direction) {
  const order = choices.map((_, number) => number);
  order.sort((a, b) => area(choices[a].box) - area(choices[b].box));
  const place = order.indexOf(index) + direction;
  return place < 0 || place >= order.length ? index : order[place];
}

/** The index of the next (1) or previous (-1) choice in the order of fit, round and round. */
export function walkFit(choices, index, direction) {
  return (index + direction + choices.length) % choices.length;
}

/** Suggestions of the detector that are neither labelled nor rejected. */
export function openSuggestions(suggestions, { objects, rejected }) {
  const near = (one) => (other) => {
    const overlap = iou(one.box, other.box);
    return overlap > NEAR_DUPLICATE || (overlap > 0.45 && one.label === other.label);
  };
  const same = (one) => (other) => one.label === other.label && iou(one.box, other.box) > 0.9;
  return suggestions.filter((one) => !objects.some(near(one)) && !rejected.some(same(one)));
}
