"use strict";
// Fills the sections of the page from data/page.js.
pivm.show = (page) => {
  const put = (id, ...parts) => document.getElementById(id).append(...parts.flat(Infinity).filter(Boolean));
  document.title = `PIVM: ${page.dataset}`;
  about(page, put);
  verdict(page, put);
  evidence(page, put);
  put("slices", lacks(page.gallery) ?? gallery(page));
  volumes(page, put);
  put("tables", ["table3", "table2", "label_agreement", "table1"].map((name) => tableSection(page, name)));
  organs(page, put);
  put("patients", lacks(page.patients) ?? patients(page.patients));
  data(page, put);
  put("training", lacks(page.training) ?? training(page.training));
  privacy(page, put);
  provenance(page, put);
};

function about(page, put) {
  const kind = page.procedural ? "Every scan is a procedural phantom, made by a program: no patient is shown here." : "";
  document.getElementById("about").append(`Data set ${page.dataset}. ${kind}`);
}

function verdict(page, put) {
  put("verdict", lacks(page.verdict) ?? [
    el("p", { class: `verdict ${page.verdict.says}` }, page.verdict.text),
    page.verdict.alone ? el("p", {}, page.verdict.alone) : null,
  ]);
  const facts = [], made = page.provenance;
  if (!lacks(page.cohort)) for (const [part, count] of page.cohort.split) {
    facts.push([String(count), { train: "training patients", val: "validation patients", test: "test patients", labels_only: "patients with labels and no CT" }[part]]);
  }
  if (!lacks(page.table2)) facts.push([String(page.table2.columns.length), `generators: ${page.table2.columns.join(", ")}`]);
  if (!lacks(made)) facts.push([made.date.slice(0, 10), `made; last call took ${made.duration}`]);
  put("verdict", el("div", { class: "cards" }, facts.map(([value, text]) => el("div", {}, el("b", {}, value), text))));
}

function evidence(page, put) {
  if (page.evidence === null) { document.querySelectorAll("#evidence, nav a[href='#evidence']").forEach((one) => one.remove()); return; }
  put("evidence", target(page, "evidence"));
}

function privacy(page, put) {
  put("privacy", page.privacy === null
    ? el("p", { class: "missing" }, "Not audited. The target privacy compares every synthetic slice with those of the training patients: snakemake privacy --cores all --resources gpu=1")
    : target(page, "privacy"));
}

function target(page, name) {
  const part = page[name];
  return lacks(part) ?? [part.notes.map((text) => el("p", {}, text)), figure(page, name), el("p", { class: "note" }, part.caption)];
}

function tableSection(page, name) {
  const titles = { table1: "Table 1: images", table2: "Table 2: segmenters of synthetic slices alone", table3: "Table 3: original, generated and combined", label_agreement: "Label agreement: segmenters of original slices on synthetic ones" };
  const part = page[name], heading = el("h3", {}, titles[name]);
  if (lacks(part)) return [heading, lacks(part)];
  const rows = part.rows.flatMap((row) => [el("tr", { class: row.differences ? "above" : "" },
    el("th", { scope: "row", class: "text" }, row.title, " ",
      el("span", { title: `${row.better} is better`, role: "img", "aria-label": `${row.better} is better` }, row.better === "lower" ? "↓" : "↑")),
    row.cells.map((cell) => cell === null ? el("td", {}, "–") : el("td", { class: cell.best ? "best" : "" },
      cell.best ? el("b", {}, cell.mean) : cell.mean, el("span", { class: "interval" }, cell.interval)))),
    row.differences && el("tr", { class: "difference" }, el("th", { scope: "row", class: "text" }, row.differences.title),
      row.differences.cells.map((text) => el("td", {}, text)))].filter(Boolean));
  return [heading, table(["Score", ...part.columns], rows, part.caption),
    el("details", {}, el("summary", {}, "Every pair of columns, and what the numbers do not say"), part.notes.map((text) => el("p", {}, text))),
    el("details", {}, el("summary", {}, "Patients behind the means"), figure(page, name) ?? el("p", {}, "No figure."))];
}

