/* AES streams: the vectors of SP 800-38A, and every kernel's own against libcrypto, in pieces of all sizes and across
 * every carry of the counter. */
#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "ring/aes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/** Kernel number i that has AES of its own on this processor; NULL behind the last. */
static const msfl_kernel *with_aes(size_t i) {
    for (const msfl_kernel *const *k = msfl_kernels(); *k != NULL; k++) {
        if ((*k)->aes != NULL && (*k)->supported() && i-- == 0) return *k;
    }
    return NULL;
}

static void from_hex(const char *hex, uint8_t *out) {
    for (; *hex != 0; hex += 2) {
        char pair[3] = {hex[0], hex[1], 0};
        *out++ = (uint8_t)strtoul(pair, NULL, 16);
    }
}

/** SP 800-38A, F.5.1 and F.5.5, where the stream is plaintext xor ciphertext. */
static void check_vector(const msfl_kernel *kernel, const char *key_hex, size_t key_bytes, const char *cipher_hex) {
    uint8_t key[32], iv[16], plain[64], cipher[64], stream[64];
    from_hex(key_hex, key);
    from_hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", iv);
    from_hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
             "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
             plain);
    from_hex(cipher_hex, cipher);
    msfl_aes *aes;
    assert_int_equal(msfl_aes_new(kernel, &aes), MSFL_OK);
    assert_int_equal(msfl_aes_start(aes, key, key_bytes, iv), MSFL_OK);
    assert_int_equal(msfl_aes_read(aes, stream, sizeof stream), MSFL_OK);
    for (size_t i = 0; i < sizeof stream; i++)
        assert_int_equal(stream[i], plain[i] ^ cipher[i]);
    msfl_aes_free(aes);
}

static void published_vectors(void **state) {
    (void)state;
    for (size_t i = 0; i == 0 || with_aes(i - 1) != NULL; i++) {
        const msfl_kernel *kernel = i == 0 ? NULL : with_aes(i - 1);
        check_vector(kernel, "2b7e151628aed2a6abf7158809cf4f3c", 16,
                     "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
                     "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee");
        check_vector(kernel, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", 32,
                     "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
                     "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6");
    }
}

static void streams_agree_with_libcrypto(void **state) {
    (void)state;
    if (with_aes(0) == NULL) skip();
    enum { LENGTH = 3000 };
    msfl_seeded g;
    msfl_seeded_init(&g, 9, "aes", 0, 0, 0);
    for (size_t k = 0; with_aes(k) != NULL; k++) {
        msfl_aes *ref, *fast;
        assert_int_equal(msfl_aes_new(NULL, &ref), MSFL_OK);
        assert_int_equal(msfl_aes_new(with_aes(k), &fast), MSFL_OK);
        for (int turn = 0; turn < 400; turn++) {
            uint8_t key[32], iv[16], expected[LENGTH], got[LENGTH + 1];
            for (size_t i = 0; i < sizeof key; i++)
                key[i] = (uint8_t)msfl_seeded_u64(&g);
            /* The last bytes all ones, but for the very last: so a carry runs through them at some block. */
            size_t ones = (size_t)turn % 17;
            for (size_t i = 0; i < sizeof iv; i++)
                iv[i] = i >= 16 - ones ? 0xff : (uint8_t)msfl_seeded_u64(&g);
            if (ones > 0) iv[15] = (uint8_t)(0xff - msfl_seeded_below(&g, 40));
            size_t key_bytes = turn / 17 % 2 == 0 ? 16 : 32;
            assert_int_equal(msfl_aes_start(ref, key, key_bytes, iv), MSFL_OK);
            assert_int_equal(msfl_aes_start(fast, key, key_bytes, iv), MSFL_OK);
            assert_int_equal(msfl_aes_read(ref, expected, LENGTH), MSFL_OK);
            uint64_t piece_max = (uint64_t[]){1, 16, 40, 700, LENGTH}[turn % 5];
            for (size_t done = 0; done < LENGTH;) {
                size_t piece = (size_t)msfl_seeded_below(&g, piece_max + 1);
                if (piece > LENGTH - done) piece = LENGTH - done;
                got[done + piece] = 0x5a;
                assert_int_equal(msfl_aes_read(fast, got + done, piece), MSFL_OK);
                done += piece;
                assert_int_equal(got[done], 0x5a);
            }
            assert_memory_equal(got, expected, LENGTH);
        }
        msfl_aes_free(ref);
        msfl_aes_free(fast);
    }
}

static void allocations_may_fail(void **state) {
    (void)state;
    for (size_t i = 0; i == 0 || with_aes(i - 1) != NULL; i++) {
        msfl_aes *aes = NULL;
        for (uint64_t k = 1;; k++) {
            msfl_alloc_fail_at(k);
            msfl_status status = msfl_aes_new(i == 0 ? NULL : with_aes(i - 1), &aes);
            msfl_alloc_fail_at(0);
            if (status == MSFL_OK) break;
            assert_int_equal(status, MSFL_ERR_MEMORY);
            assert_null(aes);
        }
        msfl_aes_free(aes);
    }
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(streams_agree_with_libcrypto),
        cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
