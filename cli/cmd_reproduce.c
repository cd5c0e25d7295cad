/* medsecurefl reproduce: the tables of the published prototype, on images that are at hand. A run of `simulate` for
 * every number of hospitals and every seed, and tables of what they say. */
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd.h"
#include "medsecurefl/report.h"
#include "medsecurefl/simulate.h"
#include "reproduce.h"
#include "reproduce_progress.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 16, SEEDS_MAX = 100, RESULT_BYTES_MAX = 64 << 20, DIGITS_MAX = 4 };

typedef struct plan {
    msfl_simulate_options options; /* what all runs share */
    const char *out;
    uint32_t clients[COLUMNS_MAX], n_columns, n_seeds;
    bool json, quiet, quick;
    msfl_dataset *dataset; /* opened once for all runs */
    uint32_t dataset_seed;
    bool central_left[SEEDS_MAX + 1]; /* by seed: the central training has yet to be made */
    reproduce_progress progress;
} plan;

/* "2,3,5,7": different numbers, each of which simulate takes. */
static msfl_status parse_clients(const char *text, plan *p) {
    for (const char *at = text;;) {
        const size_t length = strspn(at, "0123456789");
        uint32_t n = 0;
        for (size_t i = 0; i < length && i < DIGITS_MAX; i++)
            n = 10 * n + (uint32_t)(at[i] - '0');
        if (length == 0 || length > DIGITS_MAX || (at[length] != ',' && at[length] != 0) || n < 2 ||
            n > MSFL_SIMULATE_CLIENTS_MAX) {
            return msfl_fail(MSFL_ERR_USAGE,
                             "--clients is a list of numbers from 2 to %d with commas between, as 2,3,5,7",
                             MSFL_SIMULATE_CLIENTS_MAX);
        }
        for (uint32_t i = 0; i < p->n_columns; i++) {
            if (p->clients[i] == n) return msfl_fail(MSFL_ERR_USAGE, "--clients names %u twice", n);
        }
        if (p->n_columns == COLUMNS_MAX) {
            return msfl_fail(MSFL_ERR_USAGE, "--clients: at most %d numbers", COLUMNS_MAX);
        }
        p->clients[p->n_columns++] = n;
        if (at[length] == 0) return MSFL_OK;
        at += length + 1;
    }
}

static bool same_text(const json_t *config, const char *name, const char *mine) {
    const char *there = json_string_value(json_object_get(config, name));
    return there == NULL || mine == NULL ? there == mine : strcmp(there, mine) == 0;
}

static bool same_number(const json_t *config, const char *name, uint64_t mine) {
    const json_t *there = json_object_get(config, name);
    return json_is_integer(there) && json_integer_value(there) == (json_int_t)mine;
}

/* A finished run is taken as it is, so it has to be the run that was asked for. (One that goes on is compared by
 * msfl_simulate, in every option.) */
static msfl_status check_finished(const char *folder, const json_t *config, const msfl_simulate_options *o) {
    char *absolute = msfl_file_exists(o->data) ? msfl_path_absolute(o->data) : NULL;
    const char *other = NULL;
    if (!same_text(config, "data", absolute != NULL ? absolute : o->data)) other = "data";
    if (!same_text(config, "model", o->model)) other = "model";
    if (!same_text(config, "label", o->label)) other = "label";
    if (!same_text(config, "scheme", o->scheme)) other = "scheme";
    if (!same_number(config, "rounds", o->n_rounds)) other = "rounds";
    if (!same_number(config, "size", o->size)) other = "size";
    if (!same_number(config, "phantom_images", o->phantom_images)) other = "phantom-images";
    if (!same_number(config, "bootstrap", o->n_bootstrap)) other = "bootstrap";
    if (!same_number(config, "compare", o->compare)) other = "comparisons";
    if (!same_number(config, "clients", o->n_clients)) other = "clients";
    if (!same_number(config, "seed", o->seed)) other = "seed";
    msfl_free(absolute);
    if (other == NULL) return MSFL_OK;
    return msfl_fail(MSFL_ERR_EXISTS, "%s holds a run with another '%s': name another --out, or remove that folder",
                     folder, other);
}

