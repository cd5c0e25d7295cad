/* Figures by number of hospitals, drawn. */
#include "report/html.h"
#include "report/read.h"
#include "report/svg.h"
#include "report/tables.h"

#include <math.h>
#include <stdio.h>

static void widen(double *low, double *high, double v) {
    *low = fmin(*low, v); /* passes NaN over */
    *high = fmax(*high, v);
}

static void put_chart(msfl_page *page, const char *key, const char *title) {
    static const msfl_way *const order[MSFL_TABLES_ROWS] = {&msfl_ways[MSFL_WAY_PLAIN], &msfl_ways[MSFL_WAY_CENTRAL],
                                                            &msfl_ways[MSFL_WAY_ENCRYPTED]};
    const json_t *clients = msfl_array_at(page->result, "clients");
    const size_t n = msfl_tables_columns(page);
    msfl_point points[MSFL_TABLES_ROWS][MSFL_TABLES_COLUMNS_MAX];
    double x[MSFL_TABLES_COLUMNS_MAX], low[MSFL_TABLES_COLUMNS_MAX], high[MSFL_TABLES_COLUMNS_MAX];
    double x_min = INFINITY, x_max = -INFINITY, y_min = INFINITY, y_max = -INFINITY;
    size_t by_size[MSFL_TABLES_COLUMNS_MAX];
    for (size_t i = 0; i < n; i++) { /* columns stand as they were named; a line goes from left to right */
        size_t k = i;
        for (; k > 0 && msfl_number_in(clients, by_size[k - 1]) > msfl_number_in(clients, i); k--)
            by_size[k] = by_size[k - 1];
        by_size[k] = i;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = msfl_number_in(clients, by_size[i]);
        widen(&x_min, &x_max, x[i]);
        for (size_t r = 0; r < MSFL_TABLES_ROWS; r++) {
            const json_t *c = msfl_tables_cell(page, key, order[r], by_size[i]);
            points[r][i] = (msfl_point){x[i], msfl_number_at(c, "mean")};
            widen(&y_min, &y_max, points[r][i].y);
            if (r != 2) continue;
            low[i] = isnan(x[i]) ? NAN : msfl_number_at(c, "smallest");
            high[i] = isnan(x[i]) ? NAN : msfl_number_at(c, "largest");
            widen(&y_min, &y_max, low[i]);
            widen(&y_min, &y_max, high[i]);
        }
    }
    msfl_put_text(page->out,
                  "<figure><figcaption><b>%s</b> on the test images, mean over seeds; shaded: from the smallest "
                  "to the largest seed of the encrypted federation.</figcaption>\n",
                  title);
    if (!(y_min <= y_max)) {
        msfl_html_missing(page->out, "this figure");
        msfl_put_text(page->out, "</figure>\n");
        return;
    }
    msfl_series series[MSFL_TABLES_ROWS];
    for (size_t r = 0; r < MSFL_TABLES_ROWS; r++)
        series[r] = (msfl_series){order[r]->label, order[r]->style, points[r], n};
    const double pad = fmax(0.1 * (y_max - y_min), 0.005);
    const msfl_band band = {NULL, "encrypted", x, low, high, n};
    char words[200];
    snprintf(words, sizeof words, "%s by number of hospitals, from %.3f to %.3f", title, y_min, y_max);
    const msfl_chart chart = {.title = words,
                              .x_label = "hospitals",
                              .x_min = x_min - (n == 1 ? 1 : 0),
                              .x_max = x_max + (n == 1 ? 1 : 0),
                              .y_min = fmax(0, y_min - pad),
                              .y_max = fmin(1, y_max + pad) > y_min ? fmin(1, y_max + pad) : y_max + pad,
                              .x_whole = true,
                              .mark_x = NAN,
                              .band = &band,
                              .series = series,
                              .n_series = MSFL_TABLES_ROWS};
    msfl_svg_chart(page->out, &chart, ++page->n_charts);
    msfl_put_text(page->out, "</figure>\n");
}

void msfl_tables_charts(msfl_page *page) {
    msfl_section_begin(page, "charts", "By number of hospitals");
    msfl_put_text(page->out, "<div class=\"pair\">\n");
    put_chart(page, "accuracy", "Accuracy");
    put_chart(page, "auc", "AUC");
    msfl_put_text(page->out, "</div>\n");
    msfl_section_end(page);
}
