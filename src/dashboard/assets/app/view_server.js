/* The federation as a whole: warnings, trust, parties, log, the server itself. */

function notices(items) {
  return items.map(([tone, lead, ...rest]) => h("div", {class: "notice " + tone},
    h("span", {class: "sign", "aria-hidden": "true"}, tone === "bad" ? "!" : "△"), h("p", {}, h("b", {}, lead), " ", rest)));
}

function viewBanners(status, job, now) {
  put("banners", banners(status, job).map(([, lead, ...rest]) => h("div", {class: "banner", role: "note"}, h("b", {}, lead), " ", h("span", {}, rest))),
    notices(attention(status, job, now)));
}

function viewTrust(status, job) {
  const trust = status.trust || {}, insecure = trust.custody === "coordinator" || (job && job.encrypts === false);
  $("trust").hidden = !trust.custody;
  put("trust-body", h("div", {class: insecure ? "trustbox bad" : "trustbox"}, trustWords(status, job).map((text) => h("p", {}, text)),
    words(trust.text) ? h("p", {class: "note"}, "In the words of the program: ", foreign(trust.text)) : null,
    h("p", {class: "note"}, "Beside this, every hospital trusts whoever signs the roster: the consortium could invent hospitals. A hospital that lies can spoil a sum, but not read it.")));
}

function certificateWords(p, now) {
  if (p.revoked) return pill("revoked", "bad", "✕");
  if (!known(p.certificate_not_after_ms)) return DASH;
  const days = Math.floor((p.certificate_not_after_ms - now) / DAY);
  if (days < 0) return [pill("expired", "bad", "!"), " ", day(p.certificate_not_after_ms)];
  if (days < WARN_DAYS) return [pill(days === 0 ? "within a day" : "in " + plural(days, "day", "days"), "warn", "△"), " ", day(p.certificate_not_after_ms)];
  return day(p.certificate_not_after_ms);
}

function viewParties(status, now) {
  const parties = list(status.parties);
  $("parties").hidden = parties.length === 0;
  if (parties.length === 0) return;
  const [listed, rest] = few(parties, (p) => (p.certificate_not_after_ms - now < WARN_DAYS * DAY ? 0 : p.revoked || !p.connected ? 1 : 2));
  put("parties-body", rest, table(plural(parties.length, "party", "parties") + " of this federation, roster epoch " + count((status.server || {}).epoch),
    [["name", ""], ["role", ""], ["holds key shares", ""], ["connection", ""], ["certificate valid until", ""]],
    listed.map((p) => [foreign(p.name, 60), foreign(p.role, 30), p.member ? "yes" : "no",
      p.role === "coordinator" ? h("span", {class: "soft"}, "this server") : p.connected ? pill("connected", "good", "✓") : [h("span", {class: "soft"}, known(p.seen_ms) && p.seen_ms > 0 ? ["seen ", time(p.seen_ms)] : "never seen")],
      certificateWords(p, now)]), listed.map((p) => "p " + p.name), "cards"));
}

function viewLog(status) {
  const lines = [...list(status.log)].reverse(), tones = {error: "bad", warning: "warn", warn: "warn"};
  $("log").hidden = lines.length === 0;
  put("log-body", lines.length === 0 ? null : table("The newest lines first", [["time", "time"], ["level", ""], ["job", "text"], ["what happened", "text"]],
    lines.map((l) => [time(l.at_ms), Object.hasOwn(tones, l.level) ? pill(words(l.level, 20), tones[l.level], tones[l.level] === "bad" ? "!" : "△") : foreign(l.level, 20),
      l.job ? foreign(l.job, 60) : DASH, foreign(l.text, 1000)]), lines.map((l) => "l " + l.at_ms + " " + words(l.text, 60)), "lines cards"));
}

function viewServer(status, me, now) {
  const s = status.server || {};
  $("federation").textContent = words(s.federation, 60) || "MedSecureFL";
  $("server-line").textContent = "MedSecureFL coordinator" + (s.program ? ", version " + words(s.program, 20) : "");
  $("me").textContent = !me ? "" : me.local ? "On this machine, to read only" : words(me.name, 60) + ", " + words(me.role, 30) + (me.may_act ? "" : ", to read only");
  put("server", facts([
    ["up for", known(s.started_ms) ? duration(now - s.started_ms) : null], ["connections now", count(s.connections)], ["requests", count(s.requests)],
    ["received", bytes(s.bytes_in)], ["sent", bytes(s.bytes_out)], ["most memory", bytes(s.peak_memory_bytes)], ["roster epoch", count(s.epoch)]]),
    s.fingerprint ? facts([["fingerprint of the consortium’s key", h("code", {}, words(s.fingerprint, 128))]], "facts wide") : null);
}
