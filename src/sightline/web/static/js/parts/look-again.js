/** The same picture through another model. */

import { fetchPicture, listModels, resultPath } from "../api.js";
import { h } from "../dom.js";
import { titleOf } from "../models-data.js";
import { go } from "../router.js";
import { t } from "../strings.js";

/** A choice of the other models; empty where there is no other. */
export function lookAgain(result, onproblem) {
  const root = h("div", { class: "look-again" });
  const look = async (model) => {
    try {
      const bytes = await fetchPicture(`${resultPath(result.id)}/image`);
      go("/", { handoff: { files: [new File([bytes], result.source, { type: bytes.type })], model } });
    } catch (problem) {
      onproblem(problem);
    }
  };
  listModels().then(
    (models) => {
      const others = models.filter((model) => model.name !== result.model.name);
      if (!others.length) return;
      const choice = h("select", { class: "field", id: "look-again" }, h("option", { value: "" }, t("result.again.choose")), others.map((model) => h("option", { value: model.name }, titleOf(model))));
      choice.addEventListener("change", () => {
        const model = others.find((other) => other.name === choice.value);
        if (model) look(model);
      });
      root.append(h("label", { for: "look-again", class: "soft" }, t("result.again")), choice);
    },
    () => undefined,
  );
  return root;
}
