// The explorer: the fitted surfaces under sliders, and the runs in four views, in one closure. What it shows is in the
// address, so that a link leads to the same view.
(() => {
  "use strict";
  const holder = document.getElementById("explorer-data");
  if (!holder) return;
  const study = JSON.parse(holder.textContent);
{% include "explorer/base.js" %}
{% include "explorer/conditions.js" %}
{% include "explorer/surfaces.js" %}
{% include "explorer/pairs.js" %}
{% include "explorer/views.js" %}
{% include "explorer/runs.js" %}

  function update() {
    if (responses.length) {
      showPlace();
      drawMap();
      drawProfiles();
    }
    showPairs();
    drawScatter();
    drawParallel();
    showTable();
  }

  // Where a link to the explorer leads: to the first opened run, else to the top.
  function arrive() {
    if (!readAddress()) return;
    update();
    const run = [...state.opened][0];
    byId(run === undefined ? "explore" : `run-${run}`)?.scrollIntoView({ block: run === undefined ? "start" : "center" });
  }

  // After what a person does, not when the page opens: its address stays as it was then.
  function changed() {
    update();
    writeAddress();
  }

  if (responses.length) buildSliders();
  buildScatter();
  buildPairs();
  buildTable();
  update();
  arrive();
  window.addEventListener("hashchange", arrive);
})();
