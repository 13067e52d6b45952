// Reads the embedded reports, and shows the overview and the findings; treemap.js and graph.js add their sections.
"use strict";

const DATA = JSON.parse(document.getElementById("data").textContent);
const SEVERITIES = ["error", "warning", "note"];
const show = []; // functions of a report, each drawing one section

const number = (value) => value.toLocaleString("en-US");
const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "±") + number(Math.abs(value));
const human = (bytes) =>
  Math.abs(bytes) < 1000 ? `${bytes} B` : d3.format(".3s")(bytes).replace("G", " G").replace("M", " M").replace("k", " k") + "B";
const baseName = (path) => path.slice(path.lastIndexOf("/") + 1) || path;

// Makes an element; text only ever becomes a text node, whatever it holds.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

function table(headers, rows) {
  const marks = { "#": "number", "=": "word" }; // the first character of a header says how its column is set
  const cell = (tag, value, at) => make(tag, { class: marks[headers[at][0]] ?? null }, value);
  return make("table", {},
    make("thead", {}, make("tr", {}, ...headers.map((header, at) => cell("th", header.replace(/^[#=]/, ""), at)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((value, at) => cell("td", value, at))))));
}

function choose(group, attribute, value) {
  for (const button of group.querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(button.dataset[attribute] === value));
}

function card(title, ...content) {
  return make("div", { class: "card" }, make("h2", {}, title), ...content);
}

// Overview

function verdict(report) {
  const bad = report.exit_status !== 0;
  const counts = SEVERITIES.map((word) => [report.summary[`${word}s`], word]).filter(([count]) => count)
    .map(([count, word]) => `${count} ${word}${count === 1 ? "" : "s"}`).join(", ");
  return make("div", { class: `card verdict${bad ? " bad" : ""}` },
    make("strong", {}, bad ? "Not good" : "Good"), ` — ${counts || "no findings"}`,
    report.waived.length ? `, ${number(report.waived.length)} more waived by audit.toml` : "",
    make("p", {}, `${report.target.form} `, make("code", {}, report.target.name),
      ...(report.runtime ? [" on ", make("code", {}, report.runtime), ` at ${report.target.at}`] : [])));
}

function facts(report) {
  const { summary } = report;
  const rows = [
    ["files", number(summary.files)], ["native files", number(summary.elf_files)],
    ["bytes", number(summary.bytes)],
    ["compressed", summary.compressed_bytes === null ? null : number(summary.compressed_bytes)],
    ["archive", summary.archive_bytes === null ? null : number(summary.archive_bytes)],
    ["architecture", report.architecture],
  ].filter(([, value]) => value !== null && value !== undefined);
  return make("div", { class: "card" },
    make("dl", { class: "facts" }, ...rows.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))));
}

function budget(one) {
  const share = one.limit ? one.used / one.limit : Infinity;
  const fill = make("div");
  fill.style.width = `${Math.min(100, share * 100)}%`;
  const state = share > 1 ? " over" : share > 0.9 ? " near" : "";
  return make("div", { class: `budget${one.decides ? "" : " shown"}` },
    make("div", { class: "line" }, make("span", {}, one.label),
      make("span", {}, `${human(one.used)} of ${human(one.limit)}, ${one.percent ?? "∞"} %`)),
    make("div", { class: `meter${state}` }, fill),
    make("small", {}, `${number(Math.abs(one.left))} bytes ${one.left < 0 ? "over" : "left"} · ${one.reason}`
      + (one.decides ? "" : " · shown only")));
}

function cutPlan(plan) {
  let sum = 0;
  const rows = plan.steps.map((step) => [`${step.kind}: ${step.subject}`,
    `${step.why} (${step.tier}; ${number(step.files)} files such as ${step.paths[0] ?? "none"})`,
    number(step.bytes), number((sum += step.bytes)), number(step.left)]);
  const end = plan.fits ? "then it fits" : `then it is still ${number(plan.after - plan.limit)} bytes over`;
  return card("What to cut, in this order", make("p", { class: "quiet" },
    `${plan.budget}: ${number(plan.used)} of ${number(plan.limit)} bytes; ${end}.`),
    table(["what", "why it is safe", "#bytes", "#in all", "#left"], rows));
}

function changes(since) {
  const rows = (deltas) => deltas.slice(0, 30).map((delta) =>
    [delta.name, number(delta.before ?? 0), number(delta.now ?? 0), signed((delta.now ?? 0) - (delta.before ?? 0))]);
  const headers = (what) => [what, "#before", "#now", "#change"];
  const found = [...since.new.map((one) => ["new", one]), ...since.gone.map((one) => ["gone", one])]
    .map(([word, one]) => [word, one.severity, one.rule, one.subject, one.message]);
  const moved = since.relinked.map((one) => [one.file, one.needed, one.before ?? "not found", one.now ?? "not found"]);
  const parts = [
    since.sizes.length ? table(headers("bytes of"), rows(since.sizes)) : null,
    found.length ? table(["=", "=severity", "=rule", "where", "what"], found) : null,
    moved.length ? table(["file", "needs", "found before", "found now"], moved) : null,
    since.files.length ? table(headers("file"), rows(since.files)) : make("p", {}, "No file changed its size."),
  ];
  return card(`Since the baseline (${since.before})`, ...parts.filter(Boolean));
}

show.push((report) => {
  const packages = report.packages.slice(0, 12).map((one) =>
    [`${one.name} ${one.version}`.trim(), one.manager, number(one.files), number(one.bytes)]);
  const worst = report.findings.slice(0, 5).map((one) => finding(one));
  const layers = report.layers.filter((one) => one.bytes).map((one) =>
    [one.command.replace(/^\/bin\/sh -c (#\(nop\) +)?/, "").slice(0, 120) || one.name, number(one.bytes), number(one.lost_bytes)]);
  const columns = [
    report.budgets.length ? card("Budget", ...report.budgets.map(budget)) : null,
    worst.length ? card("Worst findings", ...worst) : null,
    card("Largest packages", table(["package", "=kind", "#files", "#bytes"], packages)),
    layers.length ? card("Layers", table(["made by", "#bytes", "#lost in later ones"], layers)) : null,
  ];
  document.getElementById("overview").replaceChildren(verdict(report), facts(report),
    ...(report.changes ? [changes(report.changes)] : []),
    make("div", { class: "columns" }, ...columns.filter(Boolean)), ...report.cut_plans.map(cutPlan));
});

// Findings

function finding(one) {
  const rule = DATA.rules[one.rule] ?? {};
  const rows = [["What it means", rule.means], ["Why it matters", rule.matters], ["Source", rule.source]];
  return make("details", { class: `finding ${one.severity}` },
    make("summary", {}, make("span", { class: `badge ${one.severity}` }, one.severity), make("b", {}, one.rule), " ",
      make("code", {}, one.subject), make("p", {}, one.message)),
    make("p", {}, make("b", {}, "To do: "), one.remedy),
    ...rows.filter(([, text]) => text).map(([name, text]) => make("p", { class: "quiet" }, `${name}: ${text}`)));
}

show.push((report) => {
  const filter = document.getElementById("finding-filter");
  const group = document.getElementById("severities");
  let severity = "all";
  const list = () => {
    const words = filter.value.toLowerCase();
    const found = report.findings.filter((one) => (severity === "all" || one.severity === severity)
      && `${one.rule} ${one.subject} ${one.message}`.toLowerCase().includes(words));
    document.getElementById("finding-list").replaceChildren(
      ...(found.length ? found.map(finding) : [make("p", { class: "quiet" }, "No findings.")]),
      ...(report.more_findings ? [make("p", {}, `… and ${number(report.more_findings)} more.`)] : []));
    choose(group, "severity", severity);
  };
  const counts = { all: report.findings.length };
  for (const word of SEVERITIES) counts[word] = report.summary[`${word}s`];
  group.replaceChildren(...Object.entries(counts).map(([word, count]) =>
    make("button", { "data-severity": word, onclick: () => { severity = word; list(); } }, `${word} ${number(count)}`)));
  filter.value = "";
  filter.oninput = list;
  document.querySelector('[data-tab="findings"] .count').textContent = counts.all ? number(counts.all) : "";
  list();
});

// Tabs and targets

function open(tab) {
  for (const button of document.querySelectorAll("[role=tab]"))
    button.setAttribute("aria-selected", String(button.dataset.tab === tab));
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== tab;
  document.dispatchEvent(new CustomEvent("shown", { detail: tab })); // what is drawn to size is drawn when it is seen
}

document.addEventListener("DOMContentLoaded", () => {
  const select = document.getElementById("target");
  DATA.reports.forEach((report, at) => select.append(make("option", { value: at }, report.target.name)));
  select.hidden = DATA.reports.length < 2;
  const load = () => {
    const report = DATA.reports[select.value];
    document.title = `${report.target.name}: under48 audit`;
    for (const draw of show) draw(report);
    open(document.querySelector('[role=tab][aria-selected="true"]')?.dataset.tab ?? "overview");
  };
  select.addEventListener("change", load);
  for (const button of document.querySelectorAll("[role=tab]")) button.addEventListener("click", () => open(button.dataset.tab));
  load();
});
