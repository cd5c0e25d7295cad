#include "dataset/texts.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

msfl_status msfl_texts_add(msfl_texts *texts, const char *text, size_t length) {
    void *array = texts->at;
    msfl_status status = msfl_grow(&array, &texts->capacity, texts->n + 1, sizeof *texts->at);
    if (status != MSFL_OK) return status;
    texts->at = array;
    size_t begin = texts->bytes.length;
    msfl_put_bytes(&texts->bytes, text, length);
    msfl_put8(&texts->bytes, 0);
    if (texts->bytes.status != MSFL_OK) return texts->bytes.status;
    texts->at[texts->n++] = begin;
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
    return (const char *)texts->bytes.bytes + texts->at[i];
}

void msfl_texts_clear(msfl_texts *texts) {
    msfl_buffer_clear(&texts->bytes);
    msfl_free(texts->at);
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
