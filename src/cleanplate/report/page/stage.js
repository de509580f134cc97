// Where a photograph is looked at: before and after with a line between them, the mask over both, and where one looks.

import { icon, make } from "./dom.js";
import { percent, say } from "./i18n.js";

const MOST_SCALE = 16;

export class Stage {
  /**
   * onView(): what is seen has moved. pointing: what takes pointers instead while it `isPainting` (see desk.js), or
   * null.
   */
  constructor(store, { onView, pointing = null, stop }) {
    this.store = store;
    this.onView = onView;
    this.pointing = pointing;
    this.photo = null;
    this.split = 0.5;
    this.mode = "compare";
    this.size = { width: 0, height: 0 };
    this.view = { scale: 1, x: 0, y: 0 };
    this.pointers = new Map();
    this.build();
    this.listenToPointers();
    this.observer = new ResizeObserver(() => this.photo && this.element.clientWidth && this.resized());
    this.observer.observe(this.element);
    stop.addEventListener("abort", () => this.observer.disconnect());
  }

  build() {
    this.sideBefore = make("div", { class: "side before" });
    this.sideAfter = make("div", { class: "side after" });
    this.overlay = make("div", { class: "side overlay", "aria-hidden": "true" });
    this.handle = make(
      "div",
      {
        class: "handle",
        role: "slider",
        tabindex: "0",
        "aria-label": say("slider_label"),
        "aria-valuemin": "0",
        "aria-valuemax": "100",
        "aria-orientation": "horizontal",
      },
      make("span", { class: "knob" }, icon("left"), icon("right")),
    );
    const tags = [
      make("span", { class: "tag tag-before", text: say("before") }),
      make("span", { class: "tag tag-after", text: say("after") }),
    ];
    this.element = make("div", { class: "stage" }, this.sideAfter, this.sideBefore, this.overlay, ...tags, this.handle);
  }

  // ---- what is shown

  /** Show a photograph. keepView: stay where one looks. Returns whether other pictures than before are shown. */
  show(photo, { keepView }) {
    const before = this.store.picture(photo, "before");
    const after = this.store.picture(photo, "after");
    const shown = [photo.id, before, after, this.store.picture(photo, "mask")].join("\n");
    const isSame = keepView && shown === this.shown;
    this.shown = shown;
    this.photo = photo;
    this.isPair = Boolean(before && after);
    this.isEmpty = !(before || after);
    if (!isSame) {
      this.size = { width: photo.width || 0, height: photo.height || 0 };
      this.fillSide(this.sideBefore, photo, "before", this.isPair ? before : null);
      this.fillSide(this.sideAfter, photo, after ? "after" : "before", after || before);
      this.fillOverlay(photo);
    }
    this.setMode(this.mode);
    if (keepView && this.size.width) this.applyView();
    else this.fit();
    return !isSame;
  }

  fillSide(side, photo, name, address) {
    if (!address) {
      side.replaceChildren();
      if (side === this.sideAfter) side.append(make("p", { class: "no-picture" }, icon("failed"), say("no_picture")));
      return;
    }
    const thumb = this.store.picture(photo, name === "after" ? "thumb" : "thumb_before") || this.store.picture(photo, "thumb");
    const alt = `${say(name)}: ${photo.name}`;
    const whole = make("img", { class: "whole", src: address, alt, draggable: "false", decoding: "async" });
    const layer = make("div", { class: "layer" }, thumb && make("img", { class: "rough", src: thumb, alt: "", draggable: "false" }), whole);
    const detail = this.store.picture(photo, `detail_${name}`);
    if (detail) layer.append(this.makeDetail(photo, detail));
    whole.addEventListener("load", () => {
      if (!this.size.width) {
        this.size = { width: whole.naturalWidth, height: whole.naturalHeight };
        this.fit();
      }
    });
    whole.addEventListener("error", () => {
      whole.remove();
      if (!thumb) side.replaceChildren(make("p", { class: "no-picture" }, icon("failed"), say("no_picture")));
    });
    side.replaceChildren(layer);
  }

