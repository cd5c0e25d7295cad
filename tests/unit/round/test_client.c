/* What is hashed, and what a client may do with its key: one pass over the chunks, one bundle. */
#include "world.h"

#include "round/info.h"

static msfl_round_info golden_info(void) {
    msfl_round_info info = {.number = 7, .n_clients = 10, .min_cohort = 3, .n_values = 123456789012};
    memset(info.task, 1, sizeof info.task);
    memset(info.model, 2, sizeof info.model);
    memset(info.layout, 3, sizeof info.layout);
    memset(info.authority, 4, sizeof info.authority);
    info.params = (msfl_params){.ring_degree = 8192,
                                .n_primes = 4,
                                .security_bits = 128,
                                .n_clients = 20,
                                .value_bits = 24,
                                .slot_bits = 29,
                                .slots_per_coefficient = 6,
                                .log_t = 174};
    for (uint64_t i = 0; i < MSFL_PRIMES_MAX; i++)
        info.params.primes[i] = 1000 + i;
    return info;
}

/** Both values were worked out with Python's hashlib from the description in docs/design/round.md. */
static void hashes_are_frozen(void **state) {
    (void)state;
    const msfl_round_info info = golden_info();
    uint8_t id[MSFL_HASH_BYTES];
    char text[2 * MSFL_HASH_BYTES + 1];
    msfl_round_id(&info, id);
    msfl_hex(id, sizeof id, text);
    assert_string_equal(text, "b1911d2eba9bccdf99a3321a6114f2ebb82f4c325962a783e89a91282b38c27a");
    msfl_hash h;
    memset(id, 9, sizeof id);
    msfl_round_ciphertext_hash_init(&h, id, 5, 3);
    msfl_hash_add(&h, "abc", 3);
    msfl_hash_final(&h, id);
    msfl_hex(id, sizeof id, text);
    assert_string_equal(text, "49d3868e980579cbd8f3e3d12e1dcbb5bd525b02bcc2f929608db0b1c373f43f");
}

static void every_field_changes_the_round_id(void **state) {
    (void)state;
    enum { FIELDS = 16, N = FIELDS + MSFL_PRIMES_MAX };
    uint8_t ids[N + 1][MSFL_HASH_BYTES];
    for (int i = 0; i <= N; i++) {
        msfl_round_info info = golden_info();
        switch (i) {
        case 0:
            info.task[31] ^= 1;
            break;
        case 1:
            info.number ^= UINT64_C(1) << 63;
            break;
        case 2:
            info.model[0] ^= 1;
            break;
        case 3:
            info.layout[15] ^= 1;
            break;
        case 4:
            info.authority[31] ^= 0x80;
            break;
        case 5:
            info.n_clients++;
            break;
        case 6:
            info.min_cohort--;
            break;
        case 7:
            info.n_values++;
            break;
        case 8:
            info.params.ring_degree *= 2;
            break;
        case 9:
            info.params.n_primes--;
            break;
        case 10:
            info.params.security_bits = 192;
            break;
        case 11:
            info.params.n_clients++;
            break;
        case 12:
            info.params.value_bits++;
            break;
        case 13:
            info.params.slot_bits++;
            break;
        case 14:
            info.params.slots_per_coefficient--;
            break;
        case 15:
            info.params.log_t--;
            break;
        default:
            if (i < N) info.params.primes[i - FIELDS]++; /* the last stays as it is: all others differ from it too */
            break;
        }
        msfl_round_id(&info, ids[i]);
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(ids[i], ids[k], MSFL_HASH_BYTES);
    }
}

typedef struct rig {
    world w;
    msfl_round_client *c;
    uint8_t *out, *bundle, hash[MSFL_HASH_BYTES];
} rig;

static void rig_make(rig *r) {
    world_make(&r->w, 3, 3, 16, 30000);
    assert_true(r->w.n_chunks >= 2);
    r->out = world_get(r->w.ciphertext_bytes, 1);
    r->bundle = world_get(r->w.bundle_bytes, 1);
    assert_int_equal(msfl_round_client_new(r->w.ctx, &r->w.info, 1, &r->c), MSFL_OK);
}

