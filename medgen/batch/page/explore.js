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

/* What is asked for: a ScanSpec. Controls show it, and one that is moved replaces what its name says, nothing else. */
let order = { contrast: "T1", sex: "female", age_years: 62, ventricles: { factor: 1 } };
const controls = [...by("order").querySelectorAll("[name]")];
const part = (name) => name.slice(0, Math.max(name.lastIndexOf("."), 0));
const get = (name) => name.split(".").reduce((inner, key) => inner?.[key], order);
const heads = controls.filter((control) => "none" in control.dataset); // at data-none, their part is not there at all

/* Write what a control says into the order; "" is what is not said. */
function put({ name, type, value, dataset }) {
  const keys = name.split("."), field = keys.pop(), key = keys.at(-1);
  const holder = keys.length > 1 ? (order[keys[0]] ??= []) : order;
  if (value === dataset.none) { if (Array.isArray(holder)) holder.splice(Number(key), 1); else delete holder[key]; return; }
  const inner = keys.length ? (holder[key] ??= {}) : order;
  inner[field] = value === "" ? undefined : type === "range" ? Number(value) : value;
}

const middle = (value) => (typeof value === "object" ? ((value.low ?? value.high) + (value.high ?? value.low)) / 2 : value);

function told(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.join(" x ");
  if (typeof value !== "object") return String(value);
  if (value.low === undefined) return `up to ${value.high}`;
  if (value.high === undefined) return `at least ${value.low}`;
  return value.low === value.high ? String(value.low) : `${value.low} to ${value.high}`;
}

/* What of the order no control shows, by name: "lesion 1: oedema yes". */
function unseen() {
  const names = new Set(controls.map((control) => control.name)), lines = {};
  const walk = (value, keys) => {
    if (value === undefined || names.has(keys.join("."))) return;
    if (typeof value === "object" && !("low" in value || "high" in value || typeof value[0] === "number")) {
      for (const [key, inner] of Object.entries(value)) walk(inner, [...keys, key]);
      return;
    }
    const [, field, unit] = keys.at(-1).match(/^(.*?)(?:_(mm|years|t))?$/);
    const of = keys.slice(0, -1).map((key) => (key === "lesions" ? "lesion" : isNaN(key) ? key.replaceAll("_", " ") : Number(key) + 1)).join(" ");
    (lines[of] ??= []).push(`${field} ${told(value)}${unit ? ` ${unit === "t" ? "T" : unit}` : ""}`);
  };
  walk(order, []);
  return Object.entries(lines).map(([of, said]) => (of ? `${of}: ` : "") + said.join(", ")).join("; ");
}

function show() {
  for (const control of controls) {
    const value = get(control.name), output = control.parentElement.querySelector("output");
    const head = heads.find((other) => part(other.name) === part(control.name)), absent = head !== undefined && get(part(control.name)) === undefined;
    control.disabled = absent && control !== head;
    if (control.type !== "range") control.value = value ?? "";
    else control.value = value !== undefined ? middle(value) : absent && control === head ? control.dataset.none : control.defaultValue;
    if (output) output.textContent = value !== undefined ? told(value) + output.dataset.unit : absent ? "none" : "not said";
  }
  const rest = unseen();
  by("also").textContent = rest ? `Also, by the words: ${rest}.` : "";
}

async function make() {
  if (busy) { waiting = true; return; }
  busy = true;
  document.body.dataset.state = "making";
  say("Making ...");
  try {
    last = await ask("/make", { spec: order, seed: Number(by("seed").value) });
    const edits = last.edits.filter((edit) => edit.edit).map((edit) => {
      const size = [edit.obtained_mm !== undefined && `${edit.obtained_mm} mm`, edit.obtained_ml !== undefined && `${edit.obtained_ml} ml`,
        edit.oedema_ml && `oedema of ${edit.oedema_ml} ml`].filter(Boolean).join(", ");
      const where = [edit.toward && `to the ${edit.toward}`, edit.side, edit.place].filter(Boolean).join(" ");
      return `${edit.edit}: ${size}${where && ` (${where})`}`;
    });
    if (view) {
      for (const volume of [...view.volumes]) view.removeVolume(volume);
      await view.loadVolumes([{ url: `/made/${last.scan}?token=${token}`, name: last.scan }]);
      const lesion = last.edits.find((edit) => edit.edit === "lesion");
      if (lesion) view.scene.crosshairPos = view.mm2frac(lesion.centre_mm);
      view.updateGLVolume();
    }
    by("save").disabled = false;
    const { age_years, sex } = last.edits[0]; // of the head, said or drawn
    say([`${last.seconds} s`, ...edits, `${Math.round(age_years)} years, ${sex}`].join("; ") + (view ? "" : ". This browser has no WebGL 2: save the scan and open it in a viewer."));
    document.body.dataset.made = String(Number(document.body.dataset.made ?? 0) + 1);
  } catch (error) {
    say(error.message, true);
  }
  busy = false;
  document.body.dataset.state = "ready";
  if (waiting) { waiting = false; make(); }
}

by("read").addEventListener("click", async () => {
  by("understood").textContent = "";
  try {
    const told = await ask("/understand", { text: by("text").value });
    order = told.spec;
    show();
    const about = told.understood.map(([word, meaning]) => `${word} = ${meaning}`).join(", ");
    by("understood").textContent = [about && `Understood: ${about}.`, told.ignored.length && `Ignored: ${told.ignored.join(", ")}.`, ...told.warnings].filter(Boolean).join(" ");
  } catch (error) {
    say(error.message, true);
    return;
  }
  make();
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
by("order").addEventListener("input", ({ target }) => {
  if (!target.name) return;
  put(target);
  by("understood").textContent = ""; // no longer what is asked for
  show();
});
by("order").addEventListener("change", ({ target }) => { if (target.id !== "text") make(); });

(async () => {
  show();
  if (document.createElement("canvas").getContext("webgl2")) {
    view = new niivue.Niivue({ backColor: [0, 0, 0, 1], crosshairColor: [1, 0.75, 0.2, 0.8], isRadiologicalConvention: true, multiplanarLayout: 2, multiplanarShowRender: 0,
      dragAndDropEnabled: false, logLevel: "error", loadingText: "", sliceType: 3 });
    await view.attachToCanvas(by("view"));
  }
  await make();
})();
