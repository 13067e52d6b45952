// Draws who needs whom: users on the left, what they need to the right of them, columns by distance.
"use strict";

(() => {
  const WIDTH = 190, HEIGHT = 22, GAP_X = 70, GAP_Y = 6;
  const SMALLEST = 0.7; // what does not fit at this scale is reached by dragging
  const ALIKE = 3; // so many files with equal needs, which nothing needs, are one box
  const svg = d3.select("#edges");
  const canvas = svg.append("g");
  const zoom = d3.zoom().scaleExtent([0.05, 3]).on("zoom", (event) => canvas.attr("transform", event.transform));
  svg.call(zoom).on("dblclick.zoom", null);
  const common = document.getElementById("common");
  let report, needs, users, missing, chosen = null;
  let everywhere = new Set(); // what most files need (libc) tells nothing, and covers the rest with lines

  function read() {
    const { nodes, edges } = report.graph;
    missing = new Set(report.graph.missing);
    needs = nodes.map(() => new Map());
    users = nodes.map(() => new Set());
    for (const [from, to, how, problem] of edges) {
      needs[from].set(to, { how, problem });
      users[to].add(from);
    }
    const linking = needs.filter((to) => to.size).length;
    everywhere = new Set(nodes.map((_, at) => at).filter((at) => users[at].size >= 10 && users[at].size > linking / 4));
    common.hidden = !everywhere.size;
    common.lastElementChild.textContent = `with ${[...everywhere].map((at) => baseName(nodes[at])).join(", ")}`;
  }

  const drawn = (at) => common.firstElementChild.checked || at === chosen || !everywhere.has(at);

  // Boxes to draw: each a list of files. Of a chosen file: what it needs, however far, and who needs it directly.
  function boxes() {
    const all = report.graph.nodes.map((_, at) => at);
    let seen = new Set(all);
    if (chosen !== null) {
      seen = new Set([chosen]);
      for (const at of seen) for (const to of needs[at].keys()) seen.add(to); // grows while it is read
      for (const at of users[chosen]) seen.add(at);
    }
    const alike = new Map();
    for (const at of seen) {
      const shown = [...needs[at].keys()].filter((to) => drawn(to) && seen.has(to));
      if (!drawn(at) || (!shown.length && !users[at].size && at !== chosen)) continue;
      const key = users[at].size || at === chosen ? `=${at}` : shown.sort().join();
      if (!alike.has(key)) alike.set(key, []);
      alike.get(key).push(at);
    }
    return [...alike.values()].flatMap((files) => files.length >= ALIKE ? [files] : files.map((file) => [file]));
  }

  function layout(list) {
    const box = new Map();
    list.forEach((files, at) => files.forEach((file) => box.set(file, at)));
    const links = new Map();
    list.forEach((files, from) => {
      for (const [to, how] of needs[files[0]]) {
        const at = box.get(to);
        if (at !== undefined && at !== from && !(chosen !== null && files[0] !== chosen && users[chosen].has(files[0]) && to !== chosen))
          links.set(`${from},${at}`, { from, to: at, ...how });
      }
    });
    const out = list.map(() => []);
    for (const { from, to } of links.values()) out[from].push(to);
    const column = columns(out);
    const rows = d3.groups(list.map((_, at) => at), (at) => column[at]).sort((a, b) => a[0] - b[0]).map(([, ats]) => ats);
    const place = order(rows, links);
    return { list, links: [...links.values()], column, place, rows };
  }

  // The longest way from a file that nothing needs; what needs itself by a detour is cut where it is met again.
  function columns(out) {
    const column = out.map(() => 0);
    const state = out.map(() => 0); // 0 not seen, 1 on the way, 2 done
    const sorted = [];
    for (let start = 0; start < out.length; start++) {
      const stack = state[start] ? [] : [[start, 0]];
      if (stack.length) state[start] = 1;
      while (stack.length) {
        const top = stack.at(-1);
        const next = out[top[0]][top[1]++];
        if (next === undefined) { state[top[0]] = 2; sorted.push(top[0]); stack.pop(); }
        else if (!state[next]) { state[next] = 1; stack.push([next, 0]); }
      }
    }
    const rank = out.map(() => 0);
    sorted.reverse().forEach((at, index) => { rank[at] = index; });
    for (const at of sorted) for (const to of out[at]) if (rank[to] > rank[at]) column[to] = Math.max(column[to], column[at] + 1);
    return column;
  }

  // Each box as near as may be to the mean of those it is linked with: few crossings after a few rounds.
  function order(rows, links) {
    const place = new Map();
    const beside = new Map();
    for (const { from, to } of links.values())
      for (const [a, b] of [[from, to], [to, from]]) beside.set(a, [...(beside.get(a) ?? []), b]);
    const set = (row) => row.forEach((at, index) => place.set(at, index - (row.length - 1) / 2));
    rows.forEach(set);
    for (let round = 0; round < 8; round++)
      for (const row of round % 2 ? [...rows].reverse() : rows) {
        row.sort((a, b) => (d3.mean(beside.get(a) ?? [a], (at) => place.get(at)) ?? 0)
          - (d3.mean(beside.get(b) ?? [b], (at) => place.get(at)) ?? 0));
        set(row);
      }
    return place;
  }

  const x = (graph, at) => graph.column[at] * (WIDTH + GAP_X);
  const y = (graph, at) => graph.place.get(at) * (HEIGHT + GAP_Y);
  const name = (files) => files.length > 1 ? `${files.length} files like ${baseName(report.graph.nodes[files[0]])}` : baseName(report.graph.nodes[files[0]]);

  function draw() {
    const { width, height } = svg.node().getBoundingClientRect();
    if (!width || !report) return;
    const graph = layout(boxes());
    const { list, links } = graph;
    const line = d3.linkHorizontal().source((l) => [x(graph, l.from) + WIDTH, y(graph, l.from)]).target((l) => [x(graph, l.to), y(graph, l.to)]);
    canvas.selectAll("*").remove();
    const paths = canvas.append("g").selectAll("path").data(links).join("path").attr("d", line)
      .classed("broken", (l) => list[l.to].some((file) => missing.has(file)));
    const nodes = canvas.append("g").selectAll("g").data(list.map((_, at) => at)).join("g")
      .attr("class", "node").attr("data-name", (at) => name(list[at]))
      .classed("missing", (at) => list[at].some((file) => missing.has(file)))
      .classed("lit", (at) => list[at].includes(chosen))
      .attr("transform", (at) => `translate(${x(graph, at)},${y(graph, at) - HEIGHT / 2})`)
      .on("click", (_, at) => select(list[at]))
      .on("mouseenter", (_, at) => light(at)).on("mouseleave", () => light(null));
    nodes.append("rect").attr("width", WIDTH).attr("height", HEIGHT).attr("rx", 4);
    nodes.append("text").attr("x", 7).attr("y", 15).text((at) => { const text = name(list[at]); return text.length > 26 ? `${text.slice(0, 25)}…` : text; });
    nodes.append("title").text((at) => list[at].slice(0, 30).map((file) => report.graph.nodes[file]).join("\n"));
    function light(at) {
      const near = new Set(at === null ? [] : [at, ...links.filter((l) => l.from === at).map((l) => l.to), ...links.filter((l) => l.to === at).map((l) => l.from)]);
      nodes.classed("dim", (one) => at !== null && !near.has(one));
      paths.classed("lit", (l) => at !== null && (l.from === at || l.to === at)).classed("dim", (l) => at !== null && l.from !== at && l.to !== at);
    }
    fit(graph, width, height);
    document.getElementById("graph-title").textContent = !list.length ? "No native file needs another."
      : chosen === null ? `${number(list.length)} boxes; click one to see what it needs` : report.graph.nodes[chosen];
  }

  function fit(graph, width, height) {
    const ats = graph.list.map((_, at) => at);
    if (!ats.length) return;
    const [left, right] = [d3.min(ats, (at) => x(graph, at)), d3.max(ats, (at) => x(graph, at)) + WIDTH];
    const [top, bottom] = [d3.min(ats, (at) => y(graph, at)) - HEIGHT, d3.max(ats, (at) => y(graph, at)) + HEIGHT];
    const scale = Math.max(SMALLEST, Math.min(1, (width - 30) / (right - left), (height - 30) / (bottom - top)));
    const shift = [Math.max((width - scale * (left + right)) / 2, 15 - scale * left), (height - scale * (top + bottom)) / 2];
    svg.call(zoom.transform, d3.zoomIdentity.translate(...shift).scale(scale));
  }

  const button = (at) => make("li", {}, make("button", { class: "link", onclick: () => select([at]) }, report.graph.nodes[at]));

  function select(files) {
    chosen = files.length === 1 ? files[0] : chosen;
    aside(files);
    if (files.length === 1) draw();
  }

  function aside(files) {
    const side = document.getElementById("library");
    if (!files.length) {
      const most = d3.sort(report.graph.nodes.map((_, at) => at), (at) => -users[at].size).filter((at) => users[at].size).slice(0, 25);
      const rows = most.map((at) => [make("button", { class: "link", onclick: () => select([at]) }, baseName(report.graph.nodes[at])), number(users[at].size)]);
      side.replaceChildren(make("h2", {}, "Most needed"), table(["library", "#needed by"], rows));
    } else if (files.length > 1) {
      side.replaceChildren(make("h2", {}, `${files.length} files with equal needs`), make("ul", {}, ...files.map(button)));
    } else {
      const [at] = files;
      const needed = [...needs[at]].map(([to, { how, problem }]) =>
        [make("button", { class: "link", onclick: () => select([to]) }, report.graph.nodes[to]), problem || how]);
      side.replaceChildren(make("h2", {}, baseName(report.graph.nodes[at])), make("p", {}, make("code", {}, report.graph.nodes[at])),
        needed.length ? table(["needs", "=found by"], needed) : make("p", { class: "quiet" }, "Needs nothing."),
        make("p", {}, make("b", {}, `Needed by ${number(users[at].size)}`)), make("ul", {}, ...[...users[at]].slice(0, 200).map(button)));
    }
  }

  function all() {
    chosen = null;
    document.getElementById("library-filter").value = "";
    aside([]);
    draw();
  }

  common.addEventListener("change", draw);
  document.getElementById("whole").addEventListener("click", all);
  document.getElementById("library-filter").addEventListener("change", (event) => {
    const words = event.target.value;
    const at = report.graph.nodes.indexOf(words);
    const near = at >= 0 ? at : report.graph.nodes.findIndex((path) => words && path.includes(words));
    if (near >= 0) select([near]);
  });
  show.push((shown) => {
    report = shown;
    chosen = null;
    read();
    document.getElementById("libraries").replaceChildren(...report.graph.nodes.slice(0, 2000).map((path) => make("option", { value: path })));
    aside([]);
  });
  document.addEventListener("shown", (event) => { if (event.detail === "graph") draw(); });
})();
