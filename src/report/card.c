/* The page about a data set. */
#include "base/error.h"
#include "base/file.h"
#include "medsecurefl/report.h"
#include "report/html.h"
#include "report/page.h"
#include "report/png.h"
#include "report/read.h"
#include "report/sections.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

enum { CLASS_COLOURS = 8, SHEET_SIDE = 128, HOSPITALS_SHOWN = 32 };

/* Without a key every picture stands alone, and their number is no number of patients. */
static bool knows_patients(const msfl_page *page) {
    return !json_is_null(json_object_get(page->result, "patient_key"));
}

static void put_row(msfl_buffer *out, const char *name, const char *text) {
    if (text == NULL) return;
    msfl_put_text(out, "<tr><th scope=\"row\">%s</th><td>", name);
    msfl_html_text(out, text);
    msfl_put_text(out, "</td></tr>\n");
}

static void put_facts(msfl_page *page) {
    const json_t *c = page->result;
    char text[200];
    msfl_section_begin(page, "facts", "What it is");
    msfl_table_begin(page, "Facts", "about");
    put_row(page->out, "Kind", msfl_string_at(c, "kind"));
    snprintf(text, sizeof text, "%.0f x %.0f, %s, %.0f bits", msfl_number_at(c, "width"), msfl_number_at(c, "height"),
             msfl_number_at(c, "channels") == 1 ? "one channel" : "several channels", msfl_number_at(c, "bits"));
    put_row(page->out, "Pictures", text);
    put_row(page->out, "Classes by", msfl_string_at(c, "label_key"));
    const char *patients = msfl_string_at(c, "patient_key");
    put_row(page->out, "Patients by", patients != NULL ? patients : "not known: every picture stands alone");
    put_row(page->out, "Recipe", msfl_string_at(c, "recipe_hash"));
    const json_t *range = msfl_array_at(c, "range");
    if (range != NULL) {
        snprintf(text, sizeof text, "%g to %g", msfl_number_in(range, 0), msfl_number_in(range, 1));
        put_row(page->out, "Values", text);
    }
    msfl_table_end(page);
    const char *recipe = msfl_string_at(c, "recipe");
    if (recipe != NULL) {
        msfl_put_text(page->out, "<h3>Recipe</h3>\n<pre><code>");
        for (const char *line = recipe; *line != 0;) {
            const char *end = line;
            while (*end != 0 && *end != '\n')
                end++;
            char one[300];
            size_t n = (size_t)(end - line) < sizeof one - 1 ? (size_t)(end - line) : sizeof one - 1;
            memcpy(one, line, n);
            one[n] = 0;
            msfl_html_text_max(page->out, one, 280);
            msfl_put_text(page->out, "\n");
            line = *end == 0 ? end : end + 1;
        }
        msfl_put_text(page->out, "</code></pre>\n");
    }
    msfl_section_end(page);
}

static void put_warnings(msfl_page *page) {
    const json_t *list = msfl_array_at(page->result, "warnings");
    msfl_section_begin(page, "warnings", "What to know before training");
    if (list == NULL && json_object_get(page->result, "near_copies") == NULL) {
        /* Only an import looks for these. */
        msfl_put_text(page->out,
                      "<p class=\"verdict\">No warning, and less was looked at than an import looks at: near "
                      "copies under other patients’ names, and labels that follow the scanner, are found by "
                      "<code>medsecurefl data import</code>.</p>\n");
    } else if (list == NULL) {
        msfl_put_text(page->out,
                      "<p class=\"verdict good\">Nothing stands out: no label that follows the scanner or the "
                      "kind of file, no near copies under other patients' names.</p>\n");
    } else {
        msfl_put_text(page->out, "<div class=\"verdict warn\"><ul>\n");
        for (size_t i = 0; i < json_array_size(list); i++) {
            msfl_put_text(page->out, "<li>");
            msfl_html_text_max(page->out, msfl_string_in(list, i), 400);
            msfl_put_text(page->out, "</li>\n");
        }
        msfl_put_text(page->out, "</ul></div>\n");
    }
    msfl_section_end(page);
}

