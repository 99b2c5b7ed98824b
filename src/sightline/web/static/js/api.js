/** The only file that speaks HTTP. Every failure becomes a Problem with words in it. */

import { t } from "./strings.js";

/** What went wrong, for people: `message`, `nextStep`, `requestId`; `code`, `status` and `field` for decisions. */
export class Problem extends Error {
  constructor({ detail, nextStep = "", code = "", status = 0, requestId = "", field = "" }) {
    super(detail);
    Object.assign(this, { nextStep, code, status, requestId, field });
  }
}

/** "offline" and "online" events, so that one banner tells it once. */
export const connection = new EventTarget();
let reachable = true;

function report(isReachable) {
  if (isReachable === reachable) return;
  reachable = isReachable;
  connection.dispatchEvent(new Event(reachable ? "online" : "offline"));
  if (!reachable) setTimeout(probe, 1500);
}

async function probe() {
  try {
    report((await fetch("/health/live", { cache: "no-store" })).ok);
  } catch {
    report(false);
  }
  if (!reachable) setTimeout(probe, 3000);
}

addEventListener("offline", () => report(false));
addEventListener("online", probe);

function networkProblem() {
  report(false);
  return new Problem({ detail: t("problem.network"), nextStep: t("problem.network.next"), code: "network" });
}

function toProblem(status, text, requestId) {
  try {
    const body = JSON.parse(text);
    return new Problem({
      detail: body.detail || body.title,
      nextStep: body.next_step ?? "",
      code: body.code ?? "",
      field: body.field ?? "",
      status,
      requestId: body.request_id ?? requestId ?? "",
    });
  } catch {
    const detail = status === 401 ? t("problem.key") : t("problem.strange", { status });
    return new Problem({ detail, nextStep: t("problem.strange.next"), status, requestId: requestId ?? "" });
  }
}

/** Asks for a path; the JSON of the answer, or a Problem. */
export async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { headers: { Accept: "application/json" }, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw networkProblem();
  }
  report(true);
  if (!response.ok) throw toProblem(response.status, await response.text(), response.headers.get("X-Request-Id"));
  return response.status === 204 ? null : response.json();
}

/**
 * Sends one picture and gives the result's JSON. Upload progress needs XMLHttpRequest: fetch cannot tell it.
 *
 * @param {Blob} picture
 * @param {{name: string, model?: string, size?: number, min?: number, store?: boolean, onProgress?: (share: number) => void, signal?: AbortSignal}} options
 */
export function predict(picture, { name, model, size, min, store = true, capture, onProgress, signal }) {
  const form = new FormData();
  form.append("image", picture, name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", predictPath(model, size, store, min) + (capture ? `&capture=${encodeURIComponent(capture)}` : ""));
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => event.lengthComputable && onProgress?.(event.loaded / event.total);
    request.upload.onload = () => onProgress?.(1);
    request.onerror = () => reject(networkProblem());
    request.onabort = () => reject(new DOMException("Stopped.", "AbortError"));
    request.onload = () => {
      report(true);
      if (request.status === 200) resolve(JSON.parse(request.responseText));
      else reject(toProblem(request.status, request.responseText, request.getResponseHeader("X-Request-Id")));
    };
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** Has the server fetch a picture from a web address. */
export function predictAddress(url, { model, size, signal }) {
  return call(predictPath(model, size, true), {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ url }),
    signal,
  });
}

function predictPath(model, size, store, min) {
  const query = new URLSearchParams();
  if (store) query.set("store", "true");
  if (model) query.set("model", model);
  if (size) query.set("size", size);
  if (min !== undefined) query.set("min_score", min);
  return `/api/v1/predict?${query}`;
}

/** The picture with its drawing, made by the server as for a stored result; nothing is stored. */
export async function drawnPicture(picture, { model, size, min }) {
  const path = predictPath(model, size, false, min);
  const response = await fetch(path, { method: "POST", headers: { Accept: "image/jpeg", "Content-Type": picture.type }, body: picture }).catch(() => {
    throw networkProblem();
  });
  if (!response.ok) throw toProblem(response.status, await response.text());
  return response.blob();
}

