/* What the hospitals hold: how many images of which class, and where they come from. */
#include "report/html.h"
#include "report/read.h"
#include "report/sections.h"

#include <math.h>
#include <stdio.h>

enum { CLASS_COLOURS = 8, CLASSES_IN_ONE_TABLE = 4, SKIPPED_SHOWN_MAX = 50 };

const char *msfl_hospital_name(const json_t *result, size_t i, char *spare) {
    const char *name = msfl_string_at(json_array_get(msfl_at(result, "data.hospitals"), i), "name");
    if (name != NULL) return name;
    snprintf(spare, 32, "hospital %zu", i + 1);
    return spare;
}

/* Without a key images stand alone, and their number is no number of patients. Results that do not say so had one. */
static bool knows_patients(const msfl_page *page) {
    const json_t *data = msfl_at(page->result, "data");
    return !json_is_object(data) || !json_is_null(json_object_get(data, "group_key"));
}

static double sum_of(const json_t *counts) {
    double sum = 0.0;
    for (size_t k = 0; k < json_array_size(counts) && k < MSFL_CLASSES_SHOWN_MAX; k++) {
        double v = msfl_number_in(counts, k);
        if (v > 0.0) sum += v;
    }
    return sum;
}

/* One bar; its length tells the number of images, so that small hospitals look small. */
static void put_bar(msfl_page *page, const json_t *counts, double longest) {
    msfl_buffer *out = page->out;
    double at = 0.0;
    msfl_put_text(out, "<td class=\"plot\"><svg aria-hidden=\"true\">");
    for (size_t k = 0; k < json_array_size(counts) && k < MSFL_CLASSES_SHOWN_MAX; k++) {
        double v = msfl_number_in(counts, k);
        if (!(v > 0.0)) continue;
        double width = 100.0 * v / longest;
        msfl_put_text(out, "<rect class=\"class%zu\" x=\"%.3f%%\" width=\"%.3f%%\" height=\"100%%\"/>",
                      k % CLASS_COLOURS, at, width);
        /* About 7 pixels a digit, on a bar of some 300: leave the number out where it would not fit. */
        msfl_short text = msfl_whole(v);
        if (width * 3.0 > 8.0 * (double)strlen(text.text) + 6.0) {
            msfl_put_text(out, "<text x=\"%.3f%%\" y=\"50%%\" dy=\".35em\" text-anchor=\"middle\">%s</text>",
                          at + width / 2.0, text.text);
        }
        at += width;
    }
    msfl_put_text(out, "</svg></td>");
}

/* The class names with their colours: heads of the columns that hold the counts, and so the key of the bars too. */
static void put_class_heads(msfl_page *page, size_t n_classes) {
    msfl_buffer *out = page->out;
    for (size_t k = 0; k < n_classes; k++) {
        char spare[32];
        msfl_put_text(out, "<th scope=\"col\"><span class=\"swatch class%zu\"></span>", k % CLASS_COLOURS);
        msfl_html_text_max(out, msfl_class_name(page->result, k, spare), 40);
        msfl_put_text(out, "</th>");
    }
}

static void put_counts(msfl_page *page, const json_t *counts, size_t n_classes) {
    for (size_t k = 0; k < n_classes; k++)
        msfl_put_text(page->out, "<td>%s</td>", msfl_whole(msfl_number_in(counts, k)).text);
}

static void put_name(msfl_page *page, size_t i) {
    char spare[32];
    msfl_put_text(page->out, "<tr><th scope=\"row\">");
    msfl_html_text_max(page->out, msfl_hospital_name(page->result, i, spare), 60);
    msfl_put_text(page->out, "</th>");
}

static void put_distribution(msfl_page *page, const json_t *hospitals) {
    msfl_buffer *out = page->out;
    size_t n = json_array_size(hospitals), n_classes = 0;
    size_t n_shown = n < MSFL_HOSPITALS_SHOWN_MAX ? n : (size_t)MSFL_HOSPITALS_SHOWN_MAX;
    double longest = 0.0;
    for (size_t i = 0; i < n_shown; i++) {
        const json_t *counts = msfl_at(json_array_get(hospitals, i), "counts");
        if (json_array_size(counts) > n_classes) n_classes = json_array_size(counts);
        longest = fmax(longest, sum_of(counts));
    }
    if (n_classes > MSFL_CLASSES_SHOWN_MAX) n_classes = MSFL_CLASSES_SHOWN_MAX;
    bool has_counts = longest > 0.0, in_one_table = n_classes <= CLASSES_IN_ONE_TABLE;
    msfl_table_begin(page, "What every hospital holds, in images", "bars");
    msfl_put_text(out, "<thead><tr><th scope=\"col\">Hospital</th>");
    if (has_counts) msfl_put_text(out, "<th scope=\"col\">Images by class</th>");
    if (has_counts && in_one_table) put_class_heads(page, n_classes);
    msfl_put_text(out, "<th scope=\"col\">Training</th><th scope=\"col\">Validation</th><th scope=\"col\">Patients"
                       "</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < n_shown; i++) {
        const json_t *one = json_array_get(hospitals, i);
        const json_t *counts = msfl_at(one, "counts");
        put_name(page, i);
        if (has_counts) put_bar(page, counts, longest);
        if (has_counts && in_one_table) put_counts(page, counts, n_classes);
        msfl_put_text(out, "<td>%s</td><td>%s</td><td>%s</td></tr>\n", msfl_whole(msfl_number_at(one, "train")).text,
                      msfl_whole(msfl_number_at(one, "validation")).text,
                      msfl_whole(knows_patients(page) ? msfl_number_at(one, "patients") : NAN).text);
    }
    msfl_put_text(out, "</tbody>");
    msfl_table_end(page);
    if (has_counts && !in_one_table) {
        msfl_table_begin(page, "Images of each class", "counts");
        msfl_put_text(out, "<thead><tr><th scope=\"col\">Hospital</th>");
        put_class_heads(page, n_classes);
        msfl_put_text(out, "</tr></thead>\n<tbody>\n");
        for (size_t i = 0; i < n_shown; i++) {
            put_name(page, i);
            put_counts(page, msfl_at(json_array_get(hospitals, i), "counts"), n_classes);
            msfl_put_text(out, "</tr>\n");
        }
        msfl_put_text(out, "</tbody>");
        msfl_table_end(page);
    }
    if (n > n_shown) msfl_put_text(out, "<p class=\"note\">%zu more hospitals are not shown.</p>\n", n - n_shown);
}

