/* The job that is looked at: where it is, what it waits for, how it ended. */

/* Which job is shown: the one in the address, else what runs, else the one before (its end should not go unseen), else what
 * waits, else the newest. */
function chosenJob(status) {
  const jobs = list(status.jobs);
  if (location.hash.startsWith("#job=")) {
    try {
      shown.wanted = decodeURIComponent(location.hash.slice(5));
    } catch (e) {
      shown.wanted = "";
    }
  }
  const newest = [...jobs].reverse();
  return newest.find((j) => j.id === shown.wanted) || newest.find((j) => j.state === "running") ||
    newest.find((j) => shown.job !== null && j.id === shown.job.id) || jobs.find((j) => j.state === "queued") || newest[0] || null;
}

function progressWords(job) {
  if (job.state === "queued") return "waits for its turn";
  const done = list(job.history).filter(isOpened).length;
  if (job.state === "running") return roundOf(job);
  return plural(done, "round", "rounds") + " of " + count(job.rounds);
}

function viewJobs(status, chosen) {
  const jobs = [...list(status.jobs)].reverse();
  const groups = [["Running", ["running"]], ["Queued", ["queued"]], ["Finished", ["done", "aborted", "failed"]]];
  if (jobs.length === 0) return put("jobs", h("p", {class: "note"}, "None yet."));
  put("jobs", groups.map(([title, states]) => {
    let some = jobs.filter((j) => states.includes(j.state));
    if (title === "Finished") some = jobs.filter((j) => j.state !== "running" && j.state !== "queued");
    if (title === "Queued") some.reverse();
    return some.length === 0 ? null : h("div", {"data-key": title}, h("h3", {}, title + " ", h("span", {class: "soft"}, "(" + some.length + ")")),
      h("ul", {}, some.map((job) => h("li", {"data-key": "job " + words(job.id)},
        h("a", {href: "#job=" + encodeURIComponent(words(job.id)), "aria-current": job === chosen ? "true" : null},
          h("span", {class: "name"}, foreign(nameOf(job), 60)), statePill(JOB, job.state),
          h("span", {class: "soft"}, progressWords(job), job.encrypts === false ? [", ", h("b", {class: "bad"}, "not encrypted")] : null,
            job.ended_ms ? [", ", time(job.ended_ms)] : null),
          job.state === "running" ? bar(stepShare(job), words(nameOf(job), 60) + ": " + progressWords(job)) : null)))));
  }));
}

/* How much of all rounds is behind. */
function stepShare(job) {
  const done = list(job.history).filter(isOpened).length;
  return known(job.rounds) && job.rounds > 0 ? done / job.rounds : 0;
}

function steps(job, trust) {
  const who = {committee: "the committee", authority: "the authority", coordinator: "this coordinator"}[holders(trust)];
  const names = job.encrypts === false
    ? [["Collect", KIND[job.kind] ? KIND[job.kind].replace("encrypted ", "") : ""], ["Add", "the coordinator adds what it can read"]]
    : [["Collect", KIND[job.kind] || ""], ["Certify", who + (trust.custody === "committee" ? " signs who is in" : " checks who is in")],
      ["Release", who + " gives the sum of the keys"], ["Open", "the sum, and nothing else"]];
  let at = Object.hasOwn(PHASE, job.phase) ? PHASE[job.phase] : -1;
  if (job.encrypts === false && at > 0) at = 1;
  return h("ol", {class: "steps"}, names.map(([name, text], i) => h("li", {
    class: i < at ? "past" : i === at ? "now" : "", "aria-current": i === at ? "step" : null},
    h("b", {}, name), " ", h("span", {class: "soft"}, text), i < at ? h("span", {class: "hidden"}, " (done)") : null)));
}