function organs(page, put) {
  const place = el("div"), parts = page.organs;
  const known = Object.keys(parts).filter((name) => !lacks(parts[name]));
  if (!known.length) { put("organs", Object.values(parts).map(lacks)); return; }
  const names = { table3: "original, generated, combined", table2: "synthetic slices of each generator", label_agreement: "original slices, shown synthetic ones" };
  const state = { table: known[0], metric: 0, organ: null };
  const [organLabel, organBox] = select("Organ", [], (value) => { state.organ = value; draw(); });
  const [metricLabel, metricBox] = select("Score", [], (value) => { state.metric = Number(value); fill(); });
  const [tableLabel] = select("Segmenters of", known.map((name) => [name, names[name]]), (value) => { state.table = value; state.metric = 0; fill(); });
  function fill() {
    const part = parts[state.table], all = Object.keys(part.metrics[state.metric].organs);
    metricBox.replaceChildren(...part.metrics.map((metric, i) => el("option", { value: i, selected: i === state.metric }, metric.title)));
    if (!all.includes(state.organ)) state.organ = all.includes("liver") ? "liver" : all[0];
    organBox.replaceChildren(...all.map((organ) => el("option", { value: organ, selected: organ === state.organ },
      words(organ) + (part.small.includes(organ) ? " (small)" : ""))));
    draw();
  }
  function draw() {
    const part = parts[state.table], metric = part.metrics[state.metric];
    place.replaceChildren(el("h3", {}, words(state.organ)), dots(words(state.organ), part.methods, metric.organs[state.organ], metric, page.methods));
  }
  fill();
  put("organs", el("div", { class: "controls" }, organLabel, metricLabel, tableLabel), place,
    el("p", { class: "note" }, `Mean over the held-out patients, with its ${100 * page.level} % interval.`),
    known.map((name) => el("details", {}, el("summary", {}, `All organs: ${names[name]}`), figure(page, `${name}_organs`) ?? el("p", {}, "No figure."))),
    el("details", {}, el("summary", {}, "HU of every organ"), figure(page, "hu_fidelity") ?? el("p", {}, "No figure.")));
}

function patients(part) {
  const details = el("div", { "aria-live": "polite" }), head = ["Patient", ...part.columns, part.image];
  async function open(index) {
    const [name] = part.rows[index], chunk = Math.floor(index / part.chunk);
    details.replaceChildren(el("p", {}, `Reading the organs of ${name} …`));
    try {
      const organs = (await pivm.load(`patients/${chunk}`))[index % part.chunk];
      details.replaceChildren(el("h3", { tabindex: -1 }, `Patient ${name}`), ...part.metrics.map((metric, m) => el("div", {},
        table(["Organ", ...part.columns], organs.map((row) => el("tr", {}, el("th", { scope: "row" }, words(row[0])),
          row[m + 1].map((value) => el("td", {}, number(value, metric.digits))))), `${metric.title} of patient ${name}`))));
      details.firstChild.focus();
    } catch (error) {
      details.replaceChildren(el("p", { class: "missing" }, error.message));
    }
  }
  const items = part.rows.map((row, index) => [row, index]);
  return [el("p", {}, "Mean Dice over organs, the lowest patients first. Choose a patient for his or her organs."),
    paged(head, items, ([row, index]) => el("tr", {},
      el("th", { scope: "row" }, el("button", { type: "button", onclick: () => open(index) }, row[0])),
      row.slice(1).map((value) => el("td", {}, number(value, 3)))), "Scores per patient", 10),
    details];
}

function data(page, put) {
  const part = page.cohort;
  if (lacks(part)) { put("data", lacks(part)); return; }
  put("data", el("p", {}, `${part.selected} of ${part.scans} scans are used. Split by person; source: ${part.source}.`),
    table(["Part", "Patients"], part.split.map(([name, count]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, String(count)))), "Split"),
    part.split.map(([name, , people]) => el("details", {}, el("summary", {}, `Patients of ${name}`), paged(["Patient"], people, (one) => el("tr", {}, el("td", {}, one)), name, 50))),
    part.aside.length
      ? [el("h3", {}, "Set aside, and why"), paged(["Scan", "State", "Reason"], part.aside, (row) => el("tr", {}, row.map((text) => el("td", { class: "text wrap" }, text))), "Scans that are not used")]
      : el("p", {}, "No scan was set aside."),
    figure(page, "cohort"));
}

function training(items) {
  const place = el("div"), draw = (i) => place.replaceChildren(curve(items[i]));
  const [label] = select("Training", items.map((item, i) => [i, item.name]), (value) => draw(Number(value)));
  draw(0);
  return [el("div", { class: "controls" }, label), place];
}

function provenance(page, put) {
  const part = page.provenance;
  if (lacks(part)) { put("provenance", lacks(part)); put("cite", lacks(part)); return; }
  const rows = part.rows.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "text wrap" }, value)));
  put("provenance", table(["Fact", "Value"], rows, "What made this run"),
    el("p", {}, el("a", { href: "manifest.json" }, "manifest.json"), " holds all of it."),
    el("details", {}, el("summary", {}, "Models: code and versions that made them"),
      table(["Model", "Code", "Training took", "torch"], part.models.map((row) => el("tr", {}, row.map((text) => el("td", { class: "text" }, text)))), "Models")),
    el("details", {}, el("summary", {}, "Config of the run"), el("pre", { tabindex: 0 }, part.config)));
  put("cite", part.cite.map((text) => el("blockquote", {}, text)));
}
