#include "terminal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "columns.h"
#include "live.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FRAME_NS = 80 * 1000 * 1000, TRACK_BYTES = 32, PHASE_BYTES = 120 };

/* Without a terminal: how long nothing is said before a count is, at least and at most; in between a tenth of the time
 * that the job has taken, so that the log of a long one stays short. */
#define PACE_NS     (10 * UINT64_C(1000000000))
#define PACE_MAX_NS (300 * UINT64_C(1000000000))

struct cli_terminal {
    bool quiet, is_live;
    live screen;
    char **names;
    live_row *rows; /* one for each party, and a last one for what concerns the whole job */
    uint32_t n_clients;
    char track[TRACK_BYTES], phase[PHASE_BYTES];
    char note[PHASE_BYTES]; /* behind the title */
    uint32_t round, n_rounds;
    uint64_t start_ns, track_ns, drawn_ns;
    uint64_t told_ns, pace_ns; /* without a terminal: when the last line was written, and PACE_NS */
    bool has_block;            /* something of this track has been under way */
    bool is_whole;             /* what is under way concerns the whole job, not one party */
};

static void copy_text(char *to, size_t size, const char *from) {
    snprintf(to, size, "%s", from == NULL ? "" : from);
}

cli_terminal *cli_terminal_new(const char *const *client_names, uint32_t n_clients, bool quiet) {
    cli_terminal *t = msfl_alloc(1, sizeof *t);
    if (t == NULL) return NULL;
    t->quiet = quiet;
    t->n_clients = n_clients;
    t->start_ns = t->track_ns = t->told_ns = msfl_now_ns();
    t->pace_ns = PACE_NS;
    t->names = msfl_alloc((size_t)n_clients + 1, sizeof *t->names);
    t->rows = msfl_alloc((size_t)n_clients + 1, sizeof *t->rows);
    bool is_whole = t->names != NULL && t->rows != NULL;
    for (uint32_t i = 0; is_whole && i <= n_clients; i++) {
        t->names[i] = i == n_clients         ? msfl_strdup("")
                      : client_names != NULL ? msfl_strdup(client_names[i])
                                             : msfl_format("hospital %u", i + 1);
        is_whole = t->names[i] != NULL;
        t->rows[i] = (live_row){.name = t->names[i], .loss = NAN};
    }
    if (!is_whole) {
        cli_terminal_free(t);
        return NULL;
    }
    const char *kind = getenv("TERM");
    t->is_live = !quiet && isatty(STDERR_FILENO) && kind != NULL && kind[0] != 0 && strcmp(kind, "dumb") != 0;
    live_init(&t->screen, STDERR_FILENO);
    return t;
}

void cli_terminal_free(cli_terminal *t) {
    if (t == NULL) return;
    if (t->is_live && t->screen.n_lines > 0) {
        live_begin(&t->screen);
        live_end(&t->screen);
    }
    for (uint32_t i = 0; t->names != NULL && i <= t->n_clients; i++)
        msfl_free(t->names[i]);
    msfl_free(t->names);
    msfl_free(t->rows);
    live_clear(&t->screen);
    msfl_free(t);
}

void cli_terminal_note(cli_terminal *t, const char *text) {
    if (t != NULL) copy_text(t->note, sizeof t->note, text);
}

void cli_terminal_pace(cli_terminal *t, uint64_t ns) {
    if (t != NULL) t->pace_ns = ns;
}

/* --- lines --- */

/* Runs that belong together are numbered, "alone-1", "alone-2", and may go on side by side: one block for all. */
static size_t group_length(const char *track) {
    size_t n = strlen(track), digits = 0;
    while (digits < n && track[n - 1 - digits] >= '0' && track[n - 1 - digits] <= '9')
        digits++;
    return digits > 0 && digits + 1 < n && track[n - 1 - digits] == '-' ? n - digits - 1 : n;
}

