/** Which model looks: one line that opens into a list of choices, in the page and not over it. */

import { listModels } from "../api.js";
import { h, icon } from "../dom.js";
import { chooseModel, chooseSize, chosenSize, currentModel, factsOf, sizeWords, titleOf } from "../models-data.js";
import { t } from "../strings.js";
import { problemBox } from "./problem.js";

/**
 * @param {(model: object) => void} onchange called once with the model in use, then at each choice of a model or its size
 */
export function modelPicker(onchange) {
  const name = h("span", { class: "picker-name" }, "…");
  const facts = h("span", { class: "picker-facts small soft" }, "\u00a0");
  const choices = h("fieldset", { class: "picker-choices", hidden: true }, h("legend", { class: "unseen" }, t("model.pick")));
  const line = h(
    "button",
    { class: "picker-line", type: "button", "aria-expanded": "false", title: t("model.change") },
    icon("models"),
    h("span", { class: "picker-text" }, h("span", { class: "picker-with" }, h("span", { class: "picker-prefix" }, `${t("model.with")} `), name), facts),
    icon("right"),
  );
  line.addEventListener("click", () => {
    choices.hidden = !choices.hidden;
    line.setAttribute("aria-expanded", String(!choices.hidden));
    if (!choices.hidden) choices.querySelector("input:checked")?.focus();
  });
  const sizes = h("div", { class: "picker-sizes", hidden: true });
  const root = h("div", { class: "picker loading" }, h("div", { class: "picker-row" }, line, sizes), choices);
  const use = (model) => {
    root.classList.remove("loading");
    name.textContent = titleOf(model);
    facts.textContent = [t(`model.task.${model.task}`), ...factsOf(model)].join(" · ");
    sizes.hidden = !chosenSize(model);
    sizes.replaceChildren(...(sizes.hidden ? [] : sizeChoice(model, () => onchange(model))));
    onchange(model);
  };
  const load = () =>
    listModels().then(
      (models) => {
        const current = currentModel(models);
        choices.append(...models.map((model) => choice(model, model === current, () => {
          chooseModel(model.name);
          use(model);
        })));
        if (current) use(current);
        else root.replaceChildren(h("p", { class: "soft" }, `${t("models.empty")}. ${t("models.empty.text")}`));
      },
      (problem) => root.replaceChildren(problemBox(problem, { again: () => root.replaceWith(modelPicker(onchange)) })),
    );
  load();
  return root;
}

/** Models with several sizes trade time for small things; the others show nothing here. */
function sizeChoice(model, onpick) {
  const chosen = chosenSize(model);
  const options = model.sizes.map((size) => h("option", { value: size, selected: size === chosen }, sizeWords(model, size)));
  const select = h("select", { class: "field", id: "model-size", title: t("model.size.hint") }, options);
  select.addEventListener("change", () => {
    chooseSize(model, Number(select.value));
    onpick();
  });
  return [h("label", { for: "model-size", class: "small soft" }, t("model.size")), select];
}

function choice(model, checked, onpick) {
  const input = h("input", { type: "radio", name: "model", value: model.name, checked });
  input.addEventListener("change", onpick);
  return h(
    "label",
    { class: "picker-choice" },
    input,
    h(
      "span",
      {},
      h("strong", {}, titleOf(model)),
      h("span", { class: "small soft" }, t(`model.${model.task}`)),
      h("span", { class: "small soft numbers" }, factsOf(model).join(" · ")),
    ),
  );
}
