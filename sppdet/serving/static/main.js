// The page of `sppdet label`: makes the parts and connects them.

import * as api from "./api.js";
import { Stage } from "./canvas.js";
import { ClassDialog } from "./classes.js";
import { commandGroups } from "./commands.js";
import { byId, count } from "./elements.js";
import { helpLists, listenToKeys } from "./keys.js";
import { Panels } from "./panels.js";
import { Photos } from "./photos.js";
import { Pointer } from "./pointer.js";
import { Saver } from "./saving.js";
import { Side } from "./side.js";
import { State } from "./state.js";
import { Strip } from "./strip.js";
import { View } from "./view.js";

const POLL = 1500; // milliseconds between two questions about the detector
let gone = false; // the last question had no answer

const state = new State();
const view = new View();
const stage = new Stage(byId("stage"), state, view);
const pointer = new Pointer(stage, state);
const panels = new Panels(state);
const saver = new Saver(put, showSaving, settle);
const photos = new Photos(state, saver);
const strip = new Strip(state, (id) => photos.open(id));
new Side(state, addClass);
new ClassDialog(state, saver, () => photos.forget());

function showSaving(kind, message) {
  byId("save").dataset.state = kind;
  byId("save").textContent = byId("save").title = message;
}

/** Save labels, and say what their files lose with the box that was there before. */
async function put(id, content) {
  const answer = await api.save(id, content);
  if (answer.lost.length > 0) {
    const name = state.photos.find((photo) => photo.id === id)?.name;
    state.say(`${name}: its file loses ${answer.lost.join(" and ")}, drawn for the box as it was. `
      + "Undo brings it back.");
  }
  return answer;
}

/** Two versions of the labels: ask, and show the one that stays. */
async function settle(id, mine, theirs) {
  const answer = await panels.ask(id, mine, theirs);
  if (answer === "theirs") photos.replace(id, theirs);
  return answer;
}

async function addClass(name) {
  try {
    state.classes = (await api.addClass(name)).classes;
    return true;
  } catch (error) {
    state.say(error.message);
    return false;
  }
}

state.addEventListener("edit", () => saver.save(state.photo.id, state.labels));

state.addEventListener("change", () => {
  if (!state.photo) return;
  byId("photo").textContent = byId("photo").title = state.photo.name;
  strip.update(state.photo.id, state.labels, state.open.length);
});

byId("next").addEventListener("click", () => photos.next());
byId("previous").addEventListener("click", () => photos.previous());
byId("order").addEventListener("change", ({ target }) => {
  photos.order = target.value;
  localStorage.setItem("order", target.value);
  byId("stage").focus();
});

// After a click on a button the keys work on the photograph again.
document.addEventListener("click", (event) => {
  if (event.detail > 0 && event.target.closest("button") && !document.querySelector("dialog[open]")) {
    if (!state.pending) byId("stage").focus();
  }
});

addEventListener("beforeunload", (event) => {
  if (!saver.idle) event.preventDefault();
});

/** Photographs came into the folder or left it: list them again, and say so. */
async function relist() {
  const folder = await api.folder();
  const before = new Set(state.photos.map(({ id }) => id));
  const come = folder.photos.filter(({ id }) => !before.has(id)).length;
  const gone = state.photos.length + come - folder.photos.length;
  Object.assign(state, { folder, photos: folder.photos, classes: folder.classes });
  strip.fill();
  const parts = [come && `${count(come, "new photograph")} in the folder`, gone && `${gone} gone`];
  state.say(`${parts.filter(Boolean).join(", ")}.`);
  state.changed();
}

/** Ask for the state of the detector; take its suggestions when it is a new one. */
async function poll() {
  try {
    const status = await api.status();
    const isNew = state.photo && status.generation !== state.generation;
    if (JSON.stringify(status) !== JSON.stringify(state.status)) {
      state.status = status;
      state.changed();
    }
    if (isNew) await photos.refresh();
    if (state.photos.length > 0 && status.version !== state.folder.version) await relist();
  } catch (error) {
    gone ||= [0, 401, 403].includes(error.status);
    if (gone && saver.idle) showSaving("failed", error.message);
    setTimeout(poll, POLL);
    return;
  }
  if (gone && saver.idle) showSaving("saved", "Saved");
  gone = false;
  setTimeout(poll, POLL);
}

async function start() {
  photos.order = localStorage.getItem("order") || "uncertain";
  byId("order").value = photos.order;
  try {
    const folder = await api.folder();
    Object.assign(state, { folder, photos: folder.photos, classes: folder.classes });
    state.label = folder.classes[0] ?? null;
    byId("folder").textContent = folder.name;
    byId("difficult").hidden = folder.difficult === false;
    byId("why").hidden = !folder.explains;
    document.title = `${folder.name}: sppdet label`;
    strip.fill();
    const groups = commandGroups({ state, stage, view, pointer, photos, panels });
    listenToKeys(groups);
    byId("help-keys").replaceChildren(...helpLists(groups));
    const wanted = Number(location.hash.slice(1));
    const first = folder.photos.find(({ id }) => location.hash && id === wanted)
      || folder.photos.find(({ state: kind }) => kind === "empty" || kind === "suggested")
      || folder.photos[0];
    if (first) await photos.open(first.id);
    else state.say("There are no photographs in this folder.");
  } catch (error) {
    state.say(error.message);
  }
  byId("stage").focus();
  poll();
}

start();
