/* The page about a reproduction: tables of several federations and seeds, beside the publication's. */
#include "medsecurefl/report.h"

#include "base/error.h"
#include "base/file.h"
#include "report/html.h"
#include "report/read.h"
#include "report/tables.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

enum { RUNS_SHOWN_MAX = 200, WARNINGS_SHOWN_MAX = 20, PATH_MAX_BYTES = 96 };

/* In the order of the tables: what is aimed at first. */
static const msfl_way *const rows[MSFL_TABLES_ROWS] = {&msfl_ways[MSFL_WAY_CENTRAL], &msfl_ways[MSFL_WAY_PLAIN],
                                                       &msfl_ways[MSFL_WAY_ENCRYPTED]};

typedef struct figure {
    const char *key, *title;
} figure;
static const figure of_publication[] = {{"accuracy", "Accuracy"},
                                        {"mean_f1", "F1, mean of classes"},
                                        {"mean_precision", "Precision, mean of classes"},
                                        {"mean_recall", "Recall, mean of classes"}};
static const figure further[] = {
    {"auc", "AUC"}, {"sensitivity", "Sensitivity"}, {"precision", "Precision"}, {"f1", "F1"}};
enum { N_FIGURES = 4 };

const json_t *msfl_tables_cell(const msfl_page *page, const char *key, const msfl_way *way, size_t column) {
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof path, "tables.%s.%s", key, way->key);
    return json_array_get(msfl_array_at(page->result, path), column);
}

size_t msfl_tables_columns(const msfl_page *page) {
    const size_t n = json_array_size(msfl_array_at(page->result, "clients"));
    return n < MSFL_TABLES_COLUMNS_MAX ? n : MSFL_TABLES_COLUMNS_MAX;
}

static void put_way(msfl_buffer *out, const msfl_way *way) {
    msfl_put_text(out, "<th scope=\"row\"><span class=\"key %s\"></span>%s</th>", way->style, way->words);
}

/* "0.912" and below it "0.890–0.934". */
static void put_with_ends(msfl_buffer *out, double v, double low, double high) {
    msfl_put_text(out, "<td>%s", msfl_fixed(v, 3).text);
    if (!isnan(low) && !isnan(high)) {
        msfl_put_text(out, "<span class=\"ends\">%s–%s</span>", msfl_fixed(low, 3).text, msfl_fixed(high, 3).text);
    }
    msfl_put_text(out, "</td>");
}

/* --- the head --- */

static void put_title(msfl_page *page) {
    msfl_buffer *out = page->out;
    const size_t n = msfl_tables_columns(page), n_seeds = (size_t)fmax(0, msfl_number_at(page->result, "config.seeds"));
    double least = INFINITY, most = -INFINITY, central = NAN;
    for (size_t i = 0; i < n; i++) {
        const double v = msfl_number_at(msfl_tables_cell(page, "accuracy", rows[2], i), "mean");
        least = fmin(least, v);
        most = fmax(most, v);
        if (isnan(central)) central = msfl_number_at(msfl_tables_cell(page, "accuracy", rows[0], i), "mean");
    }
    if (!(least <= most)) {
        msfl_put_text(out, "<h1>The tables of EICC 2022: no run is finished yet</h1>\n");
        return;
    }
    const msfl_short low = msfl_fixed(least, 3), high = msfl_fixed(most, 3);
    msfl_put_text(out, "<h1>Encrypted federations reach an accuracy <span class=\"nobreak\">of %s", low.text);
    if (strcmp(low.text, high.text) != 0) msfl_put_text(out, " to %s", high.text);
    msfl_put_text(out, "</span></h1>\n<p class=\"lede\">");
    if (!isnan(central)) msfl_put_text(out, "All images in one place: %s. ", msfl_fixed(central, 3).text);
    msfl_put_text(out, "Means over %zu seed%s, on your images; the publication’s are other ones.</p>\n", n_seeds,
                  n_seeds == 1 ? "" : "s");
}

