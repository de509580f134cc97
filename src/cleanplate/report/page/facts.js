// What is known of one photograph, as a list beside it.

import { icon, make } from "./dom.js";
import { decisionOf } from "./store.js";
import { totalSeconds } from "./filters.js";
import { duration, isSaid, number, percent, say } from "./i18n.js";

/** All that is known of a photograph, as a list of facts. */
export function describePhoto(photo, store) {
  const decision = decisionOf(photo);
  const rows = [
    ["became", makeBadges(photo, decision)],
    photo.cause && ["cause", make("span", { text: photo.cause, lang: "en" })],
    photo.remedy && ["remedy", make("span", { text: photo.remedy, lang: "en" })],
    photo.share && ["share", percent(photo.share, 2)],
    photo.score && ["score", makeMeter(photo.score)],
    photo.sureness !== undefined && photo.methods && ["confidence", makeMeter(photo.sureness)],
    photo.rounds && ["rounds", number(photo.rounds)],
    photo.methods && ["method", makeMethods(photo)],
    photo.width && ["size", `${photo.width} × ${photo.height}`],
    photo.batch > 0 && ["batch", number(photo.batch)],
    photo.seconds && ["time", makeTimes(photo)],
    photo.notes && ["notes", make("ul", { lang: "en" }, photo.notes.map((note) => make("li", { text: note })))],
    (photo.pictures?.before || photo.pictures?.after) && ["files", makeFiles(photo, store)],
  ];
  const list = make(
    "dl",
    {},
    rows.filter(Boolean).map(([name, value]) => make("div", {}, make("dt", { text: say(name) }), make("dd", {}, value))),
  );
  return [list, makeKeys(store)];
}

function makeBadges(photo, decision) {
  return make(
    "span",
    { class: "badges" },
    make("span", { class: `badge is-${photo.verdict}` }, icon(photo.verdict), make("span", { text: say(photo.verdict) })),
    decision && make("span", { class: `badge is-${decision}` }, icon(decision), make("span", { text: say(decision) })),
  );
}

function makeMeter(share) {
  const bar = make("span", { class: "bar", "aria-hidden": "true" }, make("span", { style: { width: `${share * 100}%` } }));
  return make("span", { class: "meter" }, make("span", { text: number(share, 2) }), bar);
}

function makeMethods(photo) {
  const items = Object.entries(photo.methods).map(([method, count]) => {
    const opacities = (photo.regions || []).filter((region) => region.method === method && region.opacity !== null);
    const mean = opacities.reduce((sum, region) => sum + region.opacity, 0) / opacities.length;
    const text = count > 1 ? `${say(method)} × ${count}` : say(method);
    return make("li", { class: `is-${method}`, text: opacities.length ? `${text}${say("comma")}${say("opacity", { value: number(mean, 2) })}` : text });
  });
  return make("ul", { class: "methods" }, items);
}

function makeTimes(photo) {
  const total = totalSeconds(photo);
  const stages = Object.entries(photo.seconds)
    .filter(([, seconds]) => seconds >= 0.005)
    .map(([stage, seconds]) => `${isSaid(stage) ? say(stage) : stage} ${duration(seconds)}`);
  return [make("span", { text: duration(total) }), make("span", { class: "fine", text: stages.join(" · ") })];
}

function makeFiles(photo, store) {
  const links = ["before", "after"].map((side) => {
    const address = store.picture(photo, side);
    return address && make("a", { href: address, target: "_blank", rel: "noopener", text: say(`open_${side}`) });
  });
  return make("span", { class: "links" }, links);
}

function makeKeys(store) {
  const names = ["key_arrows", "key_space", "key_mask", "key_marks", "key_zoom", "key_close", store.review && "key_review"];
  return make(
    "details",
    { class: "keys" },
    make("summary", { text: say("keys") }),
    make("ul", {}, names.filter(Boolean).map((name) => make("li", { text: say(name) }))),
  );
}
