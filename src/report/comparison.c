/* The federated model beside its alternatives: ROC curves, all figures. Intervals: forest.c. */
#include "report/html.h"
#include "report/read.h"
#include "report/sections.h"
#include "report/svg.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const msfl_way msfl_ways[MSFL_N_WAYS] = {
    {"encrypted", "encrypted", "encrypted", "Federation, encrypted"},
    {"plain", "plain", "plain", "Federation, not encrypted"},
    {"central", "central", "central", "All images in one place"},
    {"alone_mean", "alone", "alone", "Hospitals alone, mean"},
};

bool msfl_is_encrypted(const json_t *result) {
    const char *scheme = msfl_string_at(result, "scheme");
    return scheme != NULL ? strcmp(scheme, "plain") != 0 : msfl_at(result, "encrypted") != NULL;
}

const msfl_way *msfl_main_way(const json_t *result) {
    const msfl_way *way = &msfl_ways[msfl_is_encrypted(result) ? MSFL_WAY_ENCRYPTED : MSFL_WAY_PLAIN];
    return msfl_at(result, way->key) != NULL ? way : NULL;
}

typedef struct column {
    const char *key, *heading;
} column;

bool msfl_is_segmentation(const json_t *result) {
    const char *task = msfl_string_at(result, "task");
    return task != NULL && strcmp(task, "segmentation") == 0;
}

static const column columns_of_images[] = {
    {"auc", "AUC"},
    {"accuracy", "Accuracy"},
    {"balanced_accuracy", "Balanced accuracy"},
    {"sensitivity", "Sensitivity"},
    {"specificity", "Specificity"},
    {"f1", "F1"},
    {"loss", "Loss"},
    {"calibration", "Calibration error"},
};
static const column columns_of_masks[] = {
    {"dice", "Dice"},
    {"hausdorff95", "Hausdorff-95, pixels"},
    {"accuracy", "Right pixels"},
    {"loss", "Loss"},
};

static const column columns_of_masks_mm[] = {
    {"dice", "Dice"},
    {"hausdorff95", "Hausdorff-95, mm"},
    {"accuracy", "Right pixels"},
    {"loss", "Loss"},
};

static bool is_in_mm(const msfl_page *page) {
    const msfl_way *way = msfl_main_way(page->result);
    const char *unit = way == NULL ? NULL : msfl_string_at(msfl_at(page->result, way->key), "hausdorff95_unit");
    return unit != NULL && strcmp(unit, "mm") == 0;
}

static const column *columns_of(const msfl_page *page, size_t *n) {
    bool masks = msfl_is_segmentation(page->result);
    *n = masks ? sizeof columns_of_masks / sizeof columns_of_masks[0]
               : sizeof columns_of_images / sizeof columns_of_images[0];
    if (masks && is_in_mm(page)) return columns_of_masks_mm;
    return masks ? columns_of_masks : columns_of_images;
}

/* --- ROC --- */

enum { ROC_POINTS_MAX = 600 };

static size_t read_curve(const json_t *curve, msfl_point *points) {
    size_t n = json_array_size(curve), every = n / ROC_POINTS_MAX + 1, kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % every != 0 && i + 1 != n) continue;
        const json_t *pair = json_array_get(curve, i);
        double x = msfl_number_in(pair, 0), y = msfl_number_in(pair, 1);
        if (x >= 0.0 && x <= 1.0 && y >= 0.0 && y <= 1.0) points[kept++] = (msfl_point){x, y};
    }
    return kept;
}