/* Bars beside each other, as high as their share of the largest; below them what lies where, and how high that is. */
static void put_histogram(msfl_buffer *out, const json_t *bins, const char *what, uint32_t height) {
    double most = 1, all = 0;
    size_t n = json_array_size(bins);
    for (size_t i = 0; i < n; i++) {
        double v = msfl_number_in(bins, i);
        if (v > most) most = v;
        if (v > 0) all += v;
    }
    msfl_put_text(out,
                  "<svg class=\"histogram\" viewBox=\"0 0 %zu %u\" width=\"320\" height=\"%u\" "
                  "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"%s\">",
                  10 * n, height, height, what);
    for (size_t i = 0; i < n; i++) {
        double share = msfl_number_in(bins, i) / most * (height - 1);
        if (!(share > 0)) continue;
        if (share < 0.5) share = 0.5; /* something is there */
        msfl_put_text(out, "<rect class=\"class0\" x=\"%zu\" y=\"%.2f\" width=\"9\" height=\"%.2f\"/>", 10 * i,
                      height - share, share);
    }
    msfl_put_text(out, "</svg>");
    if (all > 0) {
        msfl_put_text(out,
                      "<p class=\"scale\"><span>0, dark</span><span>highest bar: %s of the pixels</span><span>1, "
                      "bright</span></p>\n",
                      msfl_percent(most / all, 1).text);
    }
}

static void put_bar(msfl_buffer *out, double share, size_t colour) {
    msfl_put_text(out,
                  "<td class=\"plot\"><svg aria-hidden=\"true\"><rect class=\"class%zu\" x=\"0\" width=\"%.2f%%\" "
                  "height=\"100%%\"/></svg></td>",
                  colour % CLASS_COLOURS, 100 * share);
}

static void put_class_name(msfl_buffer *out, const json_t *one) {
    char spare[32];
    const char *name = msfl_string_at(one, "name");
    if (name != NULL) msfl_html_text_max(out, msfl_clear_class_name(name, spare), 60);
}

static void put_classes(msfl_page *page) {
    const json_t *list = msfl_array_at(page->result, "classes");
    msfl_buffer *out = page->out;
    double most = 1;
    msfl_section_begin(page, "classes", "Classes");
    for (size_t i = 0; i < json_array_size(list); i++) {
        double v = msfl_number_at(json_array_get(list, i), "images");
        if (v > most) most = v;
    }
    msfl_table_begin(page, "Pictures and patients of each class", "bars");
    msfl_put_text(out,
                  "<thead><tr><th scope=\"col\">Class</th><th scope=\"col\"></th><th scope=\"col\">Pictures</th><th "
                  "scope=\"col\">Patients</th></tr></thead>\n");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        msfl_put_text(out, "<tr><th scope=\"row\">");
        put_class_name(out, c);
        msfl_put_text(out, "</th>");
        put_bar(out, msfl_number_at(c, "images") / most, i);
        msfl_put_text(out, "<td>%s</td><td>%s</td></tr>\n", msfl_whole(msfl_number_at(c, "images")).text,
                      msfl_whole(knows_patients(page) ? msfl_number_at(c, "patients") : NAN).text);
    }
    msfl_table_end(page);
    msfl_section_end(page);
}

static void put_values(msfl_page *page) {
    const json_t *m = msfl_at(page->result, "intensity");
    msfl_section_begin(page, "values", "Values");
    if (m == NULL) {
        msfl_html_missing(page->out, "the distribution of values");
    } else {
        put_histogram(page->out, msfl_array_at(m, "histogram"), "histogram of the stored values, dark to bright", 96);
        msfl_put_text(page->out,
                      "<p class=\"note\">All pixels, from 0 to full scale (1) in steps of 1/%zu. Mean %s, deviation "
                      "%s.</p>\n",
                      json_array_size(msfl_array_at(m, "histogram")), msfl_fixed(msfl_number_at(m, "mean"), 3).text,
                      msfl_fixed(msfl_number_at(m, "deviation"), 3).text);
    }
    msfl_section_end(page);
}