/* "encrypted round 3/8, North Hill: ", "warning: ", as `event` needs it. Cleaned. */
static void prefix_of(const cli_terminal *t, const msfl_event *event, char *text, size_t size) {
    msfl_buffer b = {0};
    bool is_utf8 = t->screen.is_utf8 || !t->is_live;
    bool is_named = event->client >= 0 && (uint32_t)event->client < t->n_clients;
    /* "alone-2, hospital 2" would say it twice. */
    char track[TRACK_BYTES];
    copy_text(track, sizeof track, event->track);
    if (is_named) track[group_length(track)] = 0;
    cli_put_columns(&b, track, TRACK_BYTES - 1, is_utf8);
    if (event->round > 0) msfl_put_text(&b, " round %u/%u", event->round, event->n_rounds);
    if (is_named) {
        msfl_put_text(&b, ", ");
        cli_put_columns(&b, t->names[event->client], 60, is_utf8);
    }
    msfl_put_text(&b, ": %s", event->kind == MSFL_EVENT_WARNING ? "warning: " : "");
    msfl_put8(&b, 0);
    copy_text(text, size, b.status == MSFL_OK ? (const char *)b.bytes : "");
    msfl_buffer_clear(&b);
}

static void plain_line(const char *prefix, const char *text) {
    msfl_buffer b = {0};
    msfl_put_text(&b, "%s", prefix);
    cli_put_columns(&b, text, 4000, true);
    msfl_put_text(&b, "\n");
    if (b.status == MSFL_OK) {
        fwrite(b.bytes, 1, b.length, stderr);
        fflush(stderr);
    }
    msfl_buffer_clear(&b);
}

/* --- what is known --- */

static void reset_rows(cli_terminal *t) {
    for (uint32_t i = 0; i <= t->n_clients; i++)
        t->rows[i] = (live_row){.name = t->names[i], .loss = NAN};
}

static void enter_track(cli_terminal *t, const msfl_event *event) {
    size_t n = group_length(event->track);
    if (n >= TRACK_BYTES) n = TRACK_BYTES - 1;
    if (strlen(t->track) == n && memcmp(t->track, event->track, n) == 0) return;
    memcpy(t->track, event->track, n);
    t->track[n] = 0;
    t->phase[0] = 0;
    t->round = t->n_rounds = 0;
    t->has_block = false;
    t->track_ns = msfl_now_ns();
    reset_rows(t);
}

/* Parties that train alone need not be in the same round: the title tells the latest. */
static void enter_round(cli_terminal *t, const msfl_event *event) {
    if (event->round <= t->round) return;
    if (t->round == 0) {
        for (uint32_t i = 0; i <= t->n_clients; i++)
            t->rows[i].rounds_before = t->rows[i].rounds_done = event->round - 1;
    }
    t->round = event->round;
    t->n_rounds = event->n_rounds;
}

static live_row *row_of(cli_terminal *t, int32_t client) {
    return &t->rows[client >= 0 && (uint32_t)client < t->n_clients ? (uint32_t)client : t->n_clients];
}

static void note_progress(cli_terminal *t, const msfl_event *event) {
    live_row *row = row_of(t, event->client);
    /* Going back means that another part has begun. */
    bool is_new = !row->is_active || event->round != row->round || event->done < row->done;
    if (is_new || event->total != row->total) row->start_ns = msfl_now_ns();
    if (row->round == 0 && event->round > 0) row->rounds_before = row->rounds_done = event->round - 1;
    t->has_block = true;
    t->is_whole = row == &t->rows[t->n_clients];
    row->round = event->round;
    row->is_active = true;
    row->done = event->done;
    row->total = event->total;
    row->is_done = event->total > 0 && event->done >= event->total;
    if (!isnan(event->loss)) row->loss = event->loss;
}

/* A finished round: the party, or all of them, wait for the next, and stay done after the last. */
static void note_round_done(cli_terminal *t, const msfl_event *event) {
    for (uint32_t i = 0; i <= t->n_clients; i++) {
        live_row *row = &t->rows[i];
        if (event->client >= 0 && row != row_of(t, event->client)) continue;
        if (row->rounds_done < event->round) row->rounds_done = event->round;
        row->is_done = event->client >= 0 && event->round == event->n_rounds;
        row->is_active = row->is_done;
        row->done = row->total = 0;
        if (!row->is_done) row->loss = NAN;
    }
}

