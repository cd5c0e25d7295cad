"use strict";
/* Numbers, times and foreign words as people read them. Unknown is a dash, never a zero. */

const DASH = "–";
const known = (x) => typeof x === "number" && Number.isFinite(x);

/* Words from outside: no control characters, nothing that turns the reading direction, not endless. They only ever
 * become text nodes. */
function words(x, most = 400) {
  if (x === null || x === undefined) return "";
  const text = String(x).replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, " ").trim();
  return text.length > most ? text.slice(0, most) + "…" : text;
}

function figure(x, digits = 4) {
  return known(x) ? x.toFixed(digits) : DASH;
}

function count(x) {
  return known(x) ? Math.round(x).toLocaleString("en-GB") : DASH;
}

function percent(x) {
  return known(x) ? Math.round(100 * Math.min(1, Math.max(0, x))) + " %" : DASH;
}

function bytes(x) {
  if (!known(x)) return DASH;
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let i = 0;
  while (Math.abs(x) >= 999.5 && i < units.length - 1) {
    x /= 1000;
    i++;
  }
  return (i === 0 || x >= 99.95 ? x.toFixed(0) : x.toFixed(x >= 9.995 ? 1 : 2)) + " " + units[i];
}

function duration(ms) {
  if (!known(ms)) return DASH;
  if (ms < 999.5) return Math.round(ms) + " ms";
  if (ms < 59950) return (ms / 1000).toFixed(1) + " s";
  const s = Math.round(ms / 1000), min = Math.floor(s / 60), h = Math.floor(min / 60), days = Math.floor(h / 24);
  if (days > 0) return days + " d " + (h % 24) + " h";
  if (h > 0) return h + " h " + (min % 60) + " min";
  return min + " min " + (s % 60) + " s";
}

/* What is left, as a clock shows it. */
function countdown(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000)), two = (x) => String(x).padStart(2, "0");
  const h = Math.floor(s / 3600);
  return (h > 0 ? h + ":" + two(Math.floor(s / 60) % 60) : Math.floor(s / 60)) + ":" + two(s % 60);
}

const clockFormat = new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit", second: "2-digit"});
const dayFormat = new Intl.DateTimeFormat("en-GB", {day: "numeric", month: "short", year: "numeric"});

/* A date that there is: JavaScript's end in the year 275760. */
const dated = (ms) => known(ms) && Math.abs(ms) <= 8.64e15;
const clock = (ms) => (dated(ms) ? clockFormat.format(ms) : DASH);
const day = (ms) => (dated(ms) ? dayFormat.format(ms) : DASH);

/* Time of day, and the date unless it is today. */
function when(ms) {
  if (!dated(ms)) return DASH;
  return day(ms) === day(Date.now()) ? clock(ms) : day(ms) + ", " + clock(ms);
}

function plural(n, one, many) {
  return count(n) + " " + (n === 1 ? one : many);
}