function keyFigures(job) {
  const rounds = list(job.history).filter(isOpened), last = rounds[rounds.length - 1];
  const best = rounds.find((r) => r.round === job.best_round);
  const judge = judgedBy(job), judged = [...rounds].reverse().find((r) => known(r[judge.validation]) || known(r.validation_loss));
  const sum = (name) => rounds.reduce((s, r) => s + (known(r[name]) ? r[name] : 0), 0);
  if (!last) return null;
  const total = (r) => ["ms_collect", "ms_certify", "ms_release", "ms_open"].reduce((s, n) => s + (known(r[n]) ? r[n] : 0), 0);
  return facts([
    [judge.title + " on validation images" + (judged ? ", round " + count(judged.round) : ""), judged && known(judged[judge.validation]) ? figure(judged[judge.validation]) : null],
    [judge.accuracy + " on validation images", judged && known(judged.validation_accuracy) ? figure(judged.validation_accuracy) : null],
    ["best so far, by validation loss", best ? "round " + count(best.round) : null],
    ["for the last round", duration(total(last))],
    ["received in these rounds", bytes(sum("bytes_in"))],
  ], "keys");
}

function ending(job) {
  const why = words(job.why);
  if (job.state === "done") return h("p", {class: "notice good"}, h("b", {}, "Finished. "), why ? foreign(job.why) : "All its rounds are opened.");
  if (job.state === "failed" || job.state === "aborted") {
    return h("p", {class: "notice " + (job.state === "failed" ? "bad" : "warn")}, h("b", {}, job.state === "failed" ? "Failed. " : "Aborted. "),
      why ? foreign(job.why) : "No reason was given.");
  }
  if (job.state === "running" && why) return h("p", {class: "notice"}, foreign(job.why));
  return null;
}

function testWords(job) {
  const t = job.test;
  if (!t) return null;
  const judge = judgedBy(job), each = list(t.structures), parts = structuresOf(job).map((name, c) => ["Dice of " + name, figure(each[c] && each[c].dice)]);
  return [h("h3", {}, "On the test images, once, with the best model"), facts([
    [judge.title, figure(t[judge.test])], ...parts, [judge.accuracy, figure(t.accuracy)], ["loss", figure(t.loss)], ["images of all hospitals", count(t.n)]])];
}

function viewJob(status, job, me, now) {
  if (!job) {
    $("job-title").textContent = "No job yet";
    put("job-body", h("p", {}, "This coordinator is up and waits. Give it work on the command line of an operator:"),
      h("pre", {class: "scroll"}, h("code", {}, "medsecurefl job submit job.yaml --kit KIT")),
      h("p", {class: "note"}, plural(list(status.parties).filter((p) => p.connected).length, "party is", "parties are") + " connected."));
    return;
  }
  const running = job.state === "running";
  morphChildren($("job-title"), [...h("div", {}, h("span", {}, foreign(nameOf(job), 60)), " ", statePill(JOB, job.state)).childNodes]);
  put("job-body",
    h("p", {class: "soft ids"}, h("code", {}, words(job.id, 60)), " submitted ", time(job.submitted_ms),
      job.started_ms ? [", started ", time(job.started_ms)] : null, job.ended_ms ? [", ended ", time(job.ended_ms)] : null),
    ending(job),
    running ? h("div", {class: "live", "data-key": "live"},
      h("p", {class: "round"}, h("b", {}, capital(roundOf(job))), bar(stepShare(job), "rounds finished"),
        known(job.number) ? h("span", {class: "soft"}, "announced as number " + count(job.number)) : null),
      job.phase === "idle" ? null : steps(job, status.trust || {}),
      h("p", {class: "phase"}, foreign(job.phase_text || job.phase)),
      known(job.deadline_ms) ? h("p", {class: "deadline"}, "Deadline ", time(job.deadline_ms), ", ",
        h("span", {role: "timer", "aria-live": "off", class: "countdown", "data-until": String(job.deadline_ms)}, left(job.deadline_ms, now))) : null) : null,
    job.state === "queued" ? h("p", {class: "phase", "data-key": "queued"}, words(job.phase_text) ? foreign(job.phase_text) : "Waits until the jobs before it have ended.") : null,
    testWords(job),
    keyFigures(job),
    me && me.may_act && (running || job.state === "queued")
      ? h("p", {"data-key": "act"}, h("button", {type: "button", class: "danger", "data-abort": words(job.id)}, "Abort this job…")) : null);
}

function left(until, now) {
  return until > now ? countdown(until - now) + " left" : "passed " + countdown(now - until) + " ago";
}
