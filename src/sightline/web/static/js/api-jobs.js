/** Jobs over HTTP: only their own places load this. */

import { call } from "./api.js";

export const jobPath = (id) => `/api/v1/jobs/${encodeURIComponent(id)}`;
export const getJob = (id, signal) => call(jobPath(id), { signal, cache: "no-store" });
export const retryJob = (id) => call(`${jobPath(id)}/retry`, { method: "POST" });
/** Cancels a job that has not ended (its JSON), removes one that has (null). */
export const endJob = (id) => call(jobPath(id), { method: "DELETE" });
export const getJobItem = (id, index, signal) => call(`${jobPath(id)}/items/${index}`, { signal });

/** One page of the jobs: {jobs, next, total}. */
export function listJobs({ limit = 30, before, state, signal } = {}) {
  const query = new URLSearchParams({ limit });
  if (before) query.set("before", before);
  if (state) query.set("state", state);
  return call(`/api/v1/jobs?${query}`, { signal, cache: "no-store" });
}

/** What became of the pictures of a job above the index `after`: {results, next, total}. */
export function jobResults(id, { after = -1, limit = 100, failed = false, whole = false, signal } = {}) {
  const query = new URLSearchParams({ after, limit });
  if (!whole) query.set("brief", "true");
  if (failed) query.set("failed", "true");
  return call(`${jobPath(id)}/results?${query}`, { signal, cache: "no-store" });
}
