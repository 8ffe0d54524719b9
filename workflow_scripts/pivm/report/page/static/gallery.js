"use strict";
/** Slices of test patients; all pictures of a slice are zoomed and moved together. */
function gallery(page) {
  const part = page.gallery, size = part.size, view = { scale: 1, x: 0, y: 0 };
  let image = null, chosen = 0;
  const strip = (i) => { const made = new Image(); made.src = `slices/${i}.png`; return made; };
  const said = el("p", { "aria-live": "polite" }), organs = el("div");
  const canvases = part.tiles.map((title) => {
    const canvas = el("canvas", { width: 256, height: 256, role: "img", tabindex: 0, "aria-label": title });
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(event.deltaY < 0 ? 1.25 : 0.8, at(event)); }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) move(-event.movementX / canvas.clientWidth, -event.movementY / canvas.clientHeight);
    });
    canvas.addEventListener("keydown", key);
    return canvas;
  });
  const captions = part.tiles.map((title) => el("figcaption", {}, title));
  const at = (event) => [event.offsetX / event.target.clientWidth, event.offsetY / event.target.clientHeight];

  function clamp() {
    view.scale = Math.max(1, Math.min(view.scale, 8));
    const side = 1 / view.scale;
    view.x = Math.max(0, Math.min(view.x, 1 - side));
    view.y = Math.max(0, Math.min(view.y, 1 - side));
  }
  function zoom(factor, [px, py] = [0.5, 0.5]) {
    const [cx, cy] = [view.x + px / view.scale, view.y + py / view.scale];
    view.scale = Math.max(1, Math.min(view.scale * factor, 8));
    view.x = cx - px / view.scale;
    view.y = cy - py / view.scale;
    draw();
  }
  function move(dx, dy) { view.x += dx / view.scale; view.y += dy / view.scale; draw(); }
  function key(event) {
    const moves = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    if (event.key === "+" || event.key === "=") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else if (moves[event.key]) move(...moves[event.key]);
    else return;
    event.preventDefault();
  }
  function draw() {
    clamp();
    if (!image || !image.complete || !image.naturalWidth) return;
    canvases.forEach((canvas, i) => {
      const pen = canvas.getContext("2d");
      pen.imageSmoothingEnabled = false;
      pen.drawImage(image, (i + view.x) * size, view.y * size, size / view.scale, size / view.scale, 0, 0, 256, 256);
    });
  }
  function show(i) {
    chosen = i;
    const slice = part.slices[i];
    image = strip(i);
    image.onload = draw;
    image.onerror = () => { said.textContent = `slices/${i}.png cannot be read`; };
    thumbs.forEach((thumb, n) => thumb.setAttribute("aria-pressed", String(n === i)));
    said.textContent = `Patient ${slice.patient}, slice ${slice.z}; ${size} × ${size} pixels of ${slice.mm.toFixed(1)} mm. `
      + `Window ${part.window[0]} to ${part.window[1]} HU, variation ±${part.variation} HU. The patient's right is on the left, anterior is up.`;
    captions.forEach((caption, n) => {
      const dice = slice.dice[part.tiles[n]];
      caption.textContent = part.tiles[n] + (dice === undefined || dice === null ? "" : `, agreement ${dice.toFixed(2)}`);
    });
    organs.replaceChildren(legend(page.colours, slice.organs));
  }
  const thumbs = part.slices.map((slice, i) => {
    const small = el("canvas", { width: 96, height: 96, "aria-hidden": "true" });
    const scored = part.scored ? slice.dice[part.scored] : null, n = Math.max(part.tiles.indexOf(part.scored), 2);
    const made = strip(i);
    made.onload = () => small.getContext("2d").drawImage(made, n * size, 0, size, size, 0, 0, 96, 96);
    const [text, what] = scored === null || scored === undefined ? [`slice ${slice.z}`, ""] : [scored.toFixed(2), `, slice ${slice.z}`];
    // begins with what is seen, so that who speaks to the browser can say it
    return el("button", { type: "button", onclick: () => show(i), "aria-label": `${text}${what} of patient ${slice.patient}` }, small, text);
  });
  const step = (by) => show((chosen + by + part.slices.length) % part.slices.length);
  show(0);
  return [
    el("p", {}, part.scored
      ? `Agreement: Dice between the label map that a slice was made from and what segmenters of original slices see in it; the slices stand from the worst to the best of ${part.scored}.`
      : "The agreement of slices and label maps was not scored; the slices are spread evenly over the test patients."),
    el("div", { class: "thumbs" }, thumbs),
    el("div", { class: "controls" },
      el("button", { type: "button", onclick: () => step(-1) }, "Previous slice"),
      el("button", { type: "button", onclick: () => step(1) }, "Next slice"),
      el("button", { type: "button", onclick: () => zoom(1.5) }, "Zoom in"),
      el("button", { type: "button", onclick: () => zoom(1 / 1.5) }, "Zoom out"),
      el("span", { class: "soft" }, "Wheel or + and −, drag or arrow keys: all pictures move together.")),
    el("div", { class: "tiles" }, canvases.map((canvas, i) => el("figure", {}, canvas, captions[i]))),
    said, organs,
  ];
}
