// The strip of all photographs with their states.

import { thumbnailAddress } from "./api.js";
import { byId, count, element } from "./elements.js";

const STATES = { background: "no object", suggested: "suggested", empty: "empty" };

const describe = ({ state, objects }) => STATES[state] || count(objects, "object");

export class Strip {
  #buttons = new Map();
  #current = null;

  constructor(state, open) {
    this.state = state;
    this.open = open;
    state.addEventListener("change", () => this.#mark());
  }

  /** Make a button for each photograph. Pictures are loaded when they come into sight. */
  fill() {
    const known = this.#buttons;
    this.#buttons = new Map();
    const buttons = this.state.photos.map((photo) => {
      if (known.has(photo.id)) {
        this.#buttons.set(photo.id, known.get(photo.id));
        this.#describe(photo);
        return known.get(photo.id);
      }
      const picture = element("img", { loading: "lazy", alt: "", src: thumbnailAddress(photo.id) });
      const button = element("button", { type: "button", className: "thumb", title: photo.name },
        picture, element("span", { className: "words" }));
      button.addEventListener("click", () => this.open(photo.id));
      this.#buttons.set(photo.id, button);
      this.#describe(photo);
      return button;
    });
    byId("strip").replaceChildren(...buttons);
  }

  /** Show the state of a photograph whose labels may have changed. */
  update(id, { objects, background }, suggestions) {
    const photo = this.state.photos.find((one) => one.id === id);
    if (!photo) return;
    photo.objects = objects.length;
    photo.state = suggestions ? "suggested" : "empty";
    if (background) photo.state = "background";
    if (objects.length) photo.state = "labelled";
    this.#describe(photo);
  }

  #describe(photo) {
    const button = this.#buttons.get(photo.id);
    if (!button) return;
    const words = describe(photo);
    button.dataset.state = photo.state;
    button.querySelector(".words").textContent = words;
    button.setAttribute("aria-label", `${photo.name}: ${words}`);
  }

  #mark() {
    const id = this.state.photo ? this.state.photo.id : null;
    if (id === this.#current) return;
    this.#buttons.get(this.#current)?.removeAttribute("aria-current");
    this.#current = id;
    const button = this.#buttons.get(id);
    button?.setAttribute("aria-current", "true");
    button?.scrollIntoView({ block: "nearest", inline: "center" });
  }
}