/* MSFL_OK with `*result` NULL: there is none yet, or one that is not complete. */
static msfl_status read_finished(const char *folder, const char *path, const msfl_simulate_options *o,
                                 json_t **result) {
    *result = NULL;
    if (!msfl_file_exists(path)) return MSFL_OK;
    json_t *there;
    msfl_status status = msfl_json_read(path, RESULT_BYTES_MAX, &there);
    if (status != MSFL_OK) return status;
    if (json_is_true(json_object_get(there, "complete"))) {
        status = check_finished(folder, json_object_get(there, "config"), o);
        if (status == MSFL_OK) *result = json_incref(there);
    }
    json_decref(there);
    return status;
}

/* --- one run --- */

/* What lies where for a number of hospitals and a seed. */
typedef struct place {
    char *folder, *config, *result, *central;
} place;

static void place_clear(place *at) {
    msfl_free(at->folder);
    msfl_free(at->config);
    msfl_free(at->result);
    msfl_free(at->central);
    *at = (place){0};
}

static msfl_status place_of(const plan *p, uint32_t clients, uint32_t seed, place *at) {
    *at = (place){.folder = msfl_format("%s/clients-%u-seed-%u", p->out, clients, seed),
                  .central = msfl_format("%s/central-seed-%u", p->out, seed)};
    if (at->folder != NULL) at->config = msfl_path_join(at->folder, "config.json");
    if (at->folder != NULL) at->result = msfl_path_join(at->folder, "result.json");
    if (at->config != NULL && at->result != NULL && at->central != NULL) return MSFL_OK;
    place_clear(at);
    return msfl_fail(MSFL_ERR_MEMORY, "no memory for a path");
}

static msfl_simulate_options options_of(const plan *p, uint32_t clients, uint32_t seed) {
    msfl_simulate_options o = p->options;
    o.n_clients = clients;
    o.seed = seed;
    /* The name of what is reproduced asks for two hospitals; the warning stands in every output. */
    o.allow_two_sites = clients == 2;
    return o;
}

static msfl_status simulate(plan *p, msfl_simulate_options *o, json_t **result) {
    cli_terminal *terminal = cli_terminal_new(NULL, o->n_clients, p->quiet);
    p->progress.terminal = terminal;
    const msfl_observer observer = {
        .observe = reproduce_progress_observe, .ctx = &p->progress, .cancel = cli_cancel_flag()};
    o->observer = &observer;
    char *text = NULL;
    msfl_status status = msfl_simulate(o, &text);
    o->observer = NULL;
    p->progress.terminal = NULL;
    cli_terminal_free(terminal);
    if (status == MSFL_ERR_CANCELLED) {
        return msfl_fail(status, "stopped; what is finished is kept, and the same command goes on from there");
    }
    if (status == MSFL_OK) status = msfl_json_parse("the result", text, strlen(text), RESULT_BYTES_MAX, result);
    msfl_text_free(text);
    return status;
}

/* The images are opened once for all runs; those of the phantom are drawn by the seed. */
static msfl_status open_data(plan *p, uint32_t seed) {
    const bool drawn = strcmp(p->options.data, "phantom") == 0;
    if (p->dataset != NULL && (!drawn || p->dataset_seed == seed)) return MSFL_OK;
    msfl_dataset_free(p->dataset);
    p->dataset = NULL;
    p->dataset_seed = seed;
    msfl_simulate_options o = options_of(p, p->clients[0], seed);
    cli_terminal *terminal = cli_terminal_new(NULL, 1, p->quiet);
    const msfl_observer observer = {.observe = cli_terminal_observe, .ctx = terminal, .cancel = cli_cancel_flag()};
    o.observer = &observer;
    msfl_status status = msfl_simulate_open(&o, &p->dataset);
    cli_terminal_free(terminal);
    return status;
}

