/* The tables of all instruction sets against the generic one, to the last bit, and that against plain loops. */
#include "common.h"
#include "nn/kernels.h"

#include <math.h>

enum { LONGEST = 22000 };

typedef struct data {
    float *x, *y, *dy, *a, *b, *c;
    double *s1, *s2;
    float *scratch;
} data;

static data make(uint64_t seed) {
    msfl_seeded g;
    msfl_seeded_init(&g, seed, "test.kernels", 0, 0, 0);
    data d;
    float **arrays[] = {&d.x, &d.y, &d.dy, &d.a, &d.b, &d.c};
    for (int k = 0; k < 6; k++) {
        float *v = msfl_alloc(LONGEST, sizeof *v);
        for (size_t i = 0; i < LONGEST; i++) /* some equal, some zero: ties and kinks */
            v[i] = msfl_seeded_below(&g, 3) == 0 ? (float)((int)msfl_seeded_below(&g, 5) - 2)
                                                 : (float)msfl_seeded_normal(&g);
        *arrays[k] = v;
    }
    d.s1 = msfl_alloc(LONGEST, sizeof *d.s1);
    d.s2 = msfl_alloc(LONGEST, sizeof *d.s2);
    d.scratch = msfl_alloc(LONGEST, sizeof *d.scratch);
    return d;
}

static void clear(data *d) {
    void *all[] = {d->x, d->y, d->dy, d->a, d->b, d->c, d->s1, d->s2, d->scratch};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        msfl_free(all[i]);
}

/* One call of every kernel; everything written is in `d` afterwards. */
static void use(const nn_kernels *k, data *d, size_t n, size_t c, const nn_pool *pool) {
    size_t tile = nn_tile(c);
    n = n / c * c;
    k->relu_backward(d->dy, d->y, n);
    k->add(d->y, d->x, n);
    k->add2(d->c, d->y, d->x, n, n % 2 == 1);
    k->moments(d->x, n, tile, d->a, d->s1, d->s2, d->scratch);
    k->moments2(d->x, d->dy, n, tile, d->b, d->s1 + tile, d->s2 + tile, d->scratch);
    k->affine(d->x, d->y, n, tile, d->a, d->b, n % 2 == 0);
    k->affine2(d->x, d->dy, d->dy, n, tile, d->a, d->b, d->c);
    k->relu(d->x, d->x, n);
    size_t in = (size_t)pool->id * pool->ih * pool->iw * pool->c;
    size_t out = (size_t)pool->od * pool->oh * pool->ow * pool->c;
    k->max_pool(pool, d->x, d->y);
    k->max_pool_backward(pool, d->x, d->y, d->dy, d->y + out, n % 3 == 0);
    k->avg_pool(pool, d->x, d->y + out + in);
    k->avg_pool_backward(pool, d->dy, d->y + 2 * out + in);
    k->sgd(d->a, d->b, d->c, n, 0.1f, 0.9f, 1e-3f);
    k->relu(d->b, d->b, n);
    k->adam(d->a, d->c, d->b, d->x, n, 0.1f, 1.5f, 0.9f, 0.999f, 1e-8f, 0.99f);
}

