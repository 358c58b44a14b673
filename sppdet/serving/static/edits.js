// The edits of the labels of the open photograph. Each is one step for undo.

import { contains, LEAST } from "./boxes.js";

/** Add a box with the class in use and select it; without a class the box waits for a name. */
export function addBox(state, box) {
  if (box[2] - box[0] < LEAST || box[3] - box[1] < LEAST) {
    state.say("A box has at least two pixels a side.");
    return;
  }
  if (state.label) {
    addObjects(state, [{ label: state.label, box, difficult: false }]);
  } else {
    state.pending = box;
    state.say("Type the name of the object's class, then press Enter.");
  }
}

function addObjects(state, added) {
  const objects = [...state.labels.objects, ...added];
  state.selected = added.length === 1 ? objects.length - 1 : null;
  state.edit({ objects, background: false });
}

function replaceSelected(state, part) {
  const { objects } = state.labels;
  const old = objects[state.selected];
  const changed = { ...old, ...part };
  if (!old || JSON.stringify(changed) === JSON.stringify(old)) return; // no step for undo
  state.edit({ objects: objects.map((object) => (object === old ? changed : object)) });
}

export const setBox = (state, box) => replaceSelected(state, { box });

/** Use a class for the next boxes, and for the selected object if the pointer is at it. */
export function useClass(state, label) {
  const { pending, point } = state;
  const object = state.labels.objects[state.selected];
  const meant = object && (state.byKeyboard || !point || contains(grown(object.box), point));
  state.label = label;
  state.pending = null;
  state.message = "";
  if (pending) addBox(state, pending);
  else if (!meant) state.select(null);
  else if (object.label !== label) replaceSelected(state, { label });
  else state.changed();
}

/** The box with a margin, which has room for a pointer that has just corrected an edge. */
function grown([x1, y1, x2, y2]) {
  const margin = 0.1 * Math.max(x2 - x1, y2 - y1) + 2;
  return [x1 - margin, y1 - margin, x2 + margin, y2 + margin];
}

export function toggleDifficult(state) {
  const object = state.labels.objects[state.selected];
  if (state.folder.difficult === false) state.say("The files of these labels cannot say it.");
  else if (object) replaceSelected(state, { difficult: !object.difficult });
  else state.say("Select an object first: the flag belongs to one object.");
}

export function toggleBackground(state) {
  if (!state.photo) return;
  if (state.labels.objects.length > 0) {
    state.say("This photograph has objects. Delete them first.");
    return;
  }
  state.edit({ background: !state.labels.background });
}

const asObject = ({ label, box }) => ({ label, box: box.map(Math.round), difficult: false });

export function accept(state, suggestion) {
  addObjects(state, [asObject(suggestion)]);
}

/** Accept all suggestions that are open; false where there are none. */
export function acceptAll(state) {
  const { open } = state;
  if (open.length === 0) return false;
  addObjects(state, open.map(asObject));
  state.selected = null;
  state.changed();
  return true;
}

/** Reject a suggestion: it becomes a negative example. */
export function reject(state, { label, box }) {
  state.edit({ rejected: [...state.labels.rejected, { label, box }] });
}

/** Reject the suggestion under the pointer, or else delete the selected object or that under it. */
export function remove(state) {
  const { lit, selected, byKeyboard, choices } = state;
  const isSuggestion = lit && lit.kind === "suggestion";
  if (isSuggestion && (selected === null || !byKeyboard)) reject(state, state.open[lit.index]);
  else if (selected !== null) removeObject(state, selected);
  else if (lit && lit.kind === "object") removeObject(state, lit.index);
  else {
    const under = choices.find(({ kind }) => kind === "suggestion"); // a proposal fits better
    if (under) reject(state, state.open[under.index]);
  }
}

function removeObject(state, index) {
  const objects = state.labels.objects.filter((_, other) => other !== index);
  state.selected = null;
  state.edit({ objects });
}

/** What a click does: make a box of a proposal, accept a suggestion, or select an object. */
export function choose(state) {
  const { lit } = state;
  if (!lit) state.select(null);
  else if (lit.kind === "object") state.select(lit.index);
  else if (lit.kind === "suggestion") accept(state, state.open[lit.index]);
  else addBox(state, lit.box.map(Math.round));
}

export function undo(state) {
  if (state.history && state.history.undo()) state.edited();
}

export function redo(state) {
  if (state.history && state.history.redo()) state.edited();
}
