// The page, put together: head, filters, contact sheet, the run's charts, one photograph large.

import { announce, button, icon, isTyping, make } from "./dom.js";
import { Store, countKinds } from "./store.js";
import { DECISIONS, KINDS, ORDERS, choosePhotos } from "./filters.js";
import { Grid } from "./grid.js";
import { Viewer } from "./viewer.js";
import { drawRun } from "./charts.js";
import { currentLanguage, number, preferredLanguage, say, setLanguage } from "./i18n.js";
import { Review } from "./review.js";

/** Between two drawings of the charts while a run goes on. */
const REDRAW_MS = 2000;

class Page {
  constructor(store) {
    this.store = store;
    this.choice = { kind: "all", text: "", order: "name" };
    this.tab = "photographs";
    this.theme = null;
  }

  /** Build everything anew: at the start, and when the language changes. */
  mount() {
    this.stopper?.abort();
    this.stopper = new AbortController();
    const stop = this.stopper.signal;
    document.title = `${this.store.title} · cleanplate`;
    this.review = this.store.review ? new Review(this.store, { stop, page: this }) : null;
    this.grid = new Grid(this.store, {
      onOpen: (id) => this.open(id),
      onKey: (event, id) => this.review?.hearGridKey(event, id),
      stop,
    });
    this.viewer = new Viewer(this.store, {
      onClose: () => history.back(),
      onMove: (id) => history.replaceState({ viewing: id }, "", `#${id}`),
      tools: this.review?.tools ?? null,
      stop,
    });
    document.getElementById("app").replaceChildren(
      make("a", { class: "skip", href: "#photographs", text: say("skip") }),
      this.makeHead(),
      this.makeMain(),
      make("footer", { class: "foot" }, make("p", { text: say("made_by", { program: this.store.madeBy }) })),
      this.viewer.element,
      make("p", { id: "announcements", class: "unseen", "aria-live": "polite" }),
    );
    this.store.listen("photo", () => this.changedLater(), stop);
    this.store.listen("run", () => this.changedLater(), stop);
    document.addEventListener("keydown", (event) => this.hearKey(event), { signal: stop });
    window.addEventListener("popstate", () => this.followAddress(), { signal: stop });
    this.showTab(this.tab);
    this.applyChoice();
    this.review?.start();
  }

  makeHead() {
    const language = button(say("language"), { on: { click: () => this.switchLanguage() }, lang: currentLanguage() === "zh" ? "en" : "zh-CN" });
    const theme = button(say("light_dark"), { image: "sun", quiet: true, on: { click: () => this.switchTheme() } });
    return make(
      "header",
      { class: "head" },
      make("div", { class: "brand" }, make("span", { class: "logo", "aria-hidden": "true" }), make("h1", {}, make("span", { text: "cleanplate" }), make("span", { class: "folder", text: this.store.title }))),
      this.review?.makePanel(),
      make("div", { class: "head-tools" }, language, theme),
    );
  }

