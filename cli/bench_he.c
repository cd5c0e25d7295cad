/* medsecurefl bench he: values per second through every scheme, beside copying and AES on the same machine. */
#include "base/error.h"
#include "bench.h"
#include "cmd.h"
#include "table.h"

#include <math.h>
#include <stdio.h>

static msfl_status print_table(const msfl_bench_he *report) {
    static const char *const headings[] = {"scheme",        ">bits",         ">clients",    ">values", ">threads",
                                           ">encrypt",      ">fold",         ">open",       ">hash",   ">B/value",
                                           ">extra memory", ">encrypt/copy", ">encrypt/AES"};
    cli_table *table;
    msfl_status status = cli_table_new(headings, sizeof headings / sizeof headings[0], &table);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < report->n_rows; i++) {
        const msfl_bench_he_row *r = &report->rows[i];
        cli_table_cell(table, "%s", r->scheme);
        cli_table_cell(table, "%u", r->bits);
        cli_table_cell(table, "%u", r->clients);
        cli_table_cell(table, "%llu", (unsigned long long)r->values);
        cli_table_cell(table, "%u", r->threads);
        cli_table_cell(table, "%s", bench_number(r->encrypt_mvps).text);
        cli_table_cell(table, "%s", bench_number(r->fold_mvps).text);
        cli_table_cell(table, "%s", bench_number(r->open_mvps).text);
        cli_table_cell(table, "%s", bench_number(r->hash_mvps).text);
        cli_table_cell(table, "%.3f", r->bytes_per_value);
        cli_table_cell(table, "%s", bench_bytes((double)r->extra_memory_bytes).text);
        cli_table_cell(table, "%s", bench_number(r->encrypt_vs_memcpy).text);
        cli_table_cell(table, "%s", bench_number(r->encrypt_vs_aes).text);
    }
    cli_table_print(table, stdout);
    cli_table_free(table);
    printf("\nRates in million values per second, the best of the repetitions; every opened sum was compared with the "
           "plain one.\n");
    bench_print_machine(&report->machine);
    return MSFL_OK;
}

msfl_status bench_he(int argc, char **argv) {
    msfl_bench_he_options o = {.n_clients = 10, .n_threads = 1, .seconds = 2.0};
    bool json = false, quiet = false;
    const cli_option options[] = {
        {"scheme", CLI_TEXT, &o.scheme, 0, 0},
        {"clients", CLI_U32, &o.n_clients, 2, MSFL_CLIENTS_MAX},
        {"bits", CLI_U32, &o.value_bits, MSFL_VALUE_BITS_MIN, MSFL_VALUE_BITS_MAX},
        {"values", CLI_U64, &o.n_values, 1, 268435456.0},
        {"ring", CLI_U32, &o.ring_degree, 0, MSFL_RING_DEGREE_MAX},
        {"threads", CLI_U32, &o.n_threads, 0, 256},
        {"seconds", CLI_F64, &o.seconds, 0.001, 3600},
        {"json", CLI_FLAG, &json, 0, 0},
        {"quiet", CLI_FLAG, &quiet, 0, 0},
        {0},
    };
    msfl_status status = cli_parse(argc, argv, options, NULL, 0, NULL);
    if (status != MSFL_OK) return status;
    bench_watch watch;
    msfl_bench_he *report;
    bench_watch_begin(&watch, quiet);
    status = msfl_bench_he_run(&o, &watch.observer, &report);
    bench_watch_end(&watch);
    if (status != MSFL_OK) return status;
    char *text = NULL;
    status = json ? msfl_bench_he_json(report, &text) : print_table(report);
    if (status == MSFL_OK && json) puts(text);
    msfl_bench_text_free(text);
    msfl_bench_he_free(report);
    return status;
}
