// Which photographs are shown, and in what order. Pure: photographs in, ids out.

import { decisionOf } from "./store.js";

export const KINDS = ["all", "repaired", "clean", "under_threshold", "failed"];
export const DECISIONS = ["open", "approved", "kept"];
export const ORDERS = ["name", "sureness", "share", "slowest", "newest"];

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

const COMPARE = {
  name: byName,
  // What the program is least sure of comes first; where nothing was found there is nothing to doubt.
  sureness: (a, b) => (a.sureness ?? 2) - (b.sureness ?? 2) || byName(a, b),
  share: (a, b) => (b.share ?? 0) - (a.share ?? 0) || byName(a, b),
  slowest: (a, b) => totalSeconds(b) - totalSeconds(a) || byName(a, b),
  newest: (a, b) => (b.at ?? 0) - (a.at ?? 0) || byName(a, b),
};

/** Ids of the photographs that a choice { kind, text, order } shows, in its order. */
export function choosePhotos(photos, choice) {
  const words = choice.text.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = photos.filter((photo) => isOfKind(photo, choice.kind) && hasWords(photo, words));
  return shown.sort(COMPARE[choice.order] || byName).map((photo) => photo.id);
}

/** All the time that a photograph took, in seconds, its waits not counted. */
export function totalSeconds(photo) {
  return Object.values(photo.seconds || {}).reduce((sum, seconds) => sum + seconds, 0);
}

function isOfKind(photo, kind) {
  if (kind === "all") return true;
  if (DECISIONS.includes(kind)) return (decisionOf(photo) || "open") === kind;
  return photo.verdict === kind;
}

function hasWords(photo, words) {
  if (!words.length) return true;
  const name = photo.name.toLowerCase();
  return words.every((word) => name.includes(word));
}

function byName(a, b) {
  return collator.compare(a.name, b.name);
}
