/* Building pieces of the page, and putting them in the place of older ones without disturbing what did not change: focus,
 * selection, scroll positions and the voice of a screen reader stay where they are. Texts become text nodes; nothing is
 * ever parsed as markup. */

const $ = (id) => document.getElementById(id);

/* h("p", {class: "note"}, "text", node, [more], null) */
function h(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {}))
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  element.append(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false && c !== ""));
  return element;
}

/* Words from outside, apart from ours in reading direction too. */
const foreign = (x, most) => h("bdi", {}, words(x, most));

function time(ms, text) {
  return dated(ms) ? h("time", {datetime: new Date(ms).toISOString(), title: day(ms) + ", " + clock(ms)}, text || when(ms)) : DASH;
}

const keyOf = (node) => (node.nodeType === 1 ? node.getAttribute("data-key") : null);

/* What `reach` has set. */
const REACH = ["tabindex", "role", "aria-label"];

function morphAttributes(from, to) {
  for (const a of [...from.attributes])
    if (!to.hasAttribute(a.name) && !(from.classList.contains("scroll") && REACH.includes(a.name))) from.removeAttribute(a.name);
  for (const a of to.attributes)
    if (from.getAttribute(a.name) !== a.value) from.setAttribute(a.name, a.value);
}

/* `from` becomes like `to`; what is left of `to` is thrown away. */
function morph(from, to) {
  if (from.nodeName !== to.nodeName || keyOf(from) !== keyOf(to)) {
    from.replaceWith(to);
  } else if (from.nodeType === 3) {
    if (from.data !== to.data) from.data = to.data;
  } else {
    morphAttributes(from, to);
    morphChildren(from, [...to.childNodes]);
  }
}

function morphChildren(parent, wanted) {
  const keyed = new Map();
  for (const child of parent.children)
    if (keyOf(child) !== null) keyed.set(keyOf(child), child);
  let at = parent.firstChild;
  for (const next of wanted) {
    const key = keyOf(next), old = key === null ? null : keyed.get(key);
    keyed.delete(key);
    if (at === null || (key !== null && !old)) {
      parent.insertBefore(next, at);
      continue;
    }
    if (old && old !== at) {
      parent.insertBefore(old, at);
      at = old;
    }
    const after = at.nextSibling;
    morph(at, next);
    at = after;
  }
  while (at !== null) {
    const after = at.nextSibling;
    at.remove();
    at = after;
  }
}

function put(id, ...children) {
  morphChildren($(id), [...h("div", {}, ...children).childNodes]);
}

/* What is wider or higher than its place must be scrolled with the keyboard too; what is not should not be in the way. */
function reach() {
  for (const e of document.querySelectorAll(".scroll")) {
    const over = e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1;
    if (over && e.tabIndex !== 0) {
      e.tabIndex = 0;
      e.setAttribute("role", "region");
      e.setAttribute("aria-label", e.textContent === "" ? "" : e.querySelector("caption, code").textContent);
    } else if (!over && e.tabIndex === 0 && e !== document.activeElement) {
      for (const name of REACH) e.removeAttribute(name);
    }
  }
}

/* A table whose rows are arrays of cells; the first cell heads its row. Columns: [title, "num" or ""]. `keys`: one a row. */
function table(caption, columns, rows, keys, kind = "") {
  /* The roles say what the elements say already, but also where the style sheet makes cards of rows. */
  const cell = (content, c) => h(c === 0 ? "th" : "td", {scope: c === 0 ? "row" : null, role: c === 0 ? "rowheader" : "cell", class: columns[c][1] || null, "data-label": columns[c][0]}, content);
  return h("div", {class: "scroll " + kind},
    h("table", {class: kind, role: "table"},
      h("caption", {}, h("span", {class: "cap"}, caption)),
      h("thead", {role: "rowgroup"}, h("tr", {role: "row"}, columns.map(([title, type]) => h("th", {scope: "col", role: "columnheader", class: type || null}, title)))),
      h("tbody", {role: "rowgroup"}, rows.map((cells, r) => h("tr", {"data-key": keys[r], role: "row"}, cells.map((content, c) => cell(content, c)))))));
}

/* [[term, value], ...]; values that are null are left out. */
function facts(pairs, kind = "facts") {
  return h("dl", {class: kind}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([term, value]) =>
    h("div", {"data-key": term}, h("dt", {}, term), h("dd", {}, value))));
}

/* A word that has a colour, a sign and itself. */
function pill(word, tone, sign) {
  return h("span", {class: "pill " + tone}, sign ? h("span", {class: "sign", "aria-hidden": "true"}, sign) : null, word);
}

function bar(share, label) {
  return h("progress", {max: "1", value: String(Math.min(1, Math.max(0, share))), "aria-label": label});
}
