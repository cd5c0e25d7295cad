/* Figures against values worked out by hand and against slow twins that follow the definitions word by word.
 *
 * With arguments it is the other side of tests/e2e/test_metrics.py:  eval_test_metrics FILE  where FILE holds, in
 * little-endian 32-bit words: n, classes, replicates, seed, has_groups; n x classes floats; n labels; n groups. */
#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "medsecurefl/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void close_to(double a, double b) {
    if (!(fabs(a - b) <= 1e-12)) fail_msg("%.17g is not %.17g", a, b);
}

/* Two-class rows from the probability of class 1. */
static void rows_of(const float *p, uint32_t n, float *rows) {
    for (uint32_t i = 0; i < n; i++) {
        rows[2 * i] = 1.0F - p[i];
        rows[2 * i + 1] = p[i];
    }
}

static void by_hand_two_classes(void **state) {
    (void)state;
    /* Positives score .9 .8 .5 .3, negatives .5 .4 .2 .1 .6. Pairs won: .9: 5, .8: 5, .5: 3 and a tie, .3: 2. */
    const float p[] = {0.9F, 0.8F, 0.5F, 0.3F, 0.5F, 0.4F, 0.2F, 0.1F, 0.6F};
    const uint32_t labels[] = {1, 1, 1, 1, 0, 0, 0, 0, 0};
    float rows[18];
    rows_of(p, 9, rows);
    msfl_metrics m;
    assert_int_equal(msfl_metrics_compute(rows, labels, NULL, 9, 2, 0, 1, &m), MSFL_OK);
    close_to(m.auc.value, 15.5 / 20.0);
    /* A tie of .5 and .5 goes to class 0, the first: predicted positive are .9 .8 .6. */
    assert_int_equal(m.confusion[1][1], 2);
    assert_int_equal(m.confusion[1][0], 2);
    assert_int_equal(m.confusion[0][1], 1);
    assert_int_equal(m.confusion[0][0], 4);
    close_to(m.accuracy.value, 6.0 / 9.0);
    close_to(m.sensitivity.value, 0.5);
    close_to(m.specificity.value, 0.8);
    close_to(m.balanced_accuracy.value, 0.65);
    close_to(m.f1.value, 2.0 * 2 / (2.0 * 2 + 1 + 2));
    close_to(m.auc.low, m.auc.value);
    close_to(m.auc.high, m.auc.value);
    double auc;
    assert_int_equal(msfl_auc(rows, labels, 9, 2, &auc), MSFL_OK);
    close_to(auc, m.auc.value);
}

static void by_hand_loss_and_calibration(void **state) {
    (void)state;
    /* Confidences 0.75 right, 0.75 wrong, 1 right, and 1 wrong, whose loss is cut at -log 1e-7. */
    const float rows[] = {0.25F, 0.75F, 0.75F, 0.25F, 1.0F, 0.0F, 0.0F, 1.0F};
    const uint32_t labels[] = {1, 1, 0, 0};
    msfl_metrics m;
    assert_int_equal(msfl_metrics_compute(rows, labels, NULL, 4, 2, 0, 1, &m), MSFL_OK);
    close_to(m.loss, (-log(0.75) - log(0.25) - log(1.0) - log(1e-7)) / 4.0);
    /* Bin of 0.75: gap |1 - 1.5| = 0.5; bin of 1: gap |1 - 2| = 1. */
    close_to(m.calibration, 1.5 / 4.0);
}

