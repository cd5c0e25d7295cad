/* Forest plot: one row per way and hospital, on one axis, with intervals. */
#include "report/html.h"
#include "report/read.h"
#include "report/sections.h"
#include "report/svg.h"

#include <math.h>
#include <stdio.h>

typedef struct forest {
    double low, high; /* of the axis */
    double step;      /* between its ticks */
} forest;

static double share_of(const forest *f, double v) {
    return 100.0 * fmin(fmax((v - f->low) / (f->high - f->low), 0.0), 1.0);
}

static int ticks_of(const forest *f) {
    int n = (int)round((f->high - f->low) / f->step);
    return n < 20 ? n : 20;
}

static void widen(forest *f, double v) {
    if (isnan(v)) return;
    f->low = fmin(f->low, v);
    f->high = fmax(f->high, v);
}

/* Positions in percent: the plot stretches with the page while dots and text keep their size. */
static void forest_row(msfl_page *page, const forest *f, const char *name, bool name_is_ours, const char *style,
                       const json_t *figures, const char *key) {
    msfl_buffer *out = page->out;
    double value = msfl_number_at(figures, key);
    if (isnan(value)) return;
    const json_t *ends = msfl_at(msfl_at(figures, "intervals"), key);
    double low = msfl_number_in(ends, 0), high = msfl_number_in(ends, 1);
    msfl_put_text(out, "<tr class=\"%s\"><th scope=\"row\">", style);
    if (name_is_ours)
        msfl_put_text(out, "%s", name);
    else
        msfl_html_text_max(out, name, 40);
    msfl_put_text(out, "</th><td class=\"num\"><b>%s</b>", msfl_fixed(value, 3).text);
    if (!isnan(low) && !isnan(high)) {
        msfl_put_text(out, " <span class=\"ends\">%s–%s</span>", msfl_fixed(low, 3).text, msfl_fixed(high, 3).text);
    }
    msfl_put_text(out, "</td><td class=\"plot\"><svg aria-hidden=\"true\">");
    for (int i = 0; i <= ticks_of(f); i++) {
        double x = share_of(f, f->low + i * f->step);
        msfl_put_text(out, "<line class=\"tick\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"100%%\"/>", x, x);
    }
    if (!isnan(low) && !isnan(high)) {
        msfl_put_text(out, "<line class=\"whisker %s\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"50%%\" y2=\"50%%\"/>", style,
                      share_of(f, low), share_of(f, high));
    }
    msfl_put_text(out, "<circle class=\"dot %s\" cx=\"%.2f%%\" cy=\"50%%\" r=\"4.5\"/></svg></td></tr>\n", style,
                  share_of(f, value));
}

static void forest_axis(msfl_page *page, const forest *f) {
    msfl_buffer *out = page->out;
    int decimals = msfl_tick_decimals(f->step);
    /* The plot may be as narrow as a hundred pixels: long numbers stand at every second line only. */
    int every = decimals > 2 && ticks_of(f) > 2 ? 2 : 1;
    msfl_put_text(out, "<tr class=\"axis\"><td colspan=\"2\"></td><td class=\"plot\"><svg aria-hidden=\"true\">");
    for (int i = 0; i <= ticks_of(f); i += every) {
        double v = f->low + i * f->step;
        msfl_put_text(out, "<text x=\"%.2f%%\" y=\"14\" text-anchor=\"middle\">%s</text>", share_of(f, v),
                      msfl_fixed(v, decimals).text);
    }
    msfl_put_text(out, "</svg></td></tr>\n");
}

void msfl_put_forest(msfl_page *page, const char *key, const char *name) {
    const json_t *r = page->result;
    forest f = {INFINITY, -INFINITY, 0.0};
    const json_t *alone = msfl_array_at(r, "alone_mean.per_hospital");
    size_t n_alone =
        json_array_size(alone) < MSFL_HOSPITALS_SHOWN_MAX ? json_array_size(alone) : (size_t)MSFL_HOSPITALS_SHOWN_MAX;
    for (size_t k = 0; k < MSFL_N_WAYS + n_alone; k++) {
        const json_t *figures = k < MSFL_N_WAYS ? msfl_at(r, msfl_ways[k].key) : json_array_get(alone, k - MSFL_N_WAYS);
        const json_t *ends = msfl_at(msfl_at(figures, "intervals"), key);
        widen(&f, msfl_number_at(figures, key));
        if (isnan(msfl_number_at(figures, key))) continue;
        widen(&f, msfl_number_in(ends, 0));
        widen(&f, msfl_number_in(ends, 1));
    }
    if (!(f.low >= 0.0 && f.high <= 1.0)) {
        msfl_html_missing(page->out, "the figures to compare");
        return;
    }
    double step = msfl_tick_step(f.low, f.high > f.low ? f.high : f.low + 0.01, 4, false);
    f.low = fmax(floor(f.low / step + 1e-9) * step, 0.0);
    f.high = ceil(f.high / step - 1e-9) * step;
    if (f.high <= f.low) f.high = f.low + step;
    f.step = step;

    msfl_put_text(page->out,
                  "<table class=\"forest%s\"><caption>%s on the test images, with 95\u00a0%% intervals</caption>\n"
                  "<thead class=\"hidden\"><tr><th scope=\"col\">Training</th><th scope=\"col\">%s</th><th "
                  "scope=\"col\">Plot</th></tr></thead>\n<tbody>\n",
                  n_alone > 8 ? " compact" : "", name, name);
    for (size_t k = 0; k < MSFL_N_WAYS; k++)
        forest_row(page, &f, msfl_ways[k].words, true, msfl_ways[k].style, msfl_at(r, msfl_ways[k].key), key);
    for (size_t i = 0; i < n_alone; i++) {
        const json_t *one = json_array_get(alone, i);
        char spare[32];
        const char *hospital = msfl_string_at(one, "hospital");
        if (hospital == NULL) hospital = msfl_hospital_name(r, i, spare);
        forest_row(page, &f, hospital, false, "alone one", one, key);
    }
    forest_axis(page, &f);
    msfl_put_text(page->out, "</tbody></table>\n");
    if (json_array_size(alone) > n_alone) {
        msfl_put_text(page->out, "<p class=\"note\">%zu more hospitals are not shown.</p>\n",
                      json_array_size(alone) - n_alone);
    }
}
