/** Jobs: what runs, what waits and what became of it; a new one from pictures, a folder or a zip. */

import { listJobs } from "../api-jobs.js";
import { h, icon } from "../dom.js";
import { chosenSize } from "../models-data.js";
import { choose, onPictures } from "../parts/intake.js";
import { isVideo, isZip, picturesOf } from "../parts/folder.js";
import { jobIntake, startJob, uploadInProgress } from "../parts/job-upload.js";
import { ENDED, idleWords, jobMeter, progressWords, stateChip, titleOfJob } from "../parts/job-words.js";
import { otherWork } from "../parts/job-other.js";
import { modelPicker } from "../parts/model-picker.js";
import { problemBox } from "../parts/problem.js";
import { go } from "../router.js";
import { ago, fullTime, t } from "../strings.js";
import "../words/jobs.js";

const BUSY_MS = 1500;
const CALM_MS = 10_000;

export function open(root, { handoff, signal }) {
  document.title = `${t("jobs.title")} · ${t("app.name")}`;
  let model = null;
  let given = handoff;
  const sending = h("div", { class: "job-sending" }, uploadInProgress());
  const trouble = h("div", { class: "job-trouble" });
  const list = jobList(signal);

  const take = ({ files = [], address, leftOut = 0, folder = false }) => {
    if (address) {
      go("/", { handoff: { address } }); // one picture is looked at, not queued
      return;
    }
    trouble.replaceChildren();
    const picked = folder ? picturesOf(files) : { files, leftOut };
    const zips = picked.files.filter(isZip);
    if (zips.length && picked.files.length > 1) {
      trouble.replaceChildren(problemBox({ message: t("jobs.zip.alone"), nextStep: t("jobs.zip.alone.next") }));
    } else if (picked.files.some(isVideo)) {
      film(picked.files);
    } else if (!picked.files.length) {
      trouble.replaceChildren(problemBox({ message: t("jobs.upload.nothing"), nextStep: t("look.ways.short") }));
    } else {
      const options = { model: model?.name ?? null, size: chosenSize(model) || null };
      sending.replaceChildren(startJob(picked.files, { options, leftOut: picked.leftOut + (folder ? 0 : leftOut), onjob: started }));
    }
  };

  const started = (job) => (signal.aborted ? null : go(`/jobs/${job.id}`));
  const film = (files) => {
    if (files.length > 1) {
      trouble.replaceChildren(problemBox({ message: t("jobs.video.alone"), nextStep: t("jobs.video.alone.next") }));
      return;
    }
    const fields = { ...(model && { model: model.name }), ...(chosenSize(model) && { size: String(chosenSize(model)) }) };
    sending.replaceChildren(startJob(files, { options: {}, form: { field: "video", fields }, onjob: started }));
  };
  const other = otherWork((files, form) => {
    trouble.replaceChildren();
    sending.replaceChildren(startJob(files, { options: {}, form, onjob: started }));
    sending.scrollIntoView({ block: "nearest" });
  });

  const picker = modelPicker((chosen) => {
    model = chosen;
    if (given) take(given); // what was dropped elsewhere waits until it is known who looks
    given = null;
  });
  onPictures(take, signal);
  root.append(
    h("header", { class: "place-head" }, h("h1", { tabindex: "-1" }, t("jobs.title"))),
    jobIntake(choose, (files, folder) => take({ files, folder })),
    picker,
    other,
    trouble,
    sending,
    list,
  );
}

/** The jobs, newest first, asked again every so often while the page is looked at. */
function jobList(signal) {
  const rows = new Map();
  const ul = h("ul", { class: "job-list" });
  const more = h("button", { class: "button", type: "button", hidden: true }, t("jobs.more"));
  const room = h("section", { class: "job-room", "aria-label": t("jobs.all") }, waiting());
  let timer;
  let known = false;

  const show = (jobs, { front }) => {
    for (const job of front ? [...jobs].reverse() : jobs) {
      const row = rows.get(job.id) ?? makeRow();
      row.fill(job);
      if (rows.has(job.id)) continue;
      rows.set(job.id, row);
      if (front) ul.prepend(row.element);
      else ul.append(row.element);
    }
  };
  const empty = () => h("div", { class: "empty" }, icon("jobs"), h("h2", {}, t("jobs.empty")), h("p", {}, t("jobs.empty.text")));

  async function refresh() {
    clearTimeout(timer);
    try {
      const page = await listJobs({ signal });
      show(page.jobs, { front: true });
      for (const [id, row] of rows) {
        if (row.newest && !page.jobs.some((job) => job.id === id)) {
          row.element.remove();
          rows.delete(id);
        }
      }
      for (const job of page.jobs) rows.get(job.id).newest = !page.next;
      if (!known) offerMore(page.next);
      known = true;
      room.replaceChildren(...(rows.size ? [ul, more] : [empty()]));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (!known) room.replaceChildren(problemBox(problem, { again: refresh }));
    }
    const busy = [...rows.values()].some((row) => row.busy);
    timer = setTimeout(() => (document.hidden ? wake() : refresh()), busy ? BUSY_MS : CALM_MS);
  }

  /** A hidden page asks nothing until it is looked at again. */
  function wake() {
    document.addEventListener("visibilitychange", refresh, { once: true, signal });
  }

  function offerMore(next) {
    more.hidden = !next;
    more.onclick = async () => {
      more.disabled = true;
      try {
        const page = await listJobs({ before: next, signal });
        show(page.jobs, { front: false });
        offerMore(page.next);
      } catch (problem) {
        if (problem.name !== "AbortError") more.before(problemBox(problem));
      }
      more.disabled = false;
    };
  }

  signal.addEventListener("abort", () => clearTimeout(timer));
  refresh();
  return room;
}

function waiting() {
  return h("ul", { class: "job-list", "aria-hidden": "true" }, Array.from({ length: 3 }, () => h("li", { class: "job-row card waiting" })));
}

function makeRow() {
  const link = h("a", { class: "job-row-link" });
  const chip = h("span", {});
  const words = h("span", { class: "small soft numbers" });
  const meter = jobMeter();
  const time = h("time", { class: "small soft" });
  const why = h("p", { class: "small job-why" });
  const element = h("li", { class: "job-row card" }, h("div", { class: "job-row-head" }, link, chip), h("div", { class: "job-row-facts" }, words, time), meter, why);
  let said = "";
  const row = {
    element,
    busy: false,
    newest: false,
    fill(job) {
      row.busy = !ENDED.has(job.state);
      const created = new Date(job.created * 1000);
      time.textContent = ago(created);
      const now = JSON.stringify([job.state, job.progress, job.failed, job.rate]);
      if (now === said) return;
      said = now;
      link.href = `/jobs/${job.id}`;
      link.textContent = titleOfJob(job);
      chip.replaceChildren(stateChip(job));
      words.textContent = [job.kind === "import" ? null : job.model, progressWords(job)].filter(Boolean).join(" · ") || idleWords(job);
      time.dateTime = created.toISOString();
      time.title = fullTime(created);
      meter.follow(job);
      why.textContent = job.error ? job.error.message : "";
      why.hidden = !job.error;
    },
  };
  return row;
}
