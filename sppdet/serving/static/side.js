// The panels beside the photograph: classes, objects, buttons, the line about the detector.

import { colourOf } from "./colours.js";
import { accept, acceptAll, redo, reject, toggleBackground, toggleDifficult, undo, useClass } from "./edits.js";
import { byId, count, dot, element, refill } from "./elements.js";

export class Side {
  constructor(state, addClass) {
    Object.assign(this, { state, addClass });
    byId("accept").addEventListener("click", () => acceptAll(state));
    byId("difficult").addEventListener("click", () => toggleDifficult(state));
    byId("background").addEventListener("click", () => toggleBackground(state));
    byId("undo").addEventListener("click", () => undo(state));
    byId("redo").addEventListener("click", () => redo(state));
    byId("class-form").addEventListener("submit", (event) => this.#submitClass(event));
    byId("class-name").addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      byId("class-name").value = "";
      byId("stage").focus();
      state.select(null);
    });
    state.addEventListener("change", () => this.#show());
    state.addEventListener("hover", () => this.#showHint());
  }

  #show() {
    const { state } = this;
    this.#showClasses();
    const { labels, open, selected, classes } = state;
    refill(byId("objects"), [labels.objects, open, selected, classes], () =>
      [...this.#objects(), ...this.#suggestions()]);
    byId("accept").hidden = state.open.length === 0;
    const object = state.labels.objects[state.selected];
    byId("difficult").setAttribute("aria-pressed", Boolean(object && object.difficult));
    byId("difficult").disabled = !object;
    byId("background").setAttribute("aria-pressed", state.labels.background);
    byId("background").disabled = !state.photo || state.labels.objects.length > 0;
    byId("undo").disabled = !state.history?.canUndo;
    byId("redo").disabled = !state.history?.canRedo;
    refill(byId("detector"), state.status, () => detectorLines(state.status));
    this.#showHint();
  }

  #showHint() {
    const { state } = this;
    byId("hint").textContent = hint(state);
    if (state.pending && document.activeElement !== byId("class-name")) byId("class-name").focus();
  }

  #showClasses() {
    const { state } = this;
    const figures = state.status?.average_precision?.classes || {};
    refill(byId("classes"), [state.classes, state.label, figures], () => state.classes.map((label, index) => {
      const figure = figures[label] ? `AP ${figures[label].ap.toFixed(2)}` : "";
      const button = element("button",
        { type: "button", className: "item", "aria-pressed": String(label === state.label) },
        dot(colourOf(state.classes, label)), element("span", { className: "name", textContent: label }),
        element("span", { className: "figure", textContent: figure }));
      if (index < 9) button.append(element("kbd", { textContent: index + 1 }));
      button.addEventListener("click", () => useClass(state, label));
      return element("li", {}, button);
    }));
    refill(byId("class-names"), state.classes, () =>
      state.classes.map((value) => element("option", { value })));
  }

  #objects() {
    const { state } = this;
    return state.labels.objects.map((object, index) => {
      const button = this.#row(object, object.difficult ? "difficult" : "", index === state.selected);
      button.addEventListener("click", () => state.select(index));
      return element("li", {}, button);
    });
  }

  #suggestions() {
    return this.state.open.map((one) => {
      const button = this.#row(one, `${Math.round(100 * one.score)} %`, false);
      button.classList.add("dashed");
      button.title = "A suggestion: click or Enter accepts it, Delete rejects it";
      button.addEventListener("click", () => accept(this.state, one));
      button.addEventListener("keydown", (event) => {
        if (event.key !== "Delete" && event.key !== "Backspace") return;
        event.stopPropagation();
        reject(this.state, one);
      });
      return element("li", {}, button);
    });
  }

  #row({ label, box }, figure, pressed) {
    const size = `${Math.round(box[2] - box[0])} × ${Math.round(box[3] - box[1])}`;
    return element("button",
      { type: "button", className: "item", "aria-pressed": String(pressed), "data-box": box.join(",") },
      dot(colourOf(this.state.classes, label)), element("span", { className: "name", textContent: label }),
      element("span", { className: "figure", textContent: figure ? `${figure}, ${size}` : size }));
  }

  async #submitClass(event) {
    event.preventDefault();
    const name = byId("class-name").value.trim();
    if (!name) return;
    if (!this.state.classes.includes(name) && !(await this.addClass(name))) return;
    byId("class-name").value = "";
    useClass(this.state, name);
    byId("stage").focus();
  }
}

/** What the line on the photograph says: the message, or what a click does. */
function hint(state) {
  if (state.message) return state.message;
  const { lit, choices, choice, label, open } = state;
  if (!lit) return open.length ? `${count(open.length, "suggestion")}: Enter accepts all` : state.note;
  const size = `${Math.round(lit.box[2] - lit.box[0])} × ${Math.round(lit.box[3] - lit.box[1])}`;
  const what = {
    object: () => `${state.labels.objects[lit.index].label}, a click selects it`,
    suggestion: () => `Suggested: ${open[lit.index].label}, a click accepts it, Delete rejects it`,
    proposal: () => `A click makes a box: ${label || "a new class"}`,
  }[lit.kind]();
  return `${what} (${size}, choice ${choice + 1} of ${choices.length})`;
}

/** The line with the honest figure: average precision by folds, or why there is none yet. */
function detectorLines(status) {
  if (!status) return [];
  const lines = [];
  const precision = status.average_precision;
  if (precision) {
    const number = Object.keys(precision.classes).length;
    const those = status.enough ? "" : ` of the ${count(number, "class", "classes")} with enough objects`;
    lines.push(element("b", { textContent: `mAP ${precision.mean.toFixed(2)}` }), `${those}, by folds. `);
  }
  lines.push(`${count(status.labelled, "labelled photograph")} with ${count(status.objects, "object")}. `);
  if (!precision && status.folding) {
    lines.push("The average precision is being computed. ");
  } else if (!precision && status.generation > 0) {
    lines.push("These are too few for a figure of the average precision. ");
  } else if (status.generation === 0 && !status.training) {
    lines.push("The first detector learns after a handful of boxes. ");
  }
  if (status.training) lines.push("The detector is learning …");
  else if (status.generation > 0) {
    const time = status.seconds === null ? "" : `, learned in ${status.seconds.toFixed(1)} s`;
    lines.push(`Detector ${status.generation}${time}.`);
  }
  if (status.message) lines.push(element("p", { textContent: status.message }));
  return lines;
}
