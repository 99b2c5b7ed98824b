/**
 * What happens to one job, as it happens. It ends in the job's end, in "gone", or in a problem in words: the
 * stream comes back by itself after a lost connection, and a plain question every so often tells where it is
 * silent for other reasons.
 */

import { getJob, jobPath } from "../api-jobs.js";
import { eventStream } from "./event-stream.js";
import { ENDED } from "./job-words.js";

const ASK_MS = 15_000;

/**
 * @param {string} id
 * @param {{onjob: (job: object) => void, onprogress: (progress: object) => void, onitems: (items: object[]) => void, ongone: () => void}} ears
 * @param {AbortSignal} signal
 */
export function follow(id, ears, signal) {
  const over = new AbortController();
  const end = () => over.abort();
  const gone = () => {
    end();
    ears.ongone();
  };
  const heard = (job) => {
    ears.onjob(job);
    if (ENDED.has(job.state)) end();
  };
  const ask = async () => {
    if (over.signal.aborted) return;
    try {
      heard(await getJob(id, signal));
      if (stream.closed) stream.open();
    } catch (problem) {
      if (problem.status === 410 || problem.status === 404) gone(); // a lost connection is told by the banner, and asked again
    }
  };
  const timer = setInterval(ask, ASK_MS);
  over.signal.addEventListener("abort", () => clearInterval(timer));
  signal.addEventListener("abort", end);
  const named = { state: heard, progress: ears.onprogress, items: (data) => ears.onitems(data.items), gone };
  const stream = eventStream(() => `${jobPath(id)}/events`, named, over.signal, () => setTimeout(ask, 1500));
}
