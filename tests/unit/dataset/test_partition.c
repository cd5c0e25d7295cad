/* Phantom images, splits, partitions: patients stay whole, nothing is lost, and one seed gives one result. */
#include "base/mem.h"
#include "medsecurefl/dataset.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 600 };

static msfl_dataset *open_phantom(uint64_t seed, uint32_t n, uint32_t n_threads) {
    msfl_dataset_options o = {.seed = seed, .phantom_images = n, .n_threads = n_threads, .width = 16, .height = 16};
    msfl_dataset *set = NULL;
    assert_int_equal(msfl_dataset_open("phantom", &o, &set), MSFL_OK);
    return set;
}

static int setup(void **state) {
    *state = open_phantom(3, N, 2);
    return 0;
}

static int teardown(void **state) {
    msfl_dataset_free(*state);
    return 0;
}

/* Every list sorted, no image in two lists, no patient in two lists; returns how many images there are in all. */
static uint32_t check_lists(const msfl_dataset *set, const msfl_indices *lists, uint32_t n_lists) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    int *owner = calloc(info->n_groups, sizeof *owner);
    char *seen = calloc(info->n_images, 1);
    uint32_t n = 0;
    for (uint32_t c = 0; c < n_lists; c++) {
        for (uint32_t i = 0; i < lists[c].n; i++, n++) {
            uint32_t image = lists[c].at[i];
            if (i > 0) assert_true(lists[c].at[i - 1] < image);
            assert_int_equal(seen[image], 0);
            seen[image] = 1;
            int *o = &owner[msfl_dataset_group(set, image)];
            assert_true(*o == 0 || *o == (int)c + 1);
            *o = (int)c + 1;
        }
    }
    free(owner);
    free(seen);
    return n;
}

static void phantom_is_one_set_per_seed(void **state) {
    msfl_dataset *a = *state, *b = open_phantom(3, N, 1), *c = open_phantom(4, N, 1);
    const msfl_dataset_info *info = msfl_dataset_info_borrow(a);
    assert_string_equal(info->kind, "phantom");
    assert_true(info->synthetic);
    assert_int_equal(info->n_images, N);
    assert_int_equal(info->n_classes, 2);
    assert_string_equal(msfl_dataset_class_name(a, 0), "normal");
    assert_string_equal(msfl_dataset_class_name(a, 1), "opacity");
    assert_null(msfl_dataset_class_name(a, 2));
    assert_true(info->n_groups < N && info->n_groups > N / 5);
    uint8_t p[256], q[256];
    bool differs = false;
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(msfl_dataset_label(a, i), msfl_dataset_label(b, i));
        msfl_dataset_preview(a, i, p);
        msfl_dataset_preview(b, i, q);
        assert_memory_equal(p, q, sizeof p);
        msfl_dataset_preview(c, i, q);
        differs |= memcmp(p, q, sizeof p) != 0;
    }
    assert_true(differs);
    msfl_dataset_free(b);
    msfl_dataset_free(c);
}

static void split_keeps_patients_whole(void **state) {
    const msfl_dataset *set = *state;
    msfl_split s, again, other;
    assert_int_equal(msfl_dataset_split(set, 0.2, 0.1, 5, &s), MSFL_OK);
    assert_int_equal(msfl_dataset_split(set, 0.2, 0.1, 5, &again), MSFL_OK);
    assert_int_equal(msfl_dataset_split(set, 0.2, 0.1, 6, &other), MSFL_OK);
    msfl_indices parts[3] = {s.train, s.validation, s.test};
    assert_int_equal(check_lists(set, parts, 3), N);
    assert_int_equal(s.test.n, again.test.n);
    assert_memory_equal(s.test.at, again.test.at, s.test.n * sizeof *s.test.at);
    assert_true(other.test.n != s.test.n || memcmp(s.test.at, other.test.at, s.test.n * sizeof *s.test.at) != 0);
    assert_string_equal(s.how, "by patient (phantom)");
    /* Within one patient of the wanted size, in each class. */
    double want[3] = {0.7, 0.1, 0.2};
    uint32_t total[2] = {0};
    for (uint32_t i = 0; i < N; i++)
        total[msfl_dataset_label(set, i)]++;
    for (int p = 0; p < 3; p++) {
        uint32_t count[2] = {0};
        for (uint32_t i = 0; i < parts[p].n; i++)
            count[msfl_dataset_label(set, parts[p].at[i])]++;
        for (int k = 0; k < 2; k++)
            assert_true(fabs(count[k] - want[p] * total[k]) <= 5);
    }
    msfl_split_clear(&s);
    msfl_split_clear(&again);
    msfl_split_clear(&other);
}

static void split_refuses_nonsense(void **state) {
    msfl_split s;
    assert_int_equal(msfl_dataset_split(*state, 0.6, 0.4, 1, &s), MSFL_ERR_USAGE);
    assert_int_equal(msfl_dataset_split(*state, -0.1, 0.4, 1, &s), MSFL_ERR_USAGE);
    assert_int_equal(msfl_dataset_split(*state, (double)NAN, 0.4, 1, &s), MSFL_ERR_USAGE);
    assert_int_equal(msfl_dataset_split(*state, 0, 0, 1, &s), MSFL_OK);
    assert_int_equal(s.train.n, N);
    assert_int_equal(s.test.n, 0);
    msfl_split_clear(&s);
}

static msfl_indices all_images(void) {
    msfl_indices all = {msfl_alloc(N, sizeof(uint32_t)), N};
    for (uint32_t i = 0; i < N; i++)
        all.at[i] = i;
    return all;
}

