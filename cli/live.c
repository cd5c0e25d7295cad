#include "live.h"

#include "columns.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_MIN = 20, WIDTH_MAX = 500, NAME_COLUMNS_MAX = 18, BAR_COLUMNS_MAX = 40 };

static unsigned from_environment(const char *name, unsigned otherwise) {
    const char *text = getenv(name);
    unsigned long v = text == NULL ? 0 : strtoul(text, NULL, 10);
    return v > 0 && v <= 10000 ? (unsigned)v : otherwise;
}

static void window_size(int fd, unsigned *width, unsigned *height) {
    struct winsize size = {0};
    bool is_known = ioctl(fd, TIOCGWINSZ, &size) == 0;
    *width = is_known && size.ws_col > 0 ? size.ws_col : from_environment("COLUMNS", 80);
    *height = is_known && size.ws_row > 0 ? size.ws_row : from_environment("LINES", 24);
    if (*width < WIDTH_MIN) *width = WIDTH_MIN;
    if (*width > WIDTH_MAX) *width = WIDTH_MAX;
}

void live_init(live *l, int fd) {
    *l = (live){.fd = fd, .is_utf8 = cli_locale_is_utf8()};
    const char *no_colour = getenv("NO_COLOR");
    l->has_colour = no_colour == NULL || no_colour[0] == 0;
}

void live_clear(live *l) {
    msfl_buffer_clear(&l->frame);
}

static void put(live *l, const char *text) {
    msfl_put_bytes(&l->frame, text, strlen(text));
}

static void colour_on(live *l, const char *sgr) {
    if (l->has_colour && sgr != NULL) msfl_put_text(&l->frame, "\033[%sm", sgr);
}

static void colour_off(live *l, const char *sgr) {
    if (l->has_colour && sgr != NULL) put(l, "\033[0m");
}

void live_begin(live *l) {
    l->frame.length = 0;
    l->frame.status = MSFL_OK;
    unsigned width, height, up = 0;
    window_size(l->fd, &width, &height);
    /* Terminals fold lines when the window becomes narrower: count what the block takes now. */
    for (uint32_t i = 0; i < l->n_lines; i++)
        up += l->columns[i] == 0 ? 1 : (l->columns[i] + width - 1) / width;
    /* The cursor is hidden within a frame only, which is one write: nothing has to be put right when the program is
     * stopped between two. */
    put(l, "\033[?25l\r");
    if (up > 0) msfl_put_text(&l->frame, "\033[%uA", up);
    put(l, "\033[J");
    l->n_lines = 0;
}

void live_line(live *l, const char *colour, const char *prefix, const char *text) {
    colour_on(l, colour);
    put(l, prefix);
    cli_put_columns(&l->frame, text, 2000, l->is_utf8);
    colour_off(l, colour);
    put(l, "\n");
}

void live_end(live *l) {
    put(l, "\033[?25h");
    if (l->frame.status != MSFL_OK) { /* out of memory: show nothing rather than half a frame */
        l->n_lines = 0;
        return;
    }
    const uint8_t *at = l->frame.bytes;
    size_t left = l->frame.length;
    while (left > 0) {
        ssize_t n = write(l->fd, at, left);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return; /* a terminal that is gone does not end the job */
        at += n;
        left -= (size_t)n;
    }
}

void live_duration(double seconds, char *text) {
    if (!(seconds >= 0.0) || seconds > 360000.0) {
        snprintf(text, 24, "-:--");
        return;
    }
    unsigned s = (unsigned)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, 24, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 24, "%u:%02u", s / 60, s % 60);
}

static void put_bar(live *l, double share, bool is_done, unsigned columns) {
    unsigned halves = (unsigned)(share * 2.0 * columns + 0.5);
    unsigned full = halves / 2, k = 0;
    const char *colour = is_done ? "32" : "36";
    colour_on(l, colour);
    for (; k < full; k++)
        put(l, l->is_utf8 ? "━" : "#");
    if (l->is_utf8 && halves % 2 == 1 && k < columns) {
        put(l, "╸");
        k++;
    }
    colour_off(l, colour);
    colour_on(l, "2");
    for (; k < columns; k++)
        put(l, l->is_utf8 ? "─" : "-");
    colour_off(l, "2");
}

