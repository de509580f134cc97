// What a review adds to the viewer: deciding, doing again, and painting the mask.

import { announce, button, icon, isTyping, make, refill } from "./dom.js";
import { decisionOf } from "./store.js";
import { Painter } from "./painter.js";
import { isSaid, say } from "./i18n.js";

export class Desk {
  constructor(review) {
    this.review = review;
    this.store = review.store;
    this.painter = null;
    this.tool = "brush";
    this.erases = false;
  }

  get isPainting() {
    return this.painter !== null;
  }

  attach(viewer, { scene, side, controls }) {
    this.viewer = viewer;
    this.controls = controls;
    this.actions = make("div", { class: "actions" });
    side.prepend(this.actions);
    this.cursor = make("div", { class: "brush-cursor", hidden: true });
    viewer.stage.element.append(this.cursor);
    this.palette = this.makePalette();
    this.palette.hidden = true;
    scene.append(this.palette);
  }

  // ---- deciding

  loaded(photo) {
    if (this.painter && this.paintedId !== photo.id) this.stopPainting();
    if (this.painter) this.viewer.stage.element.append(this.painter.canvas, this.cursor);
    const state = photo.review || {};
    const decision = decisionOf(photo);
    const isBusy = Boolean(state.job);
    const open = this.actions.querySelector("details")?.open ?? false;
    const held = this.actions.contains(document.activeElement) ? document.activeElement.dataset.act : null;
    refill(
      this.actions,
      make(
        "div",
        { class: "decide" },
        this.act("approve", "approved", "A", { disabled: isBusy || !photo.pictures?.after, strong: decision === "approved" }, () => this.review.approve(photo.id, true)),
        this.act("keep", "kept", "X", { disabled: isBusy, strong: decision === "kept" }, () => this.review.keep(photo.id, true)),
        this.act("edit", "brush", "E", { disabled: isBusy || !photo.width }, () => this.startPainting()),
      ),
      decision && this.act("reopen", "undo", "", {}, () => this.review.reopen(photo.id)),
      isBusy && make("p", { class: "job", role: "status", text: describeJob(state.job) }),
      this.makeAgain(photo, isBusy, open),
      state.painted && this.act("alike", "all", "", { disabled: isBusy }, () => this.review.applyToAlike(photo.id)),
      state.painted && this.act("drop_mask", "erase", "", { disabled: isBusy }, () => this.review.dropMask(photo.id)),
    );
    if (held) this.actions.querySelector(`[data-act="${held}"]`)?.focus();
  }

  act(name, image, key, { disabled = false, strong = false }, run) {
    const made = button(say(name), { image, kind: strong ? "strong" : "", disabled, data: { act: name }, on: { click: run } });
    if (key) {
      made.append(make("kbd", { text: key, "aria-hidden": "true" }));
      made.setAttribute("aria-keyshortcuts", key.toLowerCase());
    }
    return made;
  }

  makeAgain(photo, isBusy, open) {
    const options = this.store.review;
    const method = this.makeMethods();
    const threshold = make("input", { type: "number", id: "again-threshold", min: "0", max: "0.99", step: "any", value: String(options.threshold ?? "") });
    const painted = make("input", { type: "checkbox", id: "again-mask", disabled: !photo.review?.painted, checked: Boolean(photo.review?.painted) });
    const run = () => {
      const wish = { method: method.value, mask: painted.checked };
      if (threshold.value !== "") wish.threshold = Number(threshold.value);
      this.review.again(photo.id, wish);
    };
    return make(
      "details",
      { class: "again", open },
      make("summary", { text: `${say("again")} …` }),
      make(
        "form",
        { on: { submit: (event) => { event.preventDefault(); run(); } } },
        make("label", {}, make("span", { text: say("with_method") }), method),
        make("label", {}, make("span", { text: say("with_threshold") }), threshold),
        make("label", { class: "check" }, painted, make("span", { text: say("with_mask") })),
        make("button", { type: "submit", class: "button", disabled: isBusy, data: { act: "again" } }, icon("again"), make("span", { text: say("again") })),
      ),
    );
  }

