/* The tables for a spreadsheet and for a paper: CSV, Markdown, LaTeX. */
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "reproduce.h"

#include <math.h>
#include <stdio.h>

static const char *const row_words[] = {"central", "plain", "encrypted"};

static double number(const json_t *object, const char *name) {
    return cli_reproduce_number(object, name);
}

static const json_t *cells_of(const json_t *tables, int figure, int row) {
    return json_object_get(json_object_get(json_object_get(tables, "tables"), cli_reproduce_figures[figure]),
                           cli_reproduce_rows[row]);
}

static msfl_status write_file(const char *out, const char *name, msfl_buffer *text) {
    char *path = msfl_path_join(out, name);
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : text->status;
    if (status == MSFL_OK) status = msfl_file_write(path, text->bytes, text->length);
    msfl_free(path);
    msfl_buffer_clear(text);
    return status;
}

/* --- CSV: one number a line, nothing that would have to be quoted; an empty cell where there is none --- */

static void put_number(msfl_buffer *b, double v) {
    if (isnan(v))
        msfl_put_text(b, ",");
    else
        msfl_put_text(b, ",%.10g", v);
}

static msfl_status write_cells(const char *out, const json_t *tables) {
    static const char *const parts[] = {"mean", "deviation", "low", "high", "smallest", "largest"};
    msfl_buffer b = {0};
    msfl_put_text(
        &b, "figure,training,hospitals,seeds,mean,deviation,low95_over_seeds,high95_over_seeds,smallest,largest\n");
    for (int f = 0; f < REPRODUCE_FIGURES; f++) {
        for (int r = 0; r < REPRODUCE_ROWS; r++) {
            const json_t *c;
            size_t i;
            json_array_foreach(cells_of(tables, f, r), i, c) {
                msfl_put_text(&b, "%s,%s,%.0f,%.0f", cli_reproduce_figures[f], cli_reproduce_rows[r],
                              number(c, "clients"), number(c, "seeds"));
                for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++)
                    put_number(&b, number(c, parts[k]));
                msfl_put_text(&b, "\n");
            }
        }
    }
    return write_file(out, "tables.csv", &b);
}

static msfl_status write_runs(const char *out, const json_t *tables) {
    msfl_buffer b = {0};
    msfl_put_text(&b, "figure,training,hospitals,seed,test_images,value,low95_bootstrap,high95_bootstrap\n");
    for (int f = 0; f < REPRODUCE_FIGURES; f++) {
        for (int r = 0; r < REPRODUCE_ROWS; r++) {
            const json_t *run;
            size_t i;
            json_array_foreach(json_object_get(tables, "runs"), i, run) {
                const json_t *m = json_object_get(run, cli_reproduce_rows[r]), *ends;
                ends = json_object_get(json_object_get(m, "intervals"), cli_reproduce_figures[f]);
                msfl_put_text(&b, "%s,%s,%.0f,%.0f,%.0f", cli_reproduce_figures[f], cli_reproduce_rows[r],
                              number(run, "clients"), number(run, "seed"), number(run, "test_images"));
                put_number(&b, number(m, cli_reproduce_figures[f]));
                for (size_t k = 0; k < 2; k++) {
                    const json_t *end = json_array_get(ends, k);
                    put_number(&b, json_is_number(end) ? json_number_value(end) : NAN);
                }
                msfl_put_text(&b, "\n");
            }
        }
    }
    return write_file(out, "runs.csv", &b);
}

/* --- text of a paper --- */

/* "0.912 [0.890, 0.934]", "0.912" for one seed, a dash for none. */
static void put_cell(msfl_buffer *b, const json_t *c, const char *before, const char *after, const char *dash) {
    if (isnan(number(c, "mean"))) {
        msfl_put_text(b, "%s", dash);
        return;
    }
    msfl_put_text(b, "%.3f", number(c, "mean"));
    if (!isnan(number(c, "low"))) {
        msfl_put_text(b, " %s[%.3f, %.3f]%s", before, number(c, "low"), number(c, "high"), after);
    }
}

/* Names of models are files at most: what LaTeX and Markdown would take for a command is set in plain characters. */
static void put_plain(msfl_buffer *b, const char *text) {
    for (const char *at = text == NULL ? "" : text; *at != 0; at++) {
        const bool fine = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
                          *at == '-' || *at == '.' || *at == ' ' || *at == '/';
        msfl_put_text(b, "%c", fine ? *at : '-');
    }
}

