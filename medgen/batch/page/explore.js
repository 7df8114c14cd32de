"use strict";
const token = document.body.dataset.token;
const by = (id) => document.getElementById(id);
const said = by("said");
let last = null, busy = false, waiting = false, view = null;

function say(text, error = false) {
  said.textContent = text;
  said.classList.toggle("error", error);
}

async function ask(path, content) {
  const answer = await fetch(path, { method: "POST", headers: { "X-Token": token, "Content-Type": "application/json" }, body: JSON.stringify(content) });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}

const exact = (value) => ({ low: Number(value), high: Number(value) });

/* The specification that the sliders stand for; what only words can say (a plane, voxels ...) is kept from them. */
let words = {};
function spec() {
  const out = { ...words, contrast: by("contrast").value, sex: by("sex").value, age_years: exact(by("age").value), ventricles: { factor: Number(by("ventricles").value) } };
  if (by("atrophy").value !== "none") out.atrophy = { grade: by("atrophy").value };
  const shift = Number(by("shift").value);
  if (shift) out.midline_shift = { toward: shift < 0 ? "left" : "right", mm: exact(Math.abs(shift)) };
  if (by("kind").value) out.lesions = [{ kind: by("kind").value, side: by("side").value, place: by("place").value, diameter_mm: exact(by("size").value), count: exact(1) }];
  for (const name of ["noise", "motion"]) if (by(name).value !== "none") out[name] = by(name).value;
  return out;
}

function show() {
  for (const output of document.querySelectorAll("output")) output.textContent = output.previousElementSibling.value + output.dataset.unit;
  for (const id of ["side", "place", "size"]) by(id).disabled = !by("kind").value;
}

async function make() {
  if (busy) { waiting = true; return; }
  busy = true;
  document.body.dataset.state = "making";
  say("Making ...");
  try {
    last = await ask("/make", { spec: spec(), seed: Number(by("seed").value) });
    const edits = last.edits.filter((edit) => edit.edit).map((edit) => `${edit.edit}: ${edit.obtained_ml ?? edit.obtained_mm ?? ""} ${edit.obtained_ml !== undefined ? "ml" : "mm"}`);
    if (view) {
      for (const volume of [...view.volumes]) view.removeVolume(volume);
      await view.loadVolumes([{ url: `/made/${last.scan}?token=${token}`, name: last.scan }]);
    }
    by("save").disabled = false;
    say([`${last.seconds} s`, ...edits].join("; ") + (view ? "" : ". This browser has no WebGL 2: save the scan and open it in a viewer."));
    document.body.dataset.made = String(Number(document.body.dataset.made ?? 0) + 1);
  } catch (error) {
    say(error.message, true);
  }
  busy = false;
  document.body.dataset.state = "ready";
  if (waiting) { waiting = false; make(); }
}

by("read").addEventListener("click", async () => {
  try {
    const told = await ask("/understand", { text: by("text").value });
    const { contrast, sex, age_years, ventricles, atrophy, midline_shift, lesions, noise, motion, ...rest } = told.spec;
    words = rest;
    const middle = (range, other) => (range ? ((range.low ?? range.high) + (range.high ?? range.low)) / 2 : other);
    if (contrast) by("contrast").value = contrast;
    if (sex) by("sex").value = sex;
    by("age").value = middle(age_years, by("age").value);
    by("ventricles").value = ventricles ? ventricles.factor : 1;
    by("atrophy").value = atrophy ? atrophy.grade : "none";
    by("shift").value = midline_shift ? (midline_shift.toward === "left" ? -1 : 1) * middle(midline_shift.mm, 7) : 0;
    const lesion = (lesions ?? [])[0];
    by("kind").value = lesion ? (lesion.kind === "unspecified" ? "ms-like" : lesion.kind) : "";
    if (lesion) {
      if (lesion.side === "left" || lesion.side === "right") by("side").value = lesion.side;
      if ([...by("place").options].some((option) => option.value === lesion.place)) by("place").value = lesion.place;
      by("size").value = middle(lesion.diameter_mm, 10);
    }
    by("noise").value = noise ?? "none";
    by("motion").value = motion ?? "none";
    show();
    await make();
    const about = told.understood.map(([word, meaning]) => `${word} = ${meaning}`).join(", ");
    say(`${said.textContent} Understood: ${about}.${told.ignored.length ? ` Ignored: ${told.ignored.join(", ")}.` : ""}`);
  } catch (error) {
    say(error.message, true);
  }
});

by("another").addEventListener("click", () => { by("seed").value = String((Number(by("seed").value) + 1) % 2147483648); make(); });
by("save").addEventListener("click", () => {
  for (const name of [last.scan, last.sidecar]) {
    const link = document.createElement("a");
    link.href = `/made/${name}?token=${token}`;
    link.download = name;
    link.click();
  }
});
by("order").addEventListener("submit", (event) => event.preventDefault());
by("order").addEventListener("input", show);
by("order").addEventListener("change", (event) => { if (event.target.id !== "text") make(); });

(async () => {
  show();
  if (document.createElement("canvas").getContext("webgl2")) {
    view = new niivue.Niivue({ backColor: [0, 0, 0, 1], crosshairColor: [1, 0.75, 0.2, 0.8], isRadiologicalConvention: true, multiplanarLayout: 2, multiplanarShowRender: 0,
      dragAndDropEnabled: false, logLevel: "error", loadingText: "", sliceType: 3 });
    await view.attachToCanvas(by("view"));
  }
  await make();
})();