static void tables_agree(void **state) {
    (void)state;
    const nn_kernels *const *tables = nn_kernels_all();
    assert_string_equal(tables[0]->name, "generic");
    msfl_seeded g;
    msfl_seeded_init(&g, 3, "test.tables", 0, 0, 0);
    for (int round = 0; round < 60; round++) {
        static const size_t channels[] = {1, 2, 3, 5, 8, 12, 16, 24, 32, 48, 64, 65, 100, 128};
        size_t c = channels[msfl_seeded_below(&g, 14)], n = 1 + msfl_seeded_below(&g, LONGEST / 4);
        if (n < c) n = c;
        nn_pool p = {.ih = 2 + (uint32_t)msfl_seeded_below(&g, 8), .iw = 2 + (uint32_t)msfl_seeded_below(&g, 8)};
        bool usual = msfl_seeded_below(&g, 2) == 0;
        bool volume = msfl_seeded_below(&g, 2) == 0;
        p.id = volume ? 2 + (uint32_t)msfl_seeded_below(&g, 3) : 1;
        p.kd = !volume ? 1 : usual ? 2 : 1 + (uint32_t)msfl_seeded_below(&g, p.id);
        p.sd = !volume ? 1 : usual ? 2 : 1 + (uint32_t)msfl_seeded_below(&g, 3);
        p.od = (p.id - p.kd) / p.sd + 1;
        p.c = (uint32_t)(c > 64 || volume ? 3 + 5 * (c % 2) : c);
        p.kh = usual ? 2 : 1 + (uint32_t)msfl_seeded_below(&g, p.ih);
        p.kw = usual ? 2 : 1 + (uint32_t)msfl_seeded_below(&g, p.iw);
        p.sh = usual ? 2 : 1 + (uint32_t)msfl_seeded_below(&g, 3);
        p.sw = usual ? 2 : 1 + (uint32_t)msfl_seeded_below(&g, 3);
        p.oh = (p.ih - p.kh) / p.sh + 1;
        p.ow = (p.iw - p.kw) / p.sw + 1;
        data first = make((uint64_t)round);
        use(tables[0], &first, n, c, &p);
        for (size_t t = 1; tables[t] != NULL; t++) {
            data other = make((uint64_t)round);
            use(tables[t], &other, n, c, &p);
            assert_memory_equal(first.x, other.x, LONGEST * sizeof(float));
            assert_memory_equal(first.y, other.y, LONGEST * sizeof(float));
            assert_memory_equal(first.dy, other.dy, LONGEST * sizeof(float));
            assert_memory_equal(first.a, other.a, LONGEST * sizeof(float));
            assert_memory_equal(first.b, other.b, LONGEST * sizeof(float));
            assert_memory_equal(first.c, other.c, LONGEST * sizeof(float));
            assert_memory_equal(first.s1, other.s1, LONGEST * sizeof(double));
            assert_memory_equal(first.s2, other.s2, LONGEST * sizeof(double));
            clear(&other);
        }
        clear(&first);
    }
    if (tables[1] == NULL) print_message("this processor has only the generic table\n");
}

/* A variance that is tiny beside the mean: what the pivot is for. */
static void moments_keep_small_variances(void **state) {
    (void)state;
    enum { N = 4096, C = 3 };
    float *x = msfl_alloc(N * C, sizeof *x), pivot[66], scratch[132];
    double s1[66], s2[66];
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "test.moments", 0, 0, 0);
    for (size_t i = 0; i < N * C; i++)
        x[i] = 1000.0f + 0.01f * (float)msfl_seeded_normal(&g);
    for (size_t k = 0; k < 66; k++)
        pivot[k] = x[k % C];
    assert_int_equal(nn_tile(C), 66);
    for (size_t t = 0; nn_kernels_all()[t] != NULL; t++) {
        nn_kernels_all()[t]->moments(x, N * C, 66, pivot, s1, s2, scratch);
        for (size_t c = 0; c < C; c++) {
            double sum = 0, squares = 0, f1 = 0, f2 = 0;
            for (size_t i = 0; i < N; i++)
                sum += (double)x[i * C + c] / N;
            for (size_t i = 0; i < N; i++)
                squares += ((double)x[i * C + c] - sum) * ((double)x[i * C + c] - sum) / N;
            for (size_t k = c; k < 66; k += C)
                f1 += s1[k], f2 += s2[k];
            double mean = (double)pivot[c] + f1 / N, variance = (f2 - f1 * f1 / N) / N;
            assert_true(fabs(mean - sum) < 1e-6 * 1000);
            assert_true(fabs(variance - squares) < 1e-4 * squares);
        }
    }
    msfl_free(x);
}

static void finite_or_not(void **state) {
    (void)state;
    float x[50] = {0};
    for (size_t t = 0; nn_kernels_all()[t] != NULL; t++) {
        const nn_kernels *k = nn_kernels_all()[t];
        x[0] = 3.4e38f, x[1] = -3.4e38f, x[2] = 1e-42f;
        assert_true(k->all_finite(x, 50));
        for (int i = 0; i < 50; i++) {
            float was = x[i];
            x[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
            assert_false(k->all_finite(x, 50));
            x[i] = was;
        }
        assert_true(k->all_finite(x, 0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables_agree), cmocka_unit_test(moments_keep_small_variances),
                                       cmocka_unit_test(finite_or_not)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
