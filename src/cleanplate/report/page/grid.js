// The contact sheet: only what can be seen is in the document, however many photographs there are.

import { icon, make } from "./dom.js";
import { decisionOf } from "./store.js";
import { percent, say } from "./i18n.js";

const GAP = 14;
const CAPTION = 56;
const LEAST_WIDTH = 216;
const LEAST_WIDTH_PHONE = 148;
/** Screens above and below the visible one that are kept ready. */
const SPARE_SCREENS = 0.75;

export class Grid {
  /** onOpen(id) is called when a photograph is chosen; onKey(event, id) for keys the grid does not know. */
  constructor(store, { onOpen, onKey = () => {}, stop }) {
    this.store = store;
    this.onOpen = onOpen;
    this.onKey = onKey;
    this.ids = [];
    this.tiles = new Map();
    this.focused = 0;
    this.side = "after";
    this.element = make("div", { class: "grid", role: "list", "aria-label": say("photographs") });
    this.element.addEventListener("keydown", (event) => this.hearKey(event));
    this.element.addEventListener("click", (event) => {
      const tile = event.target.closest(".tile");
      if (tile) this.onOpen(tile.dataset.id);
    });
    this.element.addEventListener("focusin", (event) => {
      const tile = event.target.closest(".tile");
      if (tile) this.setFocused(Number(tile.dataset.index));
    });
    const later = () => this.renderLater();
    window.addEventListener("scroll", later, { passive: true, signal: stop });
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.element);
    stop.addEventListener("abort", () => this.observer.disconnect());
    store.listen("photo", ({ id }) => this.refresh(id), stop);
  }

  /** Show these, from the top unless they are the same ones. */
  show(ids) {
    const before = this.ids[this.focused];
    this.ids = ids;
    this.focused = Math.max(0, ids.indexOf(before));
    this.clear();
    this.measure();
  }

  /** "after" or "before": what the tiles show. */
  setSide(side) {
    this.side = side;
    this.clear();
    this.render();
  }

  /** Bring a photograph into view and give it the keyboard. */
  focus(id) {
    const index = this.ids.indexOf(id);
    if (index >= 0) this.moveTo(index);
  }

  refresh(id) {
    for (const [index, tile] of this.tiles) {
      if (tile.dataset.id !== id) continue;
      const hadFocus = tile.contains(document.activeElement);
      const fresh = this.makeTile(index);
      tile.parentElement.replaceWith(fresh.parentElement);
      this.tiles.set(index, fresh);
      if (hadFocus) fresh.focus();
    }
  }

  clear() {
    for (const tile of this.tiles.values()) tile.parentElement.remove();
    this.tiles.clear();
  }

  measure() {
    const width = this.element.clientWidth;
    if (!width) return;
    const least = width < 520 ? LEAST_WIDTH_PHONE : LEAST_WIDTH;
    this.columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    this.tileWidth = (width - GAP * (this.columns - 1)) / this.columns;
    this.tileHeight = Math.round(this.tileWidth * 0.75) + CAPTION;
    const rows = Math.ceil(this.ids.length / this.columns);
    this.element.style.setProperty("height", `${Math.max(0, rows * (this.tileHeight + GAP) - GAP)}px`);
    for (const [index, tile] of this.tiles) this.place(tile, index);
    this.render();
  }

  renderLater() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.render();
    });
  }

  render() {
    if (!this.columns || !this.element.isConnected) return;
    const step = this.tileHeight + GAP;
    const top = -this.element.getBoundingClientRect().top;
    const spare = window.innerHeight * SPARE_SCREENS;
    const first = Math.max(0, Math.floor((top - spare) / step) * this.columns);
    const last = Math.min(this.ids.length, Math.ceil((top + window.innerHeight + spare) / step) * this.columns);
    for (const [index, tile] of this.tiles) {
      // The tile that has the keyboard stays, or the keyboard would be lost with it.
      if ((index < first || index >= last) && !tile.contains(document.activeElement)) {
        tile.parentElement.remove();
        this.tiles.delete(index);
      }
    }
    const fresh = document.createDocumentFragment();
    for (let index = first; index < last; index += 1) {
      if (this.tiles.has(index)) continue;
      const tile = this.makeTile(index);
      this.tiles.set(index, tile);
      fresh.append(tile.parentElement);
    }
    this.element.append(fresh);
  }

  makeTile(index) {
    const photo = this.store.photo(this.ids[index]);
    const tile = make(
      "button",
      {
        type: "button",
        class: `tile is-${photo.verdict}`,
        data: { id: photo.id, index },
        tabindex: index === this.focused ? "0" : "-1",
      },
      this.makePicture(photo),
      make("span", { class: "name", text: photo.name.split("/").pop(), title: photo.name }),
      makeFacts(photo),
    );
    const item = make("div", { class: "cell", role: "listitem", "aria-setsize": this.ids.length, "aria-posinset": index + 1 }, tile);
    this.place(tile, index);
    return item.firstChild;
  }

  makePicture(photo) {
    const before = this.store.picture(photo, "thumb_before");
    const after = this.store.picture(photo, "thumb");
    const address = this.side === "before" ? before || after : after || before;
    const frame = make("span", { class: "picture" });
    if (!address) {
      frame.append(icon(photo.verdict));
      return frame;
    }
    const image = make("img", { src: address, alt: "", decoding: "async", draggable: "false" });
    image.addEventListener("error", () => image.replaceWith(icon(photo.verdict)), { once: true });
    frame.append(image);
    return frame;
  }

  place(tile, index) {
    const x = (index % this.columns) * (this.tileWidth + GAP);
    const y = Math.floor(index / this.columns) * (this.tileHeight + GAP);
    const style = tile.parentElement.style;
    style.setProperty("transform", `translate(${x}px, ${y}px)`);
    style.setProperty("width", `${this.tileWidth}px`);
    style.setProperty("height", `${this.tileHeight}px`);
  }

  setFocused(index) {
    const before = this.tiles.get(this.focused);
    if (before) before.tabIndex = -1;
    this.focused = index;
    const now = this.tiles.get(index);
    if (now) now.tabIndex = 0;
  }

  moveTo(index) {
    const wanted = Math.min(this.ids.length - 1, Math.max(0, index));
    if (wanted < 0) return;
    const step = this.tileHeight + GAP;
    const box = this.element.getBoundingClientRect();
    const y = box.top + Math.floor(wanted / this.columns) * step;
    const head = document.querySelector(".toolbar")?.getBoundingClientRect().bottom ?? 0;
    const covered = Math.max(0, head) + 8;
    if (y < covered) window.scrollBy(0, y - covered);
    else if (y + step > window.innerHeight) window.scrollBy(0, y + step - window.innerHeight + 8);
    this.setFocused(wanted);
    this.render();
    this.tiles.get(wanted)?.focus({ preventScroll: true });
  }

  hearKey(event) {
    const tile = event.target.closest(".tile");
    if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
    const screen = Math.max(1, Math.floor(window.innerHeight / (this.tileHeight + GAP)) - 1) * this.columns;
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.columns,
      ArrowDown: this.columns,
      PageUp: -screen,
      PageDown: screen,
      Home: -this.ids.length,
      End: this.ids.length,
    };
    if (event.key in steps) {
      event.preventDefault();
      this.moveTo(this.focused + steps[event.key]);
    } else {
      this.onKey(event, tile.dataset.id);
    }
  }
}

function makeFacts(photo) {
  const decision = decisionOf(photo);
  const figures = [];
  if (photo.share) figures.push(percent(photo.share));
  if (photo.sureness !== undefined && photo.verdict === "repaired") figures.push(`${say("sure")} ${percent(photo.sureness, 0)}`);
  return make(
    "span",
    { class: "facts" },
    make("span", { class: `badge is-${photo.verdict}` }, icon(photo.verdict), make("span", { text: say(photo.verdict) })),
    decision && make("span", { class: `badge is-${decision}` }, icon(decision), make("span", { text: say(decision) })),
    photo.review?.job && make("span", { class: "badge is-busy" }, make("span", { text: say("busy") })),
    make("span", { class: "figures", text: figures.join(" · ") }),
  );
}