static void by_hand_three_classes(void **state) {
    (void)state;
    const float rows[] = {0.7F, 0.2F, 0.1F, 0.2F, 0.6F, 0.2F, 0.1F, 0.3F, 0.6F, 0.5F, 0.25F, 0.25F, 0.2F, 0.3F, 0.5F};
    const uint32_t labels[] = {0, 1, 2, 2, 1};
    msfl_metrics m;
    assert_int_equal(msfl_metrics_compute(rows, labels, NULL, 5, 3, 0, 1, &m), MSFL_OK);
    /* Class 0: .7 against .2 .1 .5 .2: 1. Class 1: .6 .3 against .2 .3 .25: 3 + 2.5 of 6.
     * Class 2: .6 .25 against .1 .2 .5: 3 + 2 of 6. */
    close_to(m.auc.value, (1.0 + 5.5 / 6.0 + 5.0 / 6.0) / 3.0);
    close_to(m.accuracy.value, 0.6);
    close_to(m.sensitivity.value, (1.0 + 0.5 + 0.5) / 3.0);
    close_to(m.balanced_accuracy.value, m.sensitivity.value);
    close_to(m.specificity.value, (3.0 / 4.0 + 1.0 + 2.0 / 3.0) / 3.0);
    close_to(m.f1.value, (2.0 / 3.0 + 2.0 / 3.0 + 0.5) / 3.0);
}

static void classes_without_samples_stay_out(void **state) {
    (void)state;
    /* Nobody has class 2, though it is called once: its specificity of 2/3 and F1 of 0 are no part of the means. */
    const float rows[] = {0.7F, 0.2F, 0.1F, 0.2F, 0.6F, 0.2F, 0.1F, 0.3F, 0.6F};
    const uint32_t labels[] = {0, 1, 1};
    msfl_metrics m;
    assert_int_equal(msfl_metrics_compute(rows, labels, NULL, 3, 3, 0, 1, &m), MSFL_OK);
    close_to(m.sensitivity.value, (1.0 + 0.5) / 2.0);
    close_to(m.balanced_accuracy.value, (1.0 + 0.5) / 2.0);
    close_to(m.specificity.value, 1.0);
    close_to(m.f1.value, (1.0 + 2.0 / 3.0) / 2.0);
    close_to(m.auc.value, 1.0);
}

static void what_is_not_defined_is_nan(void **state) {
    (void)state;
    const float p[] = {0.9F, 0.2F, 0.7F};
    const uint32_t all_sick[] = {1, 1, 1}, all_well[] = {0, 0, 0};
    float rows[6];
    rows_of(p, 3, rows);
    msfl_metrics m;
    assert_int_equal(msfl_metrics_compute(rows, all_sick, NULL, 3, 2, 200, 1, &m), MSFL_OK);
    assert_true(isnan(m.auc.value) && isnan(m.auc.low) && isnan(m.auc.high));
    assert_true(isnan(m.balanced_accuracy.value) && isnan(m.specificity.value));
    close_to(m.sensitivity.value, 2.0 / 3.0);
    close_to(m.accuracy.value, 2.0 / 3.0);
    assert_int_equal(msfl_metrics_compute(rows, all_well, NULL, 3, 2, 200, 1, &m), MSFL_OK);
    assert_true(isnan(m.auc.value) && isnan(m.sensitivity.value) && isnan(m.f1.value));
    close_to(m.specificity.value, 1.0 / 3.0);

    msfl_roc_point points[8];
    uint32_t n_points = 9;
    assert_int_equal(msfl_roc_curve(rows, all_well, 3, 2, 8, points, &n_points), MSFL_OK);
    assert_int_equal(n_points, 0);

    /* One patient: there is a figure, and no way to tell how sure it is. */
    const uint32_t mixed[] = {1, 0, 1}, one_patient[] = {7, 7, 7};
    assert_int_equal(msfl_metrics_compute(rows, mixed, one_patient, 3, 2, 200, 1, &m), MSFL_OK);
    close_to(m.auc.value, 1.0);
    assert_true(isnan(m.auc.low) && isnan(m.auc.high) && isnan(m.accuracy.low));

    /* One sick patient in ten is missing from a third of the replicates: AUC has no interval, accuracy has. */
    float ten[20], scores[10];
    uint32_t one_sick[10] = {1};
    for (int i = 0; i < 10; i++)
        scores[i] = 0.05F * (float)(11 - i);
    rows_of(scores, 10, ten);
    assert_int_equal(msfl_metrics_compute(ten, one_sick, NULL, 10, 2, 500, 1, &m), MSFL_OK);
    close_to(m.auc.value, 1.0);
    assert_true(isnan(m.auc.low) && isnan(m.auc.high));
    assert_true(m.accuracy.low <= m.accuracy.value && m.accuracy.value <= m.accuracy.high);
}

