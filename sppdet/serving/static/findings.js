// Drop images, see what the detector finds: the dialog "Try", and the page of `sppdet serve`.

import { colourOf, textOn } from "./colours.js";
import { count, element } from "./elements.js";

/** Fill a place with a drop zone. `detect(file)` gives {width, height, detections, seconds}. */
export function findingsIn(place, detect) {
  const input = element("input", { type: "file", accept: "image/*", multiple: true, id: "try-files" });
  const zone = element("div", { className: "drop" },
    element("label", { htmlFor: "try-files", textContent: "Drop images here, or choose files: " }), input);
  const found = element("div", { className: "found", "aria-live": "polite" });
  const take = async (files) => {
    for (const file of files) {
      const figure = element("figure", {}, `${file.name}: looking …`);
      found.prepend(figure);
      try {
        const result = await detect(file);
        figure.replaceChildren(...(await picture(file, result)));
      } catch (error) {
        figure.replaceChildren(element("p", { className: "bad", textContent: `${file.name}: ${error.message}` }));
      }
    }
  };
  const over = (is) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", is);
  };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", (event) => {
    over(false)(event);
    take(event.dataTransfer.files);
  });
  input.addEventListener("change", async () => {
    await take([...input.files]);
    input.value = "";
  });
  place.replaceChildren(zone, found);
}

/** The picture with its boxes, and the same as a list. */
async function picture(file, { width, height, detections, seconds }) {
  const classes = [...new Set(detections.map(({ label }) => label))].sort();
  const canvas = element("canvas", { width: Math.min(860, width) });
  const scale = canvas.width / width;
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  const image = await createImageBitmap(file).catch(() => null);
  if (image) context.drawImage(image, 0, 0, canvas.width, canvas.height);
  context.font = "600 14px system-ui, sans-serif";
  for (const { label, score, box } of [...detections].reverse()) {
    const [x1, y1, x2, y2] = box.map((value) => value * scale);
    const text = `${label} ${score.toFixed(2)}`;
    const colour = colourOf(classes, label);
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 3;
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    const top = Math.max(0, y1 - 19);
    context.fillRect(x1 - 1.5, top, context.measureText(text).width + 10, 19);
    context.fillStyle = textOn(colour);
    context.fillText(text, x1 + 4, top + 14);
  }
  const list = detections.map(({ label, score, box }) =>
    element("li", { textContent: `${label} ${score.toFixed(2)}: ${box.map(Math.round).join(", ")}` }));
  const time = seconds?.total ? ` in ${seconds.total.toFixed(2)} s` : "";
  const caption = `${file.name}: ${count(detections.length, "detection")}${time}`;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", caption);
  return [canvas, element("figcaption", { textContent: caption }), element("ul", {}, ...list)];
}
