// The explorer's page: a store's runs to look around in. It fetches nothing; all data are in the page.
//
// How to read this file: what the page was given; numbers; points of a plot; drawing; the page
// itself and its state, which the address keeps, so that a view can be shared.
"use strict";

const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195"];
const INK = "#222", QUIET = "#666", LINE = "#ddd", FAINT = "rgba(70, 70, 70, 0.35)";
const LISTED = 100; // architectures of the list below the plots
const REACH = 14; // pixels from a point at which the mouse still means it

// -- what the page was given -------------------------------------------------------------------

const KINDS = { f4: Float32Array, f8: Float64Array, i4: Int32Array };

function unpacked({ kind, data }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return new KINDS[kind](bytes.buffer);
}

/** The store with its columns as arrays, and for each table (space, recipe) the rows of it. */
function opened(given) {
  const columns = {};
  for (const [name, packed] of Object.entries(given.columns)) columns[name] = unpacked(packed);
  const store = { ...given, columns, curves: unpacked(given.curves), tables: [] };
  const seen = new Map();
  for (let row = 0; row < store.n_runs; row++) {
    const key = `${columns.space[row]} ${columns.recipe[row]}`;
    if (!seen.has(key)) {
      const names = [given.spaces[columns.space[row]], given.recipes[columns.recipe[row]]];
      seen.set(key, { name: names.join(", "), rows: [], datasets: [] });
      store.tables.push(seen.get(key));
    }
    const table = seen.get(key);
    table.rows.push(row);
    if (!table.datasets.includes(columns.dataset[row])) table.datasets.push(columns.dataset[row]);
  }
  return store;
}

/** The value of a run after the epoch at a position of `store.epochs`. */
function valueAt(store, row, position) {
  return store.curves[row * store.epochs.length + position];
}

// -- numbers ----------------------------------------------------------------------------------

function mean(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : NaN;
}

