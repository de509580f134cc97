// Building elements. Text only ever becomes text: nothing here, or anywhere on the page, parses markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. properties: `class`, `text`, `on` (listeners by event), `data` (data-*), `style` (CSS properties),
 * anything else an attribute (true: without a value; null, undefined or false: left out).
 */
export function make(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same for the elements of a drawing. */
export function draw(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/** Put these in the place of an element's children; what is null or false is left out. */
export function refill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.setAttribute("class", value);
    else if (name === "text") element.textContent = value;
    else if (name === "on") for (const [event, listen] of Object.entries(value)) element.addEventListener(event, listen);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "style") for (const [rule, to] of Object.entries(value)) element.style.setProperty(rule, to);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Drawn on a square of 24; strokes only, so that they take the colour of the text beside them.
const ICONS = {
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  close: "M6 6l12 12M18 6L6 18",
  repaired: "M5 12.5l4.5 4.5L19 7.5",
  clean: "M12 4.5a7.5 7.5 0 100 15 7.5 7.5 0 000-15z",
  under_threshold: "M12 5v9M7.5 10l4.5 4.5 4.5-4.5M6 19h12",
  failed: "M12 4.5L3.5 19h17zM12 10v4M12 16.6v.2",
  approved: "M4 12.5l4 4L16 8M11 15.5l1 1L20 8",
  kept: "M4 9h10a5 5 0 010 10H8M8 5L4 9l4 4",
  mask: "M4 8c3-2.500 13-2.500 16 0 0 6-3 9-5.500 9-1.500 0-2-1.500-3.500-1.500S9 17 7.500 17C5 17 4 14 4 8z",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  marks: "M11 4.500a6.500 6.500 0 100 13 6.500 6.500 0 000-13zM16 16l4.500 4.500",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  sun: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M5.300 18.700l1.400-1.400M17.300 6.700l1.400-1.400",
  search: "M10.500 4a6.500 6.500 0 100 13 6.500 6.500 0 000-13zM15.500 15.500L20 20",
  brush: "M14 4l6 6-8 7-5-5zM7 13c-2 0-3 1.500-3 3.500 0 1.500-1 2.500-1 2.500 4 1 7-1 7-4",
  erase: "M9 19l-5-5L14 4l6 6-9 9zM9 9l6 6M9 19h11",
  lasso: "M12 4c5 0 8.500 2.400 8.500 5.500S17 15 12 15s-8.500-2.400-8.500-5.500S7 4 12 4zM7 14c-1.500 1-1.500 3 0 3s2 2 .500 3.500",
  box: "M5 6h14v12H5z",
  undo: "M8 5L4 9l4 4M4 9h9a6 6 0 010 12H9",
  redo: "M16 5l4 4-4 4M20 9h-9a6 6 0 000 12h4",
  again: "M19 12a7 7 0 11-2.200-5.100M19.500 4v4h-4",
  pause: "M8 5v14M16 5v14",
  play: "M8 5l11 7-11 7z",
  all: "M5 5h6v6H5zM13 5h6v6h-6zM5 13h6v6H5zM13 13h6v6h-6z",
};

/** A small drawing beside a word; readers of the screen pass over it. */
export function icon(name) {
  return draw(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    draw("path", { d: ICONS[name] }),
  );
}

/** A button with a drawing. label: what it says, or, with `quiet`, what is read out and shown as a tip. */
export function button(label, { image = null, quiet = false, kind = "", ...rest } = {}) {
  const attributes = quiet ? { "aria-label": label, title: label } : {};
  return make(
    "button",
    { type: "button", class: `button ${quiet ? "quiet" : ""} ${kind}`.trim(), ...attributes, ...rest },
    image && icon(image),
    quiet ? null : make("span", { text: label }),
  );
}

/** Whether a key was meant for a field that takes text or a choice, and not for the page. */
export function isTyping(event) {
  const target = event.target;
  return event.ctrlKey || event.metaKey || event.altKey || event.isComposing
    || target.isContentEditable || ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName);
}

/** Tell who cannot see the page what has changed. */
export function announce(text) {
  const place = document.getElementById("announcements");
  if (place) place.textContent = text;
}
