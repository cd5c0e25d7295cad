/* The hospitals of the running round, and who holds the keys. */

const ORDER = ["failed", "refused", "dropped", "absent", "idle", "waiting", "downloading", "training", "encrypting", "evaluating", "uploading", "uploaded", "certified"];

const ROWS_MAX = 200, FILTER_FROM = 12;

/* No more rows than a browser draws with ease, those that somebody should look at among them: [items, what is left out]. */
function few(items, rank) {
  if (items.length <= ROWS_MAX) return [items, null];
  const some = [...items].sort((a, b) => rank(a) - rank(b)).slice(0, ROWS_MAX);
  return [some, h("p", {class: "note"}, count(ROWS_MAX) + " of " + count(items.length) + " are listed, those that may need attention first.")];
}

/* How many are in which state; where they are many, each is a button that shows these alone. */
function tally(hospitals) {
  const states = new Map();
  for (const x of hospitals) states.set(x.state, (states.get(x.state) || 0) + 1);
  const place = (s) => (ORDER.includes(s) ? ORDER.indexOf(s) : -1);
  return h("p", {class: "tally"}, [...states].sort((a, b) => place(b[0]) - place(a[0])).map(([state, n]) => {
    const [tone, sign, text] = meaning(HOSPITAL, state), key = "tally " + words(state, 30);
    if (hospitals.length <= FILTER_FROM) return [pill(count(n) + " " + text, tone, sign), " "];
    return h("button", {type: "button", class: "pill " + tone, "data-key": key, "data-filter": words(state, 30), "aria-pressed": String(shown.filter === words(state, 30))},
      h("span", {class: "sign", "aria-hidden": "true"}, sign), count(n) + " " + text);
  }));
}

/* What a state amounts to: a bar and a figure where there is one. */
function advance(x) {
  const name = words(x.name, 60);
  if ((x.state === "uploading" || x.state === "uploaded" || x.state === "certified") && known(x.bytes) && x.bytes > 0) {
    const of = known(x.bytes_total) && x.bytes_total > 0 ? x.bytes / x.bytes_total : null;
    if (x.state !== "uploading") return h("span", {class: "amount"}, bytes(x.bytes));
    return [of === null ? null : bar(of, name + ", uploaded"), h("span", {class: "amount"}, bytes(x.bytes), of === null ? "" : " of " + bytes(x.bytes_total) + ", " + percent(of))];
  }
  if (known(x.progress) && x.progress > 0 && ["downloading", "training", "encrypting", "uploading", "evaluating"].includes(x.state))
    return [bar(x.progress, name + ", " + words(x.state, 30)), h("span", {class: "amount"}, percent(x.progress))];
  return null;
}

function viewHospitals(status, job, now) {
  const hospitals = job ? list(job.hospitals) : [], seen = new Map(list(status.parties).map((p) => [p.name, p]));
  $("hospitals").hidden = hospitals.length === 0;
  if (hospitals.length === 0) return;
  $("hospitals-title").textContent = job.state === "running" ? "Hospitals in this round" : "Hospitals, as the job left them";
  if (!hospitals.some((x) => words(x.state, 30) === shown.filter)) shown.filter = "";
  const [listed, rest] = few(hospitals.filter((x) => shown.filter === "" || words(x.state, 30) === shown.filter),
    (x) => (["failed", "refused", "dropped", "absent"].includes(x.state) ? ORDER.indexOf(x.state) : ORDER.length));
  const rows = listed.map((x) => {
    const party = seen.get(x.name);
    return [
      [foreign(x.name, 60), party && party.connected === false ? h("span", {class: "soft small"}, "not connected" + (known(party.seen_ms) ? ", seen " + when(party.seen_ms) : "")) : null],
      [statePill(HOSPITAL, x.state), x.cohort ? h("span", {class: "soft small"}, "in the cohort") : null],
      advance(x) || h("span", {class: "soft"}, DASH),
      x.text ? h("span", {class: "said"}, foreign(x.text)) : h("span", {class: "soft"}, DASH),
      dated(x.changed_ms) ? time(x.changed_ms, clock(x.changed_ms)) : DASH,
    ];
  });
  const needs = job.state === "running" && known(job.min_cohort) ? "At least " + count(job.min_cohort) + " must take part" +
    (known(job.target_cohort) && job.target_cohort > 0 ? "; the round closes when " + count(job.target_cohort) + " have uploaded, or at its deadline." : ".") : "";
  put("hospitals-body", tally(hospitals), h("p", {class: "note"}, needs, " What stands under “it says” is the hospital’s own word."),
    rest,
    table(shown.filter !== "" ? plural(listed.length, "hospital", "hospitals") + " of " + count(hospitals.length) + ": " + shown.filter + " only" : "Where each of " + plural(hospitals.length, "hospital", "hospitals") + " stands",
      [["hospital", ""], ["state", ""], ["progress", "progress"], ["it says", "text"], ["since", "time"]], rows, listed.map((x) => "h " + x.name), "hospitals"));
}

function viewCommittee(status, job) {
  const trust = status.trust || {}, members = job ? list(job.members) : [];
  const show = job && job.encrypts !== false && (members.length > 0 || trust.custody);
  $("committee").hidden = !show;
  if (!show) return;
  const title = {committee: "Committee", authority: "Key authority", coordinator: "Key holder: this coordinator"};
  $("committee-title").textContent = Object.hasOwn(title, trust.custody) ? title[trust.custody] : "Key holders";
  const yes = (x, word) => (x ? pill(word, "good", "✓") : h("span", {class: "soft"}, job.state === "running" ? "not yet" : "no"));
  const voted = members.filter((m) => m.voted).length, answered = members.filter((m) => m.answered).length;
  put("committee-body",
    facts([["members", "k = " + count(trust.k)], ["needed to open", "t = " + count(trust.t)], ["corrupt at most", "f = " + count(trust.f)],
      [job.state === "running" ? "this round" : "last round", members.length === 0 ? null : count(voted) + " voted, " + count(answered) + " answered"]]),
    members.length === 0 ? null : table("Who did what in " + (job.state === "running" ? "this" : "the last") + " round", [["member", ""], ["voted who is in", ""], ["gave its share", ""], ["honest", ""]],
      members.map((m) => [foreign(m.name, 60), yes(m.voted, "voted"), yes(m.answered, "answered"),
        m.cheated ? pill("cheated", "bad", "!") : h("span", {class: "soft"}, m.answered ? "yes" : DASH)]), members.map((m) => "m " + m.name)));
}
