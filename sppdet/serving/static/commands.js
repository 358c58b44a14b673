// All commands that have a key, with the text that the help shows. keys.js runs them.

import { acceptAll, choose, redo, remove, setBox, toggleBackground, toggleDifficult, undo, useClass } from "./edits.js";
import { LEAST, moved } from "./boxes.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** [{title, commands: [{keys, shown, what, run}]}]; `app` has the parts of the page. */
export function commandGroups(app) {
  const { state, stage, view, pointer, photos, panels } = app;
  const middle = () => stage.size.map((side) => side / 2);
  const zoom = (factor) => {
    view.zoom(factor, middle());
    stage.update();
  };
  const go = (which) => {
    pointer.cancel(); // a box that is being drawn belongs to this photograph
    photos[which]();
  };
  const arrows = (prefix, run) =>
    Object.entries(ARROWS).map(([key, step]) => [prefix + key, () => run(step)]);
  return [
    group("Boxes", [
      [["Space"], "Space", "Take what is lit up, as a click does", () => choose(state)],
      [["["], "[ or wheel", "A smaller choice", () => state.walk("size", -1)],
      [["]"], "] or wheel", "A larger choice", () => state.walk("size", 1)],
      [["."], ".", "The next best choice", () => state.walk("fit", 1)],
      [[","], ",", "The choice before it", () => state.walk("fit", -1)],
      [["Enter"], "Enter", "Accept all suggestions; the next photograph if there are none",
        () => acceptAll(state) || go("next")],
      [["Delete", "Backspace"], "Delete", "Delete the selected object; reject the suggestion under the pointer",
        () => remove(state)],
      [["s", "S"], "S, Shift+S", "Go to the next or previous object or suggestion",
        (key) => selectNext(state, key === "S" ? -1 : 1)],
      [["Escape"], "Esc", "Give up drawing; select nothing",
        () => pointer.cancel() || state.select(null)],
    ]),
    group("Labels", [
      [["1", "2", "3", "4", "5", "6", "7", "8", "9"], "1 to 9",
        "Use a class: for the next boxes, and for the selected object under the pointer",
        (key) => state.classes[key - 1] && useClass(state, state.classes[key - 1])],
      [["c"], "C", "Type the name of a class", () => panels.typeClass()],
      [["d"], "D", "The selected object is difficult, or not", () => toggleDifficult(state)],
      [["b"], "B", "There is no object in this photograph, or there is", () => toggleBackground(state)],
      [["Ctrl+z"], "Ctrl+Z", "Undo", () => undo(state)],
      [["Ctrl+y", "Ctrl+Shift+z"], "Ctrl+Y", "Redo", () => redo(state)],
    ]),
    group("Arrows", [
      [arrows("", (step) => arrow(app, step, 1)), "Arrows",
        "Move the selected box by a pixel; without one, move the pointer"],
      [arrows("Shift+", (step) => arrow(app, step, 10)), "Shift+arrows", "The same in larger steps"],
      [arrows("Alt+", (step) => stretch(state, step, 1)), "Alt+arrows",
        "Move the right and lower edges of the selected box"],
      [arrows("Ctrl+", ([x, y]) => pan(app, -60 * x, -60 * y)), "Ctrl+arrows", "Move the picture"],
    ]),
    group("View", [
      [["+", "="], "+ or Ctrl+wheel", "Zoom in", () => zoom(1.25)],
      [["-"], "- or Ctrl+wheel", "Zoom out", () => zoom(0.8)],
      [["0"], "0", "The whole photograph", () => stage.fit()],
      [["PageDown", "n"], "N, page down", "The next photograph, in the order that is set", () => go("next")],
      [["PageUp", "p"], "P, page up", "The photograph before", () => go("previous")],
    ]),
    group("Detector", [
      [["m"], "M", "Save the detector as a file", () => panels.model()],
      [["t"], "T", "Try the detector on other images", () => panels.trial()],
      state.folder.explains && [["w"], "W", "Why the selected box has its score", () => panels.why()],
      [["r"], "R", "Report on the labelled photographs", () => panels.report()],
      [["?", "F1"], "?", "This list", () => panels.help()],
    ]),
  ];
}

function group(title, rows) {
  const commands = rows.filter(Boolean).map(([keys, shown, what, run]) => ({
    shown,
    what,
    runs: keys.map((key) => (Array.isArray(key) ? key : [key, run])),
  }));
  return { title, commands };
}

/** Go through the objects, which are selected, and the suggestions, which the pointer goes to. */
function selectNext(state, direction) {
  const { selected, lit, open } = state;
  const objects = state.labels.objects.length;
  const number = objects + open.length;
  if (number === 0) return;
  const pointed = state.byKeyboard && lit?.kind === "suggestion" ? objects + lit.index : null;
  const from = selected ?? pointed ?? (direction > 0 ? -1 : 0);
  const next = (from + direction + number) % number;
  state.byKeyboard = true;
  state.select(next < objects ? next : null);
  if (next >= objects) state.pointAtSuggestion(next - objects);
}

function arrow({ state, stage, view }, [x, y], steps) {
  const object = state.labels.objects[state.selected];
  if (object) {
    setBox(state, moved(object.box, steps * x, steps * y, state.size));
    return;
  }
  const [width, height] = state.size;
  const step = (steps * 6) / view.scale;
  const from = state.point || view.toPhoto(stage.size.map((side) => side / 2));
  state.byKeyboard = true;
  state.pointAt([
    Math.min(width - 1, Math.max(0, from[0] + step * x)),
    Math.min(height - 1, Math.max(0, from[1] + step * y)),
  ]);
}

function stretch(state, [x, y], steps) {
  const object = state.labels.objects[state.selected];
  if (!object) return;
  const [x1, y1, x2, y2] = object.box;
  const [width, height] = state.size;
  const right = Math.min(width, Math.max(x1 + LEAST, x2 + steps * x));
  const lower = Math.min(height, Math.max(y1 + LEAST, y2 + steps * y));
  setBox(state, [x1, y1, right, lower]);
}

function pan({ view, stage }, dx, dy) {
  view.pan(dx, dy);
  stage.update();
}
