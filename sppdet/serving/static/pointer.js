// The mouse on the stage: hover, click, draw, correct, pan, zoom, walk.

import { between, contains, HANDLES, handlePoint, moved, resized, snapped } from "./boxes.js";
import { HANDLE } from "./canvas.js";
import { addBox, choose, setBox } from "./edits.js";

const CLICK = 4; // a press that moves less, in screen pixels, is a click
const STAY = 14; // a box that one has walked to stays lit up within this many screen pixels
const SNAP = 12; // edges snap to a proposal's edge within this many screen pixels
const CURSORS = { nw: "nwse", se: "nwse", ne: "nesw", sw: "nesw", n: "ns", s: "ns", e: "ew", w: "ew" };

export class Pointer {
  #press = null; // {kind, photo, start, last, handle, box, far}

  constructor(stage, state) {
    Object.assign(this, { stage, state, view: stage.view, canvas: stage.canvas });
    const on = (name, handler) => this.canvas.addEventListener(name, handler.bind(this));
    state.addEventListener("change", () => {
      if (this.#press && this.#press.photo !== state.photo) this.cancel();
    });
    on("pointerdown", this.#down);
    on("pointermove", this.#move);
    on("pointerup", this.#up);
    on("pointercancel", this.cancel);
    on("pointerleave", () => this.#press || state.byKeyboard || state.pointAt(null));
    on("wheel", this.#wheel);
    on("contextmenu", (event) => event.preventDefault());
  }

  /** Give up the box that is being drawn or corrected. */
  cancel() {
    const wasDrawing = this.#press !== null;
    this.#press = null;
    this.state.draft = null;
    this.state.hovered();
    return wasDrawing;
  }

  #down(event) {
    if (!this.state.photo) return;
    this.canvas.focus();
    this.canvas.setPointerCapture(event.pointerId);
    const at = [event.offsetX, event.offsetY];
    const handle = this.#handleAt(at);
    const selected = this.#selectedBox();
    let kind = "draw";
    if (event.button !== 0) kind = "pan";
    else if (handle) kind = "resize";
    else if (selected && contains(selected, this.view.toPhoto(at))) kind = "move";
    const { photo } = this.state;
    this.#press = { kind, photo, start: at, last: at, handle, box: selected, far: false };
  }

  #move(event) {
    const at = [event.offsetX, event.offsetY];
    const point = this.view.toPhoto(at);
    const press = this.#press;
    this.state.byKeyboard = false;
    if (!press) {
      const handle = this.#handleAt(at);
      this.canvas.style.cursor = handle ? `${CURSORS[handle]}-resize` : "crosshair";
      this.state.pointAt(point, STAY / this.view.scale);
      return;
    }
    press.far ||= Math.hypot(at[0] - press.start[0], at[1] - press.start[1]) >= CLICK;
    if (press.kind === "pan") {
      this.view.pan(at[0] - press.last[0], at[1] - press.last[1]);
      this.stage.update();
    } else if (press.far) {
      if (press.kind === "draw" && this.state.selected !== null) this.state.select(null);
      this.state.draft = this.#draft(press, point, event.shiftKey);
      this.state.hovered();
    }
    press.last = at;
  }

  /** The box that a press and the present point make; edges snap while Shift is held. */
  #draft(press, point, snap) {
    const { size, proposals } = this.state;
    const start = this.view.toPhoto(press.start);
    const near = (place) => (snap ? snapped(place, proposals, SNAP / this.view.scale) : place);
    if (press.kind === "draw") return between(near(start), near(point), size);
    if (press.kind === "resize") return resized(press.box, press.handle, near(point), size);
    return moved(press.box, point[0] - start[0], point[1] - start[1], size);
  }

  #up(event) {
    const press = this.#press;
    const { draft } = this.state;
    this.#press = null;
    if (!press || press.kind === "pan") return;
    this.state.draft = null;
    const point = this.view.toPhoto([event.offsetX, event.offsetY]);
    if (!press.far) {
      if (press.kind !== "resize") this.#click(point);
    } else if (draft && press.kind === "draw") {
      addBox(this.state, draft);
    } else if (draft) {
      setBox(this.state, draft);
    }
    this.state.pointAt(point);
  }

  #click(point) {
    this.state.pointAt(point, STAY / this.view.scale);
    choose(this.state);
  }

  #wheel(event) {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      this.view.zoom(Math.exp(-event.deltaY / 200), [event.offsetX, event.offsetY]);
      this.stage.update();
    } else if (event.deltaY !== 0) {
      this.state.walk("size", event.deltaY < 0 ? 1 : -1);
    }
  }

  #selectedBox() {
    const object = this.state.labels.objects[this.state.selected];
    return object ? object.box : null;
  }

  #handleAt([x, y]) {
    const box = this.#selectedBox();
    if (!box) return null;
    const near = (name) => {
      const [hx, hy] = this.view.toStage(handlePoint(box, name));
      return Math.max(Math.abs(hx - x), Math.abs(hy - y)) <= HANDLE;
    };
    return Object.keys(HANDLES).find(near) || null;
  }
}
