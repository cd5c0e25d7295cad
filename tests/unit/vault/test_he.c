#include "common.h"

#include <math.h>

static const char *const schemes[] = {"bfv", "paillier", "ckks"};

static bool is_here(const char *name) {
    const msfl_scheme *s;
    return msfl_scheme_find(name, &s) == MSFL_OK && (msfl_scheme_traits(s) & MSFL_SCHEME_KEY_PAIR) != 0;
}

static void the_worked_example(void **state) {
    for (size_t i = 0; i < 3; i++) {
        if (!is_here(schemes[i])) continue;
        const char *folder = at(*state, schemes[i]);
        msfl_key_spec spec = small_spec(schemes[i]);
        msfl_he *he, *public, *both;
        ok(msfl_he_new(schemes[i], &spec, &he));
        ok(msfl_he_save_keys(he, folder, PASSPHRASE));
        assert_int_equal(msfl_he_save_keys(he, folder, PASSPHRASE), MSFL_ERR_EXISTS);
        ok(msfl_he_load_keys(folder, NULL, &public));
        ok(msfl_he_load_keys(folder, PASSPHRASE, &both));
        assert_true(msfl_he_can_encrypt(public) && !msfl_he_can_decrypt(public));
        assert_true(msfl_he_can_encrypt(both) && msfl_he_can_decrypt(both));

        msfl_he_vector *a, *b, *c;
        const float x[2] = {0.5f, -0.2f}, y[2] = {0.1f, 0.3f};
        ok(msfl_he_encrypt_weights(public, x, 2, &a));
        ok(msfl_he_encrypt_weights(public, y, 2, &b));
        ok(msfl_he_vector_save(b, at(*state, "b.msc")));
        assert_int_equal(msfl_he_vector_save(b, at(*state, "b.msc")), MSFL_ERR_EXISTS);
        ok(msfl_he_vector_load(at(*state, "b.msc"), &c));
        ok(msfl_he_add(public, a, c));
        assert_int_equal(msfl_he_add(public, a, b), MSFL_ERR_EXISTS); /* it is in already, as c */
        assert_int_equal(msfl_he_vector_addends(a), 2);
        float sum[2], mean[2], kept[3] = {1, 1, 1};
        ok(msfl_he_decrypt_weights(both, a, sum, 2));
        ok(msfl_he_decrypt_mean(he, a, mean, 2));
        /* 2 delta, delta = 16 / (2^24 - 1), and the floats' own last bits */
        assert_true(fabs(sum[0] - 0.6) < 2.1e-6 && fabs(sum[1] - 0.1) < 2.1e-6);
        assert_true(fabs(mean[0] - 0.3) < 1.1e-6 && fabs(mean[1] - 0.05) < 1.1e-6);
        assert_int_equal(msfl_he_decrypt_weights(public, a, sum, 2), MSFL_ERR_USAGE);
        assert_int_equal(msfl_he_decrypt_weights(both, a, kept, 3), MSFL_ERR_USAGE);
        assert_true(kept[0] == 0 && kept[2] == 0);
        msfl_he_vector_free(a);
        msfl_he_vector_free(b);
        msfl_he_vector_free(c);
        msfl_he_free(he);
        msfl_he_free(public);
        msfl_he_free(both);
        remove(at(*state, "b.msc"));
    }
}

