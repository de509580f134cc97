// One photograph, large, with all that is known of it: its place among the others, facts, buttons and keys.

import { announce, button, isTyping, make } from "./dom.js";
import { describePhoto } from "./facts.js";
import { number, percent, say } from "./i18n.js";
import { Stage } from "./stage.js";

/** Of one turn of the zoom. */
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
    this.showsMask = false;
    this.build(stop);
    // On the document: what had the keyboard may have gone from the page.
    document.addEventListener("keydown", (event) => this.isOpen && this.hearKey(event), { signal: stop });
    this.element.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.leave();
    });
    // A browser may close it without asking, when Escape is pressed twice.
    this.element.addEventListener("close", () => location.hash.length > 1 && this.onClose(this.id));
    store.listen("photo", ({ id }) => id === this.id && this.isOpen && this.load({ keepView: true }), stop);
  }

  get isOpen() {
    return this.element.open;
  }

  get photo() {
    return this.store.photo(this.id);
  }

  build(stop) {
    this.title = make("h2", { class: "viewer-name" });
    this.position = make("span", { class: "viewer-place" });
    this.stage = new Stage(this.store, { onView: () => this.showZoom(), pointing: this.tools, stop });
    this.hint = make("p", { class: "hint", hidden: true, text: say("no_mask") });
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
      button(say("further"), { image: "minus", quiet: true, on: { click: () => this.stage.zoomBy(1 / STEP) } }),
      this.percent,
      button(say("closer"), { image: "plus", quiet: true, on: { click: () => this.stage.zoomBy(STEP) } }),
      button(say("fit"), { image: "fit", quiet: true, on: { click: () => this.stage.fit() } }),
      button(say("marks"), { image: "marks", on: { click: () => this.stage.zoomToMarks() }, class: "button marks" }),
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
    const scene = make("div", { class: "viewer-scene" }, this.stage.element, this.hint, controls);
    this.element = make("dialog", { class: "viewer", "aria-label": say("photographs") }, head, make("div", { class: "viewer-body" }, scene, side));
    if (this.tools) this.tools.attach(this, { scene, side, controls });
  }

  open(id, ids) {
    this.ids = ids;
    const wasOpen = this.isOpen;
    if (!wasOpen) this.element.showModal();
    this.show(id);
    if (!wasOpen) this.takeFocus();
  }

  takeFocus() {
    const wanted = this.stage.isPair ? this.stage.handle : this.element.querySelector("button");
    wanted.focus({ preventScroll: true });
  }

  show(id) {
    if (this.tools && !this.tools.mayLeave(id)) return;
    this.id = id;
    this.stage.split = 0.5;
    this.setMode("compare");
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
    const isNew = this.stage.show(photo, { keepView });
    const { isPair } = this.stage;
    for (const choice of this.modes) choice.disabled = !isPair;
    this.markMode();
    this.maskButton.disabled = !photo.share;
    for (const each of this.zooms) each.disabled = this.stage.isEmpty;
    this.element.classList.toggle("is-single", !isPair);
    this.facts.replaceChildren(...describePhoto(photo, this.store));
    this.applyMask();
    this.tools?.loaded(photo);
    this.preload(at);
    if (isNew) announce(`${photo.name}, ${say(photo.verdict)}`);
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

  // ---- how it is shown

  setMode(mode) {
    this.stage.setMode(mode);
    this.markMode();
  }

  markMode() {
    const { isPair, mode } = this.stage;
    for (const choice of this.modes) choice.setAttribute("aria-pressed", String(Boolean(isPair) && choice.dataset.mode === mode));
  }

  showZoom() {
    this.percent.textContent = this.stage.isEmpty ? "" : percent(this.stage.zoom, 0);
    this.tools?.viewChanged();
  }

  toggleMask() {
    this.showsMask = !this.showsMask;
    this.applyMask();
  }

  applyMask() {
    this.stage.showMask(this.showsMask);
    this.maskButton.setAttribute("aria-pressed", String(this.showsMask));
    const photo = this.photo;
    this.hint.hidden = !(this.showsMask && photo && photo.share && !photo.pictures?.mask);
  }

  // ---- keys

  hearKey(event) {
    if (event.defaultPrevented || event.target.closest?.("dialog.question")) return;
    if (this.tools?.hearKey(event)) {
      event.preventDefault();
      return;
    }
    if (isTyping(event)) return;
    const onHandle = event.target === this.stage.handle;
    const onButton = event.target.tagName === "BUTTON";
    const act = this.keyAction(event, onHandle, onButton);
    if (!act) return;
    event.preventDefault();
    act();
  }

  keyAction(event, onHandle, onButton) {
    const { stage } = this;
    const onLine = onHandle && stage.isPair;
    const by = event.key === "ArrowLeft" ? -1 : 1;
    switch (event.key) {
      case "ArrowLeft":
      case "ArrowRight":
        // Shift moves the boundary, or what is looked at; without it, on to the next photograph.
        if (event.shiftKey && onLine) return () => stage.setSplit(stage.split + by * 0.02);
        if (event.shiftKey) return () => stage.pan(-by * 60, 0);
        return () => this.step(by);
      case "ArrowUp":
      case "ArrowDown":
        if (onLine && !event.shiftKey) return () => stage.setSplit(stage.split + (event.key === "ArrowUp" ? 0.02 : -0.02));
        return () => stage.pan(0, event.key === "ArrowUp" ? 60 : -60);
      case "Home":
        return onHandle ? () => stage.setSplit(0) : () => this.step(-this.ids.indexOf(this.id));
      case "End":
        return onHandle ? () => stage.setSplit(1) : () => this.step(this.ids.length - 1 - this.ids.indexOf(this.id));
      case " ":
        return onButton ? null : () => this.flip();
      case "m":
        return () => this.toggleMask();
      case "z":
        return () => stage.zoomToMarks();
      case "+":
      case "=":
        return () => stage.zoomBy(STEP);
      case "-":
        return () => stage.zoomBy(1 / STEP);
      case "0":
        return () => stage.fit();
      default:
        return null;
    }
  }

  /** Before, then after, then before: the quickest way to see a difference. */
  flip() {
    if (!this.stage.isPair) return;
    this.setMode(this.stage.mode === "before" ? "after" : "before");
    announce(say(this.stage.mode));
  }
}
