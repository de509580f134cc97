// How a run went, drawn: memory, pace, stages, sizes, batches. Plain drawings that can be read by ear too.

import { draw, make } from "./dom.js";
import { bytes, duration, isSaid, moment, number, percent, say } from "./i18n.js";

const WIDTH = 720;
const HEIGHT = 230;
const EDGE = { left: 66, right: 12, top: 16, bottom: 30 };
const THRESHOLDS = [0.8, 0.9];
/** Bars of the pace; a chart is not more exact for having more of them. */
const MOST_BARS = 60;
const MOST_DOTS = 1500;
const FEW_DOTS = 60;

/** Everything about the run, for the page's second half. Called again when there is more to show. */
export function drawRun(store) {
  const run = store.run;
  if (!run) return make("p", { class: "empty", text: say("no_run") });
  const photos = photosOf(run, store.all);
  const span = timeSpan(run, photos);
  const charts = [
    drawMemory(run, span, {
      title: say("memory_system"),
      total: "system_total_bytes",
      lines: [
        ["used", (sample) => used(sample)],
        ["process", (sample) => sample.process_bytes],
      ],
    }),
    run.samples.some((sample) => sample.gpu_reserved_bytes !== undefined)
      && drawMemory(run, span, {
        title: say("memory_gpu"),
        total: "gpu_total_bytes",
        lines: [
          ["reserved", (sample) => sample.gpu_reserved_bytes],
          ["allocated", (sample) => sample.gpu_allocated_bytes],
        ],
      }),
    ...(photos.length ? [drawPace(photos, span), drawStages(photos), drawSizes(photos, span), drawBatches(run, photos, span)] : []),
  ];
  return make("div", { class: "run" }, describeRun(store, photos, span), make("div", { class: "charts" }, charts.filter(Boolean)), listEvents(run));
}

/** The photographs that this run finished, in the order of time; what was done again later is not among them. */
export function photosOf(run, photos) {
  const last = run.ended ?? Infinity;
  return photos.filter((photo) => photo.at >= run.began && photo.at <= last + 1).sort((a, b) => a.at - b.at);
}

function timeSpan(run, photos) {
  const times = [run.ended, photos.at(-1)?.at, run.samples.at(-1)?.seconds].filter((time) => time !== undefined && time !== null);
  return { from: run.began, to: Math.max(run.began + 1, ...times) };
}

function used(sample) {
  const { system_total_bytes: total, system_available_bytes: available } = sample;
  return total === undefined || available === undefined ? undefined : total - available;
}

function describeRun(store, photos, span) {
  const { run } = store;
  // Who follows it knows more than its journal.
  const open = store.liveRun ? say("state_running") : say("going_on");
  const seconds = (run.ended ?? span.to) - run.began;
  const state = run.state === "interrupted" ? say("interrupted") : run.ended ? moment(run.ended) : open;
  const rows = [
    ["from", moment(run.began)],
    ["until", state],
    ["lasted", duration(seconds)],
    ["looked_at", number(photos.length)],
    ["pace", number(photos.length / Math.max(seconds, 0.001), 2)],
  ];
  return make("dl", { class: "run-facts" }, rows.map(([name, value]) => make("div", {}, make("dt", { text: say(name) }), make("dd", { text: value }))));
}

// ---- the charts

function drawMemory(run, span, { title, total, lines }) {
  const samples = run.samples;
  if (!samples.length) return frame(title, say("no_samples"), null, "");
  const whole = Math.max(0, ...samples.map((sample) => sample[total] ?? 0));
  const series = lines
    .map(([name, read]) => ({ name, points: samples.map((sample) => [sample.seconds, read(sample)]).filter(([, value]) => value !== undefined) }))
    .filter((line) => line.points.length);
  const highest = Math.max(1, ...series.flatMap((line) => line.points.map(([, value]) => value)));
  const plot = new Plot(span, whole || highest * 1.1, bytes);
  for (const event of run.events) plot.mark(event);
  if (whole) for (const share of THRESHOLDS) plot.threshold(whole * share, say("threshold_at", { share: percent(share, 0) }), share >= 0.9);
  series.forEach((line, index) => plot.line(line.points, `series-${index + 1}`));
  const peaks = series.map((line) => `${say(line.name)}${say("colon")}${bytes(Math.max(...line.points.map(([, value]) => value)))}`);
  return frame(title, say("memory_hint"), plot, peaks.join(say("comma")), series.map((line) => line.name));
}