static void note(cli_terminal *t, const msfl_event *event) {
    if (event->kind == MSFL_EVENT_WARNING || event->kind == MSFL_EVENT_INFO) return;
    enter_track(t, event);
    enter_round(t, event);
    if (event->kind == MSFL_EVENT_PHASE) {
        copy_text(t->phase, sizeof t->phase, event->text);
        t->has_block = false;
        reset_rows(t);
    }
    if (event->kind == MSFL_EVENT_PROGRESS) note_progress(t, event);
    if (event->kind == MSFL_EVENT_ROUND_DONE) note_round_done(t, event);
    if (event->kind == MSFL_EVENT_CLIENT_DONE)
        row_of(t, event->client)->is_active = row_of(t, event->client)->is_done = true;
}

/* --- the block --- */

/* Share of the track that is done: whole rounds and the bar, the mean of all parties. NaN when it has no rounds. */
static double share_of_track(const cli_terminal *t) {
    if (t->n_rounds == 0 || t->n_clients == 0) return NAN;
    uint32_t first = t->is_whole ? t->n_clients : 0, end = t->is_whole ? t->n_clients + 1 : t->n_clients;
    double sum = 0.0;
    for (uint32_t i = first; i < end; i++) {
        const live_row *row = &t->rows[i];
        if (t->n_rounds <= row->rounds_before) return NAN;
        double bar = row->is_done ? 1.0 : row->total > 0 ? fmin((double)row->done / (double)row->total, 1.0) : 0.0;
        double rounds = fmin(row->rounds_done + bar, t->n_rounds) - row->rounds_before;
        sum += rounds / (t->n_rounds - row->rounds_before);
    }
    return sum / (end - first);
}

static void title_of(const cli_terminal *t, uint64_t now, char *text, size_t size) {
    const char *between = t->screen.is_utf8 ? " · " : ", ";
    char spent[24];
    live_duration((double)(now - t->start_ns) / 1e9, spent);
    int n = snprintf(text, size, "%s", t->track);
    if (t->round > 0)
        n += snprintf(text + n, size - (size_t)n, "%sround %u of %u", between, t->round, t->n_rounds);
    else if (t->phase[0] != 0)
        n += snprintf(text + n, size - (size_t)n, "%s%s", between, t->phase);
    if ((size_t)n + 1 < size) n += snprintf(text + n, size - (size_t)n, "%s%s", between, spent);
    double share = share_of_track(t), elapsed = (double)(now - t->track_ns) / 1e9;
    if (share > 0.02 && elapsed > 2.0 && (size_t)n + 1 < size) {
        char left[24];
        live_duration(elapsed / share * (1.0 - share), left);
        n += snprintf(text + n, size - (size_t)n, "%sabout %s left", between, left);
    }
    if (t->note[0] != 0 && (size_t)n + 1 < size) snprintf(text + n, size - (size_t)n, "%s%s", between, t->note);
}

static void draw(cli_terminal *t) {
    uint64_t now = msfl_now_ns();
    t->drawn_ns = now;
    /* In the background of a shell, lines may pass; a block that jumps about may not. */
    pid_t front = tcgetpgrp(STDERR_FILENO);
    if (!t->has_block || (front >= 0 && front != getpgrp())) return;
    char title[320];
    title_of(t, now, title, sizeof title);
    live_block block = {title, t->rows, t->n_clients, now};
    if (t->is_whole) {
        block.rows = &t->rows[t->n_clients];
        block.n_rows = 1;
    }
    live_draw(&t->screen, &block);
}

/* --- without a terminal --- */