/** The q-quantile of sorted values, between neighbours along a line. */
function quantile(sorted, q) {
  if (!sorted.length) return NaN;
  const at = q * (sorted.length - 1), below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/** Ranks from 1; equal values share the mean of theirs. */
function ranks(values) {
  const order = values.map((_, i) => i).sort((i, j) => values[i] - values[j]);
  const found = new Array(values.length);
  for (let first = 0; first < order.length; ) {
    let end = first;
    while (end < order.length && values[order[end]] === values[order[first]]) end++;
    for (let i = first; i < end; i++) found[order[i]] = (first + end + 1) / 2;
    first = end;
  }
  return found;
}

/** Spearman's rank correlation; NaN of fewer than three pairs, or where one side is constant. */
function spearman(xs, ys) {
  if (xs.length < 3) return NaN;
  const a = ranks(xs), b = ranks(ys), middle = (xs.length + 1) / 2;
  let ab = 0, aa = 0, bb = 0;
  for (let i = 0; i < a.length; i++) {
    ab += (a[i] - middle) * (b[i] - middle);
    aa += (a[i] - middle) ** 2;
    bb += (b[i] - middle) ** 2;
  }
  return aa && bb ? ab / Math.sqrt(aa * bb) : NaN;
}

/** At most four digits that matter, without an exponent where that is short. */
function shown(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e4) return Math.round(value).toLocaleString("en");
  if (size && size < 1e-4) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

// -- points -----------------------------------------------------------------------------------

/** What an axis may show, of those quantities that any run of the table has. */
function quantities(store, table, dataset, position) {
  const { metric, split, columns } = store;
  const label = store.labels[split];
  const named = (key, text, column) => ({ key, text, value: (row) => columns[column][row] });
  const found = [
    named("last", `${label} ${metric}, at the end`, "last"),
    named("best", `${label} ${metric}, best epoch`, "best"),
    { key: "epoch", text: `${label} ${metric}, after epoch ${store.epochs[position]}`, value: null },
    named("test", `test ${metric}, at the end`, "test"),
    named("train", `training ${metric}, at the end`, "train"),
    named("seconds", "seconds of training", "seconds"),
    named("parameters", "parameters", "parameters"),
    named("flops", "multiply-adds", "flops"),
  ].filter(({ key }) => key === "epoch" || table.rows.some((r) => Number.isFinite(columns[key][r])));
  const others = table.datasets.filter((other) => other !== dataset).map((other) => ({
    ...named(`on ${store.datasets[other]}`, `… on ${store.datasets[other]}, at the end`, "last"),
    dataset: other,
  }));
  return [...found, ...others];
}

/** Values of each architecture on one dataset: a Map from its number to an array, a seed each. */
function valuesOf(store, table, dataset, quantity, position) {
  const { columns } = store;
  const on = quantity.dataset ?? dataset;
  const read = quantity.value ?? ((row) => valueAt(store, row, position));
  const found = new Map();
  for (const row of table.rows) {
    if (columns.dataset[row] !== on || !columns.ok[row]) continue;
    const value = read(row);
    if (!Number.isFinite(value)) continue;
    const architecture = columns.architecture[row];
    if (!found.has(architecture)) found.set(architecture, []);
    found.get(architecture).push(value);
  }
  return found;
}

/** One point an architecture that has both values; means over seeds. */
function pointsOf(store, table, dataset, x, y, position) {
  const ys = valuesOf(store, table, dataset, y, position);
  const points = [];
  for (const [architecture, xs] of valuesOf(store, table, dataset, x, position)) {
    const values = ys.get(architecture);
    if (values) points.push({ architecture, x: mean(xs), y: mean(values), values });
  }
  return points;
}

/** Epoch by epoch, quantiles over architectures of their mean value. */
function bands(store, table, dataset, shares) {
  return store.epochs.map((_, position) => {
    const each = valuesOf(store, table, dataset, { value: null }, position);
    const sorted = [...each.values()].map(mean).sort((a, b) => a - b);
    return shares.map((share) => quantile(sorted, share));
  });
}

/** Runs of a dataset that did not end well. */
function failures(store, table, dataset) {
  return table.rows.filter((r) => store.columns.dataset[r] === dataset && !store.columns.ok[r]);
}

if (typeof module !== "undefined") {
  module.exports = { opened, quantities, pointsOf, bands, failures, spearman, ranks, quantile, shown };
}

// -- drawing ----------------------------------------------------------------------------------

function scale(low, high, from, to) {
  const width = high - low || Math.abs(high) || 1;
  const [a, b] = high > low ? [low - 0.04 * width, high + 0.04 * width] : [low - width, high + width];
  const place = (value) => from + ((value - a) / (b - a)) * (to - from);
  const rough = (b - a) / 5, size = 10 ** Math.floor(Math.log10(rough));
  const step = size * [1, 2, 5, 10].find((factor) => size * factor >= rough);
  place.ticks = [];
  for (let k = Math.ceil(a / step); k * step <= b; k++) place.ticks.push(k * step);
  return place;
}

/** A canvas that is sharp on every screen; its context, its size, and empty. */
function blank(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return { context, width, height };
}

const MARGIN = { left: 62, right: 10, top: 12, bottom: 40 };

function axes({ context, width, height }, x, y, xText) {
  context.fillStyle = QUIET;
  context.strokeStyle = LINE;
  context.lineWidth = 1;
  context.textAlign = "center";
  for (const tick of x.ticks) {
    line(context, [[x(tick), MARGIN.top], [x(tick), height - MARGIN.bottom]]);
    context.fillText(shown(tick), x(tick), height - MARGIN.bottom + 16);
  }
  context.fillText(xText, (MARGIN.left + width - MARGIN.right) / 2, height - 6);
  context.textAlign = "right";
  for (const tick of y.ticks) {
    line(context, [[MARGIN.left, y(tick)], [width - MARGIN.right, y(tick)]]);
    context.fillText(shown(tick), MARGIN.left - 6, y(tick) + 4);
  }
}

function line(context, places) {
  context.beginPath();
  places.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}

function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}

// -- the page ---------------------------------------------------------------------------------