function drawPace(photos, span) {
  const count = Math.max(1, Math.min(MOST_BARS, Math.ceil(photos.length / 3)));
  const width = (span.to - span.from) / count;
  const bars = new Array(count).fill(0);
  for (const photo of photos) bars[Math.min(count - 1, Math.floor((photo.at - span.from) / width))] += 1;
  const rates = bars.map((finished) => finished / width);
  const plot = new Plot(span, Math.max(0.001, ...rates) * 1.1, (rate) => number(rate, rate < 10 ? 2 : 0));
  rates.forEach((rate, index) => plot.bar(span.from + index * width, span.from + (index + 1) * width, rate));
  const mean = photos.length / (span.to - span.from);
  return frame(say("pace"), say("pace_hint"), plot, say("mean_pace", { rate: number(mean, 2) }));
}

function drawStages(photos) {
  const sums = new Map();
  for (const photo of photos) {
    for (const [stage, seconds] of Object.entries(photo.seconds || {})) sums.set(stage, (sums.get(stage) || 0) + seconds);
  }
  const stages = [...sums].sort((a, b) => b[1] - a[1]);
  const most = Math.max(0.001, ...stages.map(([, seconds]) => seconds));
  const all = Math.max(0.001, stages.reduce((sum, [, seconds]) => sum + seconds, 0));
  const rows = stages.map(([stage, seconds]) =>
    make(
      "div",
      { class: "stage-row" },
      make("span", { text: isSaid(stage) ? say(stage) : stage }),
      make("span", { class: "bar", "aria-hidden": "true" }, make("span", { style: { width: `${(100 * seconds) / most}%` } })),
      make("span", { class: "figure", text: `${duration(seconds)} · ${percent(seconds / all, 0)}` }),
    ),
  );
  return make(
    "figure",
    { class: "chart" },
    make("figcaption", {}, make("h3", { text: say("stages") }), make("p", { text: say("stages_hint") })),
    make("div", { class: "stage-rows" }, rows),
  );
}

function drawSizes(photos, span) {
  const step = Math.max(1, Math.ceil(photos.length / MOST_DOTS));
  const points = photos.filter((photo, index) => photo.width && index % step === 0).map((photo) => [photo.at, (photo.width * photo.height) / 1e6]);
  const most = Math.max(0.1, ...points.map(([, value]) => value));
  const plot = new Plot(span, most * 1.1, (value) => number(value, value < 1 ? 2 : value < 10 ? 1 : 0));
  const radius = points.length < 100 ? 4.5 : 2.6;
  for (const [at, value] of points) plot.dot(at, value, radius);
  const least = Math.min(most, ...points.map(([, value]) => value));
  return frame(say("sizes"), say("sizes_hint"), plot, `${between(number(least, 1), number(most, 1))} ${say("megapixels")}`);
}

function drawBatches(run, photos, span) {
  const points = photos.filter((photo) => photo.batch > 0).map((photo) => [photo.at, photo.batch]);
  if (!points.length) return null;
  const most = Math.max(...points.map(([, value]) => value));
  const plot = new Plot(span, most + 1, (value) => number(value, most < 4 ? 1 : 0));
  for (const event of run.events) if (event.kind === "retried") plot.mark(event);
  plot.line(points, "series-1", true);
  if (points.length <= FEW_DOTS) for (const [at, value] of points) plot.dot(at, value, 4.5); // one batch has no line
  return frame(say("batches"), say("batches_hint"), plot, between(Math.min(...points.map(([, value]) => value)), most));
}

// ---- what charts have in common

/** A drawing with time across and a quantity upward. */
class Plot {
  constructor(span, most, write) {
    this.span = span;
    this.most = most;
    this.write = write;
    this.svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plot", role: "img" });
    this.axes();
  }

  x(at) {
    const share = (at - this.span.from) / (this.span.to - this.span.from);
    return EDGE.left + Math.min(1, Math.max(0, share)) * (WIDTH - EDGE.left - EDGE.right);
  }

  y(value) {
    return HEIGHT - EDGE.bottom - Math.min(1, Math.max(0, value / this.most)) * (HEIGHT - EDGE.top - EDGE.bottom);
  }

  add(tag, attributes, ...children) {
    this.svg.append(draw(tag, attributes, ...children));
  }