  makeMethods() {
    const { methods = ["auto"], method } = this.store.review;
    return make(
      "select",
      { "aria-label": say("with_method") },
      methods.map((name) => make("option", { value: name, selected: name === method, text: name === "auto" ? say("method_auto") : name })),
    );
  }

  // ---- painting

  async startPainting() {
    const photo = this.viewer.photo;
    if (this.painter || !photo.width || photo.review?.job) return;
    const painter = new Painter({ width: photo.width, height: photo.height }, () => this.showHistory());
    painter.tool = this.tool;
    painter.erases = this.erases;
    this.painter = painter;
    this.paintedId = photo.id;
    this.viewer.element.classList.add("is-painting");
    this.viewer.setMode("before");
    this.viewer.stage.element.append(painter.canvas, this.cursor);
    this.viewer.stage.applyView();
    this.palette.hidden = false;
    this.controls.hidden = true;
    this.range.value = String(Math.log2(painter.brush));
    this.showHistory();
    this.palette.querySelector("button").focus();
    const mask = this.store.picture(photo, "mask");
    if (mask) {
      const picture = new Image();
      picture.src = mask;
      await picture.decode().then(() => this.painter === painter && painter.startFrom(picture), () => {});
    }
  }

  stopPainting() {
    if (!this.painter) return;
    this.painter.canvas.remove();
    this.painter = null;
    this.cursor.hidden = true;
    this.palette.hidden = true;
    this.controls.hidden = false;
    this.viewer.element.classList.remove("is-painting");
    this.viewer.setMode("compare");
    this.viewer.takeFocus();
  }

  /** Whoever goes on with strokes on the mask keeps them: it is saved on the way. */
  mayLeave() {
    if (this.painter?.isChanged) this.save();
    this.stopPainting();
    return true;
  }

  async save() {
    const { painter, paintedId } = this;
    const blob = await painter.toBlob();
    const saved = await this.review.saveMask(paintedId, blob);
    if (saved) announce(say("mask_saved"));
    return saved;
  }

  async saveAndStop() {
    if (await this.save()) this.stopPainting();
  }

  async redoWithMask() {
    const id = this.paintedId;
    const method = this.paintMethod.value;
    if (!(await this.save())) return;
    this.stopPainting();
    await this.review.again(id, { method, mask: true });
  }

  makePalette() {
    const tools = ["brush", "lasso", "box"].map((tool) =>
      button(say(tool), { image: tool, data: { tool }, "aria-pressed": "false", on: { click: () => this.chooseTool(tool) } }),
    );
    this.eraser = button(say("erase"), { image: "erase", "aria-pressed": "false", on: { click: () => this.toggleErasing() } });
    this.range = make("input", { type: "range", min: "1", max: "9", step: "0.1", "aria-label": say("brush_size"), on: { input: () => this.setBrush() } });
    this.undoButton = button(say("undo"), { image: "undo", quiet: true, on: { click: () => this.painter?.undo() } });
    this.redoButton = button(say("redo"), { image: "redo", quiet: true, on: { click: () => this.painter?.redo() } });
    this.paintMethod = this.makeMethods();
    this.tools = tools;
    return make(
      "div",
      { class: "controls palette", role: "toolbar", "aria-label": say("edit") },
      ...tools,
      this.eraser,
      make("label", { class: "brush-size" }, make("span", { text: say("brush_size") }), this.range),
      this.undoButton,
      this.redoButton,
      button(say("clear"), { on: { click: () => this.painter?.clear() } }),
      make("span", { class: "gap" }),
      this.paintMethod,
      button(say("redo_with_mask"), { image: "again", kind: "strong", on: { click: () => this.redoWithMask() }, data: { act: "redo" } }),
      button(say("save_mask"), { on: { click: () => this.saveAndStop() } }),
      button(say("cancel"), { on: { click: () => this.stopPainting() } }),
    );
  }