static void bad_input_is_refused(void **state) {
    (void)state;
    const float rows[] = {0.5F, 0.5F, 0.5F, 0.5F};
    float broken[] = {0.5F, 0.5F, NAN, 0.5F};
    const uint32_t labels[] = {0, 1}, beyond[] = {0, 2};
    msfl_metrics m;
    m.n = 5;
    assert_int_equal(msfl_metrics_compute(rows, labels, NULL, 0, 2, 0, 1, &m), MSFL_ERR_DATA);
    assert_int_equal(m.n, 0);
    assert_int_equal(msfl_metrics_compute(rows, beyond, NULL, 2, 2, 0, 1, &m), MSFL_ERR_DATA);
    assert_int_equal(msfl_metrics_compute(broken, labels, NULL, 2, 2, 0, 1, &m), MSFL_ERR_DATA);
    broken[2] = INFINITY;
    assert_int_equal(msfl_metrics_compute(broken, labels, NULL, 2, 2, 0, 1, &m), MSFL_ERR_DATA);
    broken[2] = -0.5F;
    assert_int_equal(msfl_metrics_compute(broken, labels, NULL, 2, 2, 0, 1, &m), MSFL_ERR_DATA);
    assert_int_equal(msfl_metrics_compute(rows, labels, NULL, 2, 1, 0, 1, &m), MSFL_ERR_LIMIT);
    assert_int_equal(msfl_metrics_compute(rows, labels, NULL, 2, MSFL_CLASSES_MAX + 1, 0, 1, &m), MSFL_ERR_LIMIT);
    assert_int_equal(msfl_metrics_compute(rows, labels, NULL, 2, 2, MSFL_BOOTSTRAP_MAX + 1, 1, &m), MSFL_ERR_LIMIT);
    msfl_roc_point points[4];
    uint32_t n;
    assert_int_equal(msfl_roc_curve(rows, labels, 2, 2, 2, points, &n), MSFL_ERR_LIMIT);
    double auc;
    assert_int_equal(msfl_auc(broken, labels, 2, 2, &auc), MSFL_ERR_DATA);
    assert_true(isnan(auc));
}

/* Softmax-like rows that carry some signal; `levels` coarse steps make many ties. */
static void draw_case(msfl_seeded *g, uint32_t n, uint32_t n_classes, uint32_t levels, float *rows, uint32_t *labels) {
    for (uint32_t i = 0; i < n; i++) {
        labels[i] = (uint32_t)msfl_seeded_below(g, n_classes);
        double weight[MSFL_CLASSES_MAX], sum = 0.0;
        for (uint32_t c = 0; c < n_classes; c++) {
            weight[c] = 1.0 + (double)msfl_seeded_below(g, levels) + (c == labels[i] ? levels * 0.5 : 0.0);
            sum += weight[c];
        }
        for (uint32_t c = 0; c < n_classes; c++)
            rows[(size_t)i * n_classes + c] = (float)(weight[c] / sum);
    }
}

/* Every pair, one by one. */
static double slow_auc(const float *rows, const uint32_t *labels, uint32_t n, uint32_t n_classes) {
    double sum = 0.0;
    uint32_t count = 0;
    for (uint32_t c = n_classes == 2 ? 1 : 0; c < n_classes; c++) {
        double won = 0.0, pairs = 0.0;
        for (uint32_t i = 0; i < n; i++) {
            for (uint32_t j = 0; j < n; j++) {
                if (labels[i] != c || labels[j] == c) continue;
                float a = rows[(size_t)i * n_classes + c], b = rows[(size_t)j * n_classes + c];
                pairs += 1.0;
                won += a > b ? 1.0 : a == b ? 0.5 : 0.0;
            }
        }
        if (pairs == 0.0) continue;
        sum += won / pairs;
        count++;
    }
    return count > 0 ? sum / count : NAN;
}

