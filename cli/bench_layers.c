/* medsecurefl bench layers: tensors one by one, and all of them in one vector. */
#include "base/error.h"
#include "bench.h"
#include "cmd.h"
#include "table.h"

#include <stdio.h>

static void print_row(cli_table *table, const msfl_bench_layers_row *r) {
    cli_table_cell(table, "%s", r->tensor);
    cli_table_cell(table, "%llu", (unsigned long long)r->values);
    cli_table_cell(table, "%llu", (unsigned long long)r->chunks);
    cli_table_cell(table, "%s", bench_ms(r->encrypt_ms).text);
    cli_table_cell(table, "%s", bench_bytes((double)r->upload_bytes).text);
    cli_table_cell(table, "%s", bench_bytes((double)r->trailer_bytes).text);
    cli_table_cell(table, "%s", bench_number(r->bytes_per_value).text);
}

static msfl_status print_table(const msfl_bench_layers *report) {
    static const char *const headings[] = {"tensor",  ">values", ">chunks",     ">encrypt",
                                           ">upload", ">beside", ">B per value"};
    cli_table *table;
    msfl_status status = cli_table_new(headings, sizeof headings / sizeof headings[0], &table);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < report->n_rows; i++)
        print_row(table, &report->rows[i]);
    print_row(table, &report->apart);
    print_row(table, &report->whole);
    printf("%s, %s at %u bits, parameters for %u clients; one client's work and bytes\n\n", report->model,
           report->scheme, report->bits, report->clients);
    cli_table_print(table, stdout);
    cli_table_free(table);
    double bytes = (double)(report->apart.upload_bytes + report->apart.trailer_bytes) /
                   (double)(report->whole.upload_bytes + report->whole.trailer_bytes);
    printf("\nTensor by tensor: %s times the bytes and %s times the time of one vector.\n", bench_number(bytes).text,
           bench_number(report->apart.encrypt_ms / report->whole.encrypt_ms).text);
    bench_print_machine(&report->machine);
    return MSFL_OK;
}

msfl_status bench_layers(int argc, char **argv) {
    msfl_bench_compare_options o = {.scheme = "packed", .n_clients = 3, .value_bits = 24, .seconds = 600.0};
    const char *model = "cnn-small";
    bool json = false, quiet = false;
    const cli_option options[] = {
        {"model", CLI_TEXT, &model, 0, 0},
        {"scheme", CLI_TEXT, &o.scheme, 0, 0},
        {"clients", CLI_U32, &o.n_clients, 2, MSFL_CLIENTS_MAX},
        {"bits", CLI_U32, &o.value_bits, MSFL_VALUE_BITS_MIN, MSFL_VALUE_BITS_MAX},
        {"seconds", CLI_F64, &o.seconds, 0.001, 360000},
        {"json", CLI_FLAG, &json, 0, 0},
        {"quiet", CLI_FLAG, &quiet, 0, 0},
        {0},
    };
    msfl_status status = cli_parse(argc, argv, options, NULL, 0, NULL);
    if (status != MSFL_OK) return status;
    msfl_bench_subject *subject;
    status = msfl_bench_subject_new(model, 0, &subject);
    if (status != MSFL_OK) return status;
    msfl_bench_layers *report = NULL;
    bench_watch watch;
    bench_watch_begin(&watch, quiet);
    status = msfl_bench_layers_run(&o, subject, &watch.observer, &report);
    bench_watch_end(&watch);
    char *text = NULL;
    if (status == MSFL_OK) status = json ? msfl_bench_layers_json(report, &text) : print_table(report);
    if (status == MSFL_OK && json) puts(text);
    msfl_bench_text_free(text);
    msfl_bench_layers_free(report);
    msfl_bench_subject_free(subject);
    return status;
}
