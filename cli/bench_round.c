/* medsecurefl bench round: what whole rounds cost, a cost model of it, and what it says of rounds to come. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "bench.h"
#include "cmd.h"
#include "table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COSTS_BYTES_MAX = 4 << 20, VALUES_MAX = 1 << 28, WORD_MAX = 4096 };

typedef struct grid {
    msfl_bench_subject *subjects[MSFL_BENCH_GRID_MAX];
    size_t n_subjects;

} grid;

/* --- lists --- */

static msfl_status read_number(const char *option, const char *word, uint64_t min, uint64_t max, uint64_t *out) {
    char *end;
    errno = 0;
    unsigned long long v = strtoull(word, &end, 10);
    if (word[0] < '0' || word[0] > '9' || *end != 0 || errno != 0 || v < min || v > max) {
        return msfl_fail(MSFL_ERR_USAGE, "--%s takes whole numbers from %llu to %llu with commas between, not '%s'",
                         option, (unsigned long long)min, (unsigned long long)max, word);
    }
    *out = v;
    return MSFL_OK;
}

/** Words of a list with commas; `text` is cut. */
static msfl_status split(const char *option, char *text, const char **words, size_t *n) {
    *n = 0;
    for (char *at = text; at != NULL;) {
        char *comma = strchr(at, ',');
        if (comma != NULL) *comma = 0;
        if (*at == 0 || *n == MSFL_BENCH_GRID_MAX) {
            return msfl_fail(MSFL_ERR_USAGE, "--%s takes 1 to %d things with commas between", option,
                             MSFL_BENCH_GRID_MAX);
        }
        words[(*n)++] = at;
        at = comma != NULL ? comma + 1 : NULL;
    }
    return MSFL_OK;
}

static msfl_status split_copy(const char *option, const char *list, char **copy, const char **words, size_t *n) {
    *n = 0;
    if (strlen(list) > WORD_MAX) return msfl_fail(MSFL_ERR_USAGE, "--%s: the list is too long", option);
    *copy = msfl_strdup(list);
    return *copy == NULL ? MSFL_ERR_MEMORY : split(option, *copy, words, n);
}

static msfl_status read_clients(const char *list, msfl_bench_round_options *o) {
    const char *words[MSFL_BENCH_GRID_MAX] = {NULL};
    char *copy = NULL;
    msfl_status status = split_copy("clients", list, &copy, words, &o->n_clients);
    for (size_t i = 0; i < o->n_clients && status == MSFL_OK; i++) {
        uint64_t v = 0;
        status = read_number("clients", words[i], 2, MSFL_CLIENTS_MAX, &v);
        o->clients[i] = (uint32_t)v;
    }
    msfl_free(copy);
    return status;
}

static msfl_status add_subject(grid *g, const char *model, uint64_t n_values) {
    if (g->n_subjects == MSFL_BENCH_GRID_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "at most %d sizes in one grid", MSFL_BENCH_GRID_MAX);
    }
    msfl_status status = msfl_bench_subject_new(model, n_values, &g->subjects[g->n_subjects]);
    if (status == MSFL_OK) g->n_subjects++;
    return status;
}

static msfl_status read_subjects(const char *models, const char *values, grid *g) {
    const char *words[MSFL_BENCH_GRID_MAX] = {NULL};
    size_t n = 0;
    char *copy = NULL;
    msfl_status status = models != NULL ? split_copy("model", models, &copy, words, &n) : MSFL_OK;
    for (size_t i = 0; i < n && status == MSFL_OK; i++)
        status = add_subject(g, words[i], 0);
    msfl_free(copy);
    copy = NULL;
    n = 0;
    if (status == MSFL_OK && values != NULL) status = split_copy("values", values, &copy, words, &n);
    for (size_t i = 0; i < n && status == MSFL_OK; i++) {
        uint64_t v = 0;
        status = read_number("values", words[i], 1, VALUES_MAX, &v);
        if (status == MSFL_OK) status = add_subject(g, NULL, v);
    }
    msfl_free(copy);
    return status;
}

