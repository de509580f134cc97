// What the page knows: photographs by id, the run, and who wants to hear of changes.

export class Store extends EventTarget {
  /** data: what `render_page` put into the page. */
  constructor(data) {
    super();
    this.title = data.title;
    this.madeBy = data.made_by;
    this.run = data.run || null;
    this.review = data.review || null;
    this.photos = new Map(data.photos.map((photo) => [photo.id, photo]));
  }

  get all() {
    return [...this.photos.values()];
  }

  photo(id) {
    return this.photos.get(id);
  }

  /** Take a photograph's new record, and tell. Listeners get the event "photo" with its id and what it was before. */
  replace(record) {
    const before = this.photos.get(record.id);
    this.photos.set(record.id, record);
    this.dispatchEvent(new CustomEvent("photo", { detail: { id: record.id, before } }));
  }

  /** Tell that something else has changed: "run", "queue", "sample", "note". */
  tell(kind, detail = null) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  /** Hear of changes until `stop` (an AbortSignal) says otherwise. */
  listen(kind, hear, stop) {
    this.addEventListener(kind, (event) => hear(event.detail), { signal: stop });
  }

  /** The address of one of a photograph's pictures, or null. */
  picture(photo, name) {
    const address = photo.pictures && photo.pictures[name];
    if (!address) return null;
    if (!this.review) return address;
    const revision = (photo.review && photo.review.revision) || 0;
    return `${address}${address.includes("?") ? "&" : "?"}v=${revision}`;
  }
}

/** null, "approved" or "kept": what a person has decided about a photograph. */
export function decisionOf(photo) {
  return (photo.review && photo.review.decision) || null;
}

/** How many photographs there are of each kind, and of each decision. */
export function countKinds(photos) {
  const counts = { all: photos.length, repaired: 0, clean: 0, under_threshold: 0, failed: 0, open: 0, approved: 0, kept: 0 };
  for (const photo of photos) {
    counts[photo.verdict] += 1;
    counts[decisionOf(photo) || "open"] += 1;
  }
  return counts;
}
