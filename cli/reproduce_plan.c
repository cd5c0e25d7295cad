/* The runs of a reproduction: which are there already, and those that are made. */
#include "reproduce_plan.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

enum { RESULT_BYTES_MAX = 64 << 20 };

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

static msfl_status place_of(const reproduce_plan *p, uint32_t clients, uint32_t seed, place *at) {
    *at = (place){.folder = msfl_format("%s/clients-%u-seed-%u", p->out, clients, seed),
                  .central = msfl_format("%s/central-seed-%u", p->out, seed)};
    if (at->folder != NULL) at->config = msfl_path_join(at->folder, "config.json");
    if (at->folder != NULL) at->result = msfl_path_join(at->folder, "result.json");
    if (at->config != NULL && at->result != NULL && at->central != NULL) return MSFL_OK;
    place_clear(at);
    return msfl_fail(MSFL_ERR_MEMORY, "no memory for a path");
}

static msfl_simulate_options options_of(const reproduce_plan *p, uint32_t clients, uint32_t seed) {
    msfl_simulate_options o = p->options;
    o.n_clients = clients;
    o.seed = seed;
    /* The name of what is reproduced asks for two hospitals; the warning stands in every output. */
    o.allow_two_sites = clients == 2;
    return o;
}

static msfl_status simulate(reproduce_plan *p, msfl_simulate_options *o, json_t **result) {
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
static msfl_status open_data(reproduce_plan *p, uint32_t seed) {
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

msfl_status reproduce_plan_check(reproduce_plan *p) {
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

msfl_status reproduce_plan_run(reproduce_plan *p, uint32_t clients, uint32_t seed, json_t *runs) {
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

msfl_status reproduce_plan_look_ahead(reproduce_plan *p, bool *any) {
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
