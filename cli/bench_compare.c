/* medsecurefl bench compare: every scheme on the same model. */
#include "base/error.h"
#include "bench.h"
#include "cmd.h"
#include "table.h"

#include <math.h>
#include <stdio.h>

static msfl_status print_table(const msfl_bench_compare *report) {
    static const char *const headings[] = {"scheme",      ">keys", ">session", ">encrypt", ">upload", ">beside",
                                           ">of float32", ">add",  ">close",   ">open",    ">memory", ">max error"};
    cli_table *table;
    msfl_status status = cli_table_new(headings, sizeof headings / sizeof headings[0], &table);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < report->n_rows; i++) {
        const msfl_bench_compare_row *r = &report->rows[i];
        if (r->left_out[0] != 0) continue;
        cli_table_cell(table, "%s", r->scheme);
        cli_table_cell(table, "%s", bench_ms(r->keys_ms).text);
        cli_table_cell(table, "%s", bench_ms(r->session_ms).text);
        cli_table_cell(table, "%s", bench_ms(r->encrypt_ms).text);
        cli_table_cell(table, "%s", bench_bytes((double)r->upload_bytes).text);
        cli_table_cell(table, "%s", bench_bytes((double)r->trailer_bytes).text);
        cli_table_cell(table, "%.2f", r->ratio_to_float32);
        cli_table_cell(table, "%s", bench_ms(r->add_ms).text);
        cli_table_cell(table, "%s", bench_ms(r->close_ms).text);
        cli_table_cell(table, "%s", bench_ms(r->open_ms).text);
        cli_table_cell(table, "%s", bench_bytes((double)r->memory_bytes).text);
        cli_table_cell(table, "%.2e", r->max_error);
    }
    printf("%s: %llu values of %u bits, %u clients, each party on one thread\n\n", report->model,
           (unsigned long long)report->values, report->bits, report->clients);
    cli_table_print(table, stdout);
    cli_table_free(table);
    for (size_t i = 0; i < report->n_rows; i++) {
        const msfl_bench_compare_row *r = &report->rows[i];
        if (r->left_out[0] != 0) printf("\n%s is left out: %s", r->scheme, r->left_out);
    }
    printf(
        "\nEncrypt, upload and what goes beside it: of one client. Add: of one client's upload. The rest: once. Every "
        "opened\nsum was compared with the plain one.\n");
    bench_print_machine(&report->machine);
    return MSFL_OK;
}

static msfl_status write_files(const char *folder, const msfl_bench_compare *report) {
    static const struct {
        const char *name;
        msfl_status (*make)(const msfl_bench_compare *, char **);
    } files[] = {{"compare.json", msfl_bench_compare_json},
                 {"compare.csv", msfl_bench_compare_csv},
                 {"compare.svg", msfl_bench_compare_svg}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *text;
        msfl_status status = files[i].make(report, &text);
        if (status == MSFL_OK) status = bench_write(folder, files[i].name, text);
        if (status != MSFL_OK) return status;
    }
    fprintf(stderr, "written to %s: compare.json, compare.csv, compare.svg\n", folder);
    return MSFL_OK;
}

msfl_status bench_compare(int argc, char **argv) {
    msfl_bench_compare_options o = {.n_clients = 3, .value_bits = 24, .seconds = 120.0};
    const char *model = NULL, *out = NULL;
    uint64_t n_values = 0;
    bool json = false, quiet = false;
    const cli_option options[] = {
        {"model", CLI_TEXT, &model, 0, 0},
        {"values", CLI_U64, &n_values, 1, 268435456.0},
        {"scheme", CLI_TEXT, &o.scheme, 0, 0},
        {"clients", CLI_U32, &o.n_clients, 2, MSFL_CLIENTS_MAX},
        {"bits", CLI_U32, &o.value_bits, MSFL_VALUE_BITS_MIN, MSFL_VALUE_BITS_MAX},
        {"seconds", CLI_F64, &o.seconds, 0.001, 360000},
        {"out", CLI_TEXT, &out, 0, 0},
        {"json", CLI_FLAG, &json, 0, 0},
        {"quiet", CLI_FLAG, &quiet, 0, 0},
        {0},
    };
    msfl_status status = cli_parse(argc, argv, options, NULL, 0, NULL);
    if (status != MSFL_OK) return status;
    if (model == NULL && n_values == 0) model = "cnn-small";
    msfl_bench_subject *subject;
    status = msfl_bench_subject_new(model, n_values, &subject);
    if (status == MSFL_OK && out != NULL) status = bench_folder_new(out);
    msfl_bench_compare *report = NULL;
    if (status == MSFL_OK) {
        bench_watch watch;
        bench_watch_begin(&watch, quiet);
        status = msfl_bench_compare_run(&o, subject, &watch.observer, &report);
        bench_watch_end(&watch);
    }
    if (status == MSFL_OK && out != NULL) status = write_files(out, report);
    char *text = NULL;
    if (status == MSFL_OK) status = json ? msfl_bench_compare_json(report, &text) : print_table(report);
    if (status == MSFL_OK && json) puts(text);
    msfl_bench_text_free(text);
    msfl_bench_compare_free(report);
    msfl_bench_subject_free(subject);
    return status;
}
