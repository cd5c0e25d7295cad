/* compare.svg: small multiples, one panel for each cost, one line for each scheme. */
#include "measure/fields.h"
#include "measure/plot.h"
#include "medsecurefl/bench.h"
#include "report/html.h"

#include <math.h>
#include <stdio.h>

enum {
    COLUMNS = 3,
    PANELS = 6,
    MARGIN = 24,
    HEAD = 84,
    GAP = 36,
    PANEL_WIDTH = 312,
    NAME_WIDTH = 66,
    VALUE_WIDTH = 78,
    LINE = 26,
    PANEL_HEAD = 40,
    PANEL_FOOT = 34,
    SCHEMES_MAX = 32
};

typedef struct panel {
    const char *name, *what;
    plot_unit unit;
    double (*value)(const msfl_bench_compare_row *row);
    double (*mark)(const msfl_bench_compare *report); /* what the dashed line stands for; NULL: none */
} panel;

static double encrypt_s(const msfl_bench_compare_row *r) {
    return r->encrypt_ms * 1e-3;
}
static double sent_bytes(const msfl_bench_compare_row *r) {
    return (double)(r->upload_bytes + r->trailer_bytes);
}
static double add_s(const msfl_bench_compare_row *r) {
    return r->add_ms * 1e-3;
}
static double open_s(const msfl_bench_compare_row *r) {
    return (r->close_ms + r->open_ms) * 1e-3;
}
static double memory(const msfl_bench_compare_row *r) {
    return (double)r->memory_bytes;
}
static double error(const msfl_bench_compare_row *r) {
    return r->max_error;
}

static double as_float32(const msfl_bench_compare *report) {
    return 4.0 * (double)report->values;
}
/* The encoding's, so that of every scheme. */
static double bound(const msfl_bench_compare *report) {
    for (size_t i = 0; i < report->n_rows; i++) {
        if (report->rows[i].left_out[0] == 0) return report->rows[i].error_bound;
    }
    return NAN;
}

static const panel panels[PANELS] = {
    {"Encrypt", "one client", PLOT_SECONDS, encrypt_s, NULL},
    {"Upload", "one client; dashed: as float32", PLOT_BYTES, sent_bytes, as_float32},
    {"Add", "coordinator, one client", PLOT_SECONDS, add_s, NULL},
    {"Open", "close, open and decode the sum", PLOT_SECONDS, open_s, NULL},
    {"Memory", "peak, one upload included", PLOT_BYTES, memory, NULL},
    {"Error", "largest, of a mean; dashed: the bound", PLOT_PLAIN, error, bound},
};

static void draw_frame(msfl_buffer *out, const panel *p, const plot_axis *axis, double x, double top, double bottom) {
    msfl_put_text(
        out,
        "<text class=\"name\" x=\"%.1f\" y=\"%.1f\">%s <tspan class=\"soft\" font-weight=\"400\">%s</tspan></text>\n",
        x, top - 16, p->name, p->what);
    int decades = axis->high - axis->low, every = decades > 8 ? 3 : decades > 3 ? 2 : 1;
    for (int e = axis->low; e <= axis->high; e++) {
        double at = axis->from + (axis->to - axis->from) * (e - axis->low) / decades;
        msfl_put_text(out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", at, top, bottom);
        if ((e - axis->low) % every != 0) continue;
        msfl_put_text(out, "<text class=\"soft small\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", at,
                      bottom + 16, plot_decade(e, p->unit).text);
    }
}

static void draw_row(msfl_buffer *out, const panel *p, const plot_axis *axis, const msfl_bench_compare_row *row,
                     double x, double y) {
    msfl_put_text(out, "<text x=\"%.1f\" y=\"%.1f\" dy=\".35em\">", x, y);
    msfl_html_text_max(out, row->scheme, 12);
    msfl_put_text(out, "</text>");
    msfl_put_text(out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", axis->from, y, axis->to);
    double v = p->value(row);
    const char *colour = row->encrypts ? "blue" : "orange";
    if (row->left_out[0] != 0 || !isfinite(v)) {
        msfl_put_text(out, "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" dy=\".35em\" text-anchor=\"end\">%s</text>\n",
                      x + PANEL_WIDTH, y, row->left_out[0] != 0 ? "left out" : "–");
        return;
    }
    double at = v > 0.0 ? plot_at(axis, v) : axis->from;
    msfl_put_text(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"5.5\"/>", colour, at, y);
    msfl_put_text(out, "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" dy=\".35em\" text-anchor=\"end\">%s</text>\n",
                  x + PANEL_WIDTH, y, plot_value(v, p->unit).text);
}

static void draw_panel(msfl_buffer *out, const msfl_bench_compare *report, size_t k, double x, double y) {
    const panel *p = &panels[k];
    double values[SCHEMES_MAX + 1], mark = p->mark != NULL ? p->mark(report) : NAN;
    size_t n = 0;
    for (size_t i = 0; i < report->n_rows && n < SCHEMES_MAX; i++) {
        if (report->rows[i].left_out[0] == 0) values[n++] = p->value(&report->rows[i]);
    }
    if (p->mark != NULL) values[n++] = mark;
    plot_axis axis = plot_axis_of(values, n, x + NAME_WIDTH, x + PANEL_WIDTH - VALUE_WIDTH);
    double top = y + PANEL_HEAD, bottom = top + LINE * (double)report->n_rows;
    draw_frame(out, p, &axis, x, top, bottom);
    if (mark > 0.0) {
        msfl_put_text(out, "<path class=\"mark\" d=\"M%.1f %.1fV%.1f\"/>\n", plot_at(&axis, mark), top - 6, bottom);
    }
    for (size_t i = 0; i < report->n_rows && i < SCHEMES_MAX; i++)
        draw_row(out, p, &axis, &report->rows[i], x, top + LINE * ((double)i + 0.5));
}

msfl_status msfl_bench_compare_svg(const msfl_bench_compare *report, char **text) {
    char title[200], below[300];
    double panel_height = PANEL_HEAD + LINE * (double)report->n_rows + PANEL_FOOT;
    double width = 2 * MARGIN + COLUMNS * PANEL_WIDTH + (COLUMNS - 1) * GAP;
    double height = HEAD + panel_height * ceil((double)PANELS / COLUMNS) + 36;
    snprintf(title, sizeof title, "What encrypted addition costs: %s", report->model);
    snprintf(below, sizeof below, "%s values of %u bits, %u clients, each party on one thread; logarithmic axes",
             msfl_whole((double)report->values).text, report->bits, report->clients);
    msfl_buffer out = {0};
    plot_begin(&out, width, height, title, below);
    for (size_t k = 0; k < PANELS; k++) {
        draw_panel(&out, report, k, MARGIN + (double)(k % COLUMNS) * (PANEL_WIDTH + GAP),
                   HEAD + panel_height * floor((double)k / COLUMNS));
    }
    msfl_put_text(&out, "<text class=\"soft small\" x=\"%d\" y=\"%.1f\">", MARGIN, height - 16);
    msfl_html_text_max(&out, report->machine.processor, 90);
    msfl_put_text(&out, ", kernel %s. Orange: not encrypted.</text>\n", report->machine.kernel);
    plot_end(&out);
    return measure_text_take(&out, text);
}
