// The power to act: decisions, the queue of what is done again, and what a run that goes on tells. Only there
// when the page comes from `cleanplate review` or a run with --live.

import { announce, button, make, refill } from "./dom.js";
import { ask, photoPath } from "./api.js";
import { Desk, describeJob } from "./desk.js";
import { decisionOf } from "./store.js";
import { duration, number, say } from "./i18n.js";

const SHOWN_JOBS = 12;
const TROUBLE_MS = 9000;
const ENDED = ["none", "finished", "interrupted", "failed"];

export class Review {
  constructor(store, { stop, page }) {
    this.store = store;
    this.stop = stop;
    this.page = page;
    this.tools = new Desk(this);
    this.queue = store.queue ?? null;
    this.rows = new Map();
    this.run = store.liveRun ?? null;
  }

  /** Listen to the server. After a change of language the page goes on listening where it was. */
  start() {
    const { store } = this;
    const after = store.sequence ?? store.review.sequence ?? 0;
    const stream = new EventSource(`/api/events?after=${after}`);
    this.stop.addEventListener("abort", () => stream.close());
    const on = (name, hear) =>
      stream.addEventListener(name, (event) => {
        if (event.lastEventId) store.sequence = Number(event.lastEventId);
        hear(JSON.parse(event.data));
      });
    on("hello", ({ missed }) => missed && this.catchUp());
    on("photo", (photo) => store.replace(photo));
    on("queue", (queue) => this.takeQueue(queue));
    on("job", (job) => this.takeJob(job));
    on("mark", ({ found }) => this.complain(found ? say("mark_worked_out", { sharing: number(found.sharing), count: number(found.looked_at) }) : say("mark_not_shared")));
    on("run", (run) => this.takeRun(run));
    on("sample", (sample) => this.takeSample(sample));
    on("note", (note) => this.takeNote(note));
    on("bye", () => {
      stream.close();
      this.complain(say("lost"), { stays: true });
    });
    stream.addEventListener("error", () => stream.readyState === EventSource.CLOSED && this.complain(say("lost"), { stays: true }));
    this.try(async () => this.takeQueue(await ask("GET", "/api/queue")));
    this.try(async () => this.takeRun(await ask("GET", "/api/run")));
  }

  async catchUp() {
    await this.try(async () => {
      const { photos } = await ask("GET", "/api/photos");
      for (const photo of photos) this.store.replace(photo);
    });
  }

  // ---- what the server tells

  takeQueue(queue) {
    this.queue = queue;
    this.store.queue = queue;
    this.drawQueue();
  }

  takeJob(job) {
    if (job.state === "failed") this.complain(`${job.name}: ${[job.cause, job.remedy].filter(Boolean).join("; ")}`, { lang: "en" });
    const photo = this.store.photo(job.id);
    if (photo?.review?.job?.job === job.job && ["waiting", "running"].includes(job.state)) {
      this.store.replace({ ...photo, review: { ...photo.review, job } });
    }
    this.drawQueue();
  }

  takeRun(run) {
    this.run = run;
    this.store.liveRun = run;
    if (run.state === "none") return;
    this.story.total = run.total;
    if (run.began) this.store.run.began = run.began;
    if (ENDED.includes(run.state) && !this.story.ended) Object.assign(this.story, { state: run.state, ended: Date.now() / 1000 });
    this.drawRun();
    this.store.tell("run");
  }

  takeSample(sample) {
    this.story.samples.push(sample);
    this.store.tell("run");
  }

  takeNote(note) {
    this.story.events.push({ ...note, at: note.seconds, seconds: note.lasted ?? 0 });
    this.store.tell("run");
  }

  /** The story of the run that goes on; a page that was there before its first line begins one. */
  get story() {
    this.store.run ??= { began: Date.now() / 1000, ended: null, state: "running", total: 0, skipped: 0, events: [], samples: [] };
    return this.store.run;
  }

  // ---- acting

  /** Do something that the server may refuse; true if it did it. */
  async try(act) {
    try {
      await act();
      return true;
    } catch (error) {
      this.complain(error.message, { lang: "en" });
      return false;
    }
  }

  async approve(id, goOn = false) {
    const done = await this.try(async () => this.store.replace(await ask("POST", photoPath(id, "approve"))));
    if (done) this.decided(id, "approved", goOn);
  }