static void put_notices(msfl_page *page) {
    msfl_buffer *out = page->out;
    const json_t *r = page->result, *warnings = msfl_array_at(r, "warnings");
    const size_t n = json_array_size(warnings), n_runs = json_array_size(msfl_array_at(r, "runs"));
    if (msfl_answer_at(r, "config.quick") == MSFL_YES) {
        msfl_put_text(out, "<p class=\"verdict bad\"><strong>A smoke run</strong> (--quick): it shows that the command "
                           "works with these images. Its figures mean nothing.</p>\n");
    }
    if (msfl_answer_at(r, "config.synthetic") == MSFL_YES) {
        msfl_put_text(out,
                      "<p class=\"verdict warn\"><strong>Images drawn by this program:</strong> figures on them say "
                      "nothing about patients.</p>\n");
    }
    if (msfl_answer_at(r, "complete") != MSFL_YES) {
        msfl_put_text(
            out,
            "<p class=\"verdict bad\"><strong>Not complete:</strong> %zu of %s runs. The same command goes on "
            "from here.</p>\n",
            n_runs, msfl_whole(msfl_number_at(r, "runs_planned")).text);
    }
    if (n_runs > 0 && msfl_answer_at(r, "sums_exact") == MSFL_YES) {
        msfl_put_text(out, "<p class=\"verdict good\"><strong>Every encrypted sum was exact:</strong> in all rounds of "
                           "all runs, what was opened equals the sum of the quantised updates bit for bit.</p>\n");
    } else if (n_runs > 0) {
        msfl_put_text(out, "<p class=\"verdict bad\"><strong>Not every encrypted sum was exact.</strong> That is a "
                           "fault: do not use these figures.</p>\n");
    }
    if (n == 0) return;
    msfl_put_text(out, "<div class=\"verdict warn\"><strong>%s</strong><ul>", n == 1 ? "A warning" : "Warnings");
    for (size_t i = 0; i < n && i < WARNINGS_SHOWN_MAX; i++) {
        msfl_put_text(out, "<li>");
        msfl_html_text_max(out, msfl_string_in(warnings, i), 400);
        msfl_put_text(out, "</li>");
    }
    msfl_put_text(out, "</ul></div>\n");
}

/* --- tables over seeds --- */

static void put_headings(msfl_page *page, const char *first) {
    const json_t *clients = msfl_array_at(page->result, "clients");
    msfl_put_text(page->out, "<thead><tr><th scope=\"col\">%s</th>", first);
    for (size_t i = 0; i < msfl_tables_columns(page); i++)
        msfl_put_text(page->out, "<th scope=\"col\">%s hospitals</th>", msfl_whole(msfl_number_in(clients, i)).text);
    msfl_put_text(page->out, "</tr></thead>\n<tbody>\n");
}

/* The publication's figure for a training and a number of hospitals, or NaN. */
static double published(const msfl_page *page, const char *key, const msfl_way *way, double clients) {
    if (way == rows[0]) {
        char path[PATH_MAX_BYTES];
        snprintf(path, sizeof path, "prototype.central.%s", key);
        return msfl_number_at(page->result, path);
    }
    const json_t *columns = msfl_array_at(page->result, "prototype.columns");
    for (size_t i = 0; i < json_array_size(columns); i++) {
        const json_t *c = json_array_get(columns, i);
        if (msfl_number_at(c, "clients") == clients) return msfl_number_at(msfl_at(c, way->key), key);
    }
    return NAN;
}

static void put_figure(msfl_page *page, const figure *f, bool with_published) {
    const json_t *clients = msfl_array_at(page->result, "clients");
    msfl_buffer *out = page->out;
    msfl_table_begin(page, f->title, "figures");
    put_headings(page, "<span class=\"hidden\">Training</span>");
    for (size_t r = 0; r < MSFL_TABLES_ROWS; r++) {
        msfl_put_text(out, "<tr>");
        put_way(out, rows[r]);
        for (size_t i = 0; i < msfl_tables_columns(page); i++) {
            const json_t *c = msfl_tables_cell(page, f->key, rows[r], i);
            put_with_ends(out, msfl_number_at(c, "mean"), msfl_number_at(c, "low"), msfl_number_at(c, "high"));
        }
        msfl_put_text(out, "</tr>\n");
        if (!with_published) continue;
        msfl_put_text(out, "<tr class=\"part\"><th scope=\"row\">in the publication</th>");
        for (size_t i = 0; i < msfl_tables_columns(page); i++) {
            const double v = published(page, f->key, rows[r], msfl_number_in(clients, i));
            msfl_put_text(out, "<td class=\"note\">%s</td>", msfl_fixed(v, 3).text);
        }
        msfl_put_text(out, "</tr>\n");
    }
    msfl_put_text(out, "</tbody>");
    msfl_table_end(page);
}

void msfl_tables_source(msfl_page *page, const char *whose, const char *path) {
    msfl_put_text(page->out, "<p class=\"note\">Source of the %s figures: ", whose);
    msfl_html_text_max(page->out, msfl_string_at(page->result, path), 600);
    msfl_put_text(page->out, ".</p>\n");
}