  axes() {
    for (const value of roundSteps(this.most, 4)) {
      const y = this.y(value);
      this.add("line", { class: "grid-line", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y, y2: y });
      this.add("text", { class: "label", x: EDGE.left - 9, y: y + 5, "text-anchor": "end" }, this.write(value));
    }
    const seconds = this.span.to - this.span.from;
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
      const x = this.x(this.span.from + share * seconds);
      this.add("text", { class: "label", x, y: HEIGHT - 6, "text-anchor": anchor }, shortTime(share * seconds));
    }
  }

  line(points, name, stepped = false) {
    let path = "";
    points.forEach(([at, value], index) => {
      const x = this.x(at).toFixed(1);
      const y = this.y(value).toFixed(1);
      path += index === 0 ? `M${x} ${y}` : stepped ? `H${x}V${y}` : `L${x} ${y}`;
    });
    // Of a run that was over at once there is one point, and a line to nowhere is not drawn.
    if (points.length === 1) this.add("circle", { class: `point ${name}`, cx: this.x(points[0][0]), cy: this.y(points[0][1]), r: 4 });
    else this.add("path", { class: `line ${name}`, d: path });
  }

  bar(from, to, value) {
    const left = this.x(from);
    const top = this.y(value);
    const width = Math.max(1, this.x(to) - left - 1);
    this.add("rect", { class: "column", x: left.toFixed(1), y: top.toFixed(1), width: width.toFixed(1), height: Math.max(0, this.y(0) - top).toFixed(1) });
  }

  dot(at, value, radius) {
    this.add("circle", { class: "dot", cx: this.x(at).toFixed(1), cy: this.y(value).toFixed(1), r: radius });
  }

  threshold(value, text, critical) {
    const y = this.y(value);
    this.add("line", { class: `threshold ${critical ? "critical" : "warning"}`, x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y, y2: y });
    // One above its line and one below, so that neither is crossed by the other.
    this.add("text", { class: "label", x: WIDTH - EDGE.right - 4, y: critical ? y - 5 : y + 16, "text-anchor": "end" }, text);
  }

  /** A pause is as wide as it was long; the rest are moments. */
  mark(event) {
    const x = this.x(event.at);
    const tip = draw("title", {}, describeEvent(event));
    if (event.kind === "paused") {
      const left = this.x(event.at - event.seconds);
      this.add("rect", { class: "pause", x: left, y: EDGE.top, width: Math.max(2, x - left), height: HEIGHT - EDGE.top - EDGE.bottom }, tip);
    } else if (event.kind === "retried") {
      const y = HEIGHT - EDGE.bottom;
      this.add("path", { class: "retry", d: `M${x - 5} ${y}L${x + 5} ${y}L${x} ${y - 9}Z` }, tip);
    } else if (event.kind === "cleaned") {
      this.add("line", { class: "cleaning", x1: x, x2: x, y1: HEIGHT - EDGE.bottom, y2: HEIGHT - EDGE.bottom + 6 }, tip);
    }
  }
}

function frame(title, hint, plot, summary, names = []) {
  if (plot) plot.svg.setAttribute("aria-label", `${title}. ${summary}`);
  const legend = names.map((name, index) => make("li", { class: `series-${index + 1}` }, make("i"), make("span", { text: say(name) })));
  return make(
    "figure",
    { class: "chart" },
    make(
      "figcaption",
      {},
      make("h3", { text: title }),
      make("p", { text: hint }),
      legend.length > 1 && make("ul", { class: "legend" }, legend),
      summary && make("p", { class: "chart-summary", text: summary }),
    ),
    plot && plot.svg,
  );
}

function between(least, most) {
  return least === most ? `${most}` : `${least}–${most}`;
}

/** A few round numbers from 0 to `most`. */
function roundSteps(most, count) {
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const steps = [];
  for (let value = 0; value <= most * 1.0001; value += step) steps.push(value);
  return steps;
}

function shortTime(seconds) {
  if (seconds > 0 && seconds < 10) return `${number(seconds, 1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${number(seconds / 3600, 1)} h`;
}

function describeEvent(event) {
  switch (event.kind) {
    case "paused":
      return `${say("paused")} ${duration(event.seconds)}${say("colon")}${event.reason}`;
    case "cleaned":
      return `${say("cleaned")}${say("colon")}${event.reason}${event.freed_bytes ? ` (${bytes(event.freed_bytes)})` : ""}`;
    case "retried": {
      const sizes = event.next_batch === undefined ? "" : ` ${event.batch} → ${event.next_batch}`;
      return `${say("retried")} (${isSaid(event.stage) ? say(event.stage) : event.stage}${sizes})${say("colon")}${event.cause}`;
    }
    default:
      return `${say("warned")}${say("colon")}${event.message ?? event.text ?? ""}`;
  }
}

function listEvents(run) {
  const rows = run.events.slice(-500).map((event) =>
    make(
      "li",
      { class: `event is-${event.kind}` },
      make("span", { class: "when", text: duration(Math.max(0, event.at - run.began)) }),
      make("span", { text: event.text && event.kind !== "warned" ? event.text : describeEvent(event) }),
    ),
  );
  return make(
    "section",
    { class: "events" },
    make("h3", { text: say("happened") }),
    rows.length ? make("ol", {}, rows) : make("p", { class: "empty", text: say("nothing_happened") }),
  );
}
