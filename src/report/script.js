
"use strict";
(() => {
  const all = (root, selector) => Array.from(root.querySelectorAll(selector));
  document.documentElement.classList.add("scripted");

  // Tables: press a heading to sort by it, largest first; what has no value stays last.
  for (const table of all(document, "table.sortable")) {
    const headings = all(table, "thead th");
    for (const button of all(table, "thead button")) {
      button.addEventListener("click", () => {
        const heading = button.closest("th");
        const column = headings.indexOf(heading);
        const number = heading.classList.contains("n");
        const before = heading.getAttribute("aria-sort");
        const falling = before ? before === "ascending" : number;
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
        const key = (row) => {
          const cell = row.cells[column];
          if (!number) return cell.dataset.value || cell.textContent;
          // Large tables leave their numbers to the text.
          const said = cell.dataset.value || cell.textContent.replace(/,/g, "").replace(/\u2212/g, "-");
          return said.trim() === "" ? NaN : Number(said);
        };
        const order = (left, right) => {
          const [a, b] = [key(left), key(right)];
          if (!number) return (falling ? -1 : 1) * a.localeCompare(b);
          if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
          return falling ? b - a : a - b;
        };
        const body = table.tBodies[0];
        body.append(...Array.from(body.rows).sort(order));
      });
    }
  }

  // What can be scrolled further to the right fades out there.
  for (const region of all(document, ".scroll, nav ul")) {
    const mark = () => region.parentElement.classList.toggle("more", region.scrollWidth - region.clientWidth - region.scrollLeft > 4);
    region.addEventListener("scroll", mark, { passive: true });
    new ResizeObserver(mark).observe(region);
  }

  // One of several tables.
  for (const select of all(document, "select[data-chooser]")) {
    const choices = all(document.getElementById(select.dataset.chooser), ".choice");
    const show = () => choices.forEach((choice) => { choice.hidden = choice.dataset.choice !== select.value; });
    select.addEventListener("change", show);
    show();
  }

  for (const button of all(document, ".copy")) {
    button.addEventListener("click", async () => {
      const text = button.previousElementSibling;
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        // Pages opened from a file may not reach the clipboard: select the text instead.
        getSelection().selectAllChildren(text);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  // Curves: the legend hides and lights them, the crosshair reads them.
  const minus = (value, sign) => {
    if (value === null) return "\u2013";
    const text = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
    const zero = text === "0.0";
    return (value < 0 && !zero ? "\u2212" : sign && !zero ? "+" : "") + text + "\u00a0%";
  };
  for (const linked of all(document, ".linked")) {
    const buttons = all(linked, ".legend button");
    for (const button of buttons) {
      const paths = all(linked, `path[data-series="${button.dataset.series}"]`);
      const light = (on) => () => paths.forEach((path) => path.classList.toggle("lit", on));
      button.addEventListener("click", () => {
        const shown = button.getAttribute("aria-pressed") === "false";
        button.setAttribute("aria-pressed", String(shown));
        paths.forEach((path) => path.classList.toggle("gone", !shown));
      });
      for (const event of ["mouseenter", "focus"]) button.addEventListener(event, light(true));
      for (const event of ["mouseleave", "blur"]) button.addEventListener(event, light(false));
    }
    const island = linked.dataset.curves && document.getElementById(linked.dataset.curves);
    if (!island) continue;
    const data = JSON.parse(island.textContent);
    const panes = linked.querySelector(".panes");
    const crosses = all(linked, ".cross");
    const moment = linked.querySelector(".moment");
    const last = data.at.length - 1;
    let stop = last;
    const show = (next, on) => {
      stop = Math.max(0, Math.min(last, next));
      const x = `${100 * data.at[stop]}%`;
      for (const cross of crosses) {
        cross.setAttribute("x1", x);
        cross.setAttribute("x2", x);
        cross.classList.toggle("on", on);
      }
      moment.textContent = data.time[stop];
      for (const button of buttons) {
        const series = button.dataset.series;
        button.querySelector(".now").textContent = minus(data.growth[series][stop], true);
        button.querySelector(".fall").textContent = minus(data.fall[series][stop], false);
      }
    };
    panes.addEventListener("pointermove", (event) => {
      const box = panes.querySelector("svg.chart").getBoundingClientRect();
      const place = (event.clientX - box.left) / box.width;
      let [low, high] = [0, last];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (data.at[middle] <= place) low = middle; else high = middle;
      }
      show(place - data.at[low] < data.at[high] - place ? low : high, true);
    });
    panes.addEventListener("pointerleave", () => show(last, false));
    panes.addEventListener("blur", () => show(last, false));
    panes.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -last, End: last }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      show(stop + step, true);
    });
  }

  // Maps of grids: numbers in the page become cells; the pointer and the arrow keys read them.
  const finite = (value) => value !== null && value !== undefined;
  const signed = (value, digits, sign) => {
    if (!finite(value)) return "\u2013";
    const text = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    const zero = !/[1-9]/.test(text);
    return (value < 0 && !zero ? "\u2212" : sign && !zero ? "+" : "") + text;
  };
  const written = {
    sharpe: (value, digits = 3) => signed(finite(value) ? value / 1000 : value, digits, false),
    total_return: (value, digits = 2) => signed(finite(value) ? value / 100 : value, digits, true) + (finite(value) ? "\u00a0%" : ""),
    max_drawdown: (value, digits = 2) => signed(finite(value) ? value / 100 : value, digits, false) + (finite(value) ? "\u00a0%" : ""),
    trades: (value) => signed(value, 0, false),
  };
  const colours = (element, name) => getComputedStyle(element).getPropertyValue(name).trim().split(/\s+/).map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  // Zero is the pale middle of the ramp where values lie on both sides of it; otherwise one half serves all values.
  const painter = (ramp, low, high, counts) => (value) => {
    const within = high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 1;
    let place = within;
    if (!counts && low < 0 && high > 0) place = (1 + Math.max(-1, Math.min(1, value / Math.max(-low, high)))) / 2;
    else if (!counts) place = low >= 0 ? 0.56 + 0.44 * within : 0.44 * within;
    const last = ramp.length - 1;
    const index = Math.min(last - 1, Math.floor(place * last));
    return ramp[index].map((from, channel) => Math.round(from + (place * last - index) * (ramp[index + 1][channel] - from)));
  };
  const fill = (canvas, colour) => {
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    for (let pixel = 0; pixel < canvas.width * canvas.height; pixel += 1) {
      const found = colour(pixel % canvas.width, Math.floor(pixel / canvas.width));
      if (found) image.data.set([...found, 255], 4 * pixel);
    }
    context.putImageData(image, 0, 0);
  };
  for (const map of all(document, ".grid-map")) {
    const data = JSON.parse(document.getElementById(map.dataset.map).textContent);
    const sizes = data.axes.map((axis) => axis.values.length);
    const [columns, rows] = sizes;
    const books = new Int32Array(sizes.reduce((product, size) => product * size, 1)).fill(-1);
    data.cell.reduce((cell, step, book) => { books[cell + step] = book; return cell + step; }, 0);
    const figure = map.querySelector("select[data-figure]");
    const slices = all(map, "select[data-slice]");
    const cells = map.querySelector(".cells");
    const cursor = map.querySelector(".cursor");
    const mark = map.querySelector(".best-book");
    const readout = map.querySelector(".readout");
    const best = readout.textContent;
    const part = (name) => map.querySelector(`.ramp .${name}`);
    // Row 0 is the lowest value of the second axis, at the bottom.
    const bookAt = (column, row) => {
      const rest = slices.reduceRight((place, select, index) => place * sizes[index + 2] + Number(select.value), 0);
      return books[column + columns * (row + rows * rest)];
    };
    const draw = () => {
      const values = data[figure.value];
      const counts = figure.value === "trades";
      // Counts spread over factors.
      const scaled = (value) => (counts ? Math.log1p(value) : value);
      const sorted = values.filter(finite).sort((left, right) => left - right);
      // A few extreme books must not take the colours from all others.
      const [low, high] = [sorted[Math.floor(0.01 * (sorted.length - 1))], sorted[Math.ceil(0.99 * (sorted.length - 1))]];
      const [from, to] = [scaled(low), scaled(high)];
      const paint = painter(colours(map, counts ? "--count-ramp" : "--ramp"), from, to, counts);
      fill(cells.querySelector("canvas"), (x, y) => {
        const value = values[bookAt(x, rows - 1 - y)];
        return finite(value) ? paint(scaled(value)) : null;
      });
      fill(map.querySelector(".ramp canvas"), (x) => paint(from + ((to - from) * x) / 199));
      const text = (value) => (finite(value) ? written[figure.value](value, figure.value === "sharpe" ? 2 : 1) : "");
      part("low").textContent = (low > sorted[0] ? "\u2264\u00a0" : "") + text(low);
      part("high").textContent = (high < sorted[sorted.length - 1] ? "\u2265\u00a0" : "") + text(high);
      const zero = -low / (high - low);
      part("middle").textContent = zero > 0.06 && zero < 0.94 ? "0" : "";
      part("middle").style.left = `${100 * zero}%`;
      mark.classList.toggle("elsewhere", slices.map((select) => select.value).join(",") !== mark.dataset.slice);
    };
    let [column, row] = [-1, -1];
    const show = (x, y) => {
      [column, row] = [Math.max(0, Math.min(columns - 1, x)), Math.max(0, Math.min(rows - 1, y))];
      const book = bookAt(column, row);
      const places = [column, row, ...slices.map((select) => Number(select.value))];
      const named = data.axes.map((axis, index) => `${axis.name} ${axis.values[places[index]]}`).join(", ");
      const said = { sharpe: "Sharpe", total_return: "return", max_drawdown: "max\u00a0drawdown", trades: "trades" };
      const figures = Object.keys(said).map((key) => `${said[key]}\u00a0${written[key](data[key][book])}`).join(", ");
      readout.textContent = `${named}: ${book < 0 ? "no book" : figures}`;
      cursor.setAttribute("x", `${(100 * column) / columns}%`);
      cursor.setAttribute("y", `${(380 * (rows - 1 - row)) / rows}`);
      cursor.classList.add("on");
    };
    const leave = () => {
      cursor.classList.remove("on");
      readout.textContent = best;
    };
    cells.addEventListener("pointermove", (event) => {
      const box = cells.querySelector("canvas").getBoundingClientRect();
      const [across, down] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      if (across < 0 || across >= 1 || down < 0 || down >= 1) leave();
      else show(Math.floor(across * columns), rows - 1 - Math.floor(down * rows));
    });
    cells.addEventListener("pointerleave", leave);
    cells.addEventListener("blur", leave);
    cells.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!step) return;
      event.preventDefault();
      if (column < 0) show(Math.floor(columns / 2), Math.floor(rows / 2));
      else show(column + step[0], row + step[1]);
    });
    for (const select of [figure, ...slices]) select.addEventListener("change", () => { draw(); leave(); });
    for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", draw);
    draw();
  }

  // A sweep: a line or a row under the pointer lights its trial everywhere.
  for (const sweep of all(document, ".sweep")) {
    const lines = sweep.querySelector(".parallel");
    const readout = sweep.querySelector(".readout");
    const rows = sweep.querySelector("table.every");
    if (!lines || !readout || !rows) continue;
    const titles = all(rows, "thead th").map((heading) => heading.textContent);
    const charts = all(sweep, "section svg").filter((chart) => chart.querySelector("path[data-trial]"));
    let followed = null;
    const follow = (trial) => {
      if (trial === followed) return;
      followed = trial;
      all(sweep, ".lit").forEach((mark) => mark.classList.remove("lit"));
      charts.forEach((chart) => chart.classList.toggle("following", trial !== null && !!chart.querySelector(`path[data-trial="${trial}"]`)));
      if (trial === null) {
        readout.textContent = "";
        return;
      }
      all(sweep, `[data-trial="${trial}"]`).forEach((mark) => mark.classList.add("lit"));
      const row = rows.querySelector(`tr[data-trial="${trial}"]`);
      const words = Array.from(row.cells).map((cell, index) => [titles[index], cell.textContent]).filter((pair) => pair[1] !== "");
      readout.textContent = words.map(([title, text]) => `${title}\u00a0${text}`).join(", ");
    };
    // The corners of each line, in the steps of its drawing.
    const corners = all(lines, "path[data-trial]").map((line) => {
      const numbers = line.getAttribute("d").match(/-?\d+/g).map(Number);
      return { trial: line.dataset.trial, x: numbers.filter((_, index) => index % 2 === 0), y: numbers.filter((_, index) => index % 2 === 1) };
    });
    lines.addEventListener("pointermove", (event) => {
      // As it is drawn: 2000 steps wide, the axes 316 pixels high below 40 for their names.
      const box = lines.getBoundingClientRect();
      const [x, y] = [(2000 * (event.clientX - box.left)) / box.width, event.clientY - box.top - 40];
      let [nearest, distance] = [null, 14];
      for (const line of corners) {
        const next = line.x.findIndex((corner) => corner >= x);
        if (next < 1) continue;
        const share = (x - line.x[next - 1]) / (line.x[next] - line.x[next - 1] || 1);
        const away = Math.abs(((line.y[next - 1] + share * (line.y[next] - line.y[next - 1])) * 316) / 1000 - y);
        // Later lines lie on top.
        if (away <= distance) [nearest, distance] = [line.trial, away];
      }
      follow(nearest);
    });
    lines.addEventListener("pointerleave", () => follow(null));
    for (const row of all(sweep, "tr[data-trial]")) {
      row.addEventListener("pointerenter", () => follow(row.dataset.trial));
      row.addEventListener("pointerleave", () => follow(null));
    }
  }
})();
