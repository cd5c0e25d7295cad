/* See docs/design/encoding.md for the rounding and why its randomness needs no secrecy. */
#include "update/rounding.h"

#include "base/mem.h"
#include "base/sodium.h"
#include "ring/aes.h"
#include "ring/kernel.h"

#include <string.h>

/* Groups made at a time. 16 KiB of words, and the values and slots that they serve, stay in a first-level cache; a call
 * of libcrypto costs little beside that many bytes. */
enum { GROUPS = 256, GROUP_BYTES = MSFL_GROUP_WORDS * 4, GROUP_BLOCKS = GROUP_BYTES / MSFL_AES_BLOCK };

struct msfl_rounding {
    msfl_aes *aes;
    uint8_t key[16];
    uint64_t n_groups;   /* in all */
    uint64_t first, end; /* groups in words[] */
    uint64_t next;       /* group that the AES stream stands at */
    uint32_t words[GROUPS * MSFL_GROUP_WORDS];
};

msfl_status msfl_rounding_new(uint64_t seed, uint64_t n_slots, msfl_rounding **out) {
    *out = NULL;
    msfl_rounding *g = msfl_alloc(1, sizeof *g);
    if (g == NULL) return MSFL_NO_MEMORY;
    const msfl_kernel *kernel;
    msfl_status status = msfl_kernel_choose(&kernel);
    if (status == MSFL_OK) status = msfl_aes_new(kernel, &g->aes);
    if (status != MSFL_OK) {
        msfl_free(g);
        return status;
    }
    uint8_t digest[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_hash_init(&h, "msfl.update.rounding.v2");
    msfl_hash_add_u64(&h, seed);
    msfl_hash_final(&h, digest);
    memcpy(g->key, digest, sizeof g->key);
    g->n_groups = n_slots / MSFL_GROUP_SLOTS + (n_slots % MSFL_GROUP_SLOTS != 0);
    g->next = UINT64_MAX; /* nowhere yet */
    *out = g;
    return MSFL_OK;
}

void msfl_rounding_free(msfl_rounding *g) {
    if (g == NULL) return;
    msfl_aes_free(g->aes);
    msfl_free(g);
}

/** Make words[] hold `group` and what follows it. */
static msfl_status fill(msfl_rounding *g, uint64_t group) {
    msfl_status status = MSFL_OK;
    if (group != g->next) {
        uint8_t counter[MSFL_AES_BLOCK] = {0};
        uint64_t block = group * GROUP_BLOCKS; /* below 2^34 / 32 x 4 */
        for (int i = 0; i < 8; i++)
            counter[MSFL_AES_BLOCK - 1 - i] = (uint8_t)(block >> 8 * i);
        status = msfl_aes_start(g->aes, g->key, sizeof g->key, counter);
    }
    uint64_t n = g->n_groups - group < GROUPS ? g->n_groups - group : GROUPS;
    if (status == MSFL_OK) status = msfl_aes_read(g->aes, (uint8_t *)g->words, (size_t)n * GROUP_BYTES);
    if (status != MSFL_OK) {
        g->first = g->end = 0;
        g->next = UINT64_MAX;
        return status;
    }
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t i = 0; i < n * MSFL_GROUP_WORDS; i++)
        g->words[i] = __builtin_bswap32(g->words[i]);
#endif
    g->first = group;
    g->end = g->next = group + n;
    return MSFL_OK;
}

msfl_status msfl_rounding_words(msfl_rounding *g, uint64_t group, const uint32_t **words, size_t *n_groups) {
    if (group < g->first || group >= g->end) {
        msfl_status status = fill(g, group);
        if (status != MSFL_OK) return status;
    }
    *words = g->words + (group - g->first) * MSFL_GROUP_WORDS;
    *n_groups = (size_t)(g->end - group);
    return MSFL_OK;
}

msfl_rounding_rule msfl_rounding_rule_of(const msfl_update_layout *layout, float clip, uint64_t n_samples) {
    const uint32_t bits = layout->value_bits, shift = bits <= 20 ? 32 : 52 - bits;
    return (msfl_rounding_rule){.clip = clip,
                                .shift = shift,
                                .scale = msfl_layout_scale(layout, clip, n_samples),
                                /* A multiple of 1/2 below 2^33: exact. */
                                .base = (double)(UINT64_C(1) << (52 - shift)) + 0.5 * (double)msfl_layout_top(layout),
                                .value_mask = (uint32_t)msfl_layout_top(layout),
                                .random_mask = (uint32_t)((UINT64_C(1) << shift) - 1)};
}