  makeDetail(photo, address) {
    const [left, top, right, bottom] = photo.pictures.detail_box;
    const detail = make("img", { class: "detail", src: address, alt: "", draggable: "false" });
    placeBox(detail, [left, top, right, bottom], this.size);
    return detail;
  }

  fillOverlay(photo) {
    const layer = make("div", { class: "layer" });
    const mask = this.store.picture(photo, "mask");
    if (mask) layer.append(make("img", { class: "mask", src: mask, alt: "", draggable: "false" }));
    for (const region of photo.regions || []) {
      const box = make("div", { class: `region is-${region.method}` });
      placeBox(box, region.box, this.size);
      layer.append(box);
    }
    this.overlay.replaceChildren(layer);
  }

  // ---- before, after, and the line between

  setMode(mode) {
    this.mode = mode;
    this.element.dataset.mode = this.isPair ? mode : "single";
    this.setSplit(this.split);
  }

  setSplit(share) {
    this.split = Math.min(1, Math.max(0, share));
    const shown = this.mode === "before" ? 1 : this.mode === "after" ? 0 : this.split;
    this.element.style.setProperty("--split", `${shown * 100}%`);
    const told = Math.round(this.split * 100);
    this.handle.setAttribute("aria-valuenow", String(told));
    this.handle.setAttribute("aria-valuetext", say("slider_value", { share: percent(told / 100, 0) }));
  }

  showMask(shows) {
    this.overlay.classList.toggle("is-shown", shows);
  }

  // ---- where one looks

  /** Pixels of the screen to one of the photograph's. */
  get zoom() {
    return this.view.scale * devicePixelRatio;
  }

