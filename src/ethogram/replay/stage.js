"use strict";
/* The three stages: a map, a feed, people. Each has draw(t); what was shown is read from the run's data. */
const R = JSON.parse(document.getElementById("run").textContent);
const $ = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const make = (name, cls, text) => { const e = document.createElement(name); if (cls) e.className = cls; if (text !== undefined) e.textContent = text; return e; };
const T = 0, WHO = 1, VERB = 2, ON = 3, VIA = 4, OWNER = 5, REFUSED = 6, VALUE = 7, TEXT = 8, WHY = 9, NOTES = 10;
const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
const hue = (i) => (i * 137.508 + 205) % 360;
const colour = (i) => `hsl(${hue(i)} 48% ${dark() ? 46 : 40}%)`;
const initials = (name) => { const n = /^[a-z]{3,}[-_ ]?(\d{1,3})$/i.exec(name); if (n) return n[1]; const w = name.replace(/^person /, "").split(/\s+/); return (w.length > 1 ? w[0][0] + w[w.length - 1][0] : w[0].slice(0, 3)).toUpperCase(); };
const on = (e) => e[ON] < 0 ? "" : (R.things[`${R.verbs[e[VERB]]} ${e[ON]}`] || "");
const here = (name) => name.split(":").slice(-2).reverse().join(", ");
/* colours by how often a verb is used */
const order = (() => {
  const n = {}; for (const b of R.bins) for (const v in b) n[v] = (n[v] || 0) + b[v];
  return Object.keys(n).filter((v) => !R.engine.includes(v)).sort((a, b) => n[b] - n[a]);
})();
const verbColour = (v) => { const i = order.indexOf(v); return css(i < 0 || i > 6 ? "--c7" : `--c${i}`); };
/* places of events by person, and the last at or before a tick */
const own = R.people.map(() => []);
R.events.forEach((e, i) => { if (e[WHO] >= 0) own[e[WHO]].push(i); });
function upto(n, at, t) { let lo = 0, hi = n; while (lo < hi) { const mid = (lo + hi) >> 1; if (at(mid) <= t) lo = mid + 1; else hi = mid; } return lo; }
const eventsUpto = (t) => upto(R.events.length, (i) => R.events[i][T], t);
const lastOf = (p, t) => { const k = upto(own[p].length, (i) => R.events[own[p][i]][T], t); return k ? R.events[own[p][k - 1]] : null; };

/* what came first in what a person did last: what it says, before what follows for things */
const firstOf = (p, t) => { let k = upto(own[p].length, (i) => R.events[own[p][i]][T], t) - 1; if (k < 0) return null; while (k && R.events[own[p][k - 1]][T] === R.events[own[p][k]][T]) k--; return R.events[own[p][k]]; };
/* steps on a map are seen there, and would bury the rest in a list */
const quiet = (e) => R.view === "map" && !e[TEXT] && !e[WHY] && (/^\w+ \d+$/.test(on(e)) || R.engine[0] === R.verbs[e[VERB]]);

