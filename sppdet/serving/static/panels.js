// The dialogs: help, model, try, why, and the question about two versions.

import * as api from "./api.js";
import { byId, count, element } from "./elements.js";
import { findingsIn } from "./findings.js";
import { explanation } from "./why.js";

export class Panels {
  constructor(state) {
    this.state = state;
    byId("report").href = api.reportAddress();
    byId("model-form").addEventListener("submit", (event) => this.#saveModel(event));
    byId("model-form").querySelector(".close").addEventListener("click", () => byId("model-dialog").close());
    for (const [name, open] of [["help", this.help], ["model", this.model], ["try", this.trial], ["why", this.why]]) {
      byId(name).addEventListener("click", open.bind(this));
    }
  }

  typeClass() {
    byId("class-name").focus();
  }

  help() {
    byId("help-dialog").showModal();
    byId("help-dialog").scrollTop = 0;
  }

  report() {
    byId("report").click();
  }

  model() {
    byId("model-answer").textContent = "";
    byId("model-dialog").showModal();
  }

  async #saveModel(event) {
    event.preventDefault();
    const answer = byId("model-answer");
    answer.textContent = "Saving …";
    try {
      const { file } = await api.saveModel(byId("model-file").value.trim());
      answer.replaceChildren("Saved. Use it with ",
        element("code", { textContent: `sppdet detect photo.jpg --model ${file}` }));
    } catch (error) {
      answer.textContent = error.message;
    }
  }

  trial() {
    const place = byId("try-place");
    if (!place.hasChildNodes()) findingsIn(place, api.tryImage);
    byId("try-dialog").showModal();
  }

  /** Explain the selected object, or what is lit up, or the only object there is. */
  async why() {
    const { state } = this;
    const object = this.#meant();
    if (!object) {
      state.say("Select an object first: the explanation is about one box.");
      return;
    }
    const place = byId("why-place");
    place.replaceChildren("Looking …");
    byId("why-dialog").showModal();
    try {
      const { id } = state.photo;
      const why = await api.explain(id, { label: object.label, box: object.box });
      place.replaceChildren(...(await explanation(state.image, state.size, object, why)));
    } catch (error) {
      place.replaceChildren(element("p", { className: "bad", textContent: error.message }));
    }
  }

  #meant() {
    const { objects } = this.state.labels;
    const { lit, open, label } = this.state;
    if (objects[this.state.selected]) return objects[this.state.selected];
    if (lit?.kind === "object") return objects[lit.index];
    if (lit?.kind === "suggestion") return open[lit.index];
    if (lit?.kind === "proposal" && label) return { label, box: lit.box };
    return objects.length === 1 ? objects[0] : null;
  }

  /** Ask which of two versions of a photograph's labels stays: "mine" or "theirs". */
  ask(id, mine, theirs) {
    const dialog = byId("conflict-dialog");
    const name = this.state.photos.find((photo) => photo.id === id)?.name;
    byId("conflict-text").textContent = `Another page or program has changed the labels of ${name} `
      + `meanwhile. Yours: ${count(mine.objects.length, "object")}. `
      + `Theirs: ${count(theirs.objects.length, "object")}. Undo brings the others back.`;
    dialog.showModal();
    return new Promise((resolve) => {
      const settle = (answer) => () => {
        dialog.close();
        resolve(answer);
      };
      dialog.oncancel = (event) => event.preventDefault();
      byId("conflict-mine").onclick = settle("mine");
      byId("conflict-theirs").onclick = settle("theirs");
    });
  }
}