  async keep(id, goOn = false) {
    const done = await this.try(() => ask("POST", photoPath(id, "keep")));
    if (done) this.decided(id, "kept", goOn);
  }

  async reopen(id) {
    await this.try(async () => this.store.replace(await ask("POST", photoPath(id, "reopen"))));
  }

  again(id, wish) {
    return this.try(() => ask("POST", photoPath(id, "again"), wish));
  }

  saveMask(id, blob) {
    return this.try(async () => this.store.replace(await ask("PUT", photoPath(id, "mask"), blob)));
  }

  async dropMask(id) {
    await this.try(async () => this.store.replace(await ask("DELETE", photoPath(id, "mask"))));
  }

  async applyToAlike(id) {
    let ids = [];
    const found = await this.try(async () => {
      ({ ids } = await ask("GET", photoPath(id, "alike")));
    });
    if (!found) return;
    if (!ids.length) {
      this.complain(say("alike_none"));
    } else if (await this.confirm(say("alike_sure", { count: number(ids.length) }))) {
      await this.try(() => ask("POST", photoPath(id, "apply"), { method: this.store.review.method, ids }));
    }
  }

  async approveShown() {
    const ids = this.page.ids.filter((id) => {
      const photo = this.store.photo(id);
      return !decisionOf(photo) && photo.verdict !== "failed" && !photo.review?.job;
    });
    if (!ids.length || !(await this.confirm(say("approve_all_sure", { count: number(ids.length) })))) return;
    await this.try(async () => {
      const { photos, refused } = await ask("POST", "/api/approve", { ids });
      for (const photo of photos) this.store.replace(photo);
      if (refused.length) this.complain(say("refused", { count: number(refused.length) }));
    });
  }

  /** Say what was decided, and go on to the next photograph that waits for a decision. */
  decided(id, decision, goOn) {
    announce(say("decided", { name: this.store.photo(id).name, decision: say(decision) }));
    const { viewer, grid } = this.page;
    if (!goOn) return;
    const ids = viewer.isOpen ? viewer.ids : this.page.ids;
    const at = ids.indexOf(id);
    const next = ids.slice(at + 1).find((each) => !decisionOf(this.store.photo(each))) ?? ids[at + 1];
    if (!next) return;
    if (!viewer.isOpen) grid.focus(next);
    else if (viewer.id === id) viewer.show(next);
  }

  hearGridKey(event, id) {
    const keys = {
      a: () => this.approve(id, true),
      x: () => this.keep(id, true),
      e: () => {
        this.page.open(id);
        this.tools.startPainting();
      },
    };
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  }

  // ---- what it adds to the page

  makePanel() {
    this.runPanel = make("div", { class: "live", role: "status" });
    this.queueState = make("span", { class: "count" });
    this.queueHead = make("div", { class: "queue-head" });
    this.queueList = make("ul");
    this.takeOutAll = button(say("take_out_all"), { on: { click: () => this.takeOut() } });
    this.queuePanel = make(
      "details",
      { class: "queue" },
      make("summary", { class: "button" }, make("span", { text: say("queue") }), this.queueState),
      make("div", { class: "queue-body" }, this.queueHead, this.queueList, this.takeOutAll),
    );
    this.trouble = make("div", { class: "trouble", role: "alert" });
    this.drawQueue();
    this.drawRun();
    return make("div", { class: "review-panel" }, this.runPanel, this.queuePanel, this.trouble);
  }

  makeBulk() {
    return button(say("approve_all"), { image: "approved", on: { click: () => this.approveShown() }, data: { act: "approve-all" } });
  }

  drawQueue() {
    if (!this.queuePanel) return;
    const queue = this.queue || { waiting: [], running: null, finished: 0, failed: 0, total: 0 };
    const jobs = [queue.running, ...queue.waiting].filter(Boolean);
    const done = queue.finished + (queue.failed || 0);
    const state = jobs.length ? say("queue_state", { done: number(done), total: number(Math.max(queue.total, done + jobs.length)) }) : "0";
    const shown = jobs.slice(0, SHOWN_JOBS);
    const known = this.rows;
    this.rows = new Map(shown.map((job) => [job.job, this.makeRow(job, known.get(job.job))]));
    const rows = [...this.rows.values()];
    this.queueState.textContent = state;
    for (const row of [...this.queueList.children]) if (!rows.includes(row)) row.remove();
    rows.forEach((row, index) => this.queueList.children[index] !== row && this.queueList.insertBefore(row, this.queueList.children[index] ?? null));
    this.queueList.hidden = !rows.length;
    refill(
      this.queueHead,
      queue.held && jobs.length > 0 && make("p", { class: "fine", text: say("queue_held") }),
      queue.total > 0 && makeProgress(done, Math.max(queue.total, done + jobs.length), say("queue")),
      !rows.length && make("p", { class: "fine", text: say("queue_empty") }),
    );
    this.takeOutAll.hidden = queue.waiting.length < 2;
  }