export const resultPath = (id) => `/api/v1/results/${encodeURIComponent(id)}`;
export const getResult = (id, signal) => call(resultPath(id), { signal });
export const deleteResult = (id) => call(resultPath(id), { method: "DELETE" });

/** One page of the history: {results, next}. `before` is the `next` of the page before, `label` a whole label,
 * `name` a part of the file's name. */
export function listResults({ limit = 24, before, label, name, signal } = {}) {
  const query = new URLSearchParams({ limit });
  if (before) query.set("before", before);
  if (label) query.set("label", label);
  if (name) query.set("q", name);
  return call(`/api/v1/results?${query}`, { signal });
}

export const asJson = (wish) => ({ method: "POST", body: JSON.stringify(wish), headers: { Accept: "application/json", "Content-Type": "application/json" } });
export const pipelinePath = (name) => `/api/v1/pipelines/${encodeURIComponent(name)}`;
export const listPipelines = (signal) => call("/api/v1/pipelines", { signal, cache: "no-store" }).then((body) => body.pipelines);
export const getPipeline = (name, signal) => call(pipelinePath(name), { signal, cache: "no-store" });
export const checkPipeline = (pipeline, signal) => call("/api/v1/pipelines/check", { ...asJson({ pipeline }), signal });
export const createPipeline = (pipeline) => call("/api/v1/pipelines", asJson({ pipeline }));
export const replaceSecond = (name, wish) => call(`${pipelinePath(name)}/second`, asJson(wish));
export const deletePipeline = (name) => call(pipelinePath(name), { method: "DELETE" });

/** Looks at a picture with a pipeline that is not kept. */
export function tryPipeline(pipeline, picture, signal) {
  const form = new FormData();
  form.append("image", picture, picture.name || "picture");
  form.append("pipeline", JSON.stringify(pipeline));
  return call("/api/v1/pipelines/test", { method: "POST", body: form, signal });
}

/** Submits a job; the same `key` again is the same job, so it may be sent until it was heard. */
export function submitJob(wish, key) {
  return call("/api/v1/jobs", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "Idempotency-Key": key },
    body: JSON.stringify(wish),
  });
}

/** Sends files for a job that is submitted after them; `onProgress` hears the bytes that have left. */
export const uploadFiles = (form, options = {}) => sendForm("/api/v1/uploads", form, options);

/** Submits a job as a form with its one file; the same `key` again is the same job. */
export const submitForm = (form, key, options = {}) => sendForm("/api/v1/jobs", form, { ...options, key });

function sendForm(path, form, { key, onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Accept", "application/json");
    if (key) request.setRequestHeader("Idempotency-Key", key);
    request.upload.onprogress = (event) => onProgress?.(event.loaded);
    request.onerror = () => reject(networkProblem());
    request.onabort = () => reject(new DOMException("Stopped.", "AbortError"));
    request.onload = () => {
      report(true);
      if (request.status === 201 || request.status === 202) resolve(JSON.parse(request.responseText));
      else reject(toProblem(request.status, request.responseText, request.getResponseHeader("X-Request-Id")));
    };
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

let models;
/** The models, asked once per page load unless `fresh`. */
export function listModels(fresh = false) {
  if (!models || fresh) {
    models = call("/api/v1/models").then((body) => body.models);
    models.catch(() => {
      models = undefined;
    });
  }
  return models;
}

export const getModel = (name, signal) => call(`/api/v1/models/${encodeURIComponent(name)}`, { signal });
export const getPalette = () => call("/api/v1/palette").then((body) => body.colors);
export const listSamples = () => call("/api/v1/samples").then((body) => body.samples);

/** The bytes of a picture on this server. */
export async function fetchPicture(path, signal) {
  try {
    const response = await fetch(path, { signal });
    if (response.ok) return await response.blob();
    throw toProblem(response.status, await response.text());
  } catch (error) {
    if (error instanceof Problem || error.name === "AbortError") throw error;
    throw networkProblem();
  }
}
