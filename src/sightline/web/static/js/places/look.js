/** Look: drop, paste, choose, an address or a sample; one picture goes straight to its result, several make a list. */

import { h, icon } from "../dom.js";
import { batch, lastBatch } from "../parts/batch.js";
import { isVideo, isZip } from "../parts/folder.js";
import { choose, onPictures } from "../parts/intake.js";
import { modelPicker } from "../parts/model-picker.js";
import { samples } from "../parts/samples.js";
import { working } from "../parts/working.js";
import { go } from "../router.js";
import { t } from "../strings.js";

/** More pictures than this are a job: it goes on when the page is closed. */
const JOB_FROM = 24;

export function open(root, { handoff, signal }) {
  document.title = t("app.name");
  let model = null;
  const sampleStrip = samples((file) => take({ files: [file] }), signal);
  const picker = modelPicker((chosen) => {
    model = chosen;
    sampleStrip.lookWith(chosen);
  });
  const list = h("div", { class: "batch-room" }, lastBatch());

  function take({ files = [], address, model: asked }) {
    if (address || (files.length === 1 && !isZip(files[0]) && !isVideo(files[0]))) {
      working(root, { file: files[0], address, model: asked ?? model, signal, back });
    } else if (files.length > JOB_FROM || files.some(isZip) || files.some(isVideo)) {
      go("/jobs", { handoff: { files } });
    } else if (files.length) {
      list.replaceChildren(batch(files, model));
      list.scrollIntoView({ block: "nearest" });
    }
  }

  function show() {
    root.replaceChildren(h("h1", { tabindex: "-1" }, t("look.title")), intake(take), picker, list, sampleStrip, h("p", { class: "small soft private" }, t("look.private")));
  }

  function back() {
    show();
    root.querySelector("h1").focus({ preventScroll: true });
  }

  onPictures(take, signal);
  show();
  if (handoff) take(handoff);
}

function intake(take) {
  const field = h("input", { class: "field", type: "url", name: "address", inputmode: "url", autocomplete: "off", placeholder: t("look.address.placeholder"), "aria-label": t("look.address") });
  const wrong = h("p", { class: "address-wrong small", role: "alert" });
  const form = h("form", { class: "address", novalidate: true }, field, h("button", { class: "button", type: "submit" }, t("look.go")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const address = field.value.trim();
    const good = /^https?:\/\/[^\s/]+/.test(address) && URL.canParse(address);
    wrong.textContent = good || !address ? "" : t("look.address.bad");
    field.setAttribute("aria-invalid", String(Boolean(wrong.textContent)));
    if (good) take({ address });
    else field.focus();
  });
  const drop = h(
    "div",
    { class: "drop" },
    icon("picture"),
    h("div", { class: "drop-words" }, h("p", { class: "drop-title" }, t("look.drop")), h("p", { class: "soft small" }, t("look.ways"))),
    h("button", { class: "button main-action", type: "button", onclick: choose, "aria-keyshortcuts": "u" }, icon("upload"), t("look.choose")),
  );
  return h("section", { class: "intake card", "aria-label": t("look.choose") }, drop, h("div", { class: "address-row" }, form, wrong));
}
