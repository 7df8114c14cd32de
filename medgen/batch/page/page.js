"use strict";

/* Tables: a click on a heading sorts by it, another turns the order; empty cells stay last. */
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
    const order = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", order === 1 ? "ascending" : "descending");
    const numbers = heading.classList.contains("number");
    const key = (row) => row.cells[column].dataset.value;
    const compare = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      return order * (numbers ? a - b : a.localeCompare(b, undefined, { numeric: true }));
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => compare(key(a), key(b))));
  }));
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => {
    const text = document.getElementById(button.dataset.copy);
    getSelection().selectAllChildren(text);
    document.execCommand("copy"); // navigator.clipboard is not there on file://
    button.textContent = "Copied";
  });
}

/* Viewer: two linked NiiVue views of one case. */
async function openViewer(section) {
  const cases = JSON.parse(document.getElementById("viewer-data").textContent);
  const names = { difference: "result - input", error: "result - reference" };
  const [caseMenu, viewMenu, opacity] = ["case", "view", "opacity"].map((id) => document.getElementById(`viewer-${id}`));
  const menus = [...section.querySelectorAll(".viewer-layer")];
  const values = [...section.querySelectorAll(".viewer-value")];
  const place = document.getElementById("viewer-place");
  const short = (value) => Number(value.toPrecision(3)).toString();

  const views = [];
  for (const [side, canvas] of [...section.querySelectorAll("canvas")].entries()) {
    const view = new niivue.Niivue({
      backColor: [0, 0, 0, 1], crosshairColor: [1, 0.75, 0.2, 0.8], crosshairWidth: 0.7, crosshairWidthUnit: "percent", isRadiologicalConvention: true,
      multiplanarShowRender: 1, multiplanarLayout: 2, multiplanarPadPixels: 4, dragAndDropEnabled: false, logLevel: "error",
      loadingText: "", sliceType: 3, isSliceMM: false, textHeight: 0.035,
    });
    view.onLocationChange = (where) => tell(side, where);
    await view.attachToCanvas(canvas);
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      view.moveCrosshairInVox(...step);
      view.sync();
    });
    views.push(view);
  }
  views[0].broadcastTo([views[1]], { "2d": true, "3d": true });
  views[1].broadcastTo([views[0]], { "2d": true, "3d": true });

  function tell(side, where) {
    const one = cases[caseMenu.value];
    const value = where.values[0]?.value;
    values[side].textContent = value === undefined ? "" : `${short(value)}${one.units === "HU" ? " HU" : ""}`;
    if (side === 0) place.textContent = `R ${where.mm[0].toFixed(1)}, A ${where.mm[1].toFixed(1)}, S ${where.mm[2].toFixed(1)} mm`;
  }

  const load = (number, layer, colormap, alpha) => {
    const [low, high] = cases[number].layers[layer].window;
    const base64 = document.getElementById(`nifti-${number}-${layer}`).textContent.trim();
    return niivue.NVImage.loadFromBase64({ base64, name: "volume.nii.gz", colormap, opacity: alpha, cal_min: low, cal_max: high });
  };
  const numberOf = (layer) => cases[caseMenu.value].layers.findIndex((one) => one.layer === layer);

  async function show(side) {
    const view = views[side];
    const at = [...view.scene.crosshairPos];
    const kept = view.volumes.length > 0;
    const volumes = [await load(caseMenu.value, numberOf(menus[side].value), "gray", 1)];
    if (numberOf("uncertainty") >= 0) {
      volumes.push(await load(caseMenu.value, numberOf("uncertainty"), "inferno", opacity.value / 100));
    }
    while (view.volumes.length) view.removeVolume(view.volumes[0]);
    volumes.forEach((volume) => view.addVolume(volume));
    if (kept) view.scene.crosshairPos = at;
    view.updateGLVolume();
    view.createOnLocationChange();
  }

  async function choose() {
    const there = cases[caseMenu.value].layers.map((one) => one.layer);
    menus.forEach((menu, side) => {
      menu.replaceChildren(...there.map((layer) => new Option(names[layer] ?? layer, layer)));
      menu.value = side === 0 ? there[0] : "result";
    });
    document.getElementById("viewer-over").hidden = !there.includes("uncertainty");
    for (const view of views) view.scene.crosshairPos = [0.5, 0.5, 0.5];
    for (const side of views.keys()) await show(side);
    views.forEach((view) => view.moveCrosshairInVox(0, 0, 0)); // on a voxel's centre, where the wheel goes from
    section.dataset.ready = caseMenu.value;
  }

  caseMenu.addEventListener("change", choose);
  viewMenu.addEventListener("change", () => views.forEach((view) => view.setSliceType(Number(viewMenu.value))));
  opacity.addEventListener("input", () => views.forEach((view) => view.volumes.length > 1 && view.setOpacity(1, opacity.value / 100)));
  menus.forEach((menu, side) => menu.addEventListener("change", () => show(side)));
  await choose();
}

const viewer = document.getElementById("viewer");
if (viewer) {
  const fail = (why) => {
    const fault = document.getElementById("viewer-fault");
    fault.textContent = `The viewer cannot be shown: ${why}. The pictures below need no WebGL.`;
    fault.hidden = false;
    viewer.querySelector(".views").hidden = true;
    document.getElementById("viewer-place").textContent = "";
  };
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    if (!document.createElement("canvas").getContext("webgl2")) fail("this browser has no WebGL 2");
    else openViewer(viewer).catch((error) => fail(error.message));
  }, { rootMargin: "400px" }).observe(viewer);
}
