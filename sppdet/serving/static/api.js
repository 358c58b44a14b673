// The HTTP interface of the server: one function per end point.

const token = new URLSearchParams(location.search).get("token");

/** An answer that is no success: `status` is its code (0 where there was no answer), `body` its JSON. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body.error || `The server answered with the code ${status}.`);
    this.status = status;
    this.body = body;
  }
}

async function request(method, path, body, signal) {
  const headers = {};
  if (token) headers["X-Token"] = token;
  if (body !== undefined && !(body instanceof Blob)) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, { method, headers, body, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { error: "The server does not answer." });
  }
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, content);
  return content;
}

/** The address of something that an element of the page loads itself, with the token. */
function address(path) {
  return token ? `${path}?token=${encodeURIComponent(token)}` : path;
}

export const folder = () => request("GET", "/api/folder");
export const photo = (id, signal) => request("GET", `/api/photos/${id}`, undefined, signal);
export const proposals = (id, signal) =>
  request("GET", `/api/photos/${id}/proposals`, undefined, signal);
export const suggestions = (id, signal) =>
  request("GET", `/api/photos/${id}/suggestions`, undefined, signal);
/** Fails with the reason why the server gives no picture of a photograph; nothing where it does. */
export async function pictureOf(id) {
  for (const kind of ["image", "thumbnail"]) await request("GET", `/api/photos/${id}/${kind}`);
}
export const save = (id, content) => request("PUT", `/api/photos/${id}`, content);
export const addClass = (name) => request("POST", "/api/classes", { name });
export const renameClass = (name, to) => request("PATCH", "/api/classes", { name, to });
export const removeClass = (name) => request("DELETE", "/api/classes", { name });
export const next = (id, order) =>
  request("GET", `/api/next?after=${id}&order=${encodeURIComponent(order)}`);
export const status = () => request("GET", "/api/status");
export const saveModel = (file) => request("POST", "/api/model", { file });
export const explain = (id, object) => request("POST", `/api/photos/${id}/explain`, object);
export const tryImage = (file) => request("POST", "/api/try", file);
export const detect = (file) => request("POST", "/detect", file);

export const imageAddress = (id) => address(`/api/photos/${id}/image`);
export const thumbnailAddress = (id) => address(`/api/photos/${id}/thumbnail`);
export const reportAddress = () => address("/api/report");