const Map_ = {
  at: null, tick: 0, used: 0, shape: null, hits: [],
  setup() {
    const c = $("map"); c.hidden = false;
    const plan = R.plan;
    if (plan) this.shape = { x: 0, y: 0, w: plan.width, h: plan.height };
    else {
      const xs = [...R.first.map((p) => p[0]), ...R.moves.map((m) => m[2])], ys = [...R.first.map((p) => p[1]), ...R.moves.map((m) => m[3])];
      const lo = [xs, ys].map((v) => v.reduce((a, b) => Math.min(a, b), Infinity)), hi = [xs, ys].map((v) => v.reduce((a, b) => Math.max(a, b), -Infinity));
      const pad = Math.max(hi[0] - lo[0], hi[1] - lo[1], 1e-6) * .06;
      this.shape = { x: lo[0] - pad, y: lo[1] - pad, w: hi[0] - lo[0] + 2 * pad, h: hi[1] - lo[1] + 2 * pad };
    }
    this.reset();
    c.addEventListener("click", (ev) => {
      const box = c.getBoundingClientRect(), x = ev.clientX - box.left, y = ev.clientY - box.top;
      let best = null, far = 18;
      for (const [p, px, py] of this.hits) { const d = Math.hypot(px - x, py - y); if (d < far) { far = d; best = p; } }
      if (best !== null) UI.choose(best);
    });
  },
  reset() { this.at = R.first.map((p) => p.slice()); this.used = 0; this.tick = 0; },
  seek(t) {
    if (t < this.tick) this.reset();
    while (this.used < R.moves.length && R.moves[this.used][0] <= t) { const m = R.moves[this.used++]; this.at[m[1]] = [m[2], m[3]]; }
    this.tick = t;
  },
  draw(t) {
    this.seek(t);
    const c = $("map"), s = this.shape, wide = c.clientWidth || 800;
    const k = Math.min(wide / s.w, innerHeight * .62 / s.h), high = Math.round(k * s.h), left = (wide - k * s.w) / 2, d = devicePixelRatio || 1;
    c.style.height = high + "px"; c.width = wide * d; c.height = high * d;
    const g = c.getContext("2d"); g.scale(d, d);
    const X = (x) => left + (x - s.x) * k, Y = (y) => (y - s.y) * k;
    if (R.plan) this.floor(g, X, Y, k);
    this.hits = [];
    const r = Math.max(8, Math.min(11, k * .55)), groups = {};
    this.at.forEach((p, i) => { (groups[p.join()] = groups[p.join()] || []).push(i); });
    this.trail(g, X, Y, k, t);
    const boxes = [];
    const small = this.at.length > 60;
    for (const key in groups) groups[key].forEach((i, n) => {
      const turn = groups[key].length > 1 ? 2 * Math.PI * n / groups[key].length : 0, off = groups[key].length > 1 ? r * .9 : 0;
      const half = R.plan ? .5 : 0, x = X(this.at[i][0] + half) + off * Math.cos(turn), y = Y(this.at[i][1] + half) + off * Math.sin(turn);
      this.hits.push([i, x, y]);
    });
    this.hits.sort((a, b) => (a[0] === UI.person) - (b[0] === UI.person));
    for (const [i, x, y] of this.hits) {
      g.beginPath(); g.arc(x, y, small ? r * .5 : r, 0, 7); g.fillStyle = colour(i); g.fill();
      g.lineWidth = i === UI.person ? 3 : 1.2; g.strokeStyle = i === UI.person ? css("--ink") : css("--paper"); g.stroke();
      if (!small) { g.fillStyle = "#fff"; g.font = `650 ${Math.round(r)}px system-ui`; g.textAlign = "center"; g.textBaseline = "middle"; g.fillText(initials(R.people[i].name).slice(0, 2), x, y + .5); }
    }
    const named = [];
    if (this.at.length <= 30) for (const [i, x, y] of this.hits.slice().reverse()) {
      if (named.some(([a, b]) => Math.abs(a - x) < 44 && Math.abs(b - y) < 13)) continue;
      named.push([x, y]); this.label(g, x, y + r + 2, i);
    }
    for (const [i, x, y] of this.hits.slice().reverse()) {
      const e = firstOf(i, t);
      if (e && e[TEXT] && t - e[T] < this.lasting(e) && !(e[VERB] >= 0 && R.engine.includes(R.verbs[e[VERB]]))) this.bubble(g, x, y - r - 4, e[TEXT], wide, boxes, i);
    }
  },
  label(g, x, y, i) {
    const name = R.people[i].name.split(" ")[0]; g.font = `${i === UI.person ? 700 : 550} 11px system-ui`; g.textAlign = "center"; g.textBaseline = "top";
    g.lineWidth = 3; g.strokeStyle = css("--paper"); g.globalAlpha = .85; g.strokeText(name, x, y); g.globalAlpha = 1; g.fillStyle = css("--ink"); g.fillText(name, x, y);
  },
  lasting(e) { return Math.max(4, Math.min(60, e[TEXT].length / 3, R.ticks / 40)); },
  trail(g, X, Y, k, t) {
    const half = R.plan ? .5 : 0, way = [];
    for (let i = this.used - 1; i >= 0 && way.length < 50; i--) if (R.moves[i][1] === UI.person) way.push(R.moves[i]);
    if (way.length < 2) return;
    g.strokeStyle = colour(UI.person); g.lineWidth = 2; g.globalAlpha = .45; g.setLineDash([3, 4]); g.beginPath();
    way.forEach((m, i) => g[i ? "lineTo" : "moveTo"](X(m[2] + half), Y(m[3] + half))); g.stroke(); g.setLineDash([]); g.globalAlpha = 1;
  },
  floor(g, X, Y, k) {
    const plan = R.plan, night = dark();
    g.fillStyle = night ? "#20281f" : "#eaf0e2"; g.fillRect(X(0), Y(0), plan.width * k, plan.height * k);
    (plan.sectors || []).forEach((sector, i) => (sector.arenas || []).forEach((arena) => {
      const [x0, y0, x1, y1] = arena.box, out = /park|garden|green|square|yard/i.test(sector.name + arena.name);
      g.fillStyle = out ? (night ? "#24382a" : "#d3e6c8") : `hsl(${hue(i)} ${night ? "18% 21%" : "50% 96%"})`;
      g.fillRect(X(x0), Y(y0), (x1 - x0 + 1) * k, (y1 - y0 + 1) * k);
      for (const o of arena.objects || []) { g.fillStyle = night ? "#4a505a" : "#c6cbd3"; g.fillRect(X(o.x) + k * .22, Y(o.y) + k * .22, k * .56, k * .56); }
    }));
    g.fillStyle = night ? "#454d58" : "#bcc3cc";
    plan.walls.forEach((row, y) => { for (let x = 0; x < row.length; x++) if (row[x] === "#") g.fillRect(X(x), Y(y), k + .5, k + .5); });
    g.textAlign = "center"; g.textBaseline = "top"; g.font = `600 ${Math.max(9, Math.min(13, k * .95))}px system-ui`;
    (plan.sectors || []).forEach((sector) => {
      const b = (sector.arenas || []).map((a) => a.box); if (!b.length) return;
      const x0 = Math.min(...b.map((v) => v[0])), x1 = Math.max(...b.map((v) => v[2])), y1 = Math.max(...b.map((v) => v[3]));
      const room = (x1 - x0 + 1) * k; let name = sector.name;
      while (name.length > 3 && g.measureText(name).width > room + k) name = name.slice(0, -2) + "…";
      g.fillStyle = night ? "#c8ced6" : "#444b55"; g.fillText(name, X((x0 + x1 + 1) / 2), Y(Math.min(y1 + 2, plan.height - 1.6)));
    });
  },
  bubble(g, x, y, text, wide, boxes, who) {
    g.font = "12px system-ui"; let words = text.split(/\s+/), lines = [""], most = 168;
    for (const w of words) { const l = lines[lines.length - 1]; if (l && g.measureText(l + " " + w).width > most) { if (lines.length === 3) { lines[2] += " …"; break; } lines.push(w); } else lines[lines.length - 1] = l ? l + " " + w : w; }
    const w = Math.max(...lines.map((l) => g.measureText(l).width)) + 14, h = lines.length * 15 + 8, bx = Math.max(3, Math.min(wide - w - 3, x - w / 2)), by = Math.max(3, y - h - 5);
    if (boxes.some((b) => bx < b[0] + b[2] && b[0] < bx + w && by < b[1] + b[3] && b[1] < by + h)) return;
    boxes.push([bx, by, w, h]);
    g.fillStyle = css("--paper"); g.strokeStyle = colour(who); g.lineWidth = 1.4; g.beginPath(); g.roundRect(bx, by, w, h, 7); g.fill(); g.stroke();
    g.beginPath(); g.moveTo(x - 4, by + h); g.lineTo(x, by + h + 5); g.lineTo(x + 4, by + h); g.fill();
    g.fillStyle = css("--ink"); g.textAlign = "left"; g.textBaseline = "top"; lines.forEach((l, i) => g.fillText(l, bx + 7, by + 5 + i * 15));
  },
};

