/* Near copies: pictures that are another crop, compression or brightness of one. */
#ifndef MSFL_IMPORT_PRINTS_H
#define MSFL_IMPORT_PRINTS_H

#include "base/threads.h"
#include "recipe/sample.h"

enum { MSFL_PRINT_SIDE = 16, MSFL_PRINT_WORDS = MSFL_PRINT_SIDE * MSFL_PRINT_SIDE / 64 };

/** A picture's perceptual hash: whether each of 16 x 16 areas is darker than its right neighbour, by more than 2 of
 *  255 (a difference hash),
 *  and a thumbnail to be sure with. */
typedef struct msfl_print {
    uint64_t bits[MSFL_PRINT_WORDS];
    uint8_t thumbnail[MSFL_PRINT_SIDE * MSFL_PRINT_SIDE];
} msfl_print;

/** Of the first channel of picture `index`. */
void msfl_print_of(const msfl_recipe *recipe, const msfl_pictures *pictures, uint32_t index, msfl_print *out);

/** Pictures this close are near copies, unless they are flat: at most so many of the 256 bits differ, and thumbnails
 * correlate so well. */
enum { MSFL_PRINT_DISTANCE_MAX = 40 };
#define MSFL_PRINT_CORRELATION_MIN 0.987

bool msfl_prints_match(const msfl_print *a, const msfl_print *b);

/** Beyond this many pictures the search, which compares all pairs, is left out. */
enum { MSFL_PRINTS_MAX = 1 << 17, MSFL_PAIRS_MAX = 1 << 20 };

/** Prints of many pictures, set aside in `folder` (base/spill.h): in memory lie two pieces for each thread that
 *  searches, however many there are. */
typedef struct msfl_prints msfl_prints;
msfl_status msfl_prints_new(const char *folder, msfl_prints **out) MSFL_NODISCARD;
/** The next picture's, which is one of this bunch. Above MSFL_PRINTS_MAX they are counted and not kept. */
msfl_status msfl_prints_add(msfl_prints *prints, const msfl_print *print, uint32_t bunch) MSFL_NODISCARD;
void msfl_prints_free(msfl_prints *prints);

/** Two pictures by their numbers, a < b, and their bunches. */
typedef struct msfl_pair {
    uint32_t a, b, bunch_a, bunch_b;
} msfl_pair;
/** Called for one pair at a time, by any thread. */
typedef msfl_status (*msfl_pair_fn)(void *ctx, const msfl_pair *pair);

/** Hands every matching pair of different bunches to `fn`, in no order. ERR_LIMIT above MSFL_PAIRS_MAX of them (then
 *  likeness tells nothing) or above MSFL_PRINTS_MAX pictures. */
msfl_status msfl_prints_search(const msfl_prints *prints, msfl_pool *pool, msfl_pair_fn fn, void *ctx) MSFL_NODISCARD;

#endif
