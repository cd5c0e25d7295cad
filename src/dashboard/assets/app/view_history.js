/* What is behind: rounds in figures, attempts that came to nothing, the audit chain, parameters. */

function viewRounds(job) {
  const rounds = job ? list(job.history) : [], newest = [...rounds].reverse(), keys = newest.map((r) => "r " + r.number + " " + r.round);
  $("curves").hidden = $("cost").hidden = rounds.length === 0;
  if (rounds.length === 0) return;
  const name = (r) => [count(r.round), r.round === job.best_round ? h("span", {class: "good"}, " best") : null, isOpened(r) ? null : [" ", h("span", {class: "bad"}, words(r.outcome, 30))]];
  const judge = judgedBy(job), parts = structuresOf(job);
  put("curves-body", table("Learning, round by round, the newest first",
    [["round", ""], ["hospitals", "num"], ["training loss", "num"], ["training accuracy", "num"], ["validation loss", "num"], ["validation accuracy", "num"], ["validation " + judge.title, "num"], ...parts.map((name) => ["Dice of " + name, "num"]), ["learning rate", "num"], ["clipped values", "num"]],
    newest.map((r) => [name(r), count(r.cohort), figure(r.train_loss), figure(r.train_accuracy), figure(r.validation_loss),
      figure(r.validation_accuracy), figure(r[judge.validation]), ...parts.map((_, c) => figure(diceOf(r, c))), known(r.learning_rate) ? String(+r.learning_rate.toPrecision(3)) : DASH, count(r.clipped)]), keys, "figures"));
  put("cost-body", table("Time and bytes, round by round, the newest first",
    [["round", ""], ["ended", "num"], ["collect", "num"], ["certify", "num"], ["release", "num"], ["open", "num"], ["received", "num"], ["sent", "num"]],
    newest.map((r) => [name(r), time(r.ended_ms), duration(r.ms_collect), duration(r.ms_certify), duration(r.ms_release), duration(r.ms_open),
      bytes(r.bytes_in), bytes(r.bytes_out)]), keys, "figures"));
}

function viewAttempts(job) {
  const attempts = job ? [...list(job.attempts)].reverse() : [];
  $("attempts").hidden = attempts.length === 0;
  if (attempts.length === 0) return;
  put("attempts-body", h("p", {class: "note"}, "A round that is given up leaves no trace in the model: its keys are thrown away, and it is tried again under a new number."),
    table("Attempts, the newest first", [["announcement", ""], ["round", "num"], ["for", ""], ["how it ended", ""], ["why", "text"], ["ended", "time"]],
      attempts.map((a) => [count(a.number), count(a.round), foreign(a.kind, 30), pill(words(a.outcome, 30) || "unknown", "warn", "✕"), words(a.why) ? foreign(a.why) : DASH, time(a.ended_ms)]),
      attempts.map((a) => "a " + a.number), "cards"));
}

function viewAudit(job) {
  const audit = job && job.audit;
  $("audit").hidden = !audit || (job.encrypts === false && !audit.records);
  if ($("audit").hidden) return;
  put("audit-body",
    facts([["records", count(audit.records)], ["chain checked here", known(audit.verified_ms) ? time(audit.verified_ms) : "not yet"]]),
    facts([["hash of the newest record", isHash(audit.head) ? h("code", {}, words(audit.head, 128)) : DASH]], "facts wide"),
    h("p", {class: "note"}, "Each record names the uploads that their hospitals signed and the members that opened their sum, and holds the hash of the record before it. To check it without trusting this page: an operator fetches the archive of this job, every hospital has a folder of its own, and KIT says whom to believe."),
    h("pre", {class: "scroll"}, h("code", {}, "medsecurefl job fetch " + words(job.id, 60) + " --kit KIT --out files\nunzip files/audit.zip -d audit\nmedsecurefl audit verify audit --kit KIT")),
    h("p", {class: "note"}, "The hash of the newest record that it prints must be the one above, and the one that every hospital has that missed no round."));
}

function viewParameters(job) {
  $("parameters").hidden = !job;
  if (!job) return;
  const code = (x) => (isHash(x) ? h("code", {}, words(x, 128)) : null);
  put("parameters-body",
    facts([
      ["scheme", foreign(job.scheme, 30)], ["encrypted", job.encrypts === false ? h("b", {class: "bad"}, "no") : "yes"],
      ["network", foreign(job.model, 60)], ["it tells apart", list(job.classes).length > 0 ? foreign(list(job.classes).map((c) => words(c, 40)).join(", ")) : null], ["values in an update", count(job.n_values)],
      ["bits of a value", count(job.value_bits)], ["security", known(job.security_bits) && job.encrypts !== false ? count(job.security_bits) + " bits" : null],
      ["the sum is opened by", job.delivery === "coordinator" ? "the coordinator" : job.delivery === "clients" || job.delivery === "hospitals" ? "the hospitals; the coordinator never sees the model" : foreign(job.delivery, 60)],
      ["models and figures are", known(job.figures) ? foreign(job.figures, 60) : null], ["rounds", count(job.rounds)], ["hospitals in a sum, at least", count(job.min_cohort)], ["enough uploads", known(job.target_cohort) && job.target_cohort > 0 ? count(job.target_cohort) : "all"],
      ["time for a round", known(job.deadline_s) ? duration(job.deadline_s * 1000) : null]]),
    facts([["encryption parameters", job.encrypts === false ? null : foreign(job.parameters)], ["hash of the job", code(job.hash)], ["hash of its task under this roster", code(job.task)]], "facts wide"));
}
