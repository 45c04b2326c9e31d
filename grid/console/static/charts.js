"use strict";
// Charts of plan against actual: uPlot on columns from the console, redrawn when they change.
(() => {
  const root = document.querySelector("[data-charts]");
  if (!root) return;
  let etag = null;
  let plots = [];
  const escape = (text) => document.createTextNode(text);
  const make = (name, className, ...children) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    node.append(...children);
    return node;
  };
  const swatch = (series) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("width", "26"); svg.setAttribute("height", "8"); svg.setAttribute("aria-hidden", "true");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [key, value] of Object.entries({ x1: 0, y1: 4, x2: 26, y2: 4, stroke: series.color, "stroke-width": series.width || 2.5 })) line.setAttribute(key, value);
    if (series.dash) line.setAttribute("stroke-dasharray", series.dash.join(" "));
    svg.append(line);
    return svg;
  };
  const hhmm = (zone) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit" });
  const nowLine = (at) => ({
    hooks: { draw: [(plot) => {
      const x = Math.round(plot.valToPos(at, "x", true));
      plot.ctx.save();
      plot.ctx.strokeStyle = "#5b666f"; plot.ctx.setLineDash([2, 3]); plot.ctx.beginPath();
      plot.ctx.moveTo(x, plot.bbox.top); plot.ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
      plot.ctx.stroke(); plot.ctx.restore();
    }] },
  });
  const flag = "#c77700";
  const flags = (starts, step) => ({
    hooks: { draw: [(plot) => {
      const size = 6 * devicePixelRatio;
      plot.ctx.save();
      plot.ctx.fillStyle = flag;
      for (const at of starts) {
        const x = plot.valToPos(at, "x", true);
        plot.ctx.fillRect(x, plot.bbox.top, Math.max(plot.valToPos(at + step, "x", true) - x - 1, 1), size);
      }
      plot.ctx.restore();
    }] },
  });
  const table = (data, chart, estimated) => {
    const clock = hhmm(data.zone);
    const head = make("tr", "", make("th", "", root.dataset.time), ...chart.series.map((s) => make("th", "n", s.label)));
    const rows = data.x.map((at, i) => chart.series.some((s) => s.values[i] !== null)
      ? make("tr", "", make("th", "", clock.format(at * 1000) + (estimated.includes(at) ? " ≈" : "")), ...chart.series.map((s) => make("td", "n", s.values[i] === null ? "–" : s.values[i].toFixed(chart.step ? 4 : 1))))
      : null).filter(Boolean);
    const details = make("details", "", make("summary", "", root.dataset.table));
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(make("div", "table", make("table", "", make("thead", "", head), make("tbody", "", ...rows))));
    });
    return details;
  };
  const draw = (data) => {
    const open = new Set([...root.querySelectorAll("details[open]")].map((d) => d.parentElement.dataset.title));
    plots.forEach((plot) => plot.destroy());
    plots = [];
    root.replaceChildren();
    for (const chart of data.charts) {
      const panel = make("section", "panel", make("h2", "", chart.title + " ", make("small", "", chart.unit)));
      panel.dataset.title = chart.title;
      root.append(panel);
      const used = chart.series.filter((s) => s.values.some((v) => v !== null));
      if (!used.length) { panel.append(make("p", "soft", escape(root.dataset.empty))); continue; }
      const estimated = chart.metered ? data.estimated : [];
      const notes = estimated.length ? [make("li", "flagged", swatch({ color: flag, width: 7 }), " ≈ " + root.dataset.estimated)] : [];
      panel.append(make("ul", "legend", ...used.map((s) => make("li", "", swatch(s), " " + s.label)), ...notes));
      const place = make("div", "plot");
      panel.append(place);
      const stepped = uPlot.paths.stepped({ align: 1 });
      const options = {
        width: place.clientWidth, height: 190, legend: { show: false },
        tzDate: (at) => uPlot.tzDate(new Date(at * 1000), data.zone),
        cursor: { points: { size: 6 } },
        scales: { x: { time: true }, y: { range: (plot, low, high) => [Math.min(0, low), high <= 0 ? 1 : high * 1.08] } },
        axes: [
          { stroke: "#5b666f", grid: { stroke: "#e3e7ea" }, ticks: { stroke: "#c9cfd4" }, values: [[3600, "{HH}:{mm}", "\n{DD}.{MM}.", null, "\n{DD}.{MM}.", null, null, null, 1], [60, "{HH}:{mm}", null, null, null, null, null, null, 1]] },
          { stroke: "#5b666f", grid: { stroke: "#e3e7ea" }, ticks: { stroke: "#c9cfd4" }, size: 52 },
        ],
        series: [{}, ...chart.series.map((s) => ({ label: s.label, stroke: s.color, dash: s.dash || undefined, width: 1.8, points: { show: false }, paths: stepped }))],
        bands: chart.band ? [{ series: chart.band, fill: "rgba(86,180,233,.22)" }] : [],
        plugins: [flags(estimated, data.step_s), nowLine(data.now_s)],
      };
      plots.push(new uPlot(options, [data.x, ...chart.series.map((s) => s.values)], place));
      const details = table(data, chart, estimated);
      panel.append(details);
      if (open.has(chart.title)) details.open = true;
    }
  };
  const load = async () => {
    if (document.hidden || root.contains(document.activeElement)) return;
    try {
      const answer = await fetch(root.dataset.charts, { headers: etag ? { "If-None-Match": etag } : {} });
      if (answer.status !== 200) return;
      etag = answer.headers.get("ETag");
      draw(await answer.json());
    } catch { /* the live part shows that the connection is gone */ }
  };
  let resized = 0;
  window.addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(() => plots.forEach((plot) => plot.setSize({ width: plot.root.parentElement.clientWidth, height: 190 })), 150);
  });
  load();
  setInterval(load, 5000);
})();
