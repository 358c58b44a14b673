// A colour for each class, by its place in the list, and what can be read on it.

const READABLE = 4.5; // least contrast of a text with its ground (WCAG 2.1)

const COLOURS = [
  "#c2410c", "#1d4ed8", "#15803d", "#a21caf", "#0e7490",
  "#b91c1c", "#6d28d9", "#4d7c0f", "#be185d", "#92400e",
];

export function colourOf(classes, label) {
  const index = Math.max(0, classes.indexOf(label));
  return COLOURS[index % COLOURS.length];
}

/** White or black: white where it can be read on a colour such as "#1d4ed8", black elsewhere. */
export const textOn = (colour) => (1.05 / (luminance(colour) + 0.05) >= READABLE ? "#ffffff" : "#000000");

/** The relative luminance of a colour, from 0 to 1. */
function luminance(colour) {
  const [red, green, blue] = [1, 3, 5].map((place) => {
    const share = parseInt(colour.slice(place, place + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