static void put_roc(msfl_page *page) {
    msfl_buffer *out = page->out;
    msfl_series series[3];
    char labels[3][80];
    size_t n = 0;
    msfl_point *points = msfl_alloc(3 * (ROC_POINTS_MAX + 2), sizeof *points);
    if (points == NULL) {
        out->status = MSFL_ERR_MEMORY;
        return;
    }
    /* The encrypted curve is drawn last, on top of the plain one that it should cover. */
    static const int order[3] = {MSFL_WAY_PLAIN, MSFL_WAY_CENTRAL, MSFL_WAY_ENCRYPTED};
    for (int k = 0; k < 3; k++) {
        const msfl_way *way = &msfl_ways[order[k]];
        const json_t *figures = msfl_at(page->result, way->key);
        msfl_point *mine = points + (size_t)k * (ROC_POINTS_MAX + 2);
        size_t n_points = read_curve(msfl_array_at(figures, "roc"), mine);
        if (n_points < 2) continue;
        snprintf(labels[n], sizeof labels[n], "%s %s", way->label, msfl_fixed(msfl_number_at(figures, "auc"), 3).text);
        series[n] = (msfl_series){labels[n], way->style, mine, n_points};
        n++;
    }
    if (n == 0) {
        msfl_html_missing(out, "ROC curves");
    } else {
        char title[200] = "ROC curves. Area under the curve:";
        for (size_t k = 0; k < n; k++) {
            size_t at = strlen(title);
            snprintf(title + at, sizeof title - at, " %s%s", series[k].label, k + 1 < n ? ";" : ".");
        }
        const msfl_chart chart = {.title = title,
                                  .x_label = "false positive rate (1 − specificity)",
                                  .x_max = 1.0,
                                  .y_max = 1.0,
                                  .diagonal = true,
                                  .mark_x = NAN,
                                  .series = series,
                                  .n_series = n};
        msfl_put_text(out, "<figure><figcaption><b>ROC curves</b> on the test images: true positive rate "
                           "(sensitivity) against false positive rate</figcaption>\n");
        msfl_svg_chart(out, &chart, ++page->n_charts);
        msfl_put_text(out, "</figure>\n");
    }
    msfl_free(points);
}

/* --- table of all figures --- */

static void put_row(msfl_page *page, const char *style, const char *name, bool name_is_ours, const json_t *figures) {
    msfl_buffer *out = page->out;
    msfl_put_text(out, "<tr><th scope=\"row\">");
    if (style != NULL) msfl_put_text(out, "<span class=\"key %s\"></span>", style);
    if (name_is_ours)
        msfl_put_text(out, "%s", name);
    else
        msfl_html_text_max(out, name, 60);
    msfl_put_text(out, "</th>");
    const json_t *intervals = msfl_at(figures, "intervals");
    size_t n_columns;
    const column *columns = columns_of(page, &n_columns);
    for (size_t c = 0; c < n_columns; c++) {
        msfl_put_text(out, "<td>%s", msfl_fixed(msfl_number_at(figures, columns[c].key), 3).text);
        const json_t *ends = msfl_at(intervals, columns[c].key);
        double low = msfl_number_in(ends, 0), high = msfl_number_in(ends, 1);
        if (!isnan(low) && !isnan(high)) {
            msfl_put_text(out, "<span class=\"ends\">%s–%s</span>", msfl_fixed(low, 3).text, msfl_fixed(high, 3).text);
        }
        msfl_put_text(out, "</td>");
    }
    double n = msfl_number_at(figures, "n");
    msfl_put_text(out, "<td>%s</td></tr>\n", msfl_whole(n).text);
}

static void put_column_heads(msfl_page *page, const char *first) {
    msfl_put_text(page->out, "<thead><tr><th scope=\"col\">%s</th>", first);
    size_t n_columns;
    const column *columns = columns_of(page, &n_columns);
    for (size_t c = 0; c < n_columns; c++)
        msfl_put_text(page->out, "<th scope=\"col\">%s</th>", columns[c].heading);
    msfl_put_text(page->out, "<th scope=\"col\">Images</th></tr></thead>\n<tbody>\n");
}

/* Models that differ from hospital to hospital, on the common test images. */
static void put_personal(msfl_page *page) {
    const json_t *personal = msfl_at(page->result, "personal"), *list = msfl_array_at(personal, "per_hospital");
    if (list == NULL) return;
    msfl_table_begin(page, "Each hospital’s own model (its own normalisation layers) on the same test images",
                     "figures");
    put_column_heads(page, "Hospital");
    put_row(page, NULL, "Mean", true, personal);
    msfl_put_text(page->out, "<tr><th scope=\"row\">Lowest and highest</th>");
    size_t n_columns;
    const column *columns = columns_of(page, &n_columns);
    for (size_t c = 0; c < n_columns; c++) {
        const json_t *spread = msfl_at(msfl_at(personal, "spread"), columns[c].key);
        const double least = msfl_number_at(spread, "least"), most = msfl_number_at(spread, "most");
        msfl_put_text(page->out, "<td>");
        if (!isnan(least) && !isnan(most))
            msfl_put_text(page->out, "%s–%s", msfl_fixed(least, 3).text, msfl_fixed(most, 3).text);
        msfl_put_text(page->out, "</td>");
    }
    msfl_put_text(page->out, "<td></td></tr>\n");
    for (size_t i = 0; i < json_array_size(list) && i < MSFL_HOSPITALS_SHOWN_MAX; i++) {
        const json_t *one = json_array_get(list, i);
        char spare[32];
        const char *hospital = msfl_string_at(one, "hospital");
        put_row(page, NULL, hospital != NULL ? hospital : msfl_hospital_name(page->result, i, spare), false, one);
    }
    msfl_put_text(page->out, "</tbody>");
    msfl_table_end(page);
}

