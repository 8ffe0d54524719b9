"use strict";
// What all scripts of the page share. Text from data enters the page as text alone: `el` makes no HTML of it.
const pivm = {
  waiting: new Map(),
  // called by the files in data/
  put(name, value) {
    if (name === "page") pivm.show(value);
    else pivm.waiting.get(name)?.(value);
  },
  // A value of data/<name>.js, read when it is asked for: a page on a disk may run scripts, but fetch nothing.
  load(name) {
    return new Promise((resolve, reject) => {
      pivm.waiting.set(name, resolve);
      const script = el("script", { src: `data/${name}.js` });
      script.onerror = () => reject(new Error(`data/${name}.js cannot be read`));
      script.onload = () => script.remove();
      document.head.append(script);
    });
  },
};

/** An element. Attributes that start with "on" are listeners; children are elements or texts, null is left out. */
function el(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "line", "path", "circle", "rect", "text", "title"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

const words = (name) => name.replaceAll("_", " ");
const number = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));

/** What a section lacks, or null where it lacks nothing. */
function lacks(part) {
  return part && part.missing ? el("p", { class: "missing" }, part.missing) : null;
}

function select(label, options, change) {
  const box = el("select", { onchange: () => change(box.value) }, options.map(([value, text]) => el("option", { value }, text)));
  return [el("label", {}, label, box), box];
}

function table(head, rows, caption) {
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption || head.join(", ") },
    el("table", {},
      caption ? el("caption", {}, caption) : null,
      el("thead", {}, el("tr", {}, head.map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, rows)));
}

/** Rows in pages, so that a thousand patients are as quick as ten. `row` makes the element of one. */
function paged(head, items, row, caption, size = 20) {
  const place = el("div"), said = el("span", { class: "soft", "aria-live": "polite" });
  let start = 0;
  const move = (by) => { start = Math.max(0, Math.min(start + by, items.length - 1)); draw(); };
  const before = el("button", { type: "button", onclick: () => move(-size) }, "Previous");
  const after = el("button", { type: "button", onclick: () => move(size) }, "Next");
  function draw() {
    place.replaceChildren(table(head, items.slice(start, start + size).map(row), caption));
    said.textContent = `${Math.min(start + 1, items.length)}–${Math.min(start + size, items.length)} of ${items.length}`;
    before.disabled = start === 0;
    after.disabled = start + size >= items.length;
  }
  draw();
  return el("div", {}, place, items.length > size ? el("div", { class: "controls" }, before, after, said) : null);
}

function figure(page, name) {
  if (!page.figures[name]) return null;
  const alt = page.figures[name];
  return el("figure", {},
    el("a", { href: `figures/${name}.png`, "aria-label": `${alt}; opens the picture at full size` },
      el("img", { src: `figures/${name}.png`, alt, loading: "lazy" })),
    el("figcaption", {}, `${alt}.`));
}

function legend(colours, names) {
  return el("ul", { class: "legend" }, names.filter((name) => colours[name]).map((name) => {
    const swatch = el("span");
    swatch.style.background = colours[name];
    return el("li", {}, swatch, words(name));
  }));
}
