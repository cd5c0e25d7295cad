/* The block of progress bars at the foot of a terminal: drawn, wiped and drawn again in place. */
#ifndef MSFL_CLI_LIVE_H
#define MSFL_CLI_LIVE_H

#include "base/bytes.h"

typedef struct live_row {
    const char *name; /**< borrowed */
    bool is_active;   /**< has begun its part */
    bool is_done;
    uint64_t done, total; /**< total 0: not known */
    double loss;          /**< NaN: none */
    uint64_t start_ns;
    uint32_t round, rounds_done, rounds_before; /**< at work on; finished; finished before this job began (resumed) */
} live_row;

typedef struct live_block {
    const char *title; /**< the line above the bars; cleaned when drawn */
    const live_row *rows;
    uint32_t n_rows;
    uint64_t now_ns;
} live_block;

enum { LIVE_LINES_MAX = 64 };

typedef struct live {
    int fd;
    bool is_utf8, has_colour;
    uint32_t n_lines;                 /**< of the block as it stands on the screen */
    uint16_t columns[LIVE_LINES_MAX]; /**< of each of them: a narrower window may have folded it */
    msfl_buffer frame;                /**< what goes out next, in one write */
} live;

void live_init(live *l, int fd);
void live_clear(live *l);

/** Begin a frame: wipe the block. Lines that should scroll up come next, then perhaps live_draw, then live_end. */
void live_begin(live *l);
/** A finished line. `colour` is an SGR number such as "33", or NULL; `prefix` is ours, `text` is cleaned and cut. */
void live_line(live *l, const char *colour, const char *prefix, const char *text);
void live_draw(live *l, const live_block *block);
void live_end(live *l);

/** "0:42", "12:05", "1:02:33"; `text` holds 24 bytes. */
void live_duration(double seconds, char *text);

#endif
