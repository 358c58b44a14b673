// Undo and redo of values that are never changed in place.

export class History {
  #past = [];
  #future = [];

  constructor(present) {
    this.present = present;
  }

  commit(value) {
    this.#past.push(this.present);
    this.present = value;
    this.#future = [];
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** Go back one step; false where there is none. */
  undo() {
    return this.#step(this.#past, this.#future);
  }

  redo() {
    return this.#step(this.#future, this.#past);
  }

  #step(from, to) {
    if (from.length === 0) return false;
    to.push(this.present);
    this.present = from.pop();
    return true;
  }
}
