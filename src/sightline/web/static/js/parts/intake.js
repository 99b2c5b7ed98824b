/** Ways in: choose, drop and paste, from anywhere on the page. All end in `take(files)`. */

import { announce, h, icon } from "../dom.js";
import { go } from "../router.js";
import { t } from "../strings.js";
import { foldersOf, picturesOf, readEntries } from "./folder.js";

let taker = null;

/** While the Look place is open it takes what arrives itself; otherwise we go there first. */
export function onPictures(handler, signal) {
  taker = handler;
  signal.addEventListener("abort", () => {
    if (taker === handler) taker = null;
  });
}

function take(intake) {
  if (taker) taker(intake);
  else go("/", { handoff: intake });
}

/** A folder is a job, wherever it is dropped. */
function takeFolder(intake) {
  if (location.pathname === "/jobs" && taker) taker(intake);
  else go("/jobs", { handoff: intake });
}

/** Part of the page, so that assistive tools and programs find it; `choose` opens its dialog. */
const picker = h("input", {
  type: "file",
  id: "picker",
  multiple: true,
  hidden: true,
  accept: "image/*,video/*,.tif,.tiff,.avif,.zip,.mkv",
  "aria-label": t("look.choose"),
});
picker.addEventListener("change", () => {
  if (picker.files.length) take({ files: [...picker.files] });
  picker.value = ""; // the same file may be chosen again
});

/** Opens the browser's file dialog. */
export function choose() {
  picker.click();
}

const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].some((type) => type === "Files" || type === "text/uri-list");

/** Listens to the whole window; call once. */
export function watchDrops() {
  const veil = h("div", { class: "veil", hidden: true }, icon("upload"), h("p", {}, t("look.release")));
  document.body.append(veil, picker);
  let depth = 0;
  const over = (on) => {
    veil.hidden = !on;
  };
  addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth += 1;
    over(true);
  });
  addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    over(depth > 0);
  });
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    depth = 0;
    over(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    fromTransfer(event.dataTransfer);
  });
  addEventListener("paste", (event) => {
    if (event.target.matches?.("input, textarea") && !event.clipboardData.files.length) return;
    if (fromTransfer(event.clipboardData)) event.preventDefault();
  });
}

function fromTransfer(transfer) {
  const folders = foldersOf(transfer); // to be asked at once: after the drop its entries are gone
  if (folders) {
    readEntries(folders).then((files) => takeFolder(picturesOf(files)));
    return true;
  }
  const files = [...transfer.files];
  if (files.length) {
    take({ files });
    return true;
  }
  const text = (transfer.getData("text/uri-list") || transfer.getData("text/plain")).trim();
  if (!/^https?:\/\/\S+$/.test(text) || !URL.canParse(text)) return false;
  announce(text);
  take({ address: text });
  return true;
}
