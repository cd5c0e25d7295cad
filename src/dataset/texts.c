#include "dataset/texts.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BLOCK_BITS = 17, BLOCK = 1 << BLOCK_BITS, FIRST = 256, BLOCKS_MAX = 1 << (32 - BLOCK_BITS), SHORT = 64 };
#define RECENT (sizeof((msfl_texts *)NULL)->recent / sizeof((msfl_texts *)NULL)->recent[0])

static uint32_t place_of(const msfl_texts *t, size_t i) {
    return *(const uint32_t *)msfl_rows_at(&t->at, i, sizeof(uint32_t));
}

static char *text_at(const msfl_texts *t, uint32_t place) {
    return t->blocks[place >> BLOCK_BITS] + (place & (BLOCK - 1));
}

/* Room for `length` bytes at the end of the last block. */
static msfl_status make_room(msfl_texts *t, size_t length) {
    if (length > BLOCK) return msfl_fail(MSFL_ERR_LIMIT, "a text of %zu bytes; at most %d are kept", length, BLOCK);
    if (t->n_blocks > 0 && t->room - t->used >= length) return MSFL_OK;
    const bool grows = t->n_blocks == 1 && t->used + length <= BLOCK;
    if (!grows && t->n_blocks == BLOCKS_MAX) return msfl_fail(MSFL_ERR_LIMIT, "more than 4 GiB of texts");
    size_t room = t->n_blocks == 0 || grows ? FIRST : BLOCK;
    while (room < length + (grows ? t->used : 0))
        room *= 2;
    void *blocks = t->blocks;
    msfl_status status = msfl_grow(&blocks, &t->blocks_capacity, t->n_blocks + 1, sizeof *t->blocks);
    t->blocks = blocks;
    char *block = status == MSFL_OK ? msfl_alloc(room, 1) : NULL;
    if (block == NULL) return MSFL_NO_MEMORY;
    if (grows) {
        memcpy(block, t->blocks[0], t->used);
        msfl_free(t->blocks[0]);
        t->blocks[0] = block;
    } else {
        t->blocks[t->n_blocks++] = block;
        t->used = 0;
    }
    t->room = room;
    return MSFL_OK;
}

/* Whether one of the last few is the same; then its place. */
static bool is_recent(const msfl_texts *t, const char *text, size_t length, uint32_t *place) {
    for (size_t k = 0; k < RECENT && length < SHORT; k++) {
        if (t->recent[k] == 0) continue;
        *place = place_of(t, t->recent[k] - 1);
        const char *there = text_at(t, *place);
        if (strncmp(there, text, length) == 0 && there[length] == 0 && memchr(text, 0, length) == NULL) return true;
    }
    return false;
}

msfl_status msfl_texts_add(msfl_texts *texts, const char *text, size_t length) {
    uint32_t place = 0;
    const bool known = is_recent(texts, text, length, &place);
    msfl_status status = known ? MSFL_OK : make_room(texts, length + 1);
    uint32_t *at = status == MSFL_OK ? msfl_rows_add(&texts->at, sizeof *at) : NULL;
    if (at == NULL) return status == MSFL_OK ? MSFL_NO_MEMORY : status;
    if (!known) {
        place = (uint32_t)((texts->n_blocks - 1) << BLOCK_BITS | texts->used);
        char *to = text_at(texts, place);
        memcpy(to, text, length);
        to[length] = 0;
        texts->used += length + 1;
        texts->recent[texts->n_recent++ % RECENT] = (uint32_t)texts->n + 1;
    }
    *at = place;
    texts->n++;
    return MSFL_OK;
}

msfl_status msfl_texts_add_format(msfl_texts *texts, const char *fmt, ...) {
    char text[2048];
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (length < 0) length = 0;
    return msfl_texts_add(texts, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

const char *msfl_texts_get(const msfl_texts *texts, size_t i) {
    return text_at(texts, place_of(texts, i));
}

void msfl_texts_clear(msfl_texts *texts) {
    for (size_t i = 0; i < texts->n_blocks; i++)
        msfl_free(texts->blocks[i]);
    msfl_free(texts->blocks);
    msfl_rows_clear(&texts->at);
    *texts = (msfl_texts){0};
}

bool msfl_whole_number(const char *text, int64_t *out) {
    const char *p = text;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+') p++;
    int64_t v = 0;
    size_t n = 0;
    for (; *p >= '0' && *p <= '9'; p++, n++) {
        if (n == 18) return false;
        v = v * 10 + (*p - '0');
    }
    if (n == 0 || *p != 0) return false;
    *out = negative ? -v : v;
    return true;
}

int msfl_text_order(const char *a, const char *b) {
    const char *p = a, *q = b;
    while (*p != 0 && *q != 0) {
        bool digit_p = *p >= '0' && *p <= '9', digit_q = *q >= '0' && *q <= '9';
        if (digit_p && digit_q) {
            while (*p == '0')
                p++;
            while (*q == '0')
                q++;
            size_t n = strspn(p, "0123456789"), m = strspn(q, "0123456789");
            if (n != m) return n < m ? -1 : 1;
            int order = memcmp(p, q, n);
            if (order != 0) return order;
            p += n;
            q += n;
        } else {
            if (*p != *q) return (unsigned char)*p < (unsigned char)*q ? -1 : 1;
            p++;
            q++;
        }
    }
    if (*p != *q) return *p == 0 ? -1 : 1;
    /* Equal but for leading zeros: still two different texts. */
    return strcmp(a, b);
}

typedef struct ordering {
    const msfl_texts *values;
    msfl_coding coding;
    bool numeric;
} ordering;

static int compare(const ordering *o, const char *a, const char *b) {
    if (o->coding == MSFL_CODE_KEYS) return msfl_text_order(a, b);
    if (o->numeric) {
        int64_t x = 0, y = 0;
        (void)msfl_whole_number(a, &x);
        (void)msfl_whole_number(b, &y);
        return x < y ? -1 : x > y;
    }
    return strcasecmp(a, b);
}

static int compare_indices(const void *a, const void *b, void *context) {
    const ordering *o = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    const char *x = msfl_texts_get(o->values, i), *y = msfl_texts_get(o->values, j);
    if ((*x == 0) != (*y == 0)) return *x == 0 ? 1 : -1;
    int order = compare(o, x, y);
    return order != 0 ? order : i < j ? -1 : i > j;
}

msfl_status msfl_texts_code(const msfl_texts *values, msfl_coding coding, uint32_t *codes, msfl_texts *names,
                            uint32_t *n_codes) {
    ordering o = {values, coding, true};
    for (size_t i = 0; i < values->n; i++) {
        int64_t number;
        const char *text = msfl_texts_get(values, i);
        if (*text != 0 && !msfl_whole_number(text, &number)) o.numeric = false;
    }
    uint32_t *order = msfl_alloc(values->n, sizeof *order);
    if (order == NULL) return MSFL_ERR_MEMORY;
    for (size_t i = 0; i < values->n; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, values->n, sizeof *order, compare_indices, &o);

    msfl_status status = MSFL_OK;
    uint32_t code = 0;
    const char *last = NULL;
    for (size_t i = 0; i < values->n && status == MSFL_OK; i++) {
        const char *text = msfl_texts_get(values, order[i]);
        bool is_new = last == NULL || *text == 0 || compare(&o, last, text) != 0;
        if (is_new && i > 0) code++;
        codes[order[i]] = code;
        if (is_new && *text != 0 && names != NULL) status = msfl_texts_add(names, text, strlen(text));
        last = text;
    }
    *n_codes = values->n == 0 ? 0 : code + 1;
    msfl_free(order);
    return status;
}