  get stageSize() {
    return { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  get fittingScale() {
    const { width, height } = this.stageSize;
    return Math.min((width - 24) / this.size.width, (height - 24) / this.size.height, 3) || 1;
  }

  fit() {
    this.fitted = true;
    this.look(this.fittingScale, this.size.width / 2, this.size.height / 2);
  }

  /** Show the photograph's pixel (x, y) in the middle of the stage. */
  look(scale, x, y) {
    const { width, height } = this.stageSize;
    this.view = { scale, x: width / 2 - x * scale, y: height / 2 - y * scale };
    this.applyView();
  }

  zoomBy(factor, at = null) {
    const { width, height } = this.stageSize;
    const point = at || { x: width / 2, y: height / 2 };
    const least = Math.min(this.fittingScale, 1 / devicePixelRatio);
    const scale = Math.min(MOST_SCALE, Math.max(least, this.view.scale * factor));
    const ratio = scale / this.view.scale;
    this.fitted = false;
    this.view = { scale, x: point.x - (point.x - this.view.x) * ratio, y: point.y - (point.y - this.view.y) * ratio };
    this.applyView();
  }

  /** The marks at full resolution: the largest first, then the others, then the whole photograph again. */
  zoomToMarks() {
    const regions = this.photo.regions || [];
    const full = 1 / devicePixelRatio;
    if (!this.size.width) return;
    this.markAt = this.fitted ? 0 : (this.markAt ?? -1) + 1;
    if (this.markAt >= Math.max(1, regions.length)) {
      this.fit();
      return;
    }
    const [left, top, right, bottom] = regions[this.markAt]?.box || [0, 0, this.size.width, this.size.height];
    const { width, height } = this.stageSize;
    // A small mark is shown larger than its pixels, a large one never smaller.
    const roomy = Math.min((width * 0.7) / (right - left), (height * 0.7) / (bottom - top));
    this.fitted = false;
    this.look(Math.max(full, this.fittingScale, Math.min(roomy, 4)), (left + right) / 2, (top + bottom) / 2);
  }

  pan(x, y) {
    this.fitted = false;
    this.view = { ...this.view, x: this.view.x + x, y: this.view.y + y };
    this.applyView();
  }

  resized() {
    if (this.fitted) this.fit();
    else this.applyView();
  }

  applyView() {
    const { scale } = this.view;
    const stage = this.stageSize;
    // Never further than to where its edge meets the middle.
    const x = Math.min(stage.width / 2, Math.max(stage.width / 2 - this.size.width * scale, this.view.x));
    const y = Math.min(stage.height / 2, Math.max(stage.height / 2 - this.size.height * scale, this.view.y));
    this.view = { scale, x, y };
    for (const layer of this.element.querySelectorAll(".layer")) {
      layer.style.setProperty("width", `${this.size.width}px`);
      layer.style.setProperty("height", `${this.size.height}px`);
      layer.style.setProperty("transform", `translate(${x}px, ${y}px) scale(${scale})`);
    }
    this.element.style.setProperty("--stroke", `${1.5 / scale}px`);
    this.element.classList.toggle("is-close", scale * devicePixelRatio >= 3);
    this.onView();
  }

  /** Where on the photograph a pointer is, in its pixels. */
  toPhoto(event) {
    const box = this.element.getBoundingClientRect();
    return {
      x: (event.clientX - box.left - this.view.x) / this.view.scale,
      y: (event.clientY - box.top - this.view.y) / this.view.scale,
    };
  }

  // ---- pointers: the handle, panning, two fingers, the wheel

  listenToPointers() {
    const stage = this.element;
    stage.addEventListener("pointerdown", (event) => this.press(event));
    stage.addEventListener("pointermove", (event) => this.drag(event));
    // A stroke is no gesture of the browser's: after a quick one it takes the next tap for the end of a fling.
    stage.addEventListener("touchstart", (event) => this.held === "paint" && event.preventDefault(), { passive: false });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) stage.addEventListener(end, (event) => this.release(event));
    stage.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const box = stage.getBoundingClientRect();
        const at = { x: event.clientX - box.left, y: event.clientY - box.top };
        this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), at);
      },
      { passive: false },
    );
    stage.addEventListener("dblclick", (event) => {
      if (this.pointing?.isPainting || event.target.closest(".handle")) return;
      if (this.fitted) this.zoomBy(1 / devicePixelRatio / this.view.scale, { x: event.offsetX, y: event.offsetY });
      else this.fit();
    });
  }

  press(event) {
    if (event.button !== 0) return;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.pointers.size === 2) {
      this.pointing?.cancelStroke();
      this.held = "pinch";
    } else if (this.pointing?.isPainting && !event.target.closest(".handle")) {
      this.held = "paint";
      this.pointing.startStroke(event);
    } else {
      const moves = event.target.closest(".handle") || (this.fitted && this.isPair && this.mode === "compare");
      this.held = moves ? "split" : "pan";
    }
    this.element.setPointerCapture(event.pointerId);
    if (this.held === "split") {
      this.splitTo(event);
      this.handle.focus({ preventScroll: true });
    }
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    this.pointing?.hover(event);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    if (this.held === "split") this.splitTo(event);
    else if (this.held === "paint") this.pointing.continueStroke(event);
    else if (this.held === "pan") this.pan(now.x - before.x, now.y - before.y);
    else if (this.held === "pinch") this.pinch(event.pointerId, before, now);
    this.pointers.set(event.pointerId, now);
  }

  pinch(id, before, now) {
    const other = [...this.pointers].find(([key]) => key !== id)?.[1];
    if (!other) return;
    const box = this.element.getBoundingClientRect();
    const was = Math.hypot(before.x - other.x, before.y - other.y) || 1;
    const is = Math.hypot(now.x - other.x, now.y - other.y);
    this.zoomBy(is / was, { x: (now.x + other.x) / 2 - box.left, y: (now.y + other.y) / 2 - box.top });
    this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  release(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.held === "paint") this.pointing.endStroke(event);
    this.held = this.pointers.size ? "pan" : null;
  }

  splitTo(event) {
    const box = this.element.getBoundingClientRect();
    this.setSplit((event.clientX - box.left) / box.width);
  }
}

function placeBox(element, [left, top, right, bottom], size) {
  const share = (value, whole) => `${(100 * value) / (whole || 1)}%`;
  element.style.setProperty("left", share(left, size.width));
  element.style.setProperty("top", share(top, size.height));
  element.style.setProperty("width", share(right - left, size.width));
  element.style.setProperty("height", share(bottom - top, size.height));
}