static void grid_clear(grid *g) {
    for (size_t i = 0; i < g->n_subjects; i++)
        msfl_bench_subject_free(g->subjects[i]);
}

/* --- what is printed --- */

static void print_costs(const msfl_bench_costs *costs) {
    printf("\nseconds of a round with n clients and V values (%s, %u bits), each party on one thread:\n", costs->scheme,
           costs->bits);
    for (size_t p = 0; p < MSFL_BENCH_PARTIES; p++) {
        const msfl_bench_cost *c = &costs->parties[p];
        char formula[200];
        msfl_bench_cost_formula(c, formula, sizeof formula);
        printf("  %-11s = %-52s  R^2 %.4f, at worst %.0f %% off\n", c->party, formula, c->r_squared,
               c->worst_residual * 100.0);
    }
}

static msfl_status print_table(const msfl_bench_round *report) {
    static const char *const headings[] = {"model",   ">values",      ">clients",    ">quantise", ">encrypt", ">seal",
                                           ">upload", ">download",    ">add",        ">close",    ">open",    ">decode",
                                           ">client", ">coordinator", ">key holder", ">memory"};
    cli_table *table;
    msfl_status status = cli_table_new(headings, sizeof headings / sizeof headings[0], &table);
    if (status != MSFL_OK) return status;
    bool is_scaled = false;
    for (size_t i = 0; i < report->n_rows; i++) {
        const msfl_bench_round_row *r = &report->rows[i];
        is_scaled = is_scaled || r->clients_run < r->clients;
        cli_table_cell(table, "%s", r->model);
        cli_table_cell(table, "%llu", (unsigned long long)r->values);
        cli_table_cell(table, "%u%s", r->clients, r->clients_run < r->clients ? "*" : "");
        cli_table_cell(table, "%s", bench_ms(r->check_quantise_ms).text);
        cli_table_cell(table, "%s", bench_ms(r->encrypt_ms).text);
        cli_table_cell(table, "%s", bench_ms(r->seal_ms).text);
        cli_table_cell(table, "%s", bench_bytes((double)(r->upload_bytes + r->trailer_bytes)).text);
        cli_table_cell(table, "%s", bench_bytes((double)r->download_bytes).text);
        cli_table_cell(table, "%s", bench_ms(r->add_ms).text);
        cli_table_cell(table, "%s", bench_ms(r->close_ms).text);
        cli_table_cell(table, "%s", bench_ms(r->open_ms).text);
        cli_table_cell(table, "%s", bench_ms(r->decode_ms).text);
        cli_table_cell(table, "%s", bench_ms(r->client_s * 1e3).text);
        cli_table_cell(table, "%s", bench_ms(r->coordinator_s * 1e3).text);
        cli_table_cell(table, "%s", bench_ms(r->key_holder_s * 1e3).text);
        cli_table_cell(table, "%s", bench_bytes((double)r->memory_bytes).text);
    }
    printf(
        "%s at %u bits; quantise to download: of one client; add: of one client's upload; close to decode: once; the "
        "last\nbut one three: of the whole round\n\n",
        report->scheme, report->bits);
    cli_table_print(table, stdout);
    cli_table_free(table);
    if (is_scaled) printf("* %d clients were run, and stand for all\n", MSFL_BENCH_CLIENTS_RUN);
    if (report->is_fitted)
        print_costs(&report->costs);
    else
        printf("\nno cost model: %s\n", report->not_fitted);
    bench_print_machine(&report->machine);
    return MSFL_OK;
}

