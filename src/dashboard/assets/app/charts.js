/* The six charts. Chart.js draws; colours come from the style sheet, so that dark mode and paper are its matter. Lines
 * differ by dash and mark, bars by hatching too. Nothing moves by itself. */

const charts = new Map();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

/* A hatched fill in this colour: 0 full, 1 and 2 diagonal, 3 dots. */
function hatch(tone, kind) {
  if (kind === 0) return tone;
  const tile = document.createElement("canvas"), size = 8;
  tile.width = tile.height = size;
  const c = tile.getContext("2d");
  c.fillStyle = tone;
  c.strokeStyle = colour("paper");
  c.fillRect(0, 0, size, size);
  c.lineWidth = 2;
  c.beginPath();
  for (const d of [-size, 0, size]) {
    if (kind === 1) c.moveTo(d - 1, size + 1), c.lineTo(d + size + 1, -1);
    if (kind === 2) c.moveTo(d - 1, -1), c.lineTo(d + size + 1, size + 1);
  }
  c.stroke();
  c.fillStyle = colour("paper");
  if (kind === 3) c.fillRect(1, 1, 3, 3), c.fillRect(5, 5, 3, 3);
  return c.createPattern(tile, "repeat");
}

function line(label, tone, dash, mark, data) {
  return {label, data, borderColor: colour(tone), backgroundColor: colour(tone), borderDash: dash, pointStyle: mark, borderWidth: 2,
    pointRadius: data.length > 40 ? 0 : 3, pointHoverRadius: 5, pointHitRadius: 10, spanGaps: true};
}

function bars(label, tone, kind, data) {
  return {label, data, backgroundColor: hatch(colour(tone), kind), borderColor: colour(tone), borderWidth: 1, maxBarThickness: 40};
}

/* Ticks at full seconds, minutes, hours: at most five of them. */
function timeTicks(sums) {
  const most = Math.max(1, ...sums), s = 1000, min = 60 * s, h = 60 * min;
  const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, s, 2 * s, 5 * s, 10 * s, 15 * s, 30 * s, min, 2 * min, 5 * min, 10 * min, 15 * min, 30 * min, h, 2 * h, 3 * h, 6 * h, 12 * h, 24 * h];
  return {beginAtZero: true, step: steps.find((x) => most / x <= 5) || most / 5};
}

function tickDuration(ms) {
  const units = [[3600000, " h"], [60000, " min"], [1000, " s"]];
  const unit = units.find(([size]) => ms >= size && ms % (size / 2) === 0);
  return ms === 0 ? "0" : unit ? ms / unit[0] + unit[1] : duration(ms);
}

function options(kind, format, bounds) {
  const soft = colour("soft"), rule = colour("rule"), font = {family: getComputedStyle(document.body).fontFamily, size: 12};
  const stacked = kind === "bar";
  return {
    animation: false, responsive: true, maintainAspectRatio: false, normalized: true, interaction: {mode: "index", intersect: false},
    scales: {
      x: {stacked, title: {display: true, text: "round", color: soft, font}, ticks: {color: soft, font, maxRotation: 0, autoSkipPadding: 12}, grid: {display: false}},
      y: {stacked, ...bounds, ticks: {color: soft, font, maxTicksLimit: 7, stepSize: bounds.step, callback: bounds.step ? tickDuration : format}, grid: {color: rule, borderColor: rule}},
    },
    plugins: {
      legend: {position: "bottom", align: "start", labels: {color: colour("ink"), font, usePointStyle: !stacked, boxWidth: stacked ? 14 : 8, boxHeight: stacked ? 10 : 8, padding: 10}},
      tooltip: {animation: false, callbacks: {title: (items) => "round " + items[0].label, label: (item) => item.dataset.label + ": " + (stacked ? format(item.raw) : figure(item.raw))},
        backgroundColor: colour("ink"), titleColor: colour("paper"), bodyColor: colour("paper"), titleFont: font, bodyFont: font, footerFont: font},
    },
  };
}

function draw(id, kind, labels, datasets, format, bounds) {
  let chart = charts.get(id);
  if (!window.Chart) return;
  if (!chart) {
    chart = new Chart($("chart-" + id), {type: kind, data: {labels: [], datasets: []}, options: options(kind, format, bounds)});
    charts.set(id, chart);
  }
  /* What is hidden by a click in the legend stays so. */
  datasets.forEach((d, i) => (d.hidden = chart.data.datasets.length > i && !chart.isDatasetVisible(i)));
  chart.options = options(kind, format, bounds);
  chart.data.labels = labels;
  chart.data.datasets = datasets;
  chart.update("none");
}

