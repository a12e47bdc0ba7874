  // The design's condition, computed as study/conditions.py does: true, false, or null where it does not apply. --------

  const equal = (a, b) => a === b || (isNumber(a) && Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b)));
  const OPERATIONS = {
    "<": (a, b) => a < b && !equal(a, b), "<=": (a, b) => a < b || equal(a, b), ">": (a, b) => a > b && !equal(a, b),
    ">=": (a, b) => a > b || equal(a, b), "==": equal, "!=": (a, b) => !equal(a, b),
    "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b,
  };

  function joined(decides, parts, levelOf) {
    let known = true;
    for (const part of parts) {
      const found = said(part, levelOf);
      if (found === decides) return decides;
      known &&= found !== null;
    }
    return known ? !decides : null;
  }

  // Throws where something is divided by 0 or too large.
  function said(tree, levelOf) {
    if (isNumber(tree)) return tree;
    const [sign, ...parts] = tree;
    if (sign === "level") return parts[0];
    if (sign === "factor") return levelOf(parts[0]);
    if (sign === "and" || sign === "or") return joined(sign === "or", parts, levelOf);
    const values = parts.map((part) => said(part, levelOf));
    if (values.includes(null)) return null;
    if (sign === "not") return !values[0];
    const found = OPERATIONS[sign](...values);
    if (isNumber(found) && !Number.isFinite(found)) throw new RangeError("no value");
    return found;
  }

  function isForbidden(levelOf) {
    try { return Boolean(study.where) && said(study.where, levelOf) === false; } catch { return true; }
  }
