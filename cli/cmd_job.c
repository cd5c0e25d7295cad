/* medsecurefl job: giving the coordinator work, and fetching what came of it. */
#include "base/error.h"
#include "base/mem.h"
#include "cmd.h"
#include "columns.h"
#include "medsecurefl/operator.h"
#include "operate.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>

typedef struct args {
    cli_operate operate;
    const char *initial, *reason, *out;
    bool json;
    const char *words[2];
    size_t n_words;
} args;

static const char *text_of(const json_t *o, const char *key) {
    const char *text = json_string_value(json_object_get(o, key));
    return text != NULL ? text : "-";
}

static void print_number(const char *label, const json_t *o, const char *key, const char *format) {
    const json_t *v = json_object_get(o, key);
    printf("%-14s", label);
    if (json_is_number(v)) {
        printf(format, json_number_value(v));
    } else {
        printf("-");
    }
    printf("\n");
}

static msfl_status submit(const args *a, msfl_operator *o) {
    char id[MSFL_JOB_ID_MAX + 1];
    if (a->n_words != 2) return msfl_fail(MSFL_ERR_USAGE, "job submit takes the file of a job");
    msfl_status status = msfl_operator_submit(o, a->words[1], a->initial, id);
    if (status != MSFL_OK) return status;
    printf(a->json ? "{\"id\": \"%s\"}\n" : "%s\n", id);
    return MSFL_OK;
}

static msfl_status list(const args *a, msfl_operator *o) {
    char *text;
    json_t *all = NULL;
    msfl_status status = msfl_operator_status(o, &text);
    if (status == MSFL_OK) status = msfl_json_parse("status", text, strlen(text), 64 << 20, &all);
    if (status != MSFL_OK) goto done;
    const json_t *jobs = json_object_get(all, "jobs");
    if (a->json) {
        status = cli_print_json(jobs);
        goto done;
    }
    printf("%-36s  %-8s  %-11s  %-8s  %s\n", "job", "state", "round", "scheme", "");
    for (size_t i = 0; i < json_array_size(jobs); i++) {
        const json_t *j = json_array_get(jobs, i);
        const bool encrypts = json_is_true(json_object_get(j, "encrypts"));
        printf("%-36s  %-8s  %4lld of %4lld  %-8s  %s\n", text_of(j, "id"), text_of(j, "state"),
               (long long)json_integer_value(json_object_get(j, "round")),
               (long long)json_integer_value(json_object_get(j, "rounds")), text_of(j, "scheme"),
               encrypts ? "" : "NOT ENCRYPTED");
    }
done:
    json_decref(all);
    msfl_free(text);
    return status;
}

/* Who stays out of the open round, or may, in its own words: nothing of them may steer a terminal. */
static void print_out(const json_t *hospitals) {
    for (size_t i = 0; i < json_array_size(hospitals); i++) {
        const json_t *h = json_array_get(hospitals, i);
        if (json_string_length(json_object_get(h, "text")) == 0) continue;
        msfl_buffer shown = {0};
        (void)cli_put_columns(&shown, text_of(h, "text"), SIZE_MAX, cli_locale_is_utf8());
        if (shown.status == MSFL_OK) {
            printf("%-14s%s, %s: %.*s\n", "hospital", text_of(h, "name"), text_of(h, "state"), (int)shown.length,
                   (const char *)shown.bytes);
        }
        msfl_buffer_clear(&shown);
    }
}

