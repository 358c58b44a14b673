// Why a box has its score: its window on the map, the parts of its bins, the nearest examples.

import { imageAddress } from "./api.js";
import { count, element } from "./elements.js";

const WIDE = 240; // the photograph, in pixels
const SIDE = 150; // of a level

/** The contents of the dialog for an explanation of a box of the photograph whose picture is given. */
export async function explanation(image, size, object, why) {
  const { label, score, bias, levels, parts } = why;
  const limit = Math.max(...parts.map(Math.abs), 1e-9);
  let start = 0;
  const figures = levels.map((level) => {
    const own = parts.slice(start, start + level * level);
    start += level * level;
    return levelFigure(image, object.box, level, own, limit);
  });
  const sum = parts.reduce((total, part) => total + part, 0);
  const text = `The SVM of ${label} gives this window ${score.toFixed(2)}: ${signed(sum)} from `
    + `${parts.length} bins and ${signed(bias)} from the bias. Orange bins speak for ${label}, `
    + "blue bins against it.";
  return [
    element("p", { textContent: text }),
    element("div", { className: "why" }, windowFigure(image, size, object.box, why), ...figures),
    ...(why.neighbours.length ? [element("h3", { textContent: nearest(why) })] : []),
    element("div", { className: "examples" }, ...(await Promise.all(why.neighbours.map(example)))),
  ];
}

const nearest = ({ label, compared }) =>
  `The nearest of ${count(compared, "labelled object")}: of ${label}, then of other classes`;

/** A number with its sign; what rounds to zero has none. */
export function signed(value, digits = 2) {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? "−" : "+") + text;
}

/** A number in little space: no plus sign, no zero before the point. */
export const short = (value) => signed(value, 1).replace("+", "").replace(/^(−?)0\./, "$1.").replace(/^\.0$/, "0");

function figureOf(canvas, caption, className = "") {
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", caption);
  return element("figure", { className }, canvas, element("figcaption", { textContent: caption }));
}

/** The photograph under the grid of the feature map, with the window of the box. */
function windowFigure(image, [width, height], box, { window: cells, map: [rows, columns] }) {
  const canvas = element("canvas", { width: WIDE, height: Math.round((WIDE * height) / width) });
  const context = canvas.getContext("2d");
  const cell = [canvas.width / columns, canvas.height / rows];
  const scale = canvas.width / width;
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  context.strokeStyle = "rgb(255 255 255 / 35%)";
  context.lineWidth = 1;
  for (let column = 1; column < columns; column += 1) line(context, column * cell[0], 0, 0, canvas.height);
  for (let row = 1; row < rows; row += 1) line(context, 0, row * cell[1], canvas.width, 0);
  const [x1, y1, x2, y2] = cells;
  context.fillStyle = "rgb(249 115 22 / 38%)";
  context.fillRect(x1 * cell[0], y1 * cell[1], (x2 - x1) * cell[0], (y2 - y1) * cell[1]);
  context.strokeStyle = "#ffffff";
  context.lineWidth = 2;
  context.strokeRect(box[0] * scale, box[1] * scale, (box[2] - box[0]) * scale, (box[3] - box[1]) * scale);
  const caption = `The box (white) and its window of ${x2 - x1} × ${y2 - y1} cells on the feature map of `
    + `${columns} × ${rows} cells`;
  return figureOf(canvas, caption);
}

function line(context, x, y, dx, dy) {
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + dx, y + dy);
  context.stroke();
}

/** The object under the bins of one level, each in the colour of its part of the score. */
function levelFigure(image, box, level, parts, limit) {
  const canvas = element("canvas", { width: SIDE, height: SIDE });
  const context = canvas.getContext("2d");
  const [x1, y1, x2, y2] = box;
  context.drawImage(image, x1, y1, Math.max(1, x2 - x1), Math.max(1, y2 - y1), 0, 0, SIDE, SIDE);
  const side = SIDE / level;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `600 ${level > 3 ? 9 : 13}px system-ui, sans-serif`;
  parts.forEach((part, index) => {
    const [x, y] = [(index % level) * side, Math.floor(index / level) * side];
    const strength = (0.75 * Math.abs(part)) / limit;
    context.fillStyle = part >= 0 ? `rgb(249 115 22 / ${strength})` : `rgb(37 99 235 / ${strength})`;
    context.fillRect(x, y, side, side);
    context.strokeStyle = "rgb(255 255 255 / 60%)";
    context.lineWidth = 1;
    context.strokeRect(x, y, side, side);
    const text = level > 3 ? short(part) : signed(part);
    context.lineWidth = 3;
    context.strokeStyle = "rgb(0 0 0 / 75%)";
    context.strokeText(text, x + side / 2, y + side / 2);
    context.fillStyle = "#ffffff";
    context.fillText(text, x + side / 2, y + side / 2);
  });
  const sum = parts.reduce((total, part) => total + part, 0);
  return figureOf(canvas, `${level} × ${level} bins: ${signed(sum)}`);
}

async function example({ label, positive, similarity, photo, box }) {
  const canvas = element("canvas", { width: 110, height: 90 });
  const caption = `${label}, ${similarity.toFixed(2)}`;
  const image = new Image();
  image.src = imageAddress(photo);
  try {
    await image.decode();
    const [width, height] = [Math.max(1, box[2] - box[0]), Math.max(1, box[3] - box[1])];
    const scale = Math.min(canvas.width / width, canvas.height / height);
    const [w, h] = [width * scale, height * scale];
    const place = [(canvas.width - w) / 2, (canvas.height - h) / 2, w, h];
    canvas.getContext("2d").drawImage(image, box[0], box[1], width, height, ...place);
  } catch {
    // The photograph is gone: the caption alone stays.
  }
  return figureOf(canvas, caption, positive ? "" : "negative");
}
