
  // Surfaces -----------------------------------------------------------------------------------------------------------

  const GRID = 24; // cells of the map along a side
  const LINE = 41; // points of a profile
  const STEPS = 10; // stops of a slider from level to level
  const NEAR = 14; // pixels of the map within which a click is on a setting's ring
  const SAME = 0.006; // coded units within which two levels are one
  const SCALES = { identity: (x) => x, log2: Math.log2, log10: Math.log10 };
  const INVERSES = { identity: (z) => z, log2: (z) => 2 ** z, log10: (z) => 10 ** z };
  const FAR = 1e6; // squared coded units between two levels that are names
  // A factor as it is at a place: its levels may slide with those of another one.
  const own = (factor, place) => (factor.by ? { ...factor, middle: factor.by[1][place[factor.by[0]]], levels: factor.by[2][place[factor.by[0]]] } : factor);
  const natural = (factor, x) => (isNamed(factor) ? factor.levels[x] : INVERSES[factor.scale](x * factor.half_range + factor.middle));
  const coded = (factor, value) => (isNamed(factor) ? factor.levels.indexOf(value) : (SCALES[factor.scale](value) - factor.middle) / factor.half_range);
  const named = (levelOf) => factors.map((factor) => (isNamed(factor) ? coded(factor, levelOf(factor)) : 0));
  const placeOf = (levels) => factors.map((factor) => (levels[factor.name] === null ? 0
    : coded(own(factor, named((one) => levels[one.name])), levels[factor.name])));
  const isWithin = (factor, x) => (isNamed(factor) ? x in factor.levels : Math.abs(x) <= 1.0001);
  const isInside = (place) => place.every((x, number) => isWithin(factors[number], x));

  // A nested factor exists at some levels of another one alone; elsewhere it is 0.
  const exists = (number, place) => !factors[number].when || factors[number].when[1].includes(place[factors[number].when[0]]);
  // Whether a place has the levels that the map's axes show: those that slide are of one category's level.
  const isOnAxes = (place) => [state.across, state.up].every((number) => exists(number, place) &&
    (!factors[number].by || place[factors[number].by[0]] === state.place[factors[number].by[0]]));
  const settled = (place) => place.map((x, number) => (exists(number, place) ? x : 0));

  // A factor's level at a place, a stop of its slider as the config has it; null where it does not exist.
  function levelAt(number, place) {
    if (!exists(number, place)) return null;
    const factor = own(factors[number], place), x = place[number];
    return factor.levels.find((level) => Math.abs(coded(factor, level) - x) < SAME) ?? natural(factor, x);
  }
  const isAllowed = (place) => !isForbidden((name) => levelAt(factors.findIndex((factor) => factor.name === name), place));

  const gap = (place) => (levels) => levels.reduce((sum, x, number) =>
    sum + (isNamed(factors[number]) ? FAR * (x !== place[number]) : (x - place[number]) ** 2), 0);
  const isFailed = (place) => study.failed.length > 0 &&
    Math.min(...study.failed.map(gap(place))) <= Math.min(...study.tried.map(gap(place)));

  // What the terms multiply: numbers as they are, and of names a column for each level but the last, which is -1 in all.
  const columnsOf = (sliders, place = settled(sliders)) => (study.axes ?? [...factors.keys()].map((number) => [number, null])).map(([number, level]) =>
    (level === null ? place[number] : (place[number] === level) - (place[number] === factors[number].levels.length - 1)));
  const weights = (place) => {
    const values = columnsOf(place);
    return study.terms.map((term) => term.reduce((product, axis) => product * values[axis], 1));
  };
  const quadratic = (q, cov) => Math.max(cov.reduce((sum, row, i) => sum + q[i] * row.reduce((all, one, j) => all + one * q[j], 0), 0), 0);

  // From the scale that was fitted to within the metric's bounds.
  function onScale(response, value) {
    const [least, most] = response.bounds;
    if (response.logit) return least + (most - least) / (1 + Math.exp(-value));
    return Math.min(Math.max(value, least ?? -Infinity), most ?? Infinity);
  }

  // Null where the design's condition forbids it, and nearest to a setting at which all runs failed.
  function valueAt(response, place) {
    return isFailed(place) || !isAllowed(place) ? null : onScale(response, weights(place).reduce((sum, weight, i) => sum + weight * response.params[i], 0));
  }

  // Of Student's t at 1 / degrees of freedom.
  function quantile({ rates, quantiles }, rate) {
    const at = Math.min(rate / (rates[0] + rates[1]), 1) * (quantiles.length - 1), low = Math.min(Math.floor(at), quantiles.length - 2);
    return quantiles[low] + (at - low) * (quantiles[low + 1] - quantiles[low]);
  }

  // For new seeds and new sentences: the variance of either source, less what both contain.
  function predict(response, place) {
    const value = valueAt(response, place);
    if (value === null) return { value, low: null, high: null };
    const q = weights(place), [seed, sentence, both] = response.covs.map((cov) => quadratic(q, cov));
    const variance = Math.max(seed + sentence - both, seed, sentence);
    const rate = (seed ** 2 * response.rates[0] + sentence ** 2 * response.rates[1]) / variance ** 2;
    const middle = q.reduce((sum, weight, i) => sum + weight * response.params[i], 0);
    const reach = variance > 0 ? quantile(response, rate) * Math.sqrt(variance) : 0;
    return { value, low: onScale(response, middle - reach), high: onScale(response, middle + reach) };
  }

  // Each model has a baseline of its own: theirs come in the order of the factor's levels.
  const ofModel = factors.findIndex((factor) => factor.name === "model");
  const baselineOf = ({ baseline }) => (Array.isArray(baseline) ? baseline[state.place[ofModel]] : baseline);

  const moved = (changes) => state.place.map((x, number) => (number in changes ? changes[number] : x));

  // The settings that were tried, each with its runs that have metrics.
  const settings = study.tried.map((place, number) => ({ place, number, runs: runs.filter((run) => factors.every((factor, number) => {
    const value = run[columnOf(factor.name)];
    return value === null ? !exists(number, place) : Math.abs(coded(own(factor, place), value) - place[number]) < SAME;
  })) }));
  // The baseline's own may lie beyond the levels.
  const drawn = settings.filter(({ place }) => place.every((x, number) => !exists(number, place) || isWithin(factors[number], x)));
  const measured = (setting, name) => {
    const values = setting.runs.map((run) => run[columnOf(name)]).filter(isNumber);
    return values.length ? { mean: average(values), count: values.length } : null;
  };
  // Whether a setting lies in the slice that is shown: at the sliders' place in all but these factors.
  const isInSlice = (setting, free) => setting.place.every((x, number) =>
    free.includes(number) || Math.abs(x - settled(state.place)[number]) < SAME);

  // One scale a metric, whatever the sliders say: over all that is predicted and all that was measured.
  const known = new Map();
  function scaleOf(column) {
    if (!known.has(column.name)) {
      const values = runs.map((run) => run[columnOf(column.name)]);
      const response = responses.find((one) => one.name === column.name);
      const side = factors.length > 4 ? 3 : 7;
      const along = (factor) => (isNamed(factor) ? [...factor.levels.keys()] : [...Array(side).keys()].map((i) => -1 + (2 * i) / (side - 1)));
      const corners = response ? factors.reduce((places, factor) => places.flatMap((place) =>
        along(factor).map((x) => [...place, x])), [[]]) : [];
      known.set(column.name, { range: ranged([...values, ...corners.map((place) => valueAt(response, place))]),
        lower_is_better: column.lower_is_better });
    }
    return known.get(column.name);
  }

  // A slider's stops: every level, with some between; whole numbers where levels are.
  const marks = [study.baseline, study.recommended].filter((levels) => levels && isInside(placeOf(levels)));
  const stops = factors.map((factor) => {
    if (isNamed(factor)) return [...factor.levels.keys()];
    const between = factor.levels.slice(1).flatMap((high, i) => [...Array(STEPS).keys()].map((k) => {
      const [from, to] = [coded(factor, factor.levels[i]), coded(factor, high)];
      const value = natural(factor, from + ((to - from) * k) / STEPS);
      return factor.whole ? Math.round(value) : +value.toPrecision(2);
    }));
    const all = [...factor.levels, ...between, ...(factor.by ? [] : marks.map((levels) => levels[factor.name]).filter(isNumber))];
    return [...new Set(all)].filter((value) => Math.abs(coded(factor, value)) <= 1.0001).sort((a, b) => a - b)
      .map((value) => coded(factor, value));
  });
  const nearestStop = (number, x) => stops[number].reduce((best, stop, i) =>
    (Math.abs(stop - x) < Math.abs(stops[number][best] - x) ? i : best), 0);

  function buildSliders() {
    const box = byId("explorer-sliders");
    factors.forEach((factor, number) => {
      const id = `explorer-factor-${number}`;
      if (isNamed(factor)) {
        const options = factor.levels.map((level, i) => make("option", { value: i }, level));
        const select = make("select", { id, onchange: (event) => { state.place[number] = Number(event.target.value); changed(); } }, ...options);
        box.append(make("label", { for: id }, factor.label), select, make("span"));
        return;
      }
      const ticks = factor.levels.map((level) => make("option", { value: nearestStop(number, coded(factor, level)) }));
      const slider = make("input", { type: "range", id, min: 0, max: stops[number].length - 1, step: 1, list: `${id}-levels`,
        oninput: (event) => { state.place[number] = stops[number][Number(event.target.value)]; changed(); } });
      box.append(make("label", { for: id }, factor.label), slider, make("output", { for: id, id: `${id}-value` }),
        make("datalist", { id: `${id}-levels` }, ...ticks));
    });
    const offer = (title, place) => byId("explorer-places").append(make("button", { type: "button", disabled: !isInside(place),
      title: isInside(place) ? false : "outside the levels tried", onclick: () => { state.place = [...place]; changed(); } }, title));
    const middle = factors.map((_, number) => stops[number][nearestStop(number, 0)]);
    if (study.recommended) offer("Recommended", placeOf(study.recommended));
    for (const response of responses) {
      const sign = response.lower_is_better ? -1 : 1;
      const found = settings.filter((setting) => measured(setting, response.name))
        .sort((a, b) => sign * (measured(b, response.name).mean - measured(a, response.name).mean));
      if (found.length) offer(`Best measured ${response.label}`, found[0].place);
    }
    if (study.baseline) offer("Baseline\u2019s own", placeOf(study.baseline));
    offer("Mid-range", middle);
    state.place = study.recommended ? placeOf(study.recommended) : middle;
    const axes = numbers.map((number) => ({ ...factors[number], number }));
    for (const [key, options] of Object.entries({ response: responses, across: axes, up: axes })) choice(key, options);
  }

  // Two axes that would be the same change places.
  function choice(key, options) {
    const other = { across: "up", up: "across", x: "y", y: "x" }[key], select = byId(`explorer-${key}`);
    select.append(...options.map((option, number) => make("option", { value: option.number ?? number }, option.label)));
    select.addEventListener("change", () => {
      const before = state[key];
      state[key] = Number(select.value);
      if (other && state[other] === state[key]) state[other] = before;
      changed();
    });
  }

  function showPlace() {
    factors.forEach((factor, number) => {
      const slider = byId(`explorer-factor-${number}`);
      let words = asLevel(natural(own(factor, state.place), state.place[number]));
      slider.value = nearestStop(number, state.place[number]);
      if (isNamed(factor)) return;
      slider.disabled = !exists(number, state.place);
      if (slider.disabled) words = "\u2013";
      slider.setAttribute("aria-valuetext", words);
      byId(`explorer-factor-${number}-value`).textContent = words;
    });
    const here = settings.find((setting) => isInSlice(setting, []));
    byId("explorer-predictions").replaceChildren(...responses.map((response) => {
      const [value, low, high] = (here && response.at[here.number]) || [];
      const at = isNumber(low) ? { value, low, high } : predict(response, state.place), seen = here && measured(here, response.name);
      const baseline = baselineOf(response);
      const gain = baseline === null || at.value === null ? "" : signed(at.value - baseline);
      const cell = (words) => make("td", { class: "number" }, words);
      return make("tr", {}, make("th", { scope: "row" }, response.label), cell(shown(at.value)),
        cell(at.value === null ? (isAllowed(state.place) ? "all runs failed" : "forbidden") : `${shown(at.low)} to ${shown(at.high)}`), cell(gain),
        cell(seen ? `${shown(seen.mean)} (${seen.count} ${seen.count === 1 ? "run" : "runs"})` : "not tried"));
    }));
  }

  // The map and the profiles -------------------------------------------------------------------------------------------

  function drawMap() {
    for (const key of ["response", "across", "up"]) byId(`explorer-${key}`).value = state[key];
    if (numbers.length < 2) return;
    const response = responses[state.response], { across, up } = state, scale = scaleOf(shownColumn());
    const left = 64, top = 10, size = 300, width = left + size + 84, parts = [];
    const at = (i) => -1 + (2 * (i + 0.5)) / GRID, side = size / GRID;
    const put = (x, y) => [left + ((x + 1) / 2) * size, top + size - ((y + 1) / 2) * size];
    for (let i = 0; i < GRID; i++) for (let j = 0; j < GRID; j++) {
      const value = [across, up].every((number) => exists(number, state.place)) ? valueAt(response, moved({ [across]: at(i), [up]: at(j) })) : null;
      if (value !== null) parts.push(make("rect", { x: left + i * side, y: top + size - (j + 1) * side, width: side + 0.5,
        height: side + 0.5, fill: colourOf(value, scale) }));
    }
    for (const setting of drawn) {
      if (!isOnAxes(setting.place)) continue;
      const [cx, cy] = put(setting.place[across], setting.place[up]), seen = measured(setting, response.name);
      if (!seen) continue;
      const inSlice = isInSlice(setting, [across, up]), ring = inSlice ? { r: 8, fill: colourOf(seen.mean, scale), class: "ring" } : { r: 3, class: "ring off" };
      parts[inSlice ? "push" : "unshift"](make("circle", { cx, cy, ...ring },
        make("title", {}, `${shown(seen.mean)} measured (${seen.count} runs)`)));
    }
    parts.sort((a, b) => rank(a) - rank(b));
    const kinds = [["baseline", study.baseline, "baseline"], ["best", study.recommended, "recommended"]];
    for (const [kind, levels, title] of kinds) {
      if (!levels || !isInside(placeOf(levels)) || !isOnAxes(placeOf(levels))) continue;
      const place = placeOf(levels), [x, y] = put(place[across], place[up]), ends = x > left + size / 2;
      parts.push(make("path", { d: kind === "baseline" ? `M${x},${y - 8}l8,8l-8,8l-8,-8z` : star(x, y), class: `place ${kind}` }),
        make("text", { x: x + (ends ? -13 : 13), y: y + (kind === "baseline" ? 18 : -10), "text-anchor": ends ? "end" : "start", class: "halo" }, title));
    }
    const [x, y] = put(state.place[across], state.place[up]);
    parts.push(make("path", { d: `M${x - 13},${y}h26M${x},${y - 13}v26`, class: "cross" }));
    axis(parts, own(factors[across], state.place), left, top + size, size, true);
    axis(parts, own(factors[up], state.place), left, top, size, false);
    const title = `Predicted ${response.label} over ${lower(factors[across].label)} and ${lower(factors[up].label)}, the others as set.`;
    const svg = drawing(width, top + size + 50, title, [...parts, ...bar(scale, left + size + 16, top, size)]);
    byId("explorer-map").replaceChildren(svg);
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect(), unit = width / box.width;
      const [right, down] = [(event.clientX - box.left) * unit, (event.clientY - box.top) * unit];
      const far = (setting) => Math.hypot(...put(setting.place[across], setting.place[up]).map((v, i) => v - [right, down][i]));
      const ring = drawn.filter((setting) => isOnAxes(setting.place) && far(setting) < NEAR).sort((a, b) => far(a) - far(b))[0];
      const place = [(2 * (right - left)) / size - 1, (2 * (top + size - down)) / size - 1];
      if (!ring && !place.every((v) => Math.abs(v) <= 1.05)) return;
      [across, up].forEach((n, i) => { state.place[n] = ring ? ring.place[n] : stops[n][nearestStop(n, place[i])]; });
      changed();
    });
    const absent = [across, up].find((number) => !exists(number, state.place));
    if (absent !== undefined) {
      const owner = factors[absent].when[0];
      byId("explorer-map-range").textContent = `${factors[absent].label} does not exist at ${lower(factors[owner].label)} ${factors[owner].levels[state.place[owner]]}.`;
      return;
    }
    byId("explorer-map-range").textContent = `${title} Yellow is better; rings are measured means here, dots settings elsewhere.${study.where ? " What the design forbids is blank." : ""}`;
  }

  const rank = (part) => ["rect", "circle"].indexOf(part.tagName) + (part.classList.contains("off") ? -0.5 : 0);

  function star(x, y) {
    const point = (i) => [x + (i % 2 ? 4 : 10) * Math.sin((i * Math.PI) / 5), y - (i % 2 ? 4 : 10) * Math.cos((i * Math.PI) / 5)];
    return `M${[...Array(10).keys()].map((i) => point(i).map((v) => v.toFixed(1)).join(",")).join("L")}z`;
  }

  function axis(parts, factor, left, top, size, across) {
    for (const [i, level] of factor.levels.entries()) {
      const share = isNamed(factor) ? (i + 0.5) / factor.levels.length : (coded(factor, level) + 1) / 2;
      const low = isNamed(factor) ? 14 + 12 * (i % 2) : 22; // names are long
      const [x, y] = across ? [left + share * size, top + low] : [left - 12, top + size - share * size + 4];
      parts.push(make("text", { x, y, "text-anchor": across ? "middle" : "end" }, asLevel(level)));
    }
    const middle = across ? { x: left + size / 2, y: top + 42 } : { x: -(top + size / 2), y: 13, transform: "rotate(-90)" };
    parts.push(make("text", { ...middle, "text-anchor": "middle", class: "title" }, factor.label));
  }

  function drawProfiles() {
    const response = responses[state.response], scale = scaleOf(shownColumn());
    const width = 230, height = 194, left = 52, bottom = 46, top = 10;
    const lines = factors.map((factor, number) => (!exists(number, state.place) ? [] : isNamed(factor) ? stops[number] : [...Array(LINE).keys()].map((i) => -1 + (2 * i) / (LINE - 1)))
      .map((x) => ({ x, ...predict(response, moved({ [number]: x })) })));
    const dots = factors.map((_, number) => drawn.filter((setting) => exists(number, setting.place) && isInSlice(setting, [number]) && measured(setting, response.name))
      .map((setting) => ({ x: setting.place[number], ...measured(setting, response.name) })));
    const range = ranged([...lines.flat().flatMap((at) => [at.low, at.high]), ...dots.flat().map((dot) => dot.mean)]);
    const down = (value) => scaled(value, range, height - bottom, top);
    byId("explorer-profiles").replaceChildren(...factors.map((factor, number) => {
      const ends = isNamed(factor) ? [-0.5, factor.levels.length - 0.5] : [-1, 1];
      const right = (x) => scaled(x, ends, left, width - 12), at = lines[number].filter((p) => p.value !== null);
      const path = (key) => at.map((p) => `${right(p.x).toFixed(1)},${down(p[key]).toFixed(1)}`);
      const parts = isNamed(factor) ? at.flatMap((p) => [
        make("line", { x1: right(p.x), x2: right(p.x), y1: down(p.low), y2: down(p.high), class: "curve" }),
        make("path", { d: `M${right(p.x) - 6},${down(p.value)}h12`, class: "curve" }),
      ]) : at.length ? [
        make("path", { d: `M${path("low").join("L")}L${path("high").reverse().join("L")}z`, class: "band" }),
        make("path", { d: `M${path("value").join("L")}`, class: "curve" }),
      ] : [];
      parts.push(make("line", { x1: right(state.place[number]), x2: right(state.place[number]), y1: top, y2: height - bottom, class: "cross" }),
        ...thirds(range).map((value) => make("text", { x: left - 6, y: down(value) + 4, "text-anchor": "end" }, shown(value))),
        ...dots[number].map((dot) => make("circle", { cx: right(dot.x), cy: down(dot.mean), r: 5, fill: colourOf(dot.mean, scale), class: "ring" },
          make("title", {}, `${shown(dot.mean)} measured (${dot.count} runs)`))));
      axis(parts, own(factor, state.place), left, height - bottom, width - 12 - left, true);
      return drawing(width, height, `Predicted ${response.label} along ${lower(factor.label)}, the others as set, with its interval.`, parts);
    }));
  }