static void values_that_cannot_be_sent(void **state) {
    (void)state;
    msfl_key_spec spec = small_spec("bfv");
    msfl_he *he;
    msfl_he_vector *v;
    ok(msfl_he_new("bfv", &spec, &he));
    const struct {
        float value;
        const char *says;
    } bad[] = {{NAN, "value 1"}, {INFINITY, "value 1"}, {-INFINITY, "value 1"}, {8.001f, "value 1"}, {-9, "value 1"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(msfl_he_encrypt_weights(he, (float[]){8, bad[i].value, -8}, 3, &v), MSFL_ERR_NUMERIC);
        assert_non_null(strstr(msfl_error_message(), bad[i].says));
    }
    assert_int_equal(msfl_he_encrypt_weights(he, (float[]){0}, 0, &v), MSFL_ERR_USAGE);
    msfl_he_free(he);
}

static void more_addends_than_planned(void **state) {
    (void)state;
    msfl_key_spec spec = small_spec("bfv");
    msfl_he *he;
    msfl_he_vector *sum, *v;
    ok(msfl_he_new("bfv", &spec, &he));
    float out[3];
    ok(msfl_he_encrypt_weights(he, (float[]){8, -8, 1}, 3, &sum));
    for (uint32_t i = 1; i < spec.request.n_clients; i++) {
        ok(msfl_he_encrypt_weights(he, (float[]){8, -8, 1}, 3, &v));
        ok(msfl_he_add(he, sum, v));
        msfl_he_vector_free(v);
    }
    ok(msfl_he_encrypt_weights(he, (float[]){8, -8, 1}, 3, &v));
    assert_int_equal(msfl_he_add(he, sum, v), MSFL_ERR_LIMIT);
    assert_int_equal(msfl_he_vector_addends(sum), 4);
    ok(msfl_he_decrypt_weights(he, sum, out, 3));
    assert_true(fabsf(out[0] - 32) < 1e-4f && fabsf(out[1] + 32) < 1e-4f && fabsf(out[2] - 4) < 1e-4f);
    msfl_he_vector_free(v);
    msfl_he_vector_free(sum);
    msfl_he_free(he);
}

static void schemes_without_keys_say_why(void **state) {
    (void)state;
    static const char *const names[] = {"packed", "pairwise", "plain"};
    for (size_t i = 0; i < 3; i++) {
        msfl_he *he;
        assert_int_equal(msfl_he_new(names[i], NULL, &he), MSFL_ERR_UNSUPPORTED);
        assert_null(he);
        assert_non_null(strstr(msfl_error_message(), names[i]));
    }
    msfl_he *he;
    assert_int_equal(msfl_he_new("rot13", NULL, &he), MSFL_ERR_USAGE);
}

static void another_key_and_length(void **state) {
    (void)state;
    msfl_key_spec spec = small_spec("bfv");
    msfl_he *one, *other;
    msfl_he_vector *a, *b, *c;
    ok(msfl_he_new("bfv", &spec, &one));
    ok(msfl_he_new("bfv", &spec, &other));
    ok(msfl_he_encrypt_weights(one, (float[]){1, 2}, 2, &a));
    ok(msfl_he_encrypt_weights(other, (float[]){1, 2}, 2, &b));
    ok(msfl_he_encrypt_weights(one, (float[]){1, 2, 3}, 3, &c));
    assert_int_equal(msfl_he_add(one, a, b), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_he_add(one, a, c), MSFL_ERR_MISMATCH);
    float out[2];
    assert_int_equal(msfl_he_decrypt_weights(one, b, out, 2), MSFL_ERR_MISMATCH);
    msfl_he_vector_free(a);
    msfl_he_vector_free(b);
    msfl_he_vector_free(c);
    msfl_he_free(one);
    msfl_he_free(other);
}

/* Every allocation fails once: a status, nothing lost, nothing half done. Where a failure costs nothing (a folder is
 * not synced) the whole may succeed; after many such in a row there are no allocations left to fail. */
static void out_of_memory(void **state) {
    msfl_key_spec spec = small_spec("bfv");
    const float x[2] = {0.5f, -0.2f};
    int in_a_row = 0;
    for (long k = 1; in_a_row < 10; k++) {
        msfl_he *he = NULL, *loaded = NULL;
        msfl_he_vector *a = NULL, *b = NULL;
        float out[2];
        char folder[128];
        snprintf(folder, sizeof folder, "%s/oom-%ld", (const char *)*state, k);
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_he_new("bfv", &spec, &he);
        if (status == MSFL_OK) status = msfl_he_save_keys(he, folder, PASSPHRASE);
        if (status == MSFL_OK) status = msfl_he_load_keys(folder, PASSPHRASE, &loaded);
        if (status == MSFL_OK) status = msfl_he_encrypt_weights(loaded, x, 2, &a);
        if (status == MSFL_OK) status = msfl_he_vector_save(a, at(folder, "a.msc"));
        if (status == MSFL_OK) status = msfl_he_vector_load(at(folder, "a.msc"), &b);
        if (status == MSFL_OK) {
            msfl_he_vector_free(b);
            b = NULL;
            status = msfl_he_encrypt_weights(loaded, x, 2, &b);
        }
        if (status == MSFL_OK) {
            status = msfl_he_add(loaded, a, b);
            assert_int_equal(msfl_he_vector_addends(a), status == MSFL_OK ? 2 : 1);
        }
        if (status == MSFL_OK) status = msfl_he_decrypt_weights(loaded, a, out, 2);
        msfl_alloc_fail_at(0);
        msfl_he_vector_free(a);
        msfl_he_vector_free(b);
        msfl_he_free(loaded);
        msfl_he_free(he);
        in_a_row = status == MSFL_OK ? in_a_row + 1 : 0;
        if (status != MSFL_OK && status != MSFL_ERR_MEMORY) {
            print_error("allocation %ld: %s: %s\n", k, msfl_status_name(status), msfl_error_message());
        }
        assert_true(status == MSFL_OK || status == MSFL_ERR_MEMORY);
        assert_true(k < 10000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_worked_example, folder_setup, folder_teardown),
        cmocka_unit_test(values_that_cannot_be_sent),
        cmocka_unit_test(more_addends_than_planned),
        cmocka_unit_test(schemes_without_keys_say_why),
        cmocka_unit_test(another_key_and_length),
        cmocka_unit_test_setup_teardown(out_of_memory, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