static void section_publication(msfl_page *page) {
    msfl_section_begin(page, "publication", "The publication’s figures");
    msfl_put_text(
        page->out,
        "<p>Accuracy, and means over the classes of F1, precision and recall, as the publication has them. Its "
        "figures stand below yours in grey. They are of other X-rays, another split and one run: that the two "
        "agree or differ says nothing. What can be compared is the distance between rows.</p>\n");
    for (int f = 0; f < N_FIGURES; f++)
        put_figure(page, &of_publication[f], true);
    msfl_put_text(page->out,
                  "<p class=\"note\">Small, below each mean: the 95\u00a0%% interval of the mean over seeds (Student’s "
                  "distribution, cut at 0 and 1), none for one seed. A seed decides split, partition, initial "
                  "weights and order together; with two or three seeds the interval is wide.</p>\n");
    msfl_tables_source(page, "publication’s", "prototype.figures_from");
    msfl_section_end(page);
}

static void section_further(msfl_page *page) {
    msfl_section_begin(page, "further", "Further figures");
    msfl_put_text(page->out,
                  "<p>Sensitivity, precision and F1 are of the second class when there are two, else means over "
                  "classes. Intervals as above, over seeds.</p>\n");
    for (int f = 0; f < N_FIGURES; f++)
        put_figure(page, &further[f], false);
    msfl_section_end(page);
}

/* --- run by run --- */

static void section_runs(msfl_page *page) {
    static const figure shown[] = {
        {"accuracy", "Accuracy"}, {"sensitivity", "Sensitivity"}, {"f1", "F1"}, {"auc", "AUC"}};
    const json_t *runs = msfl_array_at(page->result, "runs");
    const size_t n = json_array_size(runs);
    msfl_buffer *out = page->out;
    msfl_section_begin(page, "runs", "Run by run");
    if (n == 0) {
        msfl_html_missing(out, "runs");
        msfl_section_end(page);
        return;
    }
    msfl_table_begin(page,
                     "The encrypted federation of every run, with 95\u00a0% bootstrap intervals over test patients",
                     "figures");
    msfl_put_text(out, "<thead><tr><th scope=\"col\">Run</th><th scope=\"col\">Test images</th>");
    for (size_t k = 0; k < sizeof shown / sizeof shown[0]; k++)
        msfl_put_text(out, "<th scope=\"col\">%s</th>", shown[k].title);
    msfl_put_text(out, "<th scope=\"col\">AUC, plain</th><th scope=\"col\">AUC, central</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < n && i < RUNS_SHOWN_MAX; i++) {
        const json_t *run = json_array_get(runs, i);
        const double clients = msfl_number_at(run, "clients"), seed = msfl_number_at(run, "seed");
        msfl_put_text(out,
                      "<tr><th scope=\"row\"><a href=\"clients-%.0f-seed-%.0f/report.html\">%.0f hospitals, seed %.0f"
                      "</a></th><td>%s</td>",
                      clients, seed, clients, seed, msfl_whole(msfl_number_at(run, "test_images")).text);
        for (size_t k = 0; k < sizeof shown / sizeof shown[0]; k++) {
            const json_t *m = msfl_at(run, "encrypted"), *ends = msfl_at(msfl_at(m, "intervals"), shown[k].key);
            put_with_ends(out, msfl_number_at(m, shown[k].key), msfl_number_in(ends, 0), msfl_number_in(ends, 1));
        }
        msfl_put_text(out, "<td>%s</td><td>%s</td></tr>\n", msfl_fixed(msfl_number_at(run, "plain.auc"), 3).text,
                      msfl_fixed(msfl_number_at(run, "central.auc"), 3).text);
    }
    msfl_put_text(out, "</tbody>");
    msfl_table_end(page);
    if (n > RUNS_SHOWN_MAX)
        msfl_put_text(out, "<p class=\"note\">and %zu more, in tables.json.</p>\n", n - RUNS_SHOWN_MAX);
    msfl_put_text(out,
                  "<p class=\"note\">These intervals answer another question than those over seeds: how much a figure "
                  "depends on which test patients there happened to be, for one training.</p>\n");
    msfl_section_end(page);
}

/* --- how it was made --- */

