/* medsecurefl reproduce: the tables of the published prototype, on images that are at hand. A run of `simulate` for
 * every number of hospitals and every seed, and tables of what they say. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd.h"
#include "medsecurefl/simulate.h"
#include "reproduce.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 16, SEEDS_MAX = 100, RESULT_BYTES_MAX = 64 << 20, DIGITS_MAX = 4 };

typedef struct plan {
    msfl_simulate_options options; /* what all runs share */
    const char *out;
    uint32_t clients[COLUMNS_MAX], n_columns, n_seeds;
    bool json, quiet;
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

static msfl_status simulate(msfl_simulate_options *o, bool quiet, json_t **result) {
    cli_terminal *terminal = cli_terminal_new(NULL, o->n_clients, quiet);
    const msfl_observer observer = {.observe = cli_terminal_observe, .ctx = terminal, .cancel = cli_cancel_flag()};
    o->observer = &observer;
    char *text = NULL;
    msfl_status status = msfl_simulate(o, &text);
    o->observer = NULL;
    cli_terminal_free(terminal);
    if (status == MSFL_ERR_CANCELLED) {
        return msfl_fail(status, "stopped; what is finished is kept, and the same command goes on from there");
    }
    if (status == MSFL_OK) status = msfl_json_parse("the result", text, strlen(text), RESULT_BYTES_MAX, result);
    msfl_text_free(text);
    return status;
}

/* One run: taken as it is, continued, or begun. */
static msfl_status one_run(const plan *p, uint32_t clients, uint32_t seed, uint32_t number, json_t *runs) {
    msfl_simulate_options o = p->options;
    o.n_clients = clients;
    o.seed = seed;
    /* The name of what is reproduced asks for two hospitals; the warning stands in every output. */
    o.allow_two_sites = clients == 2;
    json_t *result = NULL, *run = NULL;
    char *config = NULL, *path = NULL;
    char command[128];
    snprintf(command, sizeof command, "medsecurefl reproduce eicc2022 (%u hospitals, seed %u)", clients, seed);
    o.command = command;
    msfl_status status = MSFL_ERR_MEMORY;
    char *folder = msfl_format("%s/clients-%u-seed-%u", p->out, clients, seed);
    if (folder != NULL) config = msfl_path_join(folder, "config.json");
    if (folder != NULL) path = msfl_path_join(folder, "result.json");
    if (config == NULL || path == NULL) {
        status = msfl_fail(MSFL_ERR_MEMORY, "no memory for a path");
        goto done;
    }
    status = read_finished(folder, path, &o, &result);
    if (status != MSFL_OK) goto done;
    o.out = folder;
    o.resume = msfl_file_exists(config);
    if (!p->quiet) {
        fprintf(stderr, "run %u of %u: %u hospitals, seed %u%s\n", number, p->n_columns * p->n_seeds, clients, seed,
                result != NULL ? " (is there)"
                : o.resume     ? " (goes on)"
                               : "");
    }
    if (result == NULL) status = simulate(&o, p->quiet, &result);
    if (status == MSFL_OK) status = cli_reproduce_run(path, result, &run);
    if (status == MSFL_OK && json_array_append(runs, run) != 0) {
        status = msfl_fail(MSFL_ERR_MEMORY, "no memory for the tables");
    }
done:
    json_decref(run);
    json_decref(result);
    msfl_free(folder);
    msfl_free(config);
    msfl_free(path);
    return status;
}

/* Written after every run, so that what a stopped command leaves can be looked at. */
static msfl_status write_tables(const plan *p, const json_t *runs, json_t **tables) {
    json_t *clients = json_array();
    for (uint32_t i = 0; i < p->n_columns; i++)
        json_array_append_new(clients, json_integer(p->clients[i]));
    json_t *made = cli_reproduce_tables(runs, clients), *config = json_object();
    json_decref(clients);
    char *path = msfl_path_join(p->out, "tables.json");
    const msfl_simulate_options *o = &p->options;
    msfl_status status = MSFL_OK;
    if (made == NULL || config == NULL || path == NULL) {
        status = msfl_fail(MSFL_ERR_MEMORY, "no memory for the tables");
        json_decref(config);
        goto done;
    }
    const uint32_t n_planned = p->n_columns * p->n_seeds;
    json_object_set_new(config, "what", json_string("eicc2022"));
    json_object_set_new(config, "data", msfl_json_string(o->data));
    json_object_set_new(config, "model", msfl_json_string(o->model));
    json_object_set_new(config, "label", msfl_json_string(o->label));
    json_object_set_new(config, "rounds", json_integer(o->n_rounds));
    json_object_set_new(config, "size", o->size == 0 ? json_null() : json_integer(o->size));
    json_object_set_new(config, "bootstrap", json_integer(o->n_bootstrap));
    json_object_set_new(config, "seeds", json_integer(p->n_seeds));
    json_object_set_new(made, "version", json_string(msfl_version()));
    json_object_set_new(made, "config", config);
    json_object_set_new(made, "runs_planned", json_integer(n_planned));
    json_object_set_new(made, "complete", json_boolean(json_array_size(runs) == n_planned));
    status = msfl_json_write(path, made);
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

static msfl_status all_runs(const plan *p) {
    json_t *runs = json_array(), *tables = NULL;
    char *text = NULL;
    uint32_t number = 0;
    msfl_status status = runs != NULL ? MSFL_OK : msfl_fail(MSFL_ERR_MEMORY, "no memory for the tables");
    for (uint32_t i = 0; i < p->n_columns && status == MSFL_OK; i++) {
        for (uint32_t seed = 1; seed <= p->n_seeds && status == MSFL_OK; seed++) {
            status = one_run(p, p->clients[i], seed, ++number, runs);
            if (status == MSFL_OK) status = write_tables(p, runs, &tables);
        }
    }
    if (status == MSFL_OK && p->json) {
        status = msfl_json_text(tables, false, &text);
        if (status == MSFL_OK) puts(text);
    } else if (status == MSFL_OK) {
        status = cli_reproduce_print(tables);
        if (status == MSFL_OK) printf("\ntables  %s/tables.json\n", p->out);
    }
    msfl_free(text);
    json_decref(tables);
    json_decref(runs);
    return status;
}

msfl_status cmd_reproduce(int argc, char **argv) {
    plan p = {.options = msfl_simulate_options_default(), .n_seeds = 3};
    msfl_simulate_options *o = &p.options;
    o->data = NULL;
    o->scheme = "packed";
    o->compare = MSFL_COMPARE_PLAIN | MSFL_COMPARE_CENTRAL;
    const char *clients = "2,3,5,7", *what = NULL;
    size_t n_words = 0;
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
    return all_runs(&p);
}
