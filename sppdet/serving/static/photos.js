// Opening photographs: the picture and its labels first, then proposals and suggestions.

import * as api from "./api.js";
import { History } from "./history.js";

export class Photos {
  #histories = new Map(); // photograph -> History, so that undo works after coming back
  #visited = [];
  #loading = new AbortController();
  #ahead = null;

  constructor(state, saver) {
    Object.assign(this, { state, saver });
    this.order = "uncertain";
  }

  async open(id, remember = true) {
    this.#loading.abort();
    const { signal } = (this.#loading = new AbortController());
    const { state } = this;
    if (remember && state.photo && state.photo.id !== id) this.#visited.push(state.photo.id);
    try {
      const [photo, image] = await Promise.all([api.photo(id, signal), decoded(id)]);
      if (signal.aborted) return;
      state.show(photo, image, this.#historyOf(photo));
      window.history.replaceState(null, "", `#${id}`);
      await this.refresh(signal);
      await this.#lookAhead(id);
    } catch (error) {
      if (error.name !== "AbortError") state.say(error.message);
    }
  }

  /** The labels as the server has them, and the steps before where nobody else has changed them. */
  #historyOf({ id, revision, objects, background, rejected = [] }) {
    const known = this.#histories.get(id);
    if (known && (this.saver.isWaiting(id) || this.saver.revision(id) === revision)) return known;
    this.saver.loaded(id, revision);
    const history = new History({ objects, background, rejected });
    this.#histories.set(id, history);
    return history;
  }

  /** Read the labels again, without the steps for undo, after something changed in all of them. */
  async forget() {
    this.#histories.clear();
    if (this.state.photo) await this.open(this.state.photo.id);
    this.state.changed();
  }

  /** Replace the labels of a photograph by others, as a step that undo can take back. */
  replace(id, { objects, background, rejected = [] }) {
    const history = this.#histories.get(id);
    history?.commit({ objects, background, rejected });
    if (this.state.photo?.id === id) {
      this.state.selected = null;
      this.state.refresh();
    }
  }

  /** Load proposals and suggestions, when the photograph opens or the detector is a new one. */
  async refresh(signal = this.#loading.signal) {
    const { state } = this;
    const { id } = state.photo;
    const [proposals, suggestions] = await Promise.all([
      api.proposals(id, signal),
      api.suggestions(id, signal),
    ]);
    if (signal.aborted || state.photo.id !== id) return;
    state.proposals = proposals.boxes;
    state.scores = proposals.scores || null;
    state.note = proposals.note || "";
    state.suggestions = suggestions.boxes;
    state.generation = suggestions.generation;
    state.refresh();
  }

  /** Find the next photograph and load its picture, so that it is there at once. */
  async #lookAhead(id) {
    const { order } = this;
    const next = await api.next(id, order);
    this.#ahead = next.id === null || next.id === id ? null : { after: id, id: next.id, order };
    if (this.#ahead) new Image().src = api.imageAddress(next.id);
  }

  async next() {
    const { state } = this;
    if (!state.photo) return;
    const { id } = state.photo;
    const known = this.#ahead?.after === id && this.#ahead.order === this.order;
    const ahead = known && this.order !== "uncertain" ? this.#ahead : null;
    try {
      const next = ahead || (await api.next(id, this.order));
      if (next.id === null) state.say("All photographs are labelled.");
      else await this.open(next.id);
    } catch (error) {
      state.say(error.message);
    }
  }

  async previous() {
    const { state } = this;
    if (!state.photo) return;
    const place = (wanted) => state.photos.findIndex(({ id }) => id === wanted);
    this.#visited = this.#visited.filter((id) => place(id) >= 0); // the others left the folder
    const id = this.#visited.pop() ?? state.photos[Math.max(0, place(state.photo.id) - 1)]?.id;
    if (id !== undefined && id !== state.photo.id) await this.open(id, false);
  }
}

async function decoded(id) {
  const image = new Image();
  image.src = api.imageAddress(id);
  try {
    await image.decode();
  } catch {
    await api.pictureOf(id); // fails with the server's reason
    throw new Error("The browser cannot show the picture of this photograph.");
  }
  return image;
}
