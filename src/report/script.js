
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
          return number ? (cell.dataset.value === undefined ? NaN : Number(cell.dataset.value)) : cell.dataset.value || cell.textContent;
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
})();