static void partitions_keep_patients_whole(void **state) {
    static const char *const specs[] = {"iid", "dirichlet:0.5", "dirichlet:100", "quantity:1", "by-group"};
    msfl_indices all = all_images();
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        for (uint32_t n = 1; n <= 20; n += 6) {
            msfl_indices lists[20];
            assert_int_equal(msfl_dataset_partition(*state, &all, specs[i], n, 1, 9, lists), MSFL_OK);
            assert_int_equal(check_lists(*state, lists, n), N);
            for (uint32_t c = 0; c < n; c++) {
                assert_true(lists[c].n >= 1);
                msfl_indices_clear(&lists[c]);
            }
        }
    }
    msfl_indices_clear(&all);
}

/* Total variation between a hospital's class shares and the whole set's, averaged over hospitals. */
static double label_skew(const msfl_dataset *set, const msfl_indices *lists, uint32_t n) {
    double whole = 0, sum = 0;
    for (uint32_t i = 0; i < N; i++)
        whole += msfl_dataset_label(set, i) / (double)N;
    for (uint32_t c = 0; c < n; c++) {
        double share = 0;
        for (uint32_t i = 0; i < lists[c].n; i++)
            share += msfl_dataset_label(set, lists[c].at[i]) / (double)lists[c].n;
        sum += fabs(share - whole) / n;
    }
    return sum;
}

static double size_skew(const msfl_indices *lists, uint32_t n) {
    double sum = 0;
    for (uint32_t c = 0; c < n; c++)
        sum += fabs(lists[c].n / (double)N - 1.0 / n);
    return sum;
}

static void specs_do_what_they_say(void **state) {
    static const char *const specs[] = {"iid", "dirichlet:0.2", "dirichlet:1000", "quantity:0.3", "quantity:1000"};
    enum { N_SPECS = 5, CLIENTS = 6, SEEDS = 8 };
    double labels[N_SPECS] = {0}, sizes[N_SPECS] = {0};
    msfl_indices all = all_images();
    for (int i = 0; i < N_SPECS; i++) {
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            msfl_indices lists[CLIENTS];
            assert_int_equal(msfl_dataset_partition(*state, &all, specs[i], CLIENTS, 2, seed, lists), MSFL_OK);
            labels[i] += label_skew(*state, lists, CLIENTS) / SEEDS;
            sizes[i] += size_skew(lists, CLIENTS) / SEEDS;
            for (int c = 0; c < CLIENTS; c++)
                msfl_indices_clear(&lists[c]);
        }
    }
    assert_true(labels[0] < 0.06 && sizes[0] < 0.02);
    assert_true(labels[1] > 0.2);
    assert_true(labels[2] < 0.05 && sizes[2] < 0.1);
    assert_true(sizes[3] > 0.5 && labels[3] < 0.15);
    assert_true(sizes[4] < 0.1);
    msfl_indices_clear(&all);
}

static void partition_refuses_nonsense(void **state) {
    static const char *const bad[] = {"",
                                      "IID",
                                      "dirichlet",
                                      "dirichlet:",
                                      "dirichlet:x",
                                      "dirichlet:0",
                                      "dirichlet:-1",
                                      "dirichlet:nan",
                                      "dirichlet:1e9",
                                      "quantity:0.5x",
                                      "by-groups"};
    msfl_indices all = all_images(), lists[4];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(msfl_dataset_partition(*state, &all, bad[i], 4, 1, 1, lists), MSFL_ERR_USAGE);
    assert_int_equal(msfl_dataset_partition(*state, &all, NULL, 4, 1, 1, lists), MSFL_ERR_USAGE);
    assert_int_equal(msfl_dataset_partition(*state, &all, "iid", 0, 1, 1, lists), MSFL_ERR_USAGE);
    assert_int_equal(msfl_dataset_partition(*state, &all, "iid", 1001, 1, 1, lists), MSFL_ERR_USAGE);
    assert_int_equal(msfl_dataset_partition(*state, &all, "iid", 4, 200, 1, lists), MSFL_ERR_DATA);
    assert_non_null(strstr(msfl_error_message(), "of 4 has"));
    assert_int_equal(msfl_dataset_partition(*state, &all, "dirichlet:0.001", 4, 100, 1, lists), MSFL_ERR_DATA);
    assert_non_null(strstr(msfl_error_message(), "larger alpha"));
    all.at[1] = 0;
    assert_int_equal(msfl_dataset_partition(*state, &all, "iid", 4, 1, 1, lists), MSFL_ERR_USAGE);
    all.at[1] = N;
    assert_int_equal(msfl_dataset_partition(*state, &all, "iid", 4, 1, 1, lists), MSFL_ERR_USAGE);
    msfl_indices_clear(&all);
}

static void thousand_hospitals(void **state) {
    (void)state;
    msfl_dataset *set = open_phantom(1, 6000, 2);
    msfl_indices all = {msfl_alloc(6000, sizeof(uint32_t)), 6000};
    for (uint32_t i = 0; i < 6000; i++)
        all.at[i] = i;
    static msfl_indices lists[1000];
    assert_int_equal(msfl_dataset_partition(set, &all, "iid", 1000, 3, 1, lists), MSFL_OK);
    assert_int_equal(check_lists(set, lists, 1000), 6000);
    for (int c = 0; c < 1000; c++)
        msfl_indices_clear(&lists[c]);
    msfl_indices_clear(&all);
    msfl_dataset_free(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phantom_is_one_set_per_seed), cmocka_unit_test(split_keeps_patients_whole),
        cmocka_unit_test(split_refuses_nonsense),      cmocka_unit_test(partitions_keep_patients_whole),
        cmocka_unit_test(specs_do_what_they_say),      cmocka_unit_test(partition_refuses_nonsense),
        cmocka_unit_test(thousand_hospitals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
