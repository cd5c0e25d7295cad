/* What the words of /v1/status (docs/formats/status.md) mean to people, and what deserves attention. */

/* state: [tone, sign, words] */
const HOSPITAL = {
  absent: ["quiet", "○", "absent"], idle: ["quiet", "·", "idle"], waiting: ["quiet", "…", "waiting"],
  downloading: ["busy", "↓", "downloading"], training: ["busy", "▸", "training"],
  encrypting: ["busy", "▪", "encrypting"], uploading: ["busy", "↑", "uploading"],
  evaluating: ["busy", "▸", "evaluating"], uploaded: ["good", "✓", "uploaded"],
  certified: ["good", "✓✓", "certified"], dropped: ["warn", "✕", "dropped"],
  refused: ["bad", "✕", "refused"], failed: ["bad", "!", "failed"],
};
const JOB = {
  queued: ["quiet", "…", "queued"], running: ["busy", "▸", "running"], done: ["good", "✓", "done"],
  aborted: ["warn", "✕", "aborted"], failed: ["bad", "!", "failed"],
};
const KIND = {
  update: "hospitals train and send their encrypted updates",
  evaluate: "hospitals measure the new model on their validation images",
  test: "hospitals measure the best model on their test images, once",
};
const PHASE = {collecting: 0, certifying: 1, releasing: 2, opened: 3, delivering: 3};
const DAY = 86400000, WARN_DAYS = 30;

function meaning(table, state) {
  return Object.hasOwn(table, state) ? table[state] : ["quiet", "?", words(state, 30) || "unknown"];
}

const statePill = (table, state) => {
  const [tone, sign, text] = meaning(table, state);
  return pill(text, tone, sign);
};

/* Hashes of nothing are zeros. */
const isHash = (x) => typeof x === "string" && /[^0]/.test(x);

/* Arrays and objects of a status that may lack them. */
const list = (x) => (Array.isArray(x) ? x : []);
const nameOf = (job) => job.name || job.id;
const roundOf = (job) => (job.kind === "test" ? "test of the best model" :
  "round " + count(job.round) + " of " + count(job.rounds) + (job.kind === "evaluate" ? ", validation" : ""));
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/* What a job is judged by beside loss and accuracy: the area under the ROC curve or, where every pixel has a class, how well masks
 * cover what they should. */
const JUDGED = {
  auc: {title: "AUC", validation: "validation_auc", test: "auc", accuracy: "accuracy"},
  dice: {title: "Dice", validation: "validation_dice", test: "dice", accuracy: "pixel accuracy"},
};
const judgedBy = (job) => JUDGED[job && job.judged_by === "dice" ? "dice" : "auc"];

/* Names of the structures that such a job has; class 0 is the background. None where there is but one, or for classes of images. */
function structuresOf(job) {
  if (judgedBy(job) !== JUDGED.dice) return [];
  const n = Math.max(0, ...list(job.history).map((r) => list(r.validation_structures).length), list(job.test && job.test.structures).length);
  return n < 2 ? [] : Array.from({length: Math.min(n, 16)}, (_, c) => words(list(job.classes)[c + 1], 40) || "structure " + (c + 1));
}
const diceOf = (round, structure) => list(round.validation_structures)[structure];

const isOpened = (round) => round.outcome === "opened";
const holders = (trust) => (trust.custody === "committee" ? "committee" : trust.custody === "authority" ? "authority" : "coordinator");

/* Certificates that have expired or soon will, the soonest first: [{party, days}] */
function expiring(status, now) {
  return list(status.parties)
    .filter((p) => !p.revoked && known(p.certificate_not_after_ms) && p.certificate_not_after_ms - now < WARN_DAYS * DAY)
    .map((p) => ({party: p, days: Math.floor((p.certificate_not_after_ms - now) / DAY)}))
    .sort((a, b) => a.days - b.days);
}

