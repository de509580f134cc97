// Painting a mask: strokes on a canvas of the photograph's size, kept as strokes so that each can be undone.

import { make } from "./dom.js";

const COLOUR = "#ff2988";
const LEAST_BRUSH = 1;

export class Painter {
  /** size: of the photograph. onChange() is called after every change. */
  constructor(size, onChange) {
    this.size = size;
    this.onChange = onChange;
    this.canvas = make("canvas", { class: "layer paint", width: size.width, height: size.height });
    this.context = this.canvas.getContext("2d");
    this.base = null;
    this.strokes = [];
    this.undone = [];
    this.tool = "brush";
    this.erases = false;
    this.brush = Math.max(4, Math.round(Math.max(size.width, size.height) / 50));
    this.current = null;
  }

  /** Begin with a mask that is there already: a loaded picture, light where marked. */
  startFrom(picture) {
    const base = make("canvas", { width: this.size.width, height: this.size.height });
    const context = base.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0, this.size.width, this.size.height);
    const pixels = context.getImageData(0, 0, this.size.width, this.size.height);
    const data = new Uint32Array(pixels.data.buffer);
    const [red, green, blue] = [0xff, 0x29, 0x88];
    const marked = (0xff << 24) | (blue << 16) | (green << 8) | red;
    for (let index = 0; index < data.length; index += 1) data[index] = (data[index] & 0xff) >= 128 ? marked : 0;
    context.putImageData(pixels, 0, 0);
    this.base = base;
    this.redraw();
  }

  get isChanged() {
    return this.strokes.length > 0;
  }

  resize(factor) {
    this.setBrush(this.brush * factor);
  }

  setBrush(pixels) {
    this.brush = Math.min(Math.max(this.size.width, this.size.height) / 3, Math.max(LEAST_BRUSH, pixels));
  }

  // ---- a stroke

  begin(point) {
    this.current = { tool: this.tool, erases: this.erases, brush: this.brush, points: [point] };
    this.redrawWith(this.current);
  }

  extend(point) {
    if (!this.current) return;
    if (this.current.tool === "box") this.current.points[1] = point;
    else this.current.points.push(point);
    if (this.current.tool === "brush") this.drawEnd(this.current);
    else this.redrawWith(this.current);
  }

  end() {
    if (!this.current) return;
    this.strokes.push(this.current);
    this.current = null;
    this.undone = [];
    this.redraw();
    this.onChange();
  }

  drop() {
    if (!this.current) return;
    this.current = null;
    this.redraw();
  }

  /** One dab of the brush: for who paints with the keyboard. */
  dab(point) {
    const tool = this.tool;
    this.tool = "brush";
    this.begin(point);
    this.end();
    this.tool = tool;
  }

  undo() {
    if (!this.strokes.length) return;
    this.undone.push(this.strokes.pop());
    this.redraw();
    this.onChange();
  }

  redo() {
    if (!this.undone.length) return;
    this.strokes.push(this.undone.pop());
    this.redraw();
    this.onChange();
  }

  clear() {
    this.strokes.push({ tool: "clear", points: [] });
    this.undone = [];
    this.redraw();
    this.onChange();
  }

  // ---- drawing

  redraw() {
    this.context.globalCompositeOperation = "source-over";
    this.context.clearRect(0, 0, this.size.width, this.size.height);
    if (this.base) this.context.drawImage(this.base, 0, 0);
    for (const stroke of this.strokes) this.drawStroke(stroke);
  }

  redrawWith(stroke) {
    this.redraw();
    this.drawStroke(stroke);
  }

  drawStroke(stroke) {
    const { context } = this;
    if (stroke.tool === "clear") {
      context.clearRect(0, 0, this.size.width, this.size.height);
      return;
    }
    this.prepare(stroke);
    const [first, ...rest] = stroke.points;
    context.beginPath();
    if (stroke.tool === "box") {
      const last = rest[0] || first;
      context.rect(Math.min(first.x, last.x), Math.min(first.y, last.y), Math.abs(last.x - first.x), Math.abs(last.y - first.y));
      context.fill();
      return;
    }
    if (!rest.length) {
      // A line of no length is not drawn.
      context.arc(first.x, first.y, stroke.tool === "lasso" ? 0.5 : stroke.brush / 2, 0, 2 * Math.PI);
      context.fill();
      return;
    }
    context.moveTo(first.x, first.y);
    for (const point of rest) context.lineTo(point.x, point.y);
    if (stroke.tool === "lasso") context.fill();
    else context.stroke();
  }

  /** Only the last piece of a brush stroke: all of it at every move would be slow. */
  drawEnd(stroke) {
    this.prepare(stroke);
    const [before, last] = stroke.points.slice(-2);
    this.context.beginPath();
    this.context.moveTo(before.x, before.y);
    this.context.lineTo(last.x, last.y);
    this.context.stroke();
  }

  prepare(stroke) {
    const { context } = this;
    context.globalCompositeOperation = stroke.erases ? "destination-out" : "source-over";
    context.fillStyle = COLOUR;
    context.strokeStyle = COLOUR;
    context.lineWidth = stroke.brush;
    context.lineCap = "round";
    context.lineJoin = "round";
  }

  /** The mask as a PNG: white where painted, on nothing. */
  async toBlob() {
    const white = make("canvas", { width: this.size.width, height: this.size.height });
    const context = white.getContext("2d");
    context.drawImage(this.canvas, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, this.size.width, this.size.height);
    return new Promise((resolve, reject) => {
      white.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the mask is too large"))), "image/png");
    });
  }
}