  /** A line of the queue. One that is there already stays, so that nothing moves away under a finger. */
  makeRow(job, row = null) {
    const key = `${job.state} ${job.stage}`;
    if (row?.dataset.key === key) return row;
    return make(
      "li",
      { data: { key } },
      make("span", { class: "job-name", text: job.name, title: job.name }),
      make("span", { class: "fine", text: describeJob(job) }),
      job.state === "waiting" && button(say("take_out"), { image: "close", quiet: true, on: { click: () => this.takeOut(job) } }),
    );
  }

  takeOut(job = null) {
    return this.try(async () => this.takeQueue(await ask("DELETE", job ? `/api/queue/${job.job}` : "/api/queue")));
  }

  drawRun() {
    const { run } = this;
    if (!this.runPanel || !run || run.state === "none") return;
    const isOver = ENDED.includes(run.state);
    const isHeld = run.state === "paused" || run.state === "pausing";
    const held = this.runPanel.contains(document.activeElement) && document.activeElement.tagName === "BUTTON";
    const pace = run.rate ? say("mean_pace", { rate: number(run.rate, 2) }) : null;
    const left = !isOver && run.left_seconds ? say("left_time", { time: duration(Math.round(run.left_seconds)) }) : null;
    const isSurveyed = !isOver && run.surveyed > 0;
    const far = isSurveyed ? say("run_survey", { count: number(run.surveyed) }) : say("run_state", { done: number(run.done), total: number(run.total) });
    const text = [say(`state_${run.state}`), far, pace, left];
    this.runPanel.replaceChildren(
      ...[
        !isSurveyed && makeProgress(run.done, run.total, say("run")),
        make("span", { class: "fine", text: text.filter(Boolean).join(" · ") }),
        !isOver && button(say(isHeld ? "resume_run" : "pause_run"), { image: isHeld ? "play" : "pause", on: { click: () => this.holdRun(!isHeld) }, data: { act: "hold" } }),
      ].filter(Boolean),
    );
    if (held) this.runPanel.querySelector("button")?.focus();
  }

  holdRun(hold) {
    return this.try(async () => this.takeRun(await ask("POST", `/api/run/${hold ? "pause" : "resume"}`)));
  }

  /** Show what went wrong, where it can be seen also with a photograph open. */
  complain(text, { stays = false, lang = document.documentElement.lang } = {}) {
    const line = make("p", { class: "toast", lang }, make("span", { text }), button(say("close"), { image: "close", quiet: true, on: { click: () => line.remove() } }));
    const place = this.page.viewer?.isOpen ? this.page.viewer.element : this.trouble;
    let toasts = place.querySelector(".toasts");
    if (!toasts) place.append((toasts = make("div", { class: "toasts", role: "alert" })));
    toasts.append(line);
    if (!stays) setTimeout(() => line.remove(), TROUBLE_MS);
  }

  /** Ask a person; true for yes. */
  confirm(question) {
    return new Promise((resolve) => {
      const dialog = make(
        "dialog",
        { class: "question", "aria-label": question, on: { close: () => { resolve(dialog.returnValue === "yes"); dialog.remove(); } } },
        make(
          "form",
          { method: "dialog" },
          make("p", { text: question }),
          make("div", {}, make("button", { class: "button strong", value: "yes", text: say("yes") }), make("button", { class: "button", value: "no", text: say("no") })),
        ),
      );
      (this.page.viewer.isOpen ? this.page.viewer.element : document.body).append(dialog);
      dialog.showModal();
    });
  }
}

function makeProgress(done, total, label) {
  return make("progress", { max: String(Math.max(1, total)), value: String(done), "aria-label": label });
}