static void put_table(msfl_page *page) {
    msfl_table_begin(page, "All figures on the same test images. Small: 95\u00a0% intervals.", "figures");
    put_column_heads(page, "Training");
    size_t n = 0;
    for (size_t k = 0; k < MSFL_N_WAYS; k++) {
        const json_t *figures = msfl_at(page->result, msfl_ways[k].key);
        if (figures == NULL) continue;
        put_row(page, msfl_ways[k].style, msfl_ways[k].words, true, figures);
        n++;
    }
    const json_t *alone = msfl_array_at(page->result, "alone_mean.per_hospital");
    for (size_t i = 0; i < json_array_size(alone) && i < MSFL_HOSPITALS_SHOWN_MAX; i++) {
        const json_t *one = json_array_get(alone, i);
        char spare[32];
        const char *hospital = msfl_string_at(one, "hospital");
        put_row(page, "alone", hospital != NULL ? hospital : msfl_hospital_name(page->result, i, spare), false, one);
        n++;
    }
    if (n == 0) msfl_put_text(page->out, "<tr><td colspan=\"10\">No figures in this result.</td></tr>\n");
    msfl_put_text(page->out, "</tbody>");
    msfl_table_end(page);

    put_personal(page);
    const json_t *per_hospital = msfl_array_at(page->result, "per_hospital");
    if (per_hospital == NULL) return;
    msfl_table_begin(page, "The federated model at each hospital, on that hospital’s own validation images", "figures");
    put_column_heads(page, "Hospital");
    for (size_t i = 0; i < json_array_size(per_hospital) && i < MSFL_HOSPITALS_SHOWN_MAX; i++) {
        const json_t *one = json_array_get(per_hospital, i);
        char spare[32];
        const char *hospital = msfl_string_at(one, "hospital");
        put_row(page, NULL, hospital != NULL ? hospital : msfl_hospital_name(page->result, i, spare), false,
                msfl_at(one, "federated_validation"));
    }
    msfl_put_text(page->out, "</tbody>");
    msfl_table_end(page);
}

/* Every structure that masks tell apart, of the federated model. */
static void put_structures(msfl_page *page) {
    const msfl_way *way = msfl_main_way(page->result);
    const json_t *list = way == NULL ? NULL : msfl_array_at(msfl_at(page->result, way->key), "structures");
    if (list == NULL) return;
    msfl_table_begin(page, "The federated model on every structure", "figures");
    msfl_put_text(page->out,
                  "<thead><tr><th scope=\"col\">Structure</th><th scope=\"col\">Dice</th><th "
                  "scope=\"col\">Hausdorff-95, %s</th></tr></thead>\n<tbody>\n",
                  is_in_mm(page) ? "mm" : "pixels");
    for (size_t i = 0; i < json_array_size(list) && i < MSFL_CLASSES_SHOWN_MAX; i++) {
        static const char *const keys[2] = {"dice", "hausdorff95"};
        const json_t *one = json_array_get(list, i);
        const double structure = msfl_number_at(one, "class");
        msfl_put_text(page->out, "<tr><th scope=\"row\">");
        if (structure >= 1 && structure < MSFL_CLASSES_SHOWN_MAX) msfl_put_structure(page->out, (unsigned)structure);
        msfl_put_text(page->out, "</th>");
        for (int k = 0; k < 2; k++) {
            const json_t *ends = msfl_at(msfl_at(one, "intervals"), keys[k]);
            double low = msfl_number_in(ends, 0), high = msfl_number_in(ends, 1);
            msfl_put_text(page->out, "<td>%s", msfl_fixed(msfl_number_at(one, keys[k]), 3).text);
            if (!isnan(low) && !isnan(high)) {
                msfl_put_text(page->out, "<span class=\"ends\">%s–%s</span>", msfl_fixed(low, 3).text,
                              msfl_fixed(high, 3).text);
            }
            msfl_put_text(page->out, "</td>");
        }
        msfl_put_text(page->out, "</tr>\n");
    }
    msfl_put_text(page->out, "</tbody>");
    msfl_table_end(page);
}

