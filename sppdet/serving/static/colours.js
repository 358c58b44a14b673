// A colour for each class, by its place in the list. White text can be read on all of them.

const COLOURS = [
  "#c2410c", "#1d4ed8", "#15803d", "#a21caf", "#0e7490",
  "#b91c1c", "#6d28d9", "#4d7c0f", "#be185d", "#92400e",
];

export function colourOf(classes, label) {
  const index = Math.max(0, classes.indexOf(label));
  return COLOURS[index % COLOURS.length];
}
