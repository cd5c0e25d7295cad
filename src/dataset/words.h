/* Texts of which each is kept once: labels, folders. */
#ifndef MSFL_DATASET_WORDS_H
#define MSFL_DATASET_WORDS_H

#include "dataset/texts.h"

/** Zero-initialise; msfl_words_clear when done. */
typedef struct msfl_words {
    msfl_texts texts; /**< the different ones, in the order in which they came */
    uint32_t *slots;  /**< open addressing: numbers + 1 */
    size_t n_slots;
} msfl_words;

/** `*number` is the place of this text in `texts`: of the one that is there, or a new one. ERR_LIMIT above 2^31. */
msfl_status msfl_words_add(msfl_words *words, const char *text, uint32_t *number) MSFL_NODISCARD;
static inline const char *msfl_words_get(const msfl_words *words, uint32_t number) {
    return msfl_texts_get(&words->texts, number);
}
void msfl_words_clear(msfl_words *words);

#endif