static void print_prediction(const msfl_bench_costs *costs, const msfl_bench_prediction *p) {
    printf("A round of %u clients and %llu values, %s at %u bits, lines of %g Mbit/s each way\n\n", p->clients,
           (unsigned long long)p->values, costs->scheme, costs->bits, p->link_mbps);
    printf("each client      computes %s, sends %s in %s", bench_ms(p->client_s * 1e3).text,
           bench_bytes((double)p->upload_bytes).text, bench_ms(p->client_upload_s * 1e3).text);
    printf(", receives %s in %s\n", bench_bytes((double)(p->download_bytes + p->setup_bytes)).text,
           bench_ms(p->client_download_s * 1e3).text);
    printf("the coordinator  computes %s, receives %s in %s", bench_ms(p->coordinator_s * 1e3).text,
           bench_bytes((double)p->coordinator_in_bytes).text, bench_ms(p->coordinator_in_s * 1e3).text);
    printf(", sends %s in %s\n", bench_bytes((double)p->coordinator_out_bytes).text,
           bench_ms(p->coordinator_out_s * 1e3).text);
    printf("key holders      compute %s\n", bench_ms(p->key_holder_s * 1e3).text);
    printf("the round        %s beside training, nothing taken to overlap\n", bench_ms(p->round_s * 1e3).text);
    print_costs(costs);
}

static msfl_status write_files(const char *folder, const msfl_bench_round *report) {
    static const struct {
        const char *name;
        msfl_status (*make)(const msfl_bench_round *, char **);
        bool wants_fit;
    } files[] = {{"round.json", msfl_bench_round_json, false},
                 {"round.csv", msfl_bench_round_csv, false},
                 {"round.svg", msfl_bench_round_svg, true}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *text;
        if (files[i].wants_fit && !report->is_fitted) continue;
        msfl_status status = files[i].make(report, &text);
        if (status == MSFL_OK) status = bench_write(folder, files[i].name, text);
        if (status != MSFL_OK) return status;
    }
    fprintf(stderr, "written to %s: round.json, round.csv%s\n", folder, report->is_fitted ? ", round.svg" : "");
    return MSFL_OK;
}

/* --- the command --- */

typedef struct wanted {
    msfl_bench_round_options options;
    const char *clients, *models, *values, *out, *costs;
    double link_mbps;
    bool predict, json, quiet;
} wanted;

static msfl_status measure(const wanted *w, const grid *g, msfl_bench_round **report) {
    bench_watch watch;
    bench_watch_begin(&watch, w->quiet);
    msfl_status status = msfl_bench_round_run(&w->options, (const msfl_bench_subject *const *)g->subjects,
                                              g->n_subjects, &watch.observer, report);
    bench_watch_end(&watch);
    return status;
}

static msfl_status read_costs(const char *path, msfl_bench_costs *costs) {
    uint8_t *bytes;
    size_t length;
    msfl_status status = msfl_file_read(path, COSTS_BYTES_MAX, &bytes, &length);
    if (status != MSFL_OK) return status;
    status = msfl_bench_costs_parse(path, (const char *)bytes, length, costs);
    msfl_free(bytes);
    return status;
}

/** The cost model of a file, or of a small grid measured now. */
static msfl_status costs_for_prediction(wanted *w, msfl_bench_costs *costs) {
    if (w->costs != NULL) return read_costs(w->costs, costs);
    grid g = {0};
    msfl_bench_round *report = NULL;
    msfl_status status = read_subjects(NULL, "20000,200000,1000000", &g);
    if (status == MSFL_OK) status = read_clients("3,10", &w->options);
    if (status == MSFL_OK) status = measure(w, &g, &report);
    if (status == MSFL_OK && !report->is_fitted) status = msfl_fail(MSFL_ERR_NUMERIC, "%s", report->not_fitted);
    if (status == MSFL_OK) *costs = report->costs;
    msfl_bench_round_free(report);
    grid_clear(&g);
    return status;
}

