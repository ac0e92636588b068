"use strict";
/* Clock, timeline, the chosen person; `stage.js` draws what happens. */
/* what was commanded from outside, and not planned by the world itself */
const directed = (e) => { try { const c = JSON.parse(e[TEXT]); return c.name && c.name !== "promote" && c.by !== "world"; } catch { return false; } };
const UI = {
  t: 0, person: 0, tab: 0, playing: null, stages: [],
  time(t) {
    if (!R.start) return `tick ${t.toLocaleString()}`;
    const at = new Date((R.start + t * R.length) / 1000).toISOString();
    return R.length >= 864e8 ? at.slice(0, 10) : `${at.slice(0, 10)} ${at.slice(11, R.length % 6e7 ? 19 : 16)}`;
  },
  setup() {
    $("name").textContent = R.run; $("sub").textContent = [R.title, R.minds !== null ? `${R.minds} minds` : "", R.lm ? `model: ${R.lm}` : "", ...R.branches.map((b) => `left ${b.of} at tick ${b.at}${b.do.length ? ": " + b.do.join("; ") : ""}`)].filter(Boolean).join(" · ");
    const facts = { ticks: R.ticks.toLocaleString(), events: R.total.toLocaleString(), people: R.people.length.toLocaleString(), ...Object.fromEntries(Object.entries(R.shares).map(([k, v]) => [`by ${k}`, v > .0005 && v < .9995 ? `${(100 * v).toFixed(1)}%` : v >= .9995 ? "100%" : "<0.1%"])) };
    if (R.calls) facts["model calls"] = R.calls.calls.toLocaleString();
    for (const k in facts) { const d = make("div"); d.append(make("dd", "", facts[k]), make("dt", "", k)); $("facts").append(d); }
    $("slider").max = R.ticks; $("slider").oninput = () => this.seek(+$("slider").value);
    $("play").onclick = () => this.play(); $("back").onclick = () => this.hop(-1); $("forth").onclick = () => this.hop(1);
    $("speed").onchange = () => { if (this.playing) { this.play(); this.play(); } };
    $("prev").onclick = () => this.choose((this.person + R.people.length - 1) % R.people.length); $("next").onclick = () => this.choose((this.person + 1) % R.people.length);
    for (const p of R.people.slice(0, 400)) { const o = make("option"); o.value = p.name; $("names").append(o); }
    $("search").onchange = () => { const q = $("search").value.toLowerCase(), i = R.people.findIndex((p) => p.name.toLowerCase() === q), j = i < 0 ? R.people.findIndex((p) => p.name.toLowerCase().includes(q)) : i; if (j >= 0 && q) { this.choose(j); $("search").value = ""; $("search").blur(); } };
    $("bins").onclick = (e) => this.seek(Math.round(e.offsetX / $("bins").clientWidth * R.ticks));
    ["Acts", "Memory", "Prompt"].forEach((name, i) => { const b = make("button", "", name); b.setAttribute("role", "tab"); b.onclick = () => { this.tab = i; this.side(); }; $("tabs").append(b); });
    addEventListener("keydown", (e) => this.key(e)); addEventListener("resize", () => this.draw()); matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.legend(); this.draw(); });
    const known = { map: Map_, feed: Feed, people: Grid }, own = known[R.view]; own.setup(); this.stages = [own];
    const first = R.people.findIndex((p) => p.mind); this.person = Math.max(0, first);
    this.legend();
    for (const l of R.left.slice(0, 12)) { if (!$("left").className) { $("left").className = "leftout"; $("left").append(make("strong", "", "Not on this page: ")); } else $("left").append("; "); $("left").append(l); }
    if (R.left.length) $("left").append(". The whole run is in its folder.");
    $("made").textContent = `Fingerprint ${R.fingerprint}. Each tick was repeated from the tape for this page, and ended as it had ended in the run; no model was asked.`;
    const from = /t=(\d+)/.exec(location.hash), who = /p=(\d+)/.exec(location.hash), tab = /tab=(\d)/.exec(location.hash);
    if (who) this.person = Math.min(R.people.length - 1, +who[1]); if (tab) this.tab = +tab[1];
    this.seek(from ? +from[1] : Math.min(R.ticks, R.events.length ? R.events[Math.min(R.events.length - 1, 30)][T] : 0));
  },
  legend() {
    $("legend").replaceChildren(...order.slice(0, 8).map((v, i) => { const s = make("span"), dot = make("i"); dot.style.background = verbColour(v); s.append(dot, i === 7 ? "others" : v); return s; }));
  },
  seek(t) { this.t = Math.max(0, Math.min(R.ticks, t)); this.draw(); },
  choose(i) { this.person = i; this.draw(); $("tab").scrollTop = 0; },
  hop(n) {
    const k = n > 0 ? eventsUpto(this.t) + n - 1 : eventsUpto(this.t - 1) + n, e = R.events[Math.max(0, Math.min(R.events.length - 1, k))];
    this.seek(n > 0 && k >= R.events.length ? R.ticks : n < 0 && k < 0 ? 0 : e ? e[T] : this.t);
  },
  play() {
    if (this.playing) { cancelAnimationFrame(this.playing); this.playing = null; $("play").textContent = "▶"; return; }
    if (this.t >= R.ticks) this.t = 0;
    $("play").textContent = "❚❚"; let last = performance.now(), part = this.t; const whole = Math.max(20, Math.min(120, R.ticks / 2));
    const go = (now) => {
      part += (now - last) / 1000 * R.ticks / whole * +$("speed").value; last = now;
      const next = R.events[eventsUpto(this.t)]; // nobody waits for people who sleep
      if (next && next[T] - part > R.ticks / 60) part = next[T] - R.ticks / 120;
      if (Math.floor(part) !== this.t) this.seek(Math.floor(part));
      if (this.t >= R.ticks) { this.playing = null; $("play").textContent = "▶"; return; }
      this.playing = requestAnimationFrame(go);
    };
    this.playing = requestAnimationFrame(go);
  },
  key(e) {
    if (/INPUT|SELECT|TEXTAREA/.test(e.target.tagName) && e.target.id !== "slider") { if (e.key === "Escape") e.target.blur(); return; }
    const n = e.shiftKey ? 10 : 1, did = { " ": () => this.play(), ArrowRight: () => this.hop(n), ArrowLeft: () => this.hop(-n), Home: () => this.seek(0), End: () => this.seek(R.ticks), j: () => $("next").click(), k: () => $("prev").click(), "/": () => $("search").focus(), 1: () => { this.tab = 0; this.side(); }, 2: () => { this.tab = 1; this.side(); }, 3: () => { this.tab = 2; this.side(); } }[e.key];
    if (!did || e.ctrlKey || e.metaKey || e.altKey || (e.key === " " && e.target.tagName === "BUTTON")) return; e.preventDefault(); did();
  },
  draw() {
    for (const s of this.stages) s.draw(this.t);
    $("slider").value = this.t; $("when").replaceChildren(this.time(this.t), make("small", "", `${R.start ? `tick ${this.t.toLocaleString()} of ` : "of "}${R.ticks.toLocaleString()}`));
    this.bins(); this.list(); this.side();
  },
  bins() {
    const c = $("bins"), w = c.clientWidth, h = 40, d = devicePixelRatio || 1; c.width = w * d; c.height = h * d; const g = c.getContext("2d"); g.scale(d, d);
    const sum = R.bins.map((b) => order.reduce((a, v) => a + (b[v] || 0), 0)), high = sum.filter((n) => n).sort((a, b) => a - b), top = Math.max(1, high[Math.floor(.97 * (high.length - 1))] || 1), k = w / R.bins.length, past = this.t / R.ticks * w;
    R.bins.forEach((b, i) => { let y = h; g.globalAlpha = i * k <= past ? 1 : .35; for (const v of order) { const n = Math.min((b[v] || 0) / top * (h - 8), Math.max(0, y)); if (!n) continue; g.fillStyle = verbColour(v); g.fillRect(i * k, y - n, Math.max(1, k - .8), n); y -= n; } });
    g.globalAlpha = 1; g.fillStyle = css("--second");
    for (const e of R.events) if (e[WHO] === -1 && directed(e)) { const x = e[T] / R.ticks * w; g.beginPath(); g.moveTo(x - 4, 0); g.lineTo(x + 4, 0); g.lineTo(x, 7); g.fill(); }
    g.fillStyle = css("--ink"); g.fillRect(Math.min(w - 1.5, past), 0, 1.5, h);
  },
  name(e) { return e[WHO] < 0 ? "the world" : R.people[e[WHO]].name; },
  what(e) {
    const v = R.verbs[e[VERB]];
    if (e[WHO] < 0) { try { const c = JSON.parse(e[TEXT]); return ["command", c.name ? `${c.name} ${Object.entries(c.arguments).map(([k, x]) => `${k}=${k === "persona" ? "…" : JSON.stringify(x)}`).join(" ")}` : e[TEXT]]; } catch { return [v, e[TEXT]]; } }
    return [v, here(on(e))];
  },
  line(e, withName) {
    const box = make("div"), [verb, object] = this.what(e), source = R.sources[e[VIA]];
    if (withName) box.append(make("strong", "", this.name(e)), " ");
    const v = make("span", "verb", verb); v.style.color = verbColour(verb); box.append(v, object ? ` ${object} ` : " ");
    if (verb === "rate" && e[VALUE] > 0 && e[VALUE] <= 10) box.append("★".repeat(Math.round(e[VALUE])), " ");
    if (source !== "rule" && source !== "world") box.append(make("span", `tag ${source}`, source), " ");
    if (e[WHO] < 0) box.append(make("span", "tag world", directed(e) ? "from outside" : "by itself"), " ");
    if (e[REFUSED]) box.append(make("span", "tag refused", "refused"));
    if (e[TEXT] && e[WHO] >= 0) box.append(make("div", "said", `“${e[TEXT]}”`));
    if (e[WHY]) box.append(make("div", "why", `because: ${e[WHY]}`));
    return box;
  },
  list() {
    const end = eventsUpto(this.t), rows = []; $("nowhead").textContent = end ? "Up to now" : "Nothing has happened yet";
    for (let i = end - 1; i >= 0 && rows.length < 14; i--) {
      const e = R.events[i]; if (quiet(e)) continue;
      const li = make("li", e[T] === R.events[end - 1][T] ? "now" : ""); li.append(make("time", "", this.time(e[T]).slice(R.start ? 5 : 0)), this.line(e, true));
      li.onclick = () => { if (e[WHO] >= 0) this.choose(e[WHO]); }; rows.push(li);
    }
    $("events").replaceChildren(...rows);
  },
  side() {
    const p = R.people[this.person], box = $("person"); if (!p) return; box.replaceChildren();
    const h = make("h3"), face = make("span", "face", initials(p.name)); face.style.background = colour(this.person); h.append(face, p.name); box.append(h, make("p", "sub", p.mind ? `played as ${p.mind}` : "follows a rule"));
    if (p.persona) { const d = make("details"), dl = make("dl"); d.append(make("summary", "", "Who that is")); d.open = this.open; d.ontoggle = () => { this.open = d.open; }; for (const k in p.persona) if (p.persona[k]) dl.append(make("dt", "", k), make("dd", "", p.persona[k])); d.append(dl); box.append(d); }
    const e = lastOf(this.person, this.t); if (e) { const act = make("div", "act"); act.append(make("div", "when", this.time(e[T])), this.line(e, false)); box.append(act); }
    const past = (p.memory || []).filter((m) => m[0] <= this.t), told = (p.prompts || []).filter((m) => m[0] <= this.t), k = upto(own[this.person].length, (i) => R.events[own[this.person][i]][T], this.t);
    [`Acts ${k}`, `Memory ${past.length}`, "Prompt"].forEach((name, i) => { const b = $("tabs").children[i]; b.textContent = name; b.setAttribute("aria-selected", i === this.tab); b.hidden = i > 0 && !p.mind; });
    const out = $("tab"), tab = p.mind ? this.tab : 0;
    if (tab === 2) {
      const m = told[told.length - 1]; if (!m) return out.replaceChildren(make("p", "sub", p.prompts && p.prompts.length ? `Its first prompt on this page is of ${this.time(p.prompts[0][0])}.` : "No prompt of it is on this page."));
      return out.replaceChildren(make("div", "when", `what it was told at ${this.time(m[0])}`), make("pre", "", m[1]));
    }
    const ul = make("ul");
    if (tab === 1) for (const m of past.slice(-150).reverse()) { const li = make("li"), bar = make("span", "weight"); bar.style.width = `${Math.max(2, Math.min(10, m[2]) * 2.4)}px`; bar.title = `importance ${m[2]}`; li.append(bar, make("span", "when", `${this.time(m[0]).slice(R.start ? 5 : 0)} ${m[1]} `), m[3]); ul.append(li); }
    else for (const i of own[this.person].slice(Math.max(0, k - 300), k).reverse()) { if (quiet(R.events[i])) continue; const li = make("li"); li.append(make("span", "when", this.time(R.events[i][T]).slice(R.start ? 5 : 0)), this.line(R.events[i], false)); ul.append(li); }
    out.replaceChildren(ul.childNodes.length ? ul : make("p", "sub", tab ? "It remembers nothing yet." : "It has done nothing yet."));
  },
};
UI.setup();
