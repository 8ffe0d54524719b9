"use strict";
// Two volumes side by side in NiiVue, linked; without NiiVue, or without WebGL 2, pictures and a notice.
const WINDOWS = { "soft tissue": [-160, 240], bone: [-450, 1050], lung: [-1350, 150], "as wide as it gets": [-1024, 1500] };

function volumes(page, put) {
  const part = page.volumes;
  if (lacks(part)) { put("volumes", lacks(part), figure(page, "fig5")); return; }
  const webgl = document.createElement("canvas").getContext("webgl2") !== null;
  if (!page.viewer || !webgl) {
    put("volumes", el("p", { class: "missing" }, webgl
      ? "The viewer of volumes, NiiVue, was not installed when this page was made: pictures are shown in its place."
      : "This browser shows no WebGL 2, which the viewer of volumes needs: pictures are shown in its place."), figure(page, "fig5"));
    return;
  }
  const start = el("button", { type: "button", onclick: () => { start.replaceWith(el("p", { class: "soft" }, "Reading the viewer …")); open(); } }, "Show the volumes");
  put("volumes", el("p", {}, `Volumes of ${part.subjects.map((one) => one.name).join(", ")}, made from their label maps. Linked: a click, the wheel or the slider moves both.`),
    part.faults.map((text) => el("p", { class: "missing" }, text)), el("div", { id: "viewer" }, start));
  // nothing is read before the section comes into view, so that the page opens at once
  const watch = new IntersectionObserver((seen) => {
    if (seen.some((one) => one.isIntersecting)) { watch.disconnect(); start.click(); }
  });
  watch.observe(document.getElementById("volumes"));
  function open() {
    const script = el("script", { src: "niivue.js" }), place = document.getElementById("viewer");
    script.onerror = () => place.replaceChildren(el("p", { class: "missing" }, "niivue.js cannot be read."), figure(page, "fig5") ?? "");
    script.onload = () => viewer(page, place).catch((error) =>
      place.replaceChildren(el("p", { class: "missing" }, `The viewer could not start: ${error.message}`), figure(page, "fig5") ?? ""));
    document.head.append(script);
  }
}

