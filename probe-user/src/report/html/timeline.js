// Lets a reader move in the timelines. The page has them as pictures of the whole session; they are drawn anew for each part, the
// same way: columns, steps, and a band from the lowest to the highest value of a column. Times are microseconds.
(function () {
  "use strict";
  const source = document.getElementById("timeline-data");
  if (!source) {
    return;
  }
  const WIDTH = 1000;
  const data = JSON.parse(source.textContent);
  const whole = { from: 0, to: data.duration };
  const shortest = Math.max(100, data.duration / 100000);
  let view = { from: whole.from, to: whole.to };
  // The moment whose values are shown; null shows the end.
  let cursor = null;

  function sums(differences) {
    let sum = 0;
    return differences.map(function (difference) { return (sum += difference); });
  }
  function counterOf(raw) {
    const value = sums(raw.v);
    return {
      name: raw.name,
      time: sums(raw.t),
      last: value,
      low: raw.lo ? value.map(function (v, at) { return v - raw.lo[at]; }) : value,
      high: raw.hi ? value.map(function (v, at) { return v + raw.hi[at]; }) : value,
    };
  }

  // Number of points up to a time.
  function until(counter, time) {
    let low = 0;
    let high = counter.time.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (counter.time[middle] <= time) { low = middle + 1; } else { high = middle; }
    }
    return low;
  }
  function columns(counter, count, knownTo) {
    const length = view.to - view.from;
    let next = until(counter, view.from - 0.5);
    let held = next > 0 ? counter.last[next - 1] : null;
    const list = [];
    for (let column = 0; column < count; column++) {
      if (view.from + (column * length) / count > knownTo) {
        list.push(null);
        continue;
      }
      const end = view.from + ((column + 1) * length) / count;
      let here = held === null ? null : { low: held, high: held, last: held };
      while (next < counter.time.length) {
        const time = counter.time[next];
        if (time >= end && !(column + 1 === count && time <= end)) {
          break;
        }
        here = here || { low: counter.low[next], high: counter.high[next], last: 0 };
        here.low = Math.min(here.low, counter.low[next]);
        here.high = Math.max(here.high, counter.high[next]);
        here.last = held = counter.last[next];
        next++;
      }
      list.push(here);
    }
    return list;
  }

  function scaleOf(low, high, height) {
    const bottom = Math.min(0, low);
    const range = Math.max(1, high - bottom);
    return function (value) {
      const tenths = height * 10 - 30;
      return (tenths - Math.floor(((value - bottom) * tenths) / range) + 15) / 10;
    };
  }
  function place(column, count) {
    return Math.floor((column * WIDTH) / count);
  }
  function steps(list, y) {
    let path = "";
    let at = null;
    list.forEach(function (column, number) {
      if (!column) {
        return;
      }
      const here = y(column.last);
      if (here !== at) {
        const x = place(number, list.length);
        path += at === null ? "M" + x + " " + here : "H" + x + "V" + here;
        at = here;
      }
    });
    const known = list.reduce(function (last, column, number) { return column ? number + 1 : last; }, 0);
    return at === null ? "" : path + "H" + place(known, list.length);
  }
  function band(list, y) {
    const zero = y(0);
    let path = "";
    for (let column = 0; column < list.length; ) {
      const here = list[column];
      let end = column + 1;
      if (here) {
        while (end < list.length && list[end] && list[end].high === here.high) {
          end++;
        }
        const top = y(here.high);
        if (top !== zero) {
          path += "M" + place(column, list.length) + " " + zero + "V" + top + "H" + place(end, list.length) + "V" + zero + "Z";
        }
      }
      column = end;
    }
    return path;
  }
  function highest(list) {
    return list.reduce(function (most, column) { return column ? Math.max(most, column.high) : most; }, 0);
  }
  function lowest(list) {
    return list.reduce(function (least, column) { return column ? Math.min(least, column.low) : least; }, 0);
  }

  const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  function bytes(number) {
    let size = Math.abs(number);
    let unit = 0;
    while (size >= 1024 && unit < 6) {
      size /= 1024;
      unit++;
    }
    const digits = size >= 100 || Number.isInteger(size) ? 0 : size >= 10 ? 1 : 2;
    const power = Math.pow(10, digits);
    return (number < 0 ? "-" : "") + (Math.floor(size * power) / power).toFixed(digits) + " " + UNITS[unit];
  }
  function two(number) {
    return String(number).padStart(2, "0");
  }
  // With the digits that matter in a picture that is so long.
  function clock(time, length) {
    const seconds = Math.floor(time / 1e6);
    if (length < 50e3) {
      return "+" + (time / 1e6).toFixed(6) + " s";
    }
    if (length < 120e6) {
      return "+" + (Math.floor(time / 1e3) / 1e3).toFixed(3) + " s";
    }
    const minutes = two(Math.floor(seconds / 60) % 60) + ":" + two(seconds % 60);
    return data.duration < 3600e6 ? "+" + minutes : "+" + Math.floor(seconds / 3600) + ":" + minutes;
  }

  function laneOf(element, raw, knownTo) {
    const svg = element.querySelector(".plot");
    return {
      counters: raw.counters.map(counterOf),
      knownTo: knownTo,
      isStack: raw.stack,
      height: svg.viewBox.baseVal.height,
      paths: Array.from(svg.querySelectorAll("path")),
      value: element.querySelector(".lane-value"),
      top: element.querySelector(".lane-top"),
    };
  }
  function drawLine(lane) {
    const counter = lane.counters[0];
    const list = columns(counter, WIDTH, lane.knownTo);
    const most = highest(list);
    const y = scaleOf(lowest(list), most, lane.height);
    lane.paths[0].setAttribute("d", band(list, y));
    lane.paths[1].setAttribute("d", steps(list, y));
    lane.top.textContent = "up to " + bytes(most);
  }
  function drawStack(lane) {
    const parts = lane.counters.slice(0, -1);
    const total = columns(lane.counters[lane.counters.length - 1], WIDTH, lane.knownTo);
    const all = parts.map(function (part) { return columns(part, WIDTH, lane.knownTo); });
    const levels = [];
    all.forEach(function (list, part) {
      levels.push(list.map(function (column, number) {
        if (!column) {
          return null;
        }
        const below = part > 0 && levels[part - 1][number];
        const sum = column.last + (below ? below.last : 0);
        return { low: sum, high: sum, last: sum };
      }));
    });
    const most = Math.max(highest(total), highest(levels[levels.length - 1]));
    const y = scaleOf(0, most, lane.height);
    // The page has the part on top first.
    levels.reverse().forEach(function (list, at) { lane.paths[at].setAttribute("d", band(list, y)); });
    lane.paths[lane.paths.length - 1].setAttribute("d", steps(total, y));
  }

  const charts = Array.from(document.querySelectorAll(".timeline")).map(function (part) {
    const element = part.querySelector(".chart");
    const raw = data.filesystems[Number(part.dataset.fs)];
    const line = document.createElement("div");
    line.className = "cursor";
    const selection = document.createElement("div");
    selection.className = "selection";
    const readout = document.createElement("div");
    readout.className = "readout";
    readout.setAttribute("role", "status");
    element.append(line, selection);
    element.after(readout);
    return {
      part: part,
      element: element,
      lanes: Array.from(element.querySelectorAll("[data-lane]")).map(function (lane) {
        return laneOf(lane, raw.lanes[Number(lane.dataset.lane)], raw.to);
      }),
      axis: element.querySelector(".axis"),
      plot: element.querySelector(".lane-plot"),
      time: element.querySelector(".axis-lane .lane-value"),
      marks: Array.from(element.querySelectorAll(".mark")),
      line: line,
      selection: selection,
      readout: readout,
    };
  });

  function percent(time) {
    return ((time - view.from) / (view.to - view.from)) * 100;
  }
  function drawMark(mark) {
    const from = Number(mark.dataset.from);
    const to = Number(mark.dataset.to);
    const inside = to >= view.from && from <= view.to;
    const picture = mark.querySelector("svg");
    mark.style.display = inside ? "" : "none";
    if (!inside) {
      return;
    }
    const left = Math.max(0, percent(from));
    picture.setAttribute("x", left + "%");
    if (picture.classList.contains("span")) {
      picture.setAttribute("width", Math.max(0.3, Math.min(100, percent(to)) - left) + "%");
    }
  }
  function drawAxis(chart) {
    const labels = Array.from(chart.axis.querySelectorAll("text"));
    const length = view.to - view.from;
    labels.forEach(function (label, number) {
      label.textContent = clock(view.from + (length * number) / (labels.length - 1), length);
    });
  }
  function draw(chart) {
    if (!chart.part.open) {
      return;
    }
    chart.lanes.forEach(function (lane) { (lane.isStack ? drawStack : drawLine)(lane); });
    chart.marks.forEach(drawMark);
    drawAxis(chart);
    point(chart);
  }

  function valueAt(counter, time) {
    const after = until(counter, time);
    if (after === 0) {
      return null;
    }
    return { last: counter.last[after - 1], high: counter.high[after - 1] };
  }
  function say(lane, value, more) {
    lane.value.textContent = value;
    if (more) {
      const part = document.createElement("span");
      part.className = "more-high";
      part.textContent = more;
      lane.value.append(" ", part);
    }
  }
  function show(lane, time) {
    if (time > lane.knownTo && cursor !== null) {
      say(lane, "gone");
      return;
    }
    const values = lane.counters.map(function (counter) { return valueAt(counter, time); });
    if (lane.isStack) {
      const total = values[values.length - 1];
      const taken = values.slice(0, -1).reduce(function (sum, value) { return value ? sum + value.last : sum; }, 0);
      if (total && values[0]) {
        const share = Math.floor((taken * 100) / Math.max(1, total.last));
        say(lane, "used " + bytes(values[0].last), share + "% taken");
      }
      return;
    }
    if (!values[0]) {
      say(lane, "not known yet");
      return;
    }
    const spike = cursor !== null && values[0].high > values[0].last;
    say(lane, bytes(values[0].last), spike ? "up to " + bytes(values[0].high) : "");
  }
  // Where the pictures are in a chart.
  function area(chart) {
    const outer = chart.element.getBoundingClientRect();
    const inner = chart.plot.getBoundingClientRect();
    return { left: inner.left - outer.left, width: inner.width, page: inner.left };
  }
  function point(chart) {
    const inside = cursor !== null && cursor >= view.from && cursor <= view.to;
    chart.line.style.display = inside ? "block" : "none";
    if (inside) {
      const place = area(chart);
      chart.line.style.left = place.left + (percent(cursor) * place.width) / 100 + "px";
    }
    chart.time.textContent = cursor === null ? "at the end" : "at " + clock(cursor, Math.min(view.to - view.from, 119e6));
    chart.lanes.forEach(function (lane) { show(lane, cursor === null ? whole.to : cursor); });
  }
  function pointAll() {
    charts.forEach(function (chart) {
      if (chart.part.open) {
        point(chart);
      }
    });
  }
  function look(from, to) {
    const length = Math.min(whole.to, Math.max(shortest, to - from));
    const begin = Math.max(0, Math.min(whole.to - length, from));
    view = { from: begin, to: begin + length };
    charts.forEach(draw);
  }
  function zoom(factor, around) {
    const length = view.to - view.from;
    const share = (around - view.from) / length;
    const from = around - (length / factor) * share;
    look(from, from + length / factor);
  }
  function middle() {
    const inside = cursor !== null && cursor >= view.from && cursor <= view.to;
    return inside ? cursor : (view.from + view.to) / 2;
  }
  function moveCursor(time) {
    cursor = Math.max(whole.from, Math.min(whole.to, time));
    if (cursor < view.from || cursor > view.to) {
      const length = view.to - view.from;
      const from = cursor < view.from ? cursor : cursor - length;
      look(from, from + length);
    } else {
      pointAll();
    }
  }

  const KEYS = {
    "+": function () { zoom(2, middle()); },
    "=": function () { zoom(2, middle()); },
    "-": function () { zoom(0.5, middle()); },
    "0": function () { cursor = null; look(whole.from, whole.to); },
    Home: function () { moveCursor(view.from); },
    End: function () { moveCursor(view.to); },
    Escape: function () { cursor = null; pointAll(); },
  };
  function arrow(event) {
    const direction = event.key === "ArrowLeft" ? -1 : 1;
    const length = view.to - view.from;
    if (event.shiftKey) {
      look(view.from + (direction * length) / 10, view.to + (direction * length) / 10);
    } else {
      moveCursor(cursor === null ? middle() : cursor + (direction * length) / 100);
    }
  }
  function key(chart, event) {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      arrow(event);
    } else if (KEYS[event.key]) {
      KEYS[event.key]();
    } else {
      return;
    }
    event.preventDefault();
    const values = chart.lanes.map(function (lane) { return lane.value.textContent; });
    chart.readout.setAttribute("aria-label", chart.time.textContent + ": " + values.join("; "));
  }

  charts.forEach(function (chart) {
    const element = chart.element;
    let drag = null;
    function timeAt(event) {
      const place = area(chart);
      const share = Math.max(0, Math.min(1, (event.clientX - place.page) / place.width));
      return view.from + share * (view.to - view.from);
    }
    element.addEventListener("pointermove", function (event) {
      cursor = timeAt(event);
      pointAll();
      if (drag !== null) {
        const place = area(chart);
        const ends = [percent(drag), percent(cursor)].sort(function (a, b) { return a - b; });
        chart.selection.style.display = "block";
        chart.selection.style.left = place.left + (ends[0] * place.width) / 100 + "px";
        chart.selection.style.width = ((ends[1] - ends[0]) * place.width) / 100 + "px";
      }
    });
    element.addEventListener("pointerdown", function (event) {
      if (event.button === 0 && !event.target.closest("a") && event.pointerType !== "touch") {
        drag = timeAt(event);
        element.setPointerCapture(event.pointerId);
        element.focus({ preventScroll: true });
        event.preventDefault();
      }
    });
    element.addEventListener("pointerup", function (event) {
      chart.selection.style.display = "none";
      const begun = drag;
      drag = null;
      const ended = timeAt(event);
      if (begun !== null && Math.abs(percent(ended) - percent(begun)) > 1) {
        look(Math.min(begun, ended), Math.max(begun, ended));
      }
    });
    element.addEventListener("pointercancel", function () {
      drag = null;
      chart.selection.style.display = "none";
    });
    element.addEventListener("pointerleave", function () {
      if (drag === null && !element.contains(document.activeElement)) {
        cursor = null;
        pointAll();
      }
    });
    element.addEventListener("dblclick", function () { look(whole.from, whole.to); });
    element.addEventListener("wheel", function (event) {
      // Else the page could not be scrolled past it.
      if (!event.ctrlKey && !element.contains(document.activeElement)) {
        return;
      }
      event.preventDefault();
      zoom(event.deltaY < 0 ? 1.25 : 0.8, timeAt(event));
    }, { passive: false });
    element.addEventListener("keydown", function (event) { key(chart, event); });
    chart.marks.forEach(function (mark) {
      function tell() { chart.readout.textContent = mark.getAttribute("aria-label"); }
      mark.addEventListener("focus", function () {
        tell();
        moveCursor(Number(mark.dataset.from));
      });
      mark.addEventListener("pointerenter", tell);
      mark.addEventListener("pointerleave", function () { chart.readout.textContent = ""; });
      mark.addEventListener("blur", function () { chart.readout.textContent = ""; });
    });
    chart.part.addEventListener("toggle", function () { draw(chart); });
  });
  addEventListener("resize", pointAll);
})();
