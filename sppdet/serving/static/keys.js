// The keyboard: finds the command of a key, and shows all keys in the help.

import { element } from "./elements.js";

const NATIVE = new Set(["Enter", "Space"]); // what these do on a button or a link stays

/** The name of a key with its modifiers, such as "Ctrl+Shift+z", "?" or "Alt+ArrowLeft". */
function keyName(event) {
  const control = event.ctrlKey || event.metaKey;
  let name = event.key === " " ? "Space" : event.key;
  const plain = name.length === 1 && !control;
  if (control) name = name.length === 1 ? name.toLowerCase() : name;
  return [
    control && "Ctrl+",
    event.altKey && "Alt+",
    event.shiftKey && !plain && "Shift+",
    name,
  ].filter(Boolean).join("");
}

export function listenToKeys(groups) {
  const runs = new Map(groups.flatMap(({ commands }) => commands.flatMap((one) => one.runs)));
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (document.querySelector("dialog[open]") || target.closest("input, textarea, select")) return;
    const name = keyName(event);
    if (NATIVE.has(name) && target.closest("button, a")) return;
    const run = runs.get(name) || runs.get(name.length === 1 ? name.toLowerCase() : name);
    if (!run) return;
    event.preventDefault();
    run(name);
  });
}

const MOUSE = [
  ["Move", "Lights up the best box under the pointer"],
  ["Click", "Makes a box of a proposal, accepts a suggestion, or selects an object"],
  ["Drag", "Draws a box; on a handle or in the selected box: corrects it"],
  ["Shift+drag", "Draws or corrects; edges snap to the edges of proposals"],
  ["Right drag", "With the right or middle button: moves the picture"],
];

/** The lists of the help. */
export function helpLists(groups) {
  const list = (title, rows) =>
    element("section", {}, element("h3", { textContent: title }),
      element("dl", {}, ...rows.flatMap(([shown, what]) => [
        element("dt", {}, element("kbd", { textContent: shown })),
        element("dd", { textContent: what }),
      ])));
  const keys = groups.map(({ title, commands }) =>
    list(title, commands.map(({ shown, what }) => [shown, what])));
  return [list("Mouse", MOUSE), ...keys];
}
