// Small helpers for the elements of a page.

export const byId = (id) => document.getElementById(id);

/** An element with properties, attributes (`data-...`, `aria-...`) and children. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-")) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

/** The small square in the colour of a class. */
export function dot(colour) {
  const made = element("span", { className: "dot", "aria-hidden": "true" });
  made.style.setProperty("--dot", colour);
  return made;
}

export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

/** Make an element's children again if what they show has changed; the focus keeps its place. */
export function refill(parent, shown, make) {
  const key = JSON.stringify(shown);
  if (parent.shown === key) return;
  parent.shown = key;
  const children = make();
  const place = [...parent.children].findIndex((child) => child.contains(document.activeElement));
  parent.replaceChildren(...children);
  if (place >= 0) parent.children[Math.min(place, children.length - 1)]?.querySelector("button")?.focus();
}
