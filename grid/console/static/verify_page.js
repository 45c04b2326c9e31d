"use strict";
// The form of the verifier: what a person was given, how far the worker is, and its verdict.
(() => {
  const form = document.querySelector("form[data-verify]");
  const REMEMBERED = `khazri.verifier-key ${form.dataset.base}`;
  const part = (name) => form.querySelector(`[data-part=${name}]`);
  const field = (name) => form.elements.namedItem(name);
  const verdict = part("verdict");
  const bar = part("progress");
  let worker = null;

  const told = (name, facts = {}) => {
    const text = form.querySelector(`[data-text="${name}"]`) || form.querySelector("[data-text=crash]");
    return text.textContent.trim().replace(/\{(\w+)\}/g, (whole, fact) => (fact in facts ? String(facts[fact]) : whole));
  };
  // Text only: what a lying server sends must not become markup.
  const say = (kind, lines) => {
    verdict.className = kind ? `notice ${kind}` : "";
    verdict.replaceChildren(...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
  };
  const busy = (is) => {
    field("start").disabled = is;
    part("cancel").hidden = part("running").hidden = !is;
  };
  const stop = () => {
    if (worker) worker.terminate();
    worker = null;
    busy(false);
  };

  function show(verified, { reason, facts, entry, ...report }) {
    if (verified) {
      const more = report.earlier > 0 ? [told("earlier_holds", report)] : [];
      if (report.keys > 1) more.push(told("keys", { count: report.keys - 1 }));
      return say("good", [`✓ ${told("verified", report)}`, ...more, told("root_is", report)]);
    }
    const where = entry ? [told("entry", { ...entry, interval: entry.interval || "–" })] : [];
    return say("bad", [`◆ ${told("not_verified")}`, ...where, told(reason, facts)]);
  }

  async function hasEd25519() {
    try {
      const point = Uint8Array.from({ length: 32 }, (_, at) => (at ? 0x66 : 0x58));
      await crypto.subtle.importKey("raw", point, "Ed25519", false, ["verify"]);
      return true;
    } catch { return false; }
  }

  function remember() {
    // A browser may refuse to keep anything: then it is pasted again.
    try {
      if (field("remember").checked) localStorage.setItem(REMEMBERED, field("key").value.trim());
      else localStorage.removeItem(REMEMBERED);
    } catch { field("remember").checked = false; }
  }

  async function start() {
    remember();
    busy(true);
    bar.value = 0;
    say("", []);
    part("count").textContent = "";
    if (!await hasEd25519()) {
      busy(false);
      return say("bad", [`◆ ${told("no_ed25519")}`]);
    }
    worker = new Worker(form.dataset.worker);
    worker.addEventListener("message", ({ data }) => {
      if ("verified" in data) {
        stop();
        return show(data.verified, data.report);
      }
      bar.max = data.size;
      bar.value = data.done;
      part("count").textContent = `${data.done} / ${data.size}`;
    });
    worker.addEventListener("error", () => { stop(); show(false, { reason: "crash", facts: { message: form.dataset.worker } }); });
    const shown = document.querySelector("[data-canonical]");
    const note = field("earlier") ? field("earlier").value.trim() : "";
    worker.postMessage({
      what: form.dataset.verify, base: form.dataset.base, key: field("key").value.trim(),
      earlier: note && `${note}\n`, sequence: Number(form.dataset.sequence),
      shown: shown ? shown.textContent : "", keys: (form.dataset.keys || "").split(" ").filter(Boolean).map(Number),
    });
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); start(); });
  part("cancel").addEventListener("click", () => { stop(); say("", [told("cancelled")]); field("start").focus(); });
  form.addEventListener("change", async (event) => {
    const { fills } = event.target.dataset;
    if (fills && event.target.files.length) field(fills).value = (await event.target.files[0].text()).trim();
    if (event.target.name === "remember") remember();
  });
  try {
    const kept = localStorage.getItem(REMEMBERED);
    if (kept) { field("key").value = kept; field("remember").checked = true; }
  } catch { /* nothing is kept */ }
})();
