/* Many texts, words and paths against the plain way: an array of strings. */
#include "base/mem.h"
#include "dataset/paths.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 4000, LONG = 1 << 16 };

/* Repeated ones, empty ones, and some that are as long as a cell of a table may be. */
static char *text_of(size_t i) {
    static char text[LONG + 1];
    if (i % 1000 == 999) {
        memset(text, 'a' + (char)(i / 1000), LONG);
        text[LONG] = 0;
    } else if (i % 7 == 0) {
        text[0] = 0;
    } else if (i % 3 == 0) {
        snprintf(text, sizeof text, "class %zu", i % 2);
    } else {
        snprintf(text, sizeof text, "%zu-%0*zu", i, (int)(i % 60) + 1, i * 7919);
    }
    return text;
}

static void texts_come_back(void **state) {
    (void)state;
    msfl_texts texts = {0};
    for (size_t i = 0; i < N; i++)
        assert_int_equal(msfl_texts_add(&texts, text_of(i), strlen(text_of(i))), MSFL_OK);
    assert_int_equal(texts.n, N);
    for (size_t i = 0; i < N; i++)
        assert_string_equal(msfl_texts_get(&texts, i), text_of(i));
    msfl_texts_clear(&texts);
    static char longer[(1 << 17) + 1];
    assert_int_equal(msfl_texts_add(&texts, longer, sizeof longer), MSFL_ERR_LIMIT);
    assert_int_equal(texts.n, 0);
    msfl_texts_clear(&texts);
}

/* What is one text of a few costs four bytes each; names of files little more than their letters. */
static void repeated_texts_are_kept_once(void **state) {
    (void)state;
    enum { MANY = 100000 };
    msfl_texts texts = {0};
    uint64_t before = msfl_alloc_bytes();
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(msfl_texts_add(&texts,
                                        i % 3 == 0   ? "pneumonia"
                                        : i % 3 == 1 ? "normal"
                                                     : "",
                                        i % 3 == 0   ? 9
                                        : i % 3 == 1 ? 6
                                                     : 0),
                         MSFL_OK);
    assert_true(msfl_alloc_bytes() - before < 5 * MANY);
    assert_string_equal(msfl_texts_get(&texts, 3), "pneumonia");
    assert_string_equal(msfl_texts_get(&texts, MANY - 2), "");
    msfl_texts_clear(&texts);
    assert_true(msfl_alloc_bytes() == before);
    msfl_paths paths = {0};
    char path[128];
    for (size_t i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, "/a/folder/that/has/quite/a/long/name/for/tests/%03zu/%06zu.dcm", i / 1000, i);
        assert_int_equal(msfl_paths_add(&paths, path), MSFL_OK);
    }
    assert_true(msfl_alloc_bytes() - before < 18 * MANY); /* 11 of the name, 4 of its place */
    msfl_paths_clear(&paths);
}

static void words_are_numbered(void **state) {
    (void)state;
    msfl_words words = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < 3000; i++) {
            char text[32];
            uint32_t number = UINT32_MAX;
            snprintf(text, sizeof text, "%u", i * 7919);
            assert_int_equal(msfl_words_add(&words, text, &number), MSFL_OK);
            assert_int_equal(number, i);
            assert_string_equal(msfl_words_get(&words, number), text);
        }
    }
    assert_int_equal(words.texts.n, 3000);
    msfl_words_clear(&words);
}

static void paths_come_back(void **state) {
    (void)state;
    static const char *const some[] = {"a",      "/a",  "a/b",   "/x/y/a", "/x/y/b", "/x/z/a",
                                       "/x/y/c", "//q", "/x/y/", "",       "a/b",    "b"};
    enum { SOME = sizeof some / sizeof some[0] };
    msfl_paths paths = {0};
    for (size_t i = 0; i < SOME; i++)
        assert_int_equal(msfl_paths_add(&paths, some[i]), MSFL_OK);
    for (size_t i = 0; i < SOME; i++) {
        char *path = msfl_paths_get(&paths, i);
        assert_string_equal(path, some[i]);
        msfl_free(path);
    }
    msfl_paths_clear(&paths);
    uint64_t before = msfl_alloc_bytes();
    msfl_status status = MSFL_ERR_MEMORY;
    long k = 1;
    for (; status != MSFL_OK; k++) {
        msfl_alloc_fail_at(k);
        status = MSFL_OK;
        for (size_t i = 0; i < SOME && status == MSFL_OK; i++)
            status = msfl_paths_add(&paths, some[i]);
        msfl_alloc_fail_at(0);
        msfl_paths_clear(&paths);
        assert_true(msfl_alloc_bytes() == before && k < 100);
    }
    assert_true(k > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts_come_back),
                                       cmocka_unit_test(repeated_texts_are_kept_once),
                                       cmocka_unit_test(words_are_numbered), cmocka_unit_test(paths_come_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