/* The right end of a row, as far as there is room: "58%  loss 0.3421  0:12 left". */
static void describe(const live_row *row, uint64_t now_ns, unsigned room, char *text, size_t size) {
    double share = row->total > 0 ? (double)row->done / (double)row->total : 0.0;
    int n = 0;
    if (row->is_done)
        n = snprintf(text, size, "done");
    else if (!row->is_active)
        n = snprintf(text, size, "waits");
    else if (row->total > 0)
        n = snprintf(text, size, "%3.0f%%", floor(100.0 * fmin(share, 1.0)));
    else
        n = snprintf(text, size, "%llu", (unsigned long long)row->done);
    if (!isnan(row->loss) && room >= 24)
        n += snprintf(text + n, size - (size_t)n, "%*sloss %.4f", n < 5 ? 7 - n : 2, "", row->loss);
    double elapsed = (double)(now_ns - row->start_ns) / 1e9;
    if (row->is_active && !row->is_done && share > 0.0 && elapsed > 1.0 && room >= 40) {
        char left[24];
        live_duration(elapsed / share * (1.0 - share), left);
        snprintf(text + n, size - (size_t)n, "%*s%s left", n < 20 ? 20 - n : 2, "", left);
    }
}

static void draw_row(live *l, const live_row *row, uint64_t now_ns, unsigned name_columns, unsigned width) {
    unsigned room = width - 1 - 2 - name_columns;
    char text[96];
    describe(row, now_ns, room, text, sizeof text);
    unsigned text_columns = room >= 40 ? 33 : room >= 24 ? 19 : 5;
    unsigned bar = room > text_columns + 4 ? room - text_columns - 4 : 0;
    if (bar > BAR_COLUMNS_MAX) bar = BAR_COLUMNS_MAX;
    put(l, "  ");
    size_t used = cli_put_columns(&l->frame, row->name, name_columns, l->is_utf8);
    msfl_put_text(&l->frame, "%*s", (int)(name_columns - used), "");
    size_t columns = 2 + name_columns;
    if (bar > 0) {
        put(l, "  ");
        double share = row->is_done ? 1.0 : row->total > 0 ? fmin((double)row->done / (double)row->total, 1.0) : 0.0;
        put_bar(l, share, row->is_done, bar);
        columns += 2 + bar;
    }
    put(l, "  ");
    columns += 2 + cli_put_columns(&l->frame, text, width - 1 - columns - 2, l->is_utf8);
    put(l, "\n");
    l->columns[l->n_lines++] = (uint16_t)columns;
}

static void draw_title(live *l, const char *title, unsigned width) {
    colour_on(l, "1");
    size_t columns = cli_put_columns(&l->frame, title, width - 1, l->is_utf8);
    colour_off(l, "1");
    put(l, "\n");
    l->columns[l->n_lines++] = (uint16_t)columns;
}

void live_draw(live *l, const live_block *block) {
    unsigned width, height;
    window_size(l->fd, &width, &height);
    /* One line for the title, one for "and more", and the last line stays free for the cursor. */
    uint32_t room = height > 4 ? height - 3 : 1;
    if (room > LIVE_LINES_MAX - 2) room = LIVE_LINES_MAX - 2;
    unsigned name_columns = 0;
    for (uint32_t i = 0; i < block->n_rows; i++) {
        size_t n = cli_columns(block->rows[i].name);
        if (n > name_columns) name_columns = n > NAME_COLUMNS_MAX ? NAME_COLUMNS_MAX : (unsigned)n;
    }
    if (name_columns > width / 3) name_columns = width / 3;
    draw_title(l, block->title, width);
    /* When not all fit: those at work first, then those that wait, then those that are done. */
    uint32_t shown = 0, n_done = 0;
    for (int rank = 0; rank < 3; rank++) {
        for (uint32_t i = 0; i < block->n_rows; i++) {
            const live_row *row = &block->rows[i];
            int its_rank = row->is_done ? 2 : row->is_active ? 0 : 1;
            if (block->n_rows <= room) its_rank = 0;
            if (its_rank != rank) continue;
            if (rank == 0 && row->is_done) n_done++;
            if (rank == 2) n_done++;
            if (shown == room) continue;
            draw_row(l, row, block->now_ns, name_columns, width);
            shown++;
        }
    }
    if (block->n_rows > shown) {
        char text[80];
        snprintf(text, sizeof text, "  and %u more; %u of %u done", block->n_rows - shown, n_done, block->n_rows);
        colour_on(l, "2");
        size_t columns = cli_put_columns(&l->frame, text, width - 1, l->is_utf8);
        colour_off(l, "2");
        put(l, "\n");
        l->columns[l->n_lines++] = (uint16_t)columns;
    }
}
