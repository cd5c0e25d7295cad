/* NumPy headers and archives: what is refused, with which words, and that no promise is believed. */
#include "base/mem.h"
#include "image/npz.h"
#include "medsecurefl/status.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include "archive.h"

#include <cmocka.h>

static msfl_status parse(const char *header, msfl_npy *out) {
    static uint8_t bytes[70000];
    size_t n = make_npy(bytes, header, NULL, 0);
    return msfl_npy_parse("t", bytes, n, out);
}

#define HEAD(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }"

static void headers_that_numpy_writes(void **state) {
    (void)state;
    msfl_npy a;
    assert_int_equal(parse(HEAD("'|u1'", "False", "(3, 4, 5)"), &a), MSFL_OK);
    assert_true(a.kind == 'u' && a.item_bytes == 1 && !a.big_endian && !a.fortran && a.n_dims == 3);
    assert_true(a.dims[0] == 3 && a.dims[2] == 5 && a.n_items == 60 && a.data_bytes == 60);
    assert_int_equal(parse(HEAD("'>f8'", "True", "(7,)"), &a), MSFL_OK);
    assert_true(a.kind == 'f' && a.item_bytes == 8 && a.big_endian && a.fortran && a.n_items == 7);
    assert_int_equal(parse(HEAD("'<i4'", "False", "()"), &a), MSFL_OK);
    assert_true(a.n_dims == 0 && a.n_items == 1);
    assert_int_equal(parse(HEAD("'<U12'", "False", "(2,)"), &a), MSFL_OK);
    assert_true(a.kind == 'U' && a.item_bytes == 48);
    assert_int_equal(parse(HEAD("'|S5'", "False", "(2,)"), &a), MSFL_OK);
    assert_int_equal(parse(HEAD("'|b1'", "False", "(2L, 3L)"), &a), MSFL_OK);
    assert_true(a.n_items == 6);
    assert_int_equal(parse(HEAD("'|u1'", "False", "(0, 64)"), &a), MSFL_OK);
    assert_true(a.n_items == 0);
}

static void types_refused_by_name(void **state) {
    (void)state;
    msfl_npy a;
    assert_int_equal(parse(HEAD("'|O'", "False", "(3,)"), &a), MSFL_ERR_UNSUPPORTED);
    assert_non_null(strstr(msfl_error_message(), "pickled"));
    assert_int_equal(parse(HEAD("[('a', '<f4')]", "False", "(3,)"), &a), MSFL_ERR_UNSUPPORTED);
    assert_non_null(strstr(msfl_error_message(), "structured"));
    static const char *const types[] = {"'<c8'", "'<M8[ns]'", "'|V8'",    "'<f16'", "'<u3'",
                                        "'|b8'", "'|S0'",     "'<U5000'", "''"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char header[200];
        snprintf(header, sizeof header, "{'descr': %s, 'fortran_order': False, 'shape': (3,), }", types[i]);
        assert_int_equal(parse(header, &a), MSFL_ERR_UNSUPPORTED);
    }
}

static void headers_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "{}",
        "[]",
        "{'descr': '|u1', 'fortran_order': False}",
        "{'descr': '|u1', 'fortran_order': 0, 'shape': (3,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': 3, }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3, }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-3,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3 4), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), } x",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), 'shape': (4,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), 'more': 1, }",
        "{'descr': '|u1' 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '|u1",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,), }",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        msfl_npy a = {.kind = 'x'};
        assert_int_equal(parse(bad[i], &a), MSFL_ERR_FORMAT);
        assert_int_equal(a.kind, 'x');
    }
    msfl_npy a;
    assert_int_equal(parse(HEAD("'|u1'", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), &a), MSFL_ERR_LIMIT);
    assert_int_equal(parse(HEAD("'<f8'", "False", "(4294967296, 4294967296)"), &a), MSFL_ERR_LIMIT);
    assert_int_equal(parse(HEAD("'<f8'", "False", "(0, 4294967296, 4294967296)"), &a), MSFL_ERR_LIMIT);
    assert_int_equal(parse(HEAD("'<f8'", "False", "(1152921504606846976, 2)"), &a), MSFL_ERR_LIMIT);
}

