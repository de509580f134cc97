// Saying things in the reader's language, and numbers as it writes them.

import { CHINESE, ENGLISH } from "./words.js";

const LANGUAGES = { en: ENGLISH, zh: CHINESE };
let language = "en";

/** The language that the browser asks for, as far as the page has it: "en" or "zh". */
export function preferredLanguage() {
  for (const wanted of navigator.languages || [navigator.language]) {
    const name = String(wanted).toLowerCase().split("-")[0];
    if (name in LANGUAGES) return name;
  }
  return "en";
}

export function setLanguage(name) {
  language = name in LANGUAGES ? name : "en";
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

export function currentLanguage() {
  return language;
}

/** What is said under a name, with values put into its {places}; a name that nobody knows is said itself. */
export function say(name, values = {}) {
  const text = LANGUAGES[language][name] ?? ENGLISH[name] ?? String(name);
  return text.replace(/\{(\w+)\}/g, (place, key) => (key in values ? String(values[key]) : place));
}

/** Whether a name has words: stages and methods of later versions may not. */
export function isSaid(name) {
  return name in ENGLISH;
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: digits }).format(value);
}

export function percent(share, digits = 1) {
  const style = { style: "percent", maximumFractionDigits: share < 0.01 ? Math.max(digits, 2) : digits };
  return new Intl.NumberFormat(document.documentElement.lang, style).format(share);
}

/** Bytes by powers of a thousand. */
export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = value > 0 ? Math.min(units.length - 1, Math.floor(Math.log10(value) / 3)) : 0;
  return `${number(value / 1000 ** step, step > 2 ? 1 : 0)} ${units[step]}`;
}

/** Seconds as a person says them. */
export function duration(seconds) {
  if (seconds < 60) return say("seconds", { value: number(seconds, seconds < 10 ? 2 : 1) });
  const minutes = Math.floor(seconds / 60);
  const rest = Math.round(seconds % 60);
  if (minutes < 60) return `${minutes} min ${String(rest).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** A moment in seconds since 1970, as a date and a time of day. */
export function moment(seconds) {
  const form = { dateStyle: "medium", timeStyle: "medium" };
  return new Intl.DateTimeFormat(document.documentElement.lang, form).format(new Date(seconds * 1000));
}
