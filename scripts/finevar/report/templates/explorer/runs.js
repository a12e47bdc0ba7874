
  // The runs' table, with a panel for each opened run ------------------------------------------------------------------

  const kindClass = (column) => (column.kind === "text" ? "" : "number") + (column.pinned ? " pinned" : "");
  const pin = (number) => (columns[number].pinned ? `--at: ${number}` : null);

  function buildTable() {
    byId("runs-head").append(make("th", { scope: "col", class: "opener" }, make("span", { class: "unseen" }, "Open")), ...columns.map((column, number) =>
      make("th", { scope: "col", class: kindClass(column), style: pin(number), id: `runs-${number}` }, make("button", { type: "button", onclick: () => {
        state.sort = { column: number, down: state.sort.column === number ? !state.sort.down : column.kind === "metric" && !column.lower_is_better };
        changed();
      } }, column.label))));
    const field = (number, part, type, words) => make("input", { type, step: type === "number" ? "any" : null, placeholder: words,
      "aria-label": `${columns[number].label}, ${words}`, "data-filter": `${number} ${part}`, oninput: (event) => {
        const value = event.target.value;
        state.filters[number][part] = value === "" ? undefined : type === "number" ? Number(value) : value;
        changed();
      } });
    byId("runs-filters").append(make("td", { class: "opener" }), ...columns.map((column, number) => make("td", { class: kindClass(column), style: pin(number) },
      ...(column.kind === "text" ? [field(number, "text", "search", "contains")]
        : [field(number, "low", "number", "from"), field(number, "high", "number", "to")]))));
    byId("runs-more").addEventListener("click", () => { state.rows = Infinity; update(); });
    byId("runs-clear").addEventListener("click", () => {
      state.filters = columns.map(() => ({}));
      state.opened.clear();
      changed();
    });
    byId("runs-csv").addEventListener("click", () => {
      window.finevarSave("runs.csv", window.finevarCsv(columns.map((column) => column.name), runs.filter(passes)), "text/csv");
    });
  }

  // Open or close a run; one opened from a chart comes into view.
  function toggle(number, comes) {
    const opens = !state.opened.delete(number);
    if (opens) state.opened.add(number);
    if (opens && comes) state.rows = Infinity;
    changed();
    if (opens && comes) byId(`run-${number}`)?.scrollIntoView({ block: "center" });
  }

  function sorted() {
    const { column, down } = state.sort, order = (a, b) => (a === null) - (b === null) ||
      (typeof a === "string" ? a.localeCompare(String(b)) : a - b) * (down ? -1 : 1);
    return [...runs.keys()].filter((number) => passes(runs[number])).sort((a, b) => order(runs[a][column], runs[b][column]));
  }

  function showTable() {
    const kept = sorted(), { column, down } = state.sort, focused = document.activeElement?.dataset.run;
    columns.forEach((_, number) => byId(`runs-${number}`).setAttribute("aria-sort",
      number !== column ? "none" : down ? "descending" : "ascending"));
    byId("runs-body").replaceChildren(...kept.slice(0, state.rows).flatMap((number) =>
      state.opened.has(number) ? [tableRow(number), panelRow(number)] : [tableRow(number)]));
    if (focused) byId("runs-body").querySelector(`[data-run="${focused}"]`)?.focus();
    for (const input of byId("runs-filters").querySelectorAll("input")) {
      const [number, part] = input.dataset.filter.split(" ");
      if (input !== document.activeElement) input.value = state.filters[number][part] ?? "";
    }
    const hidden = kept.length - Math.min(kept.length, state.rows);
    byId("runs-count").textContent = `${kept.length} of ${runs.length} runs` +
      (state.opened.size ? `, ${state.opened.size} opened` : "") + (hidden ? `; ${hidden} more are not shown` : "") + ".";
    byId("runs-more").hidden = !hidden;
  }

  function tableRow(number) {
    const run = runs[number], opened = state.opened.has(number);
    const opener = make("button", { type: "button", "aria-expanded": String(opened), "aria-label": `Open ${nameOf(run)}`,
      "data-run": String(number), onclick: () => toggle(number, false) }, opened ? "\u25BE" : "\u25B8");
    return make("tr", { class: opened ? "opened" : "", id: `run-${number}` }, make("td", { class: "opener" }, opener), ...columns.map((column, i) =>
      make(column.name === "run_id" ? "th" : "td", { scope: column.name === "run_id" ? "row" : null, class: kindClass(column), style: pin(i) },
        text(column, run[i]))));
  }

  // What a panel shows of a run, in this order; a block that has nothing on it returns null.
  const BLOCKS = [
    (number) => listed("Hyperparameters", number, (column) => column.kind === "factor" || column.level || column.name === "seed"),
    (number) => listed("Metrics", number, (column) => column.kind === "metric"),
    (number) => matrix(number),
    (number) => wrongSentences(number),
    (number) => study.logs[number] && make("p", {}, make("a", { href: study.logs[number] }, study.logs[number].endsWith(".log") ? "Training log" : "Model card")),
  ];

  function listed(title, number, wanted) {
    const terms = columns.flatMap((column, i) => (wanted(column) && runs[number][i] !== null
      ? [make("dt", {}, column.label), make("dd", {}, text(column, runs[number][i]))] : []));
    return make("div", {}, make("h4", {}, title), make("dl", {}, ...terms));
  }

  // Rows are true classes, columns predicted ones; of many classes the most frequent confusions.
  function matrix(number) {
    const counts = study.errors?.counts[number] ?? [], names = study.errors?.classes[study.errors.of[number]];
    if (!counts.length) return null;
    if (names.length > study.errors.most) {
      const words = ([label, predicted, count]) => make("li", {}, `${names[label]}, taken for ${names[predicted]}: ${count}`);
      return make("div", {}, make("h4", {}, "Most frequent confusions"), make("ul", {}, ...counts.map(words)));
    }
    const at = new Map(counts.map(([label, predicted, count]) => [label * names.length + predicted, count]));
    const rows = names.map((name, label) => {
      const own = names.map((_, predicted) => at.get(label * names.length + predicted) ?? 0), sum = own.reduce((a, b) => a + b, 0);
      const cells = own.map((count) => make("td", { class: "number", style: `--shade: ${(sum ? count / sum : 0).toFixed(3)}` }, String(count)));
      return make("tr", {}, make("th", { scope: "row" }, name), ...cells);
    });
    const head = make("tr", {}, ...["Class", ...names.map((name) => `As ${name}`)].map((title) => make("th", { scope: "col" }, title)));
    return make("div", {}, make("h4", {}, "Confusion matrix"), make("table", { class: "matrix" }, make("caption", { class: "unseen" },
      "Test sentences by true and predicted class"), make("thead", {}, head), make("tbody", {}, ...rows)));
  }

  function wrongSentences(number) {
    const wrong = study.errors?.wrong[number] ?? [], names = study.errors?.classes[study.errors.of[number]];
    if (!wrong.length) return null;
    const items = wrong.map(([place, predicted, percent]) => {
      const [sentence, label] = study.errors.texts[place];
      return make("li", {}, sentence, make("small", {}, `${names[label]}, taken for ${names[predicted]} at ${percent}%`));
    });
    return make("div", { class: "wide" }, make("h4", {}, "Wrong with the highest probability"), make("ul", {}, ...items));
  }

  function panelRow(number) {
    const blocks = BLOCKS.map((block) => block(number)).filter(Boolean);
    const panel = make("section", { class: "run-panel", "aria-label": nameOf(runs[number]) }, make("h3", {}, nameOf(runs[number])), make("div", { class: "blocks" }, ...blocks));
    return make("tr", { class: "opened" }, make("td", { colspan: columns.length + 1 }, panel));
  }