static void numbers_and_texts(void **state) {
    (void)state;
    char text[MSFL_NPY_TEXT_BYTES];
    const msfl_npy i2 = {.kind = 'i', .item_bytes = 2, .big_endian = true};
    assert_true(msfl_npy_number(&i2, (const uint8_t *)"\xff\xfe") == -2);
    msfl_npy_text(&i2, (const uint8_t *)"\xff\xfe", text);
    assert_string_equal(text, "-2");
    const msfl_npy u8 = {.kind = 'u', .item_bytes = 8};
    msfl_npy_text(&u8, (const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff", text);
    assert_string_equal(text, "18446744073709551615");
    const msfl_npy f2 = {.kind = 'f', .item_bytes = 2};
    assert_true(msfl_npy_number(&f2, (const uint8_t *)"\x00\x3e") == 1.5);
    assert_true(msfl_npy_number(&f2, (const uint8_t *)"\x01\x80") == -ldexp(1, -24));
    assert_true(isinf(msfl_npy_number(&f2, (const uint8_t *)"\x00\x7c")));
    assert_true(isnan(msfl_npy_number(&f2, (const uint8_t *)"\x01\x7c")));
    const msfl_npy f4 = {.kind = 'f', .item_bytes = 4, .big_endian = true};
    assert_true(msfl_npy_number(&f4, (const uint8_t *)"\x40\x40\x00\x00") == 3);
    msfl_npy_text(&f4, (const uint8_t *)"\x40\x40\x00\x00", text);
    assert_string_equal(text, "3");
    const msfl_npy s4 = {.kind = 'S', .item_bytes = 4};
    msfl_npy_text(&s4, (const uint8_t *)"ab\0\0", text);
    assert_string_equal(text, "ab");
    msfl_npy_text(&s4, (const uint8_t *)"abcd", text);
    assert_string_equal(text, "abcd");
    const msfl_npy u3 = {.kind = 'U', .item_bytes = 12};
    msfl_npy_text(&u3, (const uint8_t *)"A\0\0\0\xe9\0\0\0\xac\x20\0\0", text);
    assert_string_equal(text, "A\xc3\xa9\xe2\x82\xac");
    msfl_npy_text(&u3, (const uint8_t *)"\x00\xf6\x01\0\xff\xff\xff\xff\0\xd8\0\0", text);
    assert_string_equal(text, "\xf0\x9f\x98\x80??");
}

static const uint8_t pixels[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static msfl_status read_x(const archive *a) {
    msfl_npz *npz;
    msfl_status status = msfl_npz_open_bytes("t.npz", a->at, a->n, &npz);
    if (status != MSFL_OK) return status;
    size_t index;
    assert_true(msfl_npz_find(npz, "x", &index));
    uint8_t *data;
    status = msfl_npz_data(npz, index, 1 << 20, &data);
    if (status == MSFL_OK) assert_memory_equal(data, pixels, 12);
    msfl_free(data);
    msfl_npz_free(npz);
    return status;
}

static void good_archives(void **state) {
    (void)state;
    for (int deflate_it = 0; deflate_it < 2; deflate_it++) {
        archive a = {0};
        add_array(&a, "y.npy", "'|u1'", "(3,)", pixels, 3, deflate_it != 0);
        add_array(&a, "x.npy", "'|u1'", "(3, 2, 2)", pixels, 12, deflate_it != 0);
        archive_end(&a);
        assert_int_equal(read_x(&a), MSFL_OK);
    }
}

static void directories_that_lie(void **state) {
    (void)state;
    for (int deflate_it = 0; deflate_it < 2; deflate_it++) {
        for (int lie = 0; lie < 9; lie++) {
            archive a = {0};
            add_array(&a, "x.npy", "'|u1'", "(3, 2, 2)", pixels, 12, deflate_it != 0);
            switch (lie) {
            case 0:
                a.entries[0].size = 0x7fffffff;
                break;
            case 1:
                a.entries[0].size += 1;
                break;
            case 2:
                a.entries[0].size -= 1;
                break;
            case 3:
                a.entries[0].packed = 0x7fffffff;
                break;
            case 4:
                a.entries[0].packed -= 5;
                break;
            case 5:
                a.entries[0].crc ^= 1;
                break;
            case 6:
                a.entries[0].offset = 0x10000000;
                break;
            case 7:
                a.entries[0].method ^= 8;
                break;
            default:
                /* The same bytes twice, as a bomb of overlapping entries does. */
                a.entries[1] = a.entries[0];
                a.entries[1].name[0] = 'z';
                a.entries[1].packed += 100;
                a.n_entries = 2;
            }
            archive_end(&a);
            msfl_status status = read_x(&a);
            assert_true(status == MSFL_ERR_FORMAT || status == MSFL_ERR_LIMIT);
        }
    }
}

static void headers_that_lie(void **state) {
    (void)state;
    static const char *const shapes[] = {"(3, 2, 3)", "(3, 2, 1)", "(1000000, 2, 2)", "(3, 0, 2)",
                                         "(9223372036854775807,)"};
    for (size_t i = 0; i < 5; i++) {
        archive a = {0};
        add_array(&a, "x.npy", "'|u1'", shapes[i], pixels, 12, true);
        archive_end(&a);
        assert_int_equal(read_x(&a), MSFL_ERR_FORMAT);
        assert_non_null(strstr(msfl_error_message(), "promises"));
    }
    archive a = {0};
    add_entry(&a, "x.npy", "not an array at all", 19, false);
    archive_end(&a);
    assert_int_equal(read_x(&a), MSFL_ERR_FORMAT);
    archive b = {0};
    add_entry(&b, "x.npy", "\x93NUMPY", 6, false);
    archive_end(&b);
    assert_int_equal(read_x(&b), MSFL_ERR_FORMAT);
}

static void other_compressions_and_encryption(void **state) {
    (void)state;
    archive a = {0};
    add_array(&a, "x.npy", "'|u1'", "(3, 2, 2)", pixels, 12, false);
    a.entries[0].method = 12;
    archive_end(&a);
    assert_int_equal(read_x(&a), MSFL_ERR_UNSUPPORTED);
    assert_non_null(strstr(msfl_error_message(), "compression method 12"));
}

static void cut_and_flipped(void **state) {
    (void)state;
    archive a = {0};
    add_array(&a, "y.npy", "'|u1'", "(3,)", pixels, 3, true);
    add_array(&a, "x.npy", "'|u1'", "(3, 2, 2)", pixels, 12, true);
    archive_end(&a);
    for (size_t n = 0; n < a.n; n++) {
        archive cut = a;
        cut.n = n;
        assert_true(read_x(&cut) != MSFL_OK);
    }
    for (size_t bit = 0; bit < 8 * a.n; bit++) {
        archive flipped = a;
        flipped.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        msfl_npz *npz;
        if (msfl_npz_open_bytes("t.npz", flipped.at, flipped.n, &npz) != MSFL_OK) continue;
        for (size_t i = 0; i < msfl_npz_n(npz); i++) {
            uint8_t *data;
            if (msfl_npz_data(npz, i, 1 << 20, &data) == MSFL_OK) msfl_free(data);
        }
        msfl_npz_free(npz);
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    archive a = {0};
    add_array(&a, "x.npy", "'|u1'", "(3, 2, 2)", pixels, 12, true);
    archive_end(&a);
    msfl_status status = MSFL_ERR_MEMORY;
    long k = 1;
    for (; status != MSFL_OK; k++) {
        msfl_alloc_fail_at(k);
        status = read_x(&a);
        msfl_alloc_fail_at(0);
        assert_true(status == MSFL_OK || status == MSFL_ERR_MEMORY);
    }
    assert_true(k > 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_that_numpy_writes),
        cmocka_unit_test(types_refused_by_name),
        cmocka_unit_test(headers_refused),
        cmocka_unit_test(numbers_and_texts),
        cmocka_unit_test(good_archives),
        cmocka_unit_test(directories_that_lie),
        cmocka_unit_test(headers_that_lie),
        cmocka_unit_test(other_compressions_and_encryption),
        cmocka_unit_test(cut_and_flipped),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
