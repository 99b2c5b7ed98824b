/** An address where nothing lives. */

import { h, icon } from "../dom.js";
import { t } from "../strings.js";

export function open(root) {
  document.title = `${t("lost.title")} · ${t("app.name")}`;
  root.append(h("div", { class: "empty" }, icon("eye"), h("h1", { tabindex: "-1" }, t("lost.title")), h("p", {}, t("lost.text")), h("a", { class: "button main-action", href: "/" }, t("lost.action"))));
}