/* Whether all that is planned can be run, before the first of it is: the largest federation with every seed, for the
 * split and what hospitals are dealt hang on it; the others with the first seed. */
static msfl_status check_all(plan *p) {
    uint32_t largest = 0;
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < p->n_columns; i++)
        largest = p->clients[i] > largest ? p->clients[i] : largest;
    for (uint32_t seed = 1; seed <= p->n_seeds && status == MSFL_OK; seed++) {
        status = open_data(p, seed);
        for (uint32_t i = 0; i < p->n_columns && status == MSFL_OK; i++) {
            if (seed > 1 && p->clients[i] != largest) continue;
            msfl_simulate_options o = options_of(p, p->clients[i], seed);
            o.opened = p->dataset;
            status = msfl_simulate_check(&o);
            if (status != MSFL_OK) {
                status = msfl_fail_in(status, "a federation of %u hospitals, seed %u", p->clients[i], seed);
            }
        }
    }
    return status;
}

/* One run: taken as it is, continued, or begun. */
static msfl_status one_run(plan *p, uint32_t clients, uint32_t seed, json_t *runs) {
    msfl_simulate_options o = options_of(p, clients, seed);
    json_t *result = NULL, *run = NULL;
    char command[128], text[80];
    snprintf(command, sizeof command, "medsecurefl reproduce eicc2022 (%u hospitals, seed %u)", clients, seed);
    o.command = command;
    place at;
    msfl_status status = place_of(p, clients, seed, &at);
    if (status != MSFL_OK) return status;
    const uint32_t number = (uint32_t)json_array_size(runs) + 1;
    status = read_finished(at.folder, at.result, &o, &result);
    if (status != MSFL_OK) goto done;
    o.out = at.folder;
    o.resume = msfl_file_exists(at.config);
    if (!p->quiet) {
        fprintf(stderr, "run %u of %u: %u hospitals, seed %u%s\n", number, p->n_columns * p->n_seeds, clients, seed,
                result != NULL ? " (is there)"
                : o.resume     ? " (goes on)"
                               : "");
    }
    if (result == NULL) {
        status = open_data(p, seed);
        if (status != MSFL_OK) goto done;
        o.opened = p->dataset;
        o.central = at.central;
        reproduce_progress_begin(&p->progress, p->central_left[seed]);
        status = simulate(p, &o, &result);
        if (status != MSFL_OK) goto done;
        p->central_left[seed] = false;
        memset(p->progress.here, 0, sizeof p->progress.here);
        reproduce_progress_text(&p->progress, text);
        if (!p->quiet) fprintf(stderr, "run %u of %u is done: %s\n", number, p->n_columns * p->n_seeds, text);
    }
    status = cli_reproduce_run(at.result, result, &run);
    if (status == MSFL_OK && json_array_append(runs, run) != 0) {
        status = msfl_fail(MSFL_ERR_MEMORY, "no memory for the tables");
    }
done:
    json_decref(run);
    json_decref(result);
    place_clear(&at);
    return status;
}

/* What there is to do, for the estimate; `*any`: something is. */
static msfl_status look_ahead(plan *p, bool *any) {
    *any = false;
    p->progress = (reproduce_progress){.n_rounds = p->options.n_rounds, .start_ns = msfl_now_ns()};
    for (uint32_t seed = 1; seed <= p->n_seeds; seed++) {
        bool some = false, shared = false;
        for (uint32_t i = 0; i < p->n_columns; i++) {
            place at;
            json_t *result = NULL;
            const msfl_simulate_options o = options_of(p, p->clients[i], seed);
            msfl_status status = place_of(p, p->clients[i], seed, &at);
            if (status != MSFL_OK) return status;
            status = read_finished(at.folder, at.result, &o, &result);
            shared = shared || (result != NULL && msfl_file_exists(at.central));
            some = some || result == NULL;
            if (result == NULL) {
                p->progress.left[0] += p->options.n_rounds;
                p->progress.left[1] += p->options.n_rounds;
            }
            json_decref(result);
            place_clear(&at);
            if (status != MSFL_OK) return status;
        }
        p->central_left[seed] = some && !shared;
        if (p->central_left[seed]) p->progress.left[2] += p->options.n_rounds;
        *any = *any || some;
    }
    return MSFL_OK;
}