async function viewer(page, place) {
  const part = page.volumes, state = { subject: 0, sides: [0, 1], window: "soft tissue", opacity: 0.35 };
  const status = el("p", { class: "soft", role: "status" });
  const sides = [0, 1].map((i) => {
    const canvas = el("canvas", { tabindex: 0, role: "img" });
    const [label, box] = select(i ? "Right" : "Left", [], (value) => { state.sides[i] = Number(value); load([i]); });
    return { canvas, label, box, element: el("div", {}, el("div", { class: "controls" }, label), el("div", { class: "view" }, canvas)) };
  });
  const [subjectLabel] = select("Patient", part.subjects.map((one, i) => [i, one.name]), (value) => { state.subject = Number(value); fill(); load([0, 1]); });
  const [windowLabel] = select("Window", Object.keys(WINDOWS).map((name) => [name, `${name} (${WINDOWS[name].join(" to ")} HU)`]), (value) => { state.window = value; contrast(); });
  const [viewLabel] = select("View", [["3", "three planes"], ["0", "axial"], ["1", "coronal"], ["2", "sagittal"]], (value) => each((nv) => nv.setSliceType(Number(value))));
  const opacity = el("input", { type: "range", min: 0, max: 1, step: 0.05, value: state.opacity, oninput: () => { state.opacity = Number(opacity.value); each((nv) => nv.setOpacity(1, state.opacity)); } });
  const slice = el("input", { type: "range", min: 0, max: 1, step: 0.005, value: 0.5, oninput: () => each((nv) => {
    nv.scene.crosshairPos = [nv.scene.crosshairPos[0], nv.scene.crosshairPos[1], Number(slice.value)];
    nv.drawScene();
  }) });
  const controls = el("div", { class: "controls" }, subjectLabel, windowLabel, viewLabel,
    el("label", {}, "Height of the axial slice", slice), el("label", {}, "Strength of the labels", opacity));
  place.replaceChildren(controls, el("div", { class: "pair" }, sides.map((side) => side.element)), status,
    el("p", { class: "note" }, "The patient's right is on the left. A generator draws what its labels say; what has no label (fat, vessels, unlabelled bowel) is its own invention and differs from the original."),
    legend(page.colours, part.names.slice(1)));
  for (const side of sides) {
    side.nv = new niivue.Niivue({ isRadiologicalConvention: true, isOrientationTextVisible: true, backColor: [0, 0, 0, 1], show3Dcrosshair: false,
      multiplanarShowRender: 0, crosshairWidth: 0.6, crosshairColor: [1, 0.85, 0, 0.7], fontMinPx: 15, fontColor: [1, 1, 1, 1], dragAndDropEnabled: false, loadingText: "" });
    await side.nv.attachToCanvas(side.canvas);
    side.nv.setSliceType(3);
  }
  sides[0].nv.broadcastTo([sides[1].nv], { "2d": true });
  sides[1].nv.broadcastTo([sides[0].nv], { "2d": true });
  sides[0].nv.onLocationChange = (where) => { slice.value = sides[0].nv.scene.crosshairPos[2]; told(where); };
  const each = (change) => sides.forEach((side) => { if (side.nv.volumes.length) change(side.nv); });
  function told(where) {
    const values = sides.map((side) => side.nv.volumes[0] && side.box.selectedOptions[0] && where.vox
      ? `${side.box.selectedOptions[0].textContent} ${Math.round(side.nv.volumes[0].getValue(...where.vox))} HU` : "");
    const organ = sides[0].nv.volumes[1] && where.vox ? part.names[sides[0].nv.volumes[1].getValue(...where.vox)] : "";
    status.textContent = `${values.filter(Boolean).join(", ")}${organ ? `; ${words(organ)}` : ""}`;
  }
  function fill() {
    const all = part.subjects[state.subject].volumes, kept = all.findIndex((one) => one.title === page.shown);
    state.sides = [0, kept > 0 ? kept : Math.min(1, all.length - 1)];
    sides.forEach((side, i) => side.box.replaceChildren(...all.map((one, n) => el("option", { value: n, selected: n === state.sides[i] }, one.title))));
  }
  const files = new Map();
  async function read(name) {
    if (!files.has(name)) files.set(name, await pivm.load(name));
    return files.get(name);
  }
  function contrast() {
    const [low, high] = WINDOWS[state.window];
    each((nv) => { nv.volumes[0].cal_min = low; nv.volumes[0].cal_max = high; nv.updateGLVolume(); });
  }
  let turn = 0;
  async function load(which) {
    const one = part.subjects[state.subject], mine = ++turn;
    place.setAttribute("aria-busy", "true");
    status.textContent = "Reading …";
    for (const i of which) {
      const side = sides[i], volume = one.volumes[state.sides[i]];
      const [ct, labels] = [await read(volume.file), await read(one.labels)];
      if (mine !== turn) return;
      const kept = side.nv.volumes.length ? [...side.nv.scene.crosshairPos] : null;
      while (side.nv.volumes.length) side.nv.removeVolume(side.nv.volumes[0]);
      const [low, high] = WINDOWS[state.window];
      const grey = await niivue.NVImage.loadFromBase64({ base64: ct, name: "ct.nii.gz", colormap: "gray", cal_min: low, cal_max: high });
      const overlay = await niivue.NVImage.loadFromBase64({ base64: labels, name: "labels.nii.gz", opacity: state.opacity });
      const [R, G, B] = [0, 1, 2].map((channel) => part.labels.map((colour) => colour[channel]));
      overlay.setColormapLabel({ R, G, B, A: part.labels.map((_, id) => (id ? 255 : 0)), I: part.labels.map((_, id) => id), labels: part.names });
      if (mine !== turn) return;
      side.nv.addVolume(grey);
      side.nv.addVolume(overlay);
      side.nv.setOpacity(1, state.opacity);
      if (kept) side.nv.scene.crosshairPos = kept;
      side.nv.updateGLVolume();
      side.canvas.setAttribute("aria-label", `${volume.title} of ${one.name}, in three planes`);
    }
    status.textContent = `Voxels of ${one.spacing.map((side) => side.toFixed(1)).join(" × ")} mm${one.averaged ? ", averaged over blocks for this page" : ""}.`
      + (lacks(page.gallery) ? "" : ` Synthetic CTs are made at ${page.gallery.size} × ${page.gallery.size} pixels a slice and brought to this grid.`);
    place.setAttribute("aria-busy", "false");
  }
  fill();
  await load([0, 1]);
  pivm.viewers = sides.map((side) => side.nv);
}
