// The dialog in which the class in use gets another name or is removed.

import * as api from "./api.js";
import { byId } from "./elements.js";

export class ClassDialog {
  /**
   * @param saver whose labels have to be with the server before a class changes.
   * @param forget reads the labels again: the steps for undo name the classes as they were.
   */
  constructor(state, saver, forget) {
    Object.assign(this, { state, saver, forget });
    byId("class-edit").addEventListener("click", () => this.#open());
    byId("class-remove").addEventListener("click", () => this.#change((name) => api.removeClass(name)));
    byId("class-dialog").querySelector(".close").addEventListener("click", () => byId("class-dialog").close());
    byId("class-change").addEventListener("submit", (event) => {
      event.preventDefault();
      const to = byId("class-new").value.trim();
      this.#change((name) => api.renameClass(name, to), to);
    });
    state.addEventListener("change", () => {
      byId("class-edit").hidden = state.label === null;
    });
  }

  #open() {
    byId("class-title").textContent = `Class ${this.state.label}`;
    byId("class-new").value = this.state.label;
    byId("class-answer").textContent = "";
    byId("class-dialog").showModal();
  }

  /** Change the class in use by a request; `label` is the class in use afterwards. */
  async #change(request, label = null) {
    const { state } = this;
    if (!this.saver.idle) {
      byId("class-answer").textContent = "Labels are being saved; try again in a moment.";
      return;
    }
    try {
      state.classes = (await request(state.label)).classes;
      state.label = label ?? state.classes[0] ?? null;
      byId("class-dialog").close();
      await this.forget();
    } catch (error) {
      byId("class-answer").textContent = error.message;
    }
  }
}