static msfl_status predict(wanted *w) {
    uint64_t n_clients = 0, n_values = 0;
    if (w->clients == NULL || (w->values == NULL) == (w->models == NULL) || w->out != NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "--predict takes --clients N, and --values COUNT or --model, and no --out");
    }
    msfl_status status = read_number("clients", w->clients, 2, MSFL_CLIENTS_MAX, &n_clients);
    if (status == MSFL_OK && w->values != NULL)
        status = read_number("values", w->values, 1, (uint64_t)1 << 33, &n_values);
    if (status == MSFL_OK && w->models != NULL) {
        msfl_bench_subject *subject;
        status = msfl_bench_subject_new(w->models, 0, &subject);
        if (status != MSFL_OK) return status;
        n_values = msfl_bench_subject_values(subject);
        msfl_bench_subject_free(subject);
    }
    msfl_bench_costs costs;
    msfl_bench_prediction prediction;
    if (status == MSFL_OK) status = costs_for_prediction(w, &costs);
    if (status == MSFL_OK)
        status = msfl_bench_predict(&costs, (uint32_t)n_clients, n_values, w->link_mbps, &prediction);
    if (status != MSFL_OK) return status;
    if (!w->json) {
        print_prediction(&costs, &prediction);
        return MSFL_OK;
    }
    char *text;
    status = msfl_bench_prediction_json(&costs, &prediction, &text);
    if (status != MSFL_OK) return status;
    puts(text);
    msfl_bench_text_free(text);
    return MSFL_OK;
}

static msfl_status measure_and_print(wanted *w) {
    grid g = {0};
    msfl_bench_round *report = NULL;
    char *text = NULL;
    msfl_status status = read_clients(w->clients != NULL ? w->clients : "3,10", &w->options);
    if (w->models == NULL && w->values == NULL) {
        w->models = "cnn-small,resnet50";
        w->values = "1000000";
    }
    if (status == MSFL_OK) status = read_subjects(w->models, w->values, &g);
    if (status == MSFL_OK && w->out != NULL) status = bench_folder_new(w->out);
    if (status == MSFL_OK) status = measure(w, &g, &report);
    if (status == MSFL_OK && w->out != NULL) status = write_files(w->out, report);
    if (status == MSFL_OK) status = w->json ? msfl_bench_round_json(report, &text) : print_table(report);
    if (status == MSFL_OK && w->json) puts(text);
    msfl_bench_text_free(text);
    msfl_bench_round_free(report);
    grid_clear(&g);
    return status;
}

msfl_status bench_round(int argc, char **argv) {
    wanted w = {.options = {.scheme = "packed", .value_bits = 24, .seconds = 1.0}, .link_mbps = 100.0};
    const cli_option options[] = {
        {"model", CLI_TEXT, &w.models, 0, 0},
        {"values", CLI_TEXT, &w.values, 0, 0},
        {"clients", CLI_TEXT, &w.clients, 0, 0},
        {"scheme", CLI_TEXT, &w.options.scheme, 0, 0},
        {"bits", CLI_U32, &w.options.value_bits, MSFL_VALUE_BITS_MIN, MSFL_VALUE_BITS_MAX},
        {"seconds", CLI_F64, &w.options.seconds, 0.001, 3600},
        {"out", CLI_TEXT, &w.out, 0, 0},
        {"predict", CLI_FLAG, &w.predict, 0, 0},
        {"costs", CLI_TEXT, &w.costs, 0, 0},
        {"link-mbps", CLI_F64, &w.link_mbps, 0.001, 1e9},
        {"json", CLI_FLAG, &w.json, 0, 0},
        {"quiet", CLI_FLAG, &w.quiet, 0, 0},
        {0},
    };
    msfl_status status = cli_parse(argc, argv, options, NULL, 0, NULL);
    if (status != MSFL_OK) return status;
    if (w.costs != NULL && !w.predict) return msfl_fail(MSFL_ERR_USAGE, "--costs goes with --predict");
    return w.predict ? predict(&w) : measure_and_print(&w);
}
