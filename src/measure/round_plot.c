/* round.svg: measured against fitted seconds, so that a bad cost model is seen. */
#include "base/error.h"
#include "base/mem.h"
#include "measure/fields.h"
#include "measure/plot.h"
#include "medsecurefl/bench.h"
#include "report/html.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH = 760, HEIGHT = 620, LEFT = 84, RIGHT = 736, TOP = 132, BOTTOM = 556 };

typedef struct party_style {
    const char *name, *colour;
    double (*measured)(const msfl_bench_round_row *row);
    double (*fitted)(const msfl_bench_round_row *row);
} party_style;

static double client(const msfl_bench_round_row *r) {
    return r->client_s;
}
static double client_fitted(const msfl_bench_round_row *r) {
    return r->client_fitted_s;
}
static double coordinator(const msfl_bench_round_row *r) {
    return r->coordinator_s;
}
static double coordinator_fitted(const msfl_bench_round_row *r) {
    return r->coordinator_fitted_s;
}
static double key_holder(const msfl_bench_round_row *r) {
    return r->key_holder_s;
}
static double key_holder_fitted(const msfl_bench_round_row *r) {
    return r->key_holder_fitted_s;
}

static const party_style styles[MSFL_BENCH_PARTIES] = {
    [MSFL_BENCH_CLIENT] = {"one client", "blue", client, client_fitted},
    [MSFL_BENCH_COORDINATOR] = {"coordinator", "orange", coordinator, coordinator_fitted},
    [MSFL_BENCH_KEY_HOLDER] = {"key holder", "teal", key_holder, key_holder_fitted},
};

/* Circle, square and triangle: told apart without colour too. */
static void draw_mark(msfl_buffer *out, size_t party, double x, double y) {
    const char *colour = styles[party].colour;
    if (party == MSFL_BENCH_CLIENT) {
        msfl_put_text(out, "<circle class=\"%s ring\" cx=\"%.1f\" cy=\"%.1f\" r=\"5.5\">", colour, x, y);
    } else if (party == MSFL_BENCH_COORDINATOR) {
        msfl_put_text(out, "<rect class=\"%s ring\" x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\">", colour, x - 5,
                      y - 5);
    } else {
        msfl_put_text(out, "<path class=\"%s ring\" d=\"M%.1f %.1fl6.5 11h-13Z\">", colour, x, y - 6.5);
    }
}

static void end_mark(msfl_buffer *out, size_t party) {
    msfl_put_text(out, party == MSFL_BENCH_CLIENT        ? "</circle>\n"
                       : party == MSFL_BENCH_COORDINATOR ? "</rect>\n"
                                                         : "</path>\n");
}

static void draw_axes(msfl_buffer *out, const plot_axis *x, const plot_axis *y) {
    int decades = x->high - x->low;
    for (int e = x->low; e <= x->high; e++) {
        double at_x = x->from + (x->to - x->from) * (e - x->low) / decades;
        double at_y = y->from + (y->to - y->from) * (e - y->low) / decades;
        msfl_put_text(out, "<path class=\"grid\" d=\"M%.1f %dV%dM%d %.1fH%d\"/>", at_x, TOP, BOTTOM, LEFT, at_y, RIGHT);
        msfl_put_text(
            out,
            "<text class=\"soft small\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text><text class=\"soft "
            "small\" x=\"%d\" y=\"%.1f\" dy=\".35em\" text-anchor=\"end\">%s</text>\n",
            at_x, BOTTOM + 17, plot_decade(e, PLOT_SECONDS).text, LEFT - 8, at_y, plot_decade(e, PLOT_SECONDS).text);
    }
    msfl_put_text(out, "<path class=\"mark\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", x->from, y->from, x->to, y->to);
    msfl_put_text(out,
                  "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">measured</text><text transform=\"translate(26 %d) "
                  "rotate(-90)\" text-anchor=\"middle\">fitted</text>\n",
                  (LEFT + RIGHT) / 2, BOTTOM + 40, (TOP + BOTTOM) / 2);
}

static void draw_key(msfl_buffer *out, const msfl_bench_round *report) {
    double x = 30;
    for (size_t p = 0; p < MSFL_BENCH_PARTIES; p++, x += 236) {
        const msfl_bench_cost *c = &report->costs.parties[p];
        draw_mark(out, p, x, 88);
        end_mark(out, p);
        msfl_put_text(out,
                      "<text x=\"%.1f\" y=\"92\">%s</text><text class=\"soft small\" x=\"%.1f\" y=\"109\">R² %.4f, at "
                      "worst %.0f %% off</text>\n",
                      x + 13, styles[p].name, x + 13, c->r_squared, c->worst_residual * 100.0);
    }
}

static void draw_points(msfl_buffer *out, const msfl_bench_round *report, const plot_axis *x, const plot_axis *y) {
    for (size_t p = 0; p < MSFL_BENCH_PARTIES; p++) {
        for (size_t i = 0; i < report->n_rows; i++) {
            const msfl_bench_round_row *row = &report->rows[i];
            double measured = styles[p].measured(row), fitted = styles[p].fitted(row);
            if (!(measured > 0.0) || !(fitted > 0.0)) continue;
            draw_mark(out, p, plot_at(x, measured), plot_at(y, fitted));
            msfl_put_text(out, "<title>");
            msfl_html_text_max(out, row->model, 60);
            msfl_put_text(out, ", %u clients, %s: measured %s, fitted %s</title>", row->clients, styles[p].name,
                          plot_value(measured, PLOT_SECONDS).text, plot_value(fitted, PLOT_SECONDS).text);
            end_mark(out, p);
        }
    }
}

msfl_status msfl_bench_round_svg(const msfl_bench_round *report, char **text) {
    *text = NULL;
    if (!report->is_fitted) return msfl_fail(MSFL_ERR_MISSING, "no cost model to draw: %s", report->not_fitted);
    size_t n = 0;
    double *values = msfl_alloc(2 * MSFL_BENCH_PARTIES * report->n_rows, sizeof *values);
    if (values == NULL) return MSFL_ERR_MEMORY;
    for (size_t i = 0; i < report->n_rows; i++) {
        for (size_t p = 0; p < MSFL_BENCH_PARTIES; p++) {
            values[n++] = styles[p].measured(&report->rows[i]);
            values[n++] = styles[p].fitted(&report->rows[i]);
        }
    }
    plot_axis x = plot_axis_of(values, n, LEFT, RIGHT), y = x;
    y.from = BOTTOM;
    y.to = TOP;
    msfl_free(values);
    char title[120], below[200];
    snprintf(title, sizeof title, "A round's cost model, %s at %u bits", report->scheme, report->bits);
    snprintf(below, sizeof below, "seconds of a whole round, each party on one thread; dashed: fitted as measured");
    msfl_buffer out = {0};
    plot_begin(&out, WIDTH, HEIGHT, title, below);
    draw_key(&out, report);
    draw_axes(&out, &x, &y);
    draw_points(&out, report, &x, &y);
    msfl_put_text(&out, "<text class=\"soft small\" x=\"24\" y=\"%d\">", HEIGHT - 10);
    msfl_html_text_max(&out, report->machine.processor, 80);
    msfl_put_text(&out, ", kernel %s</text>\n", report->machine.kernel);
    plot_end(&out);
    return measure_text_take(&out, text);
}