static void put_files(msfl_page *page) {
    const json_t *s = msfl_at(page->result, "source"), *v;
    msfl_buffer *out = page->out;
    msfl_section_begin(page, "files", "The files it came from");
    if (s == NULL) {
        msfl_html_missing(out, "the files");
        msfl_section_end(page);
        return;
    }
    msfl_table_begin(page, "Files", "about");
    const char *key;
    json_object_foreach((json_t *)json_object_get(s, "formats"), key, v) {
        msfl_put_text(out, "<tr><th scope=\"row\">");
        msfl_html_text(out, key);
        msfl_put_text(out, "</th><td>%s samples</td></tr>\n", msfl_whole(json_number_value(v)).text);
    }
    const json_t *sizes = msfl_array_at(s, "sizes");
    for (size_t i = 0; i < json_array_size(sizes) && i < 8; i++) {
        const json_t *one = json_array_get(sizes, i);
        msfl_put_text(out, "<tr><th scope=\"row\">%s</th><td>", i == 0 ? "Sizes" : "");
        msfl_html_text(out, msfl_string_at(one, "size"));
        msfl_put_text(out, ": %s</td></tr>\n", msfl_whole(msfl_number_at(one, "samples")).text);
    }
    json_object_foreach((json_t *)json_object_get(s, "spacing"), key, v) {
        msfl_put_text(out, "<tr><th scope=\"row\">Spacing of ");
        msfl_html_text(out, key);
        msfl_put_text(
            out, "</th><td>%s to %s mm, median %s</td></tr>\n", msfl_significant(msfl_number_at(v, "minimum")).text,
            msfl_significant(msfl_number_at(v, "maximum")).text, msfl_significant(msfl_number_at(v, "median")).text);
    }
    static const char *const left[][2] = {{"skipped", "Broken, left out"},
                                          {"unlabelled", "Without a label"},
                                          {"incomplete", "Without a file they need"},
                                          {"ignored", "Other files"}};
    for (size_t i = 0; i < 4; i++)
        msfl_put_text(out, "<tr><th scope=\"row\">%s</th><td>%s</td></tr>\n", left[i][1],
                      msfl_whole(msfl_number_at(s, left[i][0])).text);
    msfl_table_end(page);
    msfl_section_end(page);
}

static void put_picture(msfl_page *page, const msfl_report_picture *p) {
    msfl_buffer uri = {0};
    uint32_t width, height;
    if (page->out->status != MSFL_OK) return;
    msfl_status status = msfl_png_data_uri(p, SHEET_SIDE, &uri, &width, &height);
    if (status != MSFL_OK) {
        page->out->status = status;
    } else {
        msfl_put_text(page->out, "<figure class=\"example\"><img src=\"");
        msfl_put_bytes(page->out, uri.bytes, uri.length);
        msfl_put_text(page->out, "\" width=\"%u\" height=\"%u\" alt=\"\"><figcaption>", width, height);
        char spare[32];
        if (p->truth != NULL) msfl_html_text_max(page->out, msfl_clear_class_name(p->truth, spare), 40);
        msfl_put_text(page->out, "</figcaption></figure>\n");
    }
    msfl_buffer_clear(&uri);
}

/* Pictures of one hospital, or those of none. */
static void put_sheet(msfl_page *page, const char *hospital) {
    msfl_put_text(page->out, "<div class=\"examples\">\n");
    for (size_t i = 0; i < page->n_pictures && i < MSFL_REPORT_PICTURES_MAX; i++) {
        const msfl_report_picture *p = &page->pictures[i];
        bool mine = hospital == NULL ? p->name == NULL : p->name != NULL && strcmp(p->name, hospital) == 0;
        if (mine) put_picture(page, p);
    }
    msfl_put_text(page->out, "</div>\n");
}

static void put_shift(msfl_buffer *out, const json_t *s) {
    if (s == NULL) return;
    double blur = msfl_number_at(s, "blur"), noise = msfl_number_at(s, "noise");
    msfl_put_text(out,
                  "<p class=\"note\">Its scanner: gamma %s, blur %s of the side, noise %s of the range, resolution "
                  "%s.</p>\n",
                  msfl_fixed(msfl_number_at(s, "gamma"), 2).text, msfl_percent(blur, 1).text,
                  msfl_percent(noise, 1).text, msfl_percent(msfl_number_at(s, "resolution"), 0).text);
}