static void rig_clear(rig *r) {
    msfl_round_client_free(r->c);
    msfl_free(r->bundle);
    msfl_free(r->out);
    world_clear(&r->w);
}

static void chunks_go_once_and_in_order(void **state) {
    (void)state;
    rig r;
    rig_make(&r);
    const uint32_t *slots = r.w.slots[1];
    assert_int_equal(msfl_round_client_encrypt(r.c, 1, slots, r.out), MSFL_ERR_USAGE);
    assert_int_equal(msfl_round_client_encrypt(r.c, 0, slots, r.out), MSFL_OK);
    assert_int_equal(msfl_round_client_encrypt(r.c, 0, slots, r.out), MSFL_ERR_POLICY);
    expect_words("client 1: chunk 0 of round 1 is encrypted already");
    assert_int_equal(msfl_round_client_finish(r.c, r.hash, r.bundle), MSFL_ERR_USAGE);
    expect_words("only 1 of");
    for (uint64_t j = 1; j < r.w.n_chunks; j++)
        assert_int_equal(msfl_round_client_encrypt(r.c, j, slots, r.out), MSFL_OK);
    assert_int_equal(msfl_round_client_encrypt(r.c, r.w.n_chunks, slots, r.out), MSFL_ERR_USAGE);
    assert_int_equal(msfl_round_client_encrypt(r.c, UINT64_MAX, slots, r.out), MSFL_ERR_USAGE);
    assert_int_equal(msfl_round_client_finish(r.c, r.hash, r.bundle), MSFL_OK);
    /* The key is gone: nothing more, in no order. */
    for (uint64_t j = 0; j <= r.w.n_chunks; j++) {
        assert_int_equal(msfl_round_client_encrypt(r.c, j, slots, r.out), MSFL_ERR_POLICY);
        expect_words("sealed and wiped");
    }
    assert_int_equal(msfl_round_client_finish(r.c, r.hash, r.bundle), MSFL_ERR_POLICY);
    rig_clear(&r);
}

static void a_slot_out_of_range_is_named(void **state) {
    (void)state;
    rig r;
    rig_make(&r);
    r.w.slots[1][5] = 1u << 16;
    assert_int_equal(msfl_round_client_encrypt(r.c, 0, r.w.slots[1], r.out), MSFL_ERR_NUMERIC);
    expect_words("client 1");
    rig_clear(&r);
}

/** Two clients with the same values, and one client twice: nothing of what they send is the same. */
static void uploads_never_repeat(void **state) {
    (void)state;
    world w;
    world_make(&w, 3, 3, 16, 30000);
    memcpy(w.slots[1], w.slots[0], w.info.n_values * sizeof *w.slots[0]);
    world_encrypt(&w, 1);
    assert_memory_not_equal(w.ciphertext[0], w.ciphertext[1], 64);
    assert_memory_not_equal(w.hash[0], w.hash[1], MSFL_HASH_BYTES);
    uint8_t *before = world_get(w.ciphertext_bytes, 1), *bundle = world_get(w.bundle_bytes, 1);
    memcpy(before, w.ciphertext[1], w.ciphertext_bytes);
    memcpy(bundle, w.bundle[1], w.bundle_bytes);
    world_encrypt(&w, 1);
    size_t same = 0;
    for (size_t i = 0; i < w.ciphertext_bytes; i++)
        same += before[i] == w.ciphertext[1][i];
    assert_true(same < w.ciphertext_bytes / 64); /* 1 in 256 by chance */
    assert_memory_not_equal(bundle, w.bundle[1], 64);
    msfl_free(bundle);
    msfl_free(before);
    world_clear(&w);
}

