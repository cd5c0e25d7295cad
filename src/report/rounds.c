/* Round by round: how the models came along, and whether each encrypted sum was exact. */
#include "report/html.h"
#include "report/read.h"
#include "report/sections.h"
#include "report/svg.h"

#include "base/error.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINES_ALONE_MAX = 8, ROUNDS_DRAWN_MAX = 20000 };

/* One figure of every round, for every way. */
typedef struct history {
    size_t n, n_alone;   /* rounds; hospitals */
    double *x;           /* round numbers */
    msfl_point *points;  /* 3 x n: encrypted, plain, central */
    msfl_point *alone;   /* n_alone x n */
    double *low, *high;  /* range over the hospitals alone */
    double y_min, y_max; /* of everything that must be seen */
    bool has[MSFL_N_WAYS];
    bool is_cut; /* some value of a hospital alone lies outside */
} history;

static void history_clear(history *h) {
    msfl_free(h->x);
    msfl_free(h->points);
    msfl_free(h->alone);
    msfl_free(h->low);
    msfl_free(h->high);
    *h = (history){0};
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* A hospital alone may diverge; nine tenths of all values decide about the axis, not the worst. */
static msfl_status widen_by_alone(history *h) {
    size_t total = h->n * h->n_alone, n = 0;
    double *values = msfl_alloc(total, sizeof *values);
    if (values == NULL) return MSFL_ERR_MEMORY;
    for (size_t i = 0; i < total; i++) {
        if (!isnan(h->alone[i].y)) values[n++] = h->alone[i].y;
    }
    if (n > 0) {
        qsort(values, n, sizeof *values, by_value);
        h->y_min = fmin(h->y_min, values[n / 20]);
        h->y_max = fmax(h->y_max, values[n - 1 - n / 20]);
    }
    msfl_free(values);
    return MSFL_OK;
}

static msfl_status history_read(history *h, const json_t *rounds, const char *key) {
    *h = (history){.n = json_array_size(rounds), .y_min = INFINITY, .y_max = -INFINITY};
    if (h->n > ROUNDS_DRAWN_MAX) h->n = ROUNDS_DRAWN_MAX;
    for (size_t i = 0; i < h->n; i++) {
        size_t n = json_array_size(msfl_at(json_array_get(rounds, i), "alone"));
        if (n > h->n_alone) h->n_alone = n;
    }
    if (h->n_alone > MSFL_HOSPITALS_SHOWN_MAX) h->n_alone = MSFL_HOSPITALS_SHOWN_MAX;
    h->x = msfl_alloc(h->n, sizeof *h->x);
    h->points = msfl_alloc(3 * h->n, sizeof *h->points);
    h->alone = msfl_alloc(h->n_alone * h->n, sizeof *h->alone);
    h->low = msfl_alloc(h->n, sizeof *h->low);
    h->high = msfl_alloc(h->n, sizeof *h->high);
    if (h->x == NULL || h->points == NULL || h->alone == NULL || h->low == NULL || h->high == NULL) {
        history_clear(h);
        return MSFL_ERR_MEMORY;
    }
    for (size_t i = 0; i < h->n; i++) {
        const json_t *round = json_array_get(rounds, i);
        double number = msfl_number_at(round, "round");
        h->x[i] = number >= 0.0 && number <= 1e9 ? number : (double)(i + 1);
        for (int k = 0; k < MSFL_WAY_ALONE; k++) {
            double y = msfl_number_at(msfl_at(round, msfl_ways[k].key), key);
            h->points[(size_t)k * h->n + i] = (msfl_point){h->x[i], y};
            if (isnan(y)) continue;
            h->has[k] = true;
            h->y_min = fmin(h->y_min, y);
            h->y_max = fmax(h->y_max, y);
        }
        h->low[i] = h->high[i] = NAN;
        const json_t *alone = msfl_at(round, "alone");
        for (size_t c = 0; c < h->n_alone; c++) {
            double y = msfl_number_at(json_array_get(alone, c), key);
            h->alone[c * h->n + i] = (msfl_point){h->x[i], y};
            if (isnan(y)) continue;
            h->has[MSFL_WAY_ALONE] = true;
            h->low[i] = fmin(isnan(h->low[i]) ? y : h->low[i], y);
            h->high[i] = fmax(isnan(h->high[i]) ? y : h->high[i], y);
        }
    }
    if (h->has[MSFL_WAY_ALONE]) {
        if (widen_by_alone(h) != MSFL_OK) {
            history_clear(h);
            return MSFL_ERR_MEMORY;
        }
    }
    return MSFL_OK;
}

/* Round ends for the axis, with a little air; `limit` is the most that the figure can be. */
static void fit_axis(history *h, double limit) {
    double air = 0.04 * (h->y_max - h->y_min);
    if (!(air > 0.0)) air = fmax(fabs(h->y_max) * 0.05, 0.01);
    h->y_min = fmax(h->y_min - air, 0.0);
    h->y_max = fmin(h->y_max + air, limit);
    double step = msfl_tick_step(h->y_min, h->y_max, 5, false);
    h->y_min = floor(h->y_min / step + 1e-9) * step;
    h->y_max = fmin(ceil(h->y_max / step - 1e-9) * step, limit);
    for (size_t i = 0; i < h->n; i++)
        h->is_cut = h->is_cut || h->low[i] < h->y_min || h->high[i] > h->y_max;
}

static bool put_chart(msfl_page *page, const json_t *rounds, const char *key, const char *heading, double limit) {
    msfl_buffer *out = page->out;
    history h;
    msfl_status status = history_read(&h, rounds, key);
    if (status != MSFL_OK) {
        if (out->status == MSFL_OK) out->status = status;
        return true;
    }
    bool has_any = h.has[0] || h.has[1] || h.has[2] || h.has[3];
    if (!has_any || !(h.y_min >= 0.0) || !(h.y_max <= 1e9)) {
        history_clear(&h);
        return false;
    }
    fit_axis(&h, limit);
    msfl_series series[MSFL_CHART_SERIES_MAX];
    size_t n = 0;
    if (h.n_alone <= LINES_ALONE_MAX) {
        for (size_t c = 0; c < h.n_alone; c++)
            series[n++] = (msfl_series){NULL, "alone thin", h.alone + c * h.n, h.n};
    }
    static const int order[3] = {MSFL_WAY_PLAIN, MSFL_WAY_CENTRAL, MSFL_WAY_ENCRYPTED};
    for (int k = 0; k < 3; k++) {
        const msfl_way *way = &msfl_ways[order[k]];
        if (!h.has[order[k]]) continue;
        series[n++] = (msfl_series){way->label, way->style, h.points + (size_t)order[k] * h.n, h.n};
    }
    const msfl_band band = {"each alone", "alone", h.x, h.low, h.high, h.n};
    double first = h.x[0], last = h.x[0];
    for (size_t i = 1; i < h.n; i++) {
        first = fmin(first, h.x[i]);
        last = fmax(last, h.x[i]);
    }
    char title[240];
    const msfl_way *way = h.has[MSFL_WAY_ENCRYPTED] ? &msfl_ways[MSFL_WAY_ENCRYPTED] : &msfl_ways[MSFL_WAY_PLAIN];
    const msfl_point *line = h.points + (size_t)(way - msfl_ways) * h.n;
    snprintf(title, sizeof title,
             "%s by round, from %s in round %.0f to %s in round %.0f (%s). The numbers are in the "
             "table below.",
             heading, msfl_fixed(line[0].y, 3).text, h.x[0], msfl_fixed(line[h.n - 1].y, 3).text, h.x[h.n - 1],
             way->label);
    const msfl_chart chart = {.title = title,
                              .x_label = "round",
                              .x_min = first - (first == last ? 0.5 : 0.0),
                              .x_max = last + (first == last ? 0.5 : 0.0),
                              .y_min = h.y_min,
                              .y_max = h.y_max,
                              .x_whole = true,
                              .mark_x = msfl_number_at(page->result, "best_round"),
                              .mark_label = "best",
                              .band = h.has[MSFL_WAY_ALONE] ? &band : NULL,
                              .series = series,
                              .n_series = n};
    msfl_put_text(out, "<figure><figcaption><b>%s</b> by round%s</figcaption>\n", heading,
                  h.is_cut ? "; some values of hospitals alone lie outside the frame" : "");
    msfl_svg_chart(out, &chart, ++page->n_charts);
    msfl_put_text(out, "</figure>\n");
    history_clear(&h);
    return true;
}

/* --- table --- */

/* Which of the ways have this figure in any round: the others get no column. */
static unsigned ways_with(const json_t *rounds, const char *key) {
    unsigned mask = 0;
    for (size_t i = 0; i < json_array_size(rounds); i++) {
        for (int k = 0; k < MSFL_WAY_ALONE; k++) {
            const json_t *way = msfl_at(json_array_get(rounds, i), msfl_ways[k].key);
            if (!isnan(msfl_number_at(way, key))) mask |= 1U << k;
        }
    }
    return mask;
}

static const char *const figure_names[2][2] = {{"Validation loss", "Validation AUC"},
                                               {"Validation loss", "Validation Dice"}};
static const char *const figure_keys[2][2] = {{"validation_loss", "validation_auc"},
                                              {"validation_loss", "validation_dice"}};

static void put_cells(msfl_page *page, const json_t *round, const unsigned masks[2], bool is_encrypted) {
    msfl_buffer *out = page->out;
    for (int f = 0; f < 2; f++) {
        for (int k = 0; k < MSFL_WAY_ALONE; k++) {
            if ((masks[f] >> k & 1U) == 0) continue;
            double v =
                msfl_number_at(msfl_at(round, msfl_ways[k].key), figure_keys[msfl_is_segmentation(page->result)][f]);
            msfl_put_text(out, "<td>%s</td>", msfl_fixed(v, 3).text);
        }
    }
    if (!is_encrypted) return;
    msfl_answer exact = msfl_answer_at(round, "sum_exact");
    double error = msfl_number_at(round, "max_error"), bound = msfl_number_at(round, "error_bound");
    bool is_beyond = error > bound;
    msfl_put_text(out, "<td>%s</td>",
                  exact == MSFL_YES  ? "<span class=\"good\">✓ exact</span>"
                  : exact == MSFL_NO ? "<span class=\"bad\">✗ not exact</span>"
                                     : "–");
    msfl_put_text(out, "<td%s>%s</td><td>%s</td><td>%s</td><td>%s</td>", is_beyond ? " class=\"bad\"" : "",
                  msfl_significant(error).text, msfl_significant(bound).text,
                  msfl_whole(msfl_number_at(round, "clipped")).text, msfl_whole(msfl_number_at(round, "cohort")).text);
}

static void put_heads(msfl_page *page, const unsigned masks[2], bool is_encrypted) {
    msfl_buffer *out = page->out;
    msfl_put_text(out, "<thead><tr><th scope=\"col\" rowspan=\"2\">Round</th>");
    for (int f = 0; f < 2; f++) {
        int n = __builtin_popcount(masks[f]);
        if (n > 0)
            msfl_put_text(out, "<th scope=\"colgroup\" colspan=\"%d\">%s</th>", n,
                          figure_names[msfl_is_segmentation(page->result)][f]);
    }
    if (is_encrypted) {
        msfl_put_text(out, "<th scope=\"col\" rowspan=\"2\">Sum</th><th scope=\"colgroup\" colspan=\"2\">Quantisation "
                           "error</th><th scope=\"col\" rowspan=\"2\">Values clipped</th><th scope=\"col\" "
                           "rowspan=\"2\">Hospitals in the sum</th>");
    }
    msfl_put_text(out, "</tr><tr>");
    for (int f = 0; f < 2; f++) {
        for (int k = 0; k < MSFL_WAY_ALONE; k++) {
            if ((masks[f] >> k & 1U) != 0) msfl_put_text(out, "<th scope=\"col\">%s</th>", msfl_ways[k].label);
        }
    }
    if (is_encrypted) msfl_put_text(out, "<th scope=\"col\">largest</th><th scope=\"col\">stated bound</th>");
    msfl_put_text(out, "</tr></thead>\n");
}

static void put_table(msfl_page *page, const json_t *rounds) {
    msfl_buffer *out = page->out;
    bool is_encrypted = msfl_is_encrypted(page->result);
    const char *const *keys = figure_keys[msfl_is_segmentation(page->result)];
    const unsigned masks[2] = {ways_with(rounds, keys[0]), ways_with(rounds, keys[1])};
    size_t n = json_array_size(rounds), every = (n + MSFL_ROUNDS_SHOWN_MAX - 1) / MSFL_ROUNDS_SHOWN_MAX;
    msfl_table_begin(page,
                     is_encrypted ? "Every round: validation figures, and the opened sum against the sum of the "
                                    "quantised updates and of the updates in float"
                                  : "Every round: validation figures",
                     "rounds");
    put_heads(page, masks, is_encrypted);
    msfl_put_text(out, "<tbody>\n");
    size_t n_faults = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *round = json_array_get(rounds, i);
        bool is_fault = msfl_answer_at(round, "sum_exact") == MSFL_NO && n_faults++ < MSFL_ROUNDS_SHOWN_MAX;
        if (i % every != 0 && i + 1 != n && !is_fault) continue;
        double number = msfl_number_at(round, "round");
        msfl_put_text(out, "<tr><th scope=\"row\">%s</th>", msfl_whole(isnan(number) ? (double)(i + 1) : number).text);
        put_cells(page, round, masks, is_encrypted);
        msfl_put_text(out, "</tr>\n");
    }
    msfl_put_text(out, "</tbody>");
    msfl_table_end(page);
    if (every > 1) {
        msfl_put_text(
            out,
            "<p class=\"note\">%zu rounds: every %zuth is listed, the last, and the first %d whose sum was not "
            "exact.</p>\n",
            n, every, MSFL_ROUNDS_SHOWN_MAX);
    }
}

void msfl_section_rounds(msfl_page *page) {
    msfl_section_begin(page, "rounds", "Round by round");
    const json_t *rounds = msfl_array_at(page->result, "rounds");
    if (rounds == NULL) {
        msfl_html_missing(page->out, "rounds");
    } else {
        msfl_put_text(page->out, "<div class=\"pair\">\n");
        bool is_masks = msfl_is_segmentation(page->result);
        bool any = put_chart(page, rounds, figure_keys[is_masks][1], figure_names[is_masks][1], 1.0);
        any = put_chart(page, rounds, "validation_loss", "Validation loss", 1e9) || any;
        msfl_put_text(page->out, "</div>\n");
        if (!any) msfl_html_missing(page->out, "validation figures by round");
        put_table(page, rounds);
        msfl_put_text(page->out, "<p class=\"note\">Validation images belong to the hospitals and to no one’s training "
                                 "part. “Best” is the round whose model was kept.</p>\n");
    }
    msfl_section_end(page);
}
