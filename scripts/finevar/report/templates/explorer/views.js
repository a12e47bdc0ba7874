
  // The runs: one selection, three views -------------------------------------------------------------------------------

  function passes(run) {
    return columns.every((_, number) => {
      const { low, high, text } = state.filters[number], value = run[number];
      if (text) return String(value ?? "").toLowerCase().includes(text.toLowerCase());
      return (low === undefined || (value !== null && value >= low)) && (high === undefined || (value !== null && value <= high));
    });
  }

  const nameOf = (run) => run[columnOf("run_id")];
  const markOf = (number) => (state.opened.has(number) ? " opened" : "") + (passes(runs[number]) ? "" : " faint");
  // Those that the filters leave out below the others, the opened ones on top.
  const drawnOrder = () => [...runs.keys()].sort((a, b) => passes(runs[a]) - passes(runs[b]) || state.opened.has(a) - state.opened.has(b));
  const fillOf = (run, column) => {
    const value = run[columnOf(column.name)];
    return value === null ? "var(--quiet)" : colourOf(value, scaleOf(column));
  };

  function buildScatter() {
    const numeric = columns.map((column, number) => ({ ...column, number })).filter((column) => column.kind !== "text");
    for (const key of ["x", "y"]) choice(key, numeric);
  }

  function drawScatter() {
    for (const key of ["x", "y"]) byId(`explorer-${key}`).value = state[key];
    const width = 480, height = 300, left = 62, bottom = 44, top = 10, plot = width - 80, parts = [], column = shownColumn();
    const ends = [state.x, state.y].map((n) => ranged(runs.map((run) => run[n])));
    const right = (value) => scaled(value, ends[0], left + 8, plot), down = (value) => scaled(value, ends[1], height - bottom - 8, top + 6);
    for (const number of drawnOrder()) {
      const [x, y] = [runs[number][state.x], runs[number][state.y]];
      if (x === null || y === null) continue;
      parts.push(make("circle", { cx: right(x).toFixed(1), cy: down(y).toFixed(1), r: state.opened.has(number) ? 7 : 4.5, fill: fillOf(runs[number], column),
        class: `run${markOf(number)}`, onclick: () => toggle(number, true) },
        make("title", {}, `${nameOf(runs[number])}: ${shown(x)}, ${shown(y)}`)));
    }
    thirds(ends[0]).forEach((value) => parts.push(make("text", { x: right(value), y: height - bottom + 16, "text-anchor": "middle" }, text(columns[state.x], value))));
    thirds(ends[1]).forEach((value) => parts.push(make("text", { x: left - 4, y: down(value) + 4, "text-anchor": "end" }, text(columns[state.y], value))));
    parts.push(make("text", { x: (left + plot) / 2, y: height - 6, "text-anchor": "middle", class: "title" }, columns[state.x].label),
      make("text", { x: -(height - bottom) / 2, y: 13, transform: "rotate(-90)", "text-anchor": "middle", class: "title" }, columns[state.y].label),
      ...bar(scaleOf(column), width - 58, top + 4, height - bottom - 12));
    const label = `Runs: ${columns[state.y].label} against ${columns[state.x].label}, coloured by ${lower(column.label)}.`;
    byId("explorer-scatter").replaceChildren(drawing(width, height, label, parts));
    byId("explorer-scatter-words").textContent = `One dot a run, coloured by ${lower(column.label)}; click to open it below.`;
  }

  function drawParallel() {
    const kinds = ["factor", "metric"], order = (column) => kinds.indexOf(column.kind);
    const axes = columns.map((column, number) => ({ ...column, number })).filter((column) => kinds.includes(column.kind))
      .sort((a, b) => order(a) - order(b)).map((column) => ({ ...column, ...axisOf(column) }));
    const step = 118, width = step * (axes.length - 1) + 120, height = 250, top = 42, bottom = 22, parts = [], column = shownColumn();
    const place = (one, value) => scaled(one.to(value), one.range, height - bottom, top);
    for (const number of drawnOrder()) {
      const run = runs[number];
      if (axes.some((one) => run[one.number] === null && one.kind === "metric")) continue;
      // With a gap at a factor that does not exist there.
      const stops = axes.map((one, i) => (run[one.number] === null ? "" : `${60 + i * step},${place(one, run[one.number]).toFixed(1)}`));
      const path = stops.map((stop, i) => stop && `${i && stops[i - 1] ? "L" : "M"}${stop}`).join("");
      parts.push(make("path", { d: path, stroke: fillOf(run, column), class: `trace${markOf(number)}`, onclick: () => toggle(number, true) },
        make("title", {}, nameOf(run))));
    }
    axes.forEach((one, i) => {
      const x = 60 + i * step, { low, high } = state.filters[one.number], within = (value) => Math.min(Math.max(value, top), height - bottom);
      parts.push(make("line", { x1: x, x2: x, y1: top, y2: height - bottom, class: "axis" }),
        make("text", { x, y: 16, "text-anchor": "middle", class: "title" }, one.label),
        make("text", { x, y: top - 8, "text-anchor": "middle" }, text(one, one.back(one.range[1]))),
        make("text", { x, y: height - 5, "text-anchor": "middle" }, text(one, one.back(one.range[0]))));
      if (low !== undefined || high !== undefined) {
        const [from, to] = [within(place(one, high ?? one.back(one.range[1]))), within(place(one, low ?? one.back(one.range[0])))];
        parts.push(make("rect", { x: x - 7, y: from - 1, width: 14, height: to - from + 2, class: "brushed" }));
      }
      parts.push(make("rect", { x: x - 12, y: top - 4, width: 24, height: height - top - bottom + 8, class: "brush",
        onpointerdown: (event) => brush(event, one, (y) => one.back(scaled(y, [height - bottom, top], ...one.range)), height) }));
    });
    const svg = drawing(width, height, `Parallel coordinates of the runs: hyperparameters and metrics, coloured by ${lower(column.label)}.`, parts);
    svg.style.minWidth = `${Math.min(width, 620)}px`;
    byId("explorer-parallel").replaceChildren(svg);
  }

  function axisOf(column) {
    const to = column.scale && column.scale !== "identity" ? (value) => (value > 0 ? Math.log2(value) : value) : (value) => value;
    const back = column.scale && column.scale !== "identity" ? (value) => 2 ** value : (value) => value;
    return { to, back, range: ranged(runs.map((run) => run[column.number]).filter(isNumber).map(to)) };
  }

  // Drag along an axis to keep the runs within that range; a click on it lets all pass again. Each move draws the
  // views anew, so that the window follows the pointer, not an element.
  function brush(event, column, valueAt, height) {
    event.preventDefault();
    const value = (moved) => {
      const box = byId("explorer-parallel").querySelector("svg").getBoundingClientRect();
      return valueAt(((moved.clientY - box.top) * height) / box.height);
    };
    const from = value(event), start = event.clientY;
    const follow = (moved) => {
      if (Math.abs(moved.clientY - start) < 3) return;
      const ends = [from, value(moved)].map((end) => +end.toPrecision(3));
      state.filters[column.number] = { low: Math.min(...ends), high: Math.max(...ends) };
      update();
    };
    const end = (moved) => {
      window.removeEventListener("pointermove", follow);
      if (Math.abs(moved.clientY - start) < 3) state.filters[column.number] = {};
      changed();
    };
    window.addEventListener("pointermove", follow);
    window.addEventListener("pointerup", end, { once: true });
  }
