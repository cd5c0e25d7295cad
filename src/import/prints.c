#include "import/prints.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/spill.h"

#include <math.h>
#include <pthread.h>
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

static bool are_close(const uint64_t *a, const uint64_t *b) {
    int distance = 0;
    for (int i = 0; i < MSFL_PRINT_WORDS; i++) {
        distance += ones(a[i] ^ b[i]);
        if (distance > MSFL_PRINT_DISTANCE_MAX) return false; /* mostly after two words */
    }
    return true;
}

static bool are_alike(const uint8_t *a, const uint8_t *b) {
    return correlation(a, b, SIDE * SIDE) >= MSFL_PRINT_CORRELATION_MIN;
}

bool msfl_prints_match(const msfl_print *a, const msfl_print *b) {
    return are_close(a->bits, b->bits) && are_alike(a->thumbnail, b->thumbnail);
}

/* --- many --- */

/* What every pair is compared by; thumbnails are asked for where this is close. */
typedef struct mark {
    uint64_t bits[MSFL_PRINT_WORDS];
    uint32_t bunch, unused;
} mark;

struct msfl_prints {
    msfl_spill *marks, *thumbnails;
    size_t n;
};

msfl_status msfl_prints_new(const char *folder, msfl_prints **out) {
    *out = NULL;
    msfl_prints *p = msfl_alloc(1, sizeof *p);
    if (p == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_spill_new(folder, sizeof(mark), &p->marks);
    if (status == MSFL_OK) status = msfl_spill_new(folder, (size_t)SIDE * SIDE, &p->thumbnails);
    if (status != MSFL_OK) {
        msfl_prints_free(p);
        return status;
    }
    *out = p;
    return MSFL_OK;
}

void msfl_prints_free(msfl_prints *p) {
    if (p == NULL) return;
    msfl_spill_free(p->marks);
    msfl_spill_free(p->thumbnails);
    msfl_free(p);
}

msfl_status msfl_prints_add(msfl_prints *p, const msfl_print *print, uint32_t bunch) {
    if (p->n++ >= MSFL_PRINTS_MAX) return MSFL_OK;
    mark m = {.bunch = bunch};
    memcpy(m.bits, print->bits, sizeof m.bits);
    msfl_status status = msfl_spill_add(p->marks, &m);
    return status == MSFL_OK ? msfl_spill_add(p->thumbnails, print->thumbnail) : status;
}

/* All pairs are compared tile against tile: one reading of a tile serves TILE pictures of the other. */
enum { TILE = 128 };

typedef struct tile {
    size_t first, n;
    mark marks[TILE];
    bool has_thumbnails;
    uint8_t thumbnails[TILE][SIDE * SIDE];
} tile;

typedef struct search {
    const msfl_prints *prints;
    msfl_pair_fn fn;
    void *ctx;
    pthread_mutex_t mutex;
    size_t n_pairs;
} search;

static msfl_status read_tile(const search *s, size_t index, tile *t) {
    t->first = index * TILE;
    t->n = s->prints->n - t->first < TILE ? s->prints->n - t->first : TILE;
    t->has_thumbnails = false;
    return msfl_spill_read(s->prints->marks, t->marks, t->first, t->n);
}

static msfl_status need_thumbnails(const search *s, tile *t) {
    if (t->has_thumbnails) return MSFL_OK;
    t->has_thumbnails = true;
    return msfl_spill_read(s->prints->thumbnails, t->thumbnails, t->first, t->n);
}

static msfl_status found(search *s, const msfl_pair *pair) {
    pthread_mutex_lock(&s->mutex);
    msfl_status status = s->n_pairs++ < MSFL_PAIRS_MAX
                             ? s->fn(s->ctx, pair)
                             : msfl_fail(MSFL_ERR_LIMIT, "more than %d pairs of near copies", MSFL_PAIRS_MAX);
    pthread_mutex_unlock(&s->mutex);
    return status;
}

static msfl_status compare_tiles(search *s, tile *a, tile *b) {
    for (size_t i = 0; i < a->n; i++) {
        const mark *x = &a->marks[i];
        for (size_t k = a == b ? i + 1 : 0; k < b->n; k++) {
            const mark *y = &b->marks[k];
            if (x->bunch == y->bunch || !are_close(x->bits, y->bits)) continue;
            msfl_status status = need_thumbnails(s, a);
            if (status == MSFL_OK) status = need_thumbnails(s, b);
            if (status == MSFL_OK && are_alike(a->thumbnails[i], b->thumbnails[k])) {
                const msfl_pair pair = {(uint32_t)(a->first + i), (uint32_t)(b->first + k), x->bunch, y->bunch};
                status = found(s, &pair);
            }
            if (status != MSFL_OK) return status;
        }
    }
    return MSFL_OK;
}

static msfl_status compare_rows(void *ctx, size_t index) {
    search *s = ctx;
    tile *tiles = msfl_alloc(2, sizeof *tiles);
    if (tiles == NULL) return MSFL_NO_MEMORY;
    msfl_status status = read_tile(s, index, &tiles[0]);
    if (status == MSFL_OK) status = compare_tiles(s, &tiles[0], &tiles[0]);
    for (size_t other = index + 1; other * TILE < s->prints->n && status == MSFL_OK; other++) {
        status = read_tile(s, other, &tiles[1]);
        if (status == MSFL_OK) status = compare_tiles(s, &tiles[0], &tiles[1]);
    }
    msfl_free(tiles);
    return status;
}

msfl_status msfl_prints_search(const msfl_prints *prints, msfl_pool *pool, msfl_pair_fn fn, void *ctx) {
    search s = {.prints = prints, .fn = fn, .ctx = ctx};
    if (prints->n > MSFL_PRINTS_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "more than %d pictures to compare", MSFL_PRINTS_MAX);
    }
    pthread_mutex_init(&s.mutex, NULL);
    msfl_status status = msfl_pool_run(pool, (prints->n + TILE - 1) / TILE, compare_rows, &s);
    pthread_mutex_destroy(&s.mutex);
    return status;
}