static void put_caption(msfl_buffer *b, const json_t *tables) {
    const json_t *config = json_object_get(tables, "config");
    put_plain(b, json_string_value(json_object_get(config, "model")));
    msfl_put_text(b,
                  ", %.0f round%s, %.0f seed%s. Mean and, in brackets, 95 per cent interval of the mean over seeds "
                  "(Student). Encrypted and plain: federated averaging with and without encryption of the updates.",
                  number(config, "rounds"), number(config, "rounds") == 1 ? "" : "s", number(config, "seeds"),
                  number(config, "seeds") == 1 ? "" : "s");
    if (!json_is_true(json_object_get(tables, "complete"))) msfl_put_text(b, " NOT COMPLETE.");
    if (json_is_true(json_object_get(config, "quick"))) msfl_put_text(b, " A SMOKE RUN: no figures of merit.");
}

static msfl_status write_markdown(const char *out, const json_t *tables) {
    const json_t *clients = json_object_get(tables, "clients"), *n, *c;
    msfl_buffer b = {0};
    size_t i;
    put_caption(&b, tables);
    msfl_put_text(&b, "\n");
    for (int f = 0; f < REPRODUCE_FIGURES; f++) {
        msfl_put_text(&b, "\n| %s |", cli_reproduce_titles[f]);
        json_array_foreach(clients, i, n) msfl_put_text(&b, " %d hospitals |", (int)json_integer_value(n));
        msfl_put_text(&b, "\n|---|");
        json_array_foreach(clients, i, n) msfl_put_text(&b, "---|");
        for (int r = 0; r < REPRODUCE_ROWS; r++) {
            msfl_put_text(&b, "\n| %s |", row_words[r]);
            json_array_foreach(cells_of(tables, f, r), i, c) {
                msfl_put_text(&b, " ");
                put_cell(&b, c, "", "", "-");
                msfl_put_text(&b, " |");
            }
        }
        msfl_put_text(&b, "\n");
    }
    return write_file(out, "tables.md", &b);
}

static void latex_figures(msfl_buffer *b, const json_t *tables, const int *list, int n_list, const char *label) {
    const json_t *clients = json_object_get(tables, "clients"), *n, *c;
    size_t i;
    msfl_put_text(b, "\\begin{table}\n  \\caption{");
    put_caption(b, tables);
    msfl_put_text(b, "}\n  \\label{tab:%s}\n  \\centering\\small\n  \\begin{tabular}{ll", label);
    json_array_foreach(clients, i, n) msfl_put_text(b, "r");
    msfl_put_text(b, "}\n    \\hline\n    & hospitals");
    json_array_foreach(clients, i, n) msfl_put_text(b, " & %d", (int)json_integer_value(n));
    msfl_put_text(b, " \\\\\n    \\hline\n");
    for (int k = 0; k < n_list; k++) {
        for (int r = 0; r < REPRODUCE_ROWS; r++) {
            msfl_put_text(b, "    %s & %s", r == 0 ? cli_reproduce_titles[list[k]] : "", row_words[r]);
            json_array_foreach(cells_of(tables, list[k], r), i, c) {
                msfl_put_text(b, " & ");
                put_cell(b, c, "{\\scriptsize ", "}", "--");
            }
            msfl_put_text(b, " \\\\\n");
        }
        msfl_put_text(b, "    \\hline\n");
    }
    msfl_put_text(b, "  \\end{tabular}\n\\end{table}\n");
}

static msfl_status write_latex(const char *out, const json_t *tables) {
    static const int of_publication[] = {0, 7, 5, 6}, of_ours[] = {4, 2, 1, 3};
    msfl_buffer b = {0};
    msfl_put_text(
        &b,
        "%% Made by medsecurefl reproduce; needs no package. First the publication's figures, then further ones.\n");
    latex_figures(&b, tables, of_publication, 4, "eicc2022");
    msfl_put_text(&b, "\n");
    latex_figures(&b, tables, of_ours, 4, "eicc2022-more");
    return write_file(out, "tables.tex", &b);
}

msfl_status cli_reproduce_papers(const char *out, const json_t *tables) {
    msfl_status status = write_cells(out, tables);
    if (status == MSFL_OK) status = write_runs(out, tables);
    if (status == MSFL_OK) status = write_markdown(out, tables);
    return status == MSFL_OK ? write_latex(out, tables) : status;
}