/* --- the tables --- */

static json_t *config_of(const plan *p) {
    const msfl_simulate_options *o = &p->options;
    json_t *config = json_object();
    json_object_set_new(config, "what", json_string("eicc2022"));
    json_object_set_new(config, "data", msfl_json_string(o->data));
    json_object_set_new(config, "synthetic", json_boolean(strcmp(o->data, "phantom") == 0));
    json_object_set_new(config, "model", msfl_json_string(o->model));
    json_object_set_new(config, "label", msfl_json_string(o->label));
    json_object_set_new(config, "rounds", json_integer(o->n_rounds));
    json_object_set_new(config, "size", o->size == 0 ? json_null() : json_integer(o->size));
    json_object_set_new(config, "bootstrap", json_integer(o->n_bootstrap));
    json_object_set_new(config, "seeds", json_integer(p->n_seeds));
    json_object_set_new(config, "quick", json_boolean(p->quick));
    return config;
}

static msfl_status write_page(const plan *p, const json_t *tables) {
    char *text = NULL, *path = msfl_path_join(p->out, "tables.html");
    msfl_status status = path == NULL ? msfl_fail(MSFL_ERR_MEMORY, "no memory for the tables") : MSFL_OK;
    if (status == MSFL_OK) status = msfl_json_text(tables, true, &text);
    if (status == MSFL_OK) status = msfl_tables_write(path, text, strlen(text));
    msfl_free(text);
    msfl_free(path);
    return status;
}

/* Written after every run, so that what a stopped command leaves can be looked at. */
static msfl_status write_tables(const plan *p, const json_t *runs, json_t **tables) {
    json_t *clients = json_array();
    for (uint32_t i = 0; i < p->n_columns; i++)
        json_array_append_new(clients, json_integer(p->clients[i]));
    json_t *made = cli_reproduce_tables(runs, clients), *config = config_of(p);
    json_decref(clients);
    char *path = msfl_path_join(p->out, "tables.json");
    msfl_status status = MSFL_OK;
    if (made == NULL || config == NULL || path == NULL) {
        status = msfl_fail(MSFL_ERR_MEMORY, "no memory for the tables");
        json_decref(config);
        goto done;
    }
    const uint32_t n_planned = p->n_columns * p->n_seeds;
    json_object_set_new(made, "version", json_string(msfl_version()));
    json_object_set_new(made, "config", config);
    json_object_set_new(made, "runs_planned", json_integer(n_planned));
    json_object_set_new(made, "complete", json_boolean(json_array_size(runs) == n_planned));
    status = msfl_json_write(path, made);
    if (status == MSFL_OK) status = cli_reproduce_papers(p->out, made);
    if (status == MSFL_OK) status = write_page(p, made);
done:
    msfl_free(path);
    if (status != MSFL_OK) {
        json_decref(made);
        return status;
    }
    json_decref(*tables);
    *tables = made;
    return MSFL_OK;
}

/* Seed by seed, so that the first tables that are whole come early. */
static msfl_status all_runs(plan *p) {
    json_t *runs = json_array(), *tables = NULL;
    char *text = NULL;
    bool any;
    msfl_status status = runs != NULL ? MSFL_OK : msfl_fail(MSFL_ERR_MEMORY, "no memory for the tables");
    if (status == MSFL_OK) status = look_ahead(p, &any);
    if (status == MSFL_OK && any) status = check_all(p);
    for (uint32_t seed = 1; seed <= p->n_seeds && status == MSFL_OK; seed++) {
        for (uint32_t i = 0; i < p->n_columns && status == MSFL_OK; i++) {
            status = one_run(p, p->clients[i], seed, runs);
            if (status == MSFL_OK) status = write_tables(p, runs, &tables);
        }
    }
    if (status == MSFL_OK && p->json) {
        status = msfl_json_text(tables, false, &text);
        if (status == MSFL_OK) puts(text);
    } else if (status == MSFL_OK) {
        status = cli_reproduce_print(tables);
        if (status == MSFL_OK) {
            printf("\ntables  %s/tables.html\n        and tables.json, tables.csv, runs.csv, tables.md, tables.tex "
                   "beside it\n",
                   p->out);
        }
    }
    msfl_free(text);
    json_decref(tables);
    json_decref(runs);
    return status;
}

