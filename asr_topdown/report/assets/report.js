"use strict";
// Learning curves: a click on a training draws them below it, from the records in #data.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const NS = "http://www.w3.org/2000/svg";
  const WIDTH = 400, HEIGHT = 230, LEFT = 52, RIGHT = 12, TOP = 26, BOTTOM = 40;

  function element(name, attributes, text) {
    const made = document.createElementNS(NS, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function shown(value) {
    return String(Number(value.toPrecision(6))).replace("-", "−");
  }

  // Round numbers from low to high; on a logarithmic axis 1, 2 and 5 times powers of ten, if they are enough.
  function ticks(low, high, count, logarithmic) {
    if (logarithmic) {
      const found = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
        for (const factor of [1, 2, 5]) {
          const value = factor * Math.pow(10, power);
          if (value >= low && value <= high) found.push(value);
        }
      if (found.length > 1) return found;
    }
    const raw = (high - low) / count, power = Math.pow(10, Math.floor(Math.log10(raw)));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= raw * 0.999);
    const found = [];
    for (let value = Math.ceil(low / step - 1e-9) * step; value <= high * (1 + 1e-9); value += step) found.push(value);
    return found;
  }

  // curves: [{name, values, look, dashes}], values by epoch, null where none was measured.
  function chart(title, epochs, curves, best, logarithmic) {
    const all = curves.flatMap((curve) => curve.values).filter((value) => value !== null && (!logarithmic || value > 0));
    const svg = element("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
    let low = Math.min(...all), high = Math.max(...all);
    const last = curves.map((curve) => `${curve.name} ${shown(Math.min(...curve.values.filter((one) => one !== null)))}`);
    svg.append(element("title", {}, `${title} by epoch; smallest: ${last.join(", ")}`));
    const room = logarithmic ? 1.08 : (high - low) * 0.06 || Math.abs(high) * 0.06 || 1;
    if (logarithmic) { low /= room; high *= room; } else { low -= room; high += room; }
    const map = logarithmic ? Math.log : Number;
    const from = Math.min(...epochs) - 0.5, to = Math.max(...epochs) + 0.5;
    const x = (epoch) => LEFT + (epoch - from) / (to - from) * (WIDTH - LEFT - RIGHT);
    const y = (value) => HEIGHT - BOTTOM - (map(value) - map(low)) / (map(high) - map(low)) * (HEIGHT - BOTTOM - TOP);
    svg.append(element("text", { class: "strong", x: LEFT, y: 14 }, title));
    for (const tick of ticks(low, high, 5, logarithmic)) {
      svg.append(element("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }));
      svg.append(element("text", { class: "end", x: LEFT - 6, y: y(tick) + 4 }, shown(tick)));
    }
    for (const tick of ticks(from, to, 6, false).filter((one) => Number.isInteger(one) && one > 0)) {
      svg.append(element("line", { class: "axis", x1: x(tick), x2: x(tick), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 }));
      svg.append(element("text", { class: "middle", x: x(tick), y: HEIGHT - BOTTOM + 16 }, shown(tick)));
    }
    svg.append(element("text", { class: "middle", x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4 }, "epoch"));
    if (best !== null) {
      svg.append(element("line", { class: "best", x1: x(best), x2: x(best), y1: TOP, y2: HEIGHT - BOTTOM }));
      const flush = x(best) > WIDTH / 2 ? "end" : "";
      svg.append(element("text", { class: flush, x: x(best) + (flush ? -4 : 4), y: TOP + 8 }, "best"));
    }
    for (const curve of curves) {
      const points = epochs.map((epoch, i) => [epoch, curve.values[i]]).filter(([, value]) => value !== null && (!logarithmic || value > 0));
      const places = points.map(([epoch, value]) => `${x(epoch).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
      svg.append(element("polyline", { class: `s c${curve.look}`, points: places, "stroke-dasharray": curve.dashes }));
      for (const [epoch, value] of points) {
        const dot = element("circle", { class: `m c${curve.look}`, cx: x(epoch), cy: y(value), r: epoch === best ? 4.5 : 2.2 });
        dot.append(element("title", {}, `${curve.name}, epoch ${epoch}: ${shown(value)}`));
        svg.append(dot);
      }
    }
    return svg;
  }

  function legend(curves) {
    const list = document.createElement("ul");
    list.className = "legend";
    for (const curve of curves) {
      const item = document.createElement("li"), key = element("svg", { class: "key", viewBox: "0 0 36 12", "aria-hidden": "true" });
      key.append(element("line", { class: `s c${curve.look}`, x1: 1, x2: 35, y1: 6, y2: 6, "stroke-dasharray": curve.dashes }));
      item.append(key, curve.name);
      list.append(item);
    }
    return list;
  }

  function draw(box, id) {
    const node = data.nodes[id];
    box.dataset.drawn = "yes";
    if (!node || !node.epochs.length) {
      box.textContent = "No epoch has been finished yet.";
      return;
    }
    const whole = (values) => values.length === node.epochs.length && values.some((value) => value !== null);
    const losses = [
      { name: "training loss", values: node.train, look: 4, dashes: "6 3" },
      { name: "dev loss", values: node.loss, look: 0, dashes: "none" },
    ].filter((curve) => whole(curve.values));
    const errors = [{ name: data.error, values: node.error, look: 1, dashes: "none" }].filter((curve) => whole(curve.values));
    const charts = document.createElement("div");
    charts.className = "charts";
    if (losses.length) charts.append(chart(data.loss, node.epochs, losses, node.best, true));
    if (errors.length) charts.append(chart(data.error, node.epochs, errors, node.best, false));
    box.append(charts, legend([...losses, ...errors]));
  }

  function open(item, wanted) {
    const button = item.querySelector("button.node"), box = document.getElementById(button.getAttribute("aria-controls"));
    if (wanted && !box.dataset.drawn) draw(box, item.dataset.node);
    button.setAttribute("aria-expanded", String(wanted));
    box.hidden = !wanted;
  }

  const items = [...document.querySelectorAll("li[data-node]")];
  const isOpen = (item) => item.querySelector("button.node").getAttribute("aria-expanded") === "true";
  for (const item of items)
    item.querySelector("button.node").addEventListener("click", () => open(item, !isOpen(item)));

  for (const button of document.querySelectorAll("button.all")) {
    const own = [...button.closest("p").nextElementSibling.querySelectorAll("li[data-node]")];
    button.hidden = own.length < 2;
    button.addEventListener("click", () => {
      const wanted = !own.every(isOpen);
      own.forEach((item) => open(item, wanted));
      button.textContent = wanted ? "hide all learning curves" : "show all learning curves";
    });
  }

  // A link to a training opens it.
  function follow() {
    const item = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (item && item.dataset.node) open(item, true);
  }
  addEventListener("hashchange", follow);
  follow();

  // On paper everything is open.
  let closed = [], folded = [];
  addEventListener("beforeprint", () => {
    closed = items.filter((item) => !isOpen(item));
    folded = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((item) => open(item, true));
    folded.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => {
    closed.forEach((item) => open(item, false));
    folded.forEach((one) => { one.open = false; });
  });
})();