static double area_under(const msfl_roc_point *p, uint32_t n) {
    double area = 0.0;
    for (uint32_t i = 1; i < n; i++) {
        area += (p[i].false_positive_rate - p[i - 1].false_positive_rate) *
                (p[i].true_positive_rate + p[i - 1].true_positive_rate) / 2.0;
    }
    return area;
}

static void agrees_with_every_pair(void **state) {
    (void)state;
    enum { N_MAX = 120, C_MAX = 5 };
    static float rows[N_MAX * C_MAX];
    static uint32_t labels[N_MAX];
    static msfl_roc_point points[N_MAX + 1];
    msfl_seeded g;
    msfl_seeded_init(&g, 5, "test.metrics", 0, 0, 0);
    for (int round = 0; round < 300; round++) {
        uint32_t n = 1 + (uint32_t)msfl_seeded_below(&g, N_MAX);
        uint32_t n_classes = 2 + (uint32_t)msfl_seeded_below(&g, C_MAX - 1);
        uint32_t levels = round % 2 == 0 ? 3 : 1000;
        draw_case(&g, n, n_classes, levels, rows, labels);
        double expected = slow_auc(rows, labels, n, n_classes);
        msfl_metrics m;
        assert_int_equal(msfl_metrics_compute(rows, labels, NULL, n, n_classes, 0, 1, &m), MSFL_OK);
        if (isnan(expected)) {
            assert_true(isnan(m.auc.value));
            continue;
        }
        close_to(m.auc.value, expected);
        if (n_classes > 2) continue;
        uint32_t n_points;
        assert_int_equal(msfl_roc_curve(rows, labels, n, 2, N_MAX + 1, points, &n_points), MSFL_OK);
        if (!(fabs(area_under(points, n_points) - expected) < 1e-12)) fail_msg("the curve's area is not the AUC");
    }
}

static void curves_are_curves(void **state) {
    (void)state;
    enum { N = 4000, POINTS = 60 };
    static float rows[N * 4];
    static uint32_t labels[N];
    msfl_roc_point points[POINTS];
    for (uint32_t n_classes = 2; n_classes <= 4; n_classes++) {
        msfl_seeded g;
        msfl_seeded_init(&g, n_classes, "test.roc", 0, 0, 0);
        draw_case(&g, N, n_classes, 100000, rows, labels);
        uint32_t n = 0;
        assert_int_equal(msfl_roc_curve(rows, labels, N, n_classes, POINTS, points, &n), MSFL_OK);
        assert_true(n > POINTS / 2 && n <= POINTS);
        close_to(points[0].false_positive_rate, 0.0);
        close_to(points[0].true_positive_rate, 0.0);
        close_to(points[n - 1].false_positive_rate, 1.0);
        close_to(points[n - 1].true_positive_rate, 1.0);
        for (uint32_t i = 1; i < n; i++) {
            assert_true(points[i].false_positive_rate >= points[i - 1].false_positive_rate);
            assert_true(points[i].true_positive_rate >= points[i - 1].true_positive_rate);
        }
        /* A bounded number of points costs little of the area. */
        double auc;
        assert_int_equal(msfl_auc(rows, labels, N, n_classes, &auc), MSFL_OK);
        assert_true(fabs(area_under(points, n) - auc) < 0.005);
    }
}