/* What makes the whole federation, or the job that is looked at, less than it seems: danger first. */
function banners(status, job) {
  const out = [], trust = status.trust || {}, plain = list(status.jobs).filter((j) => j.encrypts === false);
  if (job && job.encrypts === false) {
    out.push(["bad", "Not encrypted.", "The job ", foreign(nameOf(job)), " runs under the scheme ", foreign(job.scheme),
      ": this coordinator receives every hospital’s update in the clear and can read it. Images can be rebuilt from updates."]);
  } else if (plain.some((j) => j.state === "running" || j.state === "queued")) {
    out.push(["bad", "Not encrypted.", "Another job here, ", foreign(plain.find((j) => j.state === "running" || j.state === "queued").name),
      ", sends updates in the clear."]);
  }
  if (trust.custody === "coordinator") {
    out.push(["bad", "Insecure against this coordinator.",
      "It holds the one-time keys itself, so whoever runs it can open every single hospital’s update. Encryption protects from outsiders only."]);
  }
  return out;
}

/* [tone, lead, words...] for what a coordinator should act on. */
function attention(status, job, now) {
  const out = [];
  if (job && job.state === "running") {
    const hospitals = list(job.hospitals), lost = hospitals.filter((x) => ["absent", "dropped", "refused", "failed"].includes(x.state));
    for (const x of hospitals.filter((h) => h.state === "refused" || h.state === "failed"))
      out.push(["bad", [foreign(x.name), " " + x.state + "."], x.text ? ["It says: ", h("q", {}, foreign(x.text))] : "It gave no reason."]);
    if (known(job.min_cohort) && hospitals.length > 0 && hospitals.length - lost.length < job.min_cohort) {
      out.push(["bad", "Too few hospitals.", plural(hospitals.length - lost.length, "hospital is", "hospitals are") +
        " left for this round and " + count(job.min_cohort) + " are needed: it will not open unless others come back."]);
    }
  }
  if (status.trust && !status.trust.custody && status.trust.text)
    out.push(["bad", "No round can be run.", foreign(status.trust.text)]);
  for (const m of job ? list(job.members).filter((m) => m.cheated) : [])
    out.push(["bad", [foreign(m.name), " answered wrongly."],
      "Its share of the key sum did not fit the others’. The sum that was opened is right without it; ask that site what happened."]);
  const soon = expiring(status, now);
  if (soon.length > 0) {
    const gone = soon.filter((x) => x.days < 0).length;
    out.push([gone > 0 ? "bad" : "warn", gone > 0 ? "Certificates have expired." : "Certificates expire soon.",
      soon.slice(0, 6).map((x, i) => [i > 0 ? "; " : "", foreign(x.party.name), x.days < 0 ? " expired" : x.days === 0 ? " within a day" : " in " + plural(x.days, "day", "days")]),
      soon.length > 6 ? "; and " + count(soon.length - 6) + " more" : "", ". ", h("code", {}, "medsecurefl provision"), " renews them."]);
  }
  return out;
}

/* Who holds the keys, in words that need no other page. */
function trustWords(status, job) {
  const trust = status.trust || {}, out = [];
  if (job && job.encrypts === false) {
    out.push("This job is not encrypted. Whoever runs the coordinator sees every hospital’s update; who holds keys makes no difference.");
    return out;
  }
  if (trust.custody === "committee") {
    out.push(plural(trust.k, "member holds", "members hold") + " shares of the hospitals’ one-time keys. " + count(trust.t) +
      " of them must answer before the sum of a round opens, and each answers once a round. Fewer, even together with this coordinator, open nothing. " +
      (trust.k > trust.t ? "Up to " + count(trust.k - trust.t) + " may be away. " : "None may be away. ") +
      "This holds while at most " + count(trust.f) + " of them " + (trust.f === 1 ? "is" : "are") + " corrupt.");
  } else if (trust.custody === "authority") {
    out.push("One separate authority holds the hospitals’ one-time keys. It never sees a ciphertext, and gives only the sum of the keys of a round, once. It and this coordinator together could open single updates: they must be run by people who do not collude.");
  } else if (trust.custody === "coordinator") {
    out.push("The coordinator holds the one-time keys itself. Every hospital has to believe that it opens sums only.");
  }
  return out;
}
