/** The same picture through another model, or at another size of the same one. */

import { fetchPicture, listModels, resultPath } from "../api.js";
import { h } from "../dom.js";
import { sizeWords, titleOf } from "../models-data.js";
import { go } from "../router.js";
import { t } from "../strings.js";

/** A choice of the other models and sizes; empty where there is no other. */
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
      const others = models.flatMap((model) => ways(model, result));
      if (!others.length) return;
      const choice = h("select", { class: "field", id: "look-again" }, h("option", { value: "" }, result.seenAt ? t("result.again.either") : t("result.again.choose")), others.map(({ words }, at) => h("option", { value: at }, words)));
      choice.addEventListener("change", () => {
        if (choice.value) look(others[choice.value].model);
      });
      root.append(h("label", { for: "look-again", class: "soft" }, t("result.again")), choice);
    },
    () => undefined,
  );
  return root;
}

/** Another model looks as the visitor last chose for it; the same one only at a size that it has not looked at. */
function ways(model, result) {
  if (model.name !== result.model.name) return [{ model, words: titleOf(model) }];
  const sizes = result.seenAt ? model.sizes.filter((size) => size !== result.seenAt) : [];
  return sizes.map((size) => ({ model: { ...model, size }, words: t("result.again.size", { model: titleOf(model), size: sizeWords(model, size) }) }));
}