  chooseTool(tool) {
    this.tool = tool;
    if (this.painter) this.painter.tool = tool;
    this.showHistory();
  }

  toggleErasing() {
    this.erases = !this.erases;
    if (this.painter) this.painter.erases = this.erases;
    this.showHistory();
  }

  setBrush() {
    this.painter?.setBrush(2 ** Number(this.range.value));
  }

  showHistory() {
    for (const tool of this.tools) tool.setAttribute("aria-pressed", String(tool.dataset.tool === this.tool));
    this.eraser.setAttribute("aria-pressed", String(this.erases));
    this.undoButton.disabled = !this.painter?.strokes.length;
    this.redoButton.disabled = !this.painter?.undone.length;
  }

  viewChanged() {
    if (this.painter && this.at) this.showCursor();
  }

  startStroke(event) {
    this.painter.begin(this.viewer.stage.toPhoto(event));
  }

  continueStroke(event) {
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.painter.extend(this.viewer.stage.toPhoto(each));
  }

  endStroke() {
    this.painter?.end();
  }

  cancelStroke() {
    this.painter?.drop();
  }

  hover(event) {
    if (!this.painter || event.pointerType === "touch") return;
    this.at = this.viewer.stage.toPhoto(event);
    this.showCursor();
  }

  showCursor() {
    const { scale, x, y } = this.viewer.stage.view;
    const size = this.painter.brush * scale;
    this.cursor.hidden = false;
    this.cursor.style.setProperty("width", `${size}px`);
    this.cursor.style.setProperty("height", `${size}px`);
    this.cursor.style.setProperty("transform", `translate(${this.at.x * scale + x - size / 2}px, ${this.at.y * scale + y - size / 2}px)`);
  }

  // ---- keys. True: the key was for here.

  hearKey(event) {
    if (this.painter) return this.hearPaintingKey(event);
    if (isTyping(event)) return false;
    const photo = this.viewer.photo;
    const keys = {
      a: () => photo.pictures?.after && !photo.review?.job && this.review.approve(photo.id, true),
      x: () => !photo.review?.job && this.review.keep(photo.id, true),
      e: () => this.startPainting(),
    };
    if (!(event.key in keys)) return false;
    keys[event.key]();
    return true;
  }

  hearPaintingKey(event) {
    const { painter } = this;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
      if (event.shiftKey) painter.redo();
      else painter.undo();
      return true;
    }
    if (event.key === "Escape") {
      this.stopPainting();
      return true;
    }
    if (isTyping(event)) return false;
    const isOnButton = event.target.tagName === "BUTTON";
    const step = Math.max(1, painter.brush / (event.shiftKey ? 1 : 3));
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in moves) {
      const [x, y] = moves[event.key];
      const from = this.at || { x: painter.size.width / 2, y: painter.size.height / 2 };
      this.at = { x: from.x + x * step, y: from.y + y * step };
      this.showCursor();
      return true;
    }
    const keys = {
      "[": () => painter.resize(0.8),
      "]": () => painter.resize(1.25),
      b: () => this.chooseTool("brush"),
      l: () => this.chooseTool("lasso"),
      r: () => this.chooseTool("box"),
      e: () => this.toggleErasing(),
    };
    if (event.key === " " && !isOnButton && this.at) {
      painter.dab(this.at);
      return true;
    }
    if (event.key === "Enter" && !isOnButton) {
      this.redoWithMask();
      return true;
    }
    if (!(event.key in keys)) return false;
    keys[event.key]();
    this.range.value = String(Math.log2(painter.brush));
    if (this.at) this.showCursor();
    return true;
  }
}

/** What a job is doing, in words. */
export function describeJob(job) {
  const doing = job.action === "keep" ? say("keep") : say("again");
  const stage = job.stage ? (isSaid(job.stage) ? say(job.stage) : job.stage) : null;
  return [doing, isSaid(job.state) ? say(job.state) : job.state, stage].filter(Boolean).join(" · ");
}