static void intervals_repeat_and_draw_patients(void **state) {
    (void)state;
    enum { N = 600 };
    static float rows[2 * N];
    static uint32_t labels[N], patients[N], renamed[N];
    msfl_seeded g;
    msfl_seeded_init(&g, 9, "test.bootstrap", 0, 0, 0);
    /* 60 patients with ten images each that are all alike: 600 images say no more than 60. */
    for (uint32_t i = 0; i < N; i += 10) {
        draw_case(&g, 1, 2, 1000, rows + 2 * (size_t)i, labels + i);
        for (uint32_t k = 0; k < 10; k++) {
            rows[2 * (i + k)] = rows[2 * i];
            rows[2 * (i + k) + 1] = rows[2 * i + 1];
            labels[i + k] = labels[i];
            patients[i + k] = i / 10;
            renamed[i + k] = 4000000000U - i;
        }
    }
    msfl_metrics a, b, images;
    assert_int_equal(msfl_metrics_compute(rows, labels, patients, N, 2, 1000, 3, &a), MSFL_OK);
    assert_int_equal(msfl_metrics_compute(rows, labels, patients, N, 2, 1000, 3, &b), MSFL_OK);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(msfl_metrics_compute(rows, labels, NULL, N, 2, 1000, 3, &images), MSFL_OK);
    double by_patient = a.auc.high - a.auc.low, by_image = images.auc.high - images.auc.low;
    /* sqrt(10) = 3.16 times as wide. */
    assert_true(by_patient > 2.4 * by_image && by_patient < 4.2 * by_image);
    /* Names of patients do not matter but for their order, and another seed moves the ends a little. */
    assert_int_equal(msfl_metrics_compute(rows, labels, renamed, N, 2, 1000, 4, &b), MSFL_OK);
    assert_true(b.auc.low != a.auc.low);
    assert_true(fabs(b.auc.low - a.auc.low) < 0.2 * by_patient && fabs(b.auc.high - a.auc.high) < 0.2 * by_patient);
}

/* Drawing 100 cases of which half are right is a binomial, whose 2.5 and 97.5 percentiles are 40 and 60: its
 * distribution function is 0.0176 at 39 and 0.0284 at 40, 0.9716 at 59 and 0.9824 at 60, so 100,000 replicates, with a
 * standard error of 0.0005, cannot miss them. */
static void ends_are_percentiles_of_the_binomial(void **state) {
    (void)state;
    float rows[200];
    uint32_t labels[100];
    for (int i = 0; i < 100; i++) {
        labels[i] = (uint32_t)i % 2;
        rows[2 * i] = i % 4 < 2 ? 0.75F : 0.25F;
        rows[2 * i + 1] = 1.0F - rows[2 * i];
    }
    msfl_metrics m;
    assert_int_equal(msfl_metrics_compute(rows, labels, NULL, 100, 2, 100000, 1, &m), MSFL_OK);
    close_to(m.accuracy.value, 0.5);
    close_to(m.accuracy.low, 0.4);
    close_to(m.accuracy.high, 0.6);
}

/* Of many samples from a known population, about 95 % of the intervals must hold the true AUC. */
static void intervals_cover(void **state) {
    (void)state;
    enum { N = 200, TRIALS = 400 };
    float rows[2 * N];
    uint32_t labels[N];
    msfl_seeded g;
    msfl_seeded_init(&g, 11, "test.coverage", 0, 0, 0);
    /* Scores normal with means 0 and 1: AUC is Phi(1 / sqrt 2). */
    double truth = 0.5 * erfc(-0.5);
    int covered = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        for (uint32_t i = 0; i < N; i++) {
            labels[i] = i % 2;
            double score = 1.0 / (1.0 + exp(-(msfl_seeded_normal(&g) + (labels[i] == 1 ? 1.0 : 0.0))));
            rows[2 * i + 1] = (float)score;
            rows[2 * i] = (float)(1.0 - score);
        }
        msfl_metrics m;
        assert_int_equal(msfl_metrics_compute(rows, labels, NULL, N, 2, 400, (uint64_t)trial, &m), MSFL_OK);
        covered += m.auc.low <= truth && truth <= m.auc.high;
    }
    /* 0.95 with a standard error of 0.011, a little less for the percentile method at this size. */
    assert_in_range(covered, TRIALS * 90 / 100, TRIALS * 99 / 100);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    const float rows[] = {0.2F, 0.5F, 0.3F, 0.6F, 0.2F, 0.2F, 0.1F, 0.1F, 0.8F};
    const uint32_t labels[] = {0, 1, 2};
    for (long k = 1;; k++) {
        msfl_metrics m;
        msfl_roc_point points[5];
        uint32_t n = 1;
        msfl_alloc_fail_at(k);
        msfl_status first = msfl_metrics_compute(rows, labels, labels, 3, 3, 10, 1, &m);
        msfl_status second = first != MSFL_OK ? MSFL_OK : msfl_roc_curve(rows, labels, 3, 3, 5, points, &n);
        msfl_alloc_fail_at(0);
        if (first == MSFL_OK && second == MSFL_OK) {
            assert_true(k > 10);
            break;
        }
        assert_true(first == MSFL_ERR_MEMORY || second == MSFL_ERR_MEMORY);
        if (first != MSFL_OK) assert_int_equal(m.n, 0);
        if (second != MSFL_OK) assert_int_equal(n, 0);
    }
}

