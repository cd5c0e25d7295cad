/* Putting it together: what is shown, what is said aloud, what the few buttons do. */

const shown = {job: null, wanted: "", filter: "", before: null, due: false};
const PAINT_MS = 100;

function say(text) {
  $("say").textContent = text;
}

/* Changes that somebody who does not look should hear: of the job that is shown, and ends of others. */
function speak(status, job) {
  const lines = [], old = shown.before;
  const now = {id: job ? job.id : "", states: new Map(list(status.jobs).map((j) => [j.id, j.state])),
    phase: job ? [job.round, job.phase, job.kind].join(" ") : "", hospitals: new Map(job ? list(job.hospitals).map((x) => [x.name, x.state]) : [])};
  shown.before = now;
  if (!old) return;
  for (const j of list(status.jobs))
    if (old.states.has(j.id) && old.states.get(j.id) !== j.state) lines.push("Job " + words(nameOf(j), 60) + ": " + words(j.state, 30) + ".");
  if (job && old.id === now.id) {
    if (old.phase !== now.phase && job.state === "running") lines.push(capital(roundOf(job)) + ", " + words(job.phase, 30) + ": " + words(job.phase_text, 200));
    for (const [name, state] of now.hospitals)
      if (old.hospitals.get(name) !== state && ["dropped", "refused", "failed"].includes(state)) lines.push(words(name, 60) + ": " + state + ".");
  }
  if (lines.length > 0) say(lines.slice(0, 5).join(" "));
}

/* The parts of the page that are there. */
function viewPlaces() {
  put("places", [...document.querySelectorAll("main section:not([hidden])")].map((s) =>
    h("li", {"data-key": s.id}, h("a", {href: "#" + s.id}, s.querySelector("h2").firstChild.textContent))));
}

/* Many events may come at once; one picture is enough. */
function changed() {
  if (!shown.due) setTimeout(paint, PAINT_MS);
  shown.due = true;
}

function paint() {
  shown.due = false;
  const status = live.status;
  showLink();
  if (status === null) return;
  const now = serverNow(), job = chosenJob(status);
  if (!job || !shown.job || job.id !== shown.job.id) shown.filter = "";
  shown.job = job;
  viewServer(status, live.me, now);
  viewBanners(status, job, now);
  viewJobs(status, job);
  viewJob(status, job, live.me, now);
  viewHospitals(status, job, now);
  viewCommittee(status, job);
  viewRounds(job);
  viewCharts(job, false);
  viewAttempts(job);
  viewAudit(job);
  viewParameters(job);
  viewTrust(status, job);
  viewParties(status, now);
  viewLog(status);
  viewPlaces();
  reach();
  speak(status, job);
  document.title = (job ? (job.state === "running" ? capital(roundOf(job)) : words(job.state, 20)) + " · " + words(nameOf(job), 60) : "No job") +
    (live.since !== 0 ? " (connection lost)" : "") + " · MedSecureFL";
  document.body.dataset.ready = "1";
}

/* --- colours --- */

function setTheme(theme) {
  const good = theme === "light" || theme === "dark" ? theme : "system";
  document.documentElement.dataset.theme = good;
  return good;
}

function storedTheme() {
  try {
    return localStorage.getItem("msfl-theme");
  } catch (e) {
    return null; /* storage may be off */
  }
}

setTheme(storedTheme()); /* before anything is painted */

/* --- the one action --- */

function openAbort(id) {
  const job = list(live.status && live.status.jobs).find((j) => words(j.id) === id);
  if (!job) return;
  $("abort").dataset.job = id;
  put("abort-text", "Job ", h("b", {}, foreign(nameOf(job), 60)), " (", h("code", {}, id), ") ends now, and cannot be continued. The round that is open is given up; models of finished rounds stay.");
  $("abort-error").textContent = "";
  $("abort-reason").value = "";
  $("abort").showModal();
}

async function sendAbort(event) {
  event.preventDefault();
  const reason = $("abort-reason").value.trim(), job = $("abort").dataset.job;
  if (reason === "") {
    $("abort-error").textContent = "A reason is needed: others will ask.";
    $("abort-reason").focus();
    return;
  }
  $("abort-yes").disabled = true;
  try {
    await request("/v1/jobs/" + encodeURIComponent(job) + "/abort", {method: "POST",
      headers: {"Content-Type": "application/json", "X-Msfl-Action": "1"}, body: JSON.stringify({reason})});
    $("abort").close();
    say("The job is being aborted.");
    refresh();
  } catch (e) {
    $("abort-error").textContent = "Not aborted: " + words(e.message) + ".";
  }
  $("abort-yes").disabled = false;
}

addEventListener("DOMContentLoaded", () => {
  const theme = $("theme");
  theme.value = document.documentElement.dataset.theme;
  theme.addEventListener("change", () => {
    setTheme(theme.value);
    try {
      localStorage.setItem("msfl-theme", theme.value);
    } catch (e) { /* for this visit, then */ }
    viewCharts(shown.job, true);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => viewCharts(shown.job, true));
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-abort], [data-retry], [data-filter]");
    if (!target) return;
    if (target.dataset.retry) {
      refresh();
    } else if (target.dataset.filter !== undefined) {
      shown.filter = shown.filter === target.dataset.filter ? "" : target.dataset.filter;
      paint();
    } else openAbort(target.dataset.abort);
  });
  $("abort-no").addEventListener("click", () => $("abort").close());
  $("abort-form").addEventListener("submit", sendAbort);
  addEventListener("hashchange", () => {
    if (!location.hash.startsWith("#job=")) return;
    paint();
    if (shown.job) say("Showing job " + words(nameOf(shown.job), 60) + ".");
  });
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refresh());
  $("zone").textContent = "Times are those of " + (Intl.DateTimeFormat().resolvedOptions().timeZone || "this computer") + ".";
  tick();
  setInterval(tick, 1000);
  addEventListener("resize", reach);
});