static void put_temperature(msfl_page *page) {
    const json_t *t = msfl_at(page->result, "temperature");
    double value = msfl_number_at(t, "value");
    if (isnan(value)) return;
    msfl_put_text(page->out,
                  "<p>Confidence: at temperature <strong>%s</strong>, chosen on the hospitals’ validation images, the "
                  "calibration error on the test images is %s instead of %s, and the loss %s instead of %s. The model "
                  "with this temperature is <code>agg_model_calibrated.h5</code>.</p>\n",
                  msfl_fixed(value, 2).text, msfl_fixed(msfl_number_at(t, "calibration_after"), 3).text,
                  msfl_fixed(msfl_number_at(t, "calibration_before"), 3).text,
                  msfl_fixed(msfl_number_at(t, "loss_after"), 3).text,
                  msfl_fixed(msfl_number_at(t, "loss_before"), 3).text);
}

static void put_mask_help(msfl_page *page) {
    const msfl_way *way = msfl_main_way(page->result);
    const json_t *r = way == NULL ? NULL : msfl_at(page->result, way->key);
    double volumes = msfl_number_at(r, "volumes"), by_slice = msfl_number_at(r, "volumes_by_slice");
    msfl_put_text(
        page->out,
        "<p class=\"note\">Dice: twice the shared pixels by the pixels of both masks; 1 is best. Hausdorff-95: the "
        "larger of the two 95th percentiles of distances from one surface to the other, in %s. Both are taken for "
        "every "
        "structure of every volume, put together from the slices that the data has of it, and averaged over a "
        "patient’s volumes and over patients; a structure that is in neither mask is left out. Where it is not known "
        "which volume a slice is of, a patient’s slices are one volume, in the order of the data.",
        is_in_mm(page) ? "millimetres" : "pixels of the source, as if slices were one pixel apart");
    if (by_slice > 0) {
        msfl_put_text(
            page->out,
            " <strong>The slices of %s of %s volumes do not lie at regular steps: their Hausdorff-95 is taken "
            "within each slice, and averaged over slices.</strong>",
            msfl_whole(by_slice).text, msfl_whole(volumes).text);
    }
    msfl_put_text(page->out, " Intervals are percentile bootstraps over patients (over images where patients are not "
                             "known).</p>\n");
}

static void put_reading_help(msfl_page *page) {
    msfl_buffer *out = page->out;
    if (msfl_is_segmentation(page->result)) {
        put_mask_help(page);
        return;
    }
    const json_t *classes = msfl_array_at(page->result, "data.classes");
    msfl_put_text(out, "<p class=\"note\">");
    if (json_array_size(classes) == 2 && msfl_string_in(classes, 1) != NULL) {
        char spare[32];
        msfl_put_text(out, "“Positive” is ");
        msfl_html_text(out, msfl_class_name(page->result, 1, spare));
        msfl_put_text(out, ". ");
    } else if (json_array_size(classes) > 2) {
        msfl_put_text(out, "AUC, sensitivity, specificity and F1 are means over the classes, each against the rest. ");
    }
    msfl_put_text(out,
                  "Intervals are percentile bootstraps over patients where patients are known, else over images: they "
                  "tell how much the figure depends on which test cases happened to be there, not how much it would "
                  "change with another training seed. A dash stands where a figure is not defined or has no interval "
                  "(too few cases of a class); an interval without width, such as <span "
                  "class=\"nobreak\">1.000–1.000</span>, means that the bootstrap could "
                  "not tell, not that the figure is certain. Calibration error is the mean gap between confidence and "
                  "correctness; "
                  "0 is best.</p>\n");
}

void msfl_section_comparison(msfl_page *page) {
    msfl_section_begin(page, "result", "Compared with the alternatives");
    const json_t *r = page->result;
    bool has_auc = false, has_any = false, masks = msfl_is_segmentation(r);
    for (size_t k = 0; k < MSFL_N_WAYS; k++) {
        const json_t *figures = msfl_at(r, msfl_ways[k].key);
        has_any = has_any || figures != NULL;
        has_auc = has_auc || !isnan(msfl_number_at(figures, "auc"));
    }
    if (!has_any) {
        msfl_html_missing(page->out, "figures of any training");
    } else {
        msfl_put_text(page->out, "<div class=\"pair\">\n<div>\n");
        msfl_put_forest(page,
                        masks     ? "dice"
                        : has_auc ? "auc"
                                  : "accuracy",
                        masks     ? "Dice"
                        : has_auc ? "AUC"
                                  : "Accuracy");
        msfl_put_text(page->out, "</div>\n");
        if (!masks) put_roc(page);
        msfl_put_text(page->out, "</div>\n");
        put_table(page);
        put_structures(page);
        put_temperature(page);
        put_reading_help(page);
    }
    msfl_section_end(page);
}
