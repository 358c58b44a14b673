// Draws the photograph and its boxes on the stage.

import { HANDLES, handlePoint } from "./boxes.js";
import { colourOf, textOn } from "./colours.js";

export const HANDLE = 9; // side of a handle, in screen pixels

export class Stage {
  #frame = null;
  #shown = null; // the photograph that the view fits

  constructor(canvas, state, view) {
    Object.assign(this, { canvas, state, view, context: canvas.getContext("2d") });
    for (const kind of ["change", "hover"]) state.addEventListener(kind, () => this.update());
    new ResizeObserver(() => this.fit()).observe(canvas);
  }

  get size() {
    return [this.canvas.clientWidth, this.canvas.clientHeight];
  }

  fit() {
    this.view.fit(this.state.size, this.size);
    this.update();
  }

  /** Draw before the browser's next frame, however many changes come until then. */
  update() {
    if (this.state.photo && this.#shown !== this.state.photo.id) {
      this.#shown = this.state.photo.id;
      this.view.fit(this.state.size, this.size);
    }
    Object.assign(this.canvas.dataset, { scale: this.view.scale, x: this.view.x, y: this.view.y });
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      this.#draw();
    });
  }

  #draw() {
    const { canvas, context, state, view } = this;
    const [width, height] = this.size;
    const density = devicePixelRatio || 1;
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    context.scale(density, density);
    if (!state.image) return;
    const [right, bottom] = state.size.map((side) => side * view.scale);
    context.imageSmoothingEnabled = view.scale < 4;
    context.drawImage(state.image, view.x, view.y, right, bottom);
    this.#drawSuggestions();
    this.#drawObjects();
    this.#drawLit();
    if (state.draft) this.#outline(state.draft, "#ffffff", 2);
    if (state.point && state.byKeyboard) this.#cross(state.point);
  }

  #drawSuggestions() {
    const { state } = this;
    state.open.forEach((one) => {
      const colour = colourOf(state.classes, one.label);
      this.#outline(one.box, colour, 2, [7, 5]);
      this.#tag(one.box, `${one.label} ${Math.round(100 * one.score)} %`, colour);
    });
  }

  #drawObjects() {
    const { state } = this;
    state.labels.objects.forEach((object, index) => {
      const chosen = index === state.selected;
      if (chosen && state.draft) return;
      const colour = colourOf(state.classes, object.label);
      this.#outline(object.box, colour, chosen ? 4 : 2.5);
      this.#tag(object.box, object.label + (object.difficult ? " (difficult)" : ""), colour);
      if (chosen) this.#handles(object.box, colour);
    });
  }

  #drawLit() {
    const { lit, draft, classes, label } = this.state;
    if (!lit || draft) return;
    const [x, y, width, height] = this.#rectangle(lit.box);
    this.context.fillStyle = "rgb(255 255 255 / 22%)";
    this.context.fillRect(x, y, width, height);
    if (lit.kind === "proposal") this.#outline(lit.box, colourOf(classes, label), 2, [2, 3]);
  }

  #rectangle(box) {
    const [x1, y1] = this.view.toStage(box);
    const [x2, y2] = this.view.toStage([box[2], box[3]]);
    return [x1, y1, x2 - x1, y2 - y1];
  }

  /** A box over a dark edge, so that it is seen on light and dark ground. */
  #outline(box, colour, width, dashes = []) {
    const { context } = this;
    const rectangle = this.#rectangle(box);
    context.setLineDash(dashes);
    for (const [style, line] of [["rgb(255 255 255 / 80%)", width + 2], [colour, width]]) {
      context.strokeStyle = style;
      context.lineWidth = line;
      context.strokeRect(...rectangle);
    }
    context.setLineDash([]);
  }

  #tag(box, text, colour) {
    const { context } = this;
    const [x, y] = this.view.toStage(box);
    context.font = "600 12px system-ui, sans-serif";
    const width = context.measureText(text).width + 10;
    const top = Math.max(0, y - 18);
    context.fillStyle = colour;
    context.fillRect(x - 1, top, width, 17);
    context.fillStyle = textOn(colour);
    context.fillText(text, x + 4, top + 12.5);
  }

  #handles(box, colour) {
    const { context } = this;
    for (const name of Object.keys(HANDLES)) {
      const [x, y] = this.view.toStage(handlePoint(box, name));
      context.fillStyle = "#ffffff";
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.fillRect(x - HANDLE / 2, y - HANDLE / 2, HANDLE, HANDLE);
      context.strokeRect(x - HANDLE / 2, y - HANDLE / 2, HANDLE, HANDLE);
    }
  }

  #cross(point) {
    const [x, y] = this.view.toStage(point);
    const { context } = this;
    for (const [style, line] of [["#000000", 5], ["#ffffff", 2]]) {
      context.strokeStyle = style;
      context.lineWidth = line;
      context.beginPath();
      context.moveTo(x - 12, y);
      context.lineTo(x + 12, y);
      context.moveTo(x, y - 12);
      context.lineTo(x, y + 12);
      context.stroke();
    }
  }
}