static void put_fact(msfl_page *page, const char *name, const char *path) {
    const json_t *v = msfl_at(page->result, path);
    if (v == NULL) return;
    msfl_put_text(page->out, "<div><dt>%s</dt><dd>", name);
    if (json_is_string(v))
        msfl_html_long_word(page->out, json_string_value(v), 300);
    else if (json_is_number(v))
        msfl_put_text(page->out, "%s", msfl_whole(json_number_value(v)).text);
    msfl_put_text(page->out, "</dd></div>\n");
}

static void section_made(msfl_page *page) {
    msfl_section_begin(page, "made", "How it was made");
    msfl_put_text(page->out, "<dl class=\"facts\">\n");
    put_fact(page, "Images", "config.data");
    put_fact(page, "Label", "config.label");
    put_fact(page, "Network", "config.model");
    put_fact(page, "Rounds", "config.rounds");
    put_fact(page, "Seeds", "config.seeds");
    put_fact(page, "Side of the images", "config.size");
    put_fact(page, "Bootstrap replicates", "config.bootstrap");
    msfl_put_text(page->out, "</dl>\n");
    const double difference = msfl_number_at(page->result, "largest_difference.figure");
    msfl_put_text(page->out,
                  "<p>Encrypted and plain differ by quantisation alone. Largest difference of a figure: %s; of a "
                  "weight in one round: %s, bound stated beforehand %s, %s.</p>\n",
                  msfl_significant(difference).text,
                  msfl_significant(msfl_number_at(page->result, "largest_difference.weight_of_one_round")).text,
                  msfl_significant(msfl_number_at(page->result, "largest_difference.weight_bound")).text,
                  msfl_answer_at(page->result, "largest_difference.within_bound") == MSFL_YES ? "held in every round"
                                                                                              : "NOT HELD");
    msfl_put_text(page->out,
                  "<p class=\"note\">Beside this page: tables.csv and runs.csv for a spreadsheet, tables.md and "
                  "tables.tex for a paper, tables.json with everything, and a folder with a report for every "
                  "run.</p>\n");
    msfl_section_end(page);
}

typedef struct section {
    const char *id, *link;
    void (*write)(msfl_page *page);
} section;
static const section sections[] = {
    {"charts", "By hospitals", msfl_tables_charts},  {"publication", "The publication’s figures", section_publication},
    {"further", "Further figures", section_further}, {"runs", "Run by run", section_runs},
    {"costs", "Costs", msfl_tables_costs},           {"made", "How it was made", section_made}};
enum { N_SECTIONS = sizeof sections / sizeof sections[0] };

msfl_status msfl_tables_render(const json_t *tables, msfl_buffer *out) {
    /* Numbers in SVG and CSS have a point, whatever the program that uses this library has set. */
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) return msfl_fail(MSFL_ERR_SYSTEM, "tables: the C locale is not there");
    locale_t before = uselocale(plain);
    msfl_page page = {out, tables, NULL, 0, 0};
    msfl_put_head(&page, "EICC 2022", "tables");
    msfl_put_text(
        out, "<body>\n<header>\n<p class=\"kind\">MedSecureFL, the tables of Wibawa et al. 2022 in their shape</p>\n");
    put_title(&page);
    put_notices(&page);
    msfl_put_text(out, "</header>\n<nav aria-label=\"Sections\"><ul>");
    for (int k = 0; k < N_SECTIONS; k++)
        msfl_put_text(out, "<li><a href=\"#%s\">%s</a></li>", sections[k].id, sections[k].link);
    msfl_put_text(out, "</ul></nav>\n<main>\n");
    for (int k = 0; k < N_SECTIONS && out->status == MSFL_OK; k++)
        sections[k].write(&page);
    msfl_put_text(
        out,
        "</main>\n<footer><p>Made by MedSecureFL %s. The page is complete in itself: it loads nothing and runs no "
        "script.</p></footer>\n</body>\n</html>\n",
        msfl_version());
    uselocale(before);
    freelocale(plain);
    return out->status;
}

msfl_status msfl_tables_write(const char *path, const char *tables_text, size_t length) {
    json_t *tables = NULL;
    msfl_buffer out = {0};
    msfl_status status = msfl_json_parse("the tables", tables_text, length, MSFL_REPORT_RESULT_BYTES_MAX, &tables);
    if (status == MSFL_OK && !json_is_object(tables)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "the tables are not a JSON object");
    }
    if (status == MSFL_OK) status = msfl_tables_render(tables, &out);
    if (status == MSFL_OK) status = msfl_file_write(path, out.bytes, out.length);
    msfl_buffer_clear(&out);
    json_decref(tables);
    return status;
}
