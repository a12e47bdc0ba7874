  const { factors, responses, columns, runs } = study;
  const VIRIDIS = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];
  const PAGE = 3; // rows of the runs' table shown at first
  const columnOf = (name) => columns.findIndex((column) => column.name === name);
  const metrics = columns.filter((column) => column.kind === "metric");
  const isNamed = (factor) => factor.scale === "names"; // its levels are names, and a place along it is the level's number
  const numbers = [...factors.keys()].filter((number) => !isNamed(factors[number]));
  const state = {
    place: [], response: 0, across: numbers[0] ?? 0, up: numbers[1] ?? numbers[0] ?? 0,
    x: columnOf((metrics[0] ?? columns[0]).name), y: columnOf((metrics.find((one) => one.lower_is_better) ?? metrics.at(-1) ?? columns[0]).name),
    opened: new Set(), filters: columns.map(() => ({})),
    sort: { column: 0, down: !columns[0].lower_is_better }, rows: PAGE,
  };

  // Elements, numbers, colours -----------------------------------------------------------------------------------------

  const byId = (id) => document.getElementById(id);
  const DRAWN = new Set(["svg", "g", "rect", "circle", "path", "line", "text", "title"]);

  function make(name, attributes = {}, ...children) {
    const node = DRAWN.has(name) ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== false && value !== null) node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children);
    return node;
  }

  function drawing(width, height, label, parts) {
    return make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...parts);
  }

  const minus = (text) => text.replace(/e-/, "e\u0000").replace("-", "\u2212").replace("\u0000", "-");

  // Three digits, which is what seeds leave of a metric; two of a difference.
  function shown(value, digits = 3) {
    if (value === null || value === undefined) return "";
    if (typeof value === "string") return value;
    if (Number.isInteger(value)) return minus(String(value));
    const size = Math.abs(value);
    if (size < 0.001) return minus(value.toExponential(1).replace(".0e", "e"));
    return minus(size >= 100 ? value.toFixed(0) : value.toPrecision(digits));
  }

  function asLevel(value) {
    if (value === null) return "all";
    if (typeof value === "string") return value;
    const rounded = +value.toPrecision(3);
    return Number.isInteger(rounded) ? String(rounded) : shown(rounded).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  }

  const text = (column, value) => (column.kind !== "factor" ? shown(value) : value === null ? "\u2013" : asLevel(value));
  const lower = (label) => (/^[A-Z][a-z]/.test(label) ? label.charAt(0).toLowerCase() + label.slice(1) : label);
  const signed = (value) => (value > 0 ? "+" : "") + shown(value, 2);
  const average = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const isNumber = (value) => typeof value === "number";

  function ranged(values) {
    const known = values.filter(isNumber), low = Math.min(...known), high = Math.max(...known);
    return high > low ? [low, high] : [low - 0.5, high + 0.5];
  }

  const scaled = (value, [low, high], from, to) => from + ((value - low) / (high - low)) * (to - from);
  const thirds = ([low, high]) => [low, (low + high) / 2, high];

  function hue(share) {
    const at = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1), low = Math.min(Math.floor(at), VIRIDIS.length - 2);
    const parts = [1, 3, 5].map((i) => {
      const [a, b] = [VIRIDIS[low], VIRIDIS[low + 1]].map((hex) => parseInt(hex.slice(i, i + 2), 16));
      return Math.round(a + (b - a) * (at - low));
    });
    return `rgb(${parts.join(",")})`;
  }

  // The metric that all views are coloured by: of the sliders' choice, or the first where no surface was fitted.
  const shownColumn = () => columns[columnOf(responses.length ? responses[state.response].name : (metrics[0] ?? columns[0]).name)];
  const colourOf = (value, scale) => hue(scaled(value, scale.range, scale.lower_is_better ? 1 : 0, scale.lower_is_better ? 0 : 1));

  // A bar for a colour scale, upright, its numbers to the right.
  function bar(scale, left, top, height) {
    const steps = 32, parts = [];
    for (let i = 0; i < steps; i++) {
      const share = (i + 0.5) / steps;
      parts.push(make("rect", { x: left, y: top + height - ((i + 1) * height) / steps, width: 12, height: height / steps + 0.5,
        fill: hue(scale.lower_is_better ? 1 - share : share) }));
    }
    thirds(scale.range).forEach((value, i) => parts.push(
      make("text", { x: left + 17, y: top + height - (i * height) / 2 + 4 }, shown(value))));
    return parts;
  }

  // The address --------------------------------------------------------------------------------------------------------

  const PREFIX = "#explore?";

  function writeAddress() {
    const said = new URLSearchParams();
    if (responses.length) {
      factors.forEach((factor, number) => {
        const value = natural(factor, state.place[number]);
        said.set(factor.name, isNamed(factor) ? value : +value.toPrecision(6));
      });
      said.set("metric", responses[state.response].name);
      for (const key of ["across", "up"]) said.set(key, factors[state[key]].name);
    }
    for (const key of ["x", "y"]) said.set(key, columns[state[key]].name);
    said.set("sort", (state.sort.down ? "-" : "") + columns[state.sort.column].name);
    state.filters.forEach(({ low, high, text }, number) => {
      if (low !== undefined || high !== undefined) said.set(`only.${columns[number].name}`, `${low ?? ""}..${high ?? ""}`);
      if (text) said.set(`has.${columns[number].name}`, text);
    });
    if (study.pairs) said.set("pair", state.pair.map((number) => study.pairs.settings[number].name).join(".."));
    const names = columnOf("run_id");
    if (state.opened.size) said.set("runs", [...state.opened].map((number) => runs[number][names]).join(","));
    try { history.replaceState(null, "", PREFIX + said); } catch { /* a page within a frame may have no address */ }
  }

  // Say whether the address is of the explorer, having taken up what it holds.
  function readAddress() {
    if (!location.hash.startsWith(PREFIX)) return false;
    const said = new URLSearchParams(location.hash.slice(PREFIX.length));
    const index = (list, name, otherwise) => { const at = list.findIndex((one) => one.name === name); return at < 0 ? otherwise : at; };
    factors.forEach((factor, number) => {
      const value = said.get(factor.name), x = coded(factor, isNamed(factor) ? value : Number(value ?? NaN));
      if (isWithin(factor, x)) state.place[number] = x;
    });
    state.response = index(responses, said.get("metric"), state.response);
    for (const key of ["across", "up"]) {
      const number = index(factors, said.get(key), state[key]);
      if (numbers.includes(number)) state[key] = number;
    }
    if (state.across === state.up) state.up = numbers.find((number) => number !== state.across) ?? state.up;
    for (const key of ["x", "y"]) state[key] = index(columns, said.get(key), state[key]);
    if (study.pairs) state.pair = (said.get("pair") ?? "..").split("..").map((name, place) => index(study.pairs.settings, name, state.pair[place]));
    const sort = said.get("sort");
    if (sort) state.sort = { column: index(columns, sort.replace(/^-/, ""), 0), down: sort.startsWith("-") };
    state.filters = columns.map((column) => {
      const [low, high] = (said.get(`only.${column.name}`) ?? "..").split("..").map((end) => (end === "" ? undefined : Number(end)));
      return { low, high, text: said.get(`has.${column.name}`) ?? undefined };
    });
    const names = columnOf("run_id"), wanted = new Set((said.get("runs") ?? "").split(","));
    state.opened = new Set([...runs.keys()].filter((number) => wanted.has(runs[number][names])));
    if (state.opened.size) state.rows = Infinity;
    return true;
  }
