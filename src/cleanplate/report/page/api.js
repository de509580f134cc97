// Asking the review server. Only used on the page that it serves.

/** What the server refused, in its own words. */
export class Refusal extends Error {
  constructor(status, { cause, remedy } = {}) {
    super([cause, remedy].filter(Boolean).join("; ") || `HTTP ${status}`);
    this.status = status;
  }
}

/** An answer as plain values. body: plain values, a Blob, or nothing. Throws Refusal. */
export async function ask(method, path, body = undefined) {
  const isBlob = body instanceof Blob;
  const response = await fetch(path, {
    method,
    credentials: "same-origin",
    headers: body === undefined ? {} : { "Content-Type": isBlob ? body.type : "application/json" },
    body: body === undefined || isBlob ? body : JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(response.status, answer.error);
  return answer;
}

export function photoPath(id, action = "") {
  return `/api/photos/${id}${action && `/${action}`}`;
}