  makeMain() {
    this.summary = make("div", { class: "summary" });
    this.tabs = ["photographs", "run"].map((name) =>
      make("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": name, text: say(name), on: { click: () => this.showTab(name), keydown: (event) => this.hearTabKey(event) } }),
    );
    this.runPlace = make("section", { id: "run", role: "tabpanel", "aria-labelledby": "tab-run", tabindex: "0" });
    this.empty = make("p", { class: "empty", hidden: true });
    this.photographs = make("section", { id: "photographs", role: "tabpanel", "aria-labelledby": "tab-photographs" }, this.makeToolbar(), this.grid.element, this.empty);
    return make("main", {}, this.summary, make("div", { class: "tabs", role: "tablist", "aria-label": "cleanplate" }, this.tabs), this.photographs, this.runPlace);
  }

  makeToolbar() {
    const search = make("input", {
      type: "search",
      id: "search",
      placeholder: say("search"),
      "aria-label": say("search"),
      autocomplete: "off",
      spellcheck: "false",
      on: { input: (event) => this.choose({ text: event.target.value }) },
    });
    search.value = this.choice.text;
    this.kinds = make("div", { class: "kinds", role: "group", "aria-label": say("show") });
    const order = make(
      "select",
      { "aria-label": say("order"), id: "order", on: { change: (event) => this.choose({ order: event.target.value }) } },
      ORDERS.map((name) => make("option", { value: name, text: say(`by_${name}`), selected: name === this.choice.order })),
    );
    const sides = ["before", "after"].map((side) =>
      make("button", { type: "button", class: "choice", text: say(side), "aria-pressed": String(side === this.grid.side), data: { side }, on: { click: (event) => this.showSide(event.currentTarget, side) } }),
    );
    this.shown = make("p", { class: "shown", role: "status" });
    return make(
      "div",
      { class: "toolbar" },
      make("div", { class: "field" }, icon("search"), search),
      this.kinds,
      make("div", { class: "toolbar-end" }, order, make("div", { class: "choices", role: "group", "aria-label": say("tiles_show") }, sides), this.review?.makeBulk()),
      this.shown,
    );
  }

  // ---- what is shown

  choose(change) {
    this.choice = { ...this.choice, ...change };
    if (document.scrollingElement.scrollTop > this.photographs.offsetTop) window.scrollTo(0, this.photographs.offsetTop);
    this.applyChoice();
  }

  applyChoice() {
    this.ids = choosePhotos(this.store.all, this.choice);
    this.grid.show(this.ids);
    this.drawKinds();
    this.shown.textContent = say("shown", { count: number(this.ids.length) });
    this.empty.hidden = this.ids.length > 0;
    this.empty.textContent = say(this.store.photos.size ? "none_shown" : "none_at_all");
  }

  drawKinds() {
    const counts = countKinds(this.store.all);
    const kinds = this.store.review || counts.approved || counts.kept ? [...KINDS, ...DECISIONS] : KINDS;
    const held = this.kinds.contains(document.activeElement) && document.activeElement.dataset.kind;
    this.kinds.replaceChildren(
      ...kinds.map((kind) =>
        make(
          "button",
          { type: "button", class: `chip is-${kind}`, "aria-pressed": String(kind === this.choice.kind), data: { kind }, on: { click: () => this.choose({ kind }) } },
          make("span", { text: say(kind) }),
          make("span", { class: "count", text: number(counts[kind]) }),
        ),
      ),
    );
    if (held) this.kinds.querySelector(`[data-kind="${held}"]`)?.focus();
    this.drawSummary(counts);
  }

  drawSummary(counts) {
    const parts = KINDS.slice(1).filter((kind) => counts[kind]);
    const bar = make(
      "div",
      { class: "shares", "aria-hidden": "true" },
      parts.map((kind) => make("span", { class: `is-${kind}`, style: { "flex-grow": String(counts[kind]) } })),
    );
    const figures = KINDS.slice(1).map((kind) => make("div", { class: `total is-${kind}` }, make("dd", { text: number(counts[kind]) }), make("dt", { text: say(kind) })));
    this.summary.replaceChildren(make("dl", { class: "totals" }, figures), bar);
  }

  showTab(name) {
    this.tab = name;
    this.photographs.hidden = name !== "photographs";
    this.runPlace.hidden = name !== "run";
    for (const tab of this.tabs) {
      const chosen = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    if (name === "run") this.runPlace.replaceChildren(drawRun(this.store));
    else this.grid.measure();
  }

  hearTabKey(event) {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    this.showTab(this.tab === "run" ? "photographs" : "run");
    this.tabs.find((tab) => tab.tabIndex === 0).focus();
  }

  showSide(pressed, side) {
    for (const other of pressed.parentElement.children) other.setAttribute("aria-pressed", String(other === pressed));
    this.grid.setSide(side);
  }

  /** A photograph or the run has changed: counts soon, charts not too often, the choice as it stands. */
  changedLater() {
    this.changed ??= setTimeout(() => {
      this.changed = undefined;
      this.drawKinds();
      if (this.store.photos.size !== this.knownCount) {
        this.knownCount = this.store.photos.size;
        const ids = choosePhotos(this.store.all, this.choice);
        if (!this.viewer.isOpen) this.applyChoice();
        else this.ids = ids;
      }
      if (this.tab === "run") this.runPlace.replaceChildren(drawRun(this.store));
    }, this.tab === "run" ? REDRAW_MS : 250);
  }

  // ---- one photograph

  open(id) {
    history.pushState({ viewing: id }, "", `#${id}`);
    this.viewer.open(id, this.ids);
  }

  /** The browser's back and forward, and addresses that name a photograph. */
  followAddress() {
    const id = location.hash.slice(1);
    if (this.store.photo(id)) {
      this.viewer.open(id, this.ids.includes(id) ? this.ids : [id, ...this.ids]);
    } else if (this.viewer.isOpen) {
      const last = this.viewer.id;
      this.viewer.close();
      if (this.tab === "photographs") this.grid.focus(last);
    }
  }

  hearKey(event) {
    if (isTyping(event) || this.viewer.isOpen) return;
    if (event.key === "/") {
      event.preventDefault();
      document.getElementById("search").focus();
    } else if (event.key.startsWith("Arrow") && document.activeElement === document.body && this.tab === "photographs") {
      event.preventDefault();
      this.grid.moveTo(this.grid.focused);
    }
  }

  // ---- looks and language

  switchTheme() {
    const dark = this.theme ? this.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    this.theme = dark ? "light" : "dark";
    document.documentElement.dataset.theme = this.theme;
  }

  switchLanguage() {
    const side = this.grid.side;
    setLanguage(currentLanguage() === "zh" ? "en" : "zh");
    this.mount();
    this.grid.setSide(side);
    announce(say("photographs"));
  }
}

setLanguage(preferredLanguage());
const page = new Page(new Store(JSON.parse(document.getElementById("data").textContent)));
page.mount();
if (location.hash.length > 1 && page.store.photo(location.hash.slice(1))) {
  const id = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
  page.open(id);
}
document.documentElement.dataset.ready = "true";
