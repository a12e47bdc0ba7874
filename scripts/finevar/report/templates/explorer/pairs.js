  // Two settings compared: what the first has more of, on the same sentences ---------------------------------------------

  const pairs = study.pairs, PAIR = ["first", "second"];

  function buildPairs() {
    if (!pairs) {
      byId("pairs")?.remove();
      return;
    }
    state.pair = [0, 1];
    PAIR.forEach((key, place) => {
      const select = byId(`pair-${key}`);
      select.append(...pairs.settings.map((setting, number) => make("option", { value: number }, setting.label)));
      select.addEventListener("change", () => { state.pair[place] = Number(select.value); changed(); });
    });
  }

  // A pair's row, turned where the settings are chosen the other way round: its numbers then change sign and ends.
  function pairRow(rows, turn) {
    const [low, high] = [...state.pair].sort((a, b) => a - b), count = pairs.settings.length;
    const row = rows[low * count - (low * (low + 1)) / 2 + high - low - 1];
    return row && state.pair[0] > state.pair[1] ? turn(row) : row;
  }

  function showPairs() {
    if (!pairs) return;
    const negative = (value) => (value === null ? null : -value);
    const turned = ([value, low, high, least, most]) => [value, high, low, most, least].map(negative);
    PAIR.forEach((key, place) => { byId(`pair-${key}`).value = state.pair[place]; });
    const same = state.pair[0] === state.pair[1], cell = (words) => make("td", { class: "number" }, words);
    byId("pair-rows").replaceChildren(...(same ? [] : pairs.metrics).map((metric) => {
      const [value, low, high, least, most] = pairRow(metric.rows, turned) ?? Array(5).fill(null);
      const span = (from, to) => (from === null ? "\u2013" : `${signed(from)} to ${signed(to)}`);
      return make("tr", {}, make("th", { scope: "row" }, metric.label), cell(value === null ? "\u2013" : signed(value)),
        make("td", {}, verdictOf(metric, least, most)), cell(span(low, high)), cell(span(least, most)));
    }));
    const moved = same ? null : pairRow(pairs.moved, ([gained, lost]) => [lost, gained]);
    byId("pair-sentences").textContent = same ? "Choose two different settings." : moved
      ? `Of ${pairs.sentences.toLocaleString("en")} test sentences, most runs of the first setting get ${moved[0]} right that most of the second get wrong, and the reverse on ${moved[1]}.` : "";
  }

  function verdictOf(metric, least, most) {
    if (least === null) return "no interval";
    if (least <= 0 && most >= 0) return "not significantly different";
    return least > 0 === metric.less ? "second is better" : "first is better";
  }