function start(given) {
  const store = opened(given);
  const at = (id) => document.getElementById(id);
  const made = (tag, text, attributes = {}) =>
    Object.assign(document.createElement(tag), { textContent: text, ...attributes });
  const state = { table: 0, dataset: 0, x: "seconds", y: "last", position: 0, find: "", picks: [] };
  let points = [], places = [], band = [], hovered = null;

  const table = () => store.tables[state.table];
  const name = (architecture) => store.architectures[architecture];
  const colour = (architecture) => COLOURS[state.picks.indexOf(architecture) % COLOURS.length];
  const chosen = (key) => options().find((each) => each.key === key);
  const options = () => quantities(store, table(), state.dataset, state.position);
  const matches = (architecture) => name(architecture).toLowerCase().includes(state.find.toLowerCase());

  function restore() {
    const kept = new URLSearchParams(window.location.hash.slice(1));
    state.dataset = store.datasets.indexOf(kept.get("dataset"));
    const has = ({ name, datasets }) =>
      kept.has("table") ? name === kept.get("table") : datasets.includes(state.dataset);
    state.table = Math.max(0, store.tables.findIndex(has));
    const position = store.epochs.indexOf(Number(kept.get("epoch")));
    state.position = position < 0 ? Math.floor((store.epochs.length - 1) / 4) : position;
    for (const key of ["x", "y", "find"]) if (kept.has(key)) state[key] = kept.get(key);
    const picked = kept.getAll("pick").map((text) => store.architectures.indexOf(text));
    state.picks = picked.filter((architecture) => architecture >= 0);
  }

  function keep() {
    const kept = new URLSearchParams({
      table: table().name,
      dataset: store.datasets[state.dataset],
      x: state.x,
      y: state.y,
      epoch: store.epochs[state.position],
    });
    if (state.find) kept.set("find", state.find);
    for (const architecture of state.picks) kept.append("pick", name(architecture));
    window.history.replaceState(null, "", `#${kept}`);
  }

  /** Choices that this table and dataset do not have give way to those that they have. */
  function settle() {
    if (!table().datasets.includes(state.dataset)) state.dataset = table().datasets[0];
    if (`${state.table} ${state.dataset}` !== band.of) {
      band = bands(store, table(), state.dataset, [0.1, 0.5, 0.9]);
      band.of = `${state.table} ${state.dataset}`;
      band.last = Math.max(0, band.findLastIndex((shares) => Number.isFinite(shares[1])));
    }
    state.position = Math.min(state.position, band.last);
    const keys = options().map(({ key }) => key);
    if (!keys.includes(state.x)) state.x = keys.includes("seconds") ? "seconds" : "epoch";
    if (!keys.includes(state.y)) state.y = keys[0];
  }

  function fill(select, entries, value) {
    select.replaceChildren(...entries.map(([key, text]) => made("option", text, { value: key })));
    select.value = value;
  }

  function controls() {
    fill(at("table"), store.tables.map((each, i) => [i, each.name]), state.table);
    at("table").parentElement.hidden = store.tables.length < 2;
    fill(at("dataset"), table().datasets.map((d) => [d, store.datasets[d]]), state.dataset);
    for (const axis of ["x", "y"]) {
      fill(at(axis), options().map(({ key, text }) => [key, text]), state[axis]);
    }
    at("epoch").max = band.last;
    at("epoch").value = state.position;
    at("epoch-shown").textContent = store.epochs[state.position];
    at("find").value = state.find;
  }

  function summary() {
    const rho = spearman(points.map(({ x }) => x), points.map(({ y }) => y));
    const parts = [`${points.length} architectures`];
    if (Number.isFinite(rho)) parts.push(`Spearman's ρ of the two axes ${rho.toFixed(2)}`);
    if (state.find) parts.push(`${points.filter((p) => matches(p.architecture)).length} found`);
    const failed = failures(store, table(), state.dataset);
    at("summary").textContent = `${parts.join("; ")}.`;
    at("failed").hidden = !failed.length;
    at("failed-count").textContent = `Runs that did not end well: ${failed.length}`;
    at("failed-list").replaceChildren(...failed.slice(0, LISTED).map((row) => {
      const [status, reason] = store.failed[row];
      const seed = `seed ${store.columns.seed[row]}`;
      return made("li", `${name(store.columns.architecture[row])}, ${seed}: ${status}. ${reason}`);
    }));
  }

  function scatter() {
    const sheet = blank(at("scatter"));
    const x = scale(...extent(points.map((p) => p.x)), MARGIN.left, sheet.width - MARGIN.right);
    const y = scale(...extent(points.map((p) => p.y)), sheet.height - MARGIN.bottom, MARGIN.top);
    axes(sheet, x, y, chosen(state.x).text);
    places = points.map((point) => [x(point.x), y(point.y)]);
    const { context } = sheet;
    points.forEach((point, i) => {
      context.fillStyle = matches(point.architecture) ? FAINT : "rgba(70, 70, 70, 0.07)";
      dot(context, ...places[i], 3);
    });
    points.forEach((point, i) => {
      if (!state.picks.includes(point.architecture) && point.architecture !== hovered) return;
      context.fillStyle = context.strokeStyle =
        state.picks.includes(point.architecture) ? colour(point.architecture) : INK;
      const [low, high] = extent(point.values);
      line(context, [[places[i][0], y(low)], [places[i][0], y(high)]]);
      dot(context, ...places[i], 5);
    });
  }

  function curves() {
    const sheet = blank(at("curves"));
    const { dataset, architecture: of } = store.columns;
    const drawn = (row) => state.picks.includes(of[row]) || of[row] === hovered;
    const rows = table().rows.filter((row) => dataset[row] === state.dataset && drawn(row));
    const every = [...store.epochs.keys()].slice(0, band.last + 1);
    const values = rows.flatMap((row) => every.map((i) => valueAt(store, row, i)));
    const x = scale(1, store.epochs[band.last], MARGIN.left, sheet.width - MARGIN.right);
    const y = scale(
      ...extent([...band.flat(), ...values].filter(Number.isFinite)),
      sheet.height - MARGIN.bottom, MARGIN.top);
    axes(sheet, x, y, "epoch");
    const { context } = sheet;
    const measured = every.filter((i) => Number.isFinite(band[i][1]));
    const along = (share) => measured.map((i) => [x(store.epochs[i]), y(band[i][share])]);
    context.fillStyle = "rgba(70, 70, 70, 0.13)";
    context.beginPath();
    const outline = [...along(0), ...along(2).reverse()];
    outline.forEach(([a, b], i) => (i ? context.lineTo(a, b) : context.moveTo(a, b)));
    context.fill();
    context.strokeStyle = QUIET;
    line(context, along(1));
    if ([state.x, state.y].includes("epoch")) {
      const here = x(store.epochs[state.position]);
      context.setLineDash([3, 3]);
      line(context, [[here, MARGIN.top], [here, sheet.height - MARGIN.bottom]]);
      context.setLineDash([]);
    }
    context.lineWidth = 1.6;
    for (const row of rows) {
      context.strokeStyle = state.picks.includes(of[row]) ? colour(of[row]) : INK;
      const known = every.filter((i) => Number.isFinite(valueAt(store, row, i)));
      line(context, known.map((i) => [x(store.epochs[i]), y(valueAt(store, row, i))]));
    }
  }

  /** A row of a table: what it is of, whether it is picked, and its numbers. */
  function row(where, architecture, cells) {
    const line = made("tr", ""), first = made("th", "", { scope: "row" }), label = made("label", "");
    const checked = state.picks.includes(architecture), id = `${where}-${architecture}`;
    const box = made("input", "", { type: "checkbox", checked, id });
    box.addEventListener("change", () => { toggle(architecture); at(id)?.focus({ preventScroll: true }); });
    label.append(box, ` ${name(architecture)}`);
    if (checked) label.style.color = colour(architecture);
    first.append(label);
    line.append(first, ...cells.map((text) => made("td", text)));
    line.addEventListener("mouseenter", () => hover(architecture));
    line.addEventListener("mouseleave", () => hover(null));
    return line;
  }

  function headed(target, header, rows) {
    const head = made("thead", ""), top = made("tr", ""), body = made("tbody", "");
    top.append(...header.map((text) => made("th", text, { scope: "col" })));
    head.append(top);
    body.append(...rows);
    target.replaceChildren(head, body);
  }

  /** Rank of each architecture on each dataset by its mean result, 1 the best. */
  function standings() {
    const last = { value: (row) => store.columns.last[row] };
    return new Map(table().datasets.map((dataset) => {
      const results = [...valuesOf(store, table(), dataset, last, 0)].map(([a, values]) => [a, mean(values)]);
      results.sort(([, a], [, b]) => (store.higher ? b - a : a - b));
      return [dataset, { n: results.length, of: new Map(results.map(([a], i) => [a, i + 1])) }];
    }));
  }

  function picked() {
    at("picked").hidden = !state.picks.length;
    if (!state.picks.length) return;
    const placed = standings();
    headed(
      at("picked-table"),
      ["architecture", ...table().datasets.map((d) => `rank on ${store.datasets[d]}`)],
      state.picks.map((architecture) => row("picked", architecture, table().datasets.map((dataset) => {
        const { n, of } = placed.get(dataset);
        return of.has(architecture) ? `${of.get(architecture)} of ${n}` : "–";
      }))),
    );
  }

  function listed() {
    const best = points.filter((p) => matches(p.architecture));
    best.sort((p, q) => (store.higher ? q.y - p.y : p.y - q.y));
    headed(
      at("list-table"),
      ["architecture", chosen(state.y).text, "seeds", "lowest", "highest", chosen(state.x).text],
      best.slice(0, LISTED).map((p) => row(
        "list", p.architecture, [shown(p.y), String(p.values.length), ...extent(p.values).map(shown), shown(p.x)])),
    );
    at("list-note").textContent = best.length > LISTED ? `The first ${LISTED} of ${best.length}.` : "";
  }

  function draw() {
    settle();
    const [x, y] = [chosen(state.x), chosen(state.y)];
    points = pointsOf(store, table(), state.dataset, x, y, state.position);
    at("scatter-title").textContent = `${y.text}, on ${store.datasets[state.dataset]}`;
    at("curves-title").textContent = `${store.labels[store.split]} ${store.metric} by epoch`;
    controls();
    summary();
    scatter();
    curves();
    picked();
    listed();
    keep();
  }

  function hover(architecture) {
    if (architecture === hovered) return;
    hovered = architecture;
    at("hovered").textContent = architecture === null ? "" : name(architecture);
    scatter();
    curves();
  }

  function toggle(architecture) {
    const there = state.picks.includes(architecture);
    state.picks = there ? state.picks.filter((a) => a !== architecture) : [...state.picks, architecture];
    draw();
  }

  function nearest(event) {
    const box = at("scatter").getBoundingClientRect();
    let found = null, least = REACH;
    places.forEach(([x, y], i) => {
      const distance = Math.hypot(x - (event.clientX - box.left), y - (event.clientY - box.top));
      if (distance < least) [found, least] = [points[i].architecture, distance];
    });
    return found;
  }

  const on = (id, event, act) => at(id).addEventListener(event, act);
  const changed = (key, read) => (event) => { state[key] = read(event.target.value); draw(); };
  on("table", "change", changed("table", Number));
  on("dataset", "change", changed("dataset", Number));
  on("x", "change", changed("x", String));
  on("y", "change", changed("y", String));
  on("epoch", "input", changed("position", Number));
  on("find", "input", changed("find", String));
  on("scatter", "mousemove", (event) => hover(nearest(event)));
  on("scatter", "mouseleave", () => hover(null));
  on("scatter", "click", (event) => { const a = nearest(event); if (a !== null) toggle(a); });
  on("clear", "click", () => { state.picks = []; draw(); });
  window.addEventListener("resize", () => { scatter(); curves(); });
  restore();
  draw();
}

if (typeof document !== "undefined") {
  start(JSON.parse(document.getElementById("store").textContent));
}
