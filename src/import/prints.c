#include "import/prints.h"

#include "base/error.h"
#include "base/mem.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = MSFL_PRINT_SIDE, ACROSS = SIDE + 1, FLAT = 2, DEVIATION_MIN = 3 };

static double value_at(const msfl_recipe *r, const uint8_t *picture, size_t x, size_t y) {
    size_t i = (y * r->width + x) * r->channels;
    return r->bits == 8 ? picture[i] : msfl_load16(picture + 2 * i);
}

/* Means over `n` x SIDE areas; areas smaller than a pixel take the pixel. */
static void shrink(const msfl_recipe *r, const uint8_t *picture, size_t n, double *out) {
    for (size_t j = 0; j < SIDE; j++) {
        size_t y0 = j * r->height / SIDE, y1 = (j + 1) * r->height / SIDE;
        if (y1 == y0) y1 = y0 + 1;
        for (size_t i = 0; i < n; i++) {
            size_t x0 = i * r->width / n, x1 = (i + 1) * r->width / n;
            if (x1 == x0) x1 = x0 + 1;
            double sum = 0;
            for (size_t y = y0; y < y1; y++)
                for (size_t x = x0; x < x1; x++)
                    sum += value_at(r, picture, x, y);
            out[j * n + i] = sum / (double)((y1 - y0) * (x1 - x0));
        }
    }
}

void msfl_print_of(const msfl_recipe *r, const msfl_pictures *pictures, uint32_t index, msfl_print *out) {
    const uint8_t *picture = pictures->samples + index * msfl_recipe_picture_bytes(r);
    if (r->depth > 1) picture += r->depth / 2 * (msfl_recipe_picture_bytes(r) / r->depth); /* its middle slice */
    double areas[SIDE * ACROSS];
    *out = (msfl_print){0};
    /* Where a picture is flat, noise would decide. */
    const double least = FLAT * (r->bits == 8 ? 1 : 257);
    shrink(r, picture, ACROSS, areas);
    for (size_t i = 0; i < SIDE * SIDE; i++) {
        const double *a = &areas[i / SIDE * ACROSS + i % SIDE];
        out->bits[i / 64] |= (uint64_t)(a[1] - a[0] > least) << (i % 64);
    }
    shrink(r, picture, SIDE, areas);
    for (size_t i = 0; i < SIDE * SIDE; i++)
        out->thumbnail[i] = (uint8_t)(areas[i] / (r->bits == 8 ? 1 : 257) + 0.5);
}

static double correlation(const uint8_t *a, const uint8_t *b, size_t n) {
    int64_t sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
    for (size_t i = 0; i < n; i++) {
        sa += a[i];
        sb += b[i];
        saa += a[i] * a[i];
        sbb += b[i] * b[i];
        sab += a[i] * b[i];
    }
    int64_t count = (int64_t)n;
    double va = (double)(count * saa - sa * sa), vb = (double)(count * sbb - sb * sb);
    /* A picture without content is no copy of another: the empty slices at the ends of volumes would tie all patients.
     */
    const double least = (double)DEVIATION_MIN * DEVIATION_MIN * (double)count * (double)count;
    if (va < least || vb < least) return 0;
    return (double)(count * sab - sa * sb) / sqrt(va * vb);
}

/* The compiler's own is a call where no instruction may be assumed. */
static int ones(uint64_t v) {
    v -= v >> 1 & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + (v >> 2 & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int)(v * 0x0101010101010101u >> 56);
}

bool msfl_prints_match(const msfl_print *a, const msfl_print *b) {
    int distance = 0;
    for (int i = 0; i < MSFL_PRINT_WORDS; i++) {
        distance += ones(a->bits[i] ^ b->bits[i]);
        if (distance > MSFL_PRINT_DISTANCE_MAX) return false; /* mostly after two words */
    }
    return correlation(a->thumbnail, b->thumbnail, sizeof a->thumbnail) >= MSFL_PRINT_CORRELATION_MIN;
}

typedef struct search {
    const msfl_print *prints;
    const uint32_t *bunches;
    size_t n;
    pthread_mutex_t mutex;
    msfl_pair *pairs;
    size_t n_pairs, capacity;
} search;

enum { ROWS = 64 };

static msfl_status compare_rows(void *ctx, size_t index) {
    search *s = ctx;
    msfl_status status = MSFL_OK;
    for (size_t a = index * ROWS; a < (index + 1) * ROWS && a < s->n; a++) {
        for (size_t b = a + 1; b < s->n && status == MSFL_OK; b++) {
            if (s->bunches[a] == s->bunches[b] || !msfl_prints_match(&s->prints[a], &s->prints[b])) continue;
            pthread_mutex_lock(&s->mutex);
            if (s->n_pairs == MSFL_PAIRS_MAX) {
                status = msfl_fail(MSFL_ERR_LIMIT, "more than %d pairs of near copies", MSFL_PAIRS_MAX);
            } else {
                void *pairs = s->pairs;
                status = msfl_grow(&pairs, &s->capacity, s->n_pairs + 1, sizeof *s->pairs);
                s->pairs = pairs;
            }
            if (status == MSFL_OK) s->pairs[s->n_pairs++] = (msfl_pair){(uint32_t)a, (uint32_t)b};
            pthread_mutex_unlock(&s->mutex);
        }
    }
    return status;
}

static int in_order(const void *x, const void *y) {
    const msfl_pair *p = x, *q = y;
    if (p->a != q->a) return p->a < q->a ? -1 : 1;
    return p->b < q->b ? -1 : p->b > q->b;
}

msfl_status msfl_prints_pairs(const msfl_print *prints, const uint32_t *bunches, size_t n, msfl_pool *pool,
                              msfl_pair **out, size_t *n_pairs) {
    search s = {.prints = prints, .bunches = bunches, .n = n};
    pthread_mutex_init(&s.mutex, NULL);
    msfl_status status = msfl_pool_run(pool, (n + ROWS - 1) / ROWS, compare_rows, &s);
    pthread_mutex_destroy(&s.mutex);
    if (status != MSFL_OK) {
        msfl_free(s.pairs);
        return status;
    }
    if (s.n_pairs > 0) qsort(s.pairs, s.n_pairs, sizeof *s.pairs, in_order);
    *out = s.pairs;
    *n_pairs = s.n_pairs;
    return MSFL_OK;
}
