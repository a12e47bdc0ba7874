// The explorer: sliders over the fitted surfaces; the runs as scatter, parallel coordinates and table, with one selection.
(() => {
  "use strict";
  const holder = document.getElementById("explorer-data");
  if (!holder) return;
  const study = JSON.parse(holder.textContent);
  const VIRIDIS = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];
  const GRID = 24; // cells of the map along a side
  const LINE = 41; // points of a profile
  const PAGE = 50; // rows of the runs' table shown at first
  const factors = study.factors, responses = study.responses, columns = study.columns;
  const state = {
    place: factors.map(() => 0), response: 0, across: 0, up: Math.min(1, factors.length - 1),
    x: columns.findIndex((column) => column.kind === "metric"), y: -1,
    chosen: new Set(), filters: columns.map(() => ({})), sort: { column: 0, down: false }, rows: PAGE,
  };
  state.y = Math.max(columns.findIndex((column) => column.name === "loss"), 0) ||
    columns.findLastIndex((column) => column.kind === "metric");

  // Small helpers ------------------------------------------------------------------------------------------------------

  const byId = (id) => document.getElementById(id);

  function make(name, attributes = {}, ...children) {
    const drawn = ["svg", "g", "rect", "circle", "path", "line", "text", "title"].includes(name);
    const node = drawn ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== false && value !== null) node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children);
    return node;
  }

  function draw(id, width, height, label, parts) {
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    svg.append(...parts);
    byId(id).replaceChildren(svg);
    return svg;
  }

  function shown(value) {
    if (value === null || value === undefined) return "";
    if (typeof value === "string" || Number.isInteger(value)) return String(value);
    const size = Math.abs(value);
    if (size > 0 && size < 0.001) return value.toExponential(1).replace(".0e", "e").replace(/^-/, "\u2212");
    return (size >= 1 ? String(+value.toPrecision(4)) : value.toFixed(4)).replace("-", "\u2212");
  }

  const lower = (label) => label.charAt(0).toLowerCase() + label.slice(1);
  const signed = (value) => (value > 0 ? "+" : "") + shown(value);
  const asLevel = (value) => shown(+value.toPrecision(3)).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

  function ranged(values) {
    const known = values.filter((value) => typeof value === "number");
    const low = Math.min(...known), high = Math.max(...known);
    return high > low ? [low, high] : [low - 0.5, high + 0.5];
  }

  const scaled = (value, [low, high], from, to) => from + ((value - low) / (high - low)) * (to - from);

  // The surfaces -------------------------------------------------------------------------------------------------------

  const SCALES = { identity: (x) => x, log2: Math.log2, log10: Math.log10 };
  const INVERSES = { identity: (z) => z, log2: (z) => 2 ** z, log10: (z) => 10 ** z };
  const natural = (factor, x) => INVERSES[factor.scale](x * factor.half_range + factor.middle);
  const coded = (factor, value) => (SCALES[factor.scale](value) - factor.middle) / factor.half_range;

  const gap = (place) => (levels) => levels.reduce((sum, x, number) => sum + (x - place[number]) ** 2, 0);
  const isFailed = (place) => study.failed.length > 0 &&
    Math.min(...study.failed.map(gap(place))) <= Math.min(...study.tried.map(gap(place)));

  // Nothing is predicted nearest to a setting at which all runs failed.
  function predict(response, place) {
    if (isFailed(place)) return { value: null, low: null, high: null };
    const q = study.terms.map((term) => term.reduce((product, number) => product * place[number], 1));
    const value = q.reduce((sum, weight, i) => sum + weight * response.params[i], 0);
    let variance = 0;
    for (let i = 0; i < q.length; i++) for (let j = 0; j < q.length; j++) variance += q[i] * q[j] * response.cov[i][j];
    const reach = response.quantile * Math.sqrt(Math.max(variance, 0));
    return { value, low: value - reach, high: value + reach };
  }

  const moved = (changes) => state.place.map((x, number) => (number in changes ? changes[number] : x));

  // Places -------------------------------------------------------------------------------------------------------------

  function buildSliders() {
    const box = byId("explorer-sliders");
    factors.forEach((factor, number) => {
      const id = `explorer-factor-${number}`;
      const ticks = make("datalist", { id: `${id}-levels` }, ...factor.levels.map((level) =>
        make("option", { value: coded(factor, level).toFixed(2) })));
      const slider = make("input", { type: "range", id, min: -1, max: 1, step: 0.01, list: `${id}-levels`,
        oninput: (event) => { state.place[number] = Number(event.target.value); update(); } });
      box.append(make("label", { for: id }, factor.label), slider, make("output", { for: id, id: `${id}-value` }), ticks);
    });
    const places = byId("explorer-places");
    const offer = (title, levels) => {
      const place = factors.map((factor) => coded(factor, levels[factor.name]));
      const outside = place.some((x) => Math.abs(x) > 1.0001);
      places.append(make("button", { type: "button", disabled: outside,
        title: outside ? "outside the levels tried" : false,
        onclick: () => { state.place = place; update(); } }, title));
    };
    offer("Centre", Object.fromEntries(factors.map((factor) => [factor.name, natural(factor, 0)])));
    offer("Baseline's own", study.baseline);
    if (study.recommended) offer("Recommended", study.recommended);
    for (const response of responses) {
      if (response.best) offer(`Best ${response.label}`, response.best);
    }
    const selects = { response: responses, across: factors, up: factors };
    for (const [key, options] of Object.entries(selects)) choice(`explorer-${key}`, options, key);
    const metrics = columns.map((column, number) => ({ ...column, number })).filter((column) => column.kind !== "text");
    for (const key of ["x", "y"]) choice(`explorer-${key}`, metrics, key);
  }

  function choice(id, options, key) {
    const select = byId(id);
    options.forEach((option, number) => select.append(make("option", { value: option.number ?? number }, option.label)));
    select.value = state[key];
    select.addEventListener("change", () => { state[key] = Number(select.value); update(); });
  }

  function showPlace() {
    factors.forEach((factor, number) => {
      const slider = byId(`explorer-factor-${number}`), text = asLevel(natural(factor, state.place[number]));
      slider.value = state.place[number];
      slider.setAttribute("aria-valuetext", text);
      byId(`explorer-factor-${number}-value`).textContent = text;
    });
    const here = tried();
    byId("explorer-predictions").replaceChildren(...responses.map((response) => {
      const at = predict(response, state.place), column = columns.findIndex((found) => found.name === response.name);
      const values = here.map((run) => run[column]).filter((value) => value !== null);
      const mean = values.length ? shown(values.reduce((a, b) => a + b, 0) / values.length) : "not tried";
      const gain = response.baseline === null || at.value === null ? "" : signed(at.value - response.baseline);
      return make("tr", {}, make("th", { scope: "row" }, response.label), make("td", { class: "number" }, shown(at.value)),
        make("td", { class: "number" }, at.value === null ? "all runs failed" : `${shown(at.low)} to ${shown(at.high)}`), make("td", { class: "number" }, gain),
        make("td", { class: "number" }, values.length ? `${mean} (${values.length} runs)` : mean));
    }));
  }

  function tried() {
    const numbers = factors.map((factor) => columns.findIndex((column) => column.name === factor.name));
    return study.runs.filter((run) => factors.every((factor, number) =>
      Math.abs(coded(factor, run[numbers[number]]) - state.place[number]) < 0.006));
  }

  // The map and the profiles -------------------------------------------------------------------------------------------

  function colour(share) {
    const at = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1), low = Math.min(Math.floor(at), VIRIDIS.length - 2);
    const parts = [1, 3, 5].map((i) => {
      const [a, b] = [VIRIDIS[low], VIRIDIS[low + 1]].map((hex) => parseInt(hex.slice(i, i + 2), 16));
      return Math.round(a + (b - a) * (at - low));
    });
    return `rgb(${parts.join(",")})`;
  }

  function drawMap() {
    const response = responses[state.response], across = state.across, up = state.up;
    const left = 64, top = 10, size = 300, parts = [];
    const at = (i) => -1 + (2 * (i + 0.5)) / GRID;
    const cells = [];
    for (let i = 0; i < GRID; i++) for (let j = 0; j < GRID; j++) {
      cells.push({ i, j, value: predict(response, moved({ [across]: at(i), [up]: at(j) })).value });
    }
    const range = ranged(cells.map((cell) => cell.value)), side = size / GRID;
    for (const { i, j, value } of cells.filter((cell) => cell.value !== null)) {
      const share = scaled(value, range, 0, 1);
      parts.push(make("rect", { x: left + i * side, y: top + size - (j + 1) * side, width: side + 0.5,
        height: side + 0.5, fill: colour(response.lower_is_better ? 1 - share : share) }));
    }
    const put = (x, y) => [left + ((x + 1) / 2) * size, top + size - ((y + 1) / 2) * size];
    const numbers = [across, up].map((n) => columns.findIndex((column) => column.name === factors[n].name));
    study.runs.forEach((run, number) => {
      const [x, y] = put(coded(factors[across], run[numbers[0]]), coded(factors[up], run[numbers[1]]));
      const chosen = state.chosen.has(number);
      if (Math.abs(x - left - size / 2) <= size && passes(run)) {
        parts.push(make("circle", { cx: x, cy: y, r: chosen ? 6 : 3.5, class: chosen ? "run chosen" : "run" }));
      }
    });
    const marks = [["baseline", study.baseline, "Baseline"], ["best", study.recommended, "Recommended"]];
    for (const [kind, levels, title] of marks) {
      if (!levels) continue;
      const [x, y] = put(...[across, up].map((n) => Math.min(1, Math.max(-1, coded(factors[n], levels[factors[n].name])))));
      const path = kind === "baseline" ? `M${x},${y - 8}l8,8l-8,8l-8,-8z` : star(x, y);
      parts.push(make("path", { d: path, class: `place ${kind}` }, make("title", {}, title)));
    }
    const [x, y] = put(state.place[across], state.place[up]);
    parts.push(make("path", { d: `M${x - 11},${y}h22M${x},${y - 11}v22`, class: "cross" }));
    axis(parts, factors[across], left, top + size, size, true);
    axis(parts, factors[up], left, top, size, false);
    const title = `Predicted ${response.label} over ${lower(factors[across].label)} and ${lower(factors[up].label)}, the others as set: ` +
      `${shown(range[0])} to ${shown(range[1])}.`;
    const svg = draw("explorer-map", left + size + 12, top + size + 46, title, parts);
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect(), unit = (left + size + 12) / box.width;
      const place = [(event.clientX - box.left) * unit - left, top + size - (event.clientY - box.top) * unit];
      [across, up].forEach((n, i) => { state.place[n] = Math.min(1, Math.max(-1, (2 * place[i]) / size - 1)); });
      update();
    });
    byId("explorer-map-range").textContent = `${title} Yellow is better.`;
  }

  function star(x, y) {
    const point = (i) => [x + (i % 2 ? 4 : 10) * Math.sin((i * Math.PI) / 5), y - (i % 2 ? 4 : 10) * Math.cos((i * Math.PI) / 5)];
    return `M${[...Array(10).keys()].map((i) => point(i).map((v) => v.toFixed(1)).join(",")).join("L")}z`;
  }

  function axis(parts, factor, left, top, size, across) {
    for (const level of factor.levels) {
      const share = (coded(factor, level) + 1) / 2;
      const [x, y] = across ? [left + share * size, top + 16] : [left - 6, top + size - share * size + 4];
      parts.push(make("text", { x, y, "text-anchor": across ? "middle" : "end" }, asLevel(level)));
    }
    const middle = across ? { x: left + size / 2, y: top + 38 } : { x: -(top + size / 2), y: 13, transform: "rotate(-90)" };
    parts.push(make("text", { ...middle, "text-anchor": "middle", class: "title" }, factor.label));
  }

  function drawProfiles() {
    const response = responses[state.response], width = 230, height = 190, left = 52, bottom = 40, top = 10;
    const lines = factors.map((_, number) => [...Array(LINE).keys()].map((i) => {
      const x = -1 + (2 * i) / (LINE - 1);
      return { x, ...predict(response, moved({ [number]: x })) };
    }));
    const range = ranged(lines.flat().flatMap((at) => [at.low, at.high]));
    const down = (value) => scaled(value, range, height - bottom, top);
    byId("explorer-profiles").replaceChildren(...factors.map((factor, number) => {
      const right = (x) => scaled(x, [-1, 1], left, width - 10), at = lines[number].filter((p) => p.value !== null);
      const path = (key) => at.map((p) => `${right(p.x).toFixed(1)},${down(p[key]).toFixed(1)}`);
      const parts = [
        ...(at.length ? [
          make("path", { d: `M${path("low").join("L")}L${path("high").reverse().join("L")}z`, class: "band" }),
          make("path", { d: `M${path("value").join("L")}`, class: "curve" }),
        ] : []),
        make("line", { x1: right(state.place[number]), x2: right(state.place[number]), y1: top, y2: height - bottom, class: "cross" }),
        ...[0, 0.5, 1].map((share) => make("text", { x: left - 6, y: down(range[0] + share * (range[1] - range[0])) + 4,
          "text-anchor": "end" }, shown(range[0] + share * (range[1] - range[0])))),
      ];
      axis(parts, factor, left, height - bottom, width - 10 - left, true);
      const label = `Predicted ${response.label} along ${lower(factor.label)}, the others as set, with its interval.`;
      const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
      svg.append(...parts);
      return svg;
    }));
  }

  // The runs: one selection, three views -------------------------------------------------------------------------------

  function passes(run) {
    return columns.every((column, number) => {
      const { low, high, text } = state.filters[number], value = run[number];
      if (text) return String(value ?? "").toLowerCase().includes(text.toLowerCase());
      return (low === undefined || (value !== null && value >= low)) && (high === undefined || (value !== null && value <= high));
    });
  }

  function toggle(number) {
    if (!state.chosen.delete(number)) state.chosen.add(number);
    update();
  }

  function drawScatter() {
    const width = 380, height = 300, left = 62, bottom = 44, top = 10, parts = [];
    const ends = [state.x, state.y].map((n) => ranged(study.runs.map((run) => run[n])));
    const right = (value) => scaled(value, ends[0], left + 8, width - 14), down = (value) => scaled(value, ends[1], height - bottom - 8, top + 6);
    study.runs.forEach((run, number) => {
      const [x, y] = [run[state.x], run[state.y]], chosen = state.chosen.has(number), passing = passes(run);
      if (x === null || y === null) return;
      parts[chosen ? "push" : "unshift"](make("circle", { cx: right(x), cy: down(y), r: chosen ? 6.5 : 4,
        class: `run${chosen ? " chosen" : ""}${passing ? "" : " faint"}`, onclick: () => toggle(number) },
        make("title", {}, `${run[0]}: ${shown(x)}, ${shown(y)}`)));
    });
    for (const share of [0, 0.5, 1]) {
      const [x, y] = ends.map(([low, high]) => low + share * (high - low));
      parts.push(make("text", { x: right(x), y: height - bottom + 16, "text-anchor": "middle" }, shown(x)),
        make("text", { x: left - 4, y: down(y) + 4, "text-anchor": "end" }, shown(y)));
    }
    parts.push(make("text", { x: (left + width) / 2, y: height - 6, "text-anchor": "middle", class: "title" }, columns[state.x].label),
      make("text", { x: -(height - bottom) / 2, y: 13, transform: "rotate(-90)", "text-anchor": "middle", class: "title" }, columns[state.y].label));
    draw("explorer-scatter", width, height, `Runs: ${columns[state.y].label} against ${columns[state.x].label}.`, parts);
  }

  function drawParallel() {
    const axes = columns.map((column, number) => ({ ...column, number })).filter((column) => ["factor", "metric"].includes(column.kind));
    const step = 118, width = step * (axes.length - 1) + 120, height = 250, top = 42, bottom = 22, parts = [];
    const ends = axes.map((column) => {
      const values = study.runs.map((run) => run[column.number]);
      const log = column.scale && column.scale !== "identity";
      return { log, range: ranged(values.map((value) => (log && value > 0 ? Math.log2(value) : value))) };
    });
    const place = (i, value) => scaled(ends[i].log ? Math.log2(value) : value, ends[i].range, height - bottom, top);
    const order = [...study.runs.keys()].sort((a, b) => state.chosen.has(a) - state.chosen.has(b));
    for (const number of order) {
      const run = study.runs[number], chosen = state.chosen.has(number);
      if (axes.some((column) => run[column.number] === null)) continue;
      const path = axes.map((column, i) => `${60 + i * step},${place(i, run[column.number]).toFixed(1)}`).join("L");
      parts.push(make("path", { d: `M${path}`, class: `trace${chosen ? " chosen" : ""}${passes(run) ? "" : " faint"}`,
        onclick: () => toggle(number) }, make("title", {}, run[0])));
    }
    axes.forEach((column, i) => {
      const x = 60 + i * step, back = (v) => asLevel(ends[i].log ? 2 ** v : v);
      parts.push(make("line", { x1: x, x2: x, y1: top, y2: height - bottom, class: "axis" }),
        make("text", { x, y: 14, "text-anchor": "middle", class: "title" }, column.label),
        make("text", { x, y: top - 8, "text-anchor": "middle" }, back(ends[i].range[1])),
        make("text", { x, y: height - 6, "text-anchor": "middle" }, back(ends[i].range[0])));
    });
    const svg = draw("explorer-parallel", width, height, "Parallel coordinates of the runs: factors and metrics.", parts);
    svg.style.minWidth = `${Math.min(width, 620)}px`;
  }

  function buildTable() {
    const head = columns.map((column, number) => make("th", { scope: "col", class: column.kind === "text" ? "" : "number", id: `runs-${number}` },
      make("button", { type: "button", onclick: () => {
        state.sort = { column: number, down: state.sort.column === number ? !state.sort.down : column.kind === "metric" };
        showTable();
      } }, column.label)));
    byId("runs-head").append(make("th", { scope: "col" }, make("span", { class: "unseen" }, "Chosen")), ...head);
    const bound = (number, end, word) => make("input", { type: "number", step: "any", placeholder: word,
      "aria-label": `${columns[number].label}, ${word}`, "data-filter": `${columns[number].name} ${end}`, oninput: (event) => {
        const value = event.target.value;
        state.filters[number][end] = value === "" ? undefined : Number(value);
        update();
      } });
    byId("runs-filters").append(make("td"), ...columns.map((column, number) => make("td", { class: column.kind === "text" ? "" : "number" },
      ...(column.kind === "text"
        ? [make("input", { type: "search", placeholder: "contains", "aria-label": `${column.label} contains`,
            "data-filter": `${column.name} text`, oninput: (event) => { state.filters[number].text = event.target.value; update(); } })]
        : [bound(number, "low", "from"), bound(number, "high", "to")]))));
    byId("runs-more").addEventListener("click", () => { state.rows = Infinity; showTable(); });
    byId("runs-clear").addEventListener("click", () => {
      state.filters = columns.map(() => ({}));
      state.chosen.clear();
      for (const input of byId("runs-filters").querySelectorAll("input")) input.value = "";
      update();
    });
    byId("runs-csv").addEventListener("click", () => {
      const kept = [...study.runs.keys()].filter((number) => passes(study.runs[number])).map((number) => study.runs[number]);
      window.finevarSave("runs.csv", window.finevarCsv(columns.map((column) => column.name), kept), "text/csv");
    });
  }

  function showTable() {
    const { column, down } = state.sort, order = (a, b) => (a === null) - (b === null) ||
      (typeof a === "string" ? String(a).localeCompare(String(b)) : a - b) * (down ? -1 : 1);
    const kept = [...study.runs.keys()].filter((number) => passes(study.runs[number]))
      .sort((a, b) => order(study.runs[a][column], study.runs[b][column]));
    columns.forEach((_, number) => byId(`runs-${number}`).setAttribute("aria-sort",
      number !== column ? "none" : down ? "descending" : "ascending"));
    byId("runs-body").replaceChildren(...kept.slice(0, state.rows).map((number) => {
      const run = study.runs[number], chosen = state.chosen.has(number);
      const box = make("input", { type: "checkbox", "aria-label": `Choose ${run[0]}`, onchange: () => toggle(number) });
      box.checked = chosen;
      return make("tr", { class: chosen ? "chosen" : "" }, make("td", {}, box), ...columns.map((found, i) =>
        i === 0 ? make("th", { scope: "row" }, make("a", { href: study.logs[number] }, run[0]))
          : make("td", { class: found.kind === "text" ? "" : "number" }, found.kind === "factor" ? asLevel(run[i]) : shown(run[i]))));
    }));
    const hidden = kept.length - Math.min(kept.length, state.rows);
    byId("runs-count").textContent = `${kept.length} of ${study.runs.length} runs` +
      (state.chosen.size ? `, ${state.chosen.size} chosen` : "") + (hidden ? `; ${hidden} more are not shown` : "") + ".";
    byId("runs-more").hidden = !hidden;
  }

  function update() {
    if (responses.length) {
      showPlace();
      if (factors.length > 1) drawMap();
      drawProfiles();
    }
    drawScatter();
    drawParallel();
    showTable();
  }

  buildSliders();
  buildTable();
  const start = study.recommended ?? responses.find((response) => response.best)?.best;
  if (start) state.place = factors.map((factor) => coded(factor, start[factor.name]));
  update();
})();