static void print_figure(const char *name, msfl_figure f) {
    printf("%s %.17g %.17g %.17g\n", name, f.value, f.low, f.high);
}

static int dump(const char *path) {
    uint8_t *bytes;
    size_t length;
    if (msfl_file_read(path, (size_t)1 << 28, &bytes, &length) != MSFL_OK) return 1;
    msfl_reader r = msfl_reader_init(bytes, length);
    uint32_t n = msfl_get32(&r), n_classes = msfl_get32(&r), replicates = msfl_get32(&r), seed = msfl_get32(&r);
    bool has_groups = msfl_get32(&r) != 0;
    if (msfl_reader_left(&r) != ((size_t)n * n_classes + 2 * (size_t)n) * 4) return 1;
    float *rows = msfl_alloc((size_t)n * n_classes, sizeof *rows);
    uint32_t *labels = msfl_alloc(n, sizeof *labels), *groups = msfl_alloc(n, sizeof *groups);
    msfl_roc_point *points = msfl_alloc(MSFL_ROC_POINTS_MAX, sizeof *points);
    if (rows == NULL || labels == NULL || groups == NULL || points == NULL) return 1;
    memcpy(rows, msfl_get_bytes(&r, (size_t)n * n_classes * 4), (size_t)n * n_classes * 4);
    for (uint32_t i = 0; i < n; i++)
        labels[i] = msfl_get32(&r);
    for (uint32_t i = 0; i < n; i++)
        groups[i] = msfl_get32(&r);
    static msfl_metrics m;
    uint32_t n_points;
    if (msfl_metrics_compute(rows, labels, has_groups ? groups : NULL, n, n_classes, replicates, seed, &m) != MSFL_OK ||
        msfl_roc_curve(rows, labels, n, n_classes, MSFL_ROC_POINTS_MAX, points, &n_points) != MSFL_OK) {
        fprintf(stderr, "%s\n", msfl_error_message());
        return 1;
    }
    print_figure("auc", m.auc);
    print_figure("accuracy", m.accuracy);
    print_figure("balanced_accuracy", m.balanced_accuracy);
    print_figure("sensitivity", m.sensitivity);
    print_figure("specificity", m.specificity);
    print_figure("f1", m.f1);
    printf("loss %.17g\ncalibration %.17g\n", m.loss, m.calibration);
    printf("roc_area %.17g %u\n", area_under(points, n_points), n_points);
    for (uint32_t t = 0; t < n_classes; t++) {
        printf("confusion");
        for (uint32_t c = 0; c < n_classes; c++)
            printf(" %u", m.confusion[t][c]);
        printf("\n");
    }
    msfl_free(rows);
    msfl_free(labels);
    msfl_free(groups);
    msfl_free(points);
    msfl_free(bytes);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1) return dump(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand_two_classes),
        cmocka_unit_test(by_hand_loss_and_calibration),
        cmocka_unit_test(by_hand_three_classes),
        cmocka_unit_test(classes_without_samples_stay_out),
        cmocka_unit_test(what_is_not_defined_is_nan),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(agrees_with_every_pair),
        cmocka_unit_test(curves_are_curves),
        cmocka_unit_test(intervals_repeat_and_draw_patients),
        cmocka_unit_test(ends_are_percentiles_of_the_binomial),
        cmocka_unit_test(intervals_cover),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
