/* Staying up to date: one request for everything, then events; requests again where events do not come. Whoever looks
 * must always know whether what is shown is of now. */

const RETRY_MAX_MS = 30000, POLL_MS = 5000, SURE_MS = 20000, REQUEST_MS = 15000, GAP_MS = 1500;

const live = {
  status: null, offset: 0, me: null,
  contact: 0,       /* when the server was last heard */
  source: null, open: false, reopen: 0,
  asking: false, again: false, earliest: 0, next: 0, failures: 0, fault: "", since: 0,
};

/* The server's clock. */
const serverNow = () => Date.now() + live.offset;

function heard(status) {
  live.contact = Date.now();
  if (known(status.now_ms)) live.offset = status.now_ms - Date.now();
}

/* Whether a job came further than a step inside a phase. Then the log has lines, and perhaps a round its figures, that events
 * do not bring. */
function advanced(old, jobs) {
  const mark = (j) => [j.state, j.round, j.number, j.kind, j.phase].join(" ");
  return list(jobs).some((job) => {
    const before = list(old.jobs).find((j) => j.id === job.id);
    return !before || mark(before) !== mark({...before, ...job});
  });
}

/* Only what changed is in an event; a job has its history only when a round ended. */
function merge(old, news) {
  const out = {...old, ...news};
  if (Array.isArray(news.jobs)) {
    const jobs = [...list(old.jobs)];
    for (const job of news.jobs) {
      const at = jobs.findIndex((j) => j.id === job.id);
      if (at < 0) jobs.push(job);
      else jobs[at] = {...jobs[at], ...job};
    }
    out.jobs = jobs;
  }
  return out;
}

function onStatus(event) {
  let news;
  try {
    news = JSON.parse(event.data);
  } catch (e) {
    return refresh();
  }
  if (!news || typeof news !== "object" || live.status === null) return refresh();
  heard(news);
  if (known(news.version) && news.version < live.status.version) return refresh(); /* another server, or another life */
  recovered();
  if (advanced(live.status, news.jobs)) refresh();
  live.status = merge(live.status, news);
  changed();
}

function listen() {
  live.source = new EventSource("/v1/events");
  live.source.addEventListener("status", onStatus);
  live.source.addEventListener("gap", () => {
    live.contact = Date.now();
    recovered();
    refresh();
  });
  live.source.onopen = () => {
    live.open = true;
    showLink();
    refresh(); /* what was missed meanwhile */
  };
  live.source.onerror = () => {
    live.open = false;
    if (live.source.readyState === EventSource.CLOSED) {
      live.reopen = Date.now() + RETRY_MAX_MS;
      live.source = null;
    }
    refresh();
  };
}

async function request(path, options = {}) {
  const stop = new AbortController(), timer = setTimeout(() => stop.abort(), REQUEST_MS);
  try {
    const answer = await fetch(path, {cache: "no-store", credentials: "same-origin", redirect: "error", signal: stop.signal, ...options});
    const text = await answer.text();
    let body = null;
    try {
      body = JSON.parse(text);
    } catch (e) {
      body = null;
    }
    if (!answer.ok) throw new Error("the server answers " + answer.status + (body && (body.message || body.error) ? ": " + words(body.message || body.error) : ""));
    if (body === null) throw new Error("the server’s answer is not understood");
    return body;
  } catch (e) {
    throw e.name === "AbortError" ? new Error("no answer within " + duration(REQUEST_MS)) : e instanceof TypeError ? new Error("the coordinator cannot be reached") : e;
  } finally {
    clearTimeout(timer);
  }
}

/* Everything anew. Calls that come while one is under way, or right after one, become one more a little later. */
async function refresh() {
  if (live.asking || Date.now() < live.earliest) {
    if (!live.again) setTimeout(() => {
      live.again = false;
      refresh();
    }, GAP_MS);
    live.again = true;
    return;
  }
  live.asking = true;
  live.earliest = Date.now() + GAP_MS;
  try {
    if (live.me === null) live.me = await request("/v1/me");
    const status = await request("/v1/status");
    heard(status);
    live.status = status;
    live.failures = 0;
    live.next = Date.now() + (live.open ? SURE_MS : POLL_MS);
    recovered();
    changed();
  } catch (e) {
    live.failures++;
    live.fault = words(e.message);
    if (live.since === 0) live.since = Date.now();
    live.next = Date.now() + Math.min(RETRY_MAX_MS, 1000 * 2 ** Math.min(live.failures, 10)) * (0.5 + Math.random() / 2);
    changed();
  }
  live.asking = false;
}

function recovered() {
  if (live.since === 0) return;
  say("Connection restored.");
  live.since = 0;
}

function tick() {
  const now = Date.now();
  if (live.source === null && now >= live.reopen) listen();
  if (!live.asking && now >= live.next) refresh();
  showLink();
  for (const e of document.querySelectorAll("[data-until]")) {
    const text = left(Number(e.dataset.until), serverNow());
    if (e.textContent !== text) e.textContent = text;
  }
}

function showLink() {
  const now = Date.now(), lost = live.since !== 0, age = live.contact === 0 ? "" : duration(Math.max(0, Math.floor((now - live.contact) / 1000) * 1000));
  const link = $("link");
  link.className = "pill " + (lost ? "bad" : live.status === null ? "quiet" : "good");
  const state = lost ? ["!", "Connection lost"] : live.status === null ? ["…", "Connecting"] : live.open ? ["✓", "Live"] : ["✓", "Asking every " + POLL_MS / 1000 + " s"];
  morphChildren(link, [...h("p", {}, h("span", {class: "sign", "aria-hidden": "true"}, state[0]), state[1]).childNodes]);
  document.body.classList.toggle("stale", lost);
  if (!lost) return put("lost-why"), put("lost-retry");
  put("lost-why", h("p", {class: "notice bad"}, h("b", {}, "Connection lost. "),
    live.contact === 0 ? "Nothing was heard of the coordinator yet: " : ["What is shown is of ", time(live.contact), ": "], live.fault, "."));
  put("lost-retry", h("p", {class: "retry"}, h("span", {}, live.asking ? "Trying now." : "Next try in " + Math.max(0, Math.ceil((live.next - now) / 1000)) + " s. " + (age ? "Last heard " + age + " ago." : "")), " ",
      h("button", {type: "button", "data-retry": "1"}, "Try now")));
}
