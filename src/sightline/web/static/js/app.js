/** Starts the page: rail, banner, keys, drops and pastes from anywhere, then the place of the address. */

import { connection } from "./api.js";
import { loadPalette } from "./colors.js";
import { announce, h, icon } from "./dom.js";
import { bindKeys, startKeys, toggleHelp } from "./keys.js";
import { choose, watchDrops } from "./parts/intake.js";
import { PLACES, go, onPlace, start } from "./router.js";
import { t } from "./strings.js";

function buildRail() {
  const links = PLACES.filter((place) => place.icon).map((place) =>
    h("a", { class: "place-link", href: place.path, data: { place: place.id } }, icon(place.icon), h("span", {}, t(`place.${place.id}`))),
  );
  const foot = h(
    "div",
    { class: "rail-foot" },
    h("a", { class: "place-link only-wide", href: "/api/docs" }, icon("api"), h("span", {}, t("app.api"))),
    h("button", { class: "place-link only-wide", type: "button", onclick: toggleHelp, "aria-keyshortcuts": "?" }, icon("keys"), h("span", {}, t("app.keys"))),
  );
  const brand = h("a", { class: "brand", href: "/", "aria-label": t("app.name") }, h("img", { src: "/static/icon.svg", alt: "", width: 28, height: 28 }), h("span", {}, t("app.name")));
  document.getElementById("rail").append(h("nav", { "aria-label": t("app.places") }, brand, links, foot));
  document.body.prepend(h("a", { class: "skip button", href: "#main" }, t("app.skip")));
  onPlace((place) => {
    for (const link of links) {
      const current = link.dataset.place === (place.under ?? place.id);
      if (current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  });
}

function watchConnection() {
  const banner = document.getElementById("banner");
  connection.addEventListener("offline", () => {
    banner.replaceChildren(h("p", {}, t("offline")));
    banner.classList.add("on");
  });
  connection.addEventListener("online", () => {
    banner.classList.remove("on");
    banner.replaceChildren();
    announce(t("online"));
  });
}

/** What shows rules that fire loads only where it is wanted: now, or when another page switches it on. */
function watchAlerts() {
  const follow = () => import("./parts/alerts.js").then((alerts) => alerts.follow(), () => undefined);
  const look = () => localStorage.getItem("sightline.alerts") && follow();
  addEventListener("storage", (event) => event.key === "sightline.alerts" && follow());
  connection.addEventListener("online", look);
  look();
}

function bindGlobalKeys() {
  const search = () => {
    const field = document.querySelector("input[type=search]");
    if (field) field.focus();
    else go("/history", { handoff: { search: true } });
  };
  bindKeys(
    "keys.everywhere",
    { u: choose, "/": search, "?": toggleHelp, h: () => go("/history"), o: () => go("/models"), v: () => go("/"), c: () => go("/camera"), j: () => go("/jobs") },
    [
      [["u"], "key.upload"],
      [["/"], "key.search"],
      [["v"], "key.look"],
      [["c"], "key.camera"],
      [["j"], "key.jobs"],
      [["h"], "key.history"],
      [["o"], "key.models"],
      [["?"], "key.help"],
    ],
  );
}

buildRail();
watchConnection();
startKeys();
bindGlobalKeys();
watchDrops();
watchAlerts();
// Boxes drawn before the palette is known would change colour, so every place waits for it; it is tiny.
start(document.getElementById("main"), loadPalette().catch(() => undefined));