/* One sentence for those who do not see the picture. */
function caption(id, title, rounds, name, format, more) {
  const some = rounds.filter((r) => known(r[name])), last = some[some.length - 1];
  put("cap-" + id, h("b", {}, title), last ? [" ", more + " " + format(some[0][name]) + " in round " + count(some[0].round) +
    (some.length > 1 ? ", " + format(last[name]) + " in round " + count(last.round) : "") + "."] : " no figures yet.");
}

let drawn = "";

/* Structures of a mask beside their mean: tone, dash, mark. More would not be told apart; the table has them all. */
const PARTS = [["plain", [6, 4], "rect"], ["central", [2, 3], "triangle"], ["alone", [8, 3, 2, 3], "rectRot"]];

function viewCharts(job, again) {
  const rounds = job ? list(job.history) : [];
  if (rounds.length === 0) return;
  const now = JSON.stringify([job.id, rounds]);
  if (now === drawn && !again) return;
  drawn = now;
  const labels = rounds.map((r) => count(r.round)), of = (name) => rounds.map((r) => (known(r[name]) ? r[name] : null));
  const judge = judgedBy(job), parts = structuresOf(job).slice(0, PARTS.length);
  const dice = parts.map((name, c) => line(name, ...PARTS[c], rounds.map((r) => (known(diceOf(r, c)) ? diceOf(r, c) : null))));
  const plain = (x) => (known(x) ? String(+x.toPrecision(3)) : "");
  /* Most pixels are background: what is learned happens above 0.9. */
  const unit = (...series) => {
    const least = Math.min(1, ...series.flat().filter(known));
    return {suggestedMin: least < 0.5 ? 0 : judge === JUDGED.dice && least >= 0.9 ? 0.9 : 0.5, max: 1};
  };
  draw("loss", "line", labels, [line("training", "plain", [6, 4], "rect", of("train_loss")), line("validation", "encrypted", [], "circle", of("validation_loss"))], plain, {beginAtZero: true});
  draw("accuracy", "line", labels, [line("training", "plain", [6, 4], "rect", of("train_accuracy")), line("validation", "encrypted", [], "circle", of("validation_accuracy"))], plain, unit(of("train_accuracy"), of("validation_accuracy")));
  draw("auc", "line", labels, [line(dice.length > 0 ? "mean" : "validation", "encrypted", [], "circle", of(judge.validation)), ...dice], plain, unit(of(judge.validation), ...dice.map((d) => d.data)));
  const spent = (names) => rounds.map((r) => names.reduce((s, n) => s + (known(r[n]) ? r[n] : 0), 0));
  const short = [bars("certify", "plain", 1, of("ms_certify")), bars("release", "central", 2, of("ms_release")), bars("open", "alone", 3, of("ms_open"))];
  draw("time", "bar", labels, [bars("collect", "encrypted", 0, of("ms_collect")), ...short.map((d) => ({...d}))], duration, timeTicks(spent(["ms_collect", "ms_certify", "ms_release", "ms_open"])));
  draw("protocol", "bar", labels, short, duration, timeTicks(spent(["ms_certify", "ms_release", "ms_open"])));
  draw("bytes", "bar", labels, [bars("received", "encrypted", 0, of("bytes_in")), bars("sent", "plain", 1, of("bytes_out"))], bytes, {beginAtZero: true});
  caption("loss", "Loss", rounds, "validation_loss", (x) => figure(x), judge === JUDGED.dice ? "lower is better, in training with 1 − Dice added; validation" : "lower is better; validation");
  caption("accuracy", capital(judge.accuracy), rounds, "validation_accuracy", (x) => figure(x), "validation");
  caption("auc", judge.title, rounds, judge.validation, (x) => figure(x), dice.length > 0 ? "validation, mean of all structures" : "validation");
  caption("time", "Time of a round", rounds, "ms_collect", duration, "collecting, training included:");
  caption("protocol", "After collecting", rounds, "ms_release", duration, "the release took");
  caption("bytes", "Bytes of a round", rounds, "bytes_in", bytes, "received");
}

/* Paper is white: charts are drawn for it, too. */
let screenTheme = null;

addEventListener("beforeprint", () => {
  screenTheme = document.documentElement.dataset.theme;
  setTheme("light");
  viewCharts(shown.job, true);
  for (const chart of charts.values()) chart.resize(300, 200);
});
addEventListener("afterprint", () => {
  setTheme(screenTheme);
  viewCharts(shown.job, true);
  for (const chart of charts.values()) chart.resize();
});
