/* Many short strings in few pieces of memory, and numbering them. */
#ifndef MSFL_DATASET_TEXTS_H
#define MSFL_DATASET_TEXTS_H

#include "base/rows.h"

/** Zero-initialise; msfl_texts_clear when done. A text that equals one of the last few is kept once: names of classes
 *  and folders cost four bytes each. At most 4 GiB in all. */
typedef struct msfl_texts {
    char **blocks; /**< the first grows until it is as large as the others will be */
    size_t n_blocks, blocks_capacity;
    size_t used, room; /**< bytes of the last block */
    msfl_rows at;      /**< uint32_t: block and place in it */
    size_t n;
    uint32_t recent[4]; /**< where the last different ones lie; numbers + 1 of texts, 0: none */
    uint32_t n_recent;
} msfl_texts;

msfl_status msfl_texts_add(msfl_texts *texts, const char *text, size_t length) MSFL_NODISCARD;
msfl_status msfl_texts_add_format(msfl_texts *texts, const char *fmt, ...) MSFL_NODISCARD MSFL_PRINTF(2, 3);
/** Stands until the next text is added. */
const char *msfl_texts_get(const msfl_texts *texts, size_t i);
void msfl_texts_clear(msfl_texts *texts);

typedef enum msfl_coding {
    /** Numbers by value if all are whole numbers, else alphabetical; letters of either case are the same. */
    MSFL_CODE_CLASSES,
    /** As msfl_text_order orders them. */
    MSFL_CODE_KEYS
} msfl_coding;

/**
 * Number the distinct texts of `values`: codes[i] is the place of values[i] in the order of `coding`. Empty texts get a
 * number of their own each, after all others. `names` (may be NULL) receives the distinct non-empty texts in order; of
 * texts that differ only in case the first. `n_codes` receives how many numbers there are.
 */
msfl_status msfl_texts_code(const msfl_texts *values, msfl_coding coding, uint32_t *codes, msfl_texts *names,
                            uint32_t *n_codes) MSFL_NODISCARD;

/** Order in which runs of digits count as numbers: site2 before site10. */
int msfl_text_order(const char *a, const char *b);

/** Whether the text is one whole number of at most 18 digits; then its value in `*out`. */
bool msfl_whole_number(const char *text, int64_t *out);

#endif
