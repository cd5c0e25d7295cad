/* medsecurefl status: what the coordinator tells about itself. */
#include "base/error.h"
#include "base/mem.h"
#include "cmd.h"
#include "columns.h"
#include "operate.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WATCH_S = 2 };

static const char *text_of(const json_t *o, const char *key) {
    const char *text = json_string_value(json_object_get(o, key));
    return text != NULL ? text : "";
}

static long long number_of(const json_t *o, const char *key) {
    return (long long)json_number_value(json_object_get(o, key));
}

/** Parties say of themselves what they like: nothing of it may steer a terminal. */
static void print_clean(const char *text, size_t columns) {
    msfl_buffer shown = {0};
    (void)cli_put_columns(&shown, text, columns, cli_locale_is_utf8());
    if (shown.status == MSFL_OK) printf("%.*s", (int)shown.length, (const char *)shown.bytes);
    msfl_buffer_clear(&shown);
}

static void print_job(const json_t *j) {
    printf("\n%s  %s", text_of(j, "id"), text_of(j, "state"));
    if (!json_is_true(json_object_get(j, "encrypts"))) printf("  NOT ENCRYPTED");
    printf("\n  round %lld of %lld, %s, ", number_of(j, "round"), number_of(j, "rounds"), text_of(j, "kind"));
    print_clean(text_of(j, "phase_text"), 200);
    printf("\n");
    const json_t *hospitals = json_object_get(j, "hospitals"), *h;
    size_t i;
    json_array_foreach(hospitals, i, h) {
        printf("    %-40s  %-11s", text_of(h, "name"), text_of(h, "state"));
        if (json_is_number(json_object_get(h, "progress"))) {
            printf("  %3.0f %%", 100 * json_number_value(json_object_get(h, "progress")));
        }
        if (text_of(h, "text")[0] != 0) printf("  ");
        print_clean(text_of(h, "text"), 120);
        printf("\n");
    }
}

static void print_status(const json_t *all) {
    const json_t *server = json_object_get(all, "server"), *trust = json_object_get(all, "trust"), *j;
    size_t i;
    printf("federation %s, roster of epoch %lld, %lld connections\n", text_of(server, "federation"),
           number_of(server, "epoch"), number_of(server, "connections"));
    printf("custody %s, %lld of %lld members needed\n", text_of(trust, "custody"), number_of(trust, "t"),
           number_of(trust, "k"));
    json_array_foreach(json_object_get(all, "jobs"), i, j) {
        const char *state = text_of(j, "state");
        if (strcmp(state, "running") == 0 || strcmp(state, "queued") == 0 ||
            i + 1 == json_array_size(json_object_get(all, "jobs"))) {
            print_job(j);
        }
    }
}

static msfl_status once(msfl_operator *o, bool json, bool screen) {
    char *text;
    json_t *all = NULL;
    msfl_status status = msfl_operator_status(o, &text);
    if (status == MSFL_OK && json) {
        printf("%s\n", text);
    } else if (status == MSFL_OK) {
        status = msfl_json_parse("status", text, strlen(text), 64 << 20, &all);
        if (status == MSFL_OK) {
            if (screen) printf("\033[H\033[2J");
            print_status(all);
        }
        json_decref(all);
    }
    (void)fflush(stdout);
    msfl_free(text);
    return status;
}

msfl_status cmd_status(int argc, char **argv) {
    cli_operate operate = {0};
    bool json = false, watch = false;
    msfl_operator *o;
    const cli_option options[] = {
        CLI_OPERATE_OPTIONS(operate),
        {"json", CLI_FLAG, &json, 0, 0, NULL},
        {"watch", CLI_FLAG, &watch, 0, 0, NULL},
        {0},
    };
    msfl_status status = cli_parse(argc, argv, options, NULL, 0, NULL);
    if (status == MSFL_OK) status = cli_operate_open(&operate, &o);
    if (status != MSFL_OK) return status;
    const volatile int *cancel = cli_cancel_flag();
    do {
        status = once(o, json, watch && isatty(STDOUT_FILENO) != 0);
        for (int i = 0; watch && status == MSFL_OK && *cancel == 0 && i < WATCH_S * 10; i++) {
            const struct timespec moment = {0, 100000000};
            (void)nanosleep(&moment, NULL);
        }
    } while (watch && status == MSFL_OK && *cancel == 0);
    msfl_operator_free(o);
    return status;
}