static void put_hospitals(msfl_page *page) {
    const json_t *list = msfl_array_at(page->result, "hospitals");
    const json_t *classes = msfl_array_at(page->result, "classes");
    msfl_buffer *out = page->out;
    if (list == NULL) return;
    msfl_section_begin(page, "hospitals", "Dealt out");
    msfl_put_text(out, "<p class=\"note\">By ");
    msfl_html_text_max(out, msfl_string_at(page->result, "partition"), 60);
    if (msfl_string_at(page->result, "shift") != NULL) {
        msfl_put_text(out, ", with scanners by ");
        msfl_html_text_max(out, msfl_string_at(page->result, "shift"), 60);
    }
    msfl_put_text(out, ". Bars show each class's share of the hospital; the curve its values, as its scanner shows "
                       "them.</p>\n");
    for (size_t i = 0; i < json_array_size(list) && i < HOSPITALS_SHOWN; i++) {
        const json_t *h = json_array_get(list, i), *counts = msfl_array_at(h, "counts");
        double n = msfl_number_at(h, "images");
        msfl_put_text(out, "<h3>");
        msfl_html_text_max(out, msfl_string_at(h, "name"), 60);
        msfl_put_text(out, "</h3>\n<p>%s pictures", msfl_whole(n).text);
        if (knows_patients(page)) {
            msfl_put_text(out, " of %s patients", msfl_whole(msfl_number_at(h, "patients")).text);
        }
        msfl_put_text(out, "</p>\n");
        msfl_table_begin(page, "Pictures of each class", "bars");
        for (size_t k = 0; k < json_array_size(counts) && k < MSFL_CLASSES_SHOWN_MAX; k++) {
            msfl_put_text(out, "<tr><th scope=\"row\">");
            put_class_name(out, json_array_get(classes, k));
            msfl_put_text(out, "</th>");
            put_bar(out, n > 0 ? msfl_number_in(counts, k) / n : 0, k);
            msfl_put_text(out, "<td>%s</td></tr>\n", msfl_whole(msfl_number_in(counts, k)).text);
        }
        msfl_table_end(page);
        put_histogram(out, msfl_array_at(h, "histogram"), "histogram of the hospital's values", 48);
        put_shift(out, msfl_at(h, "shift"));
        put_sheet(page, msfl_string_at(h, "name"));
    }
    msfl_section_end(page);
}

static void put_contact_sheet(msfl_page *page) {
    msfl_section_begin(page, "sheet", "Contact sheet");
    msfl_put_text(page->out, msfl_answer_at(page->result, "synthetic") == MSFL_YES
                                 ? "<p class=\"note\">Synthetic pictures, drawn by this program.</p>\n"
                                 : "<p class=\"verdict warn\"><strong>This page holds images.</strong> Unless they are "
                                   "public, it must not leave the hospital they come from.</p>\n");
    put_sheet(page, NULL);
    msfl_section_end(page);
}

static void put_page(msfl_page *page) {
    msfl_buffer *out = page->out;
    const char *name = msfl_string_at(page->result, "name");
    msfl_put_head(page, name != NULL ? name : "a data set", "data card");
    msfl_put_text(out, "<body>\n<header>\n<p class=\"kind\">MedSecureFL data card</p>\n<h1>");
    msfl_html_text_max(out, name != NULL ? name : "A data set", 80);
    const size_t n_classes = json_array_size(msfl_array_at(page->result, "classes"));
    char words[40];
    snprintf(words, sizeof words, "%zu classes", n_classes);
    msfl_put_text(out, "</h1>\n<p class=\"lede\">%s pictures of %s patients in %s</p>\n</header>\n<main>\n",
                  msfl_whole(msfl_number_at(page->result, "images")).text,
                  msfl_whole(msfl_number_at(page->result, "patients")).text, n_classes == 1 ? "one class" : words);
    put_warnings(page);
    put_classes(page);
    put_contact_sheet(page);
    put_hospitals(page);
    put_values(page);
    put_files(page);
    put_facts(page);
    msfl_put_text(
        out,
        "</main>\n<footer><p>Made by MedSecureFL %s. The page is complete in itself: it loads nothing and runs "
        "no script.</p></footer>\n</body>\n</html>\n",
        msfl_version());
}

msfl_status msfl_card_write(const char *path, const char *card_text, size_t length, const msfl_report_picture *pictures,
                            size_t n_pictures) {
    json_t *card = NULL;
    msfl_buffer out = {0};
    msfl_status status = msfl_json_parse("the data card", card_text, length, MSFL_REPORT_RESULT_BYTES_MAX, &card);
    if (status == MSFL_OK && !json_is_object(card)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "the data card is not a JSON object");
    }
    /* Numbers in SVG and CSS have a point, whatever the program that uses this library has set. */
    locale_t plain = status == MSFL_OK ? newlocale(LC_NUMERIC_MASK, "C", (locale_t)0) : (locale_t)0;
    if (status == MSFL_OK && plain == (locale_t)0) {
        status = msfl_fail(MSFL_ERR_SYSTEM, "the data card: the C locale is not there");
    }
    if (status == MSFL_OK) {
        locale_t before = uselocale(plain);
        msfl_page page = {&out, card, pictures, n_pictures, 0};
        put_page(&page);
        uselocale(before);
        freelocale(plain);
        status = out.status;
    }
    if (status == MSFL_OK) status = msfl_file_write(path, out.bytes, out.length);
    msfl_buffer_clear(&out);
    json_decref(card);
    return status;
}
