/* medsecurefl client, medsecurefl authority: a party of a federation over the network. */
#include "base/error.h"
#include "base/mem.h"
#include "cmd.h"
#include "medsecurefl/client.h"
#include "terminal.h"
#include "text/json.h"
#include "unlock.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* --- a log for machines: one JSON object a line --- */

typedef struct logger {
    bool quiet;
    uint64_t shown_ms; /* progress at most once in a while */
} logger;

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void log_event(void *ctx, const msfl_event *e) {
    enum { PROGRESS_MS = 10000 };
    static const char *const names[] = {"phase", "progress", "sent", "round", "warning", "info"};
    logger *l = ctx;
    const uint64_t now = now_ms();
    if (e->kind == MSFL_EVENT_PROGRESS) {
        if (now < l->shown_ms + PROGRESS_MS) return;
        l->shown_ms = now;
    }
    if (l->quiet && e->kind != MSFL_EVENT_WARNING) return;
    json_t *o = json_pack("{sI ss ss}", "at_ms", (json_int_t)now, "event", names[e->kind], "job", e->track);
    if (o == NULL) return;
    if (e->round > 0) json_object_set_new(o, "round", json_integer(e->round));
    if (e->total > 0) {
        json_object_set_new(o, "done", json_integer((json_int_t)e->done));
        json_object_set_new(o, "total", json_integer((json_int_t)e->total));
    }
    if (e->kind == MSFL_EVENT_PROGRESS && isfinite(e->loss)) json_object_set_new(o, "loss", msfl_json_real(e->loss));
    if (e->text != NULL) json_object_set_new(o, "text", msfl_json_string(e->text));
    char *text;
    if (msfl_json_text(o, true, &text) == MSFL_OK) {
        fprintf(stderr, "%s\n", text);
        fflush(stderr);
        msfl_free(text);
    }
    json_decref(o);
}

/* --- the commands --- */

typedef struct words {
    cli_unlock unlock;
    const char *dry_run, *weights;
    bool quiet, json;
} words;

static msfl_status read_unlock(const cli_unlock *from, msfl_unlock **out) {
    struct stat st;
    *out = NULL;
    if (from->passphrase_file == NULL && from->key_file == NULL) return MSFL_OK;
    /* A service names a file in any case; an empty one says that the keys lie plain. */
    if (from->key_file == NULL && stat(from->passphrase_file, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0) {
        return MSFL_OK;
    }
    return cli_unlock_read(from, "", "passphrase of the kit's keys", false, out);
}

/* --job names a job of the coordinator, or, for a dry run, a file. */
static msfl_status dry_run(msfl_client_options *o, const words *w) {
    msfl_client_dry d = {.out = w->dry_run, .weights = w->weights};
    char *summary = NULL;
    if (o->job != NULL && (w->weights != NULL || access(o->job, R_OK) == 0)) {
        d.job = o->job;
        o->job = NULL;
    }
    msfl_status status = msfl_client_dry_run(o, &d, &summary);
    if (status != MSFL_OK) return status;
    if (w->json) {
        puts(summary);
    } else {
        printf("nothing was sent; what would leave lies in %s: begin with summary.txt\n", w->dry_run);
    }
    msfl_client_text_free(summary);
    return MSFL_OK;
}

static msfl_status watch_and_run(msfl_client_options *o, const words *w) {
    logger log = {.quiet = w->quiet};
    cli_terminal *terminal = NULL;
    msfl_observer observer = {.observe = log_event, .ctx = &log, .cancel = cli_cancel_flag()};
    /* A terminal gets lines and bars; a service's journal gets objects. */
    if ((w->dry_run != NULL || !w->json) && isatty(STDERR_FILENO)) {
        static const char *const names[] = {"this hospital"};
        terminal = cli_terminal_new(names, 1, w->quiet);
        observer.observe = cli_terminal_observe;
        observer.ctx = terminal;
    }
    o->observer = &observer;
    msfl_status status = w->dry_run != NULL ? dry_run(o, w) : msfl_client_run(o);
    cli_terminal_free(terminal);
    o->observer = NULL;
    return status;
}

msfl_status cmd_client(int argc, char **argv) {
    msfl_client_options o = {0};
    words w = {0};
    const cli_option options[] = {{"kit", CLI_TEXT, &o.kit, 0, 0, NULL},
                                  {"state", CLI_TEXT, &o.state, 0, 0, NULL},
                                  {"job", CLI_TEXT, &o.job, 0, 0, NULL},
                                  {"once", CLI_FLAG, &o.once, 0, 0, NULL},
                                  {"dry-run", CLI_TEXT, &w.dry_run, 0, 0, NULL},
                                  {"weights", CLI_TEXT, &w.weights, 0, 0, NULL},
                                  {"passphrase-file", CLI_TEXT, &w.unlock.passphrase_file, 0, 0, NULL},
                                  {"keyfile", CLI_TEXT, &w.unlock.key_file, 0, 0, NULL},
                                  {"json", CLI_FLAG, &w.json, 0, 0, NULL},
                                  {"quiet", CLI_FLAG, &w.quiet, 0, 0, NULL},
                                  {0}};
    msfl_unlock *unlock = NULL;
    msfl_status status = cli_parse(argc, argv, options, NULL, 0, NULL);
    if (status == MSFL_OK && o.kit == NULL) {
        status = msfl_fail(MSFL_ERR_USAGE, "name the folder that provision made for this party: --kit FOLDER");
    }
    if (status == MSFL_OK && w.weights != NULL && (w.dry_run == NULL || o.job == NULL)) {
        status = msfl_fail(MSFL_ERR_USAGE, "--weights goes with --dry-run OUT --job FILE");
    }
    if (status == MSFL_OK) status = read_unlock(&w.unlock, &unlock);
    o.unlock = unlock;
    if (status == MSFL_OK) status = watch_and_run(&o, &w);
    msfl_unlock_free(unlock);
    return status;
}
