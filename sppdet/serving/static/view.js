// Zoom and pan: from pixels of the photograph to pixels of the stage and back.

const MARGIN = 16;
const MOST = 40; // screen pixels for a pixel of the photograph

export class View {
  scale = 1;
  x = 0; // where the photograph's left upper corner is on the stage
  y = 0;

  /** Show the whole photograph in the middle of a stage of this size. */
  fit([width, height], [stageWidth, stageHeight]) {
    const room = [stageWidth - 2 * MARGIN, stageHeight - 2 * MARGIN];
    this.scale = Math.max(0.01, Math.min(room[0] / width, room[1] / height));
    this.x = (stageWidth - this.scale * width) / 2;
    this.y = (stageHeight - this.scale * height) / 2;
  }

  toStage([x, y]) {
    return [this.x + this.scale * x, this.y + this.scale * y];
  }

  toPhoto([x, y]) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  /** Zoom by a factor; the point of the stage keeps its place. */
  zoom(factor, stagePoint) {
    const [x, y] = this.toPhoto(stagePoint);
    this.scale = Math.min(MOST, Math.max(0.02, this.scale * factor));
    this.x = stagePoint[0] - this.scale * x;
    this.y = stagePoint[1] - this.scale * y;
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
  }
}