/* How the simulated scanners differ; each bar is the share of the strongest value. */
static void put_scanners(msfl_page *page, const json_t *hospitals) {
    static const struct {
        const char *key, *heading;
        double scale;
    } columns[] = {{"gamma", "Gamma", 1},
                   {"blur", "Blur, % of the side", 100},
                   {"noise", "Noise, % of the range", 100},
                   {"resolution", "Resolution, %", 100}};
    enum { COLUMNS = sizeof columns / sizeof columns[0] };
    msfl_buffer *out = page->out;
    size_t n = json_array_size(hospitals);
    double most[COLUMNS] = {0};
    if (n > MSFL_HOSPITALS_SHOWN_MAX) n = MSFL_HOSPITALS_SHOWN_MAX;
    for (size_t i = 0; i < n; i++) {
        const json_t *shift = msfl_at(json_array_get(hospitals, i), "shift");
        for (size_t k = 0; k < COLUMNS; k++)
            most[k] = fmax(most[k], msfl_number_at(shift, columns[k].key));
    }
    msfl_table_begin(page, "What each hospital's scanner does to its training and validation images", "time");
    msfl_put_text(out, "<thead><tr><th scope=\"col\">Hospital</th>");
    for (size_t k = 0; k < COLUMNS; k++)
        msfl_put_text(out, "<th scope=\"col\" colspan=\"2\">%s</th>", columns[k].heading);
    msfl_put_text(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < n; i++) {
        const json_t *shift = msfl_at(json_array_get(hospitals, i), "shift");
        put_name(page, i);
        for (size_t k = 0; k < COLUMNS; k++) {
            double v = msfl_number_at(shift, columns[k].key);
            msfl_put_text(out,
                          "<td class=\"plot\"><svg aria-hidden=\"true\" style=\"width:4rem\"><rect class=\"class%zu\" "
                          "width=\"%.2f%%\" height=\"100%%\"/></svg></td><td>%s</td>",
                          k, most[k] > 0 && v > 0 ? 100 * v / most[k] : 0, msfl_fixed(v * columns[k].scale, 2).text);
        }
        msfl_put_text(out, "</tr>\n");
    }
    msfl_put_text(out, "</tbody>");
    msfl_table_end(page);
}

/* What all hospitals hold together: opened as one sum. */
static void put_census(msfl_page *page, const json_t *census) {
    msfl_buffer *out = page->out;
    const json_t *classes = msfl_array_at(census, "classes");
    msfl_put_text(out, "<p>Together, as told by one %s: %s images",
                  msfl_answer_at(census, "encrypted") == MSFL_YES ? "encrypted sum (nobody's own counts were opened)"
                                                                  : "sum that was NOT encrypted",
                  msfl_whole(msfl_number_at(census, "images")).text);
    if (knows_patients(page)) {
        msfl_put_text(out, " of %s patients", msfl_whole(msfl_number_at(census, "patients")).text);
    }
    for (size_t k = 0; k < json_array_size(classes) && k < CLASS_COLOURS; k++) {
        char spare[32];
        msfl_put_text(out, "%s ", k == 0 ? ";" : ",");
        msfl_html_text_max(out, msfl_class_name(page->result, k, spare), 40);
        msfl_put_text(out, " %s", msfl_whole(msfl_number_in(classes, k)).text);
    }
    msfl_put_text(out, ".</p>\n");
}

static void put_fact(msfl_page *page, const char *name, const char *value) {
    if (value == NULL) return;
    msfl_put_text(page->out, "<div><dt>%s</dt><dd>", name);
    msfl_html_text_max(page->out, value, 300);
    msfl_put_text(page->out, "</dd></div>\n");
}