const Feed = {
  sort: "newest", only: "all", most: 40, counts: new Map(), used: 0, tick: 0,
  setup() {
    $("feed").hidden = false;
    this.place = new Map(R.posts.map((p, i) => [p[0], i]));
    const bar = $("viewbar");
    const pick = (label, name, options) => {
      const s = make("select"); s.setAttribute("aria-label", label);
      for (const [v, t] of options) { const o = make("option", "", t); o.value = v; s.append(o); }
      s.onchange = () => { this[name] = s.value; UI.draw(); }; bar.append(s);
    };
    pick("Order", "sort", [["newest", "Newest first"], ["top", "Most reactions first"]]);
    const worded = R.posts.some((p) => p[5]) && R.posts.some((p) => !p[5]);
    pick("Which posts", "only", [["all", "All posts"], ...(worded ? [["words", "Only with words"]] : []), ["mine", "Of the chosen person"]]);
    this.said = make("span"); bar.append(this.said);
    if (worded) { this.only = "words"; bar.querySelectorAll("select")[1].value = "words"; }
  },
  root(n) { let i = this.place.get(n); while (i !== undefined && R.posts[i][2] === "repost" && R.posts[i][3] >= 0) { n = R.posts[i][3]; i = this.place.get(n); } return n; },
  seek(t) {
    if (t < this.tick) { this.counts.clear(); this.used = 0; }
    for (; this.used < R.events.length && R.events[this.used][T] <= t; this.used++) {
      const e = R.events[this.used], v = R.verbs[e[VERB]]; if (e[REFUSED] || e[ON] < 0 || !["like", "unlike", "dislike", "reply", "repost", "quote", "report"].includes(v)) continue;
      const n = this.root(e[ON]), c = this.counts.get(n) || {}; if (v === "unlike") c.like = (c.like || 1) - 1; else c[v] = (c[v] || 0) + 1; this.counts.set(n, c);
    }
    this.tick = t;
  },
  total(n) { const c = this.counts.get(n); return c ? Object.values(c).reduce((a, b) => a + b, 0) : 0; },
  draw(t) {
    this.seek(t);
    const end = upto(R.posts.length, (i) => R.posts[i][4], t); let shown = R.posts.slice(0, end).filter((p) => p[2] !== "repost");
    if (this.only === "words") shown = shown.filter((p) => p[5]); if (this.only === "mine") shown = shown.filter((p) => p[1] === UI.person);
    const all = shown.length;
    if (this.sort === "top") shown.sort((a, b) => this.total(b[0]) - this.total(a[0]) || b[4] - a[4]); else shown.reverse();
    this.said.textContent = `${all.toLocaleString()} of ${end.toLocaleString()} posts so far`;
    const box = $("feed"); box.replaceChildren(...shown.slice(0, this.most).map((p) => this.card(p, t)));
    if (all > this.most) { const more = make("button", "", "Show more"); more.onclick = () => { this.most += 80; UI.draw(); }; box.append(more); }
    if (!all) box.append(make("p", "sub", "Nobody has posted yet."));
  },
  card(p, t) {
    const who = R.people[p[1]], e = make("article", "post" + (t - p[4] < 1 ? " fresh" : "")), face = make("div", "face", initials(who.name)), side = make("div");
    face.style.background = colour(p[1]); face.onclick = () => UI.choose(p[1]);
    const head = make("div"), name = make("span", "who", who.name); name.onclick = face.onclick; head.append(name, " ", make("span", "meta", `${p[2] === "post" ? "" : p[2] === "reply" ? "answers · " : "quotes · "}${UI.time(p[4])}`));
    side.append(head, p[5] ? make("div", "body", p[5]) : make("div", "body none", "a post without words"));
    const parent = p[3] >= 0 && this.place.has(this.root(p[3])) ? R.posts[this.place.get(this.root(p[3]))] : null;
    if (parent) side.append(make("div", "quote", `${R.people[parent[1]].name}: ${parent[5] || "a post without words"}`));
    const c = this.counts.get(p[0]) || {}, row = make("div", "counts");
    for (const [v, sign] of [["reply", "↩"], ["repost", "⟳"], ["quote", "❝"], ["like", "♥"], ["dislike", "▽"], ["report", "⚑"]]) if (c[v]) { const s = make("span", "", `${sign} ${c[v]}`); s.title = v; row.append(s); }
    if (row.childNodes.length) side.append(row); e.append(face, side); return e;
  },
};

const Grid = {
  setup() {
    $("grid").hidden = false;
    this.cells = R.people.map((p, i) => { const b = make("button"), name = make("span", "", p.name), act = make("small", "", " "); b.append(name, act); b.onclick = () => UI.choose(i); $("grid").append(b); return [b, act]; });
  },
  draw(t) {
    this.cells.forEach(([b, act], i) => {
      const e = lastOf(i, t); b.classList.toggle("on", i === UI.person); act.textContent = e ? `${R.verbs[e[VERB]]} ${on(e)}` : "–";
      b.style.borderLeftColor = e ? verbColour(R.verbs[e[VERB]]) : css("--rule"); b.style.opacity = e && t - e[T] <= Math.max(3, R.ticks / 50) ? 1 : .62;
    });
  },
};
