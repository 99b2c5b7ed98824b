/**
 * What happens to one job, as it happens. It ends in the job's end, in "gone", or in a problem in words: the
 * stream comes back by itself after a lost connection, and a plain question every so often tells where it is
 * silent for other reasons.
 */

import { connection, getJob, jobPath } from "../api.js";
import { ENDED } from "./job-words.js";

const ASK_MS = 15_000;

/**
 * @param {string} id
 * @param {{onjob: (job: object) => void, onprogress: (progress: object) => void, onitems: (items: object[]) => void, ongone: () => void}} ears
 * @param {AbortSignal} signal
 */
export function follow(id, ears, signal) {
  let stream = null;
  let over = false;
  const end = () => {
    over = true;
    stream?.close();
    clearInterval(timer);
  };
  const heard = (job) => {
    ears.onjob(job);
    if (ENDED.has(job.state)) end();
  };
  const ask = async () => {
    if (over) return;
    try {
      heard(await getJob(id, signal));
      if (!over && stream?.readyState === EventSource.CLOSED) open();
    } catch (problem) {
      if (problem.status === 410 || problem.status === 404) {
        end();
        ears.ongone();
      } // a lost connection is told by the banner, and asked again
    }
  };
  const open = () => {
    if (over || signal.aborted) return;
    stream?.close();
    stream = new EventSource(`${jobPath(id)}/events`);
    const on = (name, take) => stream.addEventListener(name, (event) => !over && take(JSON.parse(event.data)));
    on("state", heard);
    on("progress", ears.onprogress);
    on("items", (data) => ears.onitems(data.items));
    on("gone", () => {
      end();
      ears.ongone();
    });
    stream.addEventListener("error", () => stream.readyState === EventSource.CLOSED && setTimeout(ask, 1500));
  };
  const timer = setInterval(ask, ASK_MS);
  const back = () => !over && open();
  connection.addEventListener("online", back);
  signal.addEventListener("abort", () => {
    end();
    connection.removeEventListener("online", back);
  });
  open();
}
