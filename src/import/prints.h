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

/** Beyond this many pictures the search, which compares all pairs, is left out. */
enum { MSFL_PRINTS_MAX = 1 << 17, MSFL_PAIRS_MAX = 1 << 20 };

typedef struct msfl_pair {
    uint32_t a, b; /**< a < b */
} msfl_pair;

bool msfl_prints_match(const msfl_print *a, const msfl_print *b);

/** All matching pairs of different bunches, in order. Free `*out` with msfl_free. ERR_LIMIT above MSFL_PAIRS_MAX: then
 *  likeness tells nothing. */
msfl_status msfl_prints_pairs(const msfl_print *prints, const uint32_t *bunches, size_t n, msfl_pool *pool,
                              msfl_pair **out, size_t *n_pairs) MSFL_NODISCARD;

#endif
