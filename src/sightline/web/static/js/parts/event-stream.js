/** Server-sent events that come back: after a lost connection by themselves, and when the server answers again. */

import { connection } from "../api.js";

/**
 * @param {() => string} path asked at each opening
 * @param {Object<string, (data: object, id: string) => void>} ears by the name of the event
 * @param {AbortSignal} signal ends it
 * @param {() => void} onrefused the server refused it, and browsers do not come back from that: `open` does
 * @returns {{open: () => void, closed: boolean}}
 */
export function eventStream(path, ears, signal, onrefused) {
  let stream = null;
  const open = () => {
    if (signal.aborted) return;
    stream?.close();
    const mine = new EventSource(path());
    stream = mine;
    for (const [name, take] of Object.entries(ears)) {
      mine.addEventListener(name, (event) => mine === stream && !signal.aborted && take(JSON.parse(event.data), event.lastEventId));
    }
    mine.addEventListener("error", () => mine === stream && mine.readyState === EventSource.CLOSED && !signal.aborted && onrefused());
  };
  connection.addEventListener("online", open, { signal });
  signal.addEventListener("abort", () => stream?.close());
  open();
  return {
    open,
    get closed() {
      return stream?.readyState === EventSource.CLOSED;
    },
  };
}