/* How far what is under way has come: "importing: 120 of 4099, 2 %, about 3:10 left". */
static void count_of(const cli_terminal *t, const live_row *row, bool is_group, uint64_t now, char *text, size_t size) {
    double share = share_of_track(t), since = (double)(now - t->track_ns) / 1e9, part = 0.0;
    int n = 0;
    if (t->is_whole || t->n_clients == 0) {
        if (t->phase[0] != 0 && t->round == 0) n = snprintf(text, size, "%s: ", t->phase);
        n += snprintf(text + n, size - (size_t)n, "%llu", (unsigned long long)row->done);
        if (row->total > 0) {
            part = fmin((double)row->done / (double)row->total, 1.0);
            n += snprintf(text + n, size - (size_t)n, " of %llu, %.0f %%", (unsigned long long)row->total,
                          floor(100.0 * part));
        }
        if (isnan(share)) { /* outside rounds */
            share = part;
            since = (double)(now - row->start_ns) / 1e9;
        }
    } else {
        for (uint32_t i = 0; i < t->n_clients; i++) {
            const live_row *r = &t->rows[i];
            part += r->is_done ? 1.0 : r->total > 0 ? fmin((double)r->done / (double)r->total, 1.0) : 0.0;
        }
        /* Parties that train alone need not be in the same round. */
        n = is_group ? snprintf(text, size, "%.0f %% of this part", floor(100.0 * fmax(share, 0.0)))
                     : snprintf(text, size, "%.0f %% of the round", floor(100.0 * part / t->n_clients));
    }
    if (share > 0.0 && since > 2.0 && (size_t)n < size) {
        char left[24];
        live_duration(since / share * (1.0 - share), left);
        snprintf(text + n, size - (size_t)n, ", about %s left%s", left,
                 t->round > 0 && !is_group ? " of this part" : "");
    }
}

/* Lines only, and a count where nothing else was said for a while. */
static void tell(cli_terminal *t, const msfl_event *event) {
    char prefix[256], count[PHASE_BYTES + 100];
    const char *text = event->text;
    msfl_event whole = *event;
    note(t, event);
    const uint64_t now = msfl_now_ns(); /* not before what `note` noted */
    if (event->kind == MSFL_EVENT_PROGRESS) {
        uint64_t pace = (now - t->start_ns) / 10;
        pace = pace < t->pace_ns ? t->pace_ns : pace > PACE_MAX_NS ? PACE_MAX_NS : pace;
        if (t->pace_ns > 0 && now - t->told_ns < pace) return;
        const bool is_group = event->track[group_length(event->track)] != 0;
        count_of(t, row_of(t, event->client), is_group, now, count, sizeof count);
        text = count;
        whole.client = -1; /* all parties together */
        if (is_group) {
            whole.track = t->track;
            whole.round = 0;
        }
    }
    if (text == NULL) return;
    prefix_of(t, &whole, prefix, sizeof prefix);
    plain_line(prefix, text);
    t->told_ns = now;
}

void cli_terminal_observe(void *ctx, const msfl_event *event) {
    cli_terminal *t = ctx;
    if (t == NULL || (t->quiet && event->kind != MSFL_EVENT_WARNING)) return;
    char prefix[256];
    if (!t->is_live) {
        tell(t, event);
        return;
    }
    const live_row *row = row_of(t, event->client);
    bool was_done = row->is_done;
    note(t, event);
    /* The bar already says that a party is done. */
    bool is_line = event->kind != MSFL_EVENT_PROGRESS && event->kind != MSFL_EVENT_CLIENT_DONE && event->text != NULL;
    bool is_due = msfl_now_ns() - t->drawn_ns >= FRAME_NS || (row->is_done && !was_done);
    if (!is_line && !is_due) return;
    live_begin(&t->screen);
    if (is_line) {
        prefix_of(t, event, prefix, sizeof prefix);
        const char *colour = event->kind == MSFL_EVENT_WARNING ? "33" : event->kind == MSFL_EVENT_PHASE ? "1" : NULL;
        live_line(&t->screen, colour, prefix, event->text);
    }
    draw(t);
    live_end(&t->screen);
}
