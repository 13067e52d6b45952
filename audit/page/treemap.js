// Draws where the bytes are: a treemap of four levels at a time, and the same as a list.
"use strict";

(() => {
  const KINDS = {
    native: "native code", python: "Python", model: "models and data", text: "text and scripts", other: "other",
  };
  const ENDINGS = [
    ["python", /\.(py|pyc|pyi|pyo)$/], ["model", /\.(tflite|h5|pb|bin|npy|npz|onnx|dat|json|csv|pickle)$/],
    ["text", /\.(txt|md|rst|html|h|hpp|c|cc|js|css|xml|sh|conf|pem|crt)$|\/(METADATA|RECORD|copyright|LICENSE[^/]*)$/],
  ];
  const LEVELS = 4;
  const state = { report: null, measure: "bytes", grouping: "folder", root: null, here: null };
  const svg = d3.select("#treemap");

  const kind = (path, native) => native ? "native" : ENDINGS.find(([, ending]) => ending.test(path))?.[0] ?? "other";

  // Rows of files to nested folders; a package's files hang below its name by their whole path.
  function nested(report) {
    const top = { name: "all files", children: new Map() };
    for (const [path, group, bytes, compressed, native] of report.files) {
      const parts = path.split("/").filter(Boolean);
      if (state.grouping === "package") parts.unshift(group || "(no package)");
      let folder = top;
      for (const part of parts.slice(0, -1)) {
        if (!folder.children.has(part)) folder.children.set(part, { name: part, children: new Map() });
        folder = folder.children.get(part);
        folder.children ??= new Map();
      }
      const name = parts.at(-1) ?? path;
      folder.children.set(folder.children.has(name) ? `${name} (file)` : name,
        { name, path, group, bytes, compressed: compressed ?? 0, kind: kind(path, native) });
    }
    return top;
  }

  // A folder that holds nothing but one folder is shown as one: usr/lib/python3.11.
  function joined(folder) {
    let node = folder;
    let name = node.name;
    while (node.children?.size === 1 && [...node.children.values()][0].children) {
      node = [...node.children.values()][0];
      name += `/${node.name}`;
    }
    return node.children ? { name, children: [...node.children.values()].map(joined) } : node;
  }

  function build() {
    const top = nested(state.report);
    state.root = d3.hierarchy({ name: top.name, children: [...top.children.values()].map(joined) })
      .sum((leaf) => leaf[state.measure] ?? 0).sort((a, b) => b.value - a.value);
    state.root.eachAfter((node) => { // the kind that takes most of a folder is its colour where its files are not drawn
      node.kinds = node.children ? d3.rollup(node.children.flatMap((child) => [...child.kinds]), (v) => d3.sum(v, (e) => e[1]), (e) => e[0])
        : new Map([[node.data.kind ?? "other", node.value]]);
    });
    state.here = state.root;
  }

  const fill = (node) => `fill-${d3.greatest(node.kinds, (entry) => entry[1])[0]}`;
  const framed = (node) => node.children && node.depth < LEVELS && node.y1 - node.y0 > 24;

  function go(node) {
    state.here = node;
    draw();
  }

  const where = (node) => node.ancestors().reverse().slice(1).map((one) => one.data.name).join("/");
  const share = (node) => d3.format(".1%")(state.root.value ? node.value / state.root.value : 0);

  function draw() {
    const { width, height } = svg.node().getBoundingClientRect();
    if (!width || !state.report) return;
    const here = state.here;
    const copy = here.copy();
    const original = new Map();
    const pairs = [[copy, here]];
    for (const [made, from] of pairs) { // grows while it is read
      original.set(made, from);
      (made.children ?? []).forEach((child, at) => pairs.push([child, from.children[at]]));
    }
    d3.treemap().size([width, height]).paddingOuter(2).paddingInner(1).round(true)
      .paddingTop((node) => node.depth === 0 ? 2 : node.depth < LEVELS && node.children ? 18 : 2)(copy);
    const drawn = copy.descendants().filter((node) =>
      node.depth > 0 && node.depth <= LEVELS && (node.x1 - node.x0) * (node.y1 - node.y0) > 8);
    const cell = svg.attr("viewBox", `0 0 ${width} ${height}`).selectAll("g").data(drawn).join("g")
      .attr("class", "cell").attr("transform", (node) => `translate(${node.x0},${node.y0})`);
    cell.selectAll("*").remove();
    cell.append("rect").attr("rx", 2)
      .attr("width", (node) => Math.max(0, node.x1 - node.x0)).attr("height", (node) => Math.max(0, node.y1 - node.y0))
      .attr("class", (node) => framed(node) ? "folder" : fill(original.get(node)))
      .on("click", (_, node) => go(original.get(node.children ? node : node.parent)))
      .on("mouseenter", (_, node) => hover(original.get(node)));
    cell.filter((node) => node.x1 - node.x0 > 48 && node.y1 - node.y0 > 15).append("text").attr("x", 5).attr("y", 13)
      .text((node) => fitted(`${node.data.name}  ${human(node.value)}`, node.x1 - node.x0 - 10));
    crumbs();
    children();
    document.getElementById("hovered").textContent = `${where(here) || "all files"}: ${number(here.value)} bytes, ${share(here)}`;
  }

  const fitted = (text, width) => {
    const most = Math.floor(width / 7);
    return text.length <= most ? text : most < 4 ? "" : `${text.slice(0, most - 1)}…`;
  };

  function hover(node) {
    const { path, group, bytes, compressed } = node.data;
    const both = path && state.report.summary.compressed_bytes !== null
      ? `${number(bytes)} bytes, ${number(compressed)} compressed` : `${number(node.value)} bytes`;
    document.getElementById("hovered").textContent =
      `${path ?? where(node)}: ${both}, ${share(node)}${group ? `, of ${group}` : ""}`;
  }

  function crumbs() {
    const way = state.here.ancestors().reverse();
    document.getElementById("crumbs").replaceChildren(...way.flatMap((node, at) => [
      at ? " / " : "", make("button", { class: "link", onclick: () => go(node) }, node.data.name)]));
  }

  function children() {
    const rows = (state.here.children ?? []).slice(0, 100).map((node) => [
      node.children ? make("button", { class: "link", onclick: () => go(node) }, `${node.data.name}/`) : node.data.name,
      number(node.value), share(node)]);
    document.getElementById("children").replaceChildren(table(["name", "#bytes", "#share"], rows));
  }

  function setting(id, name, changed) {
    const group = document.getElementById(id);
    for (const button of group.querySelectorAll("button"))
      button.addEventListener("click", () => { state[name] = button.dataset[name]; changed(); choose(group, name, state[name]); draw(); });
    choose(group, name, state[name]);
  }

  setting("measures", "measure", build);
  setting("groupings", "grouping", build);
  document.getElementById("legend").append(...Object.entries(KINDS).map(([name, words]) =>
    make("span", {}, make("i", { class: `fill-${name}` }), words)));
  show.push((report) => {
    state.report = report;
    const zipped = report.summary.compressed_bytes !== null;
    document.querySelector('[data-measure="compressed"]').disabled = !zipped;
    if (!zipped) state.measure = "bytes";
    choose(document.getElementById("measures"), "measure", state.measure);
    build();
  });
  document.addEventListener("shown", (event) => { if (event.detail === "bytes") draw(); });
  window.addEventListener("resize", draw);
})();
