#include "terminal.h"

#include "base/mem.h"

#include <stdio.h>

struct cli_terminal {
    bool quiet;
};

cli_terminal *cli_terminal_new(const char *const *client_names, uint32_t n_clients, bool quiet) {
    (void)client_names;
    (void)n_clients;
    cli_terminal *t = msfl_alloc(1, sizeof *t);
    if (t != NULL) t->quiet = quiet;
    return t;
}

void cli_terminal_free(cli_terminal *terminal) {
    msfl_free(terminal);
}

void cli_terminal_observe(void *ctx, const msfl_event *event) {
    const cli_terminal *t = ctx;
    if (t == NULL || event->text == NULL || (t->quiet && event->kind != MSFL_EVENT_WARNING)) return;
    fprintf(stderr, "%s", event->track);
    if (event->round > 0) fprintf(stderr, " round %u/%u", event->round, event->n_rounds);
    fprintf(stderr, "%s %s\n", event->kind == MSFL_EVENT_WARNING ? ": warning:" : ":", event->text);
}