/* Defaults of a smoke run: everything is done, as little of it as possible. */
static void make_quick(plan *p) {
    p->quick = true;
    p->n_seeds = 2;
    p->options.n_rounds = 1;
    p->options.n_bootstrap = 50;
    p->options.phantom_images = 200;
    if (strcmp(p->options.model, "cnn-small") == 0) p->options.size = 32;
}

msfl_status cmd_reproduce(int argc, char **argv) {
    plan p = {.options = msfl_simulate_options_default(), .n_seeds = 3};
    msfl_simulate_options *o = &p.options;
    o->data = NULL;
    o->scheme = "packed";
    o->compare = MSFL_COMPARE_PLAIN | MSFL_COMPARE_CENTRAL;
    const char *clients = "2,3,5,7", *what = NULL;
    size_t n_words = 0;
    /* It changes defaults, which what is named goes before, wherever it stands. */
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--quick") == 0) make_quick(&p);
    }
    const cli_option options[] = {{"data", CLI_TEXT, &o->data, 0, 0},
                                  {"clients", CLI_TEXT, &clients, 0, 0},
                                  {"seeds", CLI_U32, &p.n_seeds, 1, SEEDS_MAX},
                                  {"rounds", CLI_U32, &o->n_rounds, 1, MSFL_SIMULATE_ROUNDS_MAX},
                                  {"size", CLI_U32, &o->size, 8, 1024},
                                  {"label", CLI_TEXT, &o->label, 0, 0},
                                  {"model", CLI_TEXT, &o->model, 0, 0},
                                  {"bootstrap", CLI_U32, &o->n_bootstrap, 0, 10000},
                                  {"phantom-images", CLI_U32, &o->phantom_images, 20, 1e6},
                                  {"data-key", CLI_TEXT, &o->data_key, 0, 0},
                                  {"threads", CLI_U32, &o->n_threads, 0, 256},
                                  {"out", CLI_TEXT, &p.out, 0, 0},
                                  {"quick", CLI_FLAG, &p.quick, 0, 0},
                                  {"json", CLI_FLAG, &p.json, 0, 0},
                                  {"quiet", CLI_FLAG, &p.quiet, 0, 0},
                                  {0}};
    msfl_status status = cli_parse(argc, argv, options, &what, 1, &n_words);
    if (status == MSFL_OK) status = parse_clients(clients, &p);
    if (status != MSFL_OK) return status;
    if (n_words == 0 || strcmp(what, "eicc2022") != 0) {
        return msfl_fail(MSFL_ERR_USAGE, "name what to reproduce: medsecurefl reproduce eicc2022 --data DIR --out DIR");
    }
    if (o->data == NULL || p.out == NULL || p.out[0] == 0) {
        return msfl_fail(MSFL_ERR_USAGE, "needed are the images, --data DIR, FILE.npz or phantom, and --out DIR");
    }
    if (strcmp(o->model, "cnn-small") != 0 && strcmp(o->model, "medsecurefl-2022") != 0) {
        return msfl_fail(MSFL_ERR_USAGE, "--model is cnn-small or medsecurefl-2022, not '%s'", o->model);
    }
    for (uint32_t i = 0; i < p.n_columns; i++) {
        if (p.clients[i] != 2) continue;
        fprintf(stderr,
                "warning: two hospitals are among them, as in what is reproduced: from the sum and its own update "
                "each can compute the other's. For a comparison of figures, not for a federation.\n");
    }
    status = all_runs(&p);
    msfl_dataset_free(p.dataset);
    return status;
}