static void rounds_that_may_not_be_are_refused(void **state) {
    (void)state;
    world w;
    world_make(&w, 5, 3, 16, 3000);
    msfl_round_client *client = NULL;
    msfl_round_coordinator *coordinator = NULL;
    assert_int_equal(msfl_round_client_new(w.ctx, &w.info, 5, &client), MSFL_ERR_USAGE);
    const msfl_round_info good = w.info;
    for (int i = 0; i < 6; i++) {
        msfl_status expected = MSFL_ERR_USAGE;
        w.info = good;
        switch (i) {
        case 0:
            w.info.min_cohort = 1;
            expected = MSFL_ERR_POLICY;
            break;
        case 1:
            w.info.min_cohort = 6;
            break;
        case 2:
            w.info.n_values = 0;
            break;
        case 3:
            w.info.n_clients = 6;
            expected = MSFL_ERR_PARAMS;
            break;
        case 4:
            w.info.params.n_primes = 0;
            expected = MSFL_ERR_PARAMS;
            break;
        default: { /* good parameters, but not those of the context */
            const msfl_params_request request = {.n_clients = 5, .value_bits = 8, .n_values = 3000};
            assert_int_equal(msfl_params_plan(&request, &w.info.params), MSFL_OK);
            expected = MSFL_ERR_MISMATCH;
        }
        }
        assert_int_equal(msfl_round_client_new(w.ctx, &w.info, 0, &client), expected);
        assert_int_equal(msfl_round_coordinator_new(w.ctx, &w.info, &coordinator), expected);
    }
    assert_null(client);
    assert_null(coordinator);
    /* A key that is no point of full order cannot be sealed for: said at the end, the key is wiped all the same. */
    w.info = good;
    memset(w.info.authority, 0, sizeof w.info.authority);
    uint8_t hash[MSFL_HASH_BYTES];
    assert_int_equal(msfl_round_client_new(w.ctx, &w.info, 0, &client), MSFL_OK);
    for (uint64_t j = 0; j < w.n_chunks; j++)
        assert_int_equal(msfl_round_client_encrypt(client, j, w.slots[0], w.ciphertext[0]), MSFL_OK);
    assert_int_equal(msfl_round_client_finish(client, hash, w.bundle[0]), MSFL_ERR_CRYPTO);
    for (size_t i = 0; i < w.bundle_bytes; i++)
        assert_int_equal(w.bundle[0][i], 0);
    assert_int_equal(msfl_round_client_finish(client, hash, w.bundle[0]), MSFL_ERR_POLICY);
    msfl_round_client_free(client);
    world_clear(&w);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    world w;
    world_make(&w, 3, 3, 16, 3000);
    msfl_status status = MSFL_ERR_MEMORY;
    for (long k = 1; status != MSFL_OK; k++) {
        assert_true(k < 100);
        msfl_round_client *c = NULL;
        msfl_alloc_fail_at(k);
        status = msfl_round_client_new(w.ctx, &w.info, 0, &c);
        size_t at = 0, slot = 0;
        for (uint64_t j = 0; j < w.n_chunks && status == MSFL_OK; j++) {
            status = msfl_round_client_encrypt(c, j, w.slots[0] + slot, w.ciphertext[0] + at);
            at += msfl_packed_chunk_bytes(w.ctx, w.info.n_values, j);
            slot += msfl_packed_chunk_slots(w.ctx, w.info.n_values, j);
        }
        if (status == MSFL_OK) status = msfl_round_client_finish(c, w.hash[0], w.bundle[0]);
        msfl_alloc_fail_at(0);
        assert_true(status == MSFL_OK || status == MSFL_ERR_MEMORY);
        msfl_round_client_free(c);
    }
    world_clear(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_frozen),           cmocka_unit_test(every_field_changes_the_round_id),
        cmocka_unit_test(chunks_go_once_and_in_order), cmocka_unit_test(a_slot_out_of_range_is_named),
        cmocka_unit_test(uploads_never_repeat),        cmocka_unit_test(rounds_that_may_not_be_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
