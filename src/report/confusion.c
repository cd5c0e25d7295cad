/* Which classes are taken for which. */
#include "report/html.h"
#include "report/read.h"
#include "report/sections.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *msfl_class_name(const json_t *result, size_t i, char *spare) {
    const char *name = msfl_string_in(msfl_at(result, "data.classes"), i);
    if (name != NULL) return msfl_clear_class_name(name, spare);
    snprintf(spare, 32, "class %zu", i);
    return spare;
}

const char *msfl_clear_class_name(const char *name, char *spare) {
    size_t n = name == NULL ? 0 : strlen(name);
    if (n == 0 || n > 20 || strspn(name, "0123456789") != n) return name;
    snprintf(spare, 32, "class %s", name);
    return spare;
}

/* Cells are shaded by their share of the row, so that a rare class is judged like a common one. */
static void put_row(msfl_page *page, const json_t *row, size_t n, size_t truth) {
    msfl_buffer *out = page->out;
    double total = 0.0;
    for (size_t k = 0; k < n; k++) {
        double count = msfl_number_in(row, k);
        if (count > 0.0) total += count;
    }
    char spare[32];
    msfl_put_text(out, "<tr><th scope=\"row\">");
    msfl_html_text_max(out, msfl_class_name(page->result, truth, spare), 24);
    msfl_put_text(out, "</th>");
    for (size_t k = 0; k < n; k++) {
        double count = msfl_number_in(row, k);
        double share = total > 0.0 && count >= 0.0 ? count / total : NAN;
        msfl_put_text(out, "<td%s style=\"--share:%.3f\">%s", k == truth ? " class=\"right\"" : "",
                      isnan(share) ? 0.0 : share, msfl_whole(count).text);
        if (!isnan(share) && n <= 12) msfl_put_text(out, "<span class=\"ends\">%s</span>", msfl_percent(share, 1).text);
        msfl_put_text(out, "</td>");
    }
    msfl_put_text(out, "</tr>\n");
}

static void put_matrix(msfl_page *page, const msfl_way *way, const json_t *matrix) {
    msfl_buffer *out = page->out;
    size_t n = json_array_size(matrix);
    msfl_put_text(out,
                  "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Confusion matrix: %s\"><table "
                  "class=\"confusion %s\"><caption><b>%s</b></caption>\n<thead><tr><th scope=\"col\">is ↓ "
                  "&nbsp; called →</th>",
                  way->words, way->style, way->words);
    for (size_t k = 0; k < n; k++) {
        char spare[32];
        msfl_put_text(out, "<th scope=\"col\">");
        msfl_html_text_max(out, msfl_class_name(page->result, k, spare), 24);
        msfl_put_text(out, "</th>");
    }
    msfl_put_text(out, "</tr></thead>\n<tbody>\n");
    for (size_t k = 0; k < n; k++)
        put_row(page, json_array_get(matrix, k), n, k);
    msfl_put_text(out, "</tbody></table></div>\n");
}

void msfl_section_confusion(msfl_page *page) {
    msfl_section_begin(page, "confusion", "What is taken for what");
    size_t shown = 0;
    for (size_t k = 0; k < MSFL_WAY_ALONE; k++) {
        const json_t *matrix = msfl_array_at(msfl_at(page->result, msfl_ways[k].key), "confusion");
        size_t n = json_array_size(matrix);
        /* Three large matrices side by side help nobody: then the federated one alone. */
        if (n == 0 || n > MSFL_CLASSES_SHOWN_MAX || (n > 12 && shown > 0)) continue;
        if (shown == 0) {
            msfl_put_text(page->out, "<p class=\"note\">Test images; rows are the true class, columns the class of "
                                     "highest probability. Shading and percentages: share of the row.</p>\n"
                                     "<div class=\"matrices\">\n");
        }
        put_matrix(page, &msfl_ways[k], matrix);
        shown++;
    }
    if (shown > 0)
        msfl_put_text(page->out, "</div>\n");
    else
        msfl_html_missing(page->out, "confusion matrices");
    msfl_section_end(page);
}
