/** Elements without HTML strings: text is always text, so nothing that a file is called can become markup. */

const SVG = "http://www.w3.org/2000/svg";
// A form that is reset goes back to what its fields began with, so a beginning is set as the default.
const BEGINNINGS = { value: "defaultValue", checked: "defaultChecked" };
const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "src", "htmlFor"]);

/** An HTML element: `h("p", {class: "soft", onclick: f}, "text", child)`; false and null are left out. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in BEGINNINGS && BEGINNINGS[name] in element) element[BEGINNINGS[name]] = value;
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const ICONS = {
  look: "M4 9V5h4M16 5h4v4M20 15v4h-4M8 19H4v-4M12 9a3 3 0 1 1 0 6a3 3 0 0 1 0-6",
  camera: "M3.5 7.5h4l1.5-2.5h6l1.5 2.5h4v11.5h-17zM12 9.7a3.4 3.4 0 1 1 0 6.8a3.4 3.4 0 0 1 0-6.8",
  flip: "M5 9.5A7.5 7.5 0 0 1 18.6 8M19 4v4.5h-4.5M19 14.5A7.5 7.5 0 0 1 5.4 16M5 20v-4.5h4.5",
  play: "M8 5.5v13l10.5-6.5z",
  stop: "M7 7h10v10H7z",
  bell: "M6.5 16.5V11a5.5 5.5 0 0 1 11 0v5.5l1.5 1.5H5zM10.5 20.5h3M12 3.5v2",
  shield: "M12 3.5l7 2.8v5.2c0 4.3-3 7.4-7 9c-4-1.6-7-4.7-7-9V6.3zM8.8 11.8l2.3 2.3l4.2-4.4",
  keep: "M6.5 4.5h11v15.5L12 16l-5.5 4z",
  jobs: "M9.5 6.5H20M9.5 12H20M9.5 17.5H20M3.8 6.5l1.3 1.3l2.3-2.5M3.8 12l1.3 1.3l2.3-2.5M4 17.5h2.6",
  folder: "M3.5 6.5h6l2 2.5h9v10.5h-17z",
  zip: "M5 3.5h9l5 5v12H5zM14 3.5v5h5M9 6h2M9 9h2M9 12h2M8.7 14.5h2.6v3H8.7z",
  again: "M19 12a7 7 0 1 1-2-5l2 2M19 4.5V9h-4.5",
  history: "M12 7.5V12l3 2M4.5 12a7.5 7.5 0 1 0 2.3-5.4L4.5 8.8M4.5 4.8v4h4",
  models: "M12 3.5l8 4.2v8.6l-8 4.2l-8-4.2V7.7zM4 7.7l8 4.3l8-4.3M12 12v8.5",
  api: "M8.5 7L4 12l4.5 5M15.5 7L20 12l-4.5 5",
  keys: "M3.5 6.5h17v11h-17zM7 10h.01M10.3 10h.01M13.7 10h.01M17 10h.01M8 14h8",
  upload: "M12 15.5V4.5M7.5 9L12 4.5L16.5 9M4.5 15v4.5h15V15",
  download: "M12 4.5v11M7.5 11l4.5 4.5l4.5-4.5M4.5 15v4.5h15V15",
  copy: "M9 9h10.5v10.5H9zM15 9V4.5H4.5V15H9",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7M10.3 10.5v5.5M13.7 10.5v5.5",
  left: "M14.5 5.5L8 12l6.5 6.5",
  right: "M9.5 5.5L16 12l-6.5 6.5",
  plus: "M12 5.5v13M5.5 12h13",
  minus: "M5.5 12h13",
  fit: "M4.5 9V4.5H9M15 4.5h4.5V9M19.5 15v4.5H15M9 19.5H4.5V15",
  label: "M4.5 4.5h7.2l8 8l-7.2 7.2l-8-8zM8.3 8.3h.01",
  mask: "M12 4c5 0 7.5 2.8 7.5 7s-3 9-7.5 9s-7.5-3.6-7.5-8S7 4 12 4M8 15.5l8-8M8.5 19l10.5-10.5",
  eye: "M2.8 12S6 5.8 12 5.8S21.2 12 21.2 12S18 18.2 12 18.2S2.8 12 2.8 12M12 9.3a2.7 2.7 0 1 1 0 5.4a2.7 2.7 0 0 1 0-5.4",
  close: "M6 6l12 12M18 6L6 18",
  check: "M5 12.5l4.5 4.5L19 7.5",
  picture: "M3.5 5h17v14h-17zM3.5 16l5-5l4.5 4.5l2.5-2.5l5 5M15.5 9.3h.01",
  link: "M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 5.7 5.7l1-1",
};

/** One of our own line icons; decoration only, the control beside it carries the name. */
export function icon(name) {
  return s("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, s("path", { d: ICONS[name] }));
}

const styles = new Map();

/** A place's own style sheet, loaded when the place is first wanted; resolves also where it never arrives. */
export function style(name) {
  if (!styles.has(name)) {
    const link = h("link", { rel: "stylesheet", href: `/static/css/${name}.css` });
    styles.set(name, new Promise((resolve) => ["load", "error"].forEach((event) => link.addEventListener(event, resolve))));
    document.head.append(link);
  }
  return styles.get(name);
}

/** Says something to people who listen instead of looking. */
export function announce(text) {
  const live = document.getElementById("live");
  live.textContent = "";
  requestAnimationFrame(() => {
    live.textContent = text;
  });
}
