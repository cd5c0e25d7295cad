#include "reproduce_progress.h"

#include "base/clock.h"
#include "live.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 80 };

static int kind_of(const msfl_event *event) {
    static const char *const names[REPRODUCE_KINDS] = {"encrypted", "plain", "central"};
    for (int k = 0; k < REPRODUCE_KINDS; k++) {
        if (strcmp(event->track, names[k]) == 0) return k;
    }
    return -1;
}

double reproduce_progress_left(const reproduce_progress *p) {
    double all = 0, sum = 0;
    uint64_t n = 0;
    for (int k = 0; k < REPRODUCE_KINDS; k++) {
        all += p->seconds[k];
        n += p->n_done[k];
    }
    if (n == 0) return NAN;
    for (int k = 0; k < REPRODUCE_KINDS; k++) {
        const double mean = p->n_done[k] > 0 ? p->seconds[k] / (double)p->n_done[k] : all / (double)n;
        sum += mean * ((double)p->left[k] + p->here[k]);
    }
    return sum;
}

void reproduce_progress_begin(reproduce_progress *p, bool central) {
    for (int k = 0; k < REPRODUCE_KINDS; k++) {
        const bool has = k < 2 || central;
        p->here[k] = has ? p->n_rounds : 0;
        p->left[k] -= has && p->left[k] >= p->n_rounds ? p->n_rounds : 0;
    }
    p->last_ns = msfl_now_ns();
}

void reproduce_progress_text(const reproduce_progress *p, char *text) {
    char spent[24], left[24];
    const double seconds = reproduce_progress_left(p);
    live_duration((double)(msfl_now_ns() - p->start_ns) / 1e9, spent);
    if (isnan(seconds)) {
        snprintf(text, TEXT_BYTES, "%s spent", spent);
    } else {
        live_duration(seconds, left);
        snprintf(text, TEXT_BYTES, "%s spent, about %s left", spent, left);
    }
}

void reproduce_progress_observe(void *ctx, const msfl_event *event) {
    reproduce_progress *p = ctx;
    const int k = kind_of(event);
    const uint64_t now = msfl_now_ns();
    if (k >= 0 && event->kind == MSFL_EVENT_PHASE) p->last_ns = now;
    if (k >= 0 && event->kind == MSFL_EVENT_ROUND_DONE) {
        p->seconds[k] += (double)(now - p->last_ns) / 1e9;
        p->n_done[k]++;
        /* A training that goes on from a checkpoint says so by the number of its round. */
        p->here[k] = event->n_rounds > event->round ? event->n_rounds - event->round : 0;
        for (int before = 0; before < k; before++)
            p->here[before] = 0;
        p->last_ns = now;
        char left[24], note[TEXT_BYTES];
        live_duration(reproduce_progress_left(p), left);
        snprintf(note, sizeof note, "all runs about %s", left);
        cli_terminal_note(p->terminal, note);
    }
    cli_terminal_observe(p->terminal, event);
}