static msfl_status show(const args *a, msfl_operator *o) {
    char *text = NULL;
    json_t *j = NULL;
    if (a->n_words != 2) return msfl_fail(MSFL_ERR_USAGE, "job show takes the name of a job");
    msfl_status status = msfl_operator_show(o, a->words[1], &text);
    if (status == MSFL_OK && a->json) {
        printf("%s\n", text);
        goto done;
    }
    if (status == MSFL_OK) status = msfl_json_parse("job", text, strlen(text), 64 << 20, &j);
    if (status != MSFL_OK) goto done;
    printf("%-14s%s\n", "job", text_of(j, "id"));
    printf("%-14s%s%s%s\n", "state", text_of(j, "state"), text_of(j, "why")[0] != 0 ? ": " : "", text_of(j, "why"));
    printf("%-14s%s%s\n", "scheme", text_of(j, "scheme"),
           json_is_true(json_object_get(j, "encrypts")) ? "" : ": updates are NOT ENCRYPTED");
    printf("%-14s%s\n", "phase", text_of(j, "phase_text"));
    const bool sealed = strcmp(text_of(j, "delivery"), "clients") == 0;
    const json_t *best = json_object_get(j, "best_round");
    printf("%-14s%lld of %lld", "round", (long long)json_integer_value(json_object_get(j, "round")),
           (long long)json_integer_value(json_object_get(j, "rounds")));
    if (json_is_integer(best)) printf(", best %lld", (long long)json_integer_value(best));
    printf("%s\n", sealed ? "; models and figures are known to the hospitals alone" : "");
    print_out(json_object_get(j, "hospitals"));
    const json_t *history = json_object_get(j, "history"), *test = json_object_get(j, "test");
    for (size_t i = 0; i < json_array_size(history); i++) {
        const json_t *h = json_array_get(history, i);
        printf("  %4lld        %lld hospitals", (long long)json_integer_value(json_object_get(h, "round")),
               (long long)json_integer_value(json_object_get(h, "cohort")));
        if (!sealed) {
            printf(", loss %.4f, validation %.4f", json_number_value(json_object_get(h, "train_loss")),
                   json_number_value(json_object_get(h, "validation_loss")));
        }
        printf("\n");
    }
    if (json_is_object(test) && !sealed) {
        const bool masks = strcmp(text_of(j, "judged_by"), "dice") == 0;
        print_number(masks ? "test dice" : "test auc", test, masks ? "dice" : "auc", "%.4f");
        print_number("test accuracy", test, "accuracy", "%.4f");
        print_number("test images", test, "n", "%.0f");
    }
    const json_t *audit = json_object_get(j, "audit");
    printf("%-14s%lld records, head %.16s\n", "audit", (long long)json_integer_value(json_object_get(audit, "records")),
           text_of(audit, "head"));
done:
    json_decref(j);
    msfl_free(text);
    return status;
}

static msfl_status abort_job(const args *a, msfl_operator *o) {
    if (a->n_words != 2 || a->reason == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "job abort takes the name of a job and --reason TEXT");
    }
    msfl_status status = msfl_operator_abort(o, a->words[1], a->reason);
    if (status == MSFL_OK && a->json) printf("{\"id\": \"%s\"}\n", a->words[1]);
    return status;
}

static msfl_status fetch(const args *a, msfl_operator *o) {
    char *text = NULL;
    json_t *files = NULL;
    if (a->n_words != 2 || a->out == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "job fetch takes the name of a job and --out FOLDER");
    }
    msfl_status status = msfl_operator_fetch(o, a->words[1], a->out, &text);
    if (status == MSFL_OK && a->json) {
        printf("%s\n", text);
    } else if (status == MSFL_OK) {
        status = msfl_json_parse("files", text, strlen(text), 1 << 16, &files);
        for (size_t i = 0; i < json_array_size(files); i++) {
            const json_t *f = json_array_get(files, i);
            printf("%12lld  %s/%s\n", (long long)json_integer_value(json_object_get(f, "bytes")), a->out,
                   text_of(f, "name"));
        }
    }
    json_decref(files);
    msfl_free(text);
    return status;
}

msfl_status cmd_job(int argc, char **argv) {
    static const struct {
        const char *name;
        msfl_status (*run)(const args *a, msfl_operator *o);
    } verbs[] = {{"submit", submit}, {"list", list}, {"show", show}, {"abort", abort_job}, {"fetch", fetch}};
    args a = {0};
    const cli_option options[] = {
        CLI_OPERATE_OPTIONS(a.operate),
        {"initial", CLI_TEXT, &a.initial, 0, 0, NULL},
        {"reason", CLI_TEXT, &a.reason, 0, 0, NULL},
        {"out", CLI_TEXT, &a.out, 0, 0, "o"},
        {"json", CLI_FLAG, &a.json, 0, 0, NULL},
        {0},
    };
    msfl_status status = cli_parse(argc, argv, options, a.words, 2, &a.n_words);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; a.n_words > 0 && i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(a.words[0], verbs[i].name) != 0) continue;
        msfl_operator *o;
        status = cli_operate_open(&a.operate, &o);
        if (status != MSFL_OK) return status;
        status = verbs[i].run(&a, o);
        msfl_operator_free(o);
        return status;
    }
    return msfl_fail(MSFL_ERR_USAGE, "job takes submit, list, show, abort or fetch; see --help");
}
