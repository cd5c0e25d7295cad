#include "dataset/words.h"

#include "base/error.h"
#include "base/mem.h"

#include <string.h>

enum { SLOTS_FIRST = 64, WORDS_MAX = INT32_MAX };

/* FNV-1a, 64 bits. */
static size_t hash_of(const char *text) {
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *p = text; *p != 0; p++)
        h = (h ^ (uint8_t)*p) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32);
}

static uint32_t *slot_of(const msfl_words *w, const char *text) {
    size_t at = hash_of(text) & (w->n_slots - 1);
    while (w->slots[at] != 0 && strcmp(msfl_words_get(w, w->slots[at] - 1), text) != 0)
        at = (at + 1) & (w->n_slots - 1);
    return &w->slots[at];
}

/* At most half of the slots are taken. */
static msfl_status make_room(msfl_words *w) {
    if (2 * (w->texts.n + 1) <= w->n_slots) return MSFL_OK;
    msfl_words larger = {.texts = w->texts, .n_slots = w->n_slots == 0 ? SLOTS_FIRST : 2 * w->n_slots};
    larger.slots = msfl_alloc(larger.n_slots, sizeof *larger.slots);
    if (larger.slots == NULL) return MSFL_NO_MEMORY;
    for (uint32_t i = 0; i < w->texts.n; i++)
        *slot_of(&larger, msfl_words_get(w, i)) = i + 1;
    msfl_free(w->slots);
    *w = larger;
    return MSFL_OK;
}

msfl_status msfl_words_add(msfl_words *w, const char *text, uint32_t *number) {
    if (w->texts.n >= WORDS_MAX) return msfl_fail(MSFL_ERR_LIMIT, "more than %d different texts", WORDS_MAX);
    msfl_status status = make_room(w);
    if (status != MSFL_OK) return status;
    uint32_t *slot = slot_of(w, text);
    if (*slot == 0) {
        status = msfl_texts_add(&w->texts, text, strlen(text));
        if (status != MSFL_OK) return status;
        *slot = (uint32_t)w->texts.n;
    }
    *number = *slot - 1;
    return MSFL_OK;
}

void msfl_words_clear(msfl_words *w) {
    msfl_texts_clear(&w->texts);
    msfl_free(w->slots);
    *w = (msfl_words){0};
}
