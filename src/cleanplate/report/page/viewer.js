// One photograph, large: before and after with a slider between them, its marks, and what is known of it.

import { announce, button, icon, isTyping, make } from "./dom.js";
import { describePhoto } from "./facts.js";
import { number, percent, say } from "./i18n.js";

const MOST_SCALE = 16;
const STEP = 1.4;

export class Viewer {
  /** onClose(id) when it is left; tools: what a review adds (see review.js), or null. */
  constructor(store, { onClose, onMove, tools = null, stop }) {
    this.store = store;
    this.onClose = onClose;
    this.onMove = onMove;
    this.tools = tools;
    this.ids = [];
    this.id = null;
    this.split = 0.5;
    this.mode = "compare";
    this.showsMask = false;
    this.view = { scale: 1, x: 0, y: 0 };
    this.pointers = new Map();
    this.build();
    // On the document: what had the keyboard may have gone from the page.
    document.addEventListener("keydown", (event) => this.isOpen && this.hearKey(event), { signal: stop });
    this.element.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.leave();
    });
    // A browser may close it without asking, when Escape is pressed twice.
    this.element.addEventListener("close", () => location.hash.length > 1 && this.onClose(this.id));
    this.observer = new ResizeObserver(() => this.isOpen && this.resized());
    this.observer.observe(this.stage);
    stop.addEventListener("abort", () => this.observer.disconnect());
    store.listen("photo", ({ id }) => id === this.id && this.isOpen && this.load({ keepView: true }), stop);
  }

  get isOpen() {
    return this.element.open;
  }

  get photo() {
    return this.store.photo(this.id);
  }

  build() {
    this.title = make("h2", { class: "viewer-name" });
    this.position = make("span", { class: "viewer-place" });
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
    this.tags = [
      make("span", { class: "tag tag-before", text: say("before") }),
      make("span", { class: "tag tag-after", text: say("after") }),
    ];
    this.stage = make("div", { class: "stage" }, this.sideAfter, this.sideBefore, this.overlay, ...this.tags, this.handle);
    this.hint = make("p", { class: "hint", hidden: true });
    this.facts = make("div", { class: "facts-panel" });
    this.modes = ["compare", "before", "after"].map((mode) =>
      make("button", {
        type: "button",
        class: "choice",
        text: say(mode),
        data: { mode },
        on: { click: () => this.setMode(mode) },
      }),
    );
    this.maskButton = button(say("mask"), { image: "mask", "aria-pressed": "false", on: { click: () => this.toggleMask() } });
    this.percent = make("output", { class: "zoom" });
    const zooms = [
      button(say("further"), { image: "minus", quiet: true, on: { click: () => this.zoomBy(1 / STEP) } }),
      this.percent,
      button(say("closer"), { image: "plus", quiet: true, on: { click: () => this.zoomBy(STEP) } }),
      button(say("fit"), { image: "fit", quiet: true, on: { click: () => this.fit() } }),
      button(say("marks"), { image: "marks", on: { click: () => this.zoomToMarks() }, class: "button marks" }),
    ];
    this.zooms = zooms.filter((each) => each !== this.percent);
    const controls = make(
      "div",
      { class: "controls", role: "toolbar", "aria-label": say("compare") },
      make("div", { class: "choices", role: "group", "aria-label": say("show") }, this.modes),
      this.maskButton,
      make("div", { class: "zooms", role: "group", "aria-label": say("size") }, zooms),
    );
    const head = make(
      "header",
      { class: "viewer-head" },
      button(say("close"), { image: "close", quiet: true, on: { click: () => this.leave() } }),
      make("div", { class: "viewer-title" }, this.title, this.position),
      button(say("previous"), { image: "left", quiet: true, on: { click: () => this.step(-1) } }),
      button(say("next"), { image: "right", quiet: true, on: { click: () => this.step(1) } }),
    );
    const side = make("aside", { class: "viewer-side", "aria-label": say("facts"), tabindex: "0" }, this.facts);
    const scene = make("div", { class: "viewer-scene" }, this.stage, this.hint, controls);
    this.element = make("dialog", { class: "viewer", "aria-label": say("photographs") }, head, make("div", { class: "viewer-body" }, scene, side));
    if (this.tools) this.tools.attach(this, { scene, side, controls });
    this.listenToPointers();
  }

  open(id, ids) {
    this.ids = ids;
    const wasOpen = this.isOpen;
    if (!wasOpen) this.element.showModal();
    this.show(id);
    if (!wasOpen) this.takeFocus();
  }

  takeFocus() {
    const wanted = this.isPair ? this.handle : this.element.querySelector("button");
    wanted.focus({ preventScroll: true });
  }

  show(id) {
    if (this.tools && !this.tools.mayLeave(id)) return;
    this.id = id;
    this.split = 0.5;
    if (this.mode !== "compare") this.setMode("compare");
    this.load({ keepView: false });
    this.onMove(id);
  }

  leave() {
    if (this.tools && !this.tools.mayLeave(null)) return;
    this.onClose(this.id);
  }

  close() {
    if (this.isOpen) this.element.close();
  }

  step(by) {
    const at = this.ids.indexOf(this.id) + by;
    if (at >= 0 && at < this.ids.length) this.show(this.ids[at]);
  }

  // ---- what is shown

  load({ keepView }) {
    const photo = this.photo;
    const at = this.ids.indexOf(this.id);
    this.title.textContent = photo.name;
    this.title.title = photo.name;
    this.position.textContent = say("place", { at: number(at + 1), count: number(this.ids.length) });
    const before = this.store.picture(photo, "before");
    const after = this.store.picture(photo, "after");
    const shown = [photo.id, before, after, this.store.picture(photo, "mask")].join("\n");
    const isSame = keepView && shown === this.shown;
    this.shown = shown;
    this.isPair = Boolean(before && after);
    if (!isSame) {
      this.size = { width: photo.width || 0, height: photo.height || 0 };
      this.fillSide(this.sideBefore, photo, "before", this.isPair ? before : null);
      this.fillSide(this.sideAfter, photo, after ? "after" : "before", after || before);
      this.fillOverlay(photo);
    }
    for (const choice of this.modes) choice.disabled = !this.isPair;
    this.maskButton.disabled = !photo.share;
    for (const each of this.zooms) each.disabled = !(before || after);
    this.element.classList.toggle("is-single", !this.isPair);
    this.facts.replaceChildren(...describePhoto(photo, this.store));
    this.tools?.loaded(photo);
    this.applyMode();
    if (keepView && this.size.width) this.applyView();
    else this.fit();
    this.preload(at);
    if (!isSame) announce(`${photo.name}, ${say(photo.verdict)}`);
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
    this.hint.textContent = say("no_mask");
    this.applyMask();
  }

  preload(at) {
    for (const near of [this.ids[at + 1], this.ids[at - 1]]) {
      const photo = near && this.store.photo(near);
      if (!photo) continue;
      for (const name of ["after", "before"]) {
        const address = this.store.picture(photo, name);
        if (address) new Image().src = address;
      }
    }
  }

  // ---- before, after, and the line between

  setMode(mode) {
    this.mode = mode;
    this.applyMode();
  }

  applyMode() {
    for (const choice of this.modes) choice.setAttribute("aria-pressed", String(choice.dataset.mode === this.mode));
    this.stage.dataset.mode = this.isPair ? this.mode : "single";
    this.setSplit(this.split);
  }

  setSplit(share) {
    this.split = Math.min(1, Math.max(0, share));
    const shown = this.mode === "before" ? 1 : this.mode === "after" ? 0 : this.split;
    this.stage.style.setProperty("--split", `${shown * 100}%`);
    const told = Math.round(this.split * 100);
    this.handle.setAttribute("aria-valuenow", String(told));
    this.handle.setAttribute("aria-valuetext", say("slider_value", { share: percent(told / 100, 0) }));
  }

  toggleMask() {
    this.showsMask = !this.showsMask;
    this.applyMask();
  }

  applyMask() {
    this.overlay.classList.toggle("is-shown", this.showsMask);
    this.maskButton.setAttribute("aria-pressed", String(this.showsMask));
    const photo = this.photo;
    this.hint.hidden = !(this.showsMask && photo && photo.share && !photo.pictures?.mask);
  }

  // ---- where one looks

  get stageSize() {
    return { width: this.stage.clientWidth, height: this.stage.clientHeight };
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
    for (const layer of this.stage.querySelectorAll(".layer")) {
      layer.style.setProperty("width", `${this.size.width}px`);
      layer.style.setProperty("height", `${this.size.height}px`);
      layer.style.setProperty("transform", `translate(${x}px, ${y}px) scale(${scale})`);
    }
    this.stage.style.setProperty("--stroke", `${1.5 / scale}px`);
    this.stage.classList.toggle("is-close", scale * devicePixelRatio >= 3);
    this.percent.textContent = percent(scale * devicePixelRatio, 0);
    this.tools?.viewChanged();
  }

  /** Where on the photograph a pointer is, in its pixels. */
  toPhoto(event) {
    const box = this.stage.getBoundingClientRect();
    return {
      x: (event.clientX - box.left - this.view.x) / this.view.scale,
      y: (event.clientY - box.top - this.view.y) / this.view.scale,
    };
  }

  // ---- pointers: the handle, panning, two fingers, the wheel

  listenToPointers() {
    const stage = this.stage;
    stage.addEventListener("pointerdown", (event) => this.press(event));
    stage.addEventListener("pointermove", (event) => this.drag(event));
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
      if (this.tools?.isPainting || event.target.closest(".handle")) return;
      if (this.fitted) this.zoomBy(1 / devicePixelRatio / this.view.scale, { x: event.offsetX, y: event.offsetY });
      else this.fit();
    });
  }

  press(event) {
    if (event.button !== 0) return;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.pointers.size === 2) {
      this.tools?.cancelStroke();
      this.held = "pinch";
    } else if (this.tools?.isPainting && !event.target.closest(".handle")) {
      this.held = "paint";
      this.tools.startStroke(event);
    } else {
      const moves = event.target.closest(".handle") || (this.fitted && this.isPair && this.mode === "compare");
      this.held = moves ? "split" : "pan";
    }
    this.stage.setPointerCapture(event.pointerId);
    if (this.held === "split") {
      this.splitTo(event);
      this.handle.focus({ preventScroll: true });
    }
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    this.tools?.hover(event);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    if (this.held === "split") this.splitTo(event);
    else if (this.held === "paint") this.tools.continueStroke(event);
    else if (this.held === "pan") this.pan(now.x - before.x, now.y - before.y);
    else if (this.held === "pinch") this.pinch(event.pointerId, before, now);
    this.pointers.set(event.pointerId, now);
  }

  pinch(id, before, now) {
    const other = [...this.pointers].find(([key]) => key !== id)?.[1];
    if (!other) return;
    const box = this.stage.getBoundingClientRect();
    const was = Math.hypot(before.x - other.x, before.y - other.y) || 1;
    const is = Math.hypot(now.x - other.x, now.y - other.y);
    this.zoomBy(is / was, { x: (now.x + other.x) / 2 - box.left, y: (now.y + other.y) / 2 - box.top });
    this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  release(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.held === "paint") this.tools.endStroke(event);
    this.held = this.pointers.size ? "pan" : null;
  }

  splitTo(event) {
    const box = this.stage.getBoundingClientRect();
    this.setSplit((event.clientX - box.left) / box.width);
  }

  // ---- keys

  hearKey(event) {
    if (event.defaultPrevented || event.target.closest?.("dialog.question")) return;
    if (this.tools?.hearKey(event)) {
      event.preventDefault();
      return;
    }
    if (isTyping(event)) return;
    const onHandle = event.target === this.handle;
    const onButton = event.target.tagName === "BUTTON";
    const act = this.keyAction(event, onHandle, onButton);
    if (!act) return;
    event.preventDefault();
    act();
  }

  keyAction(event, onHandle, onButton) {
    const by = event.key === "ArrowLeft" ? -1 : 1;
    switch (event.key) {
      case "ArrowLeft":
      case "ArrowRight":
        // Shift moves the boundary, or what is looked at; without it, on to the next photograph.
        if (event.shiftKey && onHandle && this.isPair) return () => this.setSplit(this.split + by * 0.02);
        if (event.shiftKey) return () => this.pan(-by * 60, 0);
        return () => this.step(by);
      case "ArrowUp":
      case "ArrowDown":
        if (onHandle && this.isPair && !event.shiftKey) return () => this.setSplit(this.split + (event.key === "ArrowUp" ? 0.02 : -0.02));
        return () => this.pan(0, event.key === "ArrowUp" ? 60 : -60);
      case "Home":
        return onHandle ? () => this.setSplit(0) : () => this.step(-this.ids.indexOf(this.id));
      case "End":
        return onHandle ? () => this.setSplit(1) : () => this.step(this.ids.length - 1 - this.ids.indexOf(this.id));
      case " ":
        return onButton ? null : () => this.flip();
      case "m":
        return () => this.toggleMask();
      case "z":
        return () => this.zoomToMarks();
      case "+":
      case "=":
        return () => this.zoomBy(STEP);
      case "-":
        return () => this.zoomBy(1 / STEP);
      case "0":
        return () => this.fit();
      default:
        return null;
    }
  }

  /** Before, then after, then before: the quickest way to see a difference. */
  flip() {
    if (!this.isPair) return;
    this.setMode(this.mode === "before" ? "after" : "before");
    announce(say(this.mode));
  }
}

function placeBox(element, [left, top, right, bottom], size) {
  const share = (value, whole) => `${(100 * value) / (whole || 1)}%`;
  element.style.setProperty("left", share(left, size.width));
  element.style.setProperty("top", share(top, size.height));
  element.style.setProperty("width", share(right - left, size.width));
  element.style.setProperty("height", share(bottom - top, size.height));
}
