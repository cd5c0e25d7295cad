/* Samples by the names of their files. */
#include "base/error.h"
#include "base/mem.h"
#include "import/sequences.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct file {
    const char *path, *folder;
} file;

static msfl_scan scan_of(const file *files, size_t n) {
    msfl_scan scan = {.root = msfl_strdup("data")};
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(msfl_texts_add(&scan.paths, files[i].path, strlen(files[i].path)), MSFL_OK);
        assert_int_equal(msfl_texts_add(&scan.classes, files[i].folder, strlen(files[i].folder)), MSFL_OK);
    }
    return scan;
}

static const msfl_recipe two = {.n_sequences = 2, .sequences = {"T1c", "FLAIR"}};

static void assert_row(const msfl_labels *t, uint32_t row, const char *const *cells) {
    for (uint32_t c = 0; c < msfl_csv_columns(t->table); c++)
        assert_string_equal(msfl_csv_cell(t->table, row, c), cells[c]);
}

static void names_tell_samples_patients_classes(void **state) {
    (void)state;
    static const file files[] = {{"HGG/a/a_flair.nii.gz", "HGG"},
                                 {"HGG/a/a_seg.nii.gz", "HGG"},
                                 {"HGG/a/a_t1.nii.gz", "HGG"}, /* not of the recipe */
                                 {"HGG/a/a_t1ce.nii.gz", "HGG"},
                                 {"HGG/x-00012-003/x-00012-003-T2F.nii", "HGG"},
                                 {"HGG/x-00012-003/x-00012-003-t1c.nii", "HGG"},
                                 {"LGG/flat-1_t1gd.dcm", "LGG"},
                                 {"LGG/flat-10_t1gd.dcm", "LGG"},
                                 {"LGG/flat-1_flair.dcm", "LGG"},
                                 {"LGG/flair.nii", "LGG"}, /* a sequence of nothing */
                                 {"LGG/_t1c.nii", "LGG"},
                                 {"LGG/two.words-t1c", "LGG"},
                                 {"LGG/t1c-", "LGG"}};
    msfl_scan scan = scan_of(files, sizeof files / sizeof files[0]);
    msfl_labels t = {0};
    assert_int_equal(msfl_sequences_table(&scan, &two, "seg", &t), MSFL_OK);
    assert_int_equal(msfl_csv_columns(t.table), 5);
    assert_int_equal(t.patient, 3);
    assert_row(&t, 0,
               (const char *[]){"HGG/a/a_t1ce.nii.gz", "HGG/a/a_flair.nii.gz", "HGG/a/a_seg.nii.gz", "a", "HGG"});
    assert_row(&t, 1,
               (const char *[]){"HGG/x-00012-003/x-00012-003-t1c.nii", "HGG/x-00012-003/x-00012-003-T2F.nii", "",
                                "x-00012", "HGG"});
    assert_row(&t, 2, (const char *[]){"LGG/flat-1_t1gd.dcm", "LGG/flat-1_flair.dcm", "", "flat-1", "LGG"});
    assert_row(&t, 3, (const char *[]){"LGG/flat-10_t1gd.dcm", "", "", "flat-10", "LGG"});
    msfl_labels_clear(&t);
    msfl_scan_clear(&scan);
}

static void folders_of_one_sample_are_no_classes(void **state) {
    (void)state;
    static const file files[] = {{"a/a_flair.nii", "a"}, {"a/a_t1c.nii", "a"}, {"b, \"c\"\n/b_t1c.nii", "b, \"c\"\n"}};
    msfl_scan scan = scan_of(files, 3);
    msfl_labels t = {0};
    assert_int_equal(msfl_sequences_table(&scan, &two, NULL, &t), MSFL_OK);
    assert_int_equal(msfl_csv_rows(t.table), 2);
    assert_row(&t, 0, (const char *[]){"a/a_t1c.nii", "a/a_flair.nii", "a", "all"});
    assert_row(&t, 1, (const char *[]){"b, \"c\"\n/b_t1c.nii", "", "b", "all"});
    msfl_labels_clear(&t);
    msfl_scan_clear(&scan);
}

static void what_is_unclear_is_refused(void **state) {
    (void)state;
    static const file twice[] = {{"a/a_t1c.nii", "a"}, {"a/a_t1ce.nii", "a"}}, none[] = {{"a/scan.nii", "a"}};
    msfl_labels t = {0};
    msfl_scan scan = scan_of(twice, 2);
    assert_int_equal(msfl_sequences_table(&scan, &two, NULL, &t), MSFL_ERR_DATA);
    assert_non_null(strstr(msfl_error_message(), "both look like 'T1c'"));
    msfl_scan_clear(&scan);
    scan = scan_of(none, 1);
    assert_int_equal(msfl_sequences_table(&scan, &two, NULL, &t), MSFL_ERR_DATA);
    assert_null(t.table);
    msfl_scan_clear(&scan);
}

static void lack_of_memory(void **state) {
    (void)state;
    static const file files[] = {{"a/a_flair.nii", "a"}, {"a/a_t1c.nii", "a"}, {"b/b_t1c.nii", "b"}};
    msfl_scan scan = scan_of(files, 3);
    for (long k = 1;; k++) {
        msfl_labels t = {0};
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_sequences_table(&scan, &two, NULL, &t);
        msfl_alloc_fail_at(0);
        msfl_labels_clear(&t);
        if (status == MSFL_OK) {
            assert_true(k > 3);
            break;
        }
        assert_int_equal(status, MSFL_ERR_MEMORY);
    }
    msfl_scan_clear(&scan);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_tell_samples_patients_classes),
                                       cmocka_unit_test(folders_of_one_sample_are_no_classes),
                                       cmocka_unit_test(what_is_unclear_is_refused), cmocka_unit_test(lack_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
