// What the page shows: the folder, the open photograph with its labels, and what the pointer means.
// Events: "change" of anything but what the pointer means, "hover" of that, "edit" of the labels.

import { choicesAt, openSuggestions, walkFit, walkSize } from "./proposals.js";
import { iou } from "./boxes.js";

const NO_LABELS = { objects: [], background: false, rejected: [] };

export class State extends EventTarget {
  folder = { name: "", format: "" };
  photos = []; // {id, name, state, objects}, as the server lists them
  classes = [];
  label = null; // the class that a new box gets
  photo = null; // {id, name, width, height}
  image = null; // the decoded picture
  history = null; // of {objects, background, rejected}
  proposals = [];
  scores = null;
  note = ""; // why there are no proposals
  suggestions = [];
  generation = 0; // of the detector that made the suggestions
  selected = null; // index of an object
  point = null; // [x, y] of the pointer in pixels of the photograph
  byKeyboard = false; // the arrow keys move the pointer, which is drawn as a cross
  pending = null; // a box that waits for the name of its class
  choices = [];
  choice = 0;
  draft = null; // the box that is being drawn or corrected
  status = null;
  message = "";
  #walkedFrom = null;

  get labels() {
    return this.history ? this.history.present : NO_LABELS;
  }

  get size() {
    return this.photo ? [this.photo.width, this.photo.height] : [1, 1];
  }

  /** Suggestions that are neither labelled nor rejected; none where there is said to be no object. */
  get open() {
    return this.labels.background ? [] : openSuggestions(this.suggestions, this.labels);
  }

  get lit() {
    return this.choices[this.choice] || null;
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  hovered() {
    this.dispatchEvent(new Event("hover"));
  }

  /** Show a message for some seconds. */
  say(message) {
    this.message = message;
    this.hovered();
    setTimeout(() => {
      if (this.message !== message) return;
      this.message = "";
      this.hovered();
    }, 6000);
  }

  /** Show another photograph; its proposals and suggestions follow. */
  show(photo, image, history) {
    Object.assign(this, { photo, image, history, proposals: [], scores: null, note: "", suggestions: [] });
    Object.assign(this, { selected: null, point: null, byKeyboard: false, choices: [], choice: 0 });
    Object.assign(this, { draft: null, pending: null, message: "" });
    this.changed();
  }

  /** The pointer is at a point, or has left (null). `reach` is how far it may go after a walk. */
  pointAt(point, reach = 0) {
    this.#find(point, reach);
    this.hovered();
  }

  /** The pointer goes to the middle of a suggestion, which lights up whatever else is there. */
  pointAtSuggestion(index) {
    const [x1, y1, x2, y2] = this.open[index].box;
    this.#find([(x1 + x2) / 2, (y1 + y2) / 2], 0);
    const own = this.choices.findIndex((one) => one.kind === "suggestion" && one.index === index);
    this.choice = Math.max(0, own);
    this.#walkedFrom = this.point;
    this.hovered();
  }

  #find(point, reach) {
    const before = this.lit;
    const from = this.#walkedFrom;
    this.point = point;
    this.choices = point ? this.#choicesAt(point) : [];
    this.choice = 0;
    if (point && from && before && Math.hypot(point[0] - from[0], point[1] - from[1]) <= reach) {
      const same = this.choices.findIndex(({ box }) => iou(box, before.box) > 0.9);
      this.choice = Math.max(0, same);
    } else {
      this.#walkedFrom = null;
    }
  }

  #choicesAt(point) {
    return choicesAt(point, {
      objects: this.labels.objects.map(({ box }) => box),
      suggestions: this.open.map(({ box }) => box),
      likely: this.open.map(({ score }) => score),
      proposals: this.proposals,
      scores: this.scores,
    });
  }

  /** Light up a larger or smaller choice, or the next or previous one in the order of fit. */
  walk(by, direction) {
    if (this.choices.length === 0) return;
    const step = by === "size" ? walkSize : walkFit;
    this.choice = step(this.choices, this.choice, direction);
    this.#walkedFrom = this.point;
    this.hovered();
  }

  select(index) {
    this.selected = index;
    this.pending = null;
    this.changed();
  }

  /** Replace the labels of the open photograph: one step for undo, saved at once. */
  edit(part) {
    this.history.commit({ ...this.labels, ...part });
    this.edited();
  }

  /** The labels are others than before, by an edit, an undo or a redo. */
  edited() {
    if (this.selected !== null && this.selected >= this.labels.objects.length) this.selected = null;
    this.draft = null;
    this.#walkedFrom = null;
    this.refresh();
    this.dispatchEvent(new Event("edit"));
  }

  /** Find again what is under the pointer, after boxes came or went. */
  refresh() {
    this.#find(this.point, 0);
    this.changed();
  }
}
