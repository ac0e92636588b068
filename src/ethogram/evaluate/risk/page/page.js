// Search, filter and verdicts of the queue. Everything stays on this machine: verdicts lie in the browser's storage.
(() => {
  const cases = [...document.querySelectorAll("#cases > .case")];
  if (!cases.length) return;
  const find = document.getElementById("find"), count = document.getElementById("count");
  const buttons = [...document.querySelectorAll(".choices button")];
  const key = (one) => `ethogram verdict ${document.title} ${one.dataset.user} ${one.dataset.session || ""}`;
  const kept = { get: (k) => { try { return localStorage.getItem(k) || ""; } catch { return ""; } },
    set: (k, v) => { try { v ? localStorage.setItem(k, v) : localStorage.removeItem(k); } catch { /* no storage */ } } };
  const verdict = (one) => one.querySelector(".verdict select");
  let shown = "all";

  function update() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let there = 0;
    for (const one of cases) {
      const kind = shown === "all" || shown === one.dataset.kind || (shown === "open" && !verdict(one).value);
      one.hidden = !(kind && words.every((w) => one.dataset.words.includes(w)));
      there += !one.hidden;
    }
    const done = cases.filter((one) => verdict(one).value).length;
    count.textContent = `${there} of ${cases.length} cases` + (done ? `, ${done} with a verdict` : "");
  }

  // a spreadsheet runs what begins like a formula, so such a cell begins with an apostrophe
  const cell = (text) => `"${String(text ?? "").replace(/^(?=[=+\-@\t\r])/, "'").replaceAll('"', '""')}"`;
  function download() {
    const rows = cases.filter((one) => verdict(one).value)
      .map((one) => [one.dataset.user, one.dataset.session || "", one.dataset.risk, verdict(one).value]);
    const text = [["user", "session", "risk", "verdict"], ...rows].map((r) => r.map(cell).join(",")).join("\r\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text + "\r\n"], { type: "text/csv" }));
    link.download = "verdicts.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  for (const one of cases) {
    const chosen = verdict(one);
    one.querySelector(".verdict").hidden = false;
    chosen.value = kept.get(key(one));
    chosen.addEventListener("change", () => { kept.set(key(one), chosen.value); update(); });
  }
  for (const button of buttons) button.addEventListener("click", () => {
    shown = button.dataset.show;
    for (const b of buttons) b.setAttribute("aria-pressed", String(b === button));
    update();
  });
  find.addEventListener("input", update);
  document.getElementById("download").addEventListener("click", download);
  document.querySelector(".tools").hidden = false;
  update();
})();