static void put_count(msfl_page *page, const char *name, double value) {
    if (isnan(value)) return;
    msfl_put_text(page->out, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, msfl_whole(value).text);
}

static void put_facts(msfl_page *page, const json_t *data) {
    msfl_buffer *out = page->out;
    msfl_put_text(out, "<dl class=\"facts\">\n");
    put_fact(page, "Source", msfl_string_at(data, "source"));
    put_fact(page, "Kind", msfl_string_at(data, "kind"));
    msfl_answer synthetic = msfl_answer_at(data, "synthetic");
    if (synthetic != MSFL_NOT_SAID) {
        put_fact(page, "Synthetic", synthetic == MSFL_YES ? "yes: drawn by this program, no patient behind it" : "no");
    }
    put_count(page, "Images", msfl_number_at(data, "images"));
    double width = msfl_number_at(data, "width"), height = msfl_number_at(data, "height");
    double channels = msfl_number_at(data, "channels");
    if (!isnan(width) && !isnan(height)) {
        char several[64] = "";
        bool colours = channels == 3.0 && isnan(msfl_number_at(data, "shown"));
        if (channels > 1.0 && !colours) snprintf(several, sizeof several, ", %s channels", msfl_whole(channels).text);
        char slices[64] = "";
        double depth = msfl_number_at(data, "depth");
        if (depth > 1) snprintf(slices, sizeof slices, " × %s", msfl_whole(depth).text);
        msfl_put_text(out, "<div><dt>Size</dt><dd>%s × %s%s%s</dd></div>\n", msfl_whole(width).text,
                      msfl_whole(height).text, slices,
                      channels == 1.0 ? ", grey"
                      : colours       ? ", RGB"
                                      : several);
    }
    if (knows_patients(page)) {
        put_count(page, "Patients or groups", msfl_number_at(data, "groups"));
    } else {
        put_fact(page, "Patients", "not known: every image stands alone");
    }
    put_fact(page, "Known by", msfl_string_at(data, "group_key"));
    put_fact(page, "Labels from", msfl_string_at(data, "label_key"));
    put_fact(page, "Split", msfl_string_at(data, "split_rule"));
    put_fact(page, "Dealt to hospitals", msfl_string_at(data, "partition"));
    put_fact(page, "Scanners", msfl_string_at(data, "shift"));
    put_fact(page, "Recipe", msfl_string_at(data, "recipe"));
    put_count(page, "Training images", msfl_number_at(data, "train"));
    put_count(page, "Validation images", msfl_number_at(data, "validation"));
    put_count(page, "Test images", msfl_number_at(data, "test"));
    msfl_put_text(out, "</dl>\n");
}

static void put_skipped(msfl_page *page, const json_t *data) {
    msfl_buffer *out = page->out;
    const json_t *skipped = msfl_array_at(data, "skipped");
    double n = msfl_number_at(data, "n_skipped");
    size_t listed = json_array_size(skipped);
    if (!(n > 0.0) && listed == 0) {
        if (n == 0.0) msfl_put_text(out, "<p>No file had to be left out.</p>\n");
        return;
    }
    if (isnan(n)) n = (double)listed;
    msfl_put_text(out, "<p><strong>%s %s</strong> could not be used and %s left out%s</p>\n", msfl_whole(n).text,
                  n == 1.0 ? "file" : "files", n == 1.0 ? "was" : "were", listed > 0 ? ":" : ".");
    if (listed == 0) return;
    msfl_put_text(out, "<ul class=\"skipped\">\n");
    for (size_t i = 0; i < listed && i < SKIPPED_SHOWN_MAX; i++) {
        const json_t *one = json_array_get(skipped, i);
        const char *name = msfl_string_at(one, "name"), *reason = msfl_string_at(one, "reason");
        msfl_put_text(out, "<li>");
        if (name != NULL) {
            msfl_put_text(out, "<code>");
            msfl_html_long_word(out, name, 200);
            msfl_put_text(out, "</code>");
        }
        if (name != NULL && reason != NULL) msfl_put_text(out, ": ");
        msfl_html_text_max(out, reason, 300);
        msfl_put_text(out, "</li>\n");
    }
    if (n > SKIPPED_SHOWN_MAX) {
        msfl_put_text(out, "<li>and %s more</li>\n", msfl_whole(n - SKIPPED_SHOWN_MAX).text);
    }
    msfl_put_text(out, "</ul>\n");
}

void msfl_section_hospitals(msfl_page *page) {
    msfl_section_begin(page, "data", "Hospitals and images");
    const json_t *data = msfl_at(page->result, "data");
    if (data == NULL) {
        msfl_html_missing(page->out, "a description of the data");
    } else {
        const json_t *hospitals = msfl_array_at(data, "hospitals");
        if (hospitals != NULL)
            put_distribution(page, hospitals);
        else
            msfl_html_missing(page->out, "the hospitals and their images");
        if (hospitals != NULL && msfl_string_at(data, "shift") != NULL) put_scanners(page, hospitals);
        if (msfl_at(data, "census") != NULL) put_census(page, msfl_at(data, "census"));
        put_facts(page, data);
        put_skipped(page, data);
    }
    msfl_section_end(page);
}
