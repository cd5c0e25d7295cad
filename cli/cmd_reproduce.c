/* medsecurefl reproduce: the tables of the published prototype, on images that are at hand. A run of `simulate` for
 * every number of hospitals and every seed, and tables of what they say. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd.h"
#include "medsecurefl/report.h"
#include "reproduce_plan.h"

#include <stdio.h>
#include <string.h>

enum { DIGITS_MAX = 4 };

/* "2,3,5,7": different numbers, each of which simulate takes. */
static msfl_status parse_clients(const char *text, reproduce_plan *p) {
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
        if (p->n_columns == REPRODUCE_COLUMNS_MAX) {
            return msfl_fail(MSFL_ERR_USAGE, "--clients: at most %d numbers", REPRODUCE_COLUMNS_MAX);
        }
        p->clients[p->n_columns++] = n;
        if (at[length] == 0) return MSFL_OK;
        at += length + 1;
    }
}

/* --- the tables --- */

static json_t *config_of(const reproduce_plan *p) {
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

static msfl_status write_page(const reproduce_plan *p, const json_t *tables) {
    char *text = NULL, *path = msfl_path_join(p->out, "tables.html");
    msfl_status status = path == NULL ? msfl_fail(MSFL_ERR_MEMORY, "no memory for the tables") : MSFL_OK;
    if (status == MSFL_OK) status = msfl_json_text(tables, true, &text);
    if (status == MSFL_OK) status = msfl_tables_write(path, text, strlen(text));
    msfl_free(text);
    msfl_free(path);
    return status;
}

/* Written after every run, so that what a stopped command leaves can be looked at. */
static msfl_status write_tables(const reproduce_plan *p, const json_t *runs, json_t **tables) {
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
static msfl_status all_runs(reproduce_plan *p) {
    json_t *runs = json_array(), *tables = NULL;
    char *text = NULL;
    bool any;
    msfl_status status = runs != NULL ? MSFL_OK : msfl_fail(MSFL_ERR_MEMORY, "no memory for the tables");
    if (status == MSFL_OK) status = reproduce_plan_look_ahead(p, &any);
    if (status == MSFL_OK && any) status = reproduce_plan_check(p);
    for (uint32_t seed = 1; seed <= p->n_seeds && status == MSFL_OK; seed++) {
        for (uint32_t i = 0; i < p->n_columns && status == MSFL_OK; i++) {
            status = reproduce_plan_run(p, p->clients[i], seed, runs);
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
static void make_quick(reproduce_plan *p) {
    p->quick = true;
    p->n_seeds = 2;
    p->options.n_rounds = 1;
    p->options.n_bootstrap = 50;
    p->options.phantom_images = 200;
    if (strcmp(p->options.model, "cnn-small") == 0) p->options.size = 32;
}

msfl_status cmd_reproduce(int argc, char **argv) {
    reproduce_plan p = {.options = msfl_simulate_options_default(), .n_seeds = 3};
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
                                  {"seeds", CLI_U32, &p.n_seeds, 1, REPRODUCE_SEEDS_MAX},
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
